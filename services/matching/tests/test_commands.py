"""The engine on files of one's own: the commands of `kompetensnav-matching`."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from kompetensnav_matching import commands
from kompetensnav_matching.engine.connection_scan import Timetable, latest_departures

BIN = Path(sys.executable).parent / "kompetensnav-matching"


def run(*command, code=0):
    """In this process: loading the engine takes seconds."""
    done = CliRunner().invoke(commands.run, [*map(str, command)])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout) if code == 0 and "--json" in command else done.output


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("round")
    run("generate", "--learners", 600, "--out", folder, "--seed", 3)
    return folder, ("--edges", folder / "edges.csv", "--seats", folder / "seats.csv")


def test_solve_places_and_proves_and_writes_the_assignment(made, tmp_path):
    folder, files = made
    tiers = ("--tiers", folder / "tiers.csv")
    found = run("solve", *files, *tiers, "--assignment", tmp_path / "a.csv", "--json")
    assert (found["gap"], found["learners"]) == (0, 600)
    assert {"seconds", "cpu_seconds", "peak_mb", "placed", "cost", "edges", "seats"} <= set(found)
    written = pl.read_csv(tmp_path / "a.csv")
    assert (len(written), written["cost"].sum()) == (found["placed"], found["cost"])
    edges, seats = pl.read_csv(folder / "edges.csv"), pl.read_csv(folder / "seats.csv")
    assert len(written.join(edges, on=["learner", "slot", "cost"])) == len(written)
    used = written.group_by("slot").len().join(seats, on="slot")
    assert (used["len"] <= used["seats"]).all()
    done = subprocess.run([BIN, "solve", *files], capture_output=True, text=True, check=True)
    assert re.search(rf"placed +{found['placed']} ", done.stdout)


def test_stable_modes_place_no_more_and_say_what_the_most_is(made):
    _, files = made
    best = run("solve", *files, "--json")
    stable = run("solve", *files, "--mode", "stable", "--json")
    filled = run("solve", *files, "--mode", "stable_filled", "--json")
    assert stable["envious"] == 0
    assert stable["placed"] <= filled["placed"] == best["placed"] == stable["most_that_can_be_placed"]
    assert run("solve", *files, "--mode", "stable", "--json")["cost"] == stable["cost"]


def test_the_order_and_the_format_of_the_files_change_nothing(made, tmp_path):
    folder, files = made
    pl.read_csv(folder / "edges.csv").sample(fraction=1, shuffle=True, seed=1).write_parquet(
        tmp_path / "e.parquet"
    )
    pl.read_csv(folder / "seats.csv").reverse().write_parquet(tmp_path / "s.parquet")
    other = ("--edges", tmp_path / "e.parquet", "--seats", tmp_path / "s.parquet")
    run("solve", *files, "--assignment", tmp_path / "a.csv")
    run("solve", *other, "--assignment", tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()


def test_what_an_explanation_claims_comes_true_when_it_is_forced(made, tmp_path):
    """Every learner's first five other choices: the claim is compared with solving without the other choices
    of that learner, at its own seat."""
    folder, files = made
    edges, seats = pl.read_csv(folder / "edges.csv"), pl.read_csv(folder / "seats.csv")
    before = run("solve", *files, "--assignment", tmp_path / "a.csv", "--json")
    placed = dict(pl.read_csv(tmp_path / "a.csv").select("learner", "slot").iter_rows())
    asked = [
        (learner, slot, cost)
        for learner, slot, cost in edges.sample(fraction=1, shuffle=True, seed=2).iter_rows()
        if placed.get(learner) != slot
    ][:4]
    for learner, slot, cost in asked:
        said = run("explain", *files, "--learner", learner, "--slot", slot, "--json")
        assert said["possible"] is True
        assert said["slot"] == (None if learner not in placed else str(placed[learner]))
        edges.filter(pl.col("learner") != learner).write_csv(tmp_path / "e.csv")
        one = pl.when(pl.col("slot") == slot).then(pl.col("seats") - 1).otherwise(pl.col("seats"))
        seats.with_columns(one.alias("seats")).write_csv(tmp_path / "s.csv")
        rest = run("solve", "--edges", tmp_path / "e.csv", "--seats", tmp_path / "s.csv", "--json")
        assert said["placed_more"] == rest["placed"] + 1 - before["placed"]
        assert said["cost_more"] == rest["cost"] + cost - before["cost"]
    far = edges.filter(pl.col("learner") == asked[0][0])["slot"].to_list()
    other = next(s for s in seats["slot"].to_list() if s not in far)
    assert run("explain", *files, "--learner", asked[0][0], "--slot", other, "--json")["possible"] is False


def test_a_learner_without_a_slot_is_told_how_many_share_how_few(tmp_path):
    (tmp_path / "e.csv").write_text("learner,slot,cost\na,x,1\nb,x,2\nc,x,3\nc,y,1\nd,y,9\ne,y,9\n")
    (tmp_path / "s.csv").write_text("slot,seats\nx,1\ny,1\n")
    files = ("--edges", tmp_path / "e.csv", "--seats", tmp_path / "s.csv")
    said = run("explain", *files, "--learner", "b", "--json")
    assert (said["slot"], said["learners_sharing"], said["seats_shared"]) == (None, 2, 1)


LINES = {
    "a cost that is no number": ("learner,slot,cost\na,x,1\n\nb,x,1.5\n", "line 4: cost is '1.5'"),
    "a negative cost": ("learner,slot,cost\na,x,-1\n", "line 2: cost is '-1'"),
    "a cost too large for the integers used": (f"learner,slot,cost\na,x,{2**30}\n", "line 2: cost"),
    "a slot that is not there": ("learner,slot,cost\na,q,1\n", "line 2: slot 'q' is not in"),
    "a pair that is there twice": (
        "learner,slot,cost\na,x,1\nb,x,1\na,x,2\n",
        "line 4: this learner and slot",
    ),
    "no learner": ("learner,slot,cost\n,x,1\n", "line 2: learner is missing"),
    "an open quote": ('learner,slot,cost\na,x,"1\n' + "z" * 200_000, "line"),
    "too many fields": ("learner,slot,cost\na,x,1,9\n", "line 2: 'a,x,1,9' has 4 fields"),
    "too few fields": ("learner,slot,cost\na,x\n", "line 2: cost is missing"),
    "a column that is missing": ("learner,slot\na,x\n", "line 1: the column cost is missing"),
    "nothing at all": ("", "is empty"),
}


@pytest.mark.parametrize(("text", "said"), LINES.values(), ids=LINES)
def test_bad_input_is_told_with_its_line_and_value(tmp_path, text, said):
    (tmp_path / "e.csv").write_text(text)
    (tmp_path / "s.csv").write_text("slot,seats\nx,1\n")
    assert said in run("solve", "--edges", tmp_path / "e.csv", "--seats", tmp_path / "s.csv", code=1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("slot,seats\nx,-1\n", "line 2: seats is '-1'"),
        ("slot,seats\nx,1\nx,2\n", "line 3: slot 'x' is there twice"),
    ],
)
def test_bad_input_seats_are_told_with_their_line_and_value(tmp_path, text, said):
    (tmp_path / "e.csv").write_text("learner,slot,cost\na,x,1\n")
    (tmp_path / "s.csv").write_text(text)
    assert said in run("solve", "--edges", tmp_path / "e.csv", "--seats", tmp_path / "s.csv", code=1)


def test_bad_input_without_pairs_or_seats_is_answered(tmp_path):
    (tmp_path / "e.csv").write_text("learner,slot,cost\na,x,1\n")
    (tmp_path / "s.csv").write_text("slot,seats\nx,0\n")
    files = ("--edges", tmp_path / "e.csv", "--seats", tmp_path / "s.csv")
    assert run("solve", *files, "--json")["placed"] == 0
    (tmp_path / "e.csv").write_text("learner,slot,cost\n")
    assert run("solve", *files, "--json")["learners"] == 0
    assert "no learner 'zz'" in run("explain", *files, "--learner", "zz", code=1)


def people(folder, **change):
    files = {
        "localities": "locality,latitude,longitude\nhome,65.58,22.15\nnear,65.60,22.10\nfar,66.60,19.82\n",
        "learners": "learner,locality,starts_on,ends_on,wishes,needs,max_travel_minutes\n"
        "ann,home,2027-02-01,2027-03-26,5321;7111,,60\nbo,home,2027-02-01,2027-03-26,5321,step_free,30\n",
        "slots": "slot,seats,occupation,locality,starts_on,ends_on,offers_needs\n"
        "ward,1,5321,near,2027-02-01,2027-03-26,step_free\nsite,2,7111,far,2027-02-01,2027-03-26,\n",
        "travel": "home,work,minutes\nhome,far,55\n",
    } | change
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)
    names = ("learners", "slots", "localities", "travel")
    return [x for name in names for x in (f"--{name}", folder / f"{name}.csv")]


def test_candidates_make_the_edges_that_solve_reads(tmp_path):
    out = tmp_path / "out"
    assert run("candidates", *people(tmp_path), "--out", out, "--json") == {
        "learners": 2, "slots": 2, "edges": 3,
    }  # fmt: skip
    edges = {(a, b): c for a, b, c in pl.read_csv(out / "edges.csv").iter_rows()}
    assert set(edges) == {("ann", "ward"), ("bo", "ward"), ("ann", "site")}
    assert edges["ann", "site"] == 150 + 550, "second wish, and the table's minutes"
    files = ("--edges", out / "edges.csv", "--seats", out / "seats.csv", "--tiers", out / "tiers.csv")
    found = run("solve", *files, "--assignment", tmp_path / "a.csv", "--json")
    assert found["placed"] == 2
    assert {(a, b) for a, b, _ in pl.read_csv(tmp_path / "a.csv").iter_rows()} == {
        ("ann", "site"),
        ("bo", "ward"),
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"localities": "locality,latitude,longitude\nhome,NaN,22\n"}, "line 2: latitude is 'NaN'"),
        ({"localities": "locality,latitude,longitude\nhome,95,22\n"}, "line 2: latitude is '95'"),
        ({"travel": "home,work,minutes\nhome,far,x\n"}, "line 2: minutes is 'x'"),
        ({"travel": "home,work,minutes\nHome,far,5\n"}, "line 2: home is 'Home'"),
        (
            {"learners": "learner,locality,starts_on,ends_on,wishes\nann,home,2027-02-01,2027-03-26,sight\n"},
            "line 2: wishes is 'sight'",
        ),
        (
            {"learners": "learner,locality,starts_on,ends_on\nann,moon,2027-02-01,2027-03-26\n"},
            "locality is 'moon'",
        ),
        (
            {"learners": "learner,locality,starts_on,ends_on\nann,home,soon,2027-03-26\n"},
            "starts_on is 'soon'",
        ),
    ],
)
def test_bad_input_about_people_and_places_is_told(tmp_path, change, said):
    assert said in run("candidates", *people(tmp_path, **change), "--out", tmp_path / "out", code=1)


FEED = {
    "stops.txt": "stop_id,stop_name,stop_lat,stop_lon\nA,A,65.58,22.15\nB,B,65.60,22.10\nC,C,66.60,19.82\n"
    "C2,C2,66.6005,19.8205\n",
    "trips.txt": "route_id,service_id,trip_id\nr,week,t1\nr,week,t2\nr,sunday,t3\nr,week,t4\n",
    "calendar.txt": "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,"
    "start_date,end_date\n"
    "week,1,1,1,1,1,0,0,20270101,20271231\nsunday,0,0,0,0,0,0,1,20270101,20271231\n",
    "calendar_dates.txt": "service_id,date,exception_type\nweek,20270210,2\nsunday,20270210,1\n",
    "stop_times.txt": "trip_id,arrival_time,departure_time,stop_id,stop_sequence\n"
    "t1,7:00:00,7:00:00,A,1\nt1,7:10:00,7:10:00,B,2\n"
    "t2,7:13:00,7:13:00,B,1\nt2,07:50:00,07:50:00,C2,2\n"
    "t3,07:00:00,07:00:00,A,1\nt3,07:45:00,07:45:00,C,2\n"
    "t4,07:11:00,07:11:00,B,1\nt4,07:30:00,07:30:00,C,2\n",
}  # fmt: skip


def test_a_timetable_becomes_a_table_of_travel_times(tmp_path):
    """A to C: the 7:00 to B, three minutes to change, the 7:13 to C2 and a short walk: there at 8:00 counts
    60 minutes. The 7:11 from B leaves too soon to be caught, and Sunday's direct bus does not run."""
    feed = tmp_path / "feed"
    feed.mkdir()
    for name, text in FEED.items():
        (feed / name).write_text(text)
    places = "locality,latitude,longitude\na,65.58,22.15\nb,65.60,22.10\nc,66.60,19.82\nd,60,15\n"
    (tmp_path / "localities.csv").write_text(places)
    asked = (
        "--feed",
        feed,
        "--localities",
        tmp_path / "localities.csv",
        "--out",
        tmp_path / "t.parquet",
        "--json",
    )
    found = run("travel", *asked, "--day", "2027-02-02", "--by", "08:00", "--by", "07:15")
    assert (found["localities"], found["connections"], found["pairs_with_a_way"]) == (4, 3, 3)
    table = {(a, b): m for a, b, m in pl.read_parquet(tmp_path / "t.parquet").iter_rows()}
    assert table == {("a", "b"): 15, ("a", "c"): 60, ("b", "c"): 47}
    found = run("travel", *asked, "--day", "2027-02-10", "--by", "08:00")
    table = {(a, b): m for a, b, m in pl.read_parquet(tmp_path / "t.parquet").iter_rows()}
    assert table == {("a", "c"): 60}, "an exception in the calendar: Sunday's service on a Wednesday"
    assert "nothing runs on 2030-01-01" in run("travel", *asked[:-1], "--day", "2030-01-01", code=1)
    (feed / "stop_times.txt").unlink()
    assert "stop_times.txt is missing" in run("travel", *asked[:-1], "--day", "2027-02-02", code=1)


def there_by(rides, walks, to_place, start, time, change):
    """The earliest one can be at the place, leaving a stop at a time: every ride in order of departure."""
    ready = {start: time} | {b: time + w for (a, b), w in walks.items() if a == start}
    best = time + to_place[start] if to_place[start] >= 0 else 10**9
    on = set()
    for departs, arrives, _, trip, a, b in sorted(rides):
        if trip in on or ready.get(a, 10**9) <= departs:
            on.add(trip)
            if to_place[b] >= 0:
                best = min(best, arrives + to_place[b])
            for near, w in [(b, 0), *((n, w) for (m, n), w in walks.items() if m == b)]:
                ready[near] = min(ready.get(near, 10**9), arrives + w + change)
    return best


def test_the_connection_scan_finds_what_trying_every_departure_finds():
    chance, change = np.random.default_rng(5), 2
    tried = 0
    for _ in range(500):
        stops = int(chance.integers(2, 7))
        rides = []
        for trip in range(int(chance.integers(1, 9))):
            time, at = int(chance.integers(0, 60)), int(chance.integers(stops))
            for leg in range(int(chance.integers(1, 4))):
                end = int((at + chance.integers(1, stops)) % stops)
                arrives = time + int(chance.integers(1, 15))
                rides.append((time, arrives, leg, trip, at, end))
                time, at = arrives + int(chance.integers(0, 3)), end
        walks = {}
        for a, b in chance.integers(0, stops, (2, 2)).tolist():
            if a != b:
                walks[a, b] = walks[b, a] = int(chance.integers(1, 8))
        to_place = np.where(chance.random(stops) < 0.3, chance.integers(0, 10, stops), -1).astype(np.int32)
        order = sorted(rides, key=lambda r: (-r[0], -r[1], -r[2]))
        columns = [np.array([r[k] for r in order], np.int32) for k in (4, 5, 0, 1, 3)]
        into = [[(a, w) for (a, b), w in walks.items() if b == s] for s in range(stops)]
        first = np.cumsum([0] + [len(x) for x in into]).astype(np.int64)
        starts, seconds = (np.array([pair[k] for x in into for pair in x], np.int32) for k in (0, 1))
        table = Timetable(*columns, 9, first, starts, seconds, change)
        by = int(chance.integers(20, 90))
        leave = latest_departures(table, to_place, by)
        for s in range(stops):
            possible = [t for t in range(by + 1) if there_by(rides, walks, to_place, s, t, change) <= by]
            assert max(leave[s], -1) == max(possible, default=-1)
            tried += bool(possible)
    assert tried > 200


def test_the_service_starts_without_loading_the_engine():
    said = (
        "import sys, kompetensnav_matching.main; print([m for m in ('numba', 'polars') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

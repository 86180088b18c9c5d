"""One machine and one command: starts, tells how it is, survives kills, leaves nothing behind."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from email import message_from_bytes
from pathlib import Path

import asyncpg
import pytest
from ortools.graph.python.min_cost_flow import SimpleMinCostFlow

from kompetensnav_chassis.patience import Patience
from kompetensnav_chassis.ready import is_ready
from kompetensnav_chassis.testing import eventually
from kompetensnav_embedded import servers
from support.stack import finish, start, started

BIN = Path(sys.executable).parent
SHARED = Path(__file__).parents[3] / "shared/data"
pytestmark = [pytest.mark.real, pytest.mark.slow]
CONNECTIONS = 12
"""Of notifications to the mail server: so many messages are being sent at most."""


def alive(folder):
    """Processes that were started from a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                line = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                if str(folder).encode() in line:
                    found.append(int(entry.name))
        except OSError:
            continue
    return found


async def test_status_is_quick_and_says_what_runs_where(stack):
    patience = Patience(10)
    done = stack.run("status", "--json", "--folder", str(stack.folder))
    hangs = patience.is_over
    told = json.loads(done.stdout)
    assert done.returncode == 0
    assert {s["name"] for s in told["services"]} >= {"registry", "matching", "notifications", "reporting"}
    assert all(s["healthy"] and s["url"].startswith("http://127.0.0.1:") for s in told["services"])
    assert not hangs, "the promise is one second; this only guards against a hang"
    token = stack.run("token", "--role", "coordinator", "--municipality", "2580")
    assert token.stdout.count(".") == 2


@pytest.mark.timeout(300)
async def test_a_killed_holder_leaves_no_process_and_data_is_kept(tmp_path):
    folder = tmp_path / "kept"
    process = start(folder)
    running = await started(process, folder)
    assert len(alive(folder)) >= 8
    process.send_signal(signal.SIGKILL)
    process.wait()

    async def gone():
        return not [pid for pid in alive(folder) if pid != os.getpid()]

    await eventually(gone, 40)
    again = start(folder)
    assert (await started(again, folder))["stack"] == running["stack"]
    done = subprocess.run(
        [BIN / "kompetensnav", "down", "--folder", folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    again.wait(30)
    await eventually(gone, 40)


def refused(*arguments, **environment):
    done = subprocess.run(
        [BIN / "kompetensnav", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )
    assert done.returncode != 0
    return (done.stdout + done.stderr).strip()


async def test_what_cannot_start_says_why_in_one_line_and_leaves_nothing(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", servers.free_port()))
        taken.listen()
        port = taken.getsockname()[1]
        told = refused("up", "--folder", str(tmp_path / "a"), "--ports", str(port - 3))
    assert len(told.splitlines()) == 1
    assert str(port) in told
    assert alive(tmp_path) == []
    told = refused("demo", "--once", "--data", str(tmp_path / "nothing"), "--folder", str(tmp_path / "b"))
    assert len(told.splitlines()) == 1
    assert "WPI" in told


def test_a_chosen_port_is_not_one_that_the_kernel_gives_to_connections():
    for _ in range(200):
        port = servers.free_port()
        with socket.socket() as outgoing:
            outgoing.bind(("127.0.0.1", 0))
            assert port < min(32_768, outgoing.getsockname()[1])


def test_a_chosen_port_is_kept_for_whoever_has_chosen_it_as_long_as_that_lives():
    keeps = "from kompetensnav_embedded.servers import free_port; print(free_port(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", keeps], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        port = int(other.stdout.readline())
        assert servers.is_free(port), "nobody listens there"
        assert not servers.take(port), "and yet it is another's"
        other.communicate("\n")
    assert servers.take(port)
    assert not servers.take(port), "once is enough"


@pytest.mark.parametrize("service", ["registry", "matching", "notifications", "reporting"])
async def test_a_missing_setting_stops_the_start_with_one_line(service):
    bare = {k: v for k, v in os.environ.items() if not k.startswith(service.upper())}
    done = subprocess.run(
        [BIN / f"kompetensnav-{service}", "serve"],
        capture_output=True,
        text=True,
        check=False,
        env=bare,
    )
    told = (done.stdout + done.stderr).strip()
    assert done.returncode != 0
    assert len(told.splitlines()) == 1
    assert f"{service.upper()}_DATABASE_URL" in told


def demo(tmp_path, *arguments, once=True):
    out = tmp_path / "out"
    log = (tmp_path / "log").open("wb")
    return out, subprocess.Popen(
        [
            BIN / "kompetensnav",
            "demo",
            *(["--once"] if once else []),
            "--folder",
            tmp_path / "demo",
            "--out",
            out,
            "--ports",
            "0",
            *arguments,
        ],
        stdout=log,
        stderr=log,
    )


@pytest.mark.timeout(420)
async def test_killing_every_service_during_the_demo_loses_nothing(tmp_path):
    out, process = demo(tmp_path, "--learners", "400")
    log = tmp_path / "log"

    async def imported():
        assert process.poll() is None, log.read_text()
        return "Services" in log.read_text()

    await eventually(imported, 120)
    running = json.loads((tmp_path / "demo/run.json").read_text())
    kills = 0
    for service in ("registry", "matching", "notifications", "registry", "reporting", "notifications"):

        async def struck(service=service):
            for entry in Path("/proc").glob("[0-9]*"):
                try:
                    line = (entry / "cmdline").read_bytes()
                    if f"kompetensnav-{service}\0serve".encode() in line:
                        if str(tmp_path).encode() in (entry / "environ").read_bytes():
                            os.kill(int(entry.name), signal.SIGKILL)
                            return True
                except OSError:
                    continue
            return process.poll() is not None

        await eventually(struck, 30)
        kills += process.poll() is None

        async def back(service=service):
            return is_ready(running["services"][service]) or process.poll() is not None

        if process.poll() is None:
            await eventually(back, 60)
    assert process.wait(300) == 0, log.read_text()
    summary = json.loads((out / "summary.json").read_text())
    assert summary["confirmed"] + summary["unmatched"] == summary["learners"] == 400
    assert (summary["limbo"], summary["capacity_violations"], summary["disagreements"]) == (0, 0, [])
    assert summary["violations"] == 0, summary["broken"]
    ids = Counter()
    mails = list((tmp_path / "demo/mail").glob("*.eml"))
    for path in mails:
        id = message_from_bytes(path.read_bytes())["Message-ID"]
        ids[id] += not id.endswith("@operations.kompetensnav>")  # an alert is no message of the main job
    ids = +ids
    repeats = sum(n - 1 for n in ids.values())
    assert kills >= 4, "the demo was over before it could be struck"
    assert len(ids) == summary["e_mails"]
    assert repeats <= CONNECTIONS * kills, "only what was being sent at a kill is repeated, same Message-ID"


WPI = SHARED / "matching/wpi-iqp/IQP2017-2018"


@pytest.mark.timeout(600)
@pytest.mark.skipif(not WPI.exists(), reason=f"the WPI-IQP data are not beside the checkout ({WPI.name})")
async def test_wpi_places_every_student_at_the_optimum_and_repairs_to_the_optimum_of_what_remains(tmp_path):
    """928 students: the first round is the known optimum (928, 64475); after one in eight has said no, the
    repair is the optimum of what remains, as OR-Tools finds it here on its own."""
    out, process = demo(tmp_path, "--data", str(WPI), "--declines", "8", once=False)
    try:

        async def told():
            assert process.poll() is None, (tmp_path / "log").read_text()
            return (out / "summary.json").exists() and json.loads((out / "summary.json").read_text())

        summary = await eventually(told, 500)
        first, repair = summary["rounds"][0], summary["rounds"][-1]
        assert (first["matched"], first["cost"]) == (928, 64475)
        assert summary["learners"] == 928
        assert summary["declined"] > 80
        assert summary["disagreements"] == []
        assert (summary["capacity_violations"], summary["limbo"], summary["dead_letters"]) == (0, 0, 0)
        urls = json.loads((tmp_path / "demo/databases.json").read_text())
        connection = await asyncpg.connect(urls["registry"]["care"])
        offers = await connection.fetch(
            "select r.ref request, s.ref slot, o.state from offer o join request r using (request_id)"
            " join slot s using (slot_id) where o.round_id = $1",
            first["round_id"],
        )
        await connection.close()
        assert (repair["matched"], repair["cost"]) == remaining_optimum(offers)
    finally:
        finish(process)


def remaining_optimum(offers):
    """(placed, cost) by OR-Tools, from the data files: those who said no, the seats that are left, and every
    pair but the one refused."""
    seats = {
        r["ProjectID"]: int(r["Capacity"]) for r in csv.DictReader((WPI / "project_capacity.csv").open())
    }
    refused = {o["request"].removeprefix("r"): o["slot"] for o in offers if o["state"] == "declined"}
    for offer in offers:
        seats[offer["slot"]] -= offer["state"] == "confirmed"
    tables = {}
    for name in ("student", "project"):
        rows = csv.DictReader((WPI / f"{name}_preference.csv").open())
        key = rows.fieldnames[0]
        tables[name] = {
            str(int(float(r[key]))): {c: float(v) for c, v in r.items() if c != key} for r in rows
        }
    solver = SimpleMinCostFlow()
    students, centres = sorted(refused), sorted(seats)
    node = {c: len(students) + n for n, c in enumerate(centres)}
    source, sink = len(students) + len(centres), len(students) + len(centres) + 1
    for n, student in enumerate(students):
        solver.add_arc_with_capacity_and_unit_cost(source, n, 1, 0)
        for centre in centres:
            theirs, ours = tables["student"][student][centre], tables["project"][student][centre]
            if theirs > 0 and ours > 0 and refused[student] != centre:
                price = round(1000 * (1 - theirs) + 100 * (1 - ours))
                solver.add_arc_with_capacity_and_unit_cost(n, node[centre], 1, price)
    for centre in centres:
        solver.add_arc_with_capacity_and_unit_cost(node[centre], sink, seats[centre], 0)
    solver.set_node_supply(source, len(students))
    solver.set_node_supply(sink, -len(students))
    assert solver.solve_max_flow_with_min_cost() == solver.OPTIMAL
    return solver.maximum_flow(), solver.optimal_cost()


assert sys.platform.startswith("linux"), "process trees are read from /proc"

"""The command line `kompetensnav-matching`: the service, and its engine on files of one's own."""

import json
import resource
import sys
from collections.abc import Callable
from datetime import date, time
from enum import StrEnum
from pathlib import Path
from time import perf_counter, process_time
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kompetensnav_chassis.commands import service_commands

Figures = dict[str, Any]
"""What a command prints, as JSON or as a table."""

if TYPE_CHECKING:  # the engine is loaded by the commands that use it
    from rich.progress import Progress

    from kompetensnav_matching.edges.files import Problem
    from kompetensnav_matching.engine.instance import Instance
    from kompetensnav_matching.engine.solve import Solution


def _main() -> ModuleType:
    from kompetensnav_matching import main

    return main


run = service_commands("matching", main=_main)


class Way(StrEnum):
    """How to place."""

    OPTIMAL = "optimal"
    STABLE = "stable"
    STABLE_FILLED = "stable_filled"


Edges = Annotated[Path, typer.Option(help="CSV or Parquet: learner,slot,cost (whole numbers).")]
Seats = Annotated[Path, typer.Option(help="CSV or Parquet: slot,seats.")]
Tiers = Annotated[Path | None, typer.Option(help="CSV or Parquet: learner,tier; 0 is served first.")]
ARRIVALS = ["07:30", "08:00", "08:30", "09:00"]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@run.command()
def solve(
    edges: Edges,
    seats: Seats,
    tiers: Tiers = None,
    mode: Annotated[Way, typer.Option(help="How to place.")] = Way.OPTIMAL,
    seed: Annotated[int, typer.Option(help="Of the lottery in the stable modes.")] = 1,
    assignment: Annotated[Path | None, typer.Option(help="Where to write learner,slot,cost.")] = None,
    as_json: AsJson = False,
) -> None:
    """Place learners in slots: as many as can be, then at least cost, proved; or stable."""
    with _progress() as progress, _bad_input():
        step = _stages(progress, "Reading", "Loading the engine", "Solving", "Writing")
        problem = _read(edges, seats, tiers, step)
        began, cpu = perf_counter(), process_time()
        step()
        instance = problem.instance()
        taken, found = _place(instance, problem, mode, seed)
        figures = {
            "mode": mode.value,
            "learners": len(problem.learners),
            "edges": len(problem.slot),
            "seats": int(problem.seats.sum()),
            **found,
            "seconds": round(perf_counter() - began, 3),
            "cpu_seconds": round(process_time() - cpu, 3),
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
        step()
        if assignment is not None:
            from kompetensnav_matching.edges.files import write_columns

            who = (taken >= 0).nonzero()[0]
            write_columns(
                assignment,
                {
                    "learner": [problem.learners[i] for i in who],
                    "slot": [problem.slots[taken[i]] for i in who],
                    "cost": instance.cost_of(taken)[who],
                },
            )
    _print(figures, as_json)


@run.command()
def explain(
    edges: Edges,
    seats: Seats,
    learner: Annotated[str, typer.Option(help="Whose.")],
    slot: Annotated[str | None, typer.Option(help="Why not this one.")] = None,
    tiers: Tiers = None,
    as_json: AsJson = False,
) -> None:
    """Say why a learner has the slot it has, or none; and what it would take to give it another."""
    with _progress() as progress, _bad_input():
        step = _stages(progress, "Reading", "Loading the engine", "Solving", "Trying")
        problem = _read(edges, seats, tiers, step)
        step()
        from kompetensnav_matching.engine.solve import solve

        instance = problem.instance()
        solution = solve(instance, problem.tier)
        step()
        said = _why(problem, instance, solution, learner, slot)
    _print(said, as_json)


@run.command()
def candidates(
    learners: Annotated[Path, typer.Option(help="learner,locality,starts_on,ends_on,wishes,...")],
    slots: Annotated[Path, typer.Option(help="slot,seats,occupation,locality,starts_on,ends_on,...")],
    localities: Annotated[Path, typer.Option(help="locality,latitude,longitude.")],
    out: Annotated[Path, typer.Option(help="Folder for edges.csv, seats.csv and tiers.csv.")],
    travel: Annotated[Path | None, typer.Option(help="home,work,minutes; else by distance.")] = None,
    as_json: AsJson = False,
) -> None:
    """Find which learner could take which slot, and at what cost: the input of `solve`."""
    with _progress() as progress, _bad_input():
        step = _stages(progress, "Reading", "Finding pairs", "Writing")
        from kompetensnav_matching import domain
        from kompetensnav_matching.edges import people

        step()
        times = people.read_travel(localities, travel)
        where = people.read_slots(slots, times)
        who = people.read_learners(learners, times, where)
        step()
        from kompetensnav_matching.engine.candidates import candidates

        pairs = candidates(domain.as_world(list(who.values()), list(where.values()), times))
        step()
        names, places = list(who), list(where)
        columns = {
            "learner": [names[i] for i in pairs.learner],
            "slot": [places[j] for j in pairs.slot],
            "cost": pairs.cost,
        }
        seats = [slot.seats for slot in where.values()]
        _write_problem(out, columns, (places, seats), (names, [r.tier for r in who.values()]))
    _print({"learners": len(names), "slots": len(places), "edges": len(pairs.slot)}, as_json)


@run.command()
def generate(
    learners: Annotated[int, typer.Option(min=1, help="How many learners.")],
    out: Annotated[Path, typer.Option(help="Folder for edges.csv, seats.csv and tiers.csv.")],
    ratio: Annotated[float, typer.Option(min=0.01, max=10, help="Seats for each learner.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    as_json: AsJson = False,
) -> None:
    """Make up a round that is like a real one; the same seed gives the same."""
    with _progress() as progress, _bad_input():
        step = _stages(progress, "Making it up", "Writing")
        step()
        from kompetensnav_matching.engine.candidates import candidates
        from kompetensnav_matching.engine.generate import generate

        world, tier = generate(learners, ratio, seed)
        pairs = candidates(world)
        step()
        seats = world.slots.seats
        columns = {"learner": pairs.learner, "slot": pairs.slot, "cost": pairs.cost}
        _write_problem(out, columns, (range(len(seats)), seats), (range(learners), tier))
    _print({"learners": learners, "slots": len(seats), "edges": len(pairs.slot)}, as_json)


@run.command()
def travel(
    feed: Annotated[Path, typer.Option(help="A GTFS feed: a zip file or a folder.")],
    localities: Annotated[Path, typer.Option(help="locality,latitude,longitude.")],
    day: Annotated[str, typer.Option(help="An ordinary day of the feed, such as 2027-02-02.")],
    out: Annotated[Path, typer.Option(help="CSV or Parquet: home,work,minutes.")],
    by: Annotated[list[str], typer.Option(help="When to be there; the best of them counts.")] = ARRIVALS,
    walk_metres: Annotated[int, typer.Option(min=0, help="Longest walk to and from a stop.")] = 1500,
    as_json: AsJson = False,
) -> None:
    """Work out a table of travel times between localities from a timetable. Pairs without a way are left
    out: there the distance is used, and marked as an estimate."""
    with _progress() as progress, _bad_input():
        step = _stages(progress, "Reading the timetable", "Scanning", "Writing")
        import numpy as np

        from kompetensnav_matching.edges.files import BadFile, write_columns
        from kompetensnav_matching.edges.gtfs import read_feed
        from kompetensnav_matching.edges.people import read_travel

        step()
        try:
            date_of, times = date.fromisoformat(day), [time.fromisoformat(at) for at in by]
        except ValueError as error:
            raise BadFile(f"--day is a day such as 2027-02-02, --by a time such as 08:00: {error}") from None
        known = read_travel(localities, None).coordinates
        read = read_feed(feed, date_of)
        step()
        from kompetensnav_matching.engine.connection_scan import minutes_between

        north, east = [at[0] for at in known.values()], [at[1] for at in known.values()]
        seconds = np.array([3600 * at.hour + 60 * at.minute for at in times])
        minutes = minutes_between(read.timetable, read.walks(north, east, walk_metres), seconds)
        step()
        names = np.array(list(known), dtype=object)
        home, work = (minutes > 0).nonzero()
        write_columns(out, {"home": names[home], "work": names[work], "minutes": minutes[home, work]})
    pairs = len(known) * (len(known) - 1)
    figures = {
        "localities": len(known),
        "connections": len(read.timetable.start),
        "stops": len(read.latitude),
    }
    _print(figures | {"pairs_with_a_way": len(home), "pairs_without": pairs - len(home)}, as_json)


def _read(edges: Path, seats: Path, tiers: Path | None, step: Callable[[], None]) -> "Problem":
    step()
    from kompetensnav_matching.edges.files import read_problem

    problem = read_problem(edges, seats, tiers)
    step()
    from kompetensnav_matching.engine import warm

    warm.once()
    return problem


def _place(
    instance: "Instance", problem: "Problem", mode: Way, seed: int
) -> "tuple[Any, dict[str, int | str | None]]":
    from kompetensnav_matching.engine.layers import ways
    from kompetensnav_matching.engine.solve import solve

    solution = solve(instance, problem.tier)
    if mode is Way.OPTIMAL:
        return solution.taken, {"placed": solution.placed, "cost": solution.cost, "gap": solution.gap}
    way = next(w for w in ways(instance, problem.tier, seed, solution) if w.mode == mode.value)
    return way.taken, {
        "placed": way.placed,
        "cost": way.cost,
        "envious": way.envious,
        "seed": seed,
        "most_that_can_be_placed": solution.placed,
    }


def _why(
    problem: "Problem", instance: "Instance", solution: "Solution", learner: str, slot: str | None
) -> Figures:
    from kompetensnav_matching.edges.files import BadFile
    from kompetensnav_matching.engine import explanations
    from kompetensnav_matching.engine.repair import Plan

    for name, known, what in ((learner, problem.learners, "learner"), (slot, problem.slots, "slot")):
        if name is not None and name not in known:
            raise BadFile(f"There is no {what} {name!r} in the files.")
    i = problem.learners.index(learner)
    said: Figures = {"learner": learner, "slot": None}
    if has := explanations.chosen(instance, solution, i):
        said |= {"slot": problem.slots[has.slot], "cost": has.cost, "scarcity": has.scarcity}
        said["one_more_seat_places_one_more"] = has.crowded
    elif shared := explanations.shared_by(instance, solution, i):
        said |= {"learners_sharing": shared.learners, "seats_shared": shared.seats}
    else:
        said["why"] = "no slot suits"
    if slot is None:
        return said
    j = problem.slots.index(slot)
    row = slice(instance.first[i], instance.first[i + 1])
    costs = instance.cost[row][instance.slot[row] == j]
    said["asked"] = slot
    if not len(costs):
        said["possible"] = False
        return said
    forced = explanations.if_forced(Plan(instance, solution, problem.tier), i, j, int(costs[0]))
    return said | {
        "possible": True,
        "others_moved": forced.moved,
        "placed_more": forced.placed,
        "cost_more": forced.cost,
    }


def _write_problem(out: Path, pairs: Figures, seats: tuple[Any, Any], tiers: tuple[Any, Any]) -> None:
    from kompetensnav_matching.edges.files import write_columns

    out.mkdir(parents=True, exist_ok=True)
    write_columns(out / "edges.csv", pairs)
    write_columns(out / "seats.csv", {"slot": seats[0], "seats": seats[1]})
    write_columns(out / "tiers.csv", {"learner": tiers[0], "tier": tiers[1]})


def _progress() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


def _stages(progress: "Progress", *names: str) -> Callable[[], None]:
    """A step through the stages, each a part of the bar."""
    task = progress.add_task(names[0], total=len(names))
    left = iter(names)
    first = True

    def step() -> None:
        nonlocal first
        progress.update(task, description=next(left, names[-1]), advance=0 if first else 1)
        first = False

    return step


class _bad_input:
    """Ends the program with a message for input that cannot be used."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ValueError) and type(error).__name__ in ("BadFile", "BadInstance"):
            sys.exit(str(error))


def _print(figures: Figures, as_json: bool) -> None:
    if as_json:
        print(json.dumps(figures, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False)
    for name, value in figures.items():
        shown = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
        table.add_row(name, shown)
    Console().print(table)

"""The command lines `kompetensnav-registry` and `kompetensnav rules`."""

import os
import sys
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer

from kompetensnav_chassis.commands import here, service_commands

Json = dict[str, Any]
"""What the registry answers over HTTP."""


def _main() -> ModuleType:
    from kompetensnav_registry import main

    return main


run = service_commands("registry", main=_main)


def rules(
    on: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Show what will be other on this day than it is today."),
    ] = None,
    municipality: Annotated[
        str, typer.Option(help="SCB code: also its own numbers, and whom a change touches.")
    ] = "",
) -> None:
    """The rules that hold today and who decides by each; or what changes until a day, and whom that touches.

    With a municipality, the registry of the stack on this machine is asked (or KOMPETENSNAV_REGISTRY with
    KOMPETENSNAV_TOKEN).
    """
    from rich.console import Console
    from rich.table import Table

    if on is None:
        held = _get(municipality, "rules") if municipality else _held()
        table = Table("Rule", "Decides", "When", "Says", box=None, padding=(0, 2, 0, 0))
        for rule in held:
            table.add_row(rule["id"], rule["decides"], ", ".join(rule["when"]) or "-", _as_text(rule))
        Console().print(table)
        return
    found = _get(municipality, f"rules/changes?on={on:%Y-%m-%d}") if municipality else _packaged(on)
    table = Table("Rule", "Today", f"On {on:%Y-%m-%d}", "Touches", box=None, padding=(0, 2, 0, 0))
    for change in found:
        touches = change.get("touches") or {}
        table.add_row(
            change["id"],
            _as_text(change["before"]),
            _as_text(change["after"]),
            ", ".join(f"{n} {what}" for what, n in touches.items()) or "-",
        )
    console = Console()
    console.print(table if found else f"Nothing is other on {on:%Y-%m-%d} than today.")


def _as_text(rule: Json | None) -> str:
    return (
        "-"
        if rule is None
        else f"{rule['sv']} [{rule['law']}; från {rule['valid_from']}]".replace("[", r"\[")
    )


def _packaged(on: datetime) -> list[Json]:
    from kompetensnav_registry.rules.actions import pack
    from kompetensnav_registry.rules.domain.pack import changes

    def as_json(rule: Any) -> Json | None:
        return rule and {"sv": rule.sv, "law": rule.law, "valid_from": rule.valid_from}

    today = datetime.now().astimezone().date()
    return [
        {"id": c.id, "before": as_json(c.before), "after": as_json(c.after)}
        for c in changes(pack(), today, on.date())
    ]


def _held() -> list[Json]:
    from kompetensnav_registry.rules.actions import pack
    from kompetensnav_registry.rules.domain.pack import in_force

    rules = in_force(pack(), datetime.now().astimezone().date()).values()
    names = ("id", "decides", "when", "sv", "law", "valid_from")
    return [{name: getattr(rule, name) for name in names} for rule in rules]


def _get(municipality: str, path: str) -> list[Json]:
    import httpx

    at = os.environ.get("KOMPETENSNAV_REGISTRY") or here(Path(".kompetensnav/run.json"), "registry")
    token = os.environ.get("KOMPETENSNAV_TOKEN") or sys.exit("Set KOMPETENSNAV_TOKEN (`kompetensnav token`).")
    try:
        answered = httpx.get(
            f"{at}/{municipality}/{path}",
            headers={"authorization": f"Bearer {token}"},
            timeout=10,
        )
    except httpx.HTTPError as down:
        sys.exit(f"The registry at {at} does not answer: {type(down).__name__}")
    if answered.is_error:
        sys.exit(f"The registry refused: {answered.json().get('detail_en', answered.status_code)}")
    items: list[Json] = answered.json()["items"]
    return items


def import_(
    file: Annotated[Path, typer.Argument(help="A CSV (UTF-8) or Excel file.", exists=True, dir_okay=False)],
    kind: Annotated[str, typer.Option(help="employers, workplaces, slots, learners or requests.")],
    municipality: Annotated[str, typer.Option(help="SCB code.")],
    column: Annotated[list[str] | None, typer.Option(help="THEIRS=ours; may be given many times.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Check every row and write nothing.")] = False,
) -> None:
    """Import a file, however long: every row is checked first, then sent in parts, with a bar that shows how
    far. A part is taken in whole or not at all; the same file again changes nothing."""
    import csv
    import io

    import httpx
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Table

    from kompetensnav_chassis.errors import BadRows, Problem
    from kompetensnav_registry.ground.edges.rows import Faults, mapping_of, read
    from kompetensnav_registry.ground.edges.sheet import Sheet, open_sheet
    from kompetensnav_registry.people.actions.imports import KINDS

    console = Console()
    if kind not in KINDS:
        sys.exit(f"There is no kind {kind!r}; known are {', '.join(KINDS)}.")
    if wrong := [pair for pair in column or [] if "=" not in pair]:
        sys.exit(f"--column {wrong[0]}: write THEIRS=ours, or THEIRS= to leave the column out.")
    mapping = dict(pair.split("=", 1) for pair in column or [])
    row, _ = KINDS[kind]
    faults = Faults()
    try:
        sheet = open_sheet(file.read_bytes())
        columns = mapping_of(sheet, row, mapping)
        every = list(sheet.rows)
        read(Sheet(sheet.header, iter(every)), row, faults, mapping)
        faults.raise_any()
    except BadRows as bad:
        table = Table("Line", "Column", "Value", "What is wrong", box=None, padding=(0, 2, 0, 0))
        for fault in bad.errors or []:
            table.add_row(*(str(fault[name]) for name in ("line", "column", "value", "reason")))
        console.print(table)
        sys.exit(bad.en)
    except Problem as bad:
        sys.exit(bad.en)
    if check:
        print(f"{len(every)} rows fit; nothing was written.")
        return
    at = os.environ.get("KOMPETENSNAV_REGISTRY") or here(Path(".kompetensnav/run.json"), "registry")
    token = os.environ.get("KOMPETENSNAV_TOKEN") or sys.exit("Set KOMPETENSNAV_TOKEN (`kompetensnav token`).")
    kept = [n for n, theirs in enumerate(sheet.header) if columns[theirs]]
    header = [columns[sheet.header[n]] for n in kept]
    counts = {"created": 0, "changed": 0, "unchanged": 0}
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=console,
    )  # fmt: skip
    with bar, httpx.Client(timeout=120, headers={"authorization": f"Bearer {token}"}) as client:
        task = bar.add_task(f"Importing {kind}", total=len(every))
        for start in range(0, len(every), PART):
            part = every[start : start + PART]
            text = io.StringIO()
            writer = csv.writer(text)
            writer.writerow(header)
            for _, values in part:
                writer.writerow([values[n] if n < len(values) else "" for n in kept])
            answered = client.post(
                f"{at}/{municipality}/imports/{kind}",
                content=text.getvalue().encode(),
                headers={"content-type": "text/csv"},
            )
            if answered.is_error:
                bar.stop()
                _refused(console, answered.json(), part)
            for name, n in answered.json().items():
                counts[name] += n
            bar.advance(task, len(part))
    print(", ".join(f"{n} {name}" for name, n in counts.items()))


PART = 400
"""Rows of a part of a file: what the registry takes in at once, others are served between (200 ms)."""


def _refused(console: Any, problem: Json, part: list[tuple[int, list[str]]]) -> None:
    """Says why a part was not taken in, by the file's own lines, and ends."""
    for fault in problem.get("errors", []):
        line = fault.get("line", 1)
        theirs = part[line - 2][0] if 2 <= line < len(part) + 2 else line
        console.print(f"line {theirs}: {fault.get('column', '')}: {fault.get('reason', '')}", markup=False)
    sys.exit(f"Refused: {problem.get('detail_en', '')} What was imported before this part stays.")


def reference(
    taxonomy: Annotated[Path | None, typer.Option(help="Folder of a JobTech export.")] = None,
    localities: Annotated[Path | None, typer.Option(help="CSV: name, municipality_code, ...")] = None,
    postal_codes: Annotated[Path | None, typer.Option(help="CSV: postal_code, locality, ...")] = None,
) -> None:
    """Take in official exports: occupations and how near they are, SNI, SUN, localities, postal codes.

    Writes to the registry's database on this machine (or REGISTRY_DATABASE_URL).
    """
    import asyncio
    import json

    from rich.progress import Progress

    from kompetensnav_chassis import db
    from kompetensnav_chassis.db import Scope, transaction
    from kompetensnav_registry.ground.actions.reference import take_places, take_taxonomy
    from kompetensnav_registry.ground.edges.taxonomy import BadExport
    from kompetensnav_registry.tables import Outbox

    if not (taxonomy or localities or postal_codes):
        sys.exit("Name at least one of --taxonomy, --localities, --postal-codes.")
    url = os.environ.get("REGISTRY_DATABASE_URL")
    if not url:
        run_file = Path(os.environ.get("KOMPETENSNAV_RUN", ".kompetensnav/run.json"))
        if not run_file.exists():
            sys.exit(f"No stack is running here ({run_file}); start one, or set REGISTRY_DATABASE_URL.")
        databases = Path(json.loads(run_file.read_text())["databases"])
        url = json.loads(databases.read_text())["registry"]["app"]

    async def work(bar: Progress) -> dict[str, int]:
        tasks: Json = {}

        def progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)

        engine = db.engine(url)
        try:
            async with transaction(db.sessions(engine, "registry", Outbox), Scope()) as session:
                done = await take_taxonomy(session, taxonomy, progress) if taxonomy else {}
                return done | await take_places(session, localities, postal_codes, progress)
        finally:
            await engine.dispose()

    try:
        with Progress() as bar:
            done = asyncio.run(work(bar))
    except BadExport as bad:
        sys.exit(str(bad))
    print(", ".join(f"{n} {what}" for what, n in done.items()))

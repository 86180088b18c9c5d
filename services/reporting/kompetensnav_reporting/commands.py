"""The command line: `kompetensnav-reporting`, and `kompetensnav report`."""

import asyncio
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from kompetensnav_chassis.commands import service_commands

Json = dict[str, Any]
"""What the service answers over HTTP, or `run.json` holds."""


def _main() -> ModuleType:
    from kompetensnav_reporting import main

    return main


run = service_commands("reporting", main=_main)

COLUMNS = {
    "placement_type": "type", "occupation": "ssyk", "week": "week", "slots": "slots", "seats": "seats",
    "requests": "requests", "matched": "matched", "confirmed": "confirmed", "declined": "declined",
    "interrupted": "interr.", "completed": "compl.", "fill_rate": "fill", "placed_share": "placed",
    "median_days_to_place": "days",
}  # fmt: skip
SHARES = {"fill_rate", "placed_share"}


def report(
    municipality: Annotated[str, typer.Option(help="SCB code.")],
    by: Annotated[
        list[str], typer.Option(help="placement_type, occupation or week; may be given many times.")
    ] = [],  # noqa: B006
    administration: Annotated[list[str], typer.Option(help="Whose learners.")] = ["school"],  # noqa: B006
    recount: Annotated[bool, typer.Option(help="Compare with a recount of the event log.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    url: Annotated[str, typer.Option(envvar="KOMPETENSNAV_REPORTING", help="Address of reporting.")] = "",
    token: Annotated[str, typer.Option(envvar="KOMPETENSNAV_TOKEN", help="A coordinator's token.")] = "",
    run_file: Annotated[Path, typer.Option(help="What `kompetensnav up` wrote.")] = Path(
        ".kompetensnav/run.json"
    ),
) -> None:
    """Print the placement report of a municipality; with --recount exit 1 when the event log says
    otherwise."""
    running: Json = json.loads(run_file.read_text()) if run_file.exists() else {}
    url = (
        url or running.get("services", {}).get("reporting", "") or sys.exit("Where is reporting? Give --url.")
    )
    token = token or _token(running, municipality, administration)
    try:
        answered = httpx.get(
            f"{url}/{municipality}/reports/placements",
            params={"by": by},
            headers={"authorization": f"Bearer {token}", "accept-language": "en"},
            timeout=30,
        )
    except httpx.HTTPError as down:
        sys.exit(f"Reporting at {url} does not answer: {type(down).__name__}")
    if answered.is_error:
        sys.exit(f"Reporting says {answered.status_code}: {answered.json().get('detail', '')}")
    view = answered.json()
    wrong: list[Any] = []
    if recount:
        wrong = asyncio.run(_differences(running, municipality, administration, by, view["lines"]))
    if as_json:
        print(json.dumps(view | ({"differences": wrong} if recount else {}), ensure_ascii=False, indent=1))
    else:
        _print(view, by, wrong if recount else None)
    if wrong:
        sys.exit(1)


def _token(running: Json, municipality: str, administrations: list[str]) -> str:
    if "issuer" not in running:
        sys.exit("Give --token (or start the stack with `kompetensnav up`).")
    wanted = {"roles": ["coordinator"], "municipalities": [municipality], "administrations": administrations}
    return str(
        httpx.post(f"{running['issuer']}/token", json=wanted, timeout=5).raise_for_status().json()["token"]
    )


def _print(view: Json, by: list[str], wrong: list[Any] | None) -> None:
    shown = [c for c in COLUMNS if c in by or c not in ("placement_type", "occupation", "week")]
    table = Table(title=f"Placements, municipality {view['municipality']}")
    for column in shown:
        table.add_column(COLUMNS[column], justify="left" if column in by else "right", no_wrap=True)
    for line in view["lines"]:
        table.add_row(*(_cell(column, line[column]) for column in shown))
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table)
    if wrong is not None:
        console.print(
            "The event log says the same." if not wrong else f"The event log says otherwise: {wrong}"
        )


def _cell(column: str, value: Any) -> str:
    if value is None:
        return "–"
    return (
        f"{100 * value:.0f} %"
        if column in SHARES
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


async def _differences(
    running: Json,
    municipality: str,
    administrations: list[str],
    by: list[str],
    lines: list[Json],
) -> list[Any]:
    """Reads the event log and counts again."""
    from kompetensnav_reporting import domain
    from kompetensnav_reporting.main import recount_log

    counted = await recount_log(running, municipality, administrations, by)
    reported = [
        domain.Line(
            tuple(line[d] for d in by), {m: line[m] for m in domain.MEASURES}, line["median_days_to_place"]
        )
        for line in lines
    ]
    return [list(d) for d in domain.differences(reported, counted)]

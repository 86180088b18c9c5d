"""The command lines `kompetensnav-registry` and `kompetensnav rules`."""

import os
import sys
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer

from kompetensnav_chassis.commands import here, service_commands


def _main() -> ModuleType:
    from kompetensnav_registry import main

    return main


run = service_commands("registry", main=_main)


def rules(
    on: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day to look at.")],
    municipality: Annotated[
        str, typer.Option(help="SCB code: also its own numbers, and whom it touches.")
    ] = "",
) -> None:
    """What the rule pack will say on a day that it does not say today, and whom that touches.

    With a municipality, the registry of the stack on this machine is asked (or KOMPETENSNAV_REGISTRY with
    KOMPETENSNAV_TOKEN).
    """
    from rich.console import Console
    from rich.table import Table

    found = _asked(municipality, on) if municipality else _packaged(on)
    table = Table("Rule", "Today", f"On {on:%Y-%m-%d}", "Touches", box=None, padding=(0, 2, 0, 0))
    for change in found:
        touches = change.get("touches") or {}
        table.add_row(
            change["id"],
            _told(change["before"]),
            _told(change["after"]),
            ", ".join(f"{n} {what}" for what, n in touches.items()) or "-",
        )
    console = Console()
    console.print(table if found else f"Nothing is other on {on:%Y-%m-%d} than today.")


def _told(rule: dict[str, Any] | None) -> str:
    return (
        "-"
        if rule is None
        else f"{rule['sv']} [{rule['law']}; från {rule['valid_from']}]".replace("[", r"\[")
    )


def _packaged(on: datetime) -> list[dict[str, Any]]:
    from kompetensnav_registry.actions.rules import pack
    from kompetensnav_registry.domain.rules import changes

    def told(rule: Any) -> dict[str, Any] | None:
        return rule and {"sv": rule.sv, "law": rule.law, "valid_from": rule.valid_from}

    today = datetime.now().astimezone().date()
    return [
        {"id": c.id, "before": told(c.before), "after": told(c.after)}
        for c in changes(pack(), today, on.date())
    ]


def _asked(municipality: str, on: datetime) -> list[dict[str, Any]]:
    import httpx

    at = os.environ.get("KOMPETENSNAV_REGISTRY") or here(Path(".kompetensnav/run.json"), "registry")
    token = os.environ.get("KOMPETENSNAV_TOKEN") or sys.exit("Set KOMPETENSNAV_TOKEN (`kompetensnav token`).")
    try:
        answered = httpx.get(
            f"{at}/{municipality}/rules/changes",
            params={"on": f"{on:%Y-%m-%d}"},
            headers={"authorization": f"Bearer {token}"},
            timeout=10,
        )
    except httpx.HTTPError as down:
        sys.exit(f"The registry at {at} does not answer: {type(down).__name__}")
    if answered.is_error:
        sys.exit(f"The registry refused: {answered.json().get('detail_en', answered.status_code)}")
    items: list[dict[str, Any]] = answered.json()["items"]
    return items

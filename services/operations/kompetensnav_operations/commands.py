"""The command line `kompetensnav-operations`, and `kompetensnav ops` for whoever operates the stack: the same
acts as on the console's pages, over its API, in the same audit."""

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from kompetensnav_chassis.commands import here, service_commands

RUN = Path(".kompetensnav/run.json")


def _main() -> ModuleType:
    from kompetensnav_operations import main

    return main


run = service_commands("operations", main=_main)
ops = typer.Typer(add_completion=False, no_args_is_help=True, help="Queues, dead letters, replay, audit.")
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Why = Annotated[str, typer.Option("--reason", help="Why; it is kept in the audit.")]
Ids = Annotated[
    list[int] | None, typer.Argument(help="Dead letters; all that fit the options when left out.")
]
Consumer = Annotated[str, typer.Option(help="Only of this consumer.")]
Cause = Annotated[str, typer.Option("--cause", help="Only with this cause, such as bad-json.")]
Fingerprint = Annotated[str, typer.Option(help="Only of this fingerprint.")]
Text = Annotated[str, typer.Option(help="An id, or words of the error.")]


def ask(method: str, path: str, **how: Any) -> Any:
    """The console's answer; exit 2 with one line when it refuses or is not there."""
    url = os.environ.get("KOMPETENSNAV_OPERATIONS_URL") or here(RUN, "operations")
    headers = {"authorization": f"Bearer {_token()}", "accept-language": "en"}
    try:
        answered = httpx.request(method, f"{url}/api{path}", headers=headers, timeout=60, **how)
    except httpx.HTTPError as down:
        _leave(f"The console at {url} does not answer: {type(down).__name__}")
    if answered.status_code >= 400:
        said = answered.json() if "json" in answered.headers.get("content-type", "") else {}
        faults = "; ".join(f"{e.get('where', '')} {e.get('reason', '')}" for e in said.get("errors", ()))
        _leave(f"{said.get('detail', answered.status_code)} {faults}".strip())
    return answered.json()


def _leave(why: str) -> Any:
    print(why, file=sys.stderr)
    sys.exit(2)


def _token() -> str:
    """From KOMPETENSNAV_TOKEN, or a developer's from the issuer on this machine."""
    if token := os.environ.get("KOMPETENSNAV_TOKEN"):
        return token
    state = Path(os.environ.get("KOMPETENSNAV_RUN", RUN))
    if not state.exists():
        _leave("Set KOMPETENSNAV_TOKEN to a token of the issuer, and KOMPETENSNAV_OPERATIONS_URL.")
    issuer = json.loads(state.read_text())["issuer"]
    roles = ["viewer", "operator", "corrector", "admin"]
    wanted = {"roles": roles, "municipalities": [], "audience": "kompetensnav-operations"}
    try:
        answered = httpx.post(f"{issuer}/token", json=wanted, timeout=5)
        return str(answered.raise_for_status().json()["token"])
    except httpx.HTTPError as down:
        return str(_leave(f"No issuer answers at {issuer}: {type(down).__name__}"))


def _show(found: Any, as_json: bool, table: Callable[[Any], Table | str]) -> None:
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        Console().print(table(found))


@ops.command("ls")
def queues(as_json: AsJson = False) -> None:
    """Every queue: what waits, how long, what is dead. Exit 1 when a message is stuck."""
    found = ask("GET", "/overview")

    def table(found: Any) -> Table:
        is_paused = any(q["paused"] for q in found["queues"])
        until = ["paused until"] if is_paused else []
        shown = _lines("queue", "waiting", "oldest", "in flight", "limbo", "dead", *until)
        for q in sorted(found["queues"], key=lambda q: (q["stream"], q["name"])):
            oldest = f"{q['oldest']:.0f} s" if q["oldest"] else ""
            shown.add_row(
                f"{q['stream']}/{q['name']}", f"{q['waiting']:,}", oldest, f"{q['in_flight']:,}",
                str(q["limbo"]), str(q["dead"]), *([_time(q["paused_until"])] if is_paused else []),
            )  # fmt: skip
        shown.caption = f"{found['age']:.0f} s old" + "".join(f"; {w} is away" for w in found["faults"])
        return shown

    _show(found, as_json, table)
    sys.exit(1 if any(q["limbo"] for q in found["queues"]) else 0)


@ops.command()
def dead(
    consumer: Consumer = "",
    cause: Cause = "",
    fingerprint: Fingerprint = "",
    text: Text = "",
    state: Annotated[
        str, typer.Option(help="waiting, replayed, handled, returned, discarded, all")
    ] = "waiting",
    groups: Annotated[bool, typer.Option("--groups", help="What they died of, instead of each.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    as_json: AsJson = False,
) -> None:
    """Dead letters, the newest first."""
    chosen = _chosen(None, consumer, cause, fingerprint, text) | {"state": state}
    asked = {k: v for k, v in chosen.items() if v}
    if groups:
        _show(ask("GET", "/dead-letters/groups", params=asked), as_json, _groups)
        return
    _show(ask("GET", "/dead-letters", params=asked | {"limit": limit}), as_json, _dead_letters)


KEPT = {"fingerprint", "queue", "consumer"}
"""Columns that are shown whole, over lines, however narrow the window."""


def _lines(*columns: str) -> Table:
    """A table; a name has lines enough, and of the rest what has no room is cut."""
    table = Table()
    for name in columns:
        is_kept = name in KEPT
        table.add_column(name, no_wrap=not is_kept, overflow="fold" if is_kept else "ellipsis",
                         min_width=len(name))  # fmt: skip
    return table


def _time(text: str | None) -> str:
    return datetime.fromisoformat(text).astimezone().strftime("%m-%d %H:%M:%S") if text else ""


def _groups(found: Any) -> Table:
    shown = _lines("dead letters", "fingerprint", "consumer", "type", "cause", "error", "last")
    for g in found:
        shown.add_row(
            str(g["dead_letters"]), g["fingerprint"], g["consumer"], g["type"], g["reason"], g["error"],
            _time(g["last"]),
        )  # fmt: skip
    return shown


def _dead_letters(found: Any) -> Table:
    shown = _lines("dead letter", "died", "consumer", "cause", "error", "state")
    for row in found["items"]:
        name = f"{row['dead_letter_id']}{' ↩' if row['came_of'] else ''}"
        shown.add_row(
            name, _time(row["died_at"]), row["consumer"], row["reason"], row["error"],
            row["state"],
        )  # fmt: skip
    shown.caption = f"{len(found['items'])} of {found['total']}"
    return shown


def _chosen(ids: list[int] | None, consumer: str, cause: str, fingerprint: str, text: str) -> dict[str, Any]:
    if ids:
        return {"ids": ids}
    return {"consumer": consumer, "reason": cause, "fingerprint": fingerprint, "text": text}


def _all_meant(ids: list[int] | None, *filters: str) -> None:
    if not ids and not any(filters):
        _leave("Name dead letters, or choose with --consumer, --cause, --fingerprint or --text.")


@ops.command()
def replay(
    reason: Why,
    ids: Ids = None,
    consumer: Consumer = "",
    cause: Cause = "",
    fingerprint: Fingerprint = "",
    text: Text = "",
    rate: Annotated[int, typer.Option(min=1, max=500, help="Dead letters a second, at most.")] = 50,
    dry_run: Annotated[bool, typer.Option("--plan", help="Only show what would be done.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give dead letters once more to the consumer that failed: first ten as a canary, then the rest. Waits
    until it has ended; exit 1 when not every dead letter was handled."""
    _all_meant(ids, consumer, cause, fingerprint, text)
    dead_letters = _chosen(ids, consumer, cause, fingerprint, text)
    plan = ask("POST", "/replays", json={"dead_letters": dead_letters, "reason": reason, "rate": rate})
    if dry_run or not plan["eligible"]:
        _show(plan, as_json, _plan)
        sys.exit(0 if dry_run else 1)
    id = plan["replay_id"]
    ask("POST", f"/replays/{id}/begin")
    found = _until_ended(id)
    _show(found, as_json, _replay)
    sys.exit(0 if found["state"] == "done" and set(found["outcomes"]) <= {"handled", "already"} else 1)


def _until_ended(id: str) -> Any:
    while (found := ask("GET", f"/replays/{id}"))["state"] not in ("done", "stopped"):
        time.sleep(0.5)
    return found


def _plan(plan: Any) -> Table:
    shown = Table("what", "dead letters", title="Nothing is sent yet")
    for name, n in plan["consumers"].items():
        shown.add_row(f"to {name}", str(n))
    for why, n in plan["hindered"].items():
        shown.add_row(f"not: {why}", str(n))
    if plan["failed_again"]:
        shown.add_row("failed again before", str(plan["failed_again"]))
    return shown


def _replay(found: Any) -> Table:
    shown = Table(
        "outcome", "dead letters", title=f"Replay {found['state']} {found['stopped_why'] or ''}".strip()
    )
    for name, n in found["outcomes"].items():
        shown.add_row(name, str(n))
    return shown


@ops.command()
def discard(
    reason: Why,
    ids: Ids = None,
    consumer: Consumer = "",
    cause: Cause = "",
    fingerprint: Fingerprint = "",
    text: Text = "",
    undo: Annotated[bool, typer.Option("--undo", help="Take them back (for thirty days).")] = False,
    as_json: AsJson = False,
) -> None:
    """Put dead letters away, or take them back."""
    _all_meant(ids, consumer, cause, fingerprint, text)
    dead_letters = _chosen(ids, consumer, cause, fingerprint, text)
    if undo:
        dead_letters |= {"state": "discarded"}
    found = ask(
        "POST",
        f"/dead-letters/{'restore' if undo else 'discard'}",
        json={"dead_letters": dead_letters, "reason": reason},
    )
    _show(found, as_json, lambda found: ", ".join(f"{n} {verb}" for verb, n in found.items()))


@ops.command()
def pause(
    queue: Annotated[str, typer.Argument(help="STREAM/CONSUMER, as `ls` shows them.")],
    reason: Why,
    minutes: Annotated[int, typer.Option(min=1, max=10_080)] = 30,
    resume: Annotated[bool, typer.Option("--resume", help="Let it go on instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give a consumer nothing for a while; it goes on by itself."""
    stream, _, consumer = queue.partition("/")
    at = f"/queues/{stream}/{consumer}"
    if resume:
        found = ask("POST", f"{at}/resume", json={"reason": reason})
    else:
        until = (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()
        found = ask("POST", f"{at}/pause", json={"reason": reason, "until": until})
    _show(found, as_json, lambda found: ", ".join(f"{name} {value}" for name, value in found.items()))


@ops.command()
def verify(as_json: AsJson = False) -> None:
    """Whether the audit is whole and as it was written; exit 1 when it is not."""
    found = ask("GET", "/audit/verify")

    def table(found: Any) -> Table | str:
        if not found["breaks"]:
            return f"The chain is whole: {found['entries']} entries, {found['anchored']} vouched for by NATS."
        shown = Table("entry", "what is wrong", title="The chain is broken")
        for each in found["breaks"]:
            shown.add_row(str(each["number"]), each["why"])
        return shown

    _show(found, as_json, table)
    sys.exit(1 if found["breaks"] else 0)

"""Dead letters: found, looked into, chosen, discarded, edited."""

from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse

from kompetensnav_chassis.bounds import takes
from kompetensnav_chassis.errors import BadRows, Conflict, Problem
from kompetensnav_chassis.identity import Identity
from kompetensnav_contracts.catalogue import catalogue
from kompetensnav_operations.actions import dead_letters, editing, replays
from kompetensnav_operations.actions.console import Console, TheConsole, time_said
from kompetensnav_operations.actions.dead_letters import PAGE, Selection
from kompetensnav_operations.actions.editing import LARGEST
from kompetensnav_operations.domain.dead_letters import State, masked, readable
from kompetensnav_operations.edges.roles import Corrector, Operator, Viewer
from kompetensnav_operations.pages.shown import problem, render, words
from kompetensnav_operations.tables import DeadLetter

router = APIRouter(include_in_schema=False)
FIELDS = ("state", "consumer", "reason", "fingerprint", "type", "text", "since", "until")


def _chosen(given: dict[str, str]) -> Selection:
    """The filter of a query. Raises BadRows for a time that is none."""
    values: dict[str, Any] = {name: given[name].strip()[:200] for name in FIELDS if given.get(name)}
    for name in ("since", "until"):
        if name in values:
            values[name] = time_said(name, values[name])
    if values.get("state", "waiting") not in [*State, "all"]:
        raise BadRows("There is no such state.", "Det finns ingen sådan status.", errors=[{"where": "state"}])
    return Selection(**values)


@router.get("/dead-letters")
async def list_dead_letters(
    request: Request,
    me: Viewer,
    console: TheConsole,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> HTMLResponse:
    """All that fit a filter, and what they died of."""
    return await _list(request, me, console, dict(request.query_params), offset)


async def _list(
    request: Request,
    me: Identity,
    console: Console,
    given: dict[str, str],
    offset: int = 0,
    refused: Any = None,
) -> HTMLResponse:
    try:
        chosen = _chosen(given)
    except BadRows as bad:
        chosen, refused = Selection(), bad
    async with console.begin() as session:
        rows = (await session.scalars(dead_letters.chosen(chosen).limit(PAGE).offset(offset))).all()
        total, upto = await dead_letters.count(session, chosen), await dead_letters.newest(session)
        groups = await dead_letters.groups(session, chosen, 20)
    query = urlencode({k: v for k, v in given.items() if k in FIELDS and v})
    return render(
        request, "dead_letters.html", me, here="dead_letters", rows=rows, total=total, upto=upto,
        groups=groups, chosen=chosen, offset=offset, page=PAGE, query=query, said=_said(request, given),
        consumers=sorted({q.name for q in console.board.picture.queues}),
        problem=problem(request, refused) if refused else None, status=getattr(refused, "status", 200),
    )  # fmt: skip


def _said(request: Request, given: dict[str, str]) -> str:
    texts = words(request)["dead_letters"]
    for name in ("discarded", "restored"):
        if given.get(name, "").isdigit():
            return str(texts[f"{name}_n"].format(n=given[name]))
    return ""


@router.post("/dead-letters/act")
async def act(
    request: Request,
    me: Operator,
    console: TheConsole,
    what: Annotated[str, Form(pattern="^(replay|discard|restore)$")],
    why: Annotated[str, Form(min_length=3, max_length=500)],
    scope: Annotated[str, Form(pattern="^(selected|all)$")] = "selected",
    query: Annotated[str, Form(max_length=2000)] = "",
    rate: Annotated[int, Form(ge=1, le=500)] = 50,
    ids: Annotated[list[int] | None, Form()] = None,
    upto: Annotated[int, Form(ge=0, lt=2**63)] = 0,
) -> Any:
    """Does something with the dead letters that are chosen, or with all of the filter."""
    given = dict(parse_qsl(query))
    try:
        selection = _selected(given, scope, ids or [], upto)
        if what == "replay":
            held = await console.held()
            async with console.begin() as session:
                plan = await replays.plan(
                    session, console.who(me), console.board.picture, held, selection, why, rate
                )
            return RedirectResponse(f"/replays/{plan.replay_id}", 303)
        done = {"discard": dead_letters.discard, "restore": dead_letters.restore}[what]
        async with console.begin() as session:
            number = await done(session, console.who(me), selection, why)
    except Problem as refused:
        return await _list(request, me, console, given, 0, refused)
    result = {"discard": "discarded", "restore": "restored"}[what]
    return RedirectResponse(f"/dead-letters?{urlencode(given | {result: str(number)})}", 303)


def _selected(given: dict[str, str], scope: str, ids: list[int], upto: int) -> Selection:
    if scope == "all":
        return replace(_chosen(given), upto=upto)
    if not ids:
        raise Conflict("Choose dead letters first.", "Välj meddelanden först.")
    return Selection(ids=tuple(id for id in ids[:10_000] if 0 < id < 2**63))


@router.get("/dead-letters/{dead_letter_id}")
async def show_dead_letter(
    request: Request, me: Viewer, console: TheConsole, dead_letter_id: int
) -> HTMLResponse:
    """One dead letter, every try of it, and the shape of its body."""
    return await _dead_letter(request, me, console, await console.dead_letter(dead_letter_id))


async def _dead_letter(
    request: Request, me: Identity, console: Console, dead_letter: DeadLetter, *, reveal: bool = False
) -> HTMLResponse:
    texts, fault, original, standing = words(request)["dead_letter"], "", None, ""
    try:
        original = await console.original(dead_letter)
        fault = "" if original else texts["gone"]
        standing = await console.comparison(dead_letter, original) if original else ""
    except Problem:
        fault = texts["unread"]
    async with console.begin() as session:
        attempts = await dead_letters.attempts(session, dead_letter)
    kind, body, headers = "json", "", {}
    if original:
        kind, body = readable(original.data) if reveal else ("json", masked(original.data))
        headers = original.headers if reveal else {}
    return render(
        request, "dead_letter.html", me, here="dead_letters", dead_letter=dead_letter, attempts=attempts,
        fault=fault, kind=kind, body=body, headers=headers, revealed=reveal and original is not None,
        standing=standing,
        frames=_frames(original.header("Kn-Dead-Stack") if original else ""),
    )  # fmt: skip


def _frames(text: str) -> list[dict[str, Any]]:
    """The stack as a list of errors, each with its frames from the outermost in."""
    found = []
    for part in text.split(" | caused by ") if text else []:
        error, _, frames = part.partition(" at ")
        found.append({"error": error, "frames": [frame for frame in frames.split(" > ") if frame]})
    return found


@router.post("/dead-letters/{dead_letter_id}/reveal")
async def reveal(request: Request, me: Operator, console: TheConsole, dead_letter_id: int) -> HTMLResponse:
    """The same with the values; it is entered in the audit."""
    dead_letter = await console.dead_letter(dead_letter_id)
    await console.revealed(me, f"dead letter {dead_letter_id}")
    return await _dead_letter(request, me, console, dead_letter, reveal=True)


@router.get("/dead-letters/{dead_letter_id}/edit")
async def edit(request: Request, me: Corrector, console: TheConsole, dead_letter_id: int) -> HTMLResponse:
    """A dead letter's body, to be edited; that it was seen is entered in the audit."""
    dead_letter, text, _ = await _editable(console, dead_letter_id)
    await console.revealed(me, f"dead letter {dead_letter_id}")
    return _edit(request, me, dead_letter, text)


def _edit(
    request: Request, me: Identity, dead_letter: DeadLetter, text: str, why: str = "", refused: Any = None
) -> HTMLResponse:
    return render(
        request, "edit.html", me, here="dead_letters", dead_letter=dead_letter, text=text, why=why,
        is_known=dead_letter.type in catalogue(), problem=problem(request, refused) if refused else None,
        status=getattr(refused, "status", 200),
    )  # fmt: skip


async def _editable(console: Console, dead_letter_id: int) -> tuple[DeadLetter, str, Any]:
    dead_letter, original = await console.editable(dead_letter_id)
    kind, text = readable(original.data, LARGEST + 1)
    if kind == "bytes":
        raise Conflict("It is no text, so it cannot be edited.", "Det är inte text och kan inte rättas.")
    if len(text) > LARGEST:
        raise Conflict("It is too large to be edited here.", "Det är för stort för att rättas här.")
    return dead_letter, text, original


@router.post("/dead-letters/{dead_letter_id}/edit")
@takes(4_000_000)
async def correct(
    request: Request,
    me: Corrector,
    console: TheConsole,
    dead_letter_id: int,
    text: Annotated[str, Form(max_length=1_000_000)],
    why: Annotated[str, Form(min_length=3, max_length=500)],
) -> Any:
    """Makes a new event of it, and plans its sending."""
    dead_letter, _, original = await _editable(console, dead_letter_id)
    try:
        held = await console.held()
        async with console.begin() as session:
            plan = await editing.correct(
                session, console.who(me), console.board.picture, held, dead_letter_id, original, text, why
            )
    except Problem as refused:
        return _edit(request, me, dead_letter, text, why, refused)
    return RedirectResponse(f"/replays/{plan.replay_id}", 303)

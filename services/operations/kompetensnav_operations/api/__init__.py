"""The console for programs: what pages show and do, as JSON. `kompetensnav ops` calls it."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, FastAPI, Query, Request
from pydantic import AwareDatetime
from sqlalchemy import select
from starlette.responses import Response

from kompetensnav_chassis.bounds import takes
from kompetensnav_chassis.db import Scope, transaction
from kompetensnav_chassis.errors import Forbidden, NotFound, Problem
from kompetensnav_chassis.streams import plain
from kompetensnav_operations.actions import (
    alerts,
    audit,
    dead_letters,
    editing,
    history,
    logins,
    pauses,
    replays,
)
from kompetensnav_operations.actions.console import TheConsole
from kompetensnav_operations.actions.dead_letters import PAGE, Selection
from kompetensnav_operations.api.views import (
    Alerts,
    AlertView,
    Chosen,
    DeadLetters,
    DeadLetterView,
    Edited,
    EventFound,
    EventView,
    Forgotten,
    ForReason,
    Found,
    LoginEnded,
    LoginView,
    OfDeadLetters,
    Paused,
    QueueView,
    ReplayView,
    Resumed,
    Revealed,
    SampleView,
    SeenBy,
    ToPause,
    ToReplay,
    WholeDeadLetter,
)
from kompetensnav_operations.domain.chain import Entry
from kompetensnav_operations.domain.dead_letters import envelope, masked, readable
from kompetensnav_operations.domain.picture import as_json
from kompetensnav_operations.edges.roles import Admin, Corrector, Operator, Viewer
from kompetensnav_operations.tables import Audit, Replay

router = APIRouter(prefix="/api")


def answer(app: FastAPI) -> None:
    """Has denied attempts entered in the audit."""
    before = app.exception_handlers[Problem]

    async def denied(request: Request, refused: Any) -> Response:
        await enter_denied(request)
        answered: Response = await before(request, refused)  # type: ignore[misc]
        return answered

    app.add_exception_handler(Forbidden, denied)


async def enter_denied(request: Request) -> None:
    """Enters that somebody tried what they may not do."""
    identity = getattr(request.state, "identity", None)
    if identity is not None:
        who = audit.Who(identity.subject, tuple(sorted(identity.roles)), request.app.state.stack)
        async with transaction(request.app.state.sessions, Scope()) as session:
            target = plain(f"{request.method} {request.url.path}")[:400]
            await audit.enter(session, who, "denied", target, result="denied")


@router.get("/overview")
async def overview(_: Viewer, console: TheConsole) -> dict[str, Any]:
    """Everything at this moment, and how old that is in seconds."""
    return as_json(console.board.picture) | {"age": console.board.age, "stack": console.board.stack}


@router.get("/queues/{stream}/{consumer}")
async def show_queue(
    _: Viewer, console: TheConsole, stream: str, consumer: str, hours: Annotated[int, Query(ge=1, le=336)] = 1
) -> QueueView:
    """A queue, and what it was like."""
    queue = console.queue(stream, consumer)
    async with console.begin() as session:
        samples = await history.of(session, queue.key, timedelta(hours=hours))
    shown = [SampleView.model_validate(each) for each in samples]
    return QueueView(queue=queue, age=console.board.age, samples=shown)


@router.post("/queues/{stream}/{consumer}/pause")
async def pause(who: Operator, console: TheConsole, stream: str, consumer: str, wanted: ToPause) -> Paused:
    """Gives a consumer nothing until a time."""
    queue, broker = console.queue(stream, consumer), console.broker
    async with console.begin() as session:
        await pauses.pause(session, broker, console.who(who), queue, wanted.until, wanted.reason)
    return Paused(paused=queue.key, until=wanted.until)


@router.post("/queues/{stream}/{consumer}/resume")
async def resume(who: Operator, console: TheConsole, stream: str, consumer: str, why: ForReason) -> Resumed:
    """Has a paused consumer go on."""
    queue, broker = console.queue(stream, consumer), console.broker
    async with console.begin() as session:
        await pauses.resume(session, broker, console.who(who), queue, why.reason)
    return Resumed(resumed=queue.key)


@router.get("/dead-letters")
async def list_dead_letters(
    _: Viewer,
    console: TheConsole,
    chosen: Annotated[Chosen, Query()],
    limit: Annotated[int, Query(ge=1, le=1000)] = PAGE,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> DeadLetters:
    """Dead letters, the newest first."""
    async with console.begin() as session:
        rows = await session.scalars(dead_letters.chosen(chosen.selection).limit(limit).offset(offset))
        items = [DeadLetterView.model_validate(row) for row in rows]
        return DeadLetters(items=items, total=await dead_letters.count(session, chosen.selection))


@router.get("/dead-letters/groups")
async def list_groups(
    _: Viewer, console: TheConsole, chosen: Annotated[Chosen, Query()]
) -> list[dead_letters.Group]:
    """What they died of, the most frequent first."""
    async with console.begin() as session:
        return list(await dead_letters.groups(session, chosen.selection))


@router.get("/dead-letters/{dead_letter_id}")
async def show_dead_letter(_: Viewer, console: TheConsole, dead_letter_id: int) -> WholeDeadLetter:
    """A dead letter with every try; its body without values."""
    dead_letter = await console.dead_letter(dead_letter_id)
    original = await console.original(dead_letter)
    async with console.begin() as session:
        tries = await dead_letters.attempts(session, dead_letter)
    return WholeDeadLetter(
        dead_letter=DeadLetterView.model_validate(dead_letter),
        stack=original.header("Kn-Dead-Stack") if original else "",
        body=masked(original.data) if original else None,
        comparison=await console.comparison(dead_letter, original) if original else None,
        attempts=list(tries),
    )


@router.post("/dead-letters/{dead_letter_id}/reveal")
async def reveal_dead_letter(who: Operator, console: TheConsole, dead_letter_id: int) -> Revealed:
    """A dead letter's body with its values; it is entered in the audit."""
    dead_letter = await console.dead_letter(dead_letter_id)
    original = await console.original(dead_letter)
    if original is None:
        raise NotFound("Its message is not there any more.", "Meddelandet finns inte kvar.")
    await console.revealed(who, f"dead letter {dead_letter_id}")
    kind, text = readable(original.data)
    return Revealed(kind=kind, body=text, headers=dict(original.headers))


@router.post("/dead-letters/{dead_letter_id}/correct")
@takes(4_000_000)
async def correct(who: Corrector, console: TheConsole, dead_letter_id: int, edited: Edited) -> replays.Plan:
    """Makes a new event of an edited body, and plans its sending to the consumer that failed."""
    _, original = await console.editable(dead_letter_id)
    held = await console.held()
    async with console.begin() as session:
        plan = await editing.correct(
            session,
            console.who(who),
            console.board.picture,
            held,
            dead_letter_id,
            original,
            edited.body,
            edited.reason,
        )
    return plan


@router.post("/dead-letters/discard")
@takes(500_000)
async def discard(who: Operator, console: TheConsole, wanted: OfDeadLetters) -> dict[str, int]:
    """Puts dead letters away; that can be undone for thirty days."""
    async with console.begin() as session:
        done = await dead_letters.discard(
            session, console.who(who), wanted.dead_letters.selection, wanted.reason
        )
    return {"discarded": done}


@router.post("/dead-letters/restore")
@takes(500_000)
async def restore(who: Operator, console: TheConsole, wanted: OfDeadLetters) -> dict[str, int]:
    """Takes discarded dead letters back."""
    async with console.begin() as session:
        done = await dead_letters.restore(
            session, console.who(who), wanted.dead_letters.selection, wanted.reason
        )
    return {"restored": done}


@router.post("/replays")
@takes(500_000)
async def plan_replay(who: Operator, console: TheConsole, wanted: ToReplay) -> replays.Plan:
    """A dry run: what would be sent, what not and why. Nothing is sent."""
    held, chosen = await console.held(), wanted.dead_letters.selection
    async with console.begin() as session:
        plan = await replays.plan(
            session, console.who(who), console.board.picture, held, chosen, wanted.reason, wanted.rate
        )
    return plan


@router.get("/replays")
async def list_replays(_: Viewer, console: TheConsole) -> list[ReplayView]:
    """The last hundred."""
    async with console.begin() as session:
        rows = await session.scalars(select(Replay).order_by(Replay.made_at.desc()).limit(100))
        return [_replay(row, await replays.outcomes(session, row.replay_id)) for row in rows.all()]


def _replay(row: Replay, outcomes: dict[str, int]) -> ReplayView:
    return ReplayView.model_validate(row).model_copy(update={"outcomes": outcomes})


@router.get("/replays/{replay_id}")
async def show_replay(_: Viewer, console: TheConsole, replay_id: UUID) -> ReplayView:
    """A replay, and what has come of it so far."""
    async with console.begin() as session:
        row = await session.get(Replay, replay_id)
        if row is None:
            raise NotFound("There is no such replay.", "Det finns ingen sådan omsändning.")
        return _replay(row, await replays.outcomes(session, replay_id))


@router.post("/replays/{replay_id}/{act}")
async def act_on_replay(who: Operator, console: TheConsole, replay_id: UUID, act: str) -> ReplayView:
    """`begin`, `stop`, or `go-on` in spite of its canary."""
    acts = {"begin": replays.begin, "stop": replays.stop, "go-on": replays.go_on}
    if act not in acts:
        raise NotFound("There is no such act.", "Det finns ingen sådan åtgärd.")
    if act != "stop":
        await console.held()  # said now, and not only seen later
    async with console.begin() as session:
        row = await acts[act](session, console.who(who), replay_id)
        found = _replay(row, await replays.outcomes(session, replay_id))
    console.state.wake("replay")
    return found


@router.get("/search")
async def search(
    _: Viewer,
    console: TheConsole,
    text: Annotated[str, Query(min_length=3, max_length=200)] = "",
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
) -> Found:
    """Events and dead letters of a time, or that have or name an id, or dead letters with these words in
    their error. Without any of it the newest."""
    chosen = Selection(state="all", text=text.strip(), since=since, until=until)
    async with console.begin() as session:
        found = await dead_letters.find(session, chosen.text, since, until)
        rows = await session.scalars(dead_letters.chosen(chosen).limit(200))
        return Found(
            events=[EventFound.model_validate(event) for event in found],
            dead_letters=[DeadLetterView.model_validate(row) for row in rows],
        )


@router.get("/events/{stream}/{seq}")
async def show_event(_: Viewer, console: TheConsole, stream: str, seq: int) -> EventView:
    """An event, its body without values, and who has it before them still."""
    message = await console.message(stream, seq)
    if message is None:
        raise NotFound("There is no such message.", "Det finns inget sådant meddelande.")
    headers = envelope(message.headers)
    return EventView(subject=message.subject, at=message.at, headers=headers, body=masked(message.data))


@router.get("/alerts")
async def list_alerts(_: Viewer, console: TheConsole) -> Alerts:
    """Those that go on, and the last hundred that are over."""
    async with console.begin() as session:
        now, over = await alerts.open_now(session), await alerts.ended(session)
    return Alerts(
        open=[AlertView.model_validate(row) for row in now],
        ended=[AlertView.model_validate(row) for row in over],
    )


@router.post("/alerts/{alert_id}/seen")
async def see_alert(who: Operator, console: TheConsole, alert_id: UUID) -> SeenBy:
    """Says that somebody looks after it."""
    async with console.begin() as session:
        await alerts.take(session, console.who(who), alert_id)
    return SeenBy(seen_by=who.subject)


@router.get("/audit")
async def list_audit(
    _: Viewer,
    console: TheConsole,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[int, Query(ge=1, le=2**62)] = 2**62,
) -> list[Entry]:
    """Who did what, the newest first."""
    async with console.begin() as session:
        rows = await session.scalars(
            select(Audit).where(Audit.number < before).order_by(Audit.number.desc()).limit(limit)
        )
        return [audit.entry(row) for row in rows]


@router.get("/audit/verify")
async def verify_audit(_: Viewer, console: TheConsole) -> audit.Verdict:
    """Whether the audit is whole and as it was written."""
    return await console.verdict()


@router.get("/logins")
async def list_logins(_: Admin, console: TheConsole) -> list[LoginView]:
    """Everybody who is logged in with a browser, the latest first."""
    async with console.begin() as session:
        rows = await logins.open_now(session, datetime.now(UTC))
        return [LoginView.model_validate(row) for row in rows]


@router.post("/logins/{login_id}/end")
async def end_login(who: Admin, console: TheConsole, login_id: UUID) -> LoginEnded:
    """Ends a login; it is entered in the audit."""
    async with console.begin() as session:
        await logins.put_out(session, console.who(who), login_id)
    return LoginEnded(ended=login_id)


@router.post("/forget/{name}")
async def forget(who: Admin, console: TheConsole, name: str) -> Forgotten:
    """Stops watching a service or a link that is gone for good."""
    known = console.board.known
    gone = [key for key in (name, f"link:{name}") if known.pop(key, None)]
    if not gone:
        raise NotFound("Nothing of that name is missed.", "Inget med det namnet saknas.")
    async with console.begin() as session:
        await audit.enter(session, console.who(who), "forget", name)
    return Forgotten(forgotten=name, at=datetime.now(UTC))

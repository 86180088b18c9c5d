"""The console for programs: what pages show and do, as JSON. `kompetensnav ops` calls it."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, FastAPI, Query, Request
from pydantic import AwareDatetime, BaseModel, Field, model_validator
from sqlalchemy import select
from starlette.responses import Response

from kompetensnav_chassis.db import Scope, transaction
from kompetensnav_chassis.errors import Forbidden, NotFound, Problem
from kompetensnav_operations.actions import alerts, audit, editing, history, letters, pauses, replays
from kompetensnav_operations.actions.desk import TheDesk
from kompetensnav_operations.actions.letters import PAGE, Selection
from kompetensnav_operations.domain.letters import State, envelope, masked, readable
from kompetensnav_operations.domain.picture import as_json
from kompetensnav_operations.edges.broker import plain
from kompetensnav_operations.edges.roles import Admin, Corrector, Operator, Viewer
from kompetensnav_operations.tables import Audit, Replay

router = APIRouter(prefix="/api")
Reason = Annotated[str, Field(min_length=3, max_length=500, description="Why; it is kept in the audit.")]
Name = Annotated[str, Field(max_length=200)]


class Chosen(BaseModel):
    """Which letters: these, or all that fit."""

    ids: list[int] = Field([], max_length=10_000)
    state: Name = State.WAITING
    consumer: Name = ""
    reason: Name = ""
    fingerprint: Name = ""
    type: Name = ""
    text: Name = ""
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    upto: int = Field(0, ge=0, description="The newest letter that was seen; what came later is not meant.")

    @property
    def selection(self) -> Selection:
        """As the actions take it."""
        return Selection(**{**self.model_dump(exclude={"all"}), "ids": tuple(self.ids)})


class Meant(Chosen):
    """Which letters an act is of; all of them only when that is said."""

    all: bool = Field(False, description="Every letter in that state, when nothing else is chosen.")

    @model_validator(mode="after")
    def _is_said(self) -> Self:
        said = self.model_fields_set - {"state", "upto"}
        if not any(getattr(self, name) for name in said):
            raise ValueError("choose letters by ids or by a filter, or say all")
        return self


class ForReason(BaseModel):
    """An act, and why."""

    reason: Reason


class OfLetters(ForReason):
    """An act on letters."""

    letters: Meant


class ToReplay(OfLetters):
    """What to replay, and how fast."""

    rate: int = Field(50, ge=1, le=500, description="Letters a second, at most.")


class ToPause(ForReason):
    """Until when."""

    until: AwareDatetime


class Edited(ForReason):
    """An edited body, as text."""

    body: str = Field(max_length=1_000_000)


class LetterView(BaseModel):
    """A dead letter, without its body."""

    letter_id: int
    consumer: str
    stream: str
    origin_seq: int
    event_id: str | None
    type: str
    trace_id: str | None
    reason: str
    error: str
    fingerprint: str
    died_at: datetime
    deliveries: int
    size: int
    state: str
    replays: int
    came_of: int | None
    settled_by: str | None
    settled_at: datetime | None
    why: str | None

    model_config = {"from_attributes": True}


class Letters(BaseModel):
    """A page of letters."""

    items: list[LetterView]
    total: int


def answer(app: FastAPI) -> None:
    """Has denied attempts entered in the audit."""
    told = app.exception_handlers[Problem]

    async def denied(request: Request, refused: Any) -> Response:
        await enter_denied(request)
        answered: Response = await told(request, refused)  # type: ignore[misc]
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
async def overview(_: Viewer, desk: TheDesk) -> dict[str, Any]:
    """Everything at this moment, and how old that is in seconds."""
    return as_json(desk.board.picture) | {"age": desk.board.age, "stack": desk.board.stack}


@router.get("/queues/{stream}/{consumer}")
async def show_queue(
    _: Viewer, desk: TheDesk, stream: str, consumer: str, hours: Annotated[int, Query(ge=1, le=336)] = 1
) -> dict[str, Any]:
    """A queue, and what it was like."""
    queue = desk.queue(stream, consumer)
    async with desk.begin() as session:
        samples = await history.of(session, queue.key, timedelta(hours=hours))
    return {"queue": asdict(queue), "age": desk.board.age, "samples": [_sample(each) for each in samples]}


def _sample(row: Any) -> dict[str, Any]:
    names = ("at", "waiting", "in_flight", "oldest", "dead", "redelivered", "rate_in", "rate_out")
    return {name: getattr(row, name) for name in names}


@router.post("/queues/{stream}/{consumer}/pause")
async def pause(who: Operator, desk: TheDesk, stream: str, consumer: str, wanted: ToPause) -> dict[str, Any]:
    """Gives a consumer nothing until a time."""
    queue, broker = desk.queue(stream, consumer), desk.broker
    async with desk.begin() as session:
        await pauses.pause(session, broker, desk.who(who), queue, wanted.until, wanted.reason)
    return {"paused": queue.key, "until": wanted.until}


@router.post("/queues/{stream}/{consumer}/resume")
async def resume(who: Operator, desk: TheDesk, stream: str, consumer: str, why: ForReason) -> dict[str, Any]:
    """Has a paused consumer go on."""
    queue, broker = desk.queue(stream, consumer), desk.broker
    async with desk.begin() as session:
        await pauses.resume(session, broker, desk.who(who), queue, why.reason)
    return {"resumed": queue.key}


@router.get("/letters")
async def list_letters(
    _: Viewer,
    desk: TheDesk,
    chosen: Annotated[Chosen, Query()],
    limit: Annotated[int, Query(ge=1, le=1000)] = PAGE,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Letters:
    """Dead letters, the newest first."""
    async with desk.begin() as session:
        rows = await session.scalars(letters.chosen(chosen.selection).limit(limit).offset(offset))
        items = [LetterView.model_validate(row) for row in rows]
        return Letters(items=items, total=await letters.count(session, chosen.selection))


@router.get("/letters/groups")
async def list_groups(_: Viewer, desk: TheDesk, chosen: Annotated[Chosen, Query()]) -> list[dict[str, Any]]:
    """What they died of, the most frequent first."""
    async with desk.begin() as session:
        return [asdict(group) for group in await letters.groups(session, chosen.selection)]


@router.get("/letters/{letter_id}")
async def show_letter(_: Viewer, desk: TheDesk, letter_id: int) -> dict[str, Any]:
    """A letter with every try; its body without values."""
    letter = await desk.letter(letter_id)
    original = await desk.original(letter)
    async with desk.begin() as session:
        tries = await letters.attempts(session, letter)
    return {
        "letter": LetterView.model_validate(letter),
        "stack": original.header("Kn-Dead-Stack") if original else "",
        "body": masked(original.data) if original else None,
        "attempts": [asdict(each) for each in tries],
    }


@router.post("/letters/{letter_id}/reveal")
async def reveal_letter(who: Operator, desk: TheDesk, letter_id: int) -> dict[str, Any]:
    """A letter's body with its values; it is entered in the audit."""
    letter = await desk.letter(letter_id)
    original = await desk.original(letter)
    if original is None:
        raise NotFound("Its message is not there any more.", "Meddelandet finns inte kvar.")
    await desk.revealed(who, f"letter {letter_id}")
    kind, text = readable(original.data)
    return {"kind": kind, "body": text, "headers": original.headers}


@router.post("/letters/{letter_id}/correct")
async def correct(who: Corrector, desk: TheDesk, letter_id: int, edited: Edited) -> dict[str, Any]:
    """Makes a new event of an edited body, and plans its sending to the consumer that failed."""
    original = await desk.original(await desk.letter(letter_id))
    if original is None:
        raise NotFound("Its message is not there any more.", "Meddelandet finns inte kvar.")
    held = await desk.held()
    async with desk.begin() as session:
        plan = await editing.correct(
            session, desk.who(who), desk.board.picture, held, letter_id, original, edited.body, edited.reason
        )
    return asdict(plan)


@router.post("/letters/discard")
async def discard(who: Operator, desk: TheDesk, wanted: OfLetters) -> dict[str, int]:
    """Puts letters away; that can be undone for thirty days."""
    async with desk.begin() as session:
        done = await letters.discard(session, desk.who(who), wanted.letters.selection, wanted.reason)
    return {"discarded": done}


@router.post("/letters/restore")
async def restore(who: Operator, desk: TheDesk, wanted: OfLetters) -> dict[str, int]:
    """Takes discarded letters back."""
    async with desk.begin() as session:
        done = await letters.restore(session, desk.who(who), wanted.letters.selection, wanted.reason)
    return {"restored": done}


@router.post("/replays")
async def plan_replay(who: Operator, desk: TheDesk, wanted: ToReplay) -> dict[str, Any]:
    """A dry run: what would be sent, what not and why. Nothing is sent."""
    held, chosen = await desk.held(), wanted.letters.selection
    async with desk.begin() as session:
        plan = await replays.plan(
            session, desk.who(who), desk.board.picture, held, chosen, wanted.reason, wanted.rate
        )
    return asdict(plan)


@router.get("/replays")
async def list_replays(_: Viewer, desk: TheDesk) -> list[dict[str, Any]]:
    """The last hundred."""
    async with desk.begin() as session:
        rows = await session.scalars(select(Replay).order_by(Replay.made_at.desc()).limit(100))
        return [_replay(row, await replays.outcomes(session, row.replay_id)) for row in rows.all()]


def _replay(row: Replay, outcomes: dict[str, int]) -> dict[str, Any]:
    names = ("replay_id", "by", "reason", "rate", "state", "stopped_why", "made_at", "began_at", "ended_at")
    return {name: getattr(row, name) for name in names} | {"outcomes": outcomes}


@router.get("/replays/{replay_id}")
async def show_replay(_: Viewer, desk: TheDesk, replay_id: UUID) -> dict[str, Any]:
    """A replay, and what has come of it so far."""
    async with desk.begin() as session:
        row = await session.get(Replay, replay_id)
        if row is None:
            raise NotFound("There is no such replay.", "Det finns ingen sådan omsändning.")
        return _replay(row, await replays.outcomes(session, replay_id))


@router.post("/replays/{replay_id}/{act}")
async def act_on_replay(who: Operator, desk: TheDesk, replay_id: UUID, act: str) -> dict[str, Any]:
    """`begin`, `stop`, or `go-on` in spite of its canary."""
    acts = {"begin": replays.begin, "stop": replays.stop, "go-on": replays.go_on}
    if act not in acts:
        raise NotFound("There is no such act.", "Det finns ingen sådan åtgärd.")
    if act != "stop":
        await desk.held()  # said now, and not only seen later
    async with desk.begin() as session:
        row = await acts[act](session, desk.who(who), replay_id)
        found = _replay(row, await replays.outcomes(session, replay_id))
    desk.state.wake("replay")
    return found


@router.get("/search")
async def search(
    _: Viewer,
    desk: TheDesk,
    text: Annotated[str, Query(min_length=3, max_length=200)] = "",
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
) -> dict[str, Any]:
    """Events and letters of a time, or that have or name an id, or letters with these words in their
    error. Without any of it the newest."""
    chosen = Selection(state="all", text=text.strip(), since=since, until=until)
    async with desk.begin() as session:
        found = await letters.find(session, chosen.text, since, until)
        rows = await session.scalars(letters.chosen(chosen).limit(200))
        return {
            "events": [{"stream": e.stream, "seq": e.seq, "at": e.at, "subject": e.subject} for e in found],
            "letters": [LetterView.model_validate(row) for row in rows],
        }


@router.get("/events/{stream}/{seq}")
async def show_event(_: Viewer, desk: TheDesk, stream: str, seq: int) -> dict[str, Any]:
    """An event, its body without values, and who has it before them still."""
    message = await desk.message(stream, seq)
    if message is None:
        raise NotFound("There is no such message.", "Det finns inget sådant meddelande.")
    return {"subject": message.subject, "at": message.at, "headers": envelope(message.headers),
            "body": masked(message.data)}  # fmt: skip


@router.get("/alerts")
async def list_alerts(_: Viewer, desk: TheDesk) -> dict[str, Any]:
    """Those that go on, and the last hundred that are over."""
    names = ("alert_id", "rule", "target", "value", "limit", "began_at", "ended_at", "seen_by")
    async with desk.begin() as session:
        now, over = await alerts.open_now(session), await alerts.ended(session)
    return {
        "open": [{name: getattr(row, name) for name in names} for row in now],
        "ended": [{name: getattr(row, name) for name in names} for row in over],
    }


@router.post("/alerts/{alert_id}/seen")
async def see_alert(who: Operator, desk: TheDesk, alert_id: UUID) -> dict[str, Any]:
    """Says that somebody looks after it."""
    async with desk.begin() as session:
        await alerts.take(session, desk.who(who), alert_id)
    return {"seen_by": who.subject}


@router.get("/audit")
async def list_audit(
    _: Viewer,
    desk: TheDesk,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[int, Query(ge=1, le=2**62)] = 2**62,
) -> list[dict[str, Any]]:
    """Who did what, the newest first."""
    async with desk.begin() as session:
        rows = await session.scalars(
            select(Audit).where(Audit.number < before).order_by(Audit.number.desc()).limit(limit)
        )
        return [asdict(audit.entry(row)) for row in rows]


@router.get("/audit/verify")
async def verify_audit(_: Viewer, desk: TheDesk) -> dict[str, Any]:
    """Whether the audit is whole and as it was written."""
    return asdict(await desk.verdict())


@router.post("/forget/{name}")
async def forget(who: Admin, desk: TheDesk, name: str) -> dict[str, Any]:
    """Misses a service or a link that is gone for good no more."""
    known = desk.board.known
    gone = [key for key in (name, f"link:{name}") if known.pop(key, None)]
    if not gone:
        raise NotFound("Nothing of that name is missed.", "Inget med det namnet saknas.")
    async with desk.begin() as session:
        await audit.enter(session, desk.who(who), "forget", name)
    return {"forgotten": name, "at": datetime.now(UTC)}

"""Erases from the streams what was published of learners who have been forgotten.

Every event with pseudonymous facts names its learner, so nothing else need be searched for. What is left of
such an event is its row in the teller's outbox without the body: `verify` and `republish` know by it that the
event was published and may be gone. The request for erasure stays, with a reference that leads to nobody: a
service that was put back from an older backup hears of it again, and forgets again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import nats.errors
import nats.js.errors

from kompetensnav_care.counts import Running, connect
from kompetensnav_care.log import ERASED, Published, read_log
from kompetensnav_care.world import Unreachable

REQUESTED = "registry.erasure.requested.v1"
ANSWERED = "erasure.answered.v1"
ASKED = ("matching", "notifications", "reporting")
"""Who hears of learners, and must have answered first."""
_GONE = {10037, 10043}
"""JetStream error codes: no message found, sequence not found (somebody else erases too)."""
_OF_LEARNERS = """
    from outbox join unnest($1::text[], $2::timestamptz[]) forgotten (learner_id, at) on told_at <= at
    and case when body = '' then null else convert_from(body, 'UTF8')::jsonb ->> 'learner_id' end = learner_id
    where parked is null and subject not like '%.' || $3
"""


@dataclass(frozen=True)
class Erased:
    """What came of a request for erasure: how many messages of streams (dead letters too) are gone, or would
    be. Nothing is done while `waits_for` names a service that has not answered, or a consumer that has not
    come as far."""

    erasure_id: str
    messages: int
    waits_for: tuple[str, ...] = ()


async def erase(running: Running, *, dry_run: bool = False) -> tuple[list[Erased], dict[str, int]]:
    """Erases for every learner whose erasure all services have answered; returns what was done for each, and
    the bodies taken out of each service's outbox. Cut off halfway, it goes on the next time. Raises
    Unreachable."""
    seed = running.care_seed.with_name("erase.nk")
    if not seed.exists():
        raise Unreachable(
            "The seed of the user `erase` is not there; `kompetensnav topology render` makes it."
        )
    connection = await connect(running, seed)
    try:
        js = connection.jetstream()
        log = [m for name in ("INT", "DEAD") for m in await read_log(connection, f"{name}_{running.stack}")]
        lags = await _lags(js, f"INT_{running.stack}")
        done: list[Erased] = []
        until: dict[str, datetime] = {}
        gone: list[Published] = []
        for asked in _asked(log):
            learner, id = str(asked.fact("learner_id")), str(asked.fact("erasure_id"))
            answers = answers_to(log, id)
            last = max(answers.values(), default=None)
            found = [m for m in log if m.fact("learner_id") == learner and _published_by(m, last)]
            waits = tuple(service for service in ASKED if service not in answers) or _behind(found, lags)
            done.append(Erased(id, len(found), waits))
            if last and not waits:
                gone += found
                until[learner] = last
        bodies = await _blank(running, until, dry_run=dry_run)
        if not dry_run:
            for message in gone:
                await _delete(js, message)
        return done, bodies
    finally:
        await connection.close()


def _asked(log: Sequence[Published]) -> list[Published]:
    """The requests for erasure, each once."""
    return list({m.id: m for m in log if m.stream.startswith("INT_") and m.name == REQUESTED}.values())


def answers_to(log: Sequence[Published], erasure_id: str) -> dict[str, datetime]:
    """Service -> when it first answered. One that was put back from a backup answers again: what has been
    published in between, of somebody whose protection was lifted, is not meant."""
    answers: dict[str, datetime] = {}
    for message in log:
        if message.name.endswith(ANSWERED) and message.fact("erasure_id") == erasure_id:
            at = _time(message)
            if at is not None:
                answers.setdefault(message.name.split(".")[0], at)
    return answers


def _published_by(message: Published, last: datetime | None) -> bool:
    """Whether it happened before the last answer, wherever in a stream it stands (replayed or published
    again, it comes later): what happens after that is not meant (of somebody whose protection was lifted)."""
    at = _time(message)
    return message.name != REQUESTED and last is not None and (at is None or at <= last)


def _time(message: Published) -> datetime | None:
    """When it happened; None for what no listener can read, and is no event."""
    try:
        return message.time if message.time.tzinfo else None
    except (KeyError, ValueError):
        return None


async def _lags(js: Any, stream: str) -> dict[str, int]:
    """Durable consumer -> the sequence up to which everything is settled; those that wait for nothing are
    left out."""
    return {
        c.name: c.ack_floor.stream_seq
        for c in await js.consumers_info(stream)
        if c.config.durable_name and c.ack_floor and (c.num_pending or c.num_ack_pending)
    }


def _behind(found: Sequence[Published], lags: dict[str, int]) -> tuple[str, ...]:
    last = max((m.seq for m in found if m.stream.startswith("INT_")), default=0)
    return tuple(sorted(consumer for consumer, floor in lags.items() if floor < last))


async def _blank(running: Running, until: Mapping[str, datetime], *, dry_run: bool) -> dict[str, int]:
    """Takes what was published of learners until then out of the outboxes. They go first: a message is found
    again by its stream."""
    found = {}
    for service, urls in running.urls.items():
        if "owner" not in urls:
            raise Unreachable(f"The database of {service} must be reached as its owner, to erase.")
        database = await asyncpg.connect(urls["owner"], timeout=5)
        try:
            asked = (list(until), list(until.values()), REQUESTED)
            if dry_run:
                found[service] = await database.fetchval(f"select count(*) {_OF_LEARNERS}", *asked)
                continue
            done = await database.execute(
                "update outbox set body = '', parked = $4 where (id, told_at) in"
                f" (select id, told_at {_OF_LEARNERS})",
                *asked,
                ERASED,
            )
            found[service] = int(done.split()[-1])
        finally:
            await database.close()
    return found


async def _delete(js: Any, message: Published) -> None:
    try:
        await js.delete_msg(message.stream, message.seq)
    except nats.js.errors.APIError as gone:
        if gone.err_code not in _GONE:
            raise

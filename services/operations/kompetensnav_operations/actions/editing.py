"""Editing a dead letter: what comes of it is a new event, caused by the original, for the consumer that
failed. The original stays as it was."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import uuid_utils.compat as uuids
from pydantic import ValidationError
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from kompetensnav_chassis.errors import BadRows, Conflict
from kompetensnav_chassis.streams import Stored
from kompetensnav_contracts.catalogue import catalogue
from kompetensnav_operations.actions.audit import Who, enter
from kompetensnav_operations.actions.dead_letters import Selection
from kompetensnav_operations.actions.replays import Plan, plan
from kompetensnav_operations.domain.dead_letters import State, differences
from kompetensnav_operations.domain.picture import Picture
from kompetensnav_operations.edges.broker import Held
from kompetensnav_operations.tables import Correction, DeadLetter

LARGEST = 900_000
"""Bytes that a body may have."""


@dataclass(frozen=True)
class Checked:
    """An edited body: as bytes, what differs, and whether a schema is known that it fits."""

    body: bytes
    paths: list[str]
    is_known: bool


def check(original: Stored, text: str) -> Checked:
    """Reads an edited body. Raises BadRows with what is wrong and where."""
    try:
        after = json.loads(text)
    except (ValueError, RecursionError) as bad:
        where = f"line {bad.lineno}, column {bad.colno}" if isinstance(bad, json.JSONDecodeError) else ""
        raise BadRows(
            f"It is no JSON: {where}.", f"Det är inte JSON: {where}.", errors=[{"where": where}]
        ) from bad
    try:
        body = json.dumps(after, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as bad:
        raise BadRows("It names half a character (\\ud800 to \\udfff).",
                      "Det innehåller ett halvt tecken (\\ud800 till \\udfff).") from bad  # fmt: skip
    if len(body) > LARGEST:
        raise BadRows(f"It is larger than {LARGEST} bytes.", f"Det är större än {LARGEST} byte.")
    try:
        before: Any = json.loads(original.data)
    except (ValueError, RecursionError):
        before = None
    event = catalogue().get(original.header("ce-type"))
    if event is not None:
        errors = _misfits(event, body, after)
        if errors:
            raise BadRows(
                "It does not fit the event's schema.", "Det passar inte händelsens schema.", errors=errors
            )
    return Checked(body, differences(before, after), event is not None)


def _misfits(event: Any, body: bytes, after: Any) -> list[dict[str, str]]:
    try:
        event.model_validate_json(body)
    except ValidationError as bad:
        return [{"where": ".".join(str(p) for p in e["loc"]), "reason": e["msg"]} for e in bad.errors()]
    unknown = sorted(after.keys() - event.model_fields.keys()) if isinstance(after, dict) else []
    return [{"where": name, "reason": "no such field"} for name in unknown]


async def correct(
    session: AsyncSession,
    who: Who,
    picture: Picture,
    held: Held,
    dead_letter_id: int,
    original: Stored,
    text: str,
    reason: str,
) -> Plan:
    """Writes down the new event and plans its sending. Raises BadRows, or Conflict when the dead letter is
    not waiting any more or nothing was changed."""
    dead_letter = await session.get(DeadLetter, dead_letter_id, with_for_update=True)
    if dead_letter is None or dead_letter.state != State.WAITING:
        raise Conflict("The dead letter is not waiting any more.", "Meddelandet väntar inte längre.")
    checked = check(original, text)
    if not checked.paths:
        raise Conflict("Nothing was changed.", "Inget är ändrat.")
    # a dead letter has at most one correction that can be sent
    earlier = update(Correction).where(
        Correction.dead_letter_id == dead_letter_id, Correction.sent_seq.is_(None)
    )
    await session.execute(earlier.values(body=None))
    id = uuids.uuid7()
    cause = original.header("ce-id")
    headers = {k: v for k, v in original.headers.items() if not k.lower().startswith(("kn-dead-", "nats-"))}
    if cause:
        headers |= {"ce-id": str(id), "ce-causationid": cause, "ce-time": datetime.now(UTC).isoformat()}
    made = await plan(session, who, picture, held, Selection(ids=(dead_letter_id,)), reason, 50)
    session.add(
        Correction(
            event_id=id,
            replay_id=made.replay_id,
            dead_letter_id=dead_letter_id,
            by=who.subject[:200],
            subject=dead_letter.subject,
            headers=headers,
            body=checked.body,
        )
    )
    await enter(
        session, who, "correct", f"dead letter {dead_letter_id}", reason=reason, event=str(id),
        paths=checked.paths[:50], before=hashlib.sha256(original.data).hexdigest(),
        after=hashlib.sha256(checked.body).hexdigest(),
        schema=original.header("ce-type") if checked.is_known else "",
    )  # fmt: skip
    return made

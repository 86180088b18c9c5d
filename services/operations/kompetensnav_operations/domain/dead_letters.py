"""Dead letters: what is alike, what may be replayed, and how a body is shown to whom."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from kompetensnav_operations.domain.picture import Queue

UNDO = timedelta(days=30)
"""How long a discarded dead letter can be taken back."""
CANARY = 10
"""Dead letters sent first, alone."""
SHOWN = 200_000
"""Most bytes of a body that a page shows."""


class State(StrEnum):
    """What has become of a dead letter."""

    WAITING = "waiting"
    TAKEN = "taken"
    """A replay is about to send it."""
    REPLAYED = "replayed"
    HANDLED = "handled"
    RETURNED = "returned"
    """It was replayed, and died again."""
    DISCARDED = "discarded"


OPEN = (State.WAITING, State.RETURNED)
"""Dead letters that somebody should deal with. One that came back is replayed by way of the dead letter it
came back as."""


def fingerprint(consumer: str, type: str, reason: str, error: str, frames: str) -> str:
    """The same for dead letters that died of the same cause: numbers, ids and line numbers do not count."""
    where = re.sub(r":\d+", "", frames).split(" | caused by ")[-1].rpartition(" > ")[2]
    said = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+", "#", error)
    return hashlib.sha256(repr((consumer, type, reason, said, where)).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Standing:
    """What decides whether a dead letter can be replayed."""

    state: str
    is_there: bool
    """Whether its message is still in the stream of dead letters."""


def hindrance(dead_letter: Standing, queue: Queue | None) -> str:
    """Why a dead letter cannot be replayed; empty when it can."""
    if dead_letter.state == State.DISCARDED:
        return "discarded"
    if dead_letter.state != State.WAITING:
        return "already"
    if queue is None:
        return "no-consumer"
    if not queue.replay_subject:
        return "no-replay-subject"
    return "" if dead_letter.is_there else "gone"


def way(queue: Queue, subject: str) -> str:
    """The subject on which the failing consumer, and no other, hears a dead letter again."""
    return subject if subject.startswith(queue.replay_subject) else queue.replay_subject + subject


def may_undo(discarded_at: datetime, now: datetime) -> bool:
    """Whether a discarded dead letter can still be taken back."""
    return now - discarded_at <= UNDO


def readable(body: bytes, most: int = SHOWN) -> tuple[str, str]:
    """(kind, text) of a body: `json` with its values in order, `text`, or `bytes` in hexadecimal. What is too
    long is cut."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return "bytes", body[: most // 3].hex(" ", 2)
    try:
        return "json", _written(json.loads(text))[:most]
    except (ValueError, RecursionError):
        return "text", text[:most]


def _written(value: Any) -> str:
    """JSON over lines; in ASCII when it names half a character (a lone surrogate), which no page can show."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return text if text.isascii() or _is_whole(text) else json.dumps(value, indent=2)


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def masked(body: bytes) -> str:
    """The shape of a JSON body: its names, and of each value its kind; no value. Nothing of what is no
    JSON."""
    try:
        shape = _shape(json.loads(body), 0)
    except (ValueError, RecursionError):
        return f"<{len(body)} bytes>"
    return _written(shape)[:SHOWN]


def _shape(value: Any, depth: int) -> Any:
    if isinstance(value, dict):
        return {str(key)[:80]: _shape(each, depth + 1) for key, each in value.items()} if depth < 20 else "…"
    if isinstance(value, list):
        return [_shape(value[0], depth + 1), f"… {len(value)}"] if value and depth < 20 else []
    kinds: dict[type, str] = {str: "text", bool: "true/false", int: "number", float: "number"}
    return f"<{kinds.get(type(value), 'null')}>"


def envelope(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers with the values that tell of the message; of others, which may hold anything, the name."""
    known = ("ce-", "kn-", "nats-", "traceparent", "content-type")
    return {n: v if n.lower().startswith(known) else "…" for n, v in headers.items()}


REFERENCE = re.compile(rb"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
MOST_REFERENCES = 50


def references(body: bytes) -> list[str]:
    """The ids (UUID, lower case) that a body names, each once, in order; a limited number."""
    found = dict.fromkeys(match.decode().lower() for match in REFERENCE.findall(body[:SHOWN]))
    return list(found)[:MOST_REFERENCES]


def differences(before: Any, after: Any, path: str = "") -> list[str]:
    """The paths at which two JSON values differ; no values."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = sorted(before.keys() | after.keys())
        return [d for n in names for d in differences(before.get(n, ...), after.get(n, ...), f"{path}/{n}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [d for n, (b, a) in pairs for d in differences(b, a, f"{path}/{n}")]
    same = before == after and type(before) is type(after)
    return [] if same else [path or "/"]

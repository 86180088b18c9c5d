"""One event posted to one partner: signed as Standard Webhooks say (standardwebhooks.com), and the answer."""

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
from standardwebhooks.webhooks import Webhook

from kompetensnav_chassis.outgoing import Network, NotAllowed, checked

TIMEOUT = 15.0
"""Seconds that an answer may take."""
LONGEST = 86_400.0
"""Most seconds that a partner may ask us to wait."""


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    delivered: bool
    why: str
    """For the log: a status or the name of an error, and nothing of the answer."""
    gone: bool = False
    """The partner wants no more of it (410)."""
    wait: float = 0.0
    """Seconds that the partner asks us to wait."""


def body_of(headers: Mapping[str, str], body: bytes) -> bytes:
    """What is posted: type, time, and the event's payload, as Standard Webhooks lay it out. Raises ValueError
    for what is no event."""
    said = {name: unquote(value) for name, value in headers.items()}  # as CloudEvents write headers
    envelope: dict[str, Any] = {
        "type": said.get("ce-type", ""),
        "timestamp": said.get("ce-time", ""),
        "municipality": said.get("ce-municipality", ""),
        "subject": said.get("ce-subject", ""),
        "revision": int(said.get("ce-revision", 0)),
        "data": json.loads(body),
    }
    if not envelope["type"]:
        raise ValueError("it has no type")
    return json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()


def signed(id: str, body: str, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """The headers, with a signature by each secret: while one is changed, both are good."""
    signatures = " ".join(Webhook(secret).sign(id, now, body) for secret in secrets)
    return {
        "content-type": "application/json",
        "user-agent": "Kompetensnav",
        "webhook-id": id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signatures,
    }


async def post(
    client: httpx.AsyncClient,
    url: str,
    id: str,
    body: bytes,
    secrets: Sequence[str],
    inside: Sequence[Network] = (),
) -> Outcome:
    """Posts it. Delivered is whatever is answered with 2xx; a redirect is not followed. Whatever goes wrong
    is an outcome: one partner's address or answer must not stop the others."""
    try:
        address = await checked(url, inside)
        parts = urlsplit(url)
        host = f"[{address}]" if ":" in address else address
        at = httpx.URL(url).copy_with(host=host)
        headers = signed(id, body.decode(), secrets, datetime.now(UTC)) | {"host": parts.netloc}
        async with asyncio.timeout(TIMEOUT), client.stream(
            "POST", at, content=body, headers=headers, timeout=TIMEOUT, follow_redirects=False,
            extensions={"sni_hostname": parts.hostname},
        ) as answer:  # the answer's body is not read  # fmt: skip
            wait = 0.0 if answer.is_success else _asked(answer.headers.get("retry-after", ""))
            return Outcome(answer.is_success, f"status {answer.status_code}", answer.status_code == 410, wait)
    except NotAllowed as why:
        return Outcome(False, f"not allowed: {why}")
    except Exception as failed:
        return Outcome(False, type(failed).__name__)


def _asked(retry_after: str) -> float:
    """Seconds of a Retry-After header (RFC 9110, 10.2.3); 0 when there is none."""
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - datetime.now(UTC).timestamp()
        except (ValueError, OverflowError):
            return 0.0
    return max(0.0, min(seconds, LONGEST)) if math.isfinite(seconds) else 0.0

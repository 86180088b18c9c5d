"""Delivery: each partner's consumer is read for it, and an event is acknowledged when it was taken.

There is no database: what waits, how often it was tried and when it is tried next is known to the broker. A
webhook that is given up is a consumer that is paused, so nothing is lost meanwhile, and every console shows
it.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import nats.errors
import nats.js.errors
import structlog
from nats.aio.msg import Msg
from prometheus_client import Counter

from kompetensnav_chassis.outgoing import Network
from kompetensnav_webhooks.post import Outcome, body_of, post

log = structlog.get_logger()
MINUTE, HOUR = 60.0, 3_600.0
SCHEDULE = (
    5.0, MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR, 24 * HOUR, 24 * HOUR,
    24 * HOUR,
)  # fmt: skip
"""Seconds before each new try: five days in all. Then the webhook is paused."""
FETCH = 2.0
"""Seconds that an empty queue is waited at."""
AT_ONCE = 4
"""Posts to one partner at a time."""
LONGEST_REST = 5 * MINUTE
"""Seconds at most before a partner that was down is asked again whether it is back."""
FAR = timedelta(days=3_650)
"""How long a webhook that was given up stays paused, unless somebody resumes it."""
POSTED = Counter("kompetensnav_webhook_posts_total", "Posts to partners.", ["partner", "outcome"])
PAUSED = Counter("kompetensnav_webhook_paused_total", "Webhooks given up.", ["partner"])


@dataclass(frozen=True)
class Hook:
    """A partner's webhook, as `topology render` writes it."""

    name: str
    url: str
    contact: str
    stream: str
    durable: str
    secrets: tuple[str, ...]


def read(folder: Path) -> list[Hook]:
    """The webhooks of FOLDER/webhooks.json, with their secrets from FOLDER/keys/; one whose secret is gone
    has been revoked. Raises OSError."""
    found = []
    for row in json.loads((folder / "webhooks.json").read_text()):
        secret = folder / f"keys/{row['name']}.whsec"
        if secret.exists():
            found.append(Hook(**row, secrets=tuple(secret.read_text().split())))
    return found


@dataclass
class Delivery:
    """What one partner's webhook needs to be delivered."""

    hook: Hook
    js: Any
    client: httpx.AsyncClient
    inside: Sequence[Network]
    schedule: Sequence[float]
    tell: Callable[[Hook, str], Awaitable[None]]
    ended: bool = False
    """Whether it is to end, after what is under way."""
    failures: int = 0
    """Posts that failed since one was taken, or since this began."""
    good_since: float | None = None
    """Since when events have been taken, on the monotonic clock; none was, since this began or was paused."""
    giving_up: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        """Delivers, until ended."""
        while not self.ended:
            subscription = None
            try:
                subscription = await self.js.pull_subscribe_bind(self.hook.durable, self.hook.stream)
                while not self.ended:
                    with contextlib.suppress(nats.errors.TimeoutError):
                        messages = await subscription.fetch(AT_ONCE, timeout=FETCH)
                        taken = await asyncio.gather(*map(self._one, messages))
                        if not all(taken):  # whoever is down is not asked for each event that waits
                            await self._rest()
            except (nats.errors.Error, nats.js.errors.Error, OSError) as down:
                log.warning("webhook waits", partner=self.hook.name, error=type(down).__name__)
                await asyncio.sleep(FETCH)
            except Exception as fault:  # of ours; the other partners are delivered to, and this one later
                log.error("webhook faulty", partner=self.hook.name, error=type(fault).__name__)
                await asyncio.sleep(FETCH)
            finally:
                if subscription is not None:
                    with contextlib.suppress(Exception):
                        await subscription.unsubscribe()

    async def _rest(self) -> None:
        """Longer after each failure in a row, and cut short when all is to end."""
        pause = self.schedule[min(self.failures, len(self.schedule)) - 1] if self.failures else 0.0
        end = time.monotonic() + min(LONGEST_REST, pause)
        while not self.ended and (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(0.2, left))

    async def _one(self, message: Msg) -> bool:
        """Whether it was taken."""
        tried = message.metadata.num_delivered
        headers = message.headers or {}
        id = headers.get("ce-id", f"{self.hook.stream}-{message.metadata.sequence.stream}")
        try:
            body = body_of(headers, message.data)
        except ValueError:
            await self._drop(message, id, "no event")  # it would be none tomorrow
            return True
        posting = asyncio.create_task(
            post(self.client, self.hook.url, id, body, self.hook.secrets, self.inside)
        )
        while not posting.done():  # a slow partner must not have it sent twice
            await asyncio.wait([posting], timeout=1)
            with contextlib.suppress(nats.errors.Error):
                await message.in_progress()
        outcome: Outcome = posting.result()
        POSTED.labels(self.hook.name, "delivered" if outcome.delivered else "failed").inc()
        if outcome.delivered:
            self.failures, self.good_since = 0, self.good_since or time.monotonic()
            await message.ack()
            return True
        self.failures += 1
        log.warning("webhook failed", partner=self.hook.name, id=id, tried=tried, why=outcome.why)
        last = tried > len(self.schedule)
        if last and self.good_since is not None and self.good_since < time.monotonic() - sum(self.schedule):
            await self._drop(message, id, outcome.why)  # others were taken all the while
            return True
        await message.nak(delay=max(outcome.wait, self.schedule[min(tried, len(self.schedule)) - 1]))
        if outcome.gone or (last and self.good_since is None and self.failures > len(self.schedule)):
            await self._give_up(outcome)
        return False

    async def _drop(self, message: Msg, id: str, why: str) -> None:
        """Tries this one no more."""
        await message.term()
        POSTED.labels(self.hook.name, "dropped").inc()
        log.error("webhook dropped one", partner=self.hook.name, id=id, why=why)

    async def _give_up(self, outcome: Outcome) -> None:
        """Pauses the consumer, and says so, once."""
        async with self.giving_up:
            if (await self.js.consumer_info(self.hook.stream, self.hook.durable)).paused:
                return
            await pause(self.js, self.hook, datetime.now(UTC) + FAR)
            self.failures, self.good_since = 0, None
            PAUSED.labels(self.hook.name).inc()
            log.error("webhook paused", partner=self.hook.name, why=outcome.why)
            await self.tell(self.hook, outcome.why)


async def pause(js: Any, hook: Hook, until: datetime) -> None:
    """Nothing is delivered until then; a moment that has passed resumes it."""
    await js.pause_consumer(hook.stream, hook.durable, pause_until=until.isoformat().replace("+00:00", "Z"))

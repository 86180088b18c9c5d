"""How long a loop rests between two runs: the first after a pause starts at once, a busy one lets work
gather, for one large batch costs far less than many small ones."""

import asyncio
import time

LEAST = 0.02
"""Seconds between the starts of two runs, at least."""
MOST = 0.1
"""Seconds at most to rest after a run that took as long."""


async def rest(began: float) -> None:
    """Waits after a run that began at this time of the monotonic clock: as long as it took, within limits."""
    took = time.monotonic() - began
    await asyncio.sleep(max(LEAST - took, min(took, MOST)))

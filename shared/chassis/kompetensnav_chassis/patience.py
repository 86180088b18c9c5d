"""How long to wait for something on a machine that has other things to do as well.

A second of patience is a second during which everyone who wants a processor has one. With eight who want one
of two, a minute of patience lasts four by the clock: what is slow because others work is waited for, and what
does not come is given up as soon as on an idle machine.
"""

import os
import time
from pathlib import Path

_LOAD = Path("/proc/loadavg")


def share() -> float:
    """The part of a processor that each of those who want one has just now, at most 1; 1 where the system
    does not tell."""
    try:
        running = int(_LOAD.read_text().split()[3].partition("/")[0])
    except (OSError, IndexError, ValueError):
        return 1.0
    return min(1.0, (os.cpu_count() or 1) / max(1, running))


class Patience:
    """So many seconds of it; looked at again and again while one waits."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self._used = seconds, 0.0
        self._began = self._looked = time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether it has been used up."""
        return self.used >= self.seconds

    @property
    def used(self) -> float:
        """Seconds of it that have been used so far."""
        now = time.monotonic()
        self._used += (now - self._looked) * share()
        self._looked = now
        return self._used

    def __str__(self) -> str:
        clock = time.monotonic() - self._began
        busy = f", {clock:.0f} s by the clock on a busy machine" if clock > 1.5 * self.seconds else ""
        return f"{self.seconds:.0f} s{busy}"

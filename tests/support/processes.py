"""Whatever a run of the tests starts ends with it, however that ends.

Every process that is started from here on is tied to the one that starts it, also by libraries: a browser's
driver, a container's client. One that is killed takes what it has started with it, and so on down to the
servers of a stack.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kompetensnav_chassis.patience import Patience
from kompetensnav_embedded.tether import tie

_Popen = subprocess.Popen


class Tied(_Popen):  # type: ignore[type-arg]
    """A child that ends with this process, and is waited for with patience."""

    def __init__(self, *arguments: Any, preexec_fn: Callable[[], Any] | None = None, **how: Any) -> None:
        def prepare() -> None:
            tie()
            if preexec_fn:
                preexec_fn()

        super().__init__(*arguments, preexec_fn=prepare, **how)

    def wait(self, timeout: float | None = None) -> int:
        """As ever, but so many seconds of patience: a busy machine is waited for longer."""
        patience = Patience(timeout or 0)
        while True:
            try:
                return super().wait(None if timeout is None else min(timeout, 1))
            except subprocess.TimeoutExpired:
                if patience.is_over:
                    raise


def tie_children() -> None:
    """From now on all that this process starts ends with it."""
    subprocess.Popen = Tied  # type: ignore[misc]
    # a service that finds its bytecode starts in half the time; some machines are told not to keep any
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


assert asyncio.subprocess.subprocess is subprocess, "asyncio starts its children the same way"


@contextmanager
def taken_away(*command: str | Path) -> Iterator[None]:
    """What an engine runs does not end with us: a shell that outlives this process runs the command when that
    has ended without leaving the block."""
    waits = 'trap "" TERM INT HUP; cat >/dev/null; exec "$@"'
    with subprocess.Popen(
        ["sh", "-c", waits, "sh", *command], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    ) as shell:  # fmt: skip
        yield
        shell.kill()

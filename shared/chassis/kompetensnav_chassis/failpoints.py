"""Places where a test may kill the process. Each has a name; nothing happens unless a test has armed it.

A test names a folder in KOMPETENSNAV_FAILPOINTS and arms a point by making a file of its name there. The
first process that comes by renames the file to `<name>.struck` and kills itself as `kill -9` would: nothing
is flushed, nothing is cleaned up.
"""

import os
import signal
from collections.abc import Iterable
from pathlib import Path

_FOLDER = os.environ.get("KOMPETENSNAV_FAILPOINTS")
CONSUMER = ("before-commit", "after-commit", "mid-batch", "after-dead-letter")
"""In a consumer: before the handler's commit; after it and before any acknowledgement; with one message of
the batch acknowledged; with the dead letter published and the message not yet ended."""
RELAY = ("before-publish", "after-publish")
"""In the relay: after the commit and before the publication; after it and before the rows are marked."""
JOB = ("before", "after")
"""In a job: before a run; after it and before the next."""


def names(service: str, durables: Iterable[str], jobs: Iterable[str]) -> list[str]:
    """Every point of a service, from what it listens to and does."""
    return [
        f"{service}.tell.before-commit",
        *(f"{durable}.{point}" for durable in durables for point in CONSUMER),
        *(f"{service}.relay.{point}" for point in RELAY),
        *(f"{service}.{job}.{point}" for job in jobs for point in JOB),
    ]


def failpoint(name: str) -> None:
    """The process is at the point of this name."""
    if _FOLDER is None:
        return
    armed = Path(_FOLDER) / name
    try:
        armed.rename(f"{armed}.struck")
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)

"""Each try of a message that does not succeed is noted, for whoever looks into it later: when, on which host,
by which version, and where it ended. Of a try that ends with its process only the beginning is known.

Notes go, without being acknowledged, to the stream `ATTEMPT_<STACK>`; one that is lost is missed by nobody
but a reader.
"""

import contextlib
import json
import socket
import traceback
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

HOST = socket.gethostname()
Phase = Literal["began", "failed"]


@cache
def version_of(service: str) -> str:
    """Of an installed service; empty when its distribution has another name."""
    try:
        return version(f"kompetensnav-{service}")
    except PackageNotFoundError:
        return ""


async def note(
    client: Client,
    service: str,
    message: Msg,
    phase: Phase,
    error: BaseException | None = None,
    again_in: float | None = None,
) -> None:
    """Notes a try of a message. `again_in`: seconds until the next one; None when there is none."""
    about = message.metadata
    said = {
        "stream": about.stream,
        "seq": about.sequence.stream,
        "consumer": about.consumer,
        "delivery": about.num_delivered,
        "phase": phase,
        "at": datetime.now(UTC).isoformat(),
        "host": HOST,
        "version": version_of(service),
        "error": type(error).__name__ if error else "",
        "frames": frames(error) if error else "",
        "again_in": again_in,
    }
    with contextlib.suppress(nats.errors.Error, OSError):
        await client.publish(f"attempt.{service}.{about.consumer}", json.dumps(said).encode())


def frames(error: BaseException) -> str:
    """The whole stack, outermost first, and that of each cause: file, line and function, no values."""
    parts: list[str] = []
    at: BaseException | None = error
    while at is not None and len(parts) < 5:
        where = (
            f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in traceback.extract_tb(at.__traceback__)
        )
        parts.append(f"{type(at).__name__} at {' > '.join(where)}")
        at = at.__cause__ or at.__context__
    return " | caused by ".join(parts)[:8000]

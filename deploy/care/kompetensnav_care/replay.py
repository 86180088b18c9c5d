"""Dead letters given once more to the consumer that failed, and to no other.

The event keeps its id, so an effect it has had already is not had again. The message id is that of the
dead letter: however many operators replay the same dead letters at once, each is replayed once.
"""

from collections.abc import Collection
from dataclasses import dataclass

import nats.errors
from nats.aio.client import Client

from kompetensnav_care.counts import Running, connect
from kompetensnav_care.world import Unreachable
from kompetensnav_chassis import streams
from kompetensnav_chassis.retry import compared
from kompetensnav_chassis.streams import Stored


@dataclass(frozen=True)
class Replayed:
    """What came of a dead letter: `replayed`, or `already` when somebody had done it."""

    seq: int
    reason: str
    outcome: str


async def replay(
    running: Running, consumer: str, seqs: Collection[int] = (), *, reason: str = "", dry_run: bool = False
) -> list[Replayed]:
    """Replays the dead letters of a consumer: all, or those with these sequences or this reason. Raises
    Unreachable."""
    if running.replay_seed is None or not running.replay_seed.exists():
        raise Unreachable(
            "The seed of the user `replay` is not there; `kompetensnav topology render` makes it."
        )
    connection = await connect(running, running.replay_seed)
    try:
        js, done = connection.jetstream(), []
        dead = [each async for some in streams.batches(connection, f"DEAD_{running.stack}") for each in some]
        for dead_letter in dead:
            if not _is_meant(dead_letter, consumer, seqs, reason):
                continue
            why = dead_letter.header("Kn-Dead-Reason")
            if dead_letter.header("Kn-Dead-Body"):
                done.append(Replayed(dead_letter.seq, why, "has no body: use the console"))
                continue
            if not _subject(consumer, dead_letter.header("Kn-Dead-Subject")) or await _differs(
                connection, dead_letter
            ):
                done.append(Replayed(dead_letter.seq, why, "is not what the stream holds"))
                continue
            if dry_run:
                done.append(Replayed(dead_letter.seq, why, "would be replayed"))
                continue
            own = ("kn-dead-", "nats-")
            kept = {k: v for k, v in dead_letter.headers.items() if not k.lower().startswith(own)}
            ack = await js.publish(
                _subject(consumer, dead_letter.header("Kn-Dead-Subject")),
                dead_letter.data,
                headers=kept | {"Nats-Msg-Id": f"replay:{dead_letter.seq}:1"},
                timeout=5,
            )
            done.append(Replayed(dead_letter.seq, why, "already" if ack.duplicate else "replayed"))
        return done
    finally:
        await connection.close()


async def _differs(connection: Client, dead_letter: Stored) -> bool:
    stream, seq = dead_letter.header("Kn-Dead-Stream"), dead_letter.header("Kn-Dead-Seq")
    if not (seq.isascii() and seq.isdigit()):
        return True
    try:
        return compared(dead_letter, await streams.message(connection, stream, int(seq))) == "differs"
    except nats.errors.NoRespondersError:  # no such stream: nothing to compare with
        return False
    except nats.errors.BadSubjectError:  # no stream has such a name
        return True


def _is_meant(dead_letter: Stored, consumer: str, seqs: Collection[int], reason: str) -> bool:
    return (
        dead_letter.subject == f"dead.{consumer}"
        and dead_letter.header("Kn-Dead-Consumer") == consumer
        and (not seqs or dead_letter.seq in seqs)
        and (not reason or dead_letter.header("Kn-Dead-Reason") == reason)
    )


def _subject(consumer: str, original: str) -> str:
    """Where the consumer, and no other, hears it: a dead letter that is itself a replay to it goes there
    again. Empty for what is neither an event's subject nor such a replay."""
    parts = original.split(".")
    if parts[0] == "replay":
        return original if parts[2:3] == [consumer] else ""
    return f"replay.{parts[2]}.{consumer}.{original}" if parts[0] == "nav" and len(parts) > 3 else ""

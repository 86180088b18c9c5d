"""A stranger's streams, made ready for the operations console: it needs a place for dead letters and subjects
at each consumer by which that one, and no other, hears a message again. Nothing else of theirs is changed."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DiscardPolicy, StorageType, StreamConfig

from kompetensnav_topology.apply import DAY, NOTES, Change, collector

SPOKEN = "nav.*.int.operations.>"
"""What the console itself tells."""
OWN = {SPOKEN: "nav.*.int.>"}
"""Subjects that one of our own stacks has instead."""


class Taken(Exception):
    """A name that the console needs is another stream's; says which."""


async def adopt(
    js: JetStreamContext, stack: str, names: Sequence[str], *, dry_run: bool = False
) -> list[Change]:
    """Makes what the console needs for these streams; returns what was, or would be, done. Raises
    NotFoundError for a stream that is not there, and Taken."""
    changes = [
        *await _own(js, stack, names, dry_run=dry_run),
        *[change for name in names for change in await _replay_subjects(js, name, dry_run=dry_run)],
    ]
    return changes


async def _own(js: JetStreamContext, stack: str, names: Sequence[str], *, dry_run: bool) -> list[Change]:
    code = stack.upper()
    shared: dict[str, Any] = {"storage": StorageType.FILE, "allow_direct": True}
    advised = [
        f"$JS.EVENT.ADVISORY.CONSUMER.{kind}.{name}.*"
        for kind in ("MAX_DELIVERIES", "MSG_TERMINATED")
        for name in names
    ]
    wanted = [
        StreamConfig(name=f"INT_{code}", subjects=[SPOKEN], duplicate_window=600.0, **shared),
        StreamConfig(
            name=f"DEAD_{code}", subjects=["dead.>"], max_age=400 * DAY, duplicate_window=DAY, **shared
        ),
        StreamConfig(name=f"ADVISORY_{code}", subjects=advised, max_age=14 * DAY, **shared),
        StreamConfig(
            name=f"ATTEMPT_{code}",
            subjects=["attempt.>"],
            max_age=14 * DAY,
            max_bytes=NOTES,
            discard=DiscardPolicy.OLD,
            **shared,
        ),
    ]
    changes = []
    for stream in wanted:
        try:
            there = (await js.stream_info(stream.name or "")).config
        except nats.js.errors.NotFoundError:
            changes.append(Change("make", "stream", stream.name or ""))
            if not dry_run:
                await js.add_stream(stream)
            continue
        if lacking := _lacking(there, stream):
            changes.append(Change("change", "stream", stream.name or ""))
            if not dry_run:
                there.subjects = [*(there.subjects or ()), *lacking]
                await js.update_stream(there)
    with suppress(nats.js.errors.NotFoundError):
        await js.consumer_info(f"ADVISORY_{code}", "collector")
        return changes
    if not dry_run:
        await js.add_consumer(f"ADVISORY_{code}", collector(30.0))
    return [*changes, Change("make", "consumer", "collector")]


def _lacking(there: StreamConfig, wanted: StreamConfig) -> list[str]:
    """The subjects that a stream of that name is to hold besides its own: what was adopted before stays.
    Raises Taken for one that holds another application's events."""
    known = set(there.subjects or ())
    lacking = [subject for subject in wanted.subjects or () if not known & {subject, OWN.get(subject)}]
    if lacking and wanted.subjects == [SPOKEN]:
        raise Taken(f"The stream {there.name} holds something else: {', '.join(sorted(known))}.")
    return lacking


async def _replay_subjects(js: JetStreamContext, name: str, *, dry_run: bool) -> list[Change]:
    """A subject more for the stream, and for each of its durables a filter that is its own."""
    info = await js.stream_info(name)
    stream, replays = info.config, f"replay.{name.lower()}"
    before = [s for s in stream.subjects or () if s != f"{replays}.>"]
    changes = []
    if f"{replays}.>" not in (stream.subjects or ()) or not stream.allow_direct:
        changes.append(Change("change", "stream", name))
        if not dry_run:
            stream.subjects, stream.allow_direct = [*before, f"{replays}.>"], True
            await js.update_stream(stream)
    for there in await js.consumers_info(name):
        config: ConsumerConfig = there.config
        own = f"{replays}.{there.name}.>"
        hears = config.filter_subjects or [s for s in [config.filter_subject] if s] or before
        if not config.durable_name or own in hears:
            continue
        changes.append(Change("change", "consumer", there.name))
        if not dry_run:
            config.filter_subject, config.filter_subjects = None, [*hears, own]
            await js.add_consumer(name, config)
    return changes

"""The invariants, each a question to the world that is answered with what is wrong. Values in, values out.

    I1  every acknowledged slot is in registry, matching and reporting
    I2  a learner has at most one active placement or offer at a time
    I3  seats are never exceeded, at any prefix of the log and at any moment of the ledger
    I4  one effect per event and service; no effect without an event
    I5  revisions are contiguous per aggregate
    I6  each (cause, recipient, channel) has one message, sent with one Message-ID
    I7  report totals = recount of the log = the registry's tables
    I8  nothing is in limbo: pending + in flight + handled + dead = stored
    I9  a row's municipality is its event's
    I10 nothing personal outside the registry's vault

Rows of protected learners are outside I4 and I7 by definition: nobody is told of them.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any, Literal

from kompetensnav_care.erase import ANSWERED
from kompetensnav_care.log import Published
from kompetensnav_care.world import Row, World

Outcome = Literal["lost", "duplicated", "phantom", "unexpected", "unknown"]
"""`unknown` is allowed either way: a write that timed out, or an event still on its way."""

MATCHING, REPORTING = "matching-registry", "reporting-placements"
NOTIFICATIONS, SEATS = "notifications-offers", "registry-matching-learner-matched-v1"
NOBODY = "00000000-0000-0000-0000-000000000000"
"""Stands in a message where a learner was who has been erased."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not as promised."""

    invariant: str
    outcome: Outcome
    what: str
    ids: tuple[str, ...]


Findings = Iterator[Finding]


def _finding(invariant: str, outcome: Outcome, what: str, ids: Iterable[Any]) -> Findings:
    named = tuple(sorted({str(id) for id in ids}))
    if named:
        yield Finding(invariant, outcome, what, named)


def i1_every_acknowledged_slot_is_everywhere(world: World) -> Findings:
    """Where a slot should be by now is known from how far each listener is."""
    slots = {s["slot_id"]: s for s in world.of("registry", "slot") if not s["own_found"]}
    posted = Counter(e.fact("slot_id") for e in world.published("registry.slot.posted.v1"))
    on_their_way = {e.fact("slot_id") for e in world.published("registry.slot.posted.v1")} - {
        e.fact("slot_id") for e in world.due(MATCHING, "registry.slot.posted.v1")
    }
    if not world.unsent:
        yield from _finding("I1", "lost", "in the registry, never published", slots.keys() - posted.keys())
    early = {e.fact("slot_id") for e in world.published_before("registry.slot.posted.v1")}
    yield from _finding("I1", "phantom", "published, not in the registry", early - slots.keys())
    yield from _finding("I1", "duplicated", "posted twice", (id for id, n in posted.items() if n > 1))
    for service, consumer, there in (
        ("matching", MATCHING, {s["slot_id"] for s in world.of("matching", "slot")}),
        ("reporting", REPORTING, {f["thing_id"] for f in world.of("reporting", "fact")}),
    ):
        due = {e.fact("slot_id") for e in world.due(consumer, "registry.slot.posted.v1")}
        yield from _finding("I1", "lost", f"published, not in {service}", due - there)
    known = {s["slot_id"] for s in world.of("matching", "slot")}
    yield from _finding("I1", "phantom", "in matching, never published", known - posted.keys() - on_their_way)
    yield from _asked(world)


def _asked(world: World) -> Findings:
    there = Counter((s["municipality"], s["ref"]) for s in world.of("registry", "slot"))
    by_outcome: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for ask in world.asked:
        by_outcome[ask["outcome"]].append((ask["municipality"], ask["ref"]))
    acked = by_outcome["acked"]
    yield from _finding("I1", "lost", "acknowledged, not there", (k for k in acked if not there[k]))
    refused = [key for key in by_outcome["refused"] if there[key] and key not in acked]
    yield from _finding("I1", "unexpected", "refused, yet there", refused)
    yield from _finding(
        "I1", "duplicated", "there more than once", (k for k, n in there.items() if n > 1 and k[1])
    )


def i2_one_active_placement_at_a_time(world: World) -> Findings:
    """Offers that are open or agreed, by learner, may not overlap, but for split weeks on different days."""
    active: dict[str, list[Row]] = defaultdict(list)
    for offer in world.of("registry", "offer"):
        if offer["state"] in ("open", "confirmed"):
            active[offer["learner_id"]].append(offer)
    twice = []
    for offers in active.values():
        offers.sort(key=lambda o: (o["starts_on"], o["ends_on"], o["offer_id"]))
        twice += [b["offer_id"] for a, b in combinations(offers, 2) if _clash(a, b)]
    yield from _finding("I2", "duplicated", "overlaps another active offer of the learner", twice)


def _clash(first: Row, then: Row) -> bool:
    days, others = set(first.get("weekdays") or ()), set(then.get("weekdays") or ())
    return bool(then["starts_on"] <= first["ends_on"] and (not (days and others) or days & others))


def i3_seats_are_never_exceeded(world: World) -> Findings:
    """At every prefix of the log, and at every moment of the ledger, by slot and by workplace and week."""
    seats: dict[str, int] = {}
    held: dict[str, set[str]] = defaultdict(set)
    over: set[str] = set()
    again: set[str] = set()
    names = ("registry.slot.posted.v1", "registry.slot.changed.v1", "registry.seat.reserved.v1",
             "registry.seat.released.v1")  # fmt: skip
    for event in world.published(*names):
        slot_id = str(event.fact("slot_id"))
        if "Kn-Again" in event.headers:
            again.add(slot_id)  # the order of the log is no more that of the ledger, which is looked at below
        if event.name.startswith("registry.slot."):
            seats[slot_id] = int(event.fact("seats") or 0)
        elif event.name.startswith("registry.seat.reserved"):
            held[slot_id].add(event.fact("seat_id"))
        else:
            held[slot_id].discard(event.fact("seat_id"))
        if slot_id in seats and len(held[slot_id]) > seats[slot_id]:
            over.add(slot_id)
    yield from _finding("I3", "unexpected", "more seats reserved than posted, in the log", over - again)
    most = {s["slot_id"]: s["seats"] for s in world.of("registry", "slot")}
    capacity = {w["workplace_id"]: w["reception_capacity"] for w in world.of("registry", "workplace")}
    by_slot: dict[str, list[Any]] = defaultdict(list)
    by_week: dict[tuple[str, Any], list[Any]] = defaultdict(list)
    for seat in world.of("registry", "seat"):
        by_slot[seat["slot_id"]].append(seat)
        week = seat["starts_on"] - timedelta(days=seat["starts_on"].weekday())
        while week <= seat["ends_on"]:
            by_week[seat["workplace_id"], week].append(seat)
            week += timedelta(weeks=1)
    full = {
        slot for slot, them in by_slot.items() if _at_once(them) > max(most.get(slot, 0), seats.get(slot, 0))
    }
    yield from _finding("I3", "unexpected", "more seats held at once than the slot has", full)
    other = {(r["workplace_id"], r["week"]): r["learners"] for r in world.of("registry", "reception_week")}
    changed = {w["workplace_id"] for w in world.of("registry", "workplace") if w.get("revision", 1) > 1}
    packed = set()
    for (w, week), them in by_week.items():  # what was received before a change is not known any more
        changed_anew = w in changed or (w, week) in other
        counted = [s for s in them if not s["released_at"]] if changed_anew else them
        if _at_once(counted) > other.get((w, week), capacity.get(w, 0)):
            packed.add(w)
    yield from _finding("I3", "unexpected", "more learners in a week than the workplace receives", packed)
    current = Counter(s["slot_id"] for s in world.of("registry", "seat") if s["released_at"] is None)
    wrong = [s["slot_id"] for s in world.of("registry", "slot") if s["taken"] != current[s["slot_id"]]]
    yield from _finding("I3", "unexpected", "seats taken are not the seats held", wrong)


def _at_once(seats: Sequence[Any]) -> int:
    """The most seats held at one moment."""
    moments: list[tuple[datetime, int]] = []
    for seat in seats:
        moments.append((seat["reserved_at"], 1))
        if seat["released_at"] is not None:
            moments.append((seat["released_at"], -1))
    held = most = 0
    for _, change in sorted(moments):  # at one instant those who leave go first
        held += change
        most = max(most, held)
    return most


ANSWERS = ("registry.seat.reserved.v1", "registry.seat.refused.v1")


def i4_one_effect_per_event(world: World) -> Findings:
    """A match is answered once, a counted event counted once, and an inbox holds only events that are
    there."""
    answered = Counter(e.fact("match_id") for e in world.published(*ANSWERS))
    matched = {e.fact("match_id") for e in world.published("matching.learner.matched.v1")} | {
        e.headers["ce-subject"] for e in world.erased if e.name == "matching.learner.matched.v1"
    }
    due = {e.fact("match_id") for e in world.due(SEATS, "matching.learner.matched.v1")}
    due -= {str(ask["match_id"]) for ask in world.of("registry", "ask") if ask["state"] == "asked"}
    if not world.unsent:
        yield from _finding("I4", "lost", "matched, never answered", due - answered.keys())
    yield from _finding("I4", "duplicated", "answered twice", (m for m, n in answered.items() if n > 1))
    yield from _finding("I4", "phantom", "answered, never matched", answered.keys() - matched)
    counted = Counter(f["event_id"] for f in world.of("reporting", "fact"))
    countable = world.filters.get(REPORTING, frozenset())
    due_ids = {e.id for e in world.due(REPORTING, *countable)}
    erased = {e.id for e in world.erased}
    published_ids = {e.id for e in world.published(*countable)} | erased
    yield from _finding("I4", "lost", "published, not counted in reporting", due_ids - counted.keys())
    yield from _finding(
        "I4", "phantom", "counted in reporting, never published", counted.keys() - published_ids
    )
    ids = {e.id for e in world.log if e.is_event} | erased
    for consumer, handled in world.inboxes.items():
        yield from _finding("I4", "phantom", f"handled by {consumer}, never published", handled.keys() - ids)


def i5_revisions_are_contiguous(world: World) -> Findings:
    """Per visibility, thing and aggregate: 1, 2, 3 ... each once. A service that was put back from a backup
    forgets erased learners again, and rightly says so again."""
    revisions: dict[tuple[str, str, str], Counter[int]] = defaultdict(Counter)
    for event in world.events:
        if event.name.endswith(ANSWERED):
            continue
        thing = event.name.rsplit(".", 2)[0]
        key = (event.stream + str(event.fact("to") or ""), thing, event.headers.get("ce-subject", ""))
        revisions[key][int(event.headers.get("ce-revision", "0"))] += 1
    twice = [f"{k[1]} {k[2]}" for k, found in revisions.items() if any(n > 1 for n in found.values())]
    gaps = [f"{k[1]} {k[2]}" for k, found in revisions.items() if set(found) != set(range(1, max(found) + 1))]
    yield from _finding("I5", "duplicated", "the same revision published twice", twice)
    if not world.unsent:
        yield from _finding("I5", "lost", "a revision is missing", gaps)


def i6_one_message_per_recipient(world: World) -> Findings:
    """Who has a part in an offer has a message; a message that was sent reached the mail server."""
    messages = world.of("notifications", "message")
    keys = Counter((m["kind"], m["cause_id"], m["party"], m["recipient_id"], m["channel"]) for m in messages)
    yield from _finding(
        "I6", "duplicated", "two messages of one key", (k[1] for k, n in keys.items() if n > 1)
    )
    there = {(m["cause_id"], m["party"], m["recipient_id"]) for m in messages}
    silent = set()
    for offer in world.due(NOTIFICATIONS, "registry.offer.made.v1"):
        for party in (*offer.fact("must_answer"), *offer.fact("are_told")):
            mine = (offer.fact("offer_id"), party, offer.fact("learner_id"))
            theirs = (offer.fact("round_id"), party, offer.fact("workplace_id"))
            if party in ("learner", "guardian") and there.isdisjoint((mine, (*mine[:2], NOBODY))):
                silent.add(offer.fact("offer_id"))
            if party == "employer" and theirs not in there and not offer.fact("elsewhere"):
                silent.add(offer.fact("offer_id"))
    yield from _finding("I6", "lost", "an offer with a party that has no message", silent)
    sent = {m["message_id"] for m in messages if m["state"] == "sent"}
    published = Counter(e.fact("message_id") for e in world.published("notifications.message.sent.v1"))
    if not world.unsent:
        yield from _finding("I6", "lost", "sent, never published", sent - published.keys())
    yield from _finding(
        "I6", "duplicated", "published as sent twice", (m for m, n in published.items() if n > 1)
    )
    if world.mails is not None:
        yield from _finding("I6", "lost", "sent, and no mail server has it", sent - world.mails.keys())
        known = {m["message_id"] for m in messages}
        yield from _finding("I6", "phantom", "mailed without a message", world.mails.keys() - known)
        repeated = (m for m, n in world.mails.items() if n > 1)
        yield from _finding("I6", "unknown", "mailed again after a kill, same Message-ID", repeated)


COUNTED: dict[str, tuple[str, Callable[[Row], bool]]] = {
    "registry.offer.made.v1": ("offer", lambda row: not row["by_hand"]),
    "registry.placement.confirmed.v1": ("placement", lambda row: not row["by_hand"]),
    "registry.placement.interrupted.v1": (
        "placement",
        lambda row: row["state"] == "interrupted" and not row["by_hand"],
    ),
    "registry.placement.completed.v1": (
        "placement",
        lambda row: row["state"] == "completed" and not row["by_hand"],
    ),
}
"""Event -> the registry's rows that there is one of for each."""


def i7_reports_add_up(world: World) -> Findings:
    """By municipality and event, at rest: rows of reporting = events published = rows of the registry."""
    if not world.is_at_rest:
        return
    events = {e.id: e for e in (*world.erased, *world.events)}
    published = Counter((e.municipality, e.name) for e in events.values())
    reported = Counter((f["municipality"], f["name"]) for f in world.of("reporting", "fact"))
    given_up = {d.headers.get("ce-id") for d in world.dead if d.headers.get("Kn-Dead-Consumer") == REPORTING}
    given_up |= {e.id for e in world.erased} - world.inboxes.get(REPORTING, {}).keys()
    given_up -= {f["event_id"] for f in world.of("reporting", "fact")}  # those that a replay has mended
    dead = Counter((e.municipality, e.name) for e in events.values() if e.id in given_up)
    countable = world.filters.get(REPORTING, frozenset())
    wrong = {
        f"{m} {name}: log {published[m, name]}, reporting {reported[m, name]}"
        for m, name in {key for key in published.keys() | reported.keys() if key[1] in countable}
        if published[m, name] - dead[m, name] != reported[m, name]
    }
    for name, (view, counts) in COUNTED.items():
        rows = Counter(r["municipality"] for r in world.of("registry", view) if counts(r))
        wrong |= {
            f"{m} {name}: log {published[m, name]}, registry {rows[m]}"
            for m in rows.keys() | {m for m, n in published if n == name}
            if published[m, name] != rows[m]
        }
    yield from _finding("I7", "unexpected", "totals differ", wrong)


HEARD = ("INT_", "FEDIN_")
"""Streams that services listen to."""


def i8_nothing_is_in_limbo(world: World) -> Findings:
    """Every stored message of a listener is pending, in flight, handled or dead."""
    for consumer, names in world.filters.items():
        handled = world.inboxes.get(consumer, {})
        gone = {
            d.headers.get("Kn-Dead-Seq") for d in world.dead if d.headers.get("Kn-Dead-Consumer") == consumer
        }
        floor = world.floors.get(consumer, 0)
        lost = [
            e.seq
            for e in world.log
            if e.stream.startswith(HEARD) and e.name in names and e.seq <= floor and e.is_for(consumer)
            and e.id not in handled and str(e.seq) not in gone
        ]  # fmt: skip
        yield from _finding("I8", "lost", f"settled for {consumer}, neither handled nor dead", lost)


def i9_a_rows_municipality_is_its_events(world: World) -> Findings:
    """In the envelope, and in every row that came of an event."""
    wrong = [e.id for e in world.events if e.headers.get("ce-municipality") != e.municipality]
    yield from _finding("I9", "unexpected", "subject and envelope name different municipalities", wrong)
    home: dict[str, str] = {}
    for event in world.events:
        home[event.id] = event.municipality
        if event.stream.startswith("INT_") and event.name.split(".")[1] in ("slot", "request", "placement"):
            home[event.headers.get("ce-subject", "")] = event.municipality
    for service, view, key in (("matching", "slot", "slot_id"), ("matching", "request", "request_id"),
                               ("reporting", "fact", "event_id"), ("registry", "slot", "slot_id"),
                               ("registry", "placement", "placement_id")):  # fmt: skip
        rows = world.of(service, view)
        moved = [r[key] for r in rows if home.get(r[key], r["municipality"]) != r["municipality"]]
        yield from _finding("I9", "unexpected", f"{service}'s {view} is in another municipality", moved)


ADDRESS = re.compile(rb"[\w.+-]+@[\w-]+\.[\w.-]+")
DIGITS = re.compile(rb"\d{6}[-+]?\d{4}")
"""Cheap to look for, and part of every personal number."""
NUMBER = re.compile(rb"(?<![0-9a-f-])(?:19|20)?\d{6}[-+]?\d{4}(?![0-9a-f-])", re.IGNORECASE)


def i10_nothing_personal_is_published(world: World, canaries: Sequence[str] = ()) -> Findings:
    """No mail address, no personal number, and none of the given canaries in any message or fact."""
    texts = [(f"{e.stream}:{e.seq}", e.data + _headers(e)) for e in (*world.log, *world.dead)]
    texts += [
        (f"{service}.{view}", repr(sorted(row.items())).encode())
        for (service, view), rows in world.facts.items()
        for row in rows
    ]
    marks = [canary.encode() for canary in canaries if canary]
    addresses, numbers, found = set(), set(), set()
    for where, text in texts:
        if b"@" in text and ADDRESS.search(text):
            addresses.add(where)
        if DIGITS.search(text) and any(_is_personal(number) for number in NUMBER.findall(text)):
            numbers.add(where)
        if any(mark in text for mark in marks):
            found.add(where)
    yield from _finding("I10", "unexpected", "holds a mail address", addresses)
    yield from _finding("I10", "unexpected", "holds a personal number", numbers)
    yield from _finding("I10", "unexpected", "holds a canary", found)


def _headers(event: Published) -> bytes:
    return repr(sorted(event.headers.items())).encode()


def _is_personal(number: bytes) -> bool:
    """A day of birth (or a coordination number's day + 60) and a right check digit (Luhn). An organisation
    number has a third digit of at least 2, so that no month fits."""
    digits = re.sub(rb"\D", b"", number)[-10:].decode()
    month, day = int(digits[2:4]), int(digits[4:6])
    if not (1 <= month <= 12 and (1 <= day <= 31 or 61 <= day <= 91)):
        return False
    total = sum(sum(divmod(int(d) * (2 - i % 2), 10)) for i, d in enumerate(digits))
    return total % 10 == 0


INVARIANTS: dict[str, Callable[[World], Findings]] = {
    "I1": i1_every_acknowledged_slot_is_everywhere,
    "I2": i2_one_active_placement_at_a_time,
    "I3": i3_seats_are_never_exceeded,
    "I4": i4_one_effect_per_event,
    "I5": i5_revisions_are_contiguous,
    "I6": i6_one_message_per_recipient,
    "I7": i7_reports_add_up,
    "I8": i8_nothing_is_in_limbo,
    "I9": i9_a_rows_municipality_is_its_events,
    "I10": i10_nothing_personal_is_published,
}

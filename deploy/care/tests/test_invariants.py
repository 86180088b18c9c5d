"""Every invariant holds in a small healthy world, and finds the fault when one thing in it is broken."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from kompetensnav_care.invariants import MATCHING, NOBODY, NOTIFICATIONS, REPORTING, SEATS
from kompetensnav_care.log import Published
from kompetensnav_care.verify import judge
from kompetensnav_care.world import World

NOON = datetime(2027, 1, 11, 12, tzinfo=UTC)
PERIOD = {"starts_on": date(2027, 2, 1), "ends_on": date(2027, 2, 26)}
SLOT, SEAT, MATCH, OFFER, REQUEST, LEARNER, WORKPLACE, PLACEMENT = (f"{n:08d}-aaaa" for n in range(8))
MESSAGES = {"learner": f"{20:08d}-aaaa", "employer": f"{21:08d}-aaaa"}


def published(
    seq: int, name: str, subject: str, revision: int = 1, stream: str = "INT_X", **body: Any
) -> Published:
    """An event as it lies in the stream."""
    headers = {
        "ce-specversion": "1.0",
        "ce-id": f"event-{seq}",
        "ce-subject": subject,
        "ce-type": name,
        "ce-revision": str(revision),
        "ce-municipality": "2580",
    }
    return Published(
        stream, seq, f"nav.2580.{stream[:3].lower()}.{name}", headers, json.dumps(body).encode(), body
    )


OFFERED = {
    "offer_id": OFFER,
    "match_id": MATCH,
    "round_id": "round",
    "learner_id": LEARNER,
    "workplace_id": WORKPLACE,
    "must_answer": ["employer", "learner"],
    "are_told": [],
}
LOG = [
    published(1, "registry.slot.posted.v1", SLOT, slot_id=SLOT, seats=1),
    published(2, "registry.request.opened.v1", REQUEST, request_id=REQUEST, learner_id=LEARNER),
    published(3, "matching.learner.matched.v1", MATCH, match_id=MATCH, request_id=REQUEST),
    published(4, "registry.capacity.changed.v1", SLOT, slot_id=SLOT, seats_left=0),
    published(5, "registry.seat.reserved.v1", SEAT, match_id=MATCH, seat_id=SEAT, slot_id=SLOT),
    published(6, "registry.offer.made.v1", OFFER, **OFFERED),
    published(7, "registry.offer.accepted.v1", OFFER, 2, **OFFERED),
    published(8, "registry.placement.confirmed.v1", PLACEMENT, placement_id=PLACEMENT, **OFFERED),
    published(9, "notifications.message.sent.v1", MESSAGES["learner"], message_id=MESSAGES["learner"]),
    published(10, "notifications.message.sent.v1", MESSAGES["employer"], message_id=MESSAGES["employer"]),
]
FILTERS = {
    MATCHING: {"registry.slot.posted.v1", "registry.request.opened.v1", "registry.seat.reserved.v1"},
    REPORTING: {
        "registry.slot.posted.v1",
        "registry.request.opened.v1",
        "matching.learner.matched.v1",
        "registry.placement.confirmed.v1",
    },
    SEATS: {"matching.learner.matched.v1"},
    NOTIFICATIONS: {"registry.offer.made.v1", "registry.placement.confirmed.v1"},
}
HOME = {"municipality": "2580", "administration": "school"}


def message(party: str, cause: str, recipient: str) -> dict[str, Any]:
    """A message that was sent."""
    return HOME | {
        "message_id": MESSAGES[party],
        "kind": "offer",
        "cause_id": cause,
        "party": party,
        "channel": "email",
        "recipient_id": recipient,
        "state": "sent",
    }


def healthy() -> World:
    """One slot, one learner, one placement, everyone published."""
    counted = [e for e in LOG if e.name in FILTERS[REPORTING]]
    return World(
        log=list(LOG),
        before={"INT_X": 1000},
        facts={
            ("registry", "slot"): [
                HOME
                | {
                    "slot_id": SLOT,
                    "ref": "a",
                    "workplace_id": WORKPLACE,
                    "seats": 1,
                    "taken": 1,
                    "own_found": False,
                    "withdrawn": False,
                },
            ],
            ("registry", "seat"): [
                HOME
                | {
                    "seat_id": SEAT,
                    "workplace_id": WORKPLACE,
                    "slot_id": SLOT,
                    "reserved_at": NOON,
                    "released_at": None,
                    "published": True,
                }
                | PERIOD,
            ],
            ("registry", "workplace"): [HOME | {"workplace_id": WORKPLACE, "reception_capacity": 1}],
            ("registry", "request"): [HOME | {"request_id": REQUEST, "learner_id": LEARNER}],
            ("registry", "offer"): [
                HOME
                | {"offer_id": OFFER, "learner_id": LEARNER, "state": "confirmed", "by_hand": False}
                | PERIOD,
            ],
            ("registry", "placement"): [
                HOME | {"placement_id": PLACEMENT, "state": "confirmed", "by_hand": False} | PERIOD,
            ],
            ("matching", "slot"): [HOME | {"slot_id": SLOT}],
            ("matching", "request"): [HOME | {"request_id": REQUEST}],
            ("notifications", "message"): [
                message("learner", OFFER, LEARNER),
                message("employer", "round", WORKPLACE),
            ],
            ("reporting", "fact"): [
                HOME | {"event_id": e.id, "name": e.name, "thing_id": e.headers["ce-subject"]}
                for e in counted
            ],
        },
        inboxes={c: {e.id: 1 for e in LOG if e.name in names} for c, names in FILTERS.items()},
        floors=dict.fromkeys(FILTERS, 10),
        filters={c: frozenset(names) for c, names in FILTERS.items()},
        waiting=dict.fromkeys(FILTERS, 0),
        mails=dict.fromkeys(MESSAGES.values(), 1),
    )


def facts(world: World, service: str, view: str, change: Callable[[list[Any]], list[Any]]) -> World:
    """The world with other rows in a view."""
    rows = change([dict(row) for row in world.of(service, view)])
    return replace(world, facts={**world.facts, (service, view): rows})


def more(world: World, *events: Published) -> World:
    """The world with more in its log."""
    return replace(world, log=[*world.log, *events])


def without(world: World, seq: int) -> World:
    """The world with one message gone."""
    return replace(world, log=[e for e in world.log if e.seq != seq])


def unhandled(world: World, consumer: str, id: str) -> World:
    """The world in which a consumer has settled a message without handling it."""
    kept = {key: n for key, n in world.inboxes[consumer].items() if key != id}
    return replace(world, inboxes={**world.inboxes, consumer: kept})


def later(rows: list[Any], **values: Any) -> list[Any]:
    """The rows and one more like the first."""
    return [*rows, rows[0] | values]


BROKEN: dict[str, tuple[str, str, Callable[[World], World]]] = {
    "a posted slot that matching lost": ("I1", "lost", lambda w: facts(w, "matching", "slot", lambda r: [])),
    "a slot published of that was rolled back": (
        "I1",
        "phantom",
        lambda w: facts(w, "registry", "slot", lambda r: []),
    ),
    "a slot that was never published": (
        "I1",
        "lost",
        lambda w: facts(w, "registry", "slot", lambda r: later(r, slot_id="other", taken=0)),
    ),
    "a slot posted twice": (
        "I1",
        "duplicated",
        lambda w: more(w, published(11, "registry.slot.posted.v1", SLOT, 2, slot_id=SLOT, seats=1)),
    ),
    "an acknowledged write that is gone": (
        "I1",
        "lost",
        lambda w: replace(w, asked=[{"municipality": "2580", "ref": "b", "outcome": "acked"}]),
    ),
    "a refused write that is there": (
        "I1",
        "unexpected",
        lambda w: replace(w, asked=[{"municipality": "2580", "ref": "a", "outcome": "refused"}]),
    ),
    "two placements at once": (
        "I2",
        "duplicated",
        lambda w: facts(w, "registry", "offer", lambda r: later(r, offer_id="other")),
    ),
    "a seat reserved twice in the log": (
        "I3",
        "unexpected",
        lambda w: more(
            w, published(11, "registry.seat.reserved.v1", "s2", match_id="m2", seat_id="s2", slot_id=SLOT)
        ),
    ),
    "a seat given twice in the ledger": (
        "I3",
        "unexpected",
        lambda w: facts(
            w, "registry", "seat", lambda r: later(r, seat_id="s2", released_at=NOON + timedelta(1))
        ),
    ),
    "a workplace that is too full": (
        "I3",
        "unexpected",
        lambda w: facts(w, "registry", "workplace", lambda r: [r[0] | {"reception_capacity": 0}]),
    ),
    "a count of seats that does not fit": (
        "I3",
        "unexpected",
        lambda w: facts(w, "registry", "slot", lambda r: [r[0] | {"taken": 0}]),
    ),
    "a match nobody answered": ("I4", "lost", lambda w: without(w, 5)),
    "a match answered twice": (
        "I4",
        "duplicated",
        lambda w: more(w, published(11, "registry.seat.refused.v1", MATCH, match_id=MATCH)),
    ),
    "an effect without an event": (
        "I4",
        "phantom",
        lambda w: facts(w, "reporting", "fact", lambda r: later(r, event_id="nobody", thing_id="x")),
    ),
    "an event that was not counted": ("I4", "lost", lambda w: facts(w, "reporting", "fact", lambda r: r[1:])),
    "an event handled that was never published": (
        "I4",
        "phantom",
        lambda w: replace(w, inboxes={**w.inboxes, MATCHING: w.inboxes[MATCHING] | {"x": 1}}),
    ),
    "a revision that is missing": (
        "I5",
        "lost",
        lambda w: more(w, published(11, "registry.offer.declined.v1", OFFER, 4, **OFFERED)),
    ),
    "a revision published twice": (
        "I5",
        "duplicated",
        lambda w: more(w, published(11, "registry.offer.expired.v1", OFFER, 2, **OFFERED)),
    ),
    "somebody who was not published": (
        "I6",
        "lost",
        lambda w: facts(w, "notifications", "message", lambda r: r[1:]),
    ),
    "a message written twice": (
        "I6",
        "duplicated",
        lambda w: facts(w, "notifications", "message", lambda r: later(r, message_id="x")),
    ),
    "a message marked as sent that never was": ("I6", "lost", lambda w: replace(w, mails={})),
    "a mail of no message": ("I6", "phantom", lambda w: replace(w, mails={**(w.mails or {}), "x": 1})),
    "a total that differs": (
        "I7",
        "unexpected",
        lambda w: facts(w, "registry", "placement", lambda r: later(r, placement_id="p2")),
    ),
    "a message acknowledged and not handled": ("I8", "lost", lambda w: unhandled(w, MATCHING, "event-1")),
    "a row in another municipality": (
        "I9",
        "unexpected",
        lambda w: facts(w, "matching", "request", lambda r: [r[0] | {"municipality": "2581"}]),
    ),
    "an address on the bus": (
        "I10",
        "unexpected",
        lambda w: more(w, published(11, "x.y.z.v1", "t", note="write to anna@example.com")),
    ),
    "a personal number on the bus": (
        "I10",
        "unexpected",
        lambda w: more(w, published(11, "x.y.z.v1", "t", note="850709-9805")),
    ),
}


def test_a_healthy_world_is_as_promised():
    verdict = judge(healthy(), ["canary"])
    assert [line for line in verdict.lines if line.outcome != "ok"] == []
    assert verdict.exit_code == 0
    assert {line.invariant for line in verdict.lines} == {f"I{n}" for n in range(1, 11)}


def named(invariant):
    """The ways to break an invariant."""
    return pytest.mark.parametrize("fault", [name for name, (i, _, _) in BROKEN.items() if i == invariant])


def is_found(fault):
    """The fault is found under its own name, with the offenders."""
    invariant, outcome, breaks = BROKEN[fault]
    verdict = judge(breaks(healthy()))
    assert (invariant, outcome) in {(line.invariant, line.outcome) for line in verdict.lines}
    assert verdict.exit_code == 1
    assert all(line.ids for line in verdict.lines if line.outcome != "ok"), "the offenders are named"


@named("I1")
def test_i1_every_acknowledged_slot_is_everywhere(fault):
    """A slot that is lost, never published, posted twice, or acknowledged and not there is found."""
    is_found(fault)


@named("I2")
def test_i2_one_active_placement_at_a_time(fault):
    """A learner with two offers or placements at once is found."""
    is_found(fault)


@named("I3")
def test_i3_seats_are_never_exceeded(fault):
    """A seat too many, in the log, in the ledger, or in a workplace's week, is found."""
    is_found(fault)


@named("I4")
def test_i4_one_effect_per_event(fault):
    """An effect that is missing, double, or without its event is found."""
    is_found(fault)


@named("I5")
def test_i5_revisions_are_contiguous(fault):
    """A revision that is missing or published twice is found."""
    is_found(fault)


def test_i5_a_service_that_was_put_back_may_answer_an_erasure_again():
    answers = [
        published(n, "matching.erasure.answered.v1", "erasure", erasure_id="erasure") for n in (11, 12)
    ]
    assert judge(more(healthy(), *answers)).exit_code == 0


@named("I6")
def test_i6_one_message_per_recipient(fault):
    """Somebody who was not published, and a message written twice or never sent, is found."""
    is_found(fault)


def test_a_message_of_an_erased_learner_names_nobody():
    """The message stays when the learner is erased, and names nobody."""
    world = facts(healthy(), "notifications", "message", lambda r: [r[0] | {"recipient_id": NOBODY}, *r[1:]])
    assert judge(world).exit_code == 0


def forgotten(world: World) -> World:
    """The learner's events are gone from the log; their rows in the outboxes are there."""
    gone = [e for e in world.log if e.name.split(".")[1] in ("request", "learner", "offer", "placement")]
    assert len(gone) == 5
    return replace(
        world,
        log=[e for e in world.log if e not in gone],
        erased=[replace(e, stream="", data=b"", body=None) for e in gone],
    )


def test_what_was_told_of_a_forgotten_learner_is_not_lost():
    """And without the rows in the outboxes it would be."""
    world = forgotten(healthy())
    assert judge(world).exit_code == 0, judge(world)
    named = {line.invariant for line in judge(replace(world, erased=())).lines if line.outcome != "ok"}
    assert {"I4", "I7"} <= named


@named("I7")
def test_i7_reports_add_up(fault):
    """A total of a report that is not that of the log and the registry is found."""
    is_found(fault)


@named("I8")
def test_i8_nothing_is_in_limbo(fault):
    """A message that is neither waiting nor handled nor dead is found."""
    is_found(fault)


@named("I9")
def test_i9_a_rows_municipality_is_its_events(fault):
    """A row in another municipality than its event is found."""
    is_found(fault)


@named("I10")
def test_i10_nothing_personal_is_published(fault):
    """A mail address, a personal number or a canary in a message or a fact is found."""
    is_found(fault)


def test_a_canary_is_found_wherever_it_stands():
    marked = replace(published(11, "x.y.z.v1", "t"), data="Kanarie Fågel".encode())
    verdict = judge(more(healthy(), marked), ["Kanarie Fågel"])
    assert [(line.invariant, line.ids) for line in verdict.lines if line.outcome != "ok"] == [
        ("I10", ("INT_X:11",))
    ]


def test_what_is_on_its_way_proves_nothing():
    """A slot posted a moment ago: matching and reporting have not come so far yet."""
    fresh = published(11, "registry.slot.posted.v1", "new", slot_id="new", seats=1)
    world = more(healthy(), fresh)
    world = facts(world, "registry", "slot", lambda r: later(r, slot_id="new", ref="n", taken=0))
    world = replace(world, waiting={**world.waiting, MATCHING: 1, REPORTING: 1})
    assert judge(world).exit_code == 0
    unread = facts(world, "registry", "slot", lambda r: r[:1])
    assert judge(unread).exit_code == 1, "a slot published before the facts were read is in them"
    assert judge(replace(unread, before={"INT_X": 10})).exit_code == 0, "one published since need not be"


def test_a_dead_letter_accounts_for_what_was_not_handled():
    world = unhandled(healthy(), MATCHING, "event-1")
    world = facts(world, "matching", "slot", lambda r: [])
    dead_letter = replace(
        LOG[0], headers=LOG[0].headers | {"Kn-Dead-Consumer": MATCHING, "Kn-Dead-Seq": "1"}, stream="DEAD_X"
    )
    assert judge(replace(world, dead=[dead_letter])).exit_code == 0


def test_a_repeat_of_an_event_is_one_event():
    world = more(healthy(), replace(LOG[0], seq=11))
    assert judge(world).exit_code == 0


def test_an_organisation_number_is_no_personal_number():
    world = more(healthy(), published(11, "registry.employer.registered.v1", "e", org_number="5560360793"))
    assert judge(world).exit_code == 0

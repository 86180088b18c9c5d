"""The console's rules: the chain of the audit, what is alike, what is shown, and when somebody is told."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kompetensnav_chassis.streams import moment, plain
from kompetensnav_operations.actions import alerts as alerting
from kompetensnav_operations.actions.snapshot import Board, recent
from kompetensnav_operations.domain import alerts, chain
from kompetensnav_operations.domain.alerts import Recent, judge
from kompetensnav_operations.domain.dead_letters import (
    Standing,
    differences,
    fingerprint,
    hindrance,
    masked,
    may_undo,
    readable,
    references,
    way,
)
from kompetensnav_operations.domain.picture import (
    Instance,
    Picture,
    Queue,
    Server,
    Stream,
    as_json,
    flow,
    from_json,
    has_gap,
)
from kompetensnav_operations.edges.broker import Held
from kompetensnav_operations.settings import Settings
from kompetensnav_operations.tables import Sample

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
QUIET = Recent({}, {}, {})


def queue(**more):
    values = {
        "stream": "S", "name": "c", "waiting": 0, "in_flight": 0, "redelivered": 0, "pulls": 1,
        "delivered": 10, "done": 10, "floor": 10, "last_seq": 10, "delivered_at": NOW, "answered_at": NOW,
        "paused": False, "filters": ("a.>", "replay.c.>"), "metadata": {}, "ack_wait": 30.0,
        "max_deliver": 20, "max_ack_pending": 1000,
    }  # fmt: skip
    return Queue(**values | more)


def entries(n):
    made, previous = [], chain.FIRST
    for number in range(1, n + 1):
        bare = chain.Entry(number, NOW.isoformat(), "anna", ("operator",), "discard", f"dead letter {number}",
                           "skäl", "done", {"n": number, "ids": [1, 2]}, previous, "")  # fmt: skip
        made.append(replace(bare, seal=chain.seal(bare)))
        previous = made[-1].seal
    return made


def test_a_whole_chain_holds():
    made = entries(20)
    assert chain.breaks(made, {e.number: e.seal for e in made}) == []
    assert chain.breaks([], {}) == []


CHANGES = {
    "number": lambda v: v + 1000, "at": lambda v: v + "1", "actor": lambda v: v + "x",
    "roles": lambda v: (*v, "admin"), "act": lambda v: "restore", "target": lambda v: v + "0",
    "reason": lambda v: "", "result": lambda v: "denied", "detail": lambda v: {**v, "n": -1},
    "previous": lambda v: v[:-1] + ("0" if v[-1] != "0" else "1"), "seal": lambda v: v[1:] + v[:1],
}  # fmt: skip


@given(st.randoms(use_true_random=False), st.integers(2, 30))
def test_every_tampering_is_found(random, n):
    """Five tries each of a hundred examples: change, take away, double, move, forge with a right seal of its
    own, cut the end."""
    made = entries(n)
    anchors = {e.number: e.seal for e in made}
    for _ in range(5):
        spoiled = list(made)
        at = random.randrange(n)
        match random.choice(["change", "remove", "double", "move", "forge", "cut"]):
            case "change":
                name = random.choice(sorted(CHANGES))
                spoiled[at] = replace(spoiled[at], **{name: CHANGES[name](getattr(spoiled[at], name))})
            case "remove":
                del spoiled[at]
            case "double":
                spoiled.insert(at, spoiled[at])
            case "move":
                other = (at + 1 + random.randrange(n - 1)) % n
                spoiled[at], spoiled[other] = spoiled[other], spoiled[at]
            case "forge":
                forged = replace(spoiled[at], actor="somebody else")
                spoiled[at] = replace(forged, seal=chain.seal(forged))
            case "cut":
                spoiled = spoiled[:at]
        assert chain.breaks(spoiled, anchors)


def test_dead_letters_of_one_cause_have_one_fingerprint():
    one = fingerprint("c", "t", "failed", "KeyError", "a.py:10 f > b.py:20 g")
    assert one == fingerprint("c", "t", "failed", "KeyError", "a.py:11 f > b.py:21 g")
    assert one != fingerprint("c", "t", "failed", "KeyError", "a.py:10 f > b.py:20 h")
    assert one != fingerprint("d", "t", "failed", "KeyError", "a.py:10 f > b.py:20 g")
    id = "01980000-0000-7000-8000-00d4fbce7630"
    assert fingerprint("c", "t", "x", f"no {id} at 7", "") == fingerprint("c", "t", "x", "no # at 12", "")


@pytest.mark.parametrize(
    ("state", "listener", "is_there", "why"),
    [
        ("waiting", queue(), True, ""),
        ("waiting", queue(), False, "gone"),
        ("waiting", None, True, "no-consumer"),
        ("waiting", queue(filters=("a.>",)), True, "no-replay-subject"),
        ("discarded", queue(), True, "discarded"),
        *((state, queue(), True, "already") for state in ("taken", "replayed", "handled", "returned")),
    ],
)
def test_what_cannot_be_replayed_says_why(state, listener, is_there, why):
    assert hindrance(Standing(state, is_there), listener) == why


def test_a_replay_goes_through_the_consumers_own_door():
    assert way(queue(), "a.b") == "replay.c.a.b"
    assert way(queue(), "replay.c.a.b") == "replay.c.a.b", (
        "a dead letter that is a replay itself goes there again"
    )


def test_a_dead_letter_can_be_taken_back_for_thirty_days():
    assert may_undo(NOW, NOW + timedelta(days=30))
    assert not may_undo(NOW, NOW + timedelta(days=30, seconds=1))


def test_a_masked_body_has_every_name_and_no_value():
    body = {
        "name": "Åsa",
        "born": 2009,
        "ok": True,
        "none": None,
        "list": [{"inner": "hemlig"}, 1],
        "empty": [],
    }
    shown = masked(json.dumps(body).encode())
    assert not any(word in shown for word in ("Åsa", "2009", "hemlig"))
    assert json.loads(shown) == {
        "name": "<text>", "born": "<number>", "ok": "<true/false>", "none": "<null>",
        "list": [{"inner": "<text>"}, "… 2"], "empty": [],
    }  # fmt: skip


@given(st.binary(max_size=2000))
def test_any_body_can_be_shown(body):
    kind, text = readable(body)
    assert kind in ("json", "text", "bytes")
    assert isinstance(masked(body), str)
    assert isinstance(text, str)


def test_a_body_that_is_nested_deeply_or_large_is_shown_cut():
    assert masked(b"[" * 50_000)
    assert len(readable(b'"' + b"x" * 1_000_000 + b'"')[1]) <= 200_000
    assert readable(b"\xff\xfe\x00")[0] == "bytes"


def test_references_are_the_ids_a_body_names():
    one, other = "01980000-0000-7000-8000-00d4fbce7630", "AB980000-0000-7000-8000-00d4fbce7630"
    assert references(f'{{"a": "{one}", "b": ["{other}", "{one}"]}}'.encode()) == [one, other.lower()]


def test_differences_are_paths_without_values():
    before = {"a": 1, "b": {"c": [1, 2]}, "d": "x"}
    assert differences(before, before) == []
    assert differences(before, {"a": True, "b": {"c": [1, 3]}, "e": "x"}) == ["/a", "/b/c/1", "/d", "/e"]


def test_flow_is_what_came_and_what_was_answered():
    before, now = queue(waiting=5, done=10), queue(waiting=8, done=20)
    assert flow(before, now, 10) == (1.3, 1.0)
    assert flow(now, before, 10) == (0.0, 0.0), "made anew"


def test_a_gap_is_seen_only_when_nothing_is_under_way():
    assert has_gap(queue(floor=7))
    assert not has_gap(queue(floor=7, waiting=1))
    assert not has_gap(queue())


def test_a_picture_is_kept_whole():
    picture = Picture(
        NOW,
        (Stream("S", 1, 2, -1, 3, NOW, 1, (("T", None), ("U", 0.5)), 0, "x"),),
        (queue(paused_until=NOW), queue(delivered_at=None)),
        (Instance("a", "i", "1", "h", ("f",), 1, 2.0, 0, 0.1, ("c",)),),
        (Server("n", "2", 1, 0, 1, 2, NOW, ("GATE",)),),
        ("b",),
        ("l",),
        {"broker": "x"},
    )
    assert from_json(json.loads(json.dumps(as_json(picture)))) == picture


INSTANCE = Instance("svc", "i", "1", "h", (), 0, 0.0, 0, 0.0)
SERVER = Server("n", "2", 1, 0, 10, 100, None)
STREAM = Stream("S", 1, 10, 100, 3, NOW, 1)
BROKEN = {
    "age": (Picture(NOW, queues=(queue(oldest=901.0),)), QUIET),
    "limbo": (Picture(NOW, queues=(queue(limbo=1),)), QUIET),
    "dead-growth": (Picture(NOW, queues=(queue(),)), Recent({"S/c": 10}, {}, {})),
    "redelivery": (Picture(NOW, queues=(queue(),)), Recent({}, {"S/c": (30, 100)}, {})),
    "outbox": (Picture(NOW, instances=(replace(INSTANCE, outbox_oldest=61.0),)), QUIET),
    "link": (Picture(NOW, lost_links=("GATE",)), QUIET),
    "slow-consumer": (Picture(NOW, servers=(SERVER,)), Recent({}, {}, {"n": 1})),
    "disk": (Picture(NOW, servers=(replace(SERVER, store_used=91),)), QUIET),
    "certificate": (
        Picture(NOW, servers=(replace(SERVER, certificate_ends=NOW + timedelta(days=29)),)), QUIET
    ),
    "clock": (Picture(NOW, instances=(replace(INSTANCE, skew=-6.0),)), QUIET),
}  # fmt: skip


@pytest.mark.parametrize("rule", alerts.RULES)
def test_each_of_the_ten_rules_is_found_broken_and_alone(rule):
    picture, recent = BROKEN[rule]
    assert [finding.rule for finding in judge(picture, recent)] == [rule]


def test_nothing_is_found_when_all_is_well():
    well = Picture(NOW, (STREAM,), (queue(oldest=10.0),), (INSTANCE,), (SERVER,))
    assert judge(well, Recent({"S/c": 9}, {"S/c": (9, 10)}, {"n": 0})) == []


def test_other_ways_to_break_a_rule():
    full = Picture(NOW, (replace(STREAM, bytes=95),))
    assert [f.rule for f in judge(full, QUIET)] == ["disk"]
    silent = Picture(NOW, silent=("svc",), instances=(replace(INSTANCE, parked=1),))
    assert [(f.rule, f.target) for f in judge(silent, QUIET)] == [("outbox", "svc@h"), ("outbox", "svc")]
    long = Picture(NOW, queues=(queue(waiting=10_001),))
    assert [f.rule for f in judge(long, QUIET)] == ["age"]
    assert judge(Picture(NOW, queues=(queue(oldest=9999.0, paused=True),)), QUIET) == []


@pytest.mark.parametrize(
    ("text", "seconds"), [("15m", 900), ("1h30m", 5400), ("45s", 45), ("250ms", 0.25), ("x", 7), ("", 7)]
)
def test_durations_are_read_as_go_writes_them(text, seconds):
    assert alerts.duration(text, 7) == seconds


def test_a_threshold_stands_in_the_consumers_metadata():
    mild = queue(oldest=901.0, metadata={"io.nats.monitor.age-critical": "1h"})
    assert judge(Picture(NOW, queues=(mild,)), QUIET) == []
    odd = queue(waiting=10_001, metadata={"io.nats.monitor.unprocessed-critical": "many"})
    assert [f.limit for f in judge(Picture(NOW, queues=(odd,)), QUIET)] == [10_000]


def test_only_a_replays_own_subject_is_a_door():
    assert queue(name="orders", filters=("shop.orders.>",)).replay_subject == ""
    assert (
        queue(name="orders", filters=("shop.orders.>", "replay.s.orders.>")).replay_subject
        == "replay.s.orders."
    )


def test_a_dead_letter_is_never_its_namesakes_in_another_stream():
    picture = Picture(NOW, queues=(queue(stream="OTHER"),))
    assert picture.of_consumer("c", "S") is None
    assert picture.of_consumer("c") is not None


def test_what_a_stream_holds():
    """From its first to its last but what was taken out; a replica that lags answers nothing of what is
    there."""
    held = Held(3, 9, frozenset({5, 8, 9}))
    assert [n for n in range(1, 11) if n in held] == [3, 4, 6, 7]
    assert [held.has_after(n) for n in (0, 3, 6, 7, 9)] == [True, True, True, False, False]
    assert not Held(10, 9, frozenset()).has_after(0), "all of it is gone"


@pytest.mark.parametrize(("text", "shown"), [("a\0b", "a\ufffdb"), ("\udc80", "?"), ("Åsa", "Åsa")])
def test_what_no_database_takes_is_made_plain(text, shown):
    assert plain(text) == shown


def test_times_are_read_whatever_they_say():
    assert moment("2026-11-26T12:00:00.123456789Z") == datetime(2026, 11, 26, 12, 0, 0, 123456, UTC)
    assert moment("2026-11-26T12:00:00") == datetime(2026, 11, 26, 12, tzinfo=UTC)
    assert moment("0001-01-01T00:00:00Z") is moment("soon") is moment("9999-12-31T23:59:59-23:00") is None


def test_half_a_character_is_shown_as_it_was_written():
    body = b'{"name": "\\ud800"}'
    kind, text = readable(body)
    assert (kind, text.encode().decode()) == ("json", text)
    assert json.loads(text) == json.loads(body)
    assert masked(b'{"\\ud800": 1}').isascii()


def test_repeats_are_tries_that_failed_or_what_is_held_to_be_repeated():
    then = Sample(queue="S/c", delivered=100)
    looked = alerting.repeats([queue(delivered=160, redelivered=2)], {"S/c": 15}, {"S/c": then})
    assert looked == {"S/c": (15, 60)}
    assert alerting.repeats([queue(delivered=160, redelivered=20)], {}, {"S/c": then}) == {"S/c": (20, 60)}
    assert alerting.repeats([queue(delivered=5)], {}, {"S/c": then}) == {}, "it was made anew since"


def test_slow_consumers_are_those_of_the_last_while():
    board = Board("x", Picture(at=NOW))

    def seen(count):
        board.servers = (Server("n", "", 1, count, 0, 0, None),)
        return recent(board, {}, {}).slow["n"]

    assert [seen(n) for n in (7, 7, 9, 9)] == [0, 0, 2, 2]
    assert [seen(n) for n in (0, 1)] == [0, 1], "the server has begun anew"


def test_a_secret_that_cannot_sign_is_refused_at_the_start():
    given = {"database_url": "postgresql://x/x", "relay_database_url": "postgresql://x/x", "stack": "x",
             "issuer": "http://127.0.0.1:1", "session_secret": "z" * 40}  # fmt: skip
    Settings(**given, alert_webhook_secret="whsec_" + "QUJD" * 8)
    with pytest.raises(ValidationError, match="no secret of Standard Webhooks"):
        Settings(**given, alert_webhook_secret="whsec_not base64!")

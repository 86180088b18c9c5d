"""The ledger, who answers, age classes: no I/O."""

from datetime import date, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompetensnav_contracts.vocabulary import AgeClass, Party, PlacementType, Refusal
from kompetensnav_registry.ground.domain.ages import age_class
from kompetensnav_registry.ledger.domain.ledger import Days, Ledger, Room, weeks
from kompetensnav_registry.ledger.domain.offers import (
    STEPS,
    NotYours,
    OfferIsSettled,
    Outcome,
    WrongStep,
    may_answer,
    outcome,
    step,
)
from kompetensnav_registry.rules.actions import answer_rules
from kompetensnav_registry.rules.domain.answers import AnswerRule, answer_rule, parties

START = date(2027, 2, 1)
SUPERVISORS = [UUID(int=100), UUID(int=101)]
rooms = st.builds(
    Room,
    slot_id=st.integers(0, 3).map(lambda n: UUID(int=n)),
    seats=st.just(0),
    starts_on=st.integers(0, 20).map(lambda d: START + timedelta(days=d)),
    ends_on=st.integers(21, 60).map(lambda d: START + timedelta(days=d)),
    supervisor_id=st.sampled_from([None, *SUPERVISORS]),
)
steps = st.lists(st.tuples(st.sampled_from(["ask", "ask", "leave"]), rooms, st.integers(0, 40)), max_size=60)


@given(
    steps,
    st.integers(0, 5),
    st.lists(st.integers(0, 4), min_size=4, max_size=4),
    st.dictionaries(st.integers(0, 8).map(lambda n: START + timedelta(weeks=n)), st.integers(0, 3)),
    st.integers(1, 3),
)
def test_seats_weeks_and_supervisors_are_never_exceeded_in_any_interleaving(
    asked, capacity, seats, other_weeks, load
):
    """Whatever is asked for and given back, in any order: never over, and what is left is what is given."""
    ledger = Ledger(capacity, other_weeks, dict.fromkeys(SUPERVISORS, load))
    held = []
    for what, wish, which in asked:
        if what == "leave":
            if held:
                ledger.leave(held.pop(which % len(held)))
            continue
        room = Room(
            wish.slot_id, seats[wish.slot_id.int], wish.starts_on, wish.ends_on,
            supervisor_id=wish.supervisor_id,
        )  # fmt: skip
        left = ledger.left(room)
        assert (left > 0) == (ledger.refusal(room) is None)
        if left > 0:
            ledger.enter(room)
            held.append(room)
            assert ledger.left(room) == left - 1
        for n, most in enumerate(seats):
            assert sum(r.slot_id.int == n for r in held) <= most
        for week in {w for r in held for w in r.weeks}:
            there = [r for r in held if week in r.weeks]
            assert len(there) <= other_weeks.get(week, capacity)
            for who in SUPERVISORS:
                assert sum(r.supervisor_id == who for r in there) <= load


@given(rooms, rooms, st.sets(st.integers(1, 7)), st.sets(st.integers(1, 7)))
def test_two_placements_at_once_are_for_split_weeks_on_different_days_only(one, two, days, others):
    first = Days(one.starts_on, one.ends_on, frozenset(days))
    then = Days(two.starts_on, two.ends_on, frozenset(others))
    apart = one.ends_on < two.starts_on or two.ends_on < one.starts_on
    split = bool(days and others and not days & others)
    assert first.clashes(then) == then.clashes(first) == (not apart and not split)


@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(0, 200))
def test_weeks_cover_every_day_of_a_period_and_no_other_week(first, days):
    last = first + timedelta(days=days)
    mondays = weeks(first, last)
    assert all(m.weekday() == 0 for m in mondays)
    assert {
        d - timedelta(days=d.weekday()) for d in (first + timedelta(days=n) for n in range(days + 1))
    } == set(mondays)


def test_a_withdrawn_slot_is_refused_first():
    room = Room(UUID(int=1), 0, START, START, withdrawn=True)
    assert Ledger(0).refusal(room) is Refusal.SLOT_IS_WITHDRAWN


@pytest.mark.parametrize("kind", PlacementType)
def test_every_placement_type_has_a_rule_of_who_answers(kind):
    rule = answer_rule(answer_rules(), kind, date(2027, 1, 1))
    assert Party.EMPLOYER in rule.must_answer
    assert rule.days_to_answer > 0


def test_in_prao_the_provider_decides_and_the_pupil_is_only_told():
    rule = answer_rule(answer_rules(), "prao", date(2027, 1, 1))
    assert (rule.must_answer, Party.LEARNER in rule.are_told) == ((Party.EMPLOYER,), True)


def test_a_later_rule_wins_from_its_first_day():
    old, new = (
        AnswerRule(frozenset({"apl"}), day, (Party.EMPLOYER,), (), n)
        for n, day in enumerate((date(2020, 1, 1), date(2027, 7, 1)))
    )
    assert answer_rule([new, old], "apl", date(2027, 6, 30)) is old
    assert answer_rule([new, old], "apl", date(2027, 7, 1)) is new
    with pytest.raises(LookupError):
        answer_rule([new], "apl", date(2027, 6, 30))


def test_a_guardian_has_a_part_only_in_a_minors_offer():
    rule = answer_rule(answer_rules(), "apl", date(2027, 1, 1))
    assert Party.GUARDIAN in parties(rule, AgeClass.YOUTH)[1]
    assert Party.GUARDIAN not in parties(rule, AgeClass.ADULT)[1]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({}, Outcome.OPEN),
        ({"employer": True}, Outcome.OPEN),
        ({"employer": True, "learner": True}, Outcome.CONFIRMED),
        ({"employer": True, "learner": False}, Outcome.DECLINED),
    ],
)
def test_one_no_settles_it_and_it_takes_every_yes(answers, expected):
    assert outcome(["employer", "learner"], answers) is expected


def test_an_answer_counts_once_and_only_from_those_who_have_a_say():
    may_answer("open", ["employer"], {}, "employer")
    with pytest.raises(NotYours):
        may_answer("open", ["employer"], {}, "learner")
    with pytest.raises(OfferIsSettled):
        may_answer("open", ["employer"], {"employer": True}, "employer")
    with pytest.raises(OfferIsSettled):
        may_answer("declined", ["employer"], {}, "employer")


@pytest.mark.parametrize(
    ("born", "on", "age"),
    [
        (date(2015, 1, 2), date(2027, 1, 1), AgeClass.YOUNGER_CHILD),
        (date(2014, 1, 1), date(2027, 1, 1), AgeClass.OLDER_CHILD),
        (date(2011, 1, 1), date(2027, 2, 1), AgeClass.OLDER_CHILD),  # 16, but still in grade 9
        (date(2011, 12, 1), date(2027, 8, 1), AgeClass.YOUTH),  # turns 16 this year, school completed
        (date(2009, 2, 2), date(2027, 2, 1), AgeClass.YOUTH),
        (date(2009, 2, 1), date(2027, 2, 1), AgeClass.ADULT),
    ],
)
def test_age_classes_follow_the_rules_on_minors_work(born, on, age):
    assert age_class(born, on) is age


@pytest.mark.parametrize("state", ["completed", "interrupted"])
def test_an_ended_placement_goes_nowhere(state):
    for to in STEPS:
        with pytest.raises(WrongStep):
            step(state, to)

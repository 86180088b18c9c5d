"""Counting and suppressing: no I/O."""

from datetime import date
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from kompetensnav_reporting import domain
from kompetensnav_reporting.domain import Fact, Line

NAMES = [*domain.STATES, *domain.COUNTED]
rows = st.lists(
    st.builds(
        Fact,
        event_id=st.integers(0, 60).map(lambda n: UUID(int=n)),
        name=st.sampled_from(NAMES),
        thing_id=st.integers(0, 6).map(lambda n: UUID(int=n)),
        revision=st.integers(1, 3),
        placement_type=st.sampled_from(["apl", "prao"]),
        occupation=st.sampled_from(["5321", "7111"]),
        week=st.just(date(2027, 2, 1)),
        number=st.integers(1, 4),
    ),
    max_size=40,
    unique_by=(lambda f: f.event_id, lambda f: (f.name.split(".")[1], f.thing_id, f.revision)),
)


@given(rows, st.randoms())
def test_neither_order_nor_repeats_change_a_count(events, chance):
    first = domain.recount(events, ("placement_type",))
    again = [*events, *events[:5]]
    chance.shuffle(again)
    assert domain.recount(again, ("placement_type",)) == first
    assert domain.differences(first, first) == []


@given(rows)
def test_the_lines_add_up_to_the_total(events):
    (total,) = domain.recount(events)
    lines = domain.recount(events, ("occupation", "placement_type"))
    for measure in domain.MEASURES:
        assert domain.total(lines, measure) == total.counts[measure]


counts = st.dictionaries(st.sampled_from(domain.MEASURES), st.integers(0, 12)).map(
    lambda some: dict.fromkeys(domain.MEASURES, 0) | some
)


@given(st.lists(counts, min_size=1, max_size=6))
def test_no_small_count_is_shown_nor_can_be_worked_out_from_the_total(rows):
    lines = [Line((str(n),), row, None) for n, row in enumerate(rows)]
    hidden = domain.suppress(lines)
    for measure in domain.ABOUT_LEARNERS:
        shown = [line.counts[measure] for line in hidden]
        assert all(n is None or n == 0 or n >= domain.SMALLEST for n in shown)
        others = [row[measure] for row in rows if row[measure]]
        assert shown.count(None) != 1 or len(others) == 1
    for line, before in zip(hidden, lines, strict=True):
        assert (line.counts["slots"], line.counts["seats"]) == (
            before.counts["slots"],
            before.counts["seats"],
        )
        if line.counts["confirmed"] is None:
            assert line.fill_rate is None
            assert line.median_days is None


@given(st.lists(st.integers(0, 12), min_size=4, max_size=12), st.integers(2, 4))
def test_no_hidden_count_stands_alone_in_a_row_or_column(numbers, width):
    lines = [
        Line((f"row{i // width}", f"column{i % width}"), dict.fromkeys(domain.MEASURES, n), None)
        for i, n in enumerate(numbers)
    ]
    hidden = domain.suppress(lines)
    for dimension in (0, 1):
        for name in {line.key[dimension] for line in lines}:
            pairs = [(a, b) for a, b in zip(lines, hidden, strict=True) if a.key[dimension] == name]
            unseen = [a for a, b in pairs if b.counts["requests"] is None]
            shown = [a for a, b in pairs if b.counts["requests"]]
            assert len(unseen) != 1 or not shown, "what is shown and a total would tell the hidden one"


def test_only_the_newest_state_of_a_slot_counts():
    def slot(name, revision, seats, id):
        return Fact(
            UUID(int=id),
            f"registry.slot.{name}.v1",
            UUID(int=1),
            revision,
            "apl",
            "5321",
            date(2027, 2, 1),
            seats,
        )

    (line,) = domain.recount([slot("changed", 2, 5, 2), slot("posted", 1, 3, 1)])
    assert (line.counts["slots"], line.counts["seats"]) == (1, 5)
    (line,) = domain.recount([slot("withdrawn", 3, 5, 3), slot("changed", 2, 5, 2), slot("posted", 1, 3, 1)])
    assert (line.counts["slots"], line.counts["seats"]) == (0, 0)

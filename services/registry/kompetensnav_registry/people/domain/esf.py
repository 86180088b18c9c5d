"""The month file of a project of the European Social Fund: whose hours count to which month, and which months
are sent.

Source: SCB's and Svenska ESF-rådet's instructions for reporting participants: a file a month, in order; a
correction of a month re-sends every later one.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal


class OutOfOrder(Exception):
    """An earlier month has not been made yet; months are sent in order. | En tidigare månad är inte gjord än;
    månader skickas i ordning."""


def month_of(day: date) -> str:
    """`2027-02`."""
    return f"{day:%Y-%m}"


def next_month(month: str) -> str:
    """The month after."""
    year, number = (int(part) for part in month.split("-"))
    return f"{year + number // 12}-{number % 12 + 1:02}"


def days_of(month: str) -> tuple[date, date]:
    """First and last day of a month."""
    first = date.fromisoformat(f"{month}-01")
    return first, date.fromisoformat(f"{next_month(month)}-01") - timedelta(days=1)


def hours_in(
    month: str, weeks: Mapping[date, Decimal], since: date = date.min, until: date | None = None
) -> Decimal:
    """Hours that fall in a month and in a participation (first and last day), of hours by week (Monday ->
    hours): a week over the turn of a month, or of the participation, is divided by its working days, and the
    months together give just what was confirmed."""
    first, last = days_of(month)
    first, last = max(first, since), min(last, until or last)
    total = Decimal(0)
    for monday, hours in weeks.items():
        working = [monday + timedelta(days=n) for n in range(5)]
        ours = sum(first <= day <= last for day in working)
        if ours == 5:
            total += hours
        elif ours:
            before = (hours * sum(day < first for day in working) / 5).quantize(Decimal("0.1"), ROUND_HALF_UP)
            upto = (hours * sum(day <= last for day in working) / 5).quantize(Decimal("0.1"), ROUND_HALF_UP)
            total += upto - before
    return total


def may_make(month: str, made: Iterable[str], first: str) -> None:
    """Raises OutOfOrder for a month whose predecessor, from the project's first month on, is not made."""
    done = set(made)
    earlier = first
    while earlier < month:
        if earlier not in done:
            raise OutOfOrder(earlier)
        earlier = next_month(earlier)


def to_send_again(corrected: str, made: Sequence[str]) -> list[str]:
    """The months to send again when one is corrected: every later one that has been made."""
    return sorted(month for month in made if month > corrected)

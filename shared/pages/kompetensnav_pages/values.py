"""How pages write times, numbers and spans."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Stockholm")


def local(at: datetime | None) -> str:
    """A moment as a clock in Sweden shows it, to the second; empty for none."""
    return at.astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S") if at else ""


def field(at: datetime | None) -> str:
    """A moment as `<input type="datetime-local">` takes it, in UTC, to the minute; empty for none."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M") if at else ""


def number(value: float) -> str:
    """A whole number, its thousands parted by a space that does not break."""
    return f"{value:,.0f}".replace(",", "\N{NO-BREAK SPACE}")


def rate(value: float) -> str:
    """A number with one decimal when it is small and not whole."""
    return number(value) if value >= 10 or value == int(value) else f"{value:.1f}".replace(".", ",")


def span(seconds: float) -> str:
    """A time that passes, in the largest unit that tells it."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min"
    if seconds < 2 * 86_400:
        return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"
    return f"{seconds // 86_400:.0f} d"


def size(bytes: float) -> str:
    """A number of bytes, in steps of a thousand."""
    for unit in ("B", "kB", "MB", "GB"):
        if bytes < 1000 or unit == "GB":
            return f"{bytes:.0f} {unit}" if bytes >= 10 or unit == "B" else f"{bytes:.1f} {unit}"
        bytes /= 1000
    return ""


def cut(text: str, most: int) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


FILTERS = {each.__name__: each for each in (local, field, number, rate, span, size, cut)}

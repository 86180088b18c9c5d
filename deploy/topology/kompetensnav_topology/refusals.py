"""Who asked for what they may not have: counted from the server's log, by user and subject."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

VIOLATION = re.compile(
    r"^\[\d+\] (?P<at>[\d/]+ [\d:.]+) .*[/\"]nkey:(?P<nkey>[A-Z2-7]+)\""
    r' - (?P<what>Publish|Subscription) Violation - .*?Subject "(?P<subject>[^"]*)"'
)
"""How nats-server 2.15 writes it."""


@dataclass(frozen=True)
class Refusal:
    """A user, what it tried, how often, and when last."""

    user: str
    what: str
    subject: str
    times: int
    last: str


def read(log: Iterable[str], users: Mapping[str, str]) -> list[Refusal]:
    """The refusals in a log, most frequent first. `users`: public key -> name; a key that is not known here
    is shown as it is."""
    times: Counter[tuple[str, str, str]] = Counter()
    last: dict[tuple[str, str, str], str] = {}
    for line in log:
        if found := VIOLATION.search(line):
            about = (users.get(found["nkey"], found["nkey"]), found["what"].lower(), found["subject"])
            times[about] += 1
            last[about] = found["at"]
    return [Refusal(*about, count, last[about]) for about, count in times.most_common()]

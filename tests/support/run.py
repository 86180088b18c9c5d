"""How a run of the tests goes (a pytest plugin): which tests stay together, when a stack ends, how long a
test may take on a busy machine, how far the run is.

With several workers (`-n 3`) the tests of one stack stay on one of them, longest first; what needs none fills
the rest.
"""

import json
import os
import shutil
import signal
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_timeout

from kompetensnav_chassis.patience import Patience
from kompetensnav_embedded.tether import tie
from support.processes import tie_children

ROOT = Path(__file__).parents[2]
STACKS = ("console", "stack")
"""Fixtures that many modules share, each a whole stack."""
SECONDS = ROOT / "tests/seconds.json"
"""Module -> seconds of its tests, from an earlier run; they only order the groups and tell what is left."""
MEASURED = ROOT / "build/seconds.json"
GROUPS = pytest.StashKey[Path]()
"""A file with the group of each test, which the workers find and their master deals the tests by."""
EVERY = 15.0
"""Seconds between two lines of progress."""


def pytest_configure(config: pytest.Config) -> None:
    """Ties everything together; the lines of progress come from whoever talks to the terminal."""
    tie_children()
    if hasattr(config, "workerinput"):
        tie()
    else:
        config.stash[GROUPS] = Path(tempfile.mkdtemp(prefix="kompetensnav-run-")) / "groups.json"
        config.pluginmanager.register(Progress(config), "progress")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leaves nothing."""
    if groups := config.stash.get(GROUPS, None):
        shutil.rmtree(groups.parent, ignore_errors=True)


def known() -> dict[str, float]:
    """What earlier runs have measured."""
    found: dict[str, float] = json.loads(SECONDS.read_text()) if SECONDS.exists() else {}
    return found


def module(nodeid: str) -> str:
    """The file of a test."""
    return nodeid.partition("::")[0]


def group(item: pytest.Item) -> str:
    """Whom a test stays with: all of its stack, else its module; one that may go anywhere is alone."""
    if item.get_closest_marker("anywhere"):
        return item.nodeid
    uses = getattr(item, "fixturenames", ())
    return next((stack for stack in STACKS if stack in uses), module(item.nodeid))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts the tests of a group together, and the longest group first."""
    seconds, weight, together = known(), defaultdict(float), defaultdict(list)
    counts: dict[str, int] = defaultdict(int)
    for item in items:
        counts[module(item.nodeid)] += 1
    groups = {item.nodeid: group(item) for item in items}
    for item in items:
        file = module(item.nodeid)
        weight[groups[item.nodeid]] += seconds.get(file, 0.1) / counts[file]
        together[groups[item.nodeid]].append(item)
    items[:] = [item for name in sorted(together, key=lambda g: (-weight[g], g)) for item in together[name]]
    if work := getattr(config, "workerinput", None):
        Path(work["groups"] + work["workerid"]).write_text(json.dumps(groups))
        Path(work["groups"] + work["workerid"]).rename(work["groups"])


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tells a worker where it is to write the groups."""
    node.workerinput["groups"] = str(node.config.stash[GROUPS])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """xdist's own loading by group sets a name that pytest 9.2 does not read any more."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        groups: Mapping[str, str] = {}

        def _split_scope(self, nodeid: str) -> str:
            self.groups = self.groups or json.loads(config.stash[GROUPS].read_text())
            return self.groups[nodeid]

    return ByGroup(config, log)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Ends a stack that the next test does not need: an idle one costs a tenth of a processor."""
    uses, wanted = getattr(item, "fixturenames", ()), getattr(nextitem, "fixturenames", ())
    for name in STACKS:
        if name in uses and name not in wanted:
            for fixture in item._fixtureinfo.name2fixturedefs[name]:  # type: ignore[attr-defined]
                fixture.finish(item._request)  # type: ignore[attr-defined]


def pytest_timeout_set_timer(item: Any, settings: Any) -> bool | None:
    """A test's time limit counts as patience does, so that a busy machine makes tests slower and not red."""
    if settings.method != "signal":
        return None
    patience = Patience(settings.timeout)

    def look(*_: Any) -> None:
        if patience.is_over:
            item.cancel_timeout()
            pytest_timeout.timeout_sigalrm(item, settings)

    def cancel() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)

    item.cancel_timeout = cancel
    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, 1, 1)
    return True


class Progress:
    """A line now and then, instead of a dot a test; what fails is told at once."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._began = self._told = time.monotonic()
        self._known = known()
        self._weights: dict[str, float] = {}
        self._took: dict[str, float] = defaultdict(float)
        self._done = self._failed = 0
        self._weight_done = 0.0

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """What is to be done, as the first worker has found it."""
        self._expect(ids)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """What is to be done, where there are no workers."""
        self._expect([item.nodeid for item in session.items])

    def _expect(self, ids: list[str]) -> None:
        if self._weights or not ids:
            return
        counts: dict[str, int] = defaultdict(int)
        for id in ids:
            counts[module(id)] += 1
        self._weights = {id: self._known.get(module(id), 0.1) / counts[module(id)] for id in ids}

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:
        """Not a letter for each test, unless every test is asked for."""
        if self._config.get_verbosity() > 0 or not (report.passed or report.failed):
            return None
        if report.passed:
            return ("passed" if report.when == "call" else "", "", "")
        return ("failed" if report.when == "call" else "error", "", "FAILED")

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Counts, and tells when it is time."""
        id = report.nodeid
        self._took[module(id)] += report.duration
        if report.failed:
            self._failed += 1
            self._say(f"FAILED {report.nodeid} ({report.when})", red=True)
        if report.when == "teardown":
            self._done += 1
            self._weight_done += self._weights.get(id, 0.0)
            if time.monotonic() - self._told > EVERY:
                self._told = time.monotonic()
                self._say(self._line())

    def _line(self) -> str:
        total, passed = sum(self._weights.values()), time.monotonic() - self._began
        part = self._weight_done / total if total else 1.0
        left = f"about {_minutes(passed / part - passed)} left" if part > 0.02 else ""
        failed = f", {self._failed} failed" if self._failed else ""
        return (
            f"{part:5.0%}  {self._done:,} of {len(self._weights):,} tests{failed}, {_minutes(passed)}  {left}"
        )

    def _say(self, text: str, *, red: bool = False) -> None:
        terminal: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        terminal.ensure_newline()
        terminal.write_line(text, red=red)

    def pytest_sessionfinish(self) -> None:
        """Keeps what was measured, for `tests/seconds.json`."""
        if os.environ.get("KOMPETENSNAV_KEEP_SECONDS"):
            MEASURED.parent.mkdir(exist_ok=True)
            rounded = {name: round(took, 1) for name, took in sorted(self._took.items()) if took >= 0.5}
            MEASURED.write_text(json.dumps(rounded, indent=1) + "\n")


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60} min {int(seconds) % 60:02} s" if seconds >= 60 else f"{seconds:.0f} s"

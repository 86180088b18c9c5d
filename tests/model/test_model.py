"""The model test: any order, any loss, any kill between two steps; the promises hold at rest.

Hypothesis drives the simulation and shrinks what breaks a promise to the shortest story that does.
`make model` runs 5,000 stories of 50 steps; MODEL_STORIES says how many.
"""

import logging
import os

import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from model.town import INSTANCES, Town

STORIES = int(os.environ.get("MODEL_STORIES", "500"))
FAST = os.environ.get("MODEL_FAST") == "1"
"""Stop at the first broken promise, without looking for the shortest story (for the mutants)."""
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
choice = st.integers(0, 30)
process = st.sampled_from(INSTANCES)
durable = st.sampled_from(
    ("registry-matching-learner-matched-v1", "matching-registry", "reporting-placements")
)


class Delivery(RuleBasedStateMachine):
    """What may happen, at any time and in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.town = Town()

    @rule(seats=st.integers(1, 2), registry=st.sampled_from(INSTANCES[:2]))
    def post(self, seats, registry):
        self.town.post(seats, registry)

    @rule(slot=choice, registry=st.sampled_from(INSTANCES[:2]))
    def change(self, slot, registry):
        self.town.change(slot, registry)

    @rule(slot=choice, learners=st.integers(1, 3))
    def match(self, slot, learners):
        self.town.match(slot, learners)

    @rule(choices=st.lists(choice, min_size=3, max_size=20))
    def go_on(self, choices):
        for one in choices:
            if not self.town.simulation.step(one):
                self.town.simulation.advance()

    @rule(choices=st.lists(choice, min_size=3, max_size=20))
    def go_on_again(self, choices):
        self.go_on(choices)

    @rule(gate=choice)
    def lose(self, gate):
        self.town.harmed = True
        self.town.simulation.lose(gate)

    @rule(who=process)
    def crash(self, who):
        self.town.harmed = True
        self.town.simulation.processes[who].crash()
        self.town.simulation.settle()

    @rule(who=process, frozen=st.booleans())
    def freeze(self, who, frozen):
        self.town.harmed = True
        self.town.simulation.processes[who].frozen = frozen

    @rule(who=st.sampled_from(("registry", "matching", "reporting")), away=st.booleans())
    def database_away(self, who, away):
        self.town.harmed = True
        self.town.simulation.databases[who].away = away

    @rule(who=durable, times=st.integers(1, 5))
    def stumble(self, who, times):
        self.town.stumbles[who] = times

    @rule(who=durable, times=st.integers(1, 4))
    def deadly(self, who, times):
        self.town.harmed = True
        self.town.deadly[who] = times

    @rule()
    def poison(self):
        self.town.poison()

    @rule(message=choice)
    def repeat(self, message):
        self.town.repeat(message)

    @rule(seconds=st.sampled_from((0.5, 2.0, 6.0, 700.0)))
    def wait(self, seconds):
        self.town.harmed = True
        self.town.simulation.advance(seconds)

    def teardown(self):
        try:
            self.town.judge()
        finally:
            self.town.simulation.close()


def test_every_promise_holds():
    run_state_machine_as_test(
        Delivery,
        settings=settings(
            max_examples=STORIES,
            stateful_step_count=50,
            deadline=None,
            database=None,
            derandomize=True,
            report_multiple_bugs=False,
            print_blob=False,
            phases=(Phase.generate,) if FAST else (Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )

"""The engine: the optimum against OR-Tools, repair against solving anew, stable against `matching`."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from matching.games import HospitalResident
from ortools.graph.python import min_cost_flow

from kompetensnav_matching.engine.candidates import Learners, Slots, World, candidates
from kompetensnav_matching.engine.deferred_acceptance import drawn, envy, propose
from kompetensnav_matching.engine.explanations import scarcity
from kompetensnav_matching.engine.instance import BadInstance, Instance
from kompetensnav_matching.engine.layers import rewarded, staying, ways
from kompetensnav_matching.engine.repair import Plan
from kompetensnav_matching.engine.solve import solve
from kompetensnav_matching.engine.travel import kilometres, tenths_by_road
from support import wpi


def by_lot(instance, tiers):
    names = np.arange(instance.learners), np.arange(len(instance.seats))
    return drawn(instance.first, instance.slot, tiers.astype(np.int32), 7, *names)


PATHS = ("auto", "slots", "auction", "plain")


def columns(chance, learners=70, slots=35, sizes=(1, 3, 20, 1500)):
    """A random instance as columns: learners, seats, learner, slot, cost, tiers."""
    n, m = int(chance.integers(1, learners)), int(chance.integers(1, slots))
    possible = chance.random((n, m)) < chance.random() * 0.5 + 0.02
    learner, slot = np.nonzero(possible)
    cost = chance.integers(0, chance.choice(sizes) + 1, len(learner))
    mixed = chance.permutation(len(learner))
    tiers = chance.integers(0, 3, n) * chance.integers(0, 2)
    return n, chance.integers(0, 4, m), learner[mixed], slot[mixed], cost[mixed], tiers


def by_or_tools(n, seats, learner, slot, cost, tiers):
    """(placed by tier, cost), with leaving out a learner priced above all that costs can differ by."""
    m, step = len(seats), 8 * (min(n, len(seats)) + 1) * (int(cost.max(initial=0)) + 1)
    solver = min_cost_flow.SimpleMinCostFlow()
    arcs = np.zeros(0, np.int64)
    if len(learner):
        ones = np.ones(len(learner), np.int64)
        arcs = solver.add_arcs_with_capacity_and_unit_cost(learner, slot + n, ones, cost.astype(np.int64))
    solver.add_arcs_with_capacity_and_unit_cost(
        np.arange(m) + n, np.full(m, n + m), seats.astype(np.int64), np.zeros(m, np.int64)
    )
    out = (10 * step * (n + 1) + step * (2 - tiers)).astype(np.int64)
    solver.add_arcs_with_capacity_and_unit_cost(np.arange(n), np.full(n, n + m), np.ones(n, np.int64), out)
    solver.set_nodes_supplies(np.arange(n + m + 1), np.array([1] * n + [0] * m + [-n]))
    assert solver.solve() == solver.OPTIMAL
    used = solver.flows(arcs) > 0 if len(arcs) else np.zeros(0, np.bool_)
    return by_tier(tiers, learner[used]), int(cost[used].sum())


def by_tier(tiers, placed):
    return tuple(np.bincount(tiers[placed], minlength=3).tolist())


@pytest.mark.parametrize("seed", range(5))
def test_a_thousand_random_rounds_agree_with_or_tools_over_all_paths(seed):
    chance, ways_used = np.random.default_rng(seed), set()
    for _ in range(200):
        n, seats, learner, slot, cost, tiers = columns(chance)
        wanted = by_or_tools(n, seats, learner, slot, cost, tiers)
        instance = Instance.of(n, seats, learner, slot, cost)
        for path in PATHS:
            found = solve(instance, tiers, path)
            got = by_tier(tiers, np.flatnonzero(found.taken >= 0)), found.cost
            assert (got, found.gap) == (wanted, 0), (path, n)
            assert found.cost == instance.cost_of(found.taken).sum()
            ways_used.add(found.path)
    assert ways_used == {"learners", "slots", "auction", "plain"}


def test_the_order_of_the_input_changes_nothing():
    chance = np.random.default_rng(3)
    for _ in range(50):
        n, seats, learner, slot, cost, tiers = columns(chance)
        first = solve(Instance.of(n, seats, learner, slot, cost), tiers)
        mixed = chance.permutation(len(learner))
        second = solve(Instance.of(n, seats, learner[mixed], slot[mixed], cost[mixed]), tiers)
        assert (first.taken == second.taken).all()
        assert (first.price == second.price).all()


def test_costs_too_large_for_32_bits_are_solved_in_64():
    found = solve(Instance.of(3, [1, 1], [0, 0, 1, 1, 2], [0, 1, 0, 1, 1], [2**29, 5, 7, 2**29, 1]))
    assert (found.placed, found.cost, found.gap) == (2, 8, 0)


def test_one_slot_with_ten_thousand_seats():
    n = 12_000
    cost = np.arange(n) % 977
    found = solve(Instance.of(n, [10_000], np.arange(n), np.zeros(n, int), cost))
    assert (found.placed, found.cost, found.gap) == (10_000, int(np.sort(cost)[:10_000].sum()), 0)


@pytest.mark.parametrize(("year", "best"), [("IQP2017-2018", (928, 64_475)), ("IQP2018-2019", (927, 24_265))])
@pytest.mark.skipif(not wpi.WPI.exists(), reason="the WPI-IQP data are not beside the checkout")
def test_wpi_is_placed_at_its_known_optimum(year, best):
    instance = Instance.of(*wpi.columns(wpi.WPI / year))
    for path in PATHS:
        found = solve(instance, path=path)
        assert (found.placed, found.cost, found.gap) == (*best, 0)


def changed(plan, chance, pairs, seats, tiers, gone):
    """One random event, on the plan and in the books; False when it could not happen."""
    kind, placed = int(chance.integers(0, 9)), np.flatnonzero(plan.taken >= 0)
    one = int(chance.choice(placed)) if len(placed) else -1
    if kind == 0 and one >= 0:
        del pairs[one, int(plan.taken[one])]
        plan.decline(one)
    elif kind == 1 and one >= 0:
        seats[int(plan.taken[one])] -= 1
        gone.add(one)
        plan.accept(one)
    elif kind == 2 and one >= 0:
        gone.add(one)
        plan.close(one)
    elif kind == 3 and gone:
        one = sorted(gone)[int(chance.integers(0, len(gone)))]
        gone.discard(one)
        plan.open(one)
    elif kind == 4:
        slot = int(chance.integers(0, plan.slots))
        seats[slot] = 0
        plan.withdraw(slot)
    elif kind == 5:
        slot = int(chance.integers(0, plan.slots))
        if not any(s == slot for _, s in pairs):
            return False
        seats[slot] = int(chance.integers(0, 5))
        plan.set_seats(slot, seats[slot])
    elif kind == 6:
        new = [(i, int(chance.integers(0, 99))) for i in range(plan.learners) if chance.random() < 0.3]
        slot, _ = plan.add_slot(room := int(chance.integers(0, 3)), new)
        seats[slot] = room
        pairs.update({(i, slot): cost for i, cost in new})
    elif kind == 7:
        new = [(j, int(chance.integers(0, 99))) for j in range(plan.slots) if chance.random() < 0.3]
        learner, _ = plan.add_learner(new, tier := int(chance.integers(0, 2)))
        tiers[learner] = tier
        pairs.update({(learner, j): cost for j, cost in new})
    elif kind == 8 and pairs:
        pair = sorted(pairs)[int(chance.integers(0, len(pairs)))]
        if pair[0] in gone:
            return False
        del pairs[pair]
        plan.forbid(*pair)
    else:
        return False
    return True


def test_repair_equals_solving_anew_after_each_of_two_thousand_events():
    chance, events = np.random.default_rng(5), 0
    while events < 2000:
        n, room, learner, slot, cost, tier = columns(chance, 40, 20)
        tier = np.minimum(tier, 1)
        instance = Instance.of(n, room, learner, slot, cost)
        plan = Plan(instance, solve(instance, tier), tier)
        pairs = {
            (i, int(instance.slot[e])): int(instance.cost[e])
            for i in range(n)
            for e in range(instance.first[i], instance.first[i + 1])
        }
        seats, tiers, gone = dict(enumerate(room.tolist())), dict(enumerate(tier.tolist())), set()
        for _ in range(12):
            before = plan.taken.copy()
            accepted = before[[i for i in gone if i < len(before)]]
            if not changed(plan, chance, pairs, seats, tiers, gone):
                continue
            events += 1
            assert (accepted == -1).all()
            live = [(i, j, c) for (i, j), c in pairs.items() if i not in gone]
            anew = Instance.of(
                plan.learners, [seats[j] for j in range(plan.slots)],
                [p[0] for p in live], [p[1] for p in live], [p[2] for p in live],
            )  # fmt: skip
            now = np.array([tiers[i] for i in range(plan.learners)])
            best = solve(anew, now)
            assert plan.proof == (0, best.placed, best.cost)
            assert by_tier(now, np.flatnonzero(plan.taken >= 0)) == by_tier(
                now, np.flatnonzero(best.taken >= 0)
            )


def test_a_repair_moves_few_when_staying_is_worth_something():
    chance = np.random.default_rng(8)
    n, m = 300, 200
    learner, slot = np.nonzero(chance.random((n, m)) < 0.05)
    instance = Instance.of(n, np.full(m, 2), learner, slot, chance.integers(100, 900, len(learner)))
    best = solve(instance)
    kept, _ = rewarded(instance, staying(instance, best.taken, 100))
    moved = []
    for plan in (Plan(instance, best), Plan(kept, solve(kept))):
        who = np.random.default_rng(1).permutation(np.flatnonzero(plan.taken >= 0))[:50]
        moved.append([len(plan.copy().decline(int(i))) for i in who])
    assert np.median(moved[1]) <= 2
    assert np.sum(moved[1]) < 0.7 * np.sum(moved[0])


def test_forcing_a_pair_tells_exactly_what_it_costs_others():
    chance, tried = np.random.default_rng(9), 0
    while tried < 60:
        n, room, learner, slot, cost, _ = columns(chance, 30, 15)
        instance = Instance.of(n, room, learner, slot, cost)
        if not len(instance.slot):
            continue
        plan, e = Plan(instance, solve(instance)), int(chance.integers(0, len(instance.slot)))
        i, j = int(np.searchsorted(instance.first, e, side="right")) - 1, int(instance.slot[e])
        tried += 1
        trial = plan.copy()
        moved = trial.force(i, j)
        keep = learner != i
        fewer = room.copy()
        fewer[j] -= 1
        best = solve(Instance.of(n, fewer, learner[keep], slot[keep], cost[keep]))
        assert trial.proof == (0, best.placed, best.cost)
        assert set(moved) <= set(np.flatnonzero(trial.taken != plan.taken)) - {i}
        assert plan.proof[0] == 0  # nothing was tried on the plan itself


def test_stable_mode_gives_what_matching_gives():
    chance = np.random.default_rng(4)
    for _ in range(25):
        n, seats, learner, slot, _, _ = columns(chance, 20, 8)
        cost, rank = np.zeros(len(learner), int), np.zeros(len(learner), int)
        for i in range(n):
            cost[learner == i] = chance.permutation(int((learner == i).sum()))
        for j in range(len(seats)):
            rank[slot == j] = chance.permutation(int((slot == j).sum()))
        open_ = seats[slot] > 0
        learner, slot, cost, rank = learner[open_], slot[open_], cost[open_], rank[open_]
        if not len(learner):
            continue
        order = np.lexsort((cost, learner))
        instance = Instance.of(n, seats, learner, slot, cost)
        taken = propose(instance.first, instance.slot, instance.seats, rank[order].astype(np.int32))
        residents = {f"r{i}": [f"h{j}" for j in slot[order][learner[order] == i]] for i in np.unique(learner)}
        turned = np.lexsort((rank, slot))
        hospitals = {f"h{j}": [f"r{i}" for i in learner[turned][slot[turned] == j]] for j in np.unique(slot)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            game = HospitalResident.create_from_dictionaries(
                residents, hospitals, {name: int(seats[int(name[1:])]) for name in hospitals}
            )
            solved = game.solve(optimal="resident")
        wanted = {int(str(r)[1:]): int(str(h)[1:]) for h, them in solved.items() for r in them}
        assert {int(i): int(taken[i]) for i in np.flatnonzero(taken >= 0)} == wanted


def test_a_learner_gains_nothing_by_hiding_wishes_in_stable_mode():
    chance = np.random.default_rng(6)
    for _ in range(150):
        n, seats, learner, slot, cost, tiers = columns(chance, 20, 8)
        instance = Instance.of(n, seats, learner, slot, cost)
        rank = by_lot(instance, tiers)
        honest = propose(instance.first, instance.slot, instance.seats, rank)
        assert envy(instance.first, instance.slot, instance.cost, instance.seats, rank, honest) == 0
        liar = int(chance.integers(0, n))
        hidden = (learner == liar) & (chance.random(len(learner)) < 0.5)
        less = Instance.of(n, seats, learner[~hidden], slot[~hidden], cost[~hidden])
        lied = propose(less.first, less.slot, less.seats, by_lot(less, tiers))
        row = instance.slot[instance.first[liar] : instance.first[liar + 1]].tolist()
        place = {j: k for k, j in enumerate(row)} | {-1: len(row)}
        assert place[int(lied[liar])] >= place[int(honest[liar])]


def test_the_three_ways_side_by_side():
    chance = np.random.default_rng(10)
    for _ in range(150):
        n, seats, learner, slot, cost, tiers = columns(chance)
        instance = Instance.of(n, seats, learner, slot, cost)
        most, stable, filled = ways(instance, tiers, 11)
        assert most.placed == filled.placed >= stable.placed
        assert stable.envious == 0
        assert most.cost <= filled.cost


def test_candidates_from_distance_are_those_that_trying_all_finds():
    chance = np.random.default_rng(12)
    n, m = 60, 90
    latitude, longitude = 65 + chance.random(n + m), 20 + 3 * chance.random(n + m)
    bits, group = chance.integers(0, 8, m), chance.integers(0, 3, m)
    order = np.argsort(group, kind="stable").astype(np.int32)
    world = World(
        Slots(
            chance.integers(0, 3, m).astype(np.int32), np.zeros(m, np.int32), np.ones(m, np.int32), bits,
            np.arange(n, n + m, dtype=np.int32), np.zeros(m, np.int32),
        ),
        Learners(
            np.zeros(n, np.int32), np.ones(n, np.int32), chance.integers(0, 4, n),
            np.arange(n, dtype=np.int32), chance.integers(0, 90, n).astype(np.int32), np.zeros(n, np.int32),
            np.arange(n + 1) * 2, chance.integers(0, 3, 2 * n).astype(np.int32),
            chance.integers(0, 500, 2 * n).astype(np.int32),
        ),
        np.searchsorted(group[order], np.arange(4)), order, latitude, longitude, np.ones((1, 1), np.bool_),
    )  # fmt: skip
    found = candidates(world)
    wanted = []
    points = np.radians(np.column_stack([latitude, longitude]))
    for i in range(n):
        row = {}
        for j in range(m):
            a, b = points[i], points[n + j]
            h = np.sin((b[0] - a[0]) / 2) ** 2 + np.cos(a[0]) * np.cos(b[0]) * np.sin((b[1] - a[1]) / 2) ** 2
            tenths = tenths_by_road(kilometres(2 * np.sqrt(h)))
            wishes = [
                int(world.learners.wish_cost[w])
                for w in (2 * i, 2 * i + 1)
                if world.learners.wish_group[w] == group[j]
            ]
            near = tenths <= 10 * world.learners.max_minutes[i]
            if wishes and near and world.slots.seats[j] and not bits[j] & world.learners.lacks[i]:
                row[j] = min(wishes) + tenths
        wanted.append(sorted((cost, j) for j, cost in row.items()))
    rows = [
        list(zip(found.cost[a:b].tolist(), found.slot[a:b].tolist(), strict=True))
        for a, b in zip(found.first[:-1], found.first[1:], strict=True)
    ]
    assert rows == wanted


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ((2, [1, -1], [0], [0], [1]), "seats -1 at 1"),
        ((2, [1], [0, 2], [0, 0], [1, 1]), "learner 2 at 1"),
        ((2, [1], [0, 1], [0, 1], [1, 1]), "slot 1 at 1"),
        ((2, [1], [0, 1, 0], [0, 0, 0], [1, 2, 3]), "learner 0 and slot 0 are a pair twice"),
        ((2, [1], [0], [0], [2**40]), f"cost {2**40} at 0"),
        ((2, [1], [0], [0], [float("nan")]), "cost nan at 0 is not a whole number"),
        ((2, [1], [0, 1], [0], [1]), "not equally long"),
    ],
)
def test_bad_input_says_what_and_where(columns, told):
    with pytest.raises(BadInstance, match=told):
        Instance.of(*columns)


def test_costs_that_no_integer_could_hold_are_refused_before_solving():
    many = 400_000
    rows = np.arange(many)
    with pytest.raises(BadInstance, match="too large"):
        solve(Instance.of(many, np.ones(many, int), rows, rows, np.full(many, 2**29)), rows % 5)


@pytest.mark.parametrize(("learners", "seats"), [(0, []), (0, [1]), (3, []), (3, [0, 0]), (3, [1, 2])])
def test_nobody_and_nothing_are_answered(learners, seats):
    found = solve(Instance.of(learners, seats, [], [], []))
    assert (found.placed, found.cost, found.gap) == (0, 0, 0)


def test_a_place_that_is_not_on_earth_is_refused():
    one = np.zeros(1, np.int32)
    world = World(
        Slots(np.ones(1, np.int32), one, one, one.astype(np.int64), one, one),
        Learners(one, one, one.astype(np.int64), one, one, one, np.array([0, 1]), one, one),
        np.array([0, 1]), one, np.array([np.nan]), np.array([20.0]), np.ones((1, 1), np.bool_),
    )  # fmt: skip
    with pytest.raises(BadInstance, match="place 0"):
        candidates(world)


def test_a_seat_more_spares_exactly_what_its_scarcity_says():
    chance = np.random.default_rng(11)
    looked = 0
    for _ in range(150):
        n, seats, learner, slot, cost, tiers = columns(chance, 30, 12)
        instance = Instance.of(n, seats, learner, slot, cost)
        for path in PATHS:
            found = solve(instance, tiers, path)
            spared = scarcity(instance, found)
            for j in np.flatnonzero((instance.seats > 0) & ~found.crowded):
                more = np.array(seats)
                more[j] += 1
                best = solve(Instance.of(n, more, learner, slot, cost), tiers)
                assert (best.placed, found.cost - best.cost) == (found.placed, spared[j])
                looked += spared[j] > 0
    assert looked > 100


SMALL_ROUNDS = """
import numpy as np
from kompetensnav_matching.engine import bottlenecks, warm
from kompetensnav_matching.engine.candidates import candidates
from kompetensnav_matching.engine.generate import generate
from kompetensnav_matching.engine.instance import Instance
from kompetensnav_matching.engine.layers import ways
from kompetensnav_matching.engine.repair import Plan
from kompetensnav_matching.engine.solve import solve

warm.once()
for seed in (1, 2, 3):
    world, tiers = generate(60, 0.8, seed)
    pairs = candidates(world)
    instance = Instance.of(60, world.slots.seats, pairs.learner, pairs.slot, pairs.cost)
    for path in ("slots", "auction", "plain"):
        found = solve(instance, tiers, path)
        print(path, found.taken.tolist(), found.price.tolist(), found.crowded.tolist(), int(found.gap))
    print([(w.taken.tolist(), int(w.envious)) for w in ways(instance, tiers, seed, found)])
    arrays = (instance.first, instance.slot, instance.seats, found.taken)
    print(bottlenecks.leads_to_open_seat(*arrays).tolist())
    print(bottlenecks.sharing(*arrays, np.flatnonzero(found.taken < 0).astype(np.int32)).tolist())
    plan = Plan(instance, found, tiers)
    for learner in np.flatnonzero(plan.taken >= 0)[:10]:
        if plan.taken[learner] >= 0:
            print(plan.decline(int(learner)).tolist(), [int(x) for x in plan.proof])
"""


def test_every_kernel_says_the_same_as_the_plain_python_it_is_made_from():
    told = [
        subprocess.run(
            [sys.executable, "-c", SMALL_ROUNDS], env=os.environ | {"NUMBA_DISABLE_JIT": plain},
            capture_output=True, text=True, check=True,
        ).stdout
        for plain in ("0", "1")
    ]  # fmt: skip
    assert told[0] == told[1]
    assert told[0].count("plain") == 3

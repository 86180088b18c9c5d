"""The matching engine beside its peers, in the same run: CPU seconds with the peers' model build counted.

    python benchmarks/matching.py [--large] [--wpi FOLDER ...] [PART ...]

Parts: solve, candidates, stable, repair, wpi; all of them when none is named. `--large` adds a million
learners. Each measurement is a process of its own, kernels compiled before; instances are made by the same
generator (`kompetensnav-matching generate`), five of them summed up to 10,000 learners and three at 100,000.
A peer that finds another (placed, cost) is said to be wrong.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from candidate_peers import by_kdtree, by_polars

from kompetensnav_matching.engine import warm
from kompetensnav_matching.engine.candidates import candidates
from kompetensnav_matching.engine.generate import generate
from kompetensnav_matching.engine.instance import Instance

Found = dict[str, Any]


def timed(work: Callable[[], Found]) -> Found:
    """What the work says, with its CPU seconds and how much memory it added at most, MB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, cpu = time.perf_counter(), time.process_time()
    found = work()
    spent = {"cpu": time.process_time() - cpu, "seconds": time.perf_counter() - began}
    return spent | {"added_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024} | found


def wpi(folder: str) -> tuple[Any, ...]:
    """(learners, seats, learner, slot, cost) of a season of the WPI project preferences."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from support.wpi import columns

    return tuple(columns(Path(folder)))


def arrays(source: str, ratio: float, seed: int) -> tuple[Any, ...]:
    """(learners, seats, learner, slot, cost) of a made-up round, or of a folder; pairs in no order."""
    if source.isdigit():
        world, _ = generate(int(source), ratio, seed)
        pairs = candidates(world)
        columns = (int(source), world.slots.seats, pairs.learner, pairs.slot, pairs.cost)
    else:
        columns = wpi(source)
    order = np.random.default_rng(1).permutation(len(columns[2]))
    return (*columns[:2], *(column[order] for column in columns[2:]))


def solve_ours(source: str, ratio: float, seed: int) -> Found:
    """From unsorted arrays to the assignment with its certificate."""
    from kompetensnav_matching.engine.solve import solve

    learners, seats, learner, slot, cost = arrays(source, ratio, seed)

    def work() -> Found:
        found = solve(Instance.of(learners, seats, learner, slot, cost))
        return {"placed": found.placed, "cost": found.cost, "gap": found.gap, "edges": len(slot)}

    return timed(work)


def solve_large(source: str, ratio: float, seed: int) -> Found:
    """As `solve_ours`, from the candidates themselves: what the service and `generate` do."""
    from kompetensnav_matching.engine.solve import solve

    world, _ = generate(int(source), ratio, seed)
    began = time.process_time()
    pairs = candidates(world)
    finding = time.process_time() - began
    seats, edges = world.slots.seats, len(pairs.slot)
    instance = Instance(pairs.first, pairs.slot, pairs.cost, seats)
    del world, pairs

    def work() -> Found:
        found = solve(instance)
        return {"placed": found.placed, "cost": found.cost, "gap": found.gap, "edges": edges}

    done = timed(work)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return done | {"candidates_cpu": finding, "bytes_per_edge": peak / edges}


def solve_ortools(source: str, ratio: float, seed: int) -> Found:
    """OR-Tools' solve_max_flow_with_min_cost."""
    from ortools.graph.python import min_cost_flow

    learners, seats, learner, slot, cost = arrays(source, ratio, seed)

    def work() -> Found:
        n, m = learners, len(seats)
        flow = min_cost_flow.SimpleMinCostFlow()
        ones = np.ones(len(slot), np.int64)
        flow.add_arcs_with_capacity_and_unit_cost(learner, slot.astype(np.int64) + n, ones, cost)
        flow.add_arcs_with_capacity_and_unit_cost(
            np.arange(m) + n, np.full(m, n + m), seats.astype(np.int64), np.zeros(m, np.int64)
        )
        flow.set_nodes_supplies(
            np.arange(n + m + 1), np.concatenate([np.ones(n, np.int64), np.zeros(m, np.int64), [-n]])
        )
        assert flow.solve_max_flow_with_min_cost() == flow.OPTIMAL
        used = flow.flows(np.arange(len(slot))) > 0
        return {"placed": int(used.sum()), "cost": int(cost[used].sum())}

    return timed(work)


def lemon(learners: int, seats: Any, learner: Any, slot: Any, cost: Any) -> tuple[Any, Any, Any]:
    """(LEMON's graph with its costs and capacities, those capacities, the position of each of our arcs)."""
    import pylmcf

    n, m = learners, len(seats)
    large = int(cost.max()) * (n + 1) + 1
    start = np.concatenate([learner, np.arange(n), np.arange(m) + n]).astype(np.int64)
    end = np.concatenate([slot.astype(np.int64) + n, np.full(n, n + m), np.full(m, n + m)])
    capacity = np.concatenate([np.ones(len(slot) + n, np.int64), seats.astype(np.int64)])
    price = np.concatenate([cost.astype(np.int64), np.full(n, large), np.zeros(m, np.int64)])
    order = np.lexsort((end, start))
    graph = pylmcf.Graph(n + m + 1, start[order], end[order])
    graph.set_node_supply(np.concatenate([np.ones(n, np.int64), np.zeros(m, np.int64), [-n]]))
    graph.set_edge_costs(price[order])
    graph.set_edge_capacities(capacity[order])
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return graph, capacity[order], place


def solve_lemon(source: str, ratio: float, seed: int) -> Found:
    """LEMON's network simplex (pylmcf), leaving a learner out at a large cost."""
    learners, seats, learner, slot, cost = arrays(source, ratio, seed)

    def work() -> Found:
        graph, _, place = lemon(learners, seats, learner, slot, cost)
        graph.solve()
        used = np.asarray(graph.result())[place[: len(slot)]] > 0
        return {"placed": int(used.sum()), "cost": int(cost[used].sum())}

    return timed(work)


def solve_scipy(source: str, ratio: float, seed: int) -> Found:
    """scipy's min_weight_full_bipartite_matching over single seats, leaving a learner out at a large cost."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    learners, seats, learner, slot, cost = arrays(source, ratio, seed)

    def work() -> Found:
        large = float(int(cost.max()) * (learners + 1) + 1)
        base = np.concatenate([[0], np.cumsum(seats)])
        times = seats[slot]
        rows = np.repeat(learner, times)
        nth = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
        columns = np.repeat(base[slot], times) + nth
        everybody, own = np.arange(learners), base[-1] + np.arange(learners)
        weights = np.concatenate([np.repeat(cost, times) + 1.0, np.full(learners, large + 1)])
        graph = csr_matrix(
            (weights, (np.concatenate([rows, everybody]), np.concatenate([columns, own]))),
            shape=(learners, int(base[-1]) + learners),
        )
        who, seat = min_weight_full_bipartite_matching(graph)
        paid = np.asarray(graph[who, seat]).ravel() - 1
        return {"placed": int((seat < base[-1]).sum()), "cost": int(paid[seat < base[-1]].sum())}

    return timed(work)


def candidates_ours(source: str, ratio: float, seed: int) -> Found:
    """The product's."""
    world, _ = generate(int(source), ratio, seed)
    return timed(lambda: {"pairs": len(candidates(world).slot)})


def candidates_polars(source: str, ratio: float, seed: int) -> Found:
    """A join in polars, on all cores."""
    world, _ = generate(int(source), ratio, seed)
    return timed(lambda: {"pairs": by_polars(world)})


def candidates_kdtree(source: str, ratio: float, seed: int) -> Found:
    """scipy's cKDTree in each bucket."""
    world, _ = generate(int(source), ratio, seed)
    return timed(lambda: {"pairs": by_kdtree(world)})


def stable_ours(source: str, ratio: float, seed: int) -> Found:
    """Learner-proposing deferred acceptance, the lot drawn."""
    from kompetensnav_matching.engine.deferred_acceptance import drawn, propose

    learners, seats, learner, slot, cost = arrays(source, ratio, seed)
    instance = Instance.of(learners, seats, learner, slot, cost)
    tiers = np.zeros(learners, np.int32)

    def work() -> Found:
        rank = drawn(instance.first, instance.slot, tiers, 1, np.arange(learners), np.arange(len(seats)))
        taken = propose(instance.first, instance.slot, instance.seats, rank)
        return {"placed": int((taken >= 0).sum()), "hash": hash(taken.tobytes()) % 10**9}

    return timed(work)


def stable_peer(source: str, ratio: float, seed: int) -> Found:
    """The package `matching`, from the same preferences, its making of players counted."""
    import threading

    sys.setrecursionlimit(10**6)
    threading.stack_size(2**29)
    found: Found = {}
    worker = threading.Thread(target=lambda: found.update(_stable_peer(source, ratio, seed)))
    worker.start()
    worker.join()
    return found


def _stable_peer(source: str, ratio: float, seed: int) -> Found:
    import warnings

    from matching.games import HospitalResident

    from kompetensnav_matching.engine.deferred_acceptance import drawn

    warnings.simplefilter("ignore")
    learners, seats, learner, slot, cost = arrays(source, ratio, seed)
    instance = Instance.of(learners, seats, learner, slot, cost)
    rank = drawn(
        instance.first,
        instance.slot,
        np.zeros(learners, np.int32),
        1,
        np.arange(learners),
        np.arange(len(seats)),
    )
    rows = np.repeat(np.arange(learners), np.diff(instance.first))
    wishes = {
        f"r{i}": [f"h{j}" for j in instance.slot[instance.first[i] : instance.first[i + 1]]]
        for i in range(learners)
        if instance.first[i + 1] > instance.first[i]
    }
    hosts: dict[str, list[str]] = {}
    for e in np.lexsort((rank, instance.slot)):
        hosts.setdefault(f"h{instance.slot[e]}", []).append(f"r{rows[e]}")
    places = {host: int(seats[int(host[1:])]) for host in hosts}

    def work() -> Found:
        game = HospitalResident.create_from_dictionaries(wishes, hosts, places)
        taken = np.full(learners, -1, np.int32)
        for host, residents in game.solve(optimal="resident").items():
            taken[[int(str(r)[1:]) for r in residents]] = int(str(host)[1:])
        return {"placed": int((taken >= 0).sum()), "hash": hash(taken.tobytes()) % 10**9}

    return timed(work)


def repair_ours(source: str, ratio: float, seed: int) -> Found:
    """Declines, withdrawals and posts, one after the other; and declines with ten minutes' stay bonus."""
    from kompetensnav_matching.engine.layers import rewarded, staying
    from kompetensnav_matching.engine.repair import Plan
    from kompetensnav_matching.engine.solve import solve

    learners, seats, learner, slot, cost = arrays(source, ratio, seed)
    instance = Instance.of(learners, seats, learner, slot, cost)
    solution = solve(instance)
    plan = Plan(instance, solution)
    chance = np.random.default_rng(1)
    spent = []
    for turn in range(1500):
        who, where = int(chance.integers(learners)), int(chance.integers(len(seats)))
        kind = turn % 3
        if kind == 0 and plan.taken[who] < 0:
            continue
        began = time.perf_counter()
        if kind == 0:
            plan.decline(who)
        elif kind == 1:
            plan.withdraw(where)
        else:
            plan.set_seats(where, int(plan.seats[where]) + 1)
        spent.append(1000 * (time.perf_counter() - began))
    gap = plan.proof[0]
    kept = Plan(rewarded(instance, staying(instance, solution.taken, 100))[0], solution)
    moved = []
    while len(moved) < 1000:
        who = int(chance.integers(learners))
        if kept.taken[who] >= 0:
            changed = kept.decline(who)
            moved.append(int((changed != who).sum()))
    return {
        "p50_ms": float(np.quantile(spent, 0.5)),
        "p99_ms": float(np.quantile(spent, 0.99)),
        "gap": gap,
        "moved_p50": float(np.quantile(moved, 0.5)),
        "moved_p95": float(np.quantile(moved, 0.95)),
    }


def repair_lemon(source: str, ratio: float, seed: int) -> Found:
    """pylmcf's warm restart after a slot has been withdrawn, and after it is back."""
    learners, seats, learner, slot, cost = arrays(source, ratio, seed)
    graph, capacity, place = lemon(learners, seats, learner, slot, cost)
    graph.solve()
    chance = np.random.default_rng(1)
    spent = []
    for where in chance.choice(len(seats), 15, replace=False):
        arc = place[len(slot) + learners + where]
        for now in (0, int(seats[where])):
            capacity[arc] = now
            began = time.perf_counter()
            graph.set_edge_capacities(capacity)
            graph.solve()
            spent.append(1000 * (time.perf_counter() - began))
    return {"p50_ms": float(np.quantile(spent, 0.5)), "p99_ms": float(np.quantile(spent, 0.99))}


def seeds(name: str, source: str) -> range:
    """Which made-up rounds a measurement sums up."""
    few = not source.isdigit() or int(source) > 100_000 or name.startswith(("repair", "stable", "candidates"))
    return range(1, 2 if few else 4 if int(source) > 10_000 else 6)


def summed(many: list[Found]) -> Found:
    """Measurements of several rounds as one."""
    return {name: sum(found[name] for found in many) for name in many[0]}


def one(name: str, source: str, ratio: float) -> Found:
    """A measurement in a process of its own."""
    command = [sys.executable, __file__, "--one", name, source, str(ratio)]
    env = os.environ | {"PYTHONHASHSEED": "0"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    found: Found = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(title: str, source: str, ratio: float, ours: str, peers: dict[str, float], same: str) -> None:
    """A row for ours and one for each peer (name -> what we should be faster by)."""
    best = one(ours, source, ratio)
    many = len(seeds(ours, source))
    head = f"{title} {f'{int(source):,}' if source.isdigit() else Path(source).name} @ {ratio:g}"
    head += f", {many} rounds" if many > 1 else ""
    print(f"| {head} | ours | {best['cpu']:.4f} | | {_told(best)} |", flush=True)
    for peer, goal in peers.items():
        found = one(peer, source, ratio)
        wrong = "" if found[same] == best[same] else f" **{same} differs: {found[same]}**"
        times = f"{found['cpu'] / best['cpu']:.1f} x" + (f" (goal {goal:g})" if goal else "")
        name = peer.partition("_")[2]
        print(f"| | {name} | {found['cpu']:.4f} | {times} | {_told(found)}{wrong} |", flush=True)


def _told(found: Found) -> str:
    skipped = ("cpu", "seconds", "hash", "added_mb")
    return ", ".join(f"{k} {v:,.3g}" if isinstance(v, float) else f"{k} {v:,}" for k, v in found.items()
                     if k not in skipped)  # fmt: skip


def main() -> None:
    """Prints tables for the parts asked for."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    given.add_argument("parts", nargs="*", help="solve candidates stable repair wpi")
    given.add_argument("--large", action="store_true", help="also a million learners")
    given.add_argument("--wpi", action="append", default=[], help="a folder of a WPI season; may be repeated")
    given.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    asked = given.parse_args()
    if asked.one:
        name, source, ratio = asked.one
        sys.path.remove(str(Path(__file__).parent))  # this file is not the package `matching`
        warm.once()
        found = [globals()[name](source, float(ratio), seed) for seed in seeds(name, source)]
        print(json.dumps(summed(found)))
        return
    parts = asked.parts or ["solve", "candidates", "stable", "repair", "wpi"]
    print(f"machine: {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print("| what | who | CPU s | ours is faster by | found |\n|---|---|---|---|---|")
    if "solve" in parts:
        goals = {("10000", 1.0): 3, ("100000", 0.6): 8, ("100000", 1.0): 3, ("100000", 1.2): 8}
        for (source, ratio), goal in {("1000", 1.0): 0, **goals}.items():
            peers = {"solve_ortools": goal, "solve_lemon": goal}
            compare("solve", source, ratio, "solve_ours", peers, "cost")
        compare("solve", "1000", 1.0, "solve_ours", {"solve_scipy": 0}, "cost")
        for ratio in (0.6, 1.2, 1.0) if asked.large else ():
            compare("solve", "1000000", ratio, "solve_large", {}, "cost")
    if "candidates" in parts:
        peers = {"candidates_polars": 2.5, "candidates_kdtree": 5}
        compare("candidates", "100000", 1.0, "candidates_ours", peers, "pairs")
    if "stable" in parts:
        compare("stable", "10000", 1.0, "stable_ours", {"stable_peer": 1000}, "hash")
    for folder in asked.wpi if "wpi" in parts else ():
        compare("WPI", folder, 1.0, "solve_ours", {"solve_ortools": 1, "solve_lemon": 1}, "cost")
    if "repair" in parts:
        head = "| one event | who | p50 ms | p99 ms | others moved by a decline, p50 and p95 |"
        print(f"\n{head}\n|---|---|---|---|---|")
        mine, peer = one("repair_ours", "100000", 1.0), one("repair_lemon", "100000", 1.0)
        moved = f"{mine['moved_p50']:.0f}, {mine['moved_p95']:.0f} (goal 8)"
        p50, p99 = f"{mine['p50_ms']:.3f} (goal 0.3)", f"{mine['p99_ms']:.2f} (goal 15)"
        print(f"| 100000 @ 1 | ours | {p50} | {p99} | {moved} |")
        times = peer["p50_ms"] / mine["p50_ms"]
        print(f"| | lemon, warm | {peer['p50_ms']:.1f}, {times:.0f} x (goal 100) | {peer['p99_ms']:.0f} | |")


if __name__ == "__main__":
    main()

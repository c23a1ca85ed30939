"""Long outages, any order of return, lost ledger data: a final block within three seconds of a quorum."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from licet.types import Hash32

from node.ledger.executor import Prepared
from tests.sim.checkers import check_all
from tests.sim.checkers.progress import LIMIT_US
from tests.sim.cluster import Cluster
from tests.sim.draw import Drawn
from tests.sim.memo import memoised
from tests.sim.run import Run
from tests.sim.world import MS, SECOND


def nothing(cluster: Cluster, heal_us: int) -> None:
    """Trouble is made by the test."""


def begun(seed: int, memo: object) -> Run:
    """Four nodes that have ordered a few blocks."""
    run = Run(seed, Drawn(plan="by hand", adversary="", villain=-1), memo, plan=nothing)  # type: ignore[arg-type]
    for node in run.cluster.nodes:
        run.cluster.start(node)
    run.workload.fund(60 * MS)
    run.workload.transfers(8, 100 * MS, 800 * MS)
    run.world.run_until(1 * SECOND)
    assert run.settled
    return run


def healed(run: Run) -> int:
    """Everybody is back: time until every node has a new final block, then the checkers' verdict."""
    highest, began = max(node.height for node in run.cluster.nodes), run.world.now_us
    run.cluster.history.healed_us = began
    run.workload.transfer(began + 1)
    assert run.world.run_until(
        began + 2 * LIMIT_US, lambda: min(node.height for node in run.cluster.nodes) > highest
    ), run.outcome().beliefs
    took = run.cluster.history.progress_us = run.world.now_us - began
    assert run.world.run_until(run.world.now_us + 8 * SECOND, lambda: run.settled), run.outcome().beliefs
    run.cluster.history.stores = {node.index: node.storage for node in run.cluster.nodes}
    assert not check_all(run.cluster.history)
    return took


@pytest.mark.parametrize("seconds", [1, 10, 60])
@pytest.mark.parametrize("seed", range(4))
def test_no_quorum_for_long(seconds: int, seed: int) -> None:
    """Two of four are gone while clients go on asking, then come back one after the other."""
    with memoised() as memo:
        run = begun(seed, memo)
        gone = [run.cluster.nodes[seed % 4], run.cluster.nodes[(seed + 1 + seed // 2) % 4]]
        for node in gone:
            node.crash(power=True, why="outage")
        run.workload.transfers(3, run.world.now_us + 1, run.world.now_us + 500 * MS)
        run.world.run_until(run.world.now_us + seconds * SECOND)
        for node in gone:
            run.world.run_until(run.world.now_us + run.world.between(0, 400) * MS)
            run.cluster.start(node)
        assert healed(run) <= LIMIT_US


@pytest.mark.parametrize("seconds", [1, 60])
@pytest.mark.parametrize("seed", range(3))
def test_a_split_in_two_halves_for_long(seconds: int, seed: int) -> None:
    with memoised() as memo:
        run = begun(seed, memo)
        run.cluster.partition(((0, 1), (2, 3)), told=bool(seed % 2))
        run.workload.transfers(4, run.world.now_us + 1, run.world.now_us + 500 * MS)
        run.world.run_until(run.world.now_us + seconds * SECOND)
        run.cluster.heal()
        assert healed(run) <= LIMIT_US


@pytest.mark.parametrize("seed", range(6))
def test_the_ledger_data_of_two_is_lost(seed: int) -> None:
    """Signing records kept: that is only catch-up (C-11)."""
    with memoised() as memo:
        run = begun(seed, memo)
        run.workload.transfers(3, run.world.now_us + 1, run.world.now_us + 30 * MS)
        run.world.run_until(run.world.now_us + seed * 8 * MS)
        run.cluster.power_loss()
        for node in run.world.random.sample(run.cluster.nodes, 2):
            node.lose_ledger()
        for node in run.world.random.sample(run.cluster.nodes, 4):
            run.world.run_until(run.world.now_us + run.world.between(0, 300) * MS)
            run.cluster.start(node)
        assert healed(run) <= LIMIT_US


def orders_within_the_limit(run: Run) -> bool:
    """Whether all who are up get a new final block in time."""
    three, highest = run.cluster.up(), max(node.height for node in run.cluster.nodes)
    run.workload.transfer(run.world.now_us + 1)
    return run.world.run_until(
        run.world.now_us + LIMIT_US, lambda: min(node.height for node in three) > highest
    )


@pytest.mark.parametrize("first", range(4))
def test_every_order_of_return(first: int) -> None:
    """Power is lost everywhere; whoever comes back first, second, third, last: the third makes a quorum."""
    for others in permutations([index for index in range(4) if index != first]):
        with memoised() as memo:
            run = begun(3, memo)
            run.workload.transfers(2, run.world.now_us + 1, run.world.now_us + 20 * MS)
            run.world.run_until(run.world.now_us + 15 * MS)
            run.cluster.power_loss()
            for place, index in enumerate((first, *others)):
                if place == 3:  # the last stays away until the three have shown that they need no fourth
                    assert orders_within_the_limit(run), (others, run.outcome().beliefs)
                run.cluster.start(run.cluster.nodes[index])
                run.world.run_until(run.world.now_us + run.world.between(0, 200) * MS)
            assert healed(run) <= LIMIT_US


def test_a_node_with_other_roots_isolates_itself() -> None:
    """C-13: it votes no more and says so; the three others go on."""
    with memoised() as memo:
        run = begun(2, memo)
        victim = run.cluster.nodes[1]
        executor = victim.parts.executor
        honest = executor.prepare

        def wrong(ready: object) -> Prepared:
            prepared = honest(ready)  # type: ignore[arg-type]
            other = replace(prepared.roots, state_root=Hash32(b"\5" * 32))
            return replace(prepared, roots=other)

        executor.prepare = wrong  # type: ignore[method-assign]
        run.workload.transfers(4, run.world.now_us + 1, run.world.now_us + 400 * MS)
        run.world.run_until(run.world.now_us + 3 * SECOND)
        assert [node for node, _ in run.cluster.history.isolated] == [victim.index]
        assert "isolated" in run.belief(1)
        last = max(vote.tick_us for vote in run.cluster.history.votes if vote.voter == 1)
        assert last < run.world.now_us - 1 * SECOND, "it votes no more"
        others = {node.height for node in run.cluster.nodes if node is not victim}
        assert len(others) == 1
        assert others.pop() > 8

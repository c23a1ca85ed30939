"""A crash at every persistence point: one node by kill or power, and all machines at once.

One seed and one node, struck at its first point, its second, and so on: runs that are
equal up to the crash, so no point of two whole blocks is left out. Then a second crash
at every point of the recovery from the first.
"""

from __future__ import annotations

from functools import partial

import pytest

from tests.sim.checkers import check_all
from tests.sim.cluster import Cluster
from tests.sim.run import run_plan
from tests.sim.trouble import START_US, Plan
from tests.sim.world import MS

POINTS = 40  # more than two whole blocks have
POINTS_OF_RECOVERY = 10
NODE = 1


def _strike_at(node: int, points: int, *, power: bool, everybody: bool) -> Plan:
    """The node dies at its n-th persistence point from the start of trouble on; perhaps all others too."""

    def plan(cluster: Cluster, heal_us: int) -> None:
        target = cluster.nodes[node]

        def arm() -> None:
            target.points_left, target.crash_power = points, power

        def watch() -> None:
            if not target.up:
                if everybody:
                    cluster.power_loss()
                back = cluster.world.now_us + 20 * MS
                for number, one in enumerate(cluster.nodes):
                    cluster.world.at(back + number * 7 * MS, partial(cluster.start, one))
            elif cluster.world.now_us < heal_us:
                cluster.world.after(200, watch)

        cluster.world.at(START_US, arm)
        cluster.world.at(START_US + 1, watch)

    return plan


@pytest.mark.parametrize(
    ("seed", "power", "everybody"),
    [(8, False, False), (1, True, False), (13, True, True)],
    ids=["kill", "power", "all"],
)
def test_every_persistence_point(seed: int, power: bool, everybody: bool) -> None:
    struck: set[str] = set()
    for points in range(1, POINTS + 1):
        plan = _strike_at(NODE, points, power=power, everybody=everybody)
        run = run_plan(seed, plan)
        assert not check_all(run.cluster.history), (points, run.outcome().failures, run.outcome().beliefs)
        struck |= {line.split(" at ")[1] for line in run.world.lines if " crash " in line and " at " in line}
    named = " ".join(sorted(struck))
    for point in (
        "payload appended",
        "payload synced",
        "votes appended",
        "votes synced",
        "between two frames",
        "block executed, not stored",
        "block stored",
    ):
        assert point in named, f"never struck at '{point}': {named}"


@pytest.mark.parametrize("power", [False, True], ids=["kill", "power"])
def test_every_point_of_the_recovery(power: bool) -> None:
    """All machines lose power; one dies again at its n-th point from its return on, and returns once more."""

    def twice(points: int) -> Plan:
        def plan(cluster: Cluster, heal_us: int) -> None:
            world, node = cluster.world, cluster.nodes[NODE]

            def again() -> None:
                cluster.start(node)
                node.points_left, node.crash_power = points, power

            world.at(START_US, cluster.power_loss)
            for one in cluster.nodes:
                back = START_US + (10 + 5 * one.index) * MS
                world.at(back, again if one is node else partial(cluster.start, one))
                world.at(back + 60 * MS, partial(cluster.start, one))

        return plan

    for points in range(1, POINTS_OF_RECOVERY + 1):
        run = run_plan(8, twice(points))
        assert not check_all(run.cluster.history), (points, run.outcome().failures, run.outcome().beliefs)
        assert sum(f" {NODE} crash " in line for line in run.world.lines) >= 2, points

"""A crash at every persistence point: one node by kill or power, and all machines at once."""

from __future__ import annotations

from functools import partial

import pytest

from tests.sim.checkers import check_all
from tests.sim.cluster import Cluster
from tests.sim.run import run_plan
from tests.sim.trouble import START_US, Plan
from tests.sim.world import MS

POINTS = 40  # more than two whole blocks have


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
    ("power", "everybody"), [(False, False), (True, False), (True, True)], ids=["kill", "power", "all"]
)
def test_every_persistence_point(power: bool, everybody: bool) -> None:
    struck: set[str] = set()
    for points in range(1, POINTS + 1):
        plan = _strike_at((points + points // 5) % 4, points, power=power, everybody=everybody)
        run = run_plan(points, plan)
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

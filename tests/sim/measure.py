"""What the design's model says about an idle network, measured on the node's own core.

Hops of 0.2 to 2 ms, disks and verification that take no time: one transaction at
a time, from submission to the answer. `python -m tests.sim.measure` prints it.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import quantiles

from tests.sim.cluster import Cluster
from tests.sim.memo import memoised
from tests.sim.workload import Workload
from tests.sim.world import MS, SECOND, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """Latencies in microseconds, and what an idle network does afterwards."""

    latencies_us: tuple[int, ...]
    blocks: tuple[int, ...]  # by each transaction: its own, and those that anchor it
    empty: tuple[int, ...]
    anchored_us: tuple[int, ...]  # from the answer to the final block that anchors it
    silent: tuple[bool, ...]  # no frame in the last half of the gap

    def percentile(self, percent: int) -> float:
        """Milliseconds."""
        return quantiles(self.latencies_us, n=100)[percent - 1] / MS


def measure_idle(
    *, seed: int = 1, transactions: int = 60, gap_us: int = 700 * MS, dead: int | None = None
) -> Idle:
    """Submit one transaction at a time at the living nodes in turn, far apart."""
    with memoised() as memo:
        world = World(seed)
        cluster = Cluster(world, memo)
        workload = Workload(cluster, repeat_percent=0)
        for node in cluster.nodes:
            cluster.start(node)
        workload.fund(20 * MS)
        world.run_until(1 * SECOND)
        if dead is not None:
            cluster.nodes[dead].crash(power=True, why="dead")
            for _ in range(20):  # it is skipped once it was silent for K views
                workload.transfer(world.now_us + 1, (dead + 1) % 4)
                world.run_until(world.now_us + gap_us)
        alive = [node.index for node in cluster.nodes if node.up]
        rows = [_one(cluster, workload, alive[number % len(alive)], gap_us) for number in range(transactions)]
        latencies, blocks, empty, anchored, silent = zip(*rows, strict=True)
        return Idle(latencies_us=latencies, blocks=blocks, empty=empty, anchored_us=anchored, silent=silent)


def _one(cluster: Cluster, workload: Workload, node: int, gap_us: int) -> tuple[int, int, int, int, bool]:
    world, history = cluster.world, cluster.history
    world.run_until(world.now_us + world.between(0, 20) * MS)
    acks, seen, began = len(history.acks), len(history.blocks), world.now_us
    workload.transfer(began, node)
    world.run_until(began + gap_us // 2)
    frames = cluster.network.frames
    world.run_until(began + gap_us)
    first = history.acks[acks]  # a repeat at another node may be answered too
    answered = first.tick_us
    new = [one for one in history.blocks[seen:] if one.node == node]
    anchor = next(one for one in new if one.block.header.executed.height >= first.height)
    return (
        answered - began,
        len(new),
        sum(not one.block.digests for one in new),
        anchor.tick_us - answered,
        cluster.network.frames == frames,
    )


def main() -> None:
    """Print the figures."""
    for label, dead in (("all alive", None), ("one dead", 2)):
        idle = measure_idle(transactions=200, dead=dead)
        print(
            f"{label}: p50 {idle.percentile(50):.1f} ms, p99 {idle.percentile(99):.1f} ms; "
            f"blocks a transaction {sorted(set(idle.blocks))}, empty {sorted(set(idle.empty))}; "
            f"anchored {sorted(idle.anchored_us)[len(idle.anchored_us) // 2] / MS:.1f} ms later (median); "
            f"silent afterwards in {sum(idle.silent)} of {len(idle.silent)}"
        )


if __name__ == "__main__":
    main()

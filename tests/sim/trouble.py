"""What goes wrong in a run, drawn from its seed: plans of trouble, each a named function.

A plan is laid before the run starts, between `START_US` and the moment of healing.
It may crash, cut, slow, fill and mislead whatever it likes, as long as at most one
member is faulty for good (adversary, lost signing record); after healing everybody
else is well again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from node.storage.schema import PAYLOAD_FILE, VOTES_FILE
from tests.sim.cluster import Cluster
from tests.sim.shell import SimNode
from tests.sim.world import MS

START_US: Final = 250 * MS
HOUR_MS: Final = 3_600_000

Plan = Callable[[Cluster, int], None]


def calm(cluster: Cluster, heal_us: int) -> None:
    """Nothing at all."""


def lossy(cluster: Cluster, heal_us: int) -> None:
    """Every link loses, repeats, delays."""
    world = cluster.world
    for link in cluster.network.links():
        link.loss_percent = world.between(0, 25)
        link.repeat_percent = world.between(0, 20)
        link.tail_percent = world.between(0, 30)


def slow_links(cluster: Cluster, heal_us: int) -> None:
    """Some directions are slow: 20 to 300 ms, for one node perhaps all of them."""
    world = cluster.world
    slow = world.between(0, 3)
    for a, b in ((a, b) for a in range(4) for b in range(4) if a != b):
        if slow in (a, b) or world.chance(20):
            low = world.between(20, 150) * MS
            cluster.network.link(a, b).delay_us = (low, 2 * low)


def partitions(cluster: Cluster, heal_us: int) -> None:
    """The network splits, again and again, in any way, seen or unseen."""
    world = cluster.world
    at = START_US
    while at < heal_us:
        members = [0, 1, 2, 3]
        world.random.shuffle(members)
        cut = world.between(1, 3)
        groups: tuple[tuple[int, ...], ...] = (tuple(members[:cut]), tuple(members[cut:]))
        if world.chance(20):
            groups = ((members[0],), (members[1],), (members[2], members[3]))
        world.at(at, partial(cluster.partition, groups, told=world.chance(50)))
        at += world.between(50, 600) * MS


def asymmetric(cluster: Cluster, heal_us: int) -> None:
    """Single directions fall silent, so that one hears and is not heard."""
    world = cluster.world

    def cut(a: int, b: int, *, off: bool) -> None:
        world.trace("net", f"{a}>{b} cut={off}")
        cluster.network.link(a, b).cut = off

    for _ in range(world.between(2, 8)):
        a, b = world.random.sample(range(4), 2)
        start = world.between(START_US, heal_us)
        world.at(start, partial(cut, a, b, off=True))
        world.at(min(heal_us, start + world.between(50, 800) * MS), partial(cut, a, b, off=False))


def crashes(cluster: Cluster, heal_us: int) -> None:
    """Nodes die at persistence points and at any moment, by kill or by power, and come back."""
    world = cluster.world
    for _ in range(world.between(2, 8)):
        node = cluster.nodes[world.between(0, 3)]
        at = world.between(START_US, heal_us - 50 * MS)
        if world.chance(70):
            world.at(at, partial(_crash_within, node, world.between(1, 40), power=world.chance(60)))
        else:
            world.at(at, partial(node.crash, power=world.chance(60), why="planned"))
        again = world.between(1, 12) if world.chance(30) else None
        world.at(at + world.between(20, 500) * MS, partial(_back, cluster, node, again))


def _crash_within(node: SimNode, points: int, *, power: bool) -> None:
    node.points_left, node.crash_power = points, power


def _back(cluster: Cluster, node: SimNode, again: int | None = None) -> None:
    """The node returns; with `again` it dies so many points later, in the middle of its recovery."""
    if not node.up:
        cluster.start(node)
        node.crash_power = True
    node.points_left = again
    if again is not None:
        cluster.world.after(150 * MS, partial(_back, cluster, node))


def power_loss(cluster: Cluster, heal_us: int) -> None:
    """All machines lose power at once, and come back at different times."""
    world = cluster.world
    at = START_US
    while at < heal_us:
        at += world.between(100, 700) * MS
        world.at(at, cluster.power_loss)
        for node in cluster.nodes:
            world.at(at + world.between(10, 300) * MS, partial(cluster.start, node))


def rolling_restarts(cluster: Cluster, heal_us: int) -> None:
    """Everybody is restarted, one after another, faster than the others recover."""
    world = cluster.world
    at = START_US
    for node in world.random.sample(cluster.nodes, 4) * 2:
        if at >= heal_us:
            break
        world.at(at, partial(node.crash, power=False, why="restart"))
        at += world.between(20, 250) * MS
        world.at(min(at, heal_us), partial(cluster.start, node))


def disk_full(cluster: Cluster, heal_us: int) -> None:
    """Disks fill up or fail to sync: the process ends (dead-handle rule), and returns when there is room."""
    world = cluster.world

    def fill(node: SimNode) -> None:
        way = world.between(0, 2)
        if way == 0:
            node.disk.room = world.between(0, 3_000)
        elif way == 1:
            node.disk.sync_fails = True
        else:
            node.storage.fail_writes = True
        world.trace(node.index, f"disk fails in way {way}")

    def free(node: SimNode) -> None:
        node.disk.room, node.disk.sync_fails = None, False
        if node.process is not None:  # an operator frees space and restarts
            node.crash(power=world.chance(50), why="restart after a full disk")
        node.storage.fail_writes = False
        cluster.start(node)

    for _ in range(world.between(1, 4)):
        node = cluster.nodes[world.between(0, 3)]
        at = world.between(START_US, heal_us - 100 * MS)
        world.at(at, partial(fill, node))
        world.at(at + world.between(50, 400) * MS, partial(free, node))


def clocks(cluster: Cluster, heal_us: int) -> None:
    """Clocks that drift and differ: the time of day falls back an hour for all or for one, or runs ahead.

    One node's timers may run a fiftieth too fast or too slow.
    """
    world = cluster.world
    at, one = world.between(START_US, heal_us), cluster.nodes[world.between(0, 3)]
    if world.chance(50):
        one.clock.drift(world.random.choice((-20_000, 20_000)))
    way = world.between(0, 3)
    if way == 0:
        for node in cluster.nodes:
            world.at(at + world.between(0, 40) * MS, partial(node.clock.step, -HOUR_MS))
    elif way == 1:
        world.at(at, partial(one.clock.step, -HOUR_MS))
    elif way == 2:
        world.at(at, partial(one.clock.step, HOUR_MS))
    else:
        world.at(at, partial(one.clock.step, world.between(-300, 300)))


def record_lost(cluster: Cluster, heal_us: int) -> None:
    """One node's signing record is gone or rotten at a restart: it follows and votes no more."""
    world = cluster.world
    node = cluster.nodes[world.between(0, 3)]

    def lose() -> None:
        node.crash(power=False, why="its disk is exchanged")
        cluster.history.record_lost_us[node.index] = world.now_us
        if world.chance(50):
            node.disk.remove(VOTES_FILE)
        else:
            _rot_both_copies(node)
        cluster.start(node)

    world.at(world.between(START_US, heal_us), lose)


def _rot_both_copies(node: SimNode) -> None:
    """Flip a bit in both copies of any record, or in both of its heads: damage, never a tear."""
    chance, data = node.world.random, node.disk.durable(VOTES_FILE)
    starts = [0]
    while (end := starts[-1] + 64 + 2 * int.from_bytes(data[starts[-1] + 12 : starts[-1] + 16], "big")) < len(
        data
    ):
        starts.append(end)
    at = chance.choice(starts)
    length = int.from_bytes(data[at + 12 : at + 16], "big")
    start, size = (at, 32) if chance.random() < 0.4 else (at + 64, length)
    for copy in range(2):
        node.disk.flip(VOTES_FILE, start + copy * size + chance.randrange(size), 1 << chance.randrange(8))


def payload_rots(cluster: Cluster, heal_us: int) -> None:
    """A flipped bit in what votes may depend on: a start is refused, and the ledger's data is begun afresh.

    The signing record is kept, so this is only catch-up (C-11).
    """
    world = cluster.world
    node = cluster.nodes[world.between(0, 3)]

    def rot() -> None:
        node.crash(power=False, why="rot")
        data = node.disk.durable(PAYLOAD_FILE)
        if data:
            node.disk.flip(PAYLOAD_FILE, world.between(0, len(data) - 1), 1 << world.between(0, 7))
        cluster.start(node)
        if not node.up:
            world.trace(node.index, node.down_why)
            world.after(world.between(20, 300) * MS, begin_afresh)

    def begin_afresh() -> None:
        node.lose_ledger()
        node.disk.rotten = False
        cluster.start(node)

    world.at(world.between(START_US, heal_us - 320 * MS), rot)


def ledger_lost(cluster: Cluster, heal_us: int) -> None:
    """All machines lose power, and two of four lose their ledger's data with it; signing records are kept."""
    world = cluster.world
    at = world.between(START_US, heal_us - 50 * MS)

    def strike() -> None:
        cluster.power_loss()
        for node in world.random.sample(cluster.nodes, 2):
            world.trace(node.index, "its ledger disk is gone")
            node.lose_ledger()

    world.at(at, strike)
    for node in cluster.nodes:
        world.at(at + world.between(5, 400) * MS, partial(cluster.start, node))


def one_copy_rots(cluster: Cluster, heal_us: int) -> None:
    """A flipped bit in one copy of the signing record, and crashes: the other copy is the record."""
    world = cluster.world
    crashes(cluster, heal_us)
    node = cluster.nodes[world.between(0, 3)]

    def rot() -> None:
        node.crash(power=False, why="rot")
        data = node.disk.durable(VOTES_FILE)
        length = int.from_bytes(data[12:16], "big")
        node.disk.flip(VOTES_FILE, 64 + world.between(0, length - 1), 1 << world.between(0, 7))
        cluster.start(node)

    world.at(world.between(START_US, heal_us), rot)


def everything(cluster: Cluster, heal_us: int) -> None:
    """Loss, partitions and crashes together."""
    lossy(cluster, heal_us)
    partitions(cluster, heal_us)
    crashes(cluster, heal_us)


PLANS: Final[dict[str, Plan]] = {
    plan.__name__: plan
    for plan in (
        calm,
        lossy,
        slow_links,
        partitions,
        asymmetric,
        crashes,
        power_loss,
        rolling_restarts,
        disk_full,
        clocks,
        record_lost,
        one_copy_rots,
        payload_rots,
        ledger_lost,
        everything,
    )
}

# Plans in which no member is faulty for good: an adversary may stand beside them.
WITH_ADVERSARY: Final = ("calm", "lossy", "partitions", "crashes", "power_loss", "everything")

__all__ = ["PLANS", "START_US", "WITH_ADVERSARY", "Plan"]

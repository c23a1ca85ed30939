"""A signing record that is gone or damaged: the node follows, says so, and never votes (C-10, C-11)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from node.storage.schema import PAYLOAD_FILE, VOTES_FILE
from tests.sim.checkers import check_all
from tests.sim.cluster import Cluster
from tests.sim.draw import Drawn
from tests.sim.memo import memoised
from tests.sim.run import Run, run_plan
from tests.sim.shell import SimNode
from tests.sim.trouble import START_US
from tests.sim.world import MS

NODE = 1


def _restart_with(harm: Callable[[SimNode], None], *, lost: bool) -> Run:
    def restarted(cluster: Cluster, heal_us: int) -> None:
        node = cluster.nodes[NODE]

        def strike() -> None:
            node.crash(power=False, why="restart")
            harm(node)
            if lost:
                cluster.history.record_lost_us[NODE] = cluster.world.now_us
            cluster.start(node)

        cluster.world.at(START_US + 100 * MS, strike)

    return run_plan(7, restarted)


def _remove(node: SimNode) -> None:
    node.disk.remove(VOTES_FILE)


def _flip(offset: int, copies: int = 1) -> Callable[[SimNode], None]:
    def flip(node: SimNode) -> None:
        length = int.from_bytes(node.disk.durable(VOTES_FILE)[12:16], "big")
        for copy in range(copies):
            node.disk.flip(VOTES_FILE, 64 + copy * length + offset)

    return flip


def _votes_after(run: Run) -> int:
    return sum(
        vote.voter == NODE and vote.where == "wire" and vote.tick_us > START_US + 110 * MS
        for vote in run.cluster.history.votes
    )


@pytest.mark.parametrize(
    ("harm", "says"),
    [(_remove, "is missing"), (_flip(5, copies=2), "is damaged")],
    ids=["missing", "damaged"],
)
def test_without_a_record_a_node_follows_and_does_not_vote(
    harm: Callable[[SimNode], None], says: str
) -> None:
    run = _restart_with(harm, lost=True)
    assert not check_all(run.cluster.history)
    assert _votes_after(run) == 0
    assert says in run.cluster.nodes[NODE].problem
    assert "does not vote" in run.cluster.nodes[NODE].problem
    heights = {node.height for node in run.cluster.nodes}
    assert len(heights) == 1, "it follows the chain to the same height"


@pytest.mark.parametrize("offset", [0, 3, 40, 69])
def test_one_flipped_copy_is_repaired_by_the_other(offset: int) -> None:
    run = _restart_with(_flip(offset), lost=False)
    assert not check_all(run.cluster.history)
    assert run.cluster.nodes[NODE].problem == ""
    assert _votes_after(run) > 0


def test_a_forged_vote_is_refused_in_a_run() -> None:
    """Verification is memoised, and real: an impersonator's votes never count."""
    run = run_plan(5, _nothing, adversary="impersonator", villain=2)
    assert not check_all(run.cluster.history)
    assert any("does not verify" in line for line in run.world.lines)


def _nothing(cluster: Cluster, heal_us: int) -> None:
    """No other trouble."""


def _flip_the_last_record(node: SimNode) -> None:
    """The newest synced votes rot, in both copies: never taken for a tear, however near the end."""
    data = node.disk.durable(VOTES_FILE)
    at = 0
    while at < len(data):
        start, length = at, int.from_bytes(data[at + 12 : at + 16], "big")
        at += 64 + 2 * length
    assert at == len(data), "whole records"
    for copy in range(2):
        node.disk.flip(VOTES_FILE, start + 64 + copy * length)


def test_damage_at_the_very_end_is_damage() -> None:
    run = _restart_with(_flip_the_last_record, lost=True)
    assert not check_all(run.cluster.history)
    assert _votes_after(run) == 0
    assert "both copies" in run.cluster.nodes[NODE].problem


def test_a_rotten_payload_file_is_reported_and_never_cut() -> None:
    """A vote may depend on what it held (C-14): the node refuses to start, and the others go on."""
    sizes: list[int] = []

    def rot(cluster: Cluster, heal_us: int) -> None:
        node = cluster.nodes[NODE]

        def strike() -> None:
            node.crash(power=False, why="restart")
            sizes.append(len(node.disk.durable(PAYLOAD_FILE)))
            node.disk.flip(PAYLOAD_FILE, 50)
            cluster.start(node)
            sizes.append(len(node.disk.durable(PAYLOAD_FILE)))
            assert not node.up
            assert "the file payload is damaged" in node.down_why

        cluster.world.at(START_US + 100 * MS, strike)

    with memoised() as memo:
        run = Run(7, Drawn(plan="rot", adversary="", villain=-1), memo, plan=rot)
        run.workload.fund(60 * MS)
        rot(run.cluster, 0)
        for node in run.cluster.nodes:
            run.world.at(1, partial(run.cluster.start, node))
        run.workload.transfers(10, START_US, 2_000 * MS)
        run.world.run_until(4_000 * MS)
    others = [node for node in run.cluster.nodes if node.index != NODE]
    assert sizes[0] == sizes[1] > 0
    assert not run.workload.open, "clients go to the nodes that are up"
    assert min(node.height for node in others) > run.cluster.nodes[NODE].height

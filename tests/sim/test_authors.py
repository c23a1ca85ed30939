"""A proposer withholds a batch and its author has it: the author is asked at once (C-14)."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from licet.types import ValidatorIndex

from consensus.messages import Proposal
from node.core.effects import CoreSend
from node.limits import FETCH_RETRY_US
from node.net.peer_messages import UNKNOWN_AUTHOR, BatchRequest
from tests.sim.byzantine.adversary import Outgoing
from tests.sim.byzantine.payload_withholder import PayloadWithholder
from tests.sim.checkers import check_all
from tests.sim.cluster import Cluster
from tests.sim.draw import Drawn
from tests.sim.memo import memoised
from tests.sim.network import Frame
from tests.sim.run import Run
from tests.sim.world import MS, SECOND

VILLAIN, AUTHOR, BESIDE, LAST = (ValidatorIndex(index) for index in range(4))
Authors = tuple[ValidatorIndex, ...]


class Withholder(PayloadWithholder):
    """Proposes others' batches, serves none of them, and names their authors as the test says."""

    names: Authors | None = None  # instead of each true author; None: the truth

    def begin(self) -> None:
        self._told = 0

    def rewrite(self, send: CoreSend) -> Iterable[Outgoing]:
        for one in super().rewrite(send):
            if self.names is not None and isinstance(send.message, Proposal):
                yield Outgoing(to=one.to, message=one.message, authors=self.names)
            else:
                yield one


def nothing(cluster: Cluster, heal_us: int) -> None:
    """Trouble is made by the test."""


class Scene:
    """All are idle and the villain leads; a client comes to AUTHOR, whose gossip reaches it alone."""

    def __init__(self, seed: int, memo: object, names: Authors | None) -> None:
        drawn = Drawn(plan="by hand", adversary="", villain=-1)
        self.run = Run(seed, drawn, memo, plan=nothing)  # type: ignore[arg-type]
        self.world, self.cluster = self.run.world, self.run.cluster
        self.nodes = self.cluster.nodes
        self.cluster.history.byzantine = frozenset({VILLAIN})
        self.villain = Withholder(self.cluster, self.nodes[VILLAIN])
        self.villain.names = names
        self.villain.begin()
        self.cluster.adversaries[VILLAIN] = self.villain
        self.asked: list[tuple[int, ValidatorIndex, ValidatorIndex]] = []  # when, who, whom
        send = self.cluster.network.send

        def watched(
            source: ValidatorIndex, target: ValidatorIndex, frame: Frame, *, late_us: int = 0
        ) -> None:
            if any(isinstance(message, BatchRequest) for message in frame):
                self.asked.append((self.world.now_us, source, target))
            send(source, target, frame, late_us=late_us)

        self.cluster.network.send = watched  # type: ignore[method-assign]
        for node in self.nodes:
            self.cluster.start(node)
        self.run.workload.fund(60 * MS)
        self.world.run_until(1 * SECOND)
        assert self.run.settled

    def leads(self) -> bool:
        """Whether every node is in a view of the villain's."""
        return all(
            node.parts.core.ordering.status(node.clock.mono_us()).leader == VILLAIN for node in self.nodes
        )

    def order(self) -> int:
        """Time from the villain's holding the batch until LAST and BESIDE executed it."""
        assert self.world.run_until(self.world.now_us + 600 * SECOND, self.leads)
        self.world.run_until(self.world.now_us + 60 * MS)  # no younger block makes the leader wait
        assert self.leads()
        self.asked.clear()
        height = max(node.height for node in self.nodes)
        links = [self.cluster.network.link(AUTHOR, peer) for peer in (BESIDE, LAST)]
        for link in links:
            link.loss_percent = 100
        villain = self.nodes[VILLAIN]
        self.run.workload.transfer(self.world.now_us + 1, AUTHOR)
        assert self.world.run_until(self.world.now_us + 50 * MS, lambda: villain.parts.core.pool.pending)
        for link in links:
            link.loss_percent = 0
        began = self.world.now_us
        lacking = [self.nodes[BESIDE], self.nodes[LAST]]
        assert not any(node.parts.core.pool.pending for node in lacking)
        assert self.world.run_until(
            began + 4 * SECOND, lambda: min(node.height for node in lacking) > height
        ), self.run.outcome().beliefs
        took = self.cluster.history.progress_us = self.world.now_us - began
        return took

    def end(self) -> None:
        """Everything is acknowledged, and the checkers find nothing."""
        assert self.world.run_until(self.world.now_us + 8 * SECOND, lambda: self.run.settled)
        self.cluster.history.stores = {node.index: node.storage for node in self.cluster.honest}
        assert not check_all(self.cluster.history)


def began(scene: Scene, peer: ValidatorIndex) -> int:
    """When this node asked for the first time."""
    return min(at for at, who, _ in scene.asked if who == peer)


@pytest.mark.parametrize("seed", range(3))
def test_the_author_answers_before_the_timer(seed: int) -> None:
    with memoised() as memo:
        scene = Scene(seed, memo, None)
        took = scene.order()
        assert took < FETCH_RETRY_US // 5
        for peer in (BESIDE, LAST):
            asked = [(at, whom) for at, who, whom in scene.asked if who == peer]
            assert {whom for _, whom in asked} == {VILLAIN, AUTHOR}, "both, and nobody else"
            assert len(asked) == 2
            assert asked[0][0] == asked[1][0], "in one turn"
        scene.end()


@pytest.mark.parametrize(
    "names",
    [(), (UNKNOWN_AUTHOR,), (ValidatorIndex(0xFFFFFFFF),), (VILLAIN,), (BESIDE,), (LAST,) * 1024],
    ids=["none", "unknown", "out of range", "proposer", "another", "too many"],
)
def test_a_wrong_hint_costs_time_and_nothing_else(names: Authors) -> None:
    """The next peer in turn is asked when the timer says so, as before authors were named."""
    with memoised() as memo:
        scene = Scene(1, memo, names)
        took = scene.order()
        assert FETCH_RETRY_US <= took < FETCH_RETRY_US + 50 * MS, "as if no author were named"
        for peer in (BESIDE, LAST):
            first = [whom for at, who, whom in scene.asked if who == peer and at - began(scene, peer) < 1]
            assert len(first) <= 2, "one wasted request at most"
            assert first[0] == VILLAIN
        scene.end()

"""Two machines with one key, each honest by itself: what a careless copy of a node becomes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from licet.types import ValidatorIndex

from node.core.effects import CoreSend
from tests.sim.byzantine.adversary import Adversary
from tests.sim.clock import NodeClock
from tests.sim.genesis import START_MS
from tests.sim.network import Frame
from tests.sim.shell import SimNode
from tests.sim.world import MS


class Twins(Adversary):
    """The second machine has its own disk, and so its own signing record. Each may have its own audience."""

    name: ClassVar[str] = "twins"

    def begin(self) -> None:
        self.twin = SimNode(self.cluster, self.index, NodeClock(self.world, start_ms=START_MS))
        self.split = self.world.chance(50)
        self.first_audience = set(self.world.random.sample(self.peers, self.world.between(1, 2)))
        self.world.at(self.world.between(0, 60) * MS, self._start_twin)

    def _start_twin(self) -> None:
        self.twin.start()
        for peer in self.peers:
            self.twin.connected(peer)

    def overhear(self, source: ValidatorIndex, frame: Frame) -> None:
        if self.twin.up and self._hears(self.twin, source):
            self.twin.receive(source, frame)

    def speak(self, sends: Iterable[CoreSend], speaker: SimNode) -> None:
        audience = [peer for peer in self.peers if self._hears(speaker, peer)]
        for send in sends:
            self.say(send.message, [peer for peer in audience if send.to in (None, peer)])

    def _hears(self, machine: SimNode, peer: ValidatorIndex) -> bool:
        """With split audiences the one talks to these, the other to those."""
        return not self.split or (peer in self.first_audience) == (machine is self.node)

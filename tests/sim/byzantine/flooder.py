"""Floods: votes for far views, bytes that are no message, batches that are no batch, endless requests."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from licet.certificate import VoteKind
from licet.types import Hash32, Height, View

from consensus.messages import CertificateRequest, FinalizedRequest
from node.net.peer_messages import Batches, BatchRequest, ConsensusMessage
from tests.sim.byzantine.adversary import Adversary
from tests.sim.world import MS


class Flooder(Adversary):
    """Every few milliseconds, to everybody."""

    name: ClassVar[str] = "flooder"

    def begin(self) -> None:
        for at in range(50, 3_000, 25):
            self.world.at(at * MS, partial(self._flood))

    def _flood(self) -> None:
        if not self.node.up:
            return
        random = self.world.random
        view = self.node.parts.core.ordering.status(self.node.clock.mono_us()).view
        self.say(
            self.sign(view + random.randint(1, 400), random.choice(list(VoteKind)), random.randbytes(32))
        )
        self.say(Batches(batches=(random.randbytes(random.randint(64, 400)),)))
        self.say(BatchRequest(digests=tuple(Hash32(random.randbytes(32)) for _ in range(8))))
        self.say(FinalizedRequest(from_height=Height(1), count=256))
        self.say(CertificateRequest(first_view=View(max(1, view - 50)), last_view=View(view + 50)))
        for peer in self.peers:
            junk = ConsensusMessage(data=random.randbytes(random.randint(1, 200)))
            self.cluster.network.send(self.index, peer, (junk,))

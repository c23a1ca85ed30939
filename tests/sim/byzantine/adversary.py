"""The base of all adversaries: a member whose core is honest and whose mouth is not.

It holds its own member's key and nobody else's, so whatever it says it signs
itself or copies. It may choose to whom, when and what; `rewrite` is the place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from licet.certificate import FIRST_EPOCH, Vote, VoteKind, sign_vote
from licet.types import ZERO_HASH, Hash32, ValidatorIndex, View

from node.core.effects import CoreMessage, CoreSend
from node.net.peer_messages import PeerMessage
from tests.sim.genesis import make_genesis
from tests.sim.network import Frame

if TYPE_CHECKING:
    from tests.sim.cluster import Cluster
    from tests.sim.shell import SimNode


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What really goes out: to one validator, perhaps late."""

    to: ValidatorIndex
    message: CoreMessage
    late_us: int = 0
    authors: tuple[ValidatorIndex, ...] | None = None  # beside a proposal; None: as its core says


class Adversary:
    """Says what its core asks for. Subclasses say something else."""

    name: ClassVar[str] = "puppet"

    def __init__(self, cluster: Cluster, node: SimNode) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.node = node
        self.index = node.index
        self.peers = cluster.others(node.index)

    def begin(self) -> None:
        """Called once, when the run starts."""

    def rewrite(self, send: CoreSend) -> Iterable[Outgoing]:
        """What goes out in this message's stead."""
        return self.plain(send.message, send.to)

    def overhear(self, source: ValidatorIndex, frame: Frame) -> None:
        """A frame reached this member."""

    def speak(self, sends: Iterable[CoreSend], speaker: SimNode) -> None:
        """A turn's messages of one of this member's cores (most have one), rewritten and sent."""
        by_peer: dict[tuple[ValidatorIndex, int], list[PeerMessage]] = {}
        for send in sends:
            for one in self.rewrite(send):
                said = send.authors if one.message is send.message else ()
                message = self.cluster.encode(one.message, said if one.authors is None else one.authors)
                by_peer.setdefault((one.to, one.late_us), []).append(message)
        for (peer, late_us), messages in by_peer.items():
            self.cluster.network.send(self.index, peer, tuple(messages), late_us=late_us)

    def say(self, message: CoreMessage, to: Iterable[ValidatorIndex] | None = None) -> None:
        """Send something that no core asked for."""
        for peer in self.peers if to is None else to:
            self.cluster.network.send(self.index, peer, (self.cluster.encode(message),))

    def plain(self, message: CoreMessage, to: ValidatorIndex | None, late_us: int = 0) -> Iterator[Outgoing]:
        """The message itself."""
        for peer in self.peers if to is None else (to,):
            yield Outgoing(to=peer, message=message, late_us=late_us)

    def sign(self, view: int, kind: VoteKind, digest: bytes = ZERO_HASH) -> Vote:
        """A vote by this member's key, past every guard."""
        return sign_vote(
            self.node.key,
            kind=kind,
            chain_id=make_genesis().chain_id(),
            epoch=FIRST_EPOCH,
            view=View(view),
            digest=Hash32(digest),
            voter=self.index,
        )

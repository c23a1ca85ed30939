"""Four nodes, their network, their clients and, perhaps, one adversary: the whole of a run's moving parts.

Offers what a plan of trouble needs (start, crash, partition, heal) and keeps the
history. Decides nothing about when.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from licet.types import Hash32, ValidatorIndex

from consensus import codec
from consensus.messages import Message
from licensing_vm.transition import Executed
from node.core.effects import CoreMessage
from node.ledger.indexes import receipt_of
from node.net.peer_messages import (
    Batches,
    BatchesMissing,
    BatchOffer,
    BatchRequest,
    ClockMoved,
    ConsensusMessage,
    PeerMessage,
    WritesPage,
    WritesRequest,
)
from tests.sim.byzantine.adversary import Adversary
from tests.sim.clock import NodeClock
from tests.sim.genesis import START_MS, VALIDATORS
from tests.sim.history import Ack, History, Turned
from tests.sim.memo import SignatureMemo
from tests.sim.network import Frame, Network
from tests.sim.shell import SimNode
from tests.sim.world import MS, World

_PLAIN = (Batches, BatchRequest, BatchesMissing, BatchOffer, ClockMoved, WritesRequest, WritesPage)


class Cluster:
    """The members of a simulated network."""

    def __init__(
        self, world: World, signature_check: SignatureMemo, *, byzantine: Iterable[int] = ()
    ) -> None:
        self.world = world
        self.signature_check = signature_check
        self.history = History(n=VALIDATORS, byzantine=frozenset(byzantine))
        self.network = Network(world, VALIDATORS, self._deliver)
        self.adversaries: dict[int, Adversary] = {}
        self._decoded: dict[bytes, Message] = {}
        self._encoded: dict[int, tuple[CoreMessage, ConsensusMessage]] = {}
        self.nodes = [
            SimNode(self, index, NodeClock(world, start_ms=START_MS)) for index in range(VALIDATORS)
        ]

    # --- who

    def others(self, index: int) -> tuple[ValidatorIndex, ...]:
        """Every validator but this one."""
        return tuple(ValidatorIndex(one) for one in range(VALIDATORS) if one != index)

    @property
    def honest(self) -> list[SimNode]:
        """The nodes whose conduct is judged."""
        return [self.nodes[index] for index in self.history.honest]

    def up(self) -> list[SimNode]:
        """The nodes that run."""
        return [node for node in self.nodes if node.up]

    # --- life

    def start(self, node: SimNode) -> None:
        """Start a node; its channels to others come up a little later."""
        if node.up:
            return
        node.start()
        for other in self.nodes:
            if node.up and other is not node and other.up and self._reachable(node, other):
                self._connect(node, other)

    def went_down(self, node: SimNode) -> None:
        """The others find out."""
        for other in self.nodes:
            if other is not node:
                self.world.after(self.world.between(1, 20) * MS, partial(self._told_lost, other, node))

    def _told_lost(self, node: SimNode, peer: SimNode) -> None:
        if node.up and not peer.up:
            node.lost(peer.index)

    def _dial(self) -> None:
        """Whoever can reach a peer and has no channel to it gets one."""
        up = self.up()
        for one, other in ((a, b) for a in up for b in up if a.index < b.index):
            joined = one.has_channel(other.index) and other.has_channel(one.index)
            if self._reachable(one, other) and not joined:
                self._connect(one, other)

    def _connect(self, one: SimNode, other: SimNode) -> None:
        lives = (one.life, other.life)

        def told() -> None:
            if (one.life, other.life) == lives and self._reachable(one, other):
                one.connected(other.index)
                other.connected(one.index)

        self.world.after(self.world.between(500, 5 * MS), told)

    def _reachable(self, one: SimNode, other: SimNode) -> bool:
        there, back = self.network.link(one.index, other.index), self.network.link(other.index, one.index)
        return not there.cut and not back.cut

    def partition(self, groups: Iterable[Iterable[int]], *, told: bool) -> None:
        """Cut the network; `told`: channels break visibly instead of falling silent."""
        parts = [tuple(group) for group in groups]
        self.world.trace("net", f"partition {parts} told={told}")
        self.network.partition(parts)
        if told:
            for node in self.up():
                for other in self.nodes:
                    if other is not node and not self._reachable(node, other):
                        node.lost(other.index)
        self._dial()

    def heal(self) -> None:
        """Links, disks and processes are well again."""
        self.world.trace("net", "heal")
        self.network.heal()
        self._dial()
        for node in self.nodes:
            node.points_left = None
            node.disk.room = None
            node.disk.sync_fails = False
            node.storage.fail_writes = False
        for node in self.nodes:
            self.start(node)

    def power_loss(self) -> None:
        """Every machine at once."""
        for node in self.nodes:
            node.crash(power=True, why="power")

    # --- messages

    def _deliver(self, source: ValidatorIndex, target: ValidatorIndex, frame: Frame) -> None:
        node = self.nodes[target]
        if node.up:
            for message in frame:
                data = message.data if isinstance(message, ConsensusMessage) else b""
                self.world.trace(f"{source}>{target}", type(message).__name__, data)
            node.receive(source, frame)
        if target in self.adversaries:
            self.adversaries[target].overhear(source, frame)

    def encode(self, message: CoreMessage, authors: tuple[ValidatorIndex, ...] = ()) -> PeerMessage:
        """A message as it travels, with the authors beside it; one for everybody is encoded once."""
        if isinstance(message, _PLAIN):
            return message
        known = self._encoded.get(id(message))
        if known is not None and known[0] is message and known[1].authors == authors:
            return known[1]
        if len(self._encoded) > 64:
            self._encoded.clear()
        self.history.hear(message)
        encoded = ConsensusMessage(data=codec.encode(message), authors=authors)
        self._encoded[id(message)] = (message, encoded)
        return encoded

    def decode(self, data: bytes) -> Message:
        """The message of these bytes; decoded once for all receivers."""
        known = self._decoded.get(data)
        if known is None:
            if len(self._decoded) > 2_048:
                self._decoded.clear()
            known = self._decoded[data] = codec.decode(data)
        return known

    # --- clients

    def acknowledge(self, node: SimNode, transaction: Hash32, height: int) -> None:
        """A client at this node is told: final at this height, and durable."""
        found = receipt_of(node.storage, transaction)
        assert found is not None, "what is durable has a receipt"
        self.history.acks.append(
            Ack(
                tick_us=self.world.now_us,
                node=node.index,
                transaction=transaction,
                height=height,
                committed=found.read().committed,
            )
        )

    def turn_away(self, node: SimNode, done: Executed) -> None:
        """A client at this node is told: refused in a final block, with the id still to be used."""
        self.history.turned.append(
            Turned(
                tick_us=self.world.now_us,
                node=node.index,
                transaction=done.hash,
                height=done.place.height,
                code=done.code,
            )
        )

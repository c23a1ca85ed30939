"""A simulated process: the node's own parts (`ledger.assembly`), and a shell that performs their effects.

The effects of a turn are performed in the contract's order (`node.core.effects`):
payload, sync, votes, sync, send, execute. Between any two of these steps lies a
persistence point, at which the plan may let the process or the whole machine die.
Storage and files outlive it; a restart goes through `assemble`, as a node's does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from licet.crypto import SigningKey, mark_verified
from licet.errors import InvalidEncoding, LicetError
from licet.types import TimestampMs, ValidatorIndex

from consensus import votelog
from consensus.errors import PeerFault
from consensus.events import PeerConnected, PeerLost, Received
from consensus.verify import verify
from node.core.batches import batch_digest
from node.core.effects import CoreEffects, merge_turn
from node.core.events import (
    AdmittedTransactions,
    BatchArrived,
    BatchesNotHeld,
    BatchesOffered,
    BatchesWanted,
    BatchInvalid,
    CoreEvent,
    Submitted,
    hinted,
    written,
)
from node.core.verifier import InvalidBatch
from node.ledger import assembly
from node.ledger.indexes import receipt_of
from node.net.peer_messages import (
    Batches,
    BatchesMissing,
    BatchOffer,
    BatchRequest,
    ConsensusMessage,
    PeerMessage,
    WritesPage,
    WritesRequest,
)
from node.storage.errors import StorageError
from node.storage.memory import MemoryStorage
from node.storage.schema import PAYLOAD_FILE, VOTES_FILE
from tests.sim.clock import NodeClock
from tests.sim.disk import SimDisk
from tests.sim.genesis import make_genesis, validator_key
from tests.sim.history import Panic
from tests.sim.network import Frame
from tests.sim.performer import Performer
from tests.sim.process import Costs, Process, Work

if TYPE_CHECKING:
    from tests.sim.cluster import Cluster

KIND_OF_FATE: Final = {True: "power", False: "kill"}


class SimNode:
    """One member's machine, over all its processes."""

    def __init__(self, cluster: Cluster, index: int, clock: NodeClock) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.history = cluster.history
        self.index = ValidatorIndex(index)
        self.clock = clock
        self.costs = Costs()
        self.disk = SimDisk()
        self.storage = MemoryStorage(make_genesis().chain_id())
        self.process: Process | None = None
        self.life = 0
        self.points_left: int | None = None  # persistence points until the planned crash
        self.crash_power = True
        self.down_why = "not started"
        self.problem = ""  # why it does not vote
        self._performer = Performer(self)
        chain = assembly.chain_config(make_genesis(), self.key.public_key)
        assembly.create_signing_record(self.disk, chain=chain, public_key=self.key.public_key)

    @property
    def key(self) -> SigningKey:
        """This member's key."""
        return validator_key(self.index)

    @property
    def parts(self) -> assembly.Node:
        """The running process' parts."""
        assert self.process is not None
        return self.process.parts

    @property
    def up(self) -> bool:
        return self.process is not None

    @property
    def height(self) -> int:
        """The highest durable height."""
        return self.storage.height or 0

    def delta_ms(self) -> int:
        """Δ as the running process has it (C-8)."""
        return self.parts.core.ordering.status(self.clock.mono_us()).delta_ms

    # --- life

    def start(self) -> None:
        """Open everything by the node's own recovery, and perform the first turn."""
        assert self.process is None
        self.life += 1
        self.clock.restart()
        try:
            parts = assembly.assemble(
                make_genesis(),
                storage=self.storage,
                files=self.disk,
                key=self.key,
                signature_check=self.cluster.signature_check,
            )
        except StorageError as error:
            self.panic(f"start refused: {error}", expected=self.disk.rotten)
            return
        self.process = Process(parts)
        self.problem = parts.recovered.votes_problem
        if self.problem:
            self.history.said_nonvoter.add(self.index)
        self.note_disk_votes()
        self.world.trace(self.index, f"start life={self.life} height={self.height} {self.problem[:40]}")
        self._perform(parts.start(now_ms=self.clock.now_ms(), mono_us=self.clock.mono_us()))

    def crash(self, *, power: bool, why: str) -> None:
        """The process ends; with `power` the machine does, and unsynced bytes meet their fate."""
        if self.process is None:
            return
        self.process = None
        self.life += 1
        self.points_left = None
        self.down_why = why
        fate = self.disk.lose(self.world.random) if power else ""
        self.storage = self.storage.reopened(power_lost=power)
        self.world.trace(self.index, f"crash {KIND_OF_FATE[power]} {why} {fate}")
        self.cluster.went_down(self)

    def lose_ledger(self) -> None:
        """Its ledger's data is gone while it is down; the signing record is all that is left."""
        assert self.process is None
        self.storage = MemoryStorage(make_genesis().chain_id())
        self.disk.remove(PAYLOAD_FILE)

    def panic(self, why: str, *, expected: bool) -> None:
        """The process ends by itself: nothing of its turn goes out any more."""
        self.history.panics.append(
            Panic(tick_us=self.world.now_us, node=self.index, why=why, expected=expected)
        )
        self.down_why = why
        self.world.trace(self.index, f"panic {why}")
        if self.process is not None:
            self.crash(power=False, why=why)

    def note_disk_votes(self) -> None:
        """Show the checkers what the durable signing record says."""
        chain = assembly.chain_config(make_genesis(), self.key.public_key)
        try:
            record = votelog.recover(
                self.disk.durable(VOTES_FILE), chain_id=chain.chain_id, public_key=self.key.public_key
            )
        except LicetError:
            return
        self.history.see_votes(
            record.votes, tick_us=self.world.now_us, voter=self.index, where="disk", durable=True
        )

    # --- what comes in

    def receive(self, peer: ValidatorIndex, frame: Frame) -> None:
        """A frame from a peer: one turn, unless another is under way."""
        self.enqueue(lambda: self._frame_events(peer, frame))

    def has_channel(self, peer: ValidatorIndex) -> bool:
        """Whether this process believes that a channel to the peer stands."""
        return self.process is not None and peer in self.process.connected

    def connected(self, peer: ValidatorIndex) -> None:
        """A channel to a peer stands (again)."""
        if self.process is not None:
            self.process.connected.add(peer)
        self.enqueue(lambda: iter((PeerConnected(**self.times(), peer=peer),)))

    def lost(self, peer: ValidatorIndex) -> None:
        """The channel to a peer is gone."""
        if self.process is not None:
            self.process.connected.discard(peer)
        self.enqueue(lambda: iter((PeerLost(**self.times(), peer=peer),)))

    def submit(self, raw: bytes) -> str:
        """A client's transaction: admitted, answered at once if it is final here, or the refusal's code."""
        process, parts = self.process, self.parts
        assert process is not None
        try:
            transaction = parts.verifier.admit_form(raw)
            used = parts.machine.find(transaction.body.sender, transaction.body.id)
            known = receipt_of(self.storage, transaction.hash)
            if used is not None and used[0] == transaction.hash and known is not None:
                self.cluster.acknowledge(self, transaction.hash, known.height)
                return "known"
            cost = parts.verifier.admit(transaction, now_ms=self.ledger_now_ms())
        except LicetError as error:
            return error.code
        if transaction.hash in process.waiting:
            return "waits"
        process.waiting.add(transaction.hash)
        admitted = mark_verified(AdmittedTransactions(raws=(raw,), transactions=(transaction,), cost=cost))
        self.enqueue(lambda: iter((Submitted(**self.times(), admitted=admitted),)))
        return ""

    def ledger_now_ms(self) -> TimestampMs:
        """What Status says and admission goes by: never before the newest final block's time.

        Blocks rise from their parents, so a clock that was set back does not set the ledger back.
        """
        return max(self.clock.now_ms(), self.parts.core.final_ms)

    def times(self) -> dict[str, Any]:
        """Both clocks, as every event carries them."""
        return {"now_ms": self.clock.now_ms(), "mono_us": self.clock.mono_us()}

    def _frame_events(self, peer: ValidatorIndex, frame: Frame) -> Iterator[CoreEvent]:
        for message in frame:
            yield from self._message_events(peer, message)

    def _message_events(self, peer: ValidatorIndex, message: PeerMessage) -> Iterator[CoreEvent]:
        """Decode, ask what is wanted, verify that: the shell's duty (`consensus.ports`)."""
        core, times = self.parts.core, self.times()
        match message:
            case ConsensusMessage():
                try:
                    decoded = self.cluster.decode(message.data)
                    wanted = core.ordering.wants(peer, decoded)
                    if wanted is None:
                        return
                    verified = verify(wanted, config=self.parts.chain, peer=peer, known=core.ordering.knows)
                except (PeerFault, InvalidEncoding) as error:
                    self.world.trace(self.index, f"refused {error.message}")
                    return
                yield hinted(Received(**times, peer=peer, message=verified), decoded, message.authors)
            case Batches():
                for raw in message.batches:
                    digest = batch_digest(raw)
                    if not core.useful(digest):
                        continue
                    try:
                        batch = self.parts.verifier.batch_now(raw, trusted=core.trusted(digest))
                    except InvalidBatch as error:
                        yield BatchInvalid(**times, peer=peer, digest=digest, why=error.message)
                    else:
                        yield BatchArrived(**times, peer=peer, batch=batch)
            case BatchRequest():
                yield BatchesWanted(**times, peer=peer, digests=message.digests)
            case BatchesMissing():
                yield BatchesNotHeld(**times, peer=peer, digests=message.digests)
            case BatchOffer():
                yield BatchesOffered(**times, peer=peer, digests=message.digests)
            case WritesRequest() | WritesPage():
                yield written(peer, message, **times)

    # --- turns

    def enqueue(self, work: Work) -> None:
        """Something happened: it is part of this turn, or of the next when one is being performed."""
        process = self.process
        if process is None:
            return
        process.inbox.append(work)
        if process.performing is None and not process.turn_due:
            process.turn_due = True
            self.later(0, self._turn)

    def later(self, delay_us: int, action: Callable[[], None]) -> None:
        """Do this so much later, if this very process still lives."""
        life = self.life

        def guarded() -> None:
            if self.life == life and self.process is not None:
                action()

        self.world.after(delay_us, guarded)

    def _turn(self) -> None:
        process = self.process
        assert process is not None
        process.turn_due = False
        if process.performing is not None or not process.inbox:
            return
        effects: list[CoreEffects] = []
        try:
            while process.inbox:
                for event in process.inbox.popleft()():
                    effects.append(process.parts.core.handle(event))
        except AssertionError as error:
            self.panic(f"assertion: {error}", expected=False)
            return
        if effects:
            self._perform(merge_turn(effects))

    def _perform(self, effects: CoreEffects) -> None:
        process = self.process
        assert process is not None
        process.performing = self._performer.steps(process, effects)
        self._go_on()

    def _go_on(self) -> None:
        """Take steps until one takes time, the plan says crash, or the turn is done."""
        process = self.process
        if process is None or process.performing is None:
            return
        try:
            for point, delay_us in process.performing:
                if self.strikes(point):
                    return
                if delay_us:
                    self.later(delay_us, self._go_on)
                    return
        except StorageError as error:
            self.panic(f"disk: {error}", expected=True)
            return
        except AssertionError as error:
            self.panic(f"assertion while performing: {error}", expected=False)
            return
        process.performing = None
        if process.inbox:
            process.turn_due = True
            self.later(0, self._turn)

    def strikes(self, point: str) -> bool:
        """A persistence point: whether the planned crash happens here."""
        if self.points_left is None:
            return False
        self.points_left -= 1
        if self.points_left > 0:
            return False
        self.crash(power=self.crash_power, why=f"at {point}")
        return True

"""A simulated process: the node's own parts (`node.assembly`), and a shell that performs their effects.

The effects of a turn are performed in the contract's order (`node.core_effects`):
payload, sync, votes, sync, send, execute. Between any two of these steps lies a
persistence point, at which the plan may let the process or the whole machine die.
Storage and files outlive it; a restart goes through `assemble`, as a node's does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from licet.certificate import Vote, VoteKind
from licet.crypto import mark_verified
from licet.errors import InvalidEncoding, LicetError
from licet.types import Hash32, TimestampMs, ValidatorIndex

from consensus import votelog
from consensus.errors import PeerFault
from consensus.events import PeerConnected, PeerLost, Received, Tick
from consensus.messages import Proposal, Resync
from consensus.types import Block
from consensus.verify import verify
from node import assembly
from node.batches import batch_digest
from node.core_effects import CoreEffects, CoreSend, ReadyBlock, merge_turn
from node.core_events import (
    AdmittedTransactions,
    BatchArrived,
    BatchesNotHeld,
    BatchesOffered,
    BatchesWanted,
    BatchInvalid,
    BlockExecuted,
    CoreEvent,
    Submitted,
)
from node.executor import Prepared
from node.indexes import receipt_of
from node.net.peer_messages import (
    Batches,
    BatchesMissing,
    BatchOffer,
    BatchRequest,
    ConsensusMessage,
    PeerMessage,
)
from node.storage.errors import StorageError
from node.storage.memory import MemoryStorage
from node.storage.schema import PAYLOAD_FILE, VOTES_FILE
from node.storage.wal import PayloadKind
from node.verifier import InvalidBatch
from tests.sim.clock import NodeClock
from tests.sim.disk import SimDisk
from tests.sim.genesis import make_genesis, validator_key
from tests.sim.history import Panic, SeenBlock, SeenCommit
from tests.sim.network import Frame

if TYPE_CHECKING:
    from tests.sim.cluster import Cluster

Work = Callable[[], Iterator[CoreEvent]]  # makes a turn's events when their turn has come

TRIM_BYTES: Final = 4_096
KIND_OF_FATE: Final = {True: "power", False: "kill"}


@dataclass(slots=True, kw_only=True)
class Costs:
    """How long a node's own steps take, in microseconds (low, high)."""

    sync_us: tuple[int, int] = (0, 0)
    execute_us: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class Process:
    """What dies with the process."""

    parts: assembly.Node
    inbox: deque[Work] = field(default_factory=deque)
    executing: deque[ReadyBlock] = field(default_factory=deque)
    performing: Iterator[tuple[str, int]] | None = None
    execution: Iterator[tuple[str, int]] | None = None
    turn_due: bool = False
    wake_us: int | None = None  # mono; the newest replaces the older
    connected: set[ValidatorIndex] = field(default_factory=set)
    waiting: set[Hash32] = field(default_factory=set)  # transactions whose clients wait here


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
        self._known_durable: set[bytes] = set()
        chain = assembly.chain_config(make_genesis(), self.key.public_key)
        assembly.create_signing_record(self.disk, chain=chain, public_key=self.key.public_key)

    @property
    def key(self):  # type: ignore[no-untyped-def]
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
            self._panic(f"start refused: {error}", expected=self.disk.rotten)
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

    def _panic(self, why: str, *, expected: bool) -> None:
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
        self._enqueue(lambda: self._frame_events(peer, frame))

    def has_channel(self, peer: ValidatorIndex) -> bool:
        """Whether this process believes that a channel to the peer stands."""
        return self.process is not None and peer in self.process.connected

    def connected(self, peer: ValidatorIndex) -> None:
        """A channel to a peer stands (again)."""
        if self.process is not None:
            self.process.connected.add(peer)
        self._enqueue(lambda: iter((PeerConnected(**self._times(), peer=peer),)))

    def lost(self, peer: ValidatorIndex) -> None:
        """The channel to a peer is gone."""
        if self.process is not None:
            self.process.connected.discard(peer)
        self._enqueue(lambda: iter((PeerLost(**self._times(), peer=peer),)))

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
        self._enqueue(lambda: iter((Submitted(**self._times(), admitted=admitted),)))
        return ""

    def ledger_now_ms(self) -> TimestampMs:
        """What Status says and admission goes by: never before the newest final block's time.

        Blocks rise from their parents, so a clock that was set back does not set the ledger back.
        """
        return max(self.clock.now_ms(), self.parts.core.final_ms)

    def _times(self):  # type: ignore[no-untyped-def]
        return {"now_ms": self.clock.now_ms(), "mono_us": self.clock.mono_us()}

    def _frame_events(self, peer: ValidatorIndex, frame: Frame) -> Iterator[CoreEvent]:
        for message in frame:
            yield from self._message_events(peer, message)

    def _message_events(self, peer: ValidatorIndex, message: PeerMessage) -> Iterator[CoreEvent]:
        """Decode, ask what is wanted, verify that: the shell's duty (`consensus.ports`)."""
        core, times = self.parts.core, self._times()
        match message:
            case ConsensusMessage():
                try:
                    wanted = core.ordering.wants(peer, self.cluster.decode(message.data))
                    if wanted is None:
                        return
                    verified = verify(wanted, config=self.parts.chain, peer=peer, known=core.ordering.knows)
                except (PeerFault, InvalidEncoding) as error:
                    self.world.trace(self.index, f"refused {error.message}")
                    return
                yield Received(**times, peer=peer, message=verified)
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

    # --- turns

    def _enqueue(self, work: Work) -> None:
        process = self.process
        if process is None:
            return
        process.inbox.append(work)
        if process.performing is None and not process.turn_due:
            process.turn_due = True
            self._later(0, self._turn)

    def _later(self, delay_us: int, action: Callable[[], None]) -> None:
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
            self._panic(f"assertion: {error}", expected=False)
            return
        if effects:
            self._perform(merge_turn(effects))

    def _perform(self, effects: CoreEffects) -> None:
        process = self.process
        assert process is not None
        process.performing = self._steps(process, effects)
        self._go_on()

    def _go_on(self) -> None:
        """Take steps until one takes time, the plan says crash, or the turn is done."""
        process = self.process
        if process is None or process.performing is None:
            return
        try:
            for point, delay_us in process.performing:
                if self._strikes(point):
                    return
                if delay_us:
                    self._later(delay_us, self._go_on)
                    return
        except StorageError as error:
            self._panic(f"disk: {error}", expected=True)
            return
        except AssertionError as error:
            self._panic(f"assertion while performing: {error}", expected=False)
            return
        process.performing = None
        if process.inbox:
            process.turn_due = True
            self._later(0, self._turn)

    def _strikes(self, point: str) -> bool:
        """A persistence point: whether the planned crash happens here."""
        if self.points_left is None:
            return False
        self.points_left -= 1
        if self.points_left > 0:
            return False
        self.crash(power=self.crash_power, why=f"at {point}")
        return True

    def _steps(self, process: Process, effects: CoreEffects) -> Iterator[tuple[str, int]]:
        """The contract's order. Every yield is a persistence point, with the time the step takes."""
        payload, votes = process.parts.payload, process.parts.votes
        for batch in effects.append_batches:
            payload.append(PayloadKind.BATCH, batch.digest, batch.raw)
        for block in effects.append_blocks:
            payload.append(PayloadKind.BLOCK, block.id, block.encode())
        if effects.append_batches or effects.append_blocks or effects.sync_payload:
            yield "payload appended", self.world.between(*self.costs.sync_us) if effects.sync_payload else 0
        if effects.sync_payload:
            payload.sync()
            yield "payload synced", 0
        if effects.votes_file is not None or effects.append_votes:
            assert votes is not None, "no vote is asked for without a signing record (C-10)"
            if effects.votes_file is not None:
                votes.rewrite(effects.votes_file)
            for record in effects.append_votes:
                votes.append(record)
            yield "votes appended", self.world.between(*self.costs.sync_us)
            votes.sync()
            yield "votes synced", 0
        yield from self._send_all(effects.sends)
        for line in effects.trace:
            self.world.trace(self.index, line.line())
        for one in effects.evidence:
            self.history.evidence.append((self.index, one.voter))
        if effects.isolate is not None:
            self.history.isolated.append((self.index, effects.isolate.ours.height))
        for ready in effects.execute:
            self._note_commit(ready)
            process.executing.append(ready)
        payload.drop(effects.forget_payload)
        payload.trim(at_least=TRIM_BYTES)
        self._set_timer(process, effects.wake_at_us)
        if process.executing and process.execution is None:
            self._execute_next(process)

    def _set_timer(self, process: Process, wake_us: int | None) -> None:
        process.wake_us = wake_us
        if wake_us is None:
            return

        def ring() -> None:
            if process.wake_us == wake_us:
                process.wake_us = None
                self._enqueue(lambda: iter((Tick(**self._times()),)))

        self._later(max(0, self.clock.tick_of(wake_us) - self.world.now_us), ring)

    # --- sending

    def _send_all(self, sends: tuple[CoreSend, ...]) -> Iterator[tuple[str, int]]:
        """All messages of a turn to a peer in one frame; a crash may fall between two peers."""
        adversary = self.cluster.adversaries.get(self.index)
        if adversary is not None:
            adversary.speak(sends)
            return
        for send in sends:
            self._note_wire_votes(send)
        process = self.process
        assert process is not None
        for peer in self.cluster.others(self.index):
            if peer not in process.connected:
                continue  # as the transport does: whatever matters is re-sent on connection
            frame = tuple(
                self.cluster.encode(send.message) for send in sends if send.to is None or send.to == peer
            )
            if frame:
                self.cluster.network.send(self.index, peer, frame)
                yield "between two frames", 0

    def _note_wire_votes(self, send: CoreSend) -> None:
        for vote in own_votes(send.message, self.index):
            self.history.see_votes(
                (vote,),
                tick_us=self.world.now_us,
                voter=self.index,
                where="wire",
                durable=self._durable(vote),
            )

    def _durable(self, vote: Vote) -> bool:
        """Whether the disk would still know this vote, and a notarize's block and batches, after a crash."""
        encoded = vote.encode()
        if encoded in self._known_durable:
            return True
        found = self.disk.durable_has(VOTES_FILE, encoded)
        if found and vote.kind is VoteKind.NOTARIZE:
            found = self._payload_durable(vote)
        if found:
            self._known_durable.add(encoded)
        return found

    def _payload_durable(self, vote: Vote) -> bool:
        payload = self.parts.payload
        raw = payload.get(vote.digest)
        if raw is None:  # the store has taken it over
            return True
        needed = [raw]
        for digest in Block.decode(raw).digests:
            batch = payload.get(digest)
            if batch is not None:
                needed.append(batch)
            elif self.storage.batch(digest) is None:
                return False
        return all(self.disk.durable_has(PAYLOAD_FILE, one) for one in needed)

    # --- executing

    def _note_commit(self, ready: ReadyBlock) -> None:
        block = ready.block
        self.history.commits.append(
            SeenCommit(
                tick_us=self.world.now_us,
                node=self.index,
                height=block.height,
                view=block.view,
                block_id=block.id,
            )
        )

    def _execute_next(self, process: Process) -> None:
        process.execution = self._execution(process)
        self._later(self.world.between(*self.costs.execute_us), self._go_on_executing)

    def _go_on_executing(self) -> None:
        process = self.process
        assert process is not None
        assert process.execution is not None
        try:
            for point, _ in process.execution:
                if self._strikes(point):
                    return
        except StorageError as error:
            self._panic(f"disk: {error}", expected=True)
            return
        except AssertionError as error:
            self._panic(f"assertion while executing: {error}", expected=False)
            return
        process.execution = None
        if process.executing:
            self._execute_next(process)

    def _execution(self, process: Process) -> Iterator[tuple[str, int]]:
        ready = process.executing.popleft()
        prepared = process.parts.executor.prepare(ready)
        yield "block executed, not stored", 0
        self.storage.commit(prepared.batch, synced=True)
        self._note_executed(prepared)
        yield "block stored", 0
        process.parts.executor.finished()
        self._answer(process, prepared)
        self._enqueue(lambda: iter((BlockExecuted(**self._times(), roots=prepared.roots),)))

    def _answer(self, process: Process, prepared: Prepared) -> None:
        """Tell the clients who wait here: final and durable."""
        for done in prepared.result.executed:
            if done.hash in process.waiting:
                process.waiting.discard(done.hash)
                self.cluster.acknowledge(self, done.hash, done.place.height)

    def _note_executed(self, prepared: Prepared) -> None:
        block = prepared.ready.block
        self.world.trace(self.index, f"executed {block.height}", prepared.roots.state_root + block.id)
        self.history.blocks.append(
            SeenBlock(
                tick_us=self.world.now_us,
                node=self.index,
                block=block,
                finalization=prepared.ready.finalization,
                roots=prepared.roots,
            )
        )


def own_votes(message: object, index: int) -> tuple[Vote, ...]:
    """The sender's own votes in a message."""
    match message:
        case Vote():
            found: tuple[Vote, ...] = (message,)
        case Proposal():
            found = (message.vote,)
        case Resync():
            found = message.votes
        case _:
            found = ()
    return tuple(vote for vote in found if vote.voter == index)


__all__ = ["Costs", "SimNode", "own_votes"]

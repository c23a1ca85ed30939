"""The asyncio driver: queues in, one core, files and wire out. Small, and the only loop.

A turn serves urgent messages and timers, then at most one slice of
verification or execution (5 ms, C-16), then lets the loop breathe. Effects are applied in
the order that `node.core.effects` fixes: payload, sync, votes, sync, wire,
execution. Syncs run inline (0.2 ms here; a hop to a thread costs half of that
and a turn of latency).

A failed write ends the process: nothing of its turn is sent (dead-handle rule).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from licet.errors import InvalidEncoding, LicetError
from licet.types import Height, TimestampMs, ValidatorIndex

from consensus import codec, verify
from consensus.errors import PeerFault
from consensus.events import Event, PeerConnected, PeerLost, Received, Tick
from node.core.effects import CoreEffects, CoreSend, merge_turn
from node.core.events import (
    BatchesNotHeld,
    BatchesOffered,
    BatchesWanted,
    BlockExecuted,
    ClockAdvanced,
    CoreEvent,
    Submitted,
    hinted,
    written,
)
from node.core.isolation import IsolationReport
from node.core.submit import Busy, NodeStatus, Outcome, Stopping
from node.ledger import finding
from node.ledger.assembly import Node
from node.ledger.executor import Prepared
from node.limits import OWN_QUOTA_BYTES, RESULTS_WAITING_MAX, SLICE_US
from node.net import outgoing
from node.net.peer_messages import (
    BatchesMissing,
    BatchOffer,
    BatchRequest,
    ClockMoved,
    ConsensusMessage,
    PeerMessage,
    WritesPage,
    WritesRequest,
)
from node.net.port import Transport
from node.operations import logs
from node.operations.isolation import isolation_fields
from node.operations.status import describe
from node.runtime.admission import Admission
from node.runtime.checking import Checking
from node.runtime.clock import Clock
from node.runtime.execution import Execution
from node.runtime.inbox import Inbox
from node.runtime.memory import Memory
from node.runtime.persistence import Persistence
from node.runtime.replies import Replies
from node.runtime.stages import Stage, Stages
from node.runtime.waiting import Call

REPLY_ROUNDS: Final = 3  # of the loop, from a settled call to its answer on the wire
RETRY_MS: Final = 200

log = logs.logger("driver")


class Driver:
    """Runs one assembled node. Implements `net.port.Receiver` and `submit.Ledger`."""

    def __init__(self, node: Node, *, clock: Clock, transport: Transport) -> None:
        self.node: Final = node
        self.clock: Final = clock
        self.stages: Final = Stages()
        self._memory = Memory()
        self._core = node.core
        self._transport = transport
        self._others = tuple(
            ValidatorIndex(one) for one in range(node.chain.validators.n) if one != node.chain.index
        )
        self._inbox = Inbox(self._others)
        self._events: deque[CoreEvent] = deque()  # connections and commands, before all else
        self._replies = Replies(node.storage)
        self._admission = Admission(
            verifier=node.verifier,
            machine=node.machine,
            parameters=node.genesis.parameters,
            waiting=self._replies.waiting,
            receipt=self._replies.receipt,
        )
        self._checking = Checking(
            inbox=self._inbox,
            verifier=node.verifier,
            core=node.core,
            clock=clock,
            misbehaved=self.misbehaved,
        )
        self._persistence = Persistence(payload=node.payload, votes=node.votes)
        self._execution = Execution(
            executor=node.executor,
            storage=node.storage,
            stages=self.stages,
            durable=self._durable,
            guarded=self._guarded,
        )
        self._connected: set[ValidatorIndex] = set()
        self._wake_at_us: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_us = 0
        self._outbox: list[CoreSend] = []
        self._share = max(2, node.genesis.parameters.block_batches_max // node.chain.validators.n)
        self._scheduled = False
        self._running = False
        self._closed = False
        self._faults: dict[ValidatorIndex, int] = {}
        self._loop: asyncio.AbstractEventLoop
        self.failed: asyncio.Future[None]  # fails with what ended this node
        self.executed_transactions = 0
        self.executed_rows = 0

    # --- life ---------------------------------------------------------------------

    async def start(self) -> None:
        """Take up what the disk holds, then open the channels."""
        self._loop = asyncio.get_running_loop()
        self.failed = self._loop.create_future()
        self._running = True
        self.clock.set_ms(self.node.first_time_ms())
        self.stages.begin()
        self._guarded(lambda: self._apply(self.node.start(now_ms=self._now(), mono_us=self._mono())))
        if self.failed.done():
            await self.failed
        self._memory.begin()
        self._schedule()
        await self._transport.start(self)

    async def stop(self) -> None:
        """Stop taking work, let a write that is under way end, close channels and files."""
        if self._closed:
            return
        self._closed = True
        self._halt()
        self._memory.end()
        await self._transport.close()
        await self._loop.run_in_executor(None, self._execution.close)
        self.node.close()

    def _fail(self, error: BaseException) -> None:
        """The end of this node: whatever the reason, nothing more is written or sent."""
        if not self._running:
            return
        log.critical(str(error), exc_info=None if isinstance(error, LicetError) else error)
        self._halt()
        if not self.failed.done():
            self.failed.set_exception(error)

    def _halt(self) -> None:
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
        self._replies.stop()

    # --- the transport's receiver -------------------------------------------------

    def connected(self, peer: ValidatorIndex) -> None:
        self._connected.add(peer)
        self._push(PeerConnected(now_ms=self._now(), mono_us=self._mono(), peer=peer))
        if self.clock.manual:
            self._transport.send(peer, (ClockMoved(now_ms=self._now()),))

    def lost(self, peer: ValidatorIndex) -> None:
        self._connected.discard(peer)
        self._push(PeerLost(now_ms=self._now(), mono_us=self._mono(), peer=peer))

    def received(self, peer: ValidatorIndex, messages: Sequence[PeerMessage], size: int) -> None:
        self._inbox.put(peer, messages)
        self._schedule()

    async def room(self, peer: ValidatorIndex) -> None:
        await self._inbox.room(peer)

    def misbehaved(self, peer: ValidatorIndex, why: str) -> None:
        count = self._faults.get(peer, 0) + 1
        self._faults[peer] = count
        if count & (count - 1) == 0:  # each doubling is worth a line, a flood is not
            log.warning("peer misbehaved", extra={"peer": peer, "why": why, "times": count})

    # --- the ledger's door --------------------------------------------------------

    async def submit(
        self, raws: Sequence[bytes], *, wait: bool = True, timeout_s: float = 30.0
    ) -> list[Outcome]:
        if not self._running or self.node.chain.index is None:
            raise Stopping
        self._check_room()
        call = Call(
            wait=wait,
            outcomes=[None] * len(raws),
            hashes=[None] * len(raws),
            missing=len(raws),
            done=self._loop.create_future(),
        )
        if not raws:
            return []
        for position, raw in enumerate(raws):
            self._admission.submit(call, position, raw)
        self._schedule()
        await self._replies.call(call, timeout_s=timeout_s)
        return call.result(RETRY_MS)

    def _check_room(self) -> None:
        held = self._admission.held_bytes
        index = self.node.chain.index
        if index is not None:
            held += self._core.pool.used_bytes(index)
        if held > OWN_QUOTA_BYTES // 2 or len(self._replies.waiting) > RESULTS_WAITING_MAX:
            raise Busy(held_bytes=held, limit_bytes=OWN_QUOTA_BYTES // 2, retry_ms=RETRY_MS)

    def status(self) -> NodeStatus:
        return describe(
            self.node,
            now_ms=self._ledger_now(),
            mono_us=self._mono(),
            connected=self._connected,
            clock=self.clock,
        )

    async def wait_for_height(self, height: Height, *, timeout_s: float = 30.0) -> bool:
        if self.node.executor.height >= height:
            return True
        if not self._running:
            raise Stopping
        return await self._replies.height(height, timeout_s=timeout_s)

    async def advance(self, to_ms: TimestampMs, *, timeout_s: float = 30.0) -> TimestampMs:
        if not self._running:
            raise Stopping
        deadline = self._loop.time() + timeout_s
        if self.clock.set_ms(to_ms):
            self._push(ClockAdvanced(now_ms=self._now(), mono_us=self._mono(), gossip=True))
        while self._core.final_ms < to_ms or self._core.executing:
            left = deadline - self._loop.time()
            height = Height(self.node.executor.height + 1)
            if left <= 0 or not await self.wait_for_height(height, timeout_s=left):
                break
        return self._now()

    # --- a turn -------------------------------------------------------------------

    def _now(self) -> TimestampMs:
        return self.clock.now_ms()

    def _ledger_now(self) -> TimestampMs:
        """The time clients go by: a clock that was set back does not set the blocks back (C-2)."""
        return max(self._now(), self._core.final_ms)

    def _mono(self) -> int:
        return self.clock.mono_us()

    def _push(self, event: CoreEvent) -> None:
        self._events.append(event)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled and self._running:
            self._scheduled = True
            self._loop.call_soon(self._guarded, self._turn)

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # whatever it is: state and disk may differ now
            self._fail(error)

    def _turn(self) -> None:
        self._scheduled = False
        if not self._running:
            return
        self.stages.begin()
        self._serve_urgent()
        until = self._mono() + SLICE_US
        if self._execution.ready:
            self._execution.step()
            until = max(until, self._mono() + SLICE_US // 5)  # a long block starves nobody
        self._verify_slice(until)
        self._flush_admission()
        self._send_frames()
        self._arm()
        waiting = self._events or self._inbox.urgent or self._checking.busy or self._admission.busy
        if waiting or self._execution.ready:
            self._schedule()

    def _serve_urgent(self) -> None:
        """Commands, votes and timers, for at most a slice; then their effects."""
        effects: list[CoreEffects] = []
        until = self._mono() + SLICE_US
        while self._events:
            effects.append(self._core.handle(self._events.popleft()))
        while self._inbox.urgent and self._mono() < until:
            peer, message = self._inbox.next_urgent()
            event = self._event_of(peer, message)
            if event is not None:
                effects.append(self._core.handle(event))
        mono_us = self._mono()
        if self._wake_at_us is not None and mono_us >= self._wake_at_us:
            self._wake_at_us = None
            effects.append(self._core.handle(Tick(now_ms=self._now(), mono_us=mono_us)))
        if effects:
            self.stages.lap(Stage.ORDER)
            self._apply(merge_turn(effects))
            if self._execution.ready or self._checking.busy or self._admission.busy:
                self._send_frames()  # a slice of work follows: votes do not wait for it

    def _event_of(self, peer: ValidatorIndex, message: PeerMessage) -> CoreEvent | None:
        now_ms, mono_us = self._now(), self._mono()
        match message:
            case ConsensusMessage():
                return self._consensus(peer, message, Event(now_ms=now_ms, mono_us=mono_us))
            case BatchRequest():
                return BatchesWanted(now_ms=now_ms, mono_us=mono_us, peer=peer, digests=message.digests)
            case BatchesMissing():
                return BatchesNotHeld(now_ms=now_ms, mono_us=mono_us, peer=peer, digests=message.digests)
            case BatchOffer():
                return BatchesOffered(now_ms=now_ms, mono_us=mono_us, peer=peer, digests=message.digests)
            case WritesRequest() | WritesPage():
                return written(peer, message, now_ms=now_ms, mono_us=mono_us)
            case ClockMoved():
                if self.clock.manual and self.clock.set_ms(message.now_ms):
                    return ClockAdvanced(now_ms=self._now(), mono_us=mono_us, gossip=False)
        return None

    def _consensus(self, peer: ValidatorIndex, message: ConsensusMessage, at: Event) -> CoreEvent | None:
        """Decode, ask whether it is wanted, verify: in this order (C-16)."""
        ordering = self._core.ordering
        try:
            decoded = codec.decode(message.data)
            wanted = ordering.wants(peer, decoded)
            if wanted is None:
                return None
            verified = verify.verify(wanted, config=self.node.chain, peer=peer, known=ordering.knows)
        except (PeerFault, InvalidEncoding) as error:
            self.misbehaved(peer, error.message)
            return None
        received = Received(now_ms=at.now_ms, mono_us=at.mono_us, peer=peer, message=verified)
        return hinted(received, decoded, message.authors)

    def _verify_slice(self, until: int) -> None:
        """Batches of peers and transactions of clients in turn, until that time."""
        effects: list[CoreEffects] = []
        now_ms = self._ledger_now()
        while self._mono() < until:
            if self._checking.busy:
                event = self._checking.step(min(until, self._mono() + SLICE_US // 4))
                self.stages.lap(Stage.VERIFY)
                if event is not None:
                    effects.append(self._core.handle(event))
                    self.stages.lap(Stage.ORDER)
            elif not self._admission.busy:
                break
            if self._admission.busy:
                for _ in range(16):
                    self._admission.step(now_ms)
                    if not self._admission.busy:
                        break
                self.stages.lap(Stage.ADMIT)
        if effects:
            self._apply(merge_turn(effects))

    def _flush_admission(self) -> None:
        mono_us = self._mono()
        me = self.node.chain.index
        crowded = me is not None and self._core.pool.waiting_of(me) >= self._share
        effects = [
            self._core.handle(Submitted(now_ms=self._now(), mono_us=mono_us, admitted=admitted))
            for admitted in self._admission.take(mono_us, crowded=crowded)
        ]
        if effects:
            self.stages.lap(Stage.ORDER)
            self._apply(merge_turn(effects))

    # --- effects ------------------------------------------------------------------

    def _apply(self, effects: CoreEffects) -> None:
        """One turn's effects, in the one order."""
        if self._persistence.perform(effects):
            self.stages.lap(Stage.PERSIST)
        self._outbox += effects.sends
        self._execution.extend(effects.execute)
        if effects.dropped:
            self._replies.waiting.dropped(effects.dropped, now_ms=self._now(), retry_ms=RETRY_MS)
        if effects.isolate is not None:
            log.critical(
                "isolated: a quorum signed other roots than this node computed; it votes no more",
                extra={
                    "height": effects.isolate.ours.height,
                    "ours": effects.isolate.ours.state_root.hex(),
                    "theirs": effects.isolate.theirs.state_root.hex(),
                },
            )
        if effects.report is not None:
            self._tell(effects.report)
        for one in effects.evidence:
            log.error("a validator contradicts itself", extra={"validator": one.voter, "view": one.view})
        self._wake_at_us = effects.wake_at_us

    def _tell(self, report: IsolationReport) -> None:
        """C-13: say what is known of where this node differs, and keep it over a restart."""
        names = tuple(one.name for one in self.node.genesis.validators)
        log.critical("isolated: what is known of where it differs", extra=isolation_fields(report, names))
        if report.main is None:
            return
        try:
            finding.keep(self.node.files, report.ours, report.sentence(names))
        except OSError as error:  # for people alone: nothing depends on it
            log.error("the finding could not be written", extra={"error": str(error)})

    def _send_frames(self) -> None:
        """All of a turn's messages to one peer in one frame (C-16)."""
        if not self._outbox:
            return
        sends, self._outbox = self._outbox, []
        frames: dict[ValidatorIndex, list[tuple[PeerMessage, int]]] = {}
        for send in sends:
            wire = outgoing.wire(send)
            for peer in self._others if send.to is None else (send.to,):
                if peer in self._connected:
                    frames.setdefault(peer, []).append(wire)
        for peer, messages in frames.items():
            for frame in outgoing.frames(messages):
                self._transport.send(peer, frame)
        self.stages.lap(Stage.ORDER)

    def _arm(self) -> None:
        """One timer for the core's wish and for the batch being filled; the newest replaces the old."""
        times = [time for time in (self._wake_at_us, self._admission.flush_at_us()) if time is not None]
        due_us = min(times, default=None)
        if self._timer is not None:
            if due_us == self._timer_us:
                return
            self._timer.cancel()
            self._timer = None
        if due_us is not None and self._running:
            self._timer_us = due_us
            self._timer = self._loop.call_later(max(0, due_us - self._mono()) / 1_000_000, self._timed)

    def _timed(self) -> None:
        self._timer = None
        self._schedule()

    # --- execution ----------------------------------------------------------------

    def _durable(self, prepared: Prepared) -> None:
        """A block is durable: tell ordering, and everyone who waits."""
        if not self._running:
            return
        self.executed_transactions += len(prepared.result.executed)
        self.executed_rows += prepared.result.rows
        for fault in prepared.result.faults:
            log.error(
                "a transaction met an error of ours and was refused",
                extra={
                    "transaction": fault.hash.hex(),
                    "command": fault.command,
                    "error": fault.what,
                    "where": fault.where,
                },
            )
        self.clock.set_ms(prepared.ready.block.header.timestamp_ms)
        self._replies.settle(prepared)
        self._memory.step(self._mono())
        self.stages.lap(Stage.REPLY)
        self._events.append(BlockExecuted(now_ms=self._now(), mono_us=self._mono(), roots=prepared.roots))
        self._schedule_after(REPLY_ROUNDS)

    def _schedule_after(self, rounds: int) -> None:
        """A turn, but only after so many rounds of the loop: replies go out before what syncs next."""
        if rounds and self._running:
            self._loop.call_soon(self._schedule_after, rounds - 1)
        else:
            self._schedule()

"""The node's core: ordering, mempool and the queue of final blocks as one pure machine.

`handle(event) → CoreEffects`, synchronous, with no clock, randomness, IO or
exception for a peer's fault. The driver and the simulator run this very code.

* Batches: own submissions become signed batches and are gossiped ahead of
  ordering; what peers send is kept, served and fetched (C-14).
* Ordering's questions (`BuildProposal`, `CheckPayload`) are answered from the
  mempool, at once or when the last missing batch has come, never "no" for "not yet".
* Final blocks go to the executor in order, each with all its batches.
* What depends on a disk is only named in the effects; their order is the shell's duty.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from licet.certificate import Vote, VoteKind
from licet.crypto import SigningKey, Verified
from licet.genesis import Parameters
from licet.types import Hash32, TimestampMs, ValidatorIndex

from consensus.catch_up import build_response
from consensus.config import ChainConfig
from consensus.effects import BuildProposal, CheckPayload, Effects, Isolate, ServeFinalized
from consensus.events import (
    AnyEvent,
    Event,
    Executed,
    PayloadChecked,
    PeerConnected,
    PeerLost,
    ProposalBuilt,
    Received,
    Tick,
    WorkChanged,
)
from consensus.messages import Proposal
from consensus.ports import Ordering
from consensus.types import Block, CommittedBlock, Recovered, Verdict
from licensing_vm.foresight import Foresight
from node.core.authors import AuthorHints, authors_of
from node.core.batches import Batch, encode_batch
from node.core.divergence import Divergence
from node.core.effects import CoreEffects, CoreMessage, CoreSend, ReadyBlock
from node.core.events import (
    BatchArrived,
    BatchesNotHeld,
    BatchesOffered,
    BatchesWanted,
    BatchInvalid,
    BlockExecuted,
    ClockAdvanced,
    CoreEvent,
    Hinted,
    Submitted,
    WritesGiven,
    WritesWanted,
)
from node.core.fetches import Fetches
from node.core.isolation import IsolationReport
from node.core.mempool import Added, Mempool
from node.core.parts import Archive, Collected, CommittedEntry, NoWrites, WritesSource
from node.core.writes_server import WritesServer
from node.limits import (
    EXPIRY_SLACK_MS,
    INVALID_DIGESTS_MAX,
    OFFER_AGE_US_MIN,
    OFFER_DIGESTS_MAX,
)
from node.net.peer_messages import (
    BATCHES_BYTES_MAX,
    DIGESTS_MAX,
    Batches,
    BatchesMissing,
    BatchOffer,
    BatchRequest,
    ClockMoved,
)

EXPIRE_EVERY_US: Final = 1_000_000


class Core:
    """One node's state between the wire, the disk and the executor."""

    def __init__(
        self,
        *,
        chain: ChainConfig,
        parameters: Parameters,
        ordering: Ordering,
        batch_key: SigningKey | None,
        archive: Archive,
        writes: WritesSource | None = None,
        foresight: Foresight | None = None,
    ) -> None:
        self._chain = chain
        self._parameters = parameters
        self._ordering = ordering
        self._key = batch_key
        self._archive = archive
        self._others = tuple(
            ValidatorIndex(index) for index in range(chain.validators.n) if index != chain.index
        )
        self._pool = Mempool(
            me=chain.index,
            block_batches_max=parameters.block_batches_max,
            block_cost_max=parameters.block_cost_max,
            digest_window_ms=parameters.window_ms,
            foresight=foresight,
        )
        self._fetches = Fetches(others=self._others)
        self._hints = AuthorHints()
        source = NoWrites() if writes is None else writes
        self._writes = WritesServer(source)
        attesting = chain.validators.n - chain.validators.quorum + 1  # f + 1
        self._divergence = Divergence(others=self._others, attesting=attesting, source=source)
        self._checks: dict[Hash32, CheckPayload] = {}  # block id → the question that waits
        self._invalid: dict[Hash32, str] = {}  # digests that are no valid batch
        self._committed: deque[CommittedEntry] = deque()
        self._lacking: dict[Hash32, CommittedEntry] = {}  # digests that final blocks wait for
        self._executing: deque[ReadyBlock] = deque()
        self._executing_batches: dict[Hash32, Batch] = {}
        self._orphans: list[Block] = []
        self._sequence = 0
        self._final_ms = chain.genesis_time_ms
        self._clock_target_ms = TimestampMs(0)
        self._work_told = (False, False)
        self._ordering_wake: int | None = None
        self._offer_at: int | None = None
        self._expire_at = 0
        self._queue: deque[AnyEvent] = deque()
        self._now_ms, self._mono_us = chain.genesis_time_ms, 0  # of the event at hand
        self._out = Collected()

    # --- the door

    @property
    def ordering(self) -> Ordering:
        """The ordering engine, for `wants`, `knows` and `status`."""
        return self._ordering

    @property
    def pool(self) -> Mempool:
        """The mempool, for reading."""
        return self._pool

    @property
    def isolation(self) -> IsolationReport | None:
        """Why this node is isolated, as far as it is known (C-13)."""
        return self._divergence.report()

    @property
    def final_ms(self) -> TimestampMs:
        """Block time of the highest final block."""
        return self._final_ms

    @property
    def executing(self) -> int:
        """Final blocks handed to the executor and not reported back."""
        return len(self._executing)

    @property
    def waiting_for_batches(self) -> int:
        """Final blocks that lack a batch, or stand behind one that does."""
        return len(self._committed)

    def start(
        self,
        recovered: Recovered,
        batches: Iterable[Verified[Batch]],
        *,
        now_ms: TimestampMs,
        mono_us: int,
    ) -> CoreEffects:
        """Take up what the disk holds. Called once; `batches` are those of the payload file."""
        self._out = Collected()
        self._now_ms, self._mono_us = now_ms, mono_us
        self._pool.restore(recovered.recent)
        if recovered.head is not None:
            self._final_ms = recovered.head.header.timestamp_ms
        for block in recovered.blocks:
            self._pool.refer(block)
        for verified in batches:
            if self._pool.add(verified.value, mono_us=mono_us) is not Added.NEW:
                self._out.forget.append(verified.value.digest)
        self._take(self._ordering.start(recovered, now_ms=now_ms, mono_us=mono_us))
        return self._finish()

    def handle(self, event: CoreEvent) -> CoreEffects:
        """Take one event."""
        self._out = Collected()
        self._now_ms, self._mono_us = event.now_ms, event.mono_us
        match event:
            case Received():
                self._queue.append(event)
            case Tick():
                self._queue.append(event)
                for reader, page in self._writes.step(event.mono_us):  # C-16: one slice in a turn
                    self._send(page, to=reader)
            case Hinted():
                self._hints.note(event.received.peer, event.block, event.authors)
                self._queue.append(event.received)
            case PeerLost():
                self._queue.append(event)
                self._fetches.lost(event.peer, mono_us=event.mono_us)
                self._writes.lost(event.peer)
                self._divergence.lost(event.peer)
            case PeerConnected():
                self._queue.append(event)
                self._fetches.connected(event.peer)
                self._divergence.connected(event.peer, mono_us=event.mono_us)
                self._offer(event.peer)
            case Submitted():
                self._submitted(event)
            case BlockExecuted():
                self._executed(event)
            case ClockAdvanced():
                self._clock_advanced(event)
            case _:
                self._told(event)
        return self._finish()

    def _told(self, event: CoreEvent) -> None:
        """What a peer asks of this node, or answers it."""
        match event:
            case BatchArrived():
                self._arrived(event.batch.value)
            case BatchInvalid():
                self._refused(event.digest, event.why)
            case BatchesWanted():
                self._serve(event.peer, event.digests)
            case BatchesNotHeld():
                self._fetches.not_held(event.peer, event.digests, mono_us=self._mono_us)
            case BatchesOffered():
                self._offered(event)
            case WritesWanted():
                self._writes.wanted(event.peer, event.request)
            case WritesGiven():
                self._divergence.given(event.peer, event.page, mono_us=event.mono_us)

    def _clock_advanced(self, event: ClockAdvanced) -> None:
        self._clock_target_ms = max(self._clock_target_ms, event.now_ms)
        if event.gossip:
            self._send(ClockMoved(now_ms=event.now_ms))

    def useful(self, digest: Hash32) -> bool:
        """Whether a batch with this digest is worth verifying: not held, not final, not known bad."""
        if digest in self._lacking:
            return True
        if digest in self._invalid or self._pool.get(digest) is not None:
            return False
        if self._pool.is_wanted(digest):
            return True
        return digest not in self._executing_batches and not self._pool.is_recent(digest)

    def trusted(self, digest: Hash32) -> bool:
        """Whether a final block orders this digest: a quorum held it to be valid (C-15)."""
        return digest in self._lacking

    # --- ordering's effects and questions

    def _finish(self) -> CoreEffects:
        now_ms, mono_us = self._now_ms, self._mono_us
        while True:
            while self._queue:
                event = self._queue.popleft()
                self._take(self._ordering.handle(event))
            work = (self._pool.pending or self._clock_target_ms > self._final_ms, self._pool.fills_block)
            if work == self._work_told:
                break
            self._work_told = work
            self._queue.append(
                WorkChanged(now_ms=now_ms, mono_us=mono_us, pending=work[0], fills_block=work[1])
            )
        self._forward_old(mono_us)
        if mono_us >= self._expire_at:
            self._expire_at = mono_us + EXPIRE_EVERY_US
            gone = self._pool.expire(now_ms - EXPIRY_SLACK_MS)
            self._out.dropped += gone
            self._out.forget += (batch.digest for batch in gone)
        for peer, digests in self._fetches.due(mono_us):
            self._send(BatchRequest(digests=digests), to=peer)
        for peer, asked in self._divergence.step(mono_us):
            self._send(asked, to=peer)
        self._out.report = self._divergence.news()
        return self._out.done(self._wake())

    def _wake(self) -> int | None:
        expire_at = self._expire_at if self._pool.pending else None
        rows_at = (self._writes.next_at(), self._divergence.next_at())
        times = (self._ordering_wake, self._fetches.next_at(), self._offer_at, expire_at, *rows_at)
        return min((time for time in times if time is not None), default=None)

    def _take(self, effects: Effects) -> None:
        out = self._out
        out.blocks += effects.persist_payload
        # A sequencer sends no notarize: its block and signature must be durable before it executes.
        out.sync_payload = out.sync_payload or bool(effects.persist_payload)
        for block in effects.persist_payload:
            self._pool.refer(block)
        if effects.votes_file is not None:
            out.votes_file = effects.votes_file
            out.votes.clear()
        out.votes += effects.persist_votes
        out.sync_votes = out.sync_votes or effects.sync_votes
        for send in effects.send_after_persist:
            if _notarizes(send.message):
                out.sync_payload = True
            authors = authors_of(send.message, self._pool)
            out.sends.append(CoreSend(message=send.message, to=send.to, authors=authors))
        self._ordering_wake = effects.wake_at_us
        if effects.evidence or effects.trace:
            out.rest.append(effects)
        for committed in effects.commits:
            self._commit(committed)
        for request in effects.requests:
            match request:
                case BuildProposal():
                    self._build(request)
                case CheckPayload():
                    self._pool.refer(request.block)
                    self._check(request)
                case ServeFinalized():
                    response = build_response(
                        self._archive.final_block, from_height=request.from_height, count=request.count
                    )
                    self._send(response, to=request.peer)
                case Isolate():
                    out.isolate = request
                    self._divergence.begin(request, mono_us=self._mono_us)

    def _build(self, request: BuildProposal) -> None:
        digests, over_half = self._pool.build(request)
        self._queue.append(
            ProposalBuilt(
                now_ms=self._now_ms,
                mono_us=self._mono_us,
                view=request.view,
                parent_id=request.parent_id,
                digests=digests,
                over_half_full=over_half,
            )
        )

    def _check(self, request: CheckPayload) -> None:
        block = request.block
        verdict = self._pool.check(block)
        if any(digest in self._invalid for digest in block.digests):
            verdict = (Verdict.INVALID, False)
        if verdict is None:
            self._checks[block.id] = request
            authors = self._hints.of(request.source, block)
            for digest in self._pool.missing(block):
                self._fetches.want(digest, request.source, authors.get(digest), mono_us=self._mono_us)
            return
        self._checks.pop(block.id, None)
        self._queue.append(
            PayloadChecked(
                now_ms=self._now_ms,
                mono_us=self._mono_us,
                block_id=block.id,
                verdict=verdict[0],
                over_half_full=verdict[1],
            )
        )

    # --- batches

    def _submitted(self, event: Submitted) -> None:
        admitted = event.admitted.value
        assert self._key is not None, "an observer admits nothing"
        assert self._chain.index is not None, "an observer admits nothing"
        # Unique after a restart too: the block clock has moved on by then.
        self._sequence = max(self._sequence + 1, event.now_ms << 10)
        digest, raw = encode_batch(
            admitted.raws,
            chain_id=self._chain.chain_id,
            author=self._chain.index,
            sequence=self._sequence,
            key=self._key,
        )
        batch = Batch(
            digest=digest,
            raw=raw,
            author=self._chain.index,
            transactions=admitted.transactions,
            valid_until_ms=max(one.body.valid_until_ms for one in admitted.transactions),
            cost=admitted.cost,
        )
        if self._pool.add(batch, mono_us=event.mono_us) is Added.NEW:
            self._out.batches.append(batch)
            self._send(Batches(batches=(raw,)))
        else:
            self._out.dropped.append(batch)

    def _arrived(self, batch: Batch) -> None:
        digest = batch.digest
        self._fetches.done(digest)
        waiting = self._lacking.pop(digest, None)
        if waiting is not None:
            waiting.batches[digest] = batch
            self._release()
            return
        if digest in self._executing_batches or self._pool.add(batch, mono_us=self._mono_us) is not Added.NEW:
            return
        self._out.batches.append(batch)
        self._recheck(digest)

    def _recheck(self, digest: Hash32) -> None:
        for request in [one for one in self._checks.values() if digest in one.block.digests]:
            self._check(request)

    def _refused(self, digest: Hash32, why: str) -> None:
        self._fetches.done(digest)
        self._invalid[digest] = why
        while len(self._invalid) > INVALID_DIGESTS_MAX:
            del self._invalid[next(iter(self._invalid))]
        self._recheck(digest)

    def _serve(self, peer: ValidatorIndex, digests: tuple[Hash32, ...]) -> None:
        found: list[bytes] = []
        missing: list[Hash32] = []
        size = 0
        for digest in digests[:DIGESTS_MAX]:
            batch = self._pool.get(digest) or self._executing_batches.get(digest)
            raw = self._archive.batch(digest) if batch is None else batch.raw
            if raw is None:
                missing.append(digest)
                continue
            size += len(raw)
            if size > BATCHES_BYTES_MAX:
                break  # the rest is asked for again
            found.append(raw)
        if found:
            self._send(Batches(batches=tuple(found)), to=peer)
        if missing:
            self._send(BatchesMissing(digests=tuple(missing)), to=peer)

    def _offer(self, peer: ValidatorIndex) -> None:
        digests = self._pool.free_digests(OFFER_DIGESTS_MAX)
        if digests:
            self._send(BatchOffer(digests=digests), to=peer)

    def _offered(self, event: BatchesOffered) -> None:
        for digest in event.digests[:OFFER_DIGESTS_MAX]:
            if self.useful(digest):
                self._fetches.want_offered(digest, event.peer, mono_us=event.mono_us)

    def _forward_old(self, mono_us: int) -> None:
        """C-9: what waits longer than Δ is offered to the leader, so that nobody censors."""
        oldest = self._pool.oldest_us()
        if oldest is None:
            self._offer_at = None
            return
        if oldest + OFFER_AGE_US_MIN > mono_us:
            self._offer_at = oldest + OFFER_AGE_US_MIN
            return
        if self._offer_at is not None and mono_us < self._offer_at:
            return
        status = self._ordering.status(mono_us)
        age = max(OFFER_AGE_US_MIN, 1_000 * status.delta_ms)
        self._offer_at = mono_us + age
        if status.leader == self._chain.index:
            return
        digests = self._pool.offer_to_leader(
            view=status.view, before_us=mono_us - age, at_most=OFFER_DIGESTS_MAX
        )
        if digests:
            self._send(BatchOffer(digests=digests), to=status.leader)

    def _send(self, message: CoreMessage, to: ValidatorIndex | None = None) -> None:
        self._out.sends.append(CoreSend(message=message, to=to))

    # --- final blocks

    def _commit(self, committed: CommittedBlock) -> None:
        block = committed.block
        finalised = self._pool.finalise(block)
        self._orphans += finalised.orphans
        for gone in (block, *finalised.orphans):
            self._checks.pop(gone.id, None)
        entry = CommittedEntry(block=block, finalization=committed.finalization)
        for digest, batch in zip(block.digests, finalised.batches, strict=True):
            if batch is not None:
                entry.batches[digest] = batch
            else:
                self._lacking[digest] = entry
                self._fetches.want(digest, None, mono_us=self._mono_us)
        self._final_ms = max(self._final_ms, block.header.timestamp_ms)
        self._committed.append(entry)
        self._release()

    def _release(self) -> None:
        """Hand every final block that is complete, and has none before it that is not, to the executor."""
        while self._committed and self._committed[0].complete():
            entry = self._committed.popleft()
            ready = ReadyBlock(
                block=entry.block,
                finalization=entry.finalization,
                batches=tuple(entry.batches[digest] for digest in entry.block.digests),
            )
            self._executing.append(ready)
            self._executing_batches.update(entry.batches)
            self._out.execute.append(ready)

    def _executed(self, event: BlockExecuted) -> None:
        ready = self._executing.popleft()
        assert ready.block.height == event.roots.height, (ready.block.height, event.roots.height)
        for digest in ready.block.digests:
            del self._executing_batches[digest]
        self._out.forget += (ready.block.id, *ready.block.digests)
        # An orphan's record goes with the final block that made it one: only now is that block in the store.
        gone = [block for block in self._orphans if block.view <= ready.block.view]
        if gone:
            self._orphans = [block for block in self._orphans if block.view > ready.block.view]
            self._out.forget += (block.id for block in gone)
        self._queue.append(Executed(now_ms=event.now_ms, mono_us=event.mono_us, roots=event.roots))


def _notarizes(message: object) -> bool:
    """Whether this message carries a notarize, which the payload must be durable for (C-14)."""
    if isinstance(message, Vote):
        return message.kind is VoteKind.NOTARIZE
    return isinstance(message, Proposal)


__all__ = ["Archive", "Core", "Event"]

"""The second ordering engine: one validator that orders alone, for tests and single nodes.

Implements `consensus.ports.Ordering` with the certificate kind SEQUENCER: each
block is final by the one signature, in the turn that builds it. What Simplex
promises about durability holds here too: block, then signature, then the wire
and execution; the guard signs one block per view; roots are anchored by C-13.
It tolerates no fault and says nothing when idle.
"""

from __future__ import annotations

from licet.certificate import (
    Certificate,
    CertificateKind,
    ExecutedRoots,
    Header,
    Vote,
    VoteKind,
    payload_root,
)
from licet.types import Hash32, Height, TimestampMs, ValidatorIndex, View

from consensus import rules
from consensus.anchors import Anchors
from consensus.blocktree import BlockTree, Entry, Payload
from consensus.config import ASK_AGAIN_US, PACE_FULL_US, PACE_US, ChainConfig
from consensus.core import Outbox
from consensus.effects import BuildProposal, Effects, Isolate, ServeFinalized
from consensus.events import AnyEvent, Executed, ProposalBuilt, Received, WorkChanged
from consensus.evidence import Evidence
from consensus.guard import SignerGuard
from consensus.messages import FinalizedRequest, Message
from consensus.status import Status
from consensus.trace import TraceEntry, TraceKind
from consensus.types import Block, CommittedBlock, Recovered


class Sequencer:
    """Orders alone."""

    def __init__(self, config: ChainConfig, guard: SignerGuard | None) -> None:
        if config.scheme is not CertificateKind.SEQUENCER:
            raise ValueError("genesis names another certificate kind than this engine's")
        if guard is not None and guard.index != config.index:
            raise ValueError("the guard signs for another validator")
        self._config = config
        self._guard = guard
        self._tree = BlockTree(config)
        self._anchors = Anchors(config.genesis_roots)
        self._out = Outbox()
        self._now_ms = config.genesis_time_ms
        self._mono_us = 0
        self._view = View(1)
        self._pending = False
        self._fills_block = False
        self._asked = False
        self._ask_again_us = 0  # the mempool had nothing to order: not before then
        self._wake_us: int | None = None
        self._finalization: Certificate | None = None
        self._problem = "it is an observer" if guard is None else ""
        self._isolated = False

    # --- the port -----------------------------------------------------------------

    def start(self, recovered: Recovered, *, now_ms: TimestampMs, mono_us: int) -> Effects:
        """Take up what the disk holds; blocks signed but not executed are committed again."""
        self._now_ms, self._mono_us = now_ms, mono_us
        self._problem = recovered.votes_problem or self._problem
        self._tree.restore(recovered.head, recovered.recent, mono_us)
        if recovered.head is not None:
            header = recovered.head.header
            self._anchors.restore(recovered.executed, header.executed)
            ours = self._anchors.at(header.executed.height)
            if ours is not None and ours != header.executed:
                self._isolate(header, ours)
        self._finalization = recovered.finalization
        record = recovered.votes
        if self._guard is not None and record is not None and record.finalization is not None:
            self._finalization = record.finalization
            self._restore_signed(recovered, record.finalization)
        floor = self._guard.floor if self._guard is not None else View(0)
        self._view = View(max(self._tree.head.view, floor) + 1)
        self._settle()
        return self._out.take(self._guard, self._wake_us)

    def handle(self, event: AnyEvent) -> Effects:
        """Take one event."""
        self._mono_us = max(self._mono_us, event.mono_us)
        self._now_ms = event.now_ms
        match event:
            case WorkChanged():
                self._pending, self._fills_block = event.pending, event.fills_block
                self._ask_again_us = 0
            case ProposalBuilt():
                self._built(event)
            case Executed():
                claim = self._anchors.executed(event.roots)
                if claim is not None:
                    self._isolate(claim, event.roots)
            case Received():
                request = event.message.value
                if isinstance(request, FinalizedRequest):
                    self._out.requests.append(
                        ServeFinalized(peer=event.peer, from_height=request.from_height, count=request.count)
                    )
            case _:
                pass  # nobody to wait for, nobody to re-send to
        self._settle()
        return self._out.take(self._guard, self._wake_us)

    def wants(self, peer: ValidatorIndex, message: Message) -> Message | None:
        """Requests for final blocks alone."""
        return message if isinstance(message, FinalizedRequest) else None

    def knows(self, vote: Vote) -> bool:
        return False

    def evidence(self) -> tuple[Evidence, ...]:
        return ()

    def status(self, mono_us: int) -> Status:
        voting = self._voting
        return Status(
            view=self._view,
            leader=ValidatorIndex(0),
            committed_height=self._tree.head.height,
            executed_height=self._anchors.newest.height,
            finalized_view=self._tree.head.view,
            voting=voting,
            not_voting_why="" if voting else self._problem or "its roots differ from what it signed",
            isolated=self._isolated,
            pending_work=self._pending or self._unanchored,
            delta_ms=0,
            quorum=1,
            have=1 if voting else 0,
            missing=(),
            peers=(),
            catching_up_to=None,
        )

    @property
    def finalization(self) -> Certificate | None:
        """The highest finalization held, for `catch_up.build_response`."""
        return self._finalization

    # --- ordering -----------------------------------------------------------------

    @property
    def _voting(self) -> bool:
        return self._guard is not None and not self._problem and not self._isolated

    @property
    def _unanchored(self) -> bool:
        return self._anchors.unanchored(self._tree.head.executed.height)

    def _settle(self) -> None:
        """Ask for a payload, anchor a change, or know when to look again (C-9's pacing)."""
        self._wake_us = None
        if not self._voting or self._asked:
            return
        head, anchor = self._tree.head, self._anchor()
        blocked = rules.must_be_empty(head.height + 1, anchor.height, self._config)
        ask = self._pending and not blocked
        order = ask and self._mono_us >= self._ask_again_us
        if not order and not self._unanchored:
            self._wake_us = self._ask_again_us if ask else None
            return
        newest = self._tree.newest_with_digests
        if newest is not None and not self._fills_block:
            paced_us = newest.held_us + (PACE_FULL_US if newest.over_half_full else PACE_US)
            if self._mono_us < paced_us:
                self._wake_us = paced_us
                return
        if order:
            self._asked = True
            self._out.requests.append(
                BuildProposal(
                    view=self._view, parent_id=head.id, timestamp_ms=self._time(), exclude=frozenset()
                )
            )
        else:
            self._order((), over_half_full=False)

    def _built(self, event: ProposalBuilt) -> None:
        if not self._asked or event.view != self._view or not self._voting:
            return
        self._asked = False
        since = self._time() - self._config.digest_window_ms
        digests = tuple(
            digest
            for digest in dict.fromkeys(event.digests)
            if not self._tree.digest_used(digest, (), since_ms=since)
        )[: self._config.digests_per_block_max]
        # A virtual clock that was moved is work too (C-9): an empty block takes it over.
        moved = self._config.manual_clock and self._now_ms > self._tree.head.timestamp_ms
        if digests or moved:
            self._order(digests, over_half_full=event.over_half_full)
        else:
            self._ask_again_us = self._mono_us + ASK_AGAIN_US

    def _anchor(self) -> ExecutedRoots:
        newest, head = self._anchors.newest, self._tree.head
        return newest if newest.height > head.executed.height else head.executed

    def _time(self) -> TimestampMs:
        return TimestampMs(max(self._now_ms, self._tree.head.timestamp_ms + 1))

    def _order(self, digests: tuple[Hash32, ...], *, over_half_full: bool) -> None:
        """Build the next block, sign it final, commit it: one durable turn."""
        assert self._guard is not None
        head = self._tree.head
        header = Header(
            chain_id=self._config.chain_id,
            epoch=self._config.epoch,
            view=self._view,
            height=Height(head.height + 1),
            parent_id=head.id,
            parent_view=head.view,
            timestamp_ms=self._time(),
            proposer=self._guard.index,
            payload_root=payload_root(digests),
            executed=self._anchor(),
        )
        block = Block(header=header, digests=digests)
        entry = self._tree.add(block, self._mono_us)
        entry.payload, entry.over_half_full = Payload.VALID, over_half_full
        self._out.payload.append(block)
        vote = self._guard.sign(self._view, VoteKind.FINALIZE, block.id)
        self._finalization = Certificate.build(
            scheme=CertificateKind.SEQUENCER,
            kind=VoteKind.FINALIZE,
            epoch=vote.epoch,
            view=vote.view,
            digest=vote.digest,
            signatures={vote.voter: vote.signature},
            n=1,
        )
        self._guard.note_certificate(self._finalization)
        self._view = View(self._view + 1)
        self._guard.note_view(self._view)
        self._commit(entry, self._finalization)

    def _commit(self, entry: Entry, finalization: Certificate | None) -> None:
        assert entry.block is not None
        self._tree.commit((entry,))
        self._anchors.committed(entry.block.header)
        self._out.commits.append(CommittedBlock(block=entry.block, finalization=finalization))
        detail = f"height={entry.height} {entry.id.hex()[:16]}"
        self._out.trace.append(TraceEntry(kind=TraceKind.COMMITTED, view=entry.view, detail=detail))

    def _restore_signed(self, recovered: Recovered, final: Certificate) -> None:
        """Every signed block was durable before its signature: recommit them, or refuse to go on."""
        if final.view <= self._tree.head.view:
            return
        for block in sorted(recovered.blocks, key=lambda one: one.height):
            if block.height > self._tree.head.height and block.payload_matches():
                self._tree.add(block, self._mono_us).persisted = True
        path = self._tree.path(final.digest)
        if not path.whole:
            self._problem = f"the payload file lacks a block that was signed final in view {final.view}"
            return
        for entry in path.entries:
            self._commit(entry, final if entry.id == final.digest else None)

    def _isolate(self, header: Header, ours: ExecutedRoots) -> None:
        self._isolated = True
        self._out.requests.append(Isolate(header=header, ours=ours, theirs=header.executed))


__all__ = ["Sequencer"]

"""The Simplex replica: `handle(event) -> Effects`, pure and synchronous.

Implements `consensus.ports.Ordering` for n = 3f + 1 validators by rules C-1 to
C-10, C-13, C-14, C-16, the plain case of C-15 and the refusal half of C-11
(`SPEC.md` says which module holds which). This module dispatches events and
runs the rules until nothing changes; it decides nothing itself.

It never raises for a peer's fault. An assertion that fails is a bug of ours, or
more than f faulty validators: the shell must stop, for nothing of the event may
be persisted or sent.
"""

from __future__ import annotations

from typing import Final

from licet.certificate import Certificate, CertificateKind, Vote, VoteKind
from licet.types import Height, TimestampMs, ValidatorIndex, View

from consensus import voting
from consensus.anchors import Claim
from consensus.blocktree import Payload
from consensus.config import ChainConfig
from consensus.core import Core
from consensus.effects import Effects, ServeFinalized
from consensus.events import (
    AnyEvent,
    Executed,
    PayloadChecked,
    PeerConnected,
    PeerLost,
    ProposalBuilt,
    Received,
    Tick,
    WorkChanged,
)
from consensus.evidence import Evidence
from consensus.fetching import Fetcher
from consensus.guard import SignerGuard
from consensus.intake import Intake
from consensus.leader import Leader
from consensus.messages import (
    BlockRequest,
    BlockResponse,
    CertificateRequest,
    FinalizedRequest,
    FinalizedResponse,
    Message,
    Proposal,
    Resync,
)
from consensus.resync import Resender
from consensus.status import PeerSeen, Status
from consensus.types import Recovered, Verdict

Asked = CertificateRequest | BlockRequest | FinalizedRequest
STEPS_MAX: Final = 100_000  # of the fixpoint: reached only by a bug


class Replica:
    """One validator's ordering engine, or an observer's when `guard` is None."""

    def __init__(self, config: ChainConfig, guard: SignerGuard | None) -> None:
        if config.scheme is not CertificateKind.SIMPLEX:
            raise ValueError("genesis names another certificate kind than this engine's")
        if guard is not None and guard.index != config.index:
            raise ValueError("the guard signs for another validator")
        self._core = Core(config, guard)
        self._leader = Leader(self._core)
        self._fetcher = Fetcher(self._core, self._leader)
        self._resender = Resender(self._core, self._leader)
        self._intake = Intake(self._core, self._fetcher, self._resender)
        self._problem = "it is an observer" if config.index is None else ""

    # --- the port -----------------------------------------------------------------

    def start(self, recovered: Recovered, *, now_ms: TimestampMs, mono_us: int) -> Effects:
        """Take up what the disk holds, re-send it (C-4), and go on where the record says (C-10)."""
        core = self._core
        core.now_ms, core.mono_us, core.entered_us = now_ms, mono_us, mono_us
        self._problem = recovered.votes_problem or self._problem
        head = recovered.head
        core.tree.restore(head, recovered.recent, mono_us)
        if head is not None:
            core.anchors.restore(recovered.executed, head.header.executed)
            core.finalized_view = head.view
        self._restore_certificates(recovered)
        for block in sorted(recovered.blocks, key=lambda one: (one.height, one.view)):
            if block.height > core.tree.head.height and block.payload_matches():
                voting.hold_block(core, block, None).persisted = True
        self._restore_votes(recovered)
        if head is not None and core.anchors.compare(head.header.executed) is Claim.MISMATCH:
            voting.isolate(core, head.header)  # C-13: as before the restart
        self._resender.arm()
        self._settle()
        self._resender.send(None)  # at start even the finalization alone
        return core.out.take(core.guard, self._wake_us())

    def handle(self, event: AnyEvent) -> Effects:
        """Take one event."""
        core = self._core
        core.mono_us = max(core.mono_us, event.mono_us)
        core.now_ms = event.now_ms
        match event:
            case Received():
                core.seen_us[event.peer] = core.mono_us
                self._received(event.peer, event.message.value)
            case PayloadChecked():
                self._payload_checked(event)
            case Executed():
                claim = core.anchors.executed(event.roots)
                if claim is not None:
                    voting.isolate(core, claim)
            case ProposalBuilt():
                self._leader.built(event)
            case WorkChanged():
                core.work_pending, core.fills_block = event.pending, event.fills_block
                if event.pending:
                    self._leader.work_changed()
            case PeerConnected():
                core.connected.add(event.peer)
                self._resender.send(event.peer)
            case PeerLost():
                core.connected.discard(event.peer)
            case Tick():
                pass  # every deadline is looked at below
        self._settle()
        return core.out.take(core.guard, self._wake_us())

    def wants(self, peer: ValidatorIndex, message: Message) -> Message | None:
        """The part of a peer's message worth verifying, or None (C-16)."""
        return None if peer == self._core.config.index else self._intake.wants(message)

    def knows(self, vote: Vote) -> bool:
        """Whether these very signature bytes were verified before."""
        state = self._core.views.get(vote.view)
        before = state.tally.get(vote.kind, vote.voter) if state is not None else None
        return before is not None and before == vote

    def evidence(self) -> tuple[Evidence, ...]:
        return self._core.book.all()

    def status(self, mono_us: int) -> Status:
        core = self._core
        state = core.views.get(core.view)
        voted = {voter for kind in VoteKind for voter in state.tally.voters(kind)} if state else set()
        everyone = [ValidatorIndex(index) for index in range(core.validators.n)]
        final = core.finalization
        target = core.tree.get(final.digest) if final is not None else None
        behind = final is not None and final.view > core.tree.head.view
        reached = target.height if target is not None else Height(core.tree.head.height + 1)
        return Status(
            view=core.view,
            leader=core.leader,
            committed_height=core.tree.head.height,
            executed_height=core.anchors.newest.height,
            finalized_view=core.finalized_view,
            voting=core.voting,
            not_voting_why="" if core.voting else self._problem or "its roots differ from a quorum's",
            isolated=core.isolated,
            pending_work=core.pending_work(),
            delta_ms=core.pacemaker.delta_us // 1000,
            quorum=core.quorum,
            have=state.tally.most() if state is not None else 0,
            missing=tuple(index for index in everyone if index not in voted),
            peers=tuple(self._peer_seen(index, mono_us) for index in everyone if index != core.config.index),
            catching_up_to=reached if behind else None,
        )

    # --- for the shell's other parts ----------------------------------------------

    @property
    def delta_us(self) -> int:
        """Δ: a transaction unordered for longer is forwarded to the leader (C-9)."""
        return self._core.pacemaker.delta_us

    @property
    def leader(self) -> ValidatorIndex:
        """The current view's leader."""
        return self._core.leader

    @property
    def finalization(self) -> Certificate | None:
        """The highest finalization held, for `catch_up.build_response`."""
        return self._core.finalization

    # --- events -------------------------------------------------------------------

    def _received(self, peer: ValidatorIndex, message: Message) -> None:
        core = self._core
        match message:
            case Vote():
                voting.take_vote(core, message)
            case Certificate():
                voting.take_certificate(core, message)
            case Proposal():
                voting.take_proposal(core, message, peer)
            case Resync():
                for certificate in message.certificates:
                    voting.take_certificate(core, certificate)
                for vote in message.votes:
                    voting.take_vote(core, vote)
                self._resender.answer(peer, message)
            case BlockResponse():
                self._fetcher.take_blocks(peer, message)
            case FinalizedResponse():
                self._fetcher.take_final(message)
            case CertificateRequest() | BlockRequest() | FinalizedRequest():
                if self._resender.allows_request(peer):
                    self._asked(peer, message)

    def _asked(self, peer: ValidatorIndex, message: Asked) -> None:
        """Answer what we can; a peer that asks too often is not answered (C-16)."""
        core = self._core
        match message:
            case CertificateRequest():
                self._resender.answer_request(peer, message)
            case BlockRequest():
                found = (core.tree.find_recent(block_id) for block_id in message.block_ids)
                blocks = tuple(block for block in found if block is not None)
                if blocks:
                    core.send(BlockResponse(blocks=blocks), peer)
            case FinalizedRequest():
                core.out.requests.append(
                    ServeFinalized(peer=peer, from_height=message.from_height, count=message.count)
                )

    def _payload_checked(self, event: PayloadChecked) -> None:
        entry = self._core.tree.get(event.block_id)
        if entry is None or entry.payload is not Payload.ASKED:
            return
        entry.payload = Payload.VALID if event.verdict is Verdict.VALID else Payload.INVALID
        entry.over_half_full = event.over_half_full

    # --- the fixpoint -------------------------------------------------------------

    def _settle(self) -> None:
        """Apply every rule until none changes anything; then fetch and re-send what is due."""
        core = self._core
        for _ in range(STEPS_MAX):
            core.update_work()
            if not (
                voting.try_certify(core)
                or voting.try_commit(core)
                or voting.try_notarize(core)
                or voting.try_amplify(core)
                or self._try_time_out()
                or self._leader.try_propose()
            ):
                break
        else:
            raise AssertionError("the rules do not settle")
        self._fetcher.step()
        self._resender.step()

    def _timer_us(self) -> int | None:
        """C-8: when the current view times out for us, or None when it cannot any more."""
        core = self._core
        if not core.voting or core.own_vote(core.view, VoteKind.NULLIFY) is not None:
            return None
        if core.pacemaker.silent(core.leader):
            return 0
        leader_us, advance_us = core.pacemaker.deadlines(core.entered_us, core.working_since_us)
        state = core.views.get(core.view)
        return advance_us if state is not None and state.proposal is not None else leader_us

    def _try_time_out(self) -> bool:
        """C-4, C-8: nullify on either timer; a skipped leader does not raise Δ."""
        core = self._core
        timer_us = self._timer_us()
        if timer_us is None or core.mono_us < timer_us:
            return False
        if timer_us == 0:
            return voting.nullify(core, "silent leader")
        core.pacemaker.timed_out(core.view)
        return voting.nullify(core, "timeout")

    def _wake_us(self) -> int | None:
        times = [self._resender.next_us]
        for one in (self._timer_us(), self._leader.wake_us, self._fetcher.next_us):
            if one is not None:
                times.append(one)
        return max(min(times), self._core.mono_us)

    # --- recovery -----------------------------------------------------------------

    def _restore_certificates(self, recovered: Recovered) -> None:
        """The highest finalization and the certificates above it; the view the record says."""
        core = self._core
        record = recovered.votes
        finals = [recovered.finalization, record.finalization if record is not None else None]
        for certificate in finals:
            if certificate is not None and certificate.view > core.tree.head.view:
                voting.take_certificate(core, certificate)
            elif certificate is not None and certificate.view == core.tree.head.view:
                core.finalization = certificate
        if record is not None and core.guard is not None:
            core.view = max(core.view, record.view, View(core.finalized_view + 1))
            for certificate in record.certificates:
                voting.take_certificate(core, certificate)
        core.view = max(core.view, View(core.finalized_view + 1))

    def _restore_votes(self, recovered: Recovered) -> None:
        """The replica rebuilds its own votes from the guard's record (C-10), its proposal among them."""
        core = self._core
        if core.guard is None:
            return
        for vote in core.guard.votes():
            voting.take_vote(core, vote)
        own = core.own_vote(core.view, VoteKind.NOTARIZE)
        entry = core.tree.get(own.digest) if own is not None else None
        if entry is not None and entry.block is not None and core.view > core.finalized_view:
            state = core.at(core.view)
            if state.proposal is None:  # voted for: never judged again, and the leader's own re-sent
                state.proposal = entry.block

    def _peer_seen(self, index: ValidatorIndex, mono_us: int) -> PeerSeen:
        core = self._core
        last = core.seen_us.get(index)
        return PeerSeen(
            validator=index,
            connected=index in core.connected,
            seen_ms_ago=None if last is None else max(0, mono_us - last) // 1000,
            silent=core.pacemaker.silent(index),
        )

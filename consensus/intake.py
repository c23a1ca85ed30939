"""C-16: what of a peer's message is worth verifying. Pure looks at the state, changing nothing.

A signature check is the dearest thing a view costs, so duplicates, stale votes
and certificates already held are dropped, or cut out of a larger message, before
any of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from licet.certificate import Certificate, Vote, VoteKind

from consensus.config import VOTE_WINDOW
from consensus.core import Core
from consensus.fetching import Fetcher
from consensus.messages import BlockResponse, FinalizedResponse, Message, Proposal, Resync
from consensus.resync import Resender


class Intake:
    """Decides what is wanted of what arrives."""

    def __init__(self, core: Core, fetcher: Fetcher, resender: Resender) -> None:
        self._core = core
        self._fetcher = fetcher
        self._resender = resender

    def wants(self, message: Message) -> Message | None:
        """The part worth verifying, or None."""
        match message:
            case Vote():
                return message if self.wants_vote(message) else None
            case Certificate():
                return message if self.wants_certificate(message) else None
            case Proposal():
                return self._proposal(message)
            case Resync():
                return self._resync(message)
            case BlockResponse():
                blocks = tuple(one for one in message.blocks if self._fetcher.expects_block(one.id))
                return replace(message, blocks=blocks) if blocks else None
            case FinalizedResponse():
                return message if self._fetcher.expects_final(message.from_height) else None
            case _:
                return message

    def wants_vote(self, vote: Vote) -> bool:
        """New, in the window, and able to decide something; or a sign of life (C-8); or evidence (C-7)."""
        core = self._core
        if vote.epoch != core.config.epoch or vote.chain_id != core.config.chain_id:
            return False
        if vote.voter >= core.validators.n or vote.voter == core.config.index:
            return False
        if vote.view <= core.finalized_view:
            return core.pacemaker.wants_sign(vote.view, vote.voter)
        if vote.view > core.view + VOTE_WINDOW:
            return False
        state = core.views.get(vote.view)
        if state is None:
            return True
        before = state.tally.get(vote.kind, vote.voter)
        if before is not None:
            return before.digest != vote.digest and not core.book.has(vote.voter, vote.view)
        if vote.kind is not VoteKind.NOTARIZE:
            opposite = VoteKind.FINALIZE if vote.kind is VoteKind.NULLIFY else VoteKind.NULLIFY
            if state.tally.get(opposite, vote.voter) is not None:
                return True
        if state.certificate(vote.kind) is not None:
            return core.pacemaker.wants_sign(vote.view, vote.voter)
        return True

    def wants_certificate(self, certificate: Certificate) -> bool:
        """Above the highest finalization and of a kind not held for its view."""
        core = self._core
        if certificate.view <= core.finalized_view:
            final = core.finalization  # a head committed without its own finalization may still get one
            lacks = final is None or final.view < core.finalized_view
            return lacks and certificate.kind is VoteKind.FINALIZE and certificate.view == core.finalized_view
        state = core.views.get(certificate.view)
        return state is None or state.certificate(certificate.kind) is None

    def _certificates(self, certificates: Iterable[Certificate]) -> tuple[Certificate, ...]:
        return tuple(one for one in certificates if self.wants_certificate(one))

    def _proposal(self, proposal: Proposal) -> Message | None:
        core = self._core
        view = proposal.block.view
        state = core.views.get(view)
        if self._fetcher.expects_block(proposal.block.id) and (
            view < core.view or (state is not None and state.proposal is not None)
        ):
            return BlockResponse(blocks=(proposal.block,))  # late as a proposal, still the block we lack
        if not max(core.view - 1, core.finalized_view) < view <= core.view + VOTE_WINDOW:
            return None
        if state is not None and state.proposal is not None:
            other = state.proposal.id != proposal.block.id
            if other and not core.book.has(proposal.vote.voter, view):
                return proposal.vote  # a second proposal: its vote is the evidence (C-7)
            return None
        return replace(proposal, justification=self._certificates(proposal.justification))

    def _resync(self, message: Resync) -> Message | None:
        certificates = self._certificates(message.certificates)
        votes = tuple(one for one in message.votes if self.wants_vote(one))
        if not certificates and not votes and not self._resender.is_behind(message):
            return None
        return replace(message, certificates=certificates, votes=votes)

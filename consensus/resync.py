"""C-4's re-sends and C-1's answers: how replicas that missed something find each other again.

At start, on reconnection and every t_r (idle: doubling up to idle_max) a replica
re-sends its highest finalization and its own votes and certificates above it.
Whoever is further answers. An answer is never answered.
"""

from __future__ import annotations

from licet.certificate import Certificate, Vote
from licet.types import ValidatorIndex, View

from consensus.config import ANSWER_EVERY_US, IDLE_MAX_US, REQUESTS_MAX, RESEND_US, RESYNC_ITEMS_MAX
from consensus.core import Core
from consensus.leader import Leader
from consensus.messages import CertificateRequest, Resync


class Resender:
    """Keeps the re-send timer and the answers' rate."""

    def __init__(self, core: Core, leader: Leader) -> None:
        self._core = core
        self._leader = leader
        self._period_us = RESEND_US
        self.next_us = 0
        self._answered_us: dict[ValidatorIndex, int] = {}
        self._requests: dict[ValidatorIndex, tuple[int, int]] = {}  # since when, how many

    def arm(self) -> None:
        """The first re-send is due t_r from now."""
        self.next_us = self._core.mono_us + RESEND_US

    def send(self, to: ValidatorIndex | None) -> None:
        """Re-send in full, in as many messages as the limit asks for."""
        core = self._core
        votes = core.guard.votes() if core.guard is not None else ()
        self._chunks(self._certificates(), votes, to, answer=False)
        proposal = self._leader.proposal()
        if proposal is not None:
            core.send(proposal, to)

    def step(self) -> None:
        """Every t_r, when there is anything above the finalization."""
        core = self._core
        if core.working_since_us is not None:
            self._period_us = RESEND_US
            self.next_us = min(self.next_us, core.mono_us + RESEND_US)
        if core.mono_us < self.next_us:
            return
        votes = core.guard.votes() if core.guard is not None else ()
        if votes or any(state.certificates() for state in core.views.values()):
            self.send(None)
        if core.working_since_us is None:
            self._period_us = min(2 * self._period_us, IDLE_MAX_US)
        self.next_us = core.mono_us + self._period_us

    def answer(self, peer: ValidatorIndex, message: Resync) -> None:
        """C-1, C-4: a peer that is behind gets our finalization and the certificates above it."""
        core = self._core
        if not self.is_behind(message):
            return
        last = self._answered_us.get(peer)
        if last is not None and core.mono_us < last + ANSWER_EVERY_US:
            return
        self._answered_us[peer] = core.mono_us
        self._chunks(self._certificates(), (), peer, answer=True)

    def is_behind(self, message: Resync) -> bool:
        """Whether a re-send shows a lower finalization or an older view than ours."""
        core = self._core
        if message.answer:
            return False
        return message.finalized_view < core.finalized_view or message.view < core.view

    def allows_request(self, peer: ValidatorIndex) -> bool:
        """C-16: a peer's requests are answered up to a rate; the rest is dropped, and it asks again."""
        since_us, count = self._requests.get(peer, (0, 0))
        if self._core.mono_us >= since_us + ANSWER_EVERY_US:
            since_us, count = self._core.mono_us, 0
        self._requests[peer] = (since_us, count + 1)
        return count < REQUESTS_MAX

    def answer_request(self, peer: ValidatorIndex, request: CertificateRequest) -> None:
        """Certificates of a range of views; the finalization stands for all below it."""
        core = self._core
        found: list[Certificate] = []
        if core.finalization is not None and core.finalization.view >= request.first_view:
            found.append(core.finalization)
        for view in sorted(core.views):
            if request.first_view <= view <= request.last_view:
                found += core.views[view].certificates()
        if found:
            self._chunks(found, (), peer, answer=True)

    def _certificates(self) -> list[Certificate]:
        core = self._core
        held = [core.finalization] if core.finalization is not None else []
        for view in sorted(core.views):
            held += core.views[view].certificates()
        return held

    def _chunks(
        self,
        certificates: list[Certificate],
        votes: tuple[Vote, ...],
        to: ValidatorIndex | None,
        *,
        answer: bool,
    ) -> None:
        core = self._core
        parts = max(1, -(-max(len(certificates), len(votes)) // RESYNC_ITEMS_MAX))
        for part in range(parts):
            some = slice(part * RESYNC_ITEMS_MAX, (part + 1) * RESYNC_ITEMS_MAX)
            message = Resync(
                view=core.view,
                finalized_view=View(core.finalized_view),
                finalized_height=core.tree.head.height,
                certificates=tuple(certificates[some]),
                votes=votes[some],
                answer=answer,
            )
            core.send(message, to)

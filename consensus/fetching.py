"""Fetching what a vote, a certification or a commit is waiting for: C-2, C-3, C-5 and C-15's plain case.

What is wanted is computed from the state, so nothing is fetched that is no
longer needed. Each fetch goes to one peer and, unanswered, to the next one after
`FETCH_RETRY_US`: a lying or silent peer costs a retry. Bounded by `FETCHES_MAX`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Final

from licet.types import Hash32, Height, ValidatorIndex, View

from consensus import voting
from consensus.catch_up import check_response
from consensus.config import (
    CATCH_UP_AHEAD,
    CATCH_UP_BATCH,
    CERTIFICATES_REQUEST_MAX,
    FETCH_RETRY_US,
    FETCHES_MAX,
)
from consensus.core import Core
from consensus.leader import Leader
from consensus.messages import (
    BlockRequest,
    BlockResponse,
    CertificateRequest,
    FinalizedRequest,
    FinalizedResponse,
)
from consensus.trace import TraceKind

BY_ID_GAP_MAX: Final = 4  # a longer gap below a finalization is filled by height alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """One thing to fetch: a block by id, final blocks from a height, or certificates of views."""

    block_id: Hash32 | None = None
    from_height: Height | None = None
    views: tuple[View, View] | None = None


@dataclass(slots=True, kw_only=True)
class Flight:
    """A fetch that is out."""

    deadline_us: int
    attempt: int


class Fetcher:
    """Keeps what is in flight."""

    def __init__(self, core: Core, leader: Leader) -> None:
        self._core = core
        self._leader = leader
        self._flights: dict[Want, Flight] = {}

    @property
    def next_us(self) -> int | None:
        """When the next retry is due."""
        return min((flight.deadline_us for flight in self._flights.values()), default=None)

    def step(self) -> None:
        """Send what is newly wanted, retry what is overdue, forget what is not wanted any more."""
        core = self._core
        wanted: dict[Want, tuple[ValidatorIndex, ...]] = {}
        for want, preferred in self._wanted():
            if len(wanted) == FETCHES_MAX:
                break
            wanted.setdefault(want, preferred)
        for want in [want for want in self._flights if want not in wanted]:
            del self._flights[want]
        for want, preferred in wanted.items():
            flight = self._flights.get(want)
            if flight is None:
                flight = self._flights[want] = Flight(deadline_us=0, attempt=-1)
            if core.mono_us >= flight.deadline_us:
                flight.attempt += 1
                flight.deadline_us = core.mono_us + FETCH_RETRY_US
                self._send(want, self._peer(preferred, flight.attempt))

    def expects_block(self, block_id: Hash32) -> bool:
        return Want(block_id=block_id) in self._flights

    def expects_final(self, from_height: Height) -> bool:
        return Want(from_height=from_height) in self._flights

    def take_blocks(self, peer: ValidatorIndex, response: BlockResponse) -> None:
        """Blocks by id: the id binds them, the digests are bound by the payload root."""
        for block in response.blocks:
            if self.expects_block(block.id) and block.payload_matches():
                voting.hold_block(self._core, block, peer)

    def take_final(self, response: FinalizedResponse) -> None:
        """C-15: blocks that link our head to a finalization are held and committed; else a retry."""
        core = self._core
        if not self.expects_final(response.from_height):
            return
        blocks = check_response(response, core.tree.head)
        if not blocks:
            return
        core.trace(TraceKind.CATCH_UP, blocks[-1].view, f"{blocks[0].height}..{blocks[-1].height}")
        for block in blocks:
            core.tree.add(block, core.mono_us)
        ids = {block.id for block in blocks}
        for certificate in response.finalizations:
            if certificate.digest in ids:
                voting.take_certificate(core, certificate)
                voting.keep_finalization(core, certificate)

    # --- what is wanted -----------------------------------------------------------

    def _wanted(self) -> Iterator[tuple[Want, tuple[ValidatorIndex, ...]]]:
        core = self._core
        if core.isolated:
            return
        behind = yield from self._for_commit()
        if not behind:
            yield from self._for_certification()
        yield from self._for_vote()
        if self._leader.lacks_view is not None:
            yield self._views(self._leader.lacks_view), ()

    def _for_commit(self) -> Generator[tuple[Want, tuple[ValidatorIndex, ...]], None, bool]:
        """What a finalization still lacks; returns whether we are behind it."""
        core = self._core
        final = core.finalization
        head = core.tree.head
        if final is None or final.view <= head.view:
            return False
        path = core.tree.path(final.digest)
        if path.missing is None:
            return False
        signers = final.voters()
        if path.reached is None or path.reached - head.height <= BY_ID_GAP_MAX:
            yield Want(block_id=path.missing), signers
        if head.height - core.anchors.newest.height < CATCH_UP_AHEAD:
            yield Want(from_height=Height(head.height + 1)), signers
        return True

    def _for_certification(self) -> Iterator[tuple[Want, tuple[ValidatorIndex, ...]]]:
        core = self._core
        for view in sorted(core.views, reverse=True):
            notarization = core.views[view].notarization
            if notarization is None:
                continue
            missing = core.tree.path(notarization.digest).missing
            if missing is not None:
                yield Want(block_id=missing), notarization.voters()

    def _for_vote(self) -> Iterator[tuple[Want, tuple[ValidatorIndex, ...]]]:
        core = self._core
        state = core.views.get(core.view)
        if state is None or state.proposal is None or state.invalid or not core.voting:
            return
        header = state.proposal.header
        source = () if state.source is None else (state.source,)
        if not core.justifies_parent(header.parent_view, header.parent_id):
            yield self._views(header.parent_view), source
        skip = core.unjustified_skip(View(header.parent_view + 1), View(header.view - 1))
        if skip is not None:
            yield self._views(skip, lowest=View(header.parent_view + 1)), source
        missing = core.tree.path(header.parent_id).missing
        if missing is not None:
            yield Want(block_id=missing), source

    def _views(self, last: View, *, lowest: View | None = None) -> Want:
        first = max(last - CERTIFICATES_REQUEST_MAX + 1, self._core.finalized_view, lowest or 0)
        return Want(views=(View(min(first, last)), last))

    # --- whom to ask --------------------------------------------------------------

    def _peer(self, preferred: tuple[ValidatorIndex, ...], attempt: int) -> ValidatorIndex | None:
        core = self._core
        own = core.config.index
        everyone = [ValidatorIndex(index) for index in range(core.validators.n) if index != own]
        reachable = [index for index in everyone if index in core.connected] or everyone
        first = [index for index in preferred if index in reachable]
        order = first + [index for index in reachable if index not in first]
        return order[attempt % len(order)] if order else None

    def _send(self, want: Want, peer: ValidatorIndex | None) -> None:
        core = self._core
        if peer is None:
            return
        if want.block_id is not None:
            core.send(BlockRequest(block_ids=(want.block_id,)), peer)
        elif want.from_height is not None:
            core.send(FinalizedRequest(from_height=want.from_height, count=CATCH_UP_BATCH), peer)
        elif want.views is not None:
            core.send(CertificateRequest(first_view=want.views[0], last_view=want.views[1]), peer)

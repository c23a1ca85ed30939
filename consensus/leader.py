"""C-2 and the leader's side of C-9 and C-13: what to propose, on what parent, and when.

One proposal per view, never another: the leader's notarize vote, signed by the
guard in the turn that builds the block, is what binds it.
"""

from __future__ import annotations

from licet.certificate import Certificate, ExecutedRoots, Header, VoteKind, payload_root
from licet.types import Hash32, Height, TimestampMs, View

from consensus import rules, voting
from consensus.blocktree import Entry, Payload
from consensus.config import ASK_AGAIN_US, IDLE_MAX_US, JUSTIFICATION_MAX, PACE_FULL_US, PACE_US
from consensus.core import Core
from consensus.effects import BuildProposal
from consensus.events import ProposalBuilt
from consensus.messages import Proposal
from consensus.trace import TraceKind
from consensus.types import Block


class Leader:
    """Proposes in the views that are ours."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._asked_in = View(0)  # a BuildProposal for this view is out
        self._nothing_in = View(0)  # the view in which the mempool had nothing to order, when last asked
        self._ask_again_us = 0
        self.wake_us: int | None = None  # when to look again
        self.lacks_view: View | None = None  # evidence to fetch before we can propose

    def work_changed(self) -> None:
        """New transactions: ask again at once."""
        self._nothing_in = View(0)

    def try_propose(self) -> bool:
        """C-2, C-9: propose, or ask for a payload, or know when to look again."""
        core, view = self._core, self._core.view
        self.wake_us = self.lacks_view = None
        if not core.leading or not core.voting or self._asked_in == view:
            return False
        if any(core.own_vote(view, kind) is not None for kind in (VoteKind.NOTARIZE, VoteKind.NULLIFY)):
            return False
        parent = self._parent()
        if parent is None:
            return False
        paced_us = self._paced_us()
        if core.mono_us < paced_us:
            self.wake_us = paced_us
            return False
        anchor = self._anchor(parent)
        blocked = rules.must_be_empty(parent.height + 1, anchor.height, core.config)
        empty_us = self._empty_us(parent)
        ask = core.work_pending and not blocked
        if ask and self._ask_again(empty_us):
            self._ask(parent)
            return True
        if core.mono_us < empty_us:
            self.wake_us = min(empty_us, self._ask_again_us) if ask else empty_us
            return False
        self._propose(parent, (), over_half_full=False)
        return True

    def built(self, event: ProposalBuilt) -> None:
        """The answer to `BuildProposal`: propose it, unless the view has passed."""
        core = self._core
        if event.view != self._asked_in or event.view != core.view or not core.voting:
            return
        self._asked_in = View(0)
        if any(core.own_vote(core.view, kind) is not None for kind in (VoteKind.NOTARIZE, VoteKind.NULLIFY)):
            return
        parent = core.tree.get(event.parent_id)
        if parent is None or not core.tree.path(parent.id).whole:
            return
        digests = self._unused(parent, event.digests)
        if digests:
            self._propose(parent, digests, over_half_full=event.over_half_full)
        else:
            self._nothing_in, self._ask_again_us = core.view, core.mono_us + ASK_AGAIN_US

    def proposal(self) -> Proposal | None:
        """Our proposal of the current view while it is not notarized: re-sent as it is (C-2)."""
        core = self._core
        vote = core.own_vote(core.view, VoteKind.NOTARIZE)
        state = core.views.get(core.view)
        if not core.leading or vote is None or (state is not None and state.notarization is not None):
            return None
        entry = core.tree.get(vote.digest)
        parent = core.tree.get(entry.parent_id) if entry is not None else None
        if entry is None or entry.block is None or parent is None:
            return None
        return Proposal(block=entry.block, vote=vote, justification=self._justification(parent))

    # --- the parent ---------------------------------------------------------------

    def _parent(self) -> Entry | None:
        """C-2: the highest parent we can justify; notes what has to be fetched first."""
        core = self._core
        for number in range(core.view - 1, core.finalized_view, -1):
            state = core.views.get(View(number))
            if state is not None and state.notarization is not None and state.certified:
                entry = core.tree.get(state.notarization.digest)
                if entry is not None and core.tree.path(entry.id).whole:
                    return entry
            if state is None or state.nullification is None:
                if state is None or state.notarization is None:
                    self.lacks_view = View(number)
                return None
        final = core.finalization
        at_head = final is None or final.view < core.finalized_view
        entry = core.tree.head if at_head or final is None else core.tree.get(final.digest)
        return entry if entry is not None and core.tree.path(entry.id).whole else None

    def _justification(self, parent: Entry) -> tuple[Certificate, ...]:
        """The parent's certificate, then the nullifications of the skipped views, newest first."""
        core = self._core
        state = core.views.get(parent.view)
        held: list[Certificate] = []
        if state is not None and state.notarization is not None:
            held.append(state.notarization)
        elif core.finalization is not None and core.finalization.digest == parent.id:
            held.append(core.finalization)
        for number in range(core.view - 1, parent.view, -1):
            if len(held) == JUSTIFICATION_MAX:
                break  # the rest is fetched
            skipped = core.views.get(View(number))
            if skipped is not None and skipped.nullification is not None:
                held.append(skipped.nullification)
        return tuple(held)

    # --- when ---------------------------------------------------------------------

    def _paced_us(self) -> int:
        """C-9: not before the newest block with transactions has this age, unless a block is full."""
        newest = self._core.tree.newest_with_digests
        if newest is None or self._core.fills_block:
            return 0
        return newest.held_us + (PACE_FULL_US if newest.over_half_full else PACE_US)

    def _ask_again(self, empty_us: int) -> bool:
        """Whether to ask the mempool: first in the view, then now and then until an empty block is due."""
        core = self._core
        return self._nothing_in != core.view or self._ask_again_us <= core.mono_us < empty_us

    def _empty_us(self, parent: Entry) -> int:
        """C-9: when an empty block is due: at once to anchor a change, else after Δ or idle_max."""
        core = self._core
        if core.anchors.unanchored(parent.executed.height):
            return 0
        if core.working_since_us is None:
            return core.entered_us + IDLE_MAX_US
        return max(core.entered_us, core.working_since_us) + core.pacemaker.delta_us

    # --- the block ----------------------------------------------------------------

    def _anchor(self, parent: Entry) -> ExecutedRoots:
        """C-13: the highest final ancestor we executed, never lower than the parent's anchor."""
        newest = self._core.anchors.newest
        return newest if newest.height > parent.executed.height else parent.executed

    def _time(self, parent: Entry) -> TimestampMs:
        """C-2: max(now, parent + 1)."""
        return TimestampMs(max(self._core.now_ms, parent.timestamp_ms + 1))

    def _ask(self, parent: Entry) -> None:
        core = self._core
        self._asked_in = core.view
        exclude = frozenset[Hash32]().union(*(entry.digests for entry in core.tree.path(parent.id).entries))
        core.out.requests.append(
            BuildProposal(
                view=core.view, parent_id=parent.id, timestamp_ms=self._time(parent), exclude=exclude
            )
        )

    def _unused(self, parent: Entry, digests: tuple[Hash32, ...]) -> tuple[Hash32, ...]:
        """C-14: without what an ancestor orders already, each once, at most a block's worth."""
        core = self._core
        entries = core.tree.path(parent.id).entries
        since = self._time(parent) - core.config.digest_window_ms
        fresh = (
            digest
            for digest in dict.fromkeys(digests)
            if not core.tree.digest_used(digest, entries, since_ms=since)
        )
        return tuple(fresh)[: core.config.digests_per_block_max]

    def _propose(self, parent: Entry, digests: tuple[Hash32, ...], *, over_half_full: bool) -> None:
        core, config = self._core, self._core.config
        assert core.guard is not None
        assert config.index is not None
        header = Header(
            chain_id=config.chain_id,
            epoch=config.epoch,
            view=core.view,
            height=Height(parent.height + 1),
            parent_id=parent.id,
            parent_view=parent.view,
            timestamp_ms=self._time(parent),
            proposer=config.index,
            payload_root=payload_root(digests),
            executed=self._anchor(parent),
        )
        block = Block(header=header, digests=digests)
        entry = core.tree.add(block, core.mono_us)
        entry.payload, entry.over_half_full = Payload.VALID, over_half_full
        state = core.at(core.view)
        state.proposal, state.source = block, config.index
        state.received_us, state.received_ms = core.mono_us, core.now_ms
        voting.persist_block(core, entry)
        vote = core.guard.sign(core.view, VoteKind.NOTARIZE, block.id)
        core.trace(TraceKind.PROPOSED, core.view, f"height={header.height} {block.id.hex()[:16]}")
        core.send(Proposal(block=block, vote=vote, justification=self._justification(parent)))
        voting.take_vote(core, vote)

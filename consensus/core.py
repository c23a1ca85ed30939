"""The replica's shared state and its outbox: data, bookkeeping and no rules.

`Replica` dispatches, `voting`, `leader`, `fetching` and `resync` decide; all of
them read and write one `Core`. Per view there is one `ViewState`; everything at
or below the highest finalization is dropped (C-16).
"""

from __future__ import annotations

from licet.certificate import Certificate, Vote, VoteKind
from licet.types import Hash32, Height, TimestampMs, ValidatorIndex, View

from consensus.anchors import Anchors
from consensus.blocktree import BlockTree
from consensus.config import ChainConfig
from consensus.effects import Effects, Request, Send
from consensus.evidence import Evidence, EvidenceBook
from consensus.guard import SignerGuard
from consensus.messages import Message
from consensus.pacemaker import Pacemaker
from consensus.quorum import Tally
from consensus.trace import TraceEntry, TraceKind
from consensus.types import Block, CommittedBlock


class ViewState:
    """What is known of one view above the highest finalization."""

    __slots__ = (
        "certified",
        "finalization",
        "invalid",
        "notarization",
        "nullification",
        "proposal",
        "received_ms",
        "received_us",
        "source",
        "tally",
        "view",
    )

    def __init__(self, view: View) -> None:
        self.view = view
        self.tally = Tally(view)
        self.proposal: Block | None = None  # the first by its leader (C-3)
        self.source: ValidatorIndex | None = None
        self.received_us = 0
        self.received_ms = TimestampMs(0)
        self.invalid = ""  # why the proposal is not one to vote for
        self.notarization: Certificate | None = None
        self.nullification: Certificate | None = None
        self.finalization: Certificate | None = None
        self.certified = False  # C-5 was done

    def certificate(self, kind: VoteKind) -> Certificate | None:
        match kind:
            case VoteKind.NOTARIZE:
                return self.notarization
            case VoteKind.NULLIFY:
                return self.nullification
            case VoteKind.FINALIZE:
                return self.finalization

    def certificates(self) -> tuple[Certificate, ...]:
        held = (self.notarization, self.nullification)
        return tuple(one for one in held if one is not None)


class Outbox:
    """Collects the effects of one event."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Start an event with nothing to do."""
        self.payload: list[Block] = []
        self.sends: list[Send] = []
        self.commits: list[CommittedBlock] = []
        self.requests: list[Request] = []
        self.evidence: list[Evidence] = []
        self.trace: list[TraceEntry] = []

    def take(self, guard: SignerGuard | None, wake_at_us: int | None) -> Effects:
        """Everything collected, with the guard's record, and an empty outbox again."""
        pressing = guard is not None and guard.pressing
        votes_file, append = guard.take_record() if guard is not None else (None, None)
        effects = Effects(
            persist_payload=tuple(self.payload),
            votes_file=votes_file,
            persist_votes=() if append is None else (append,),
            sync_votes=pressing,
            send_after_persist=tuple(self.sends),
            commits=tuple(self.commits),
            requests=tuple(self.requests),
            wake_at_us=wake_at_us,
            evidence=tuple(self.evidence),
            trace=tuple(self.trace),
        )
        self.clear()
        return effects


class Core:
    """See the module's docstring."""

    def __init__(self, config: ChainConfig, guard: SignerGuard | None) -> None:
        self.config = config
        self.guard = guard
        self.validators = config.validators
        self.quorum = config.validators.quorum
        self.tree = BlockTree(config)
        self.anchors = Anchors(config.genesis_roots)
        self.pacemaker = Pacemaker(config.index)
        self.book = EvidenceBook()
        self.out = Outbox()
        self.now_ms = config.genesis_time_ms
        self.mono_us = 0
        self.view = View(1)
        self.entered_us = 0
        self.views: dict[View, ViewState] = {}
        self.finalization: Certificate | None = None  # the highest held
        self.finalized_view = View(0)  # of it, or of the committed head
        self.finalizations: dict[Hash32, Certificate] = {}  # of blocks not committed yet
        self.work_pending = False  # the mempool's flag
        self.fills_block = False
        self.working_since_us: int | None = None  # C-9: normal timers run since then
        self.with_digests_height = Height(0)  # newest committed block that orders batches
        self.isolated = False
        self.connected: set[ValidatorIndex] = set()
        self.seen_us: dict[ValidatorIndex, int] = {}

    @property
    def voting(self) -> bool:
        """Whether this replica signs at all."""
        return self.guard is not None and not self.isolated

    @property
    def leader(self) -> ValidatorIndex:
        return self.validators.leader(self.view)

    @property
    def leading(self) -> bool:
        return self.guard is not None and self.leader == self.config.index

    def at(self, view: View) -> ViewState:
        """The state of a view above the highest finalization, made when first needed."""
        assert view > self.finalized_view, "C-16: nothing is kept at or below a finalization"
        state = self.views.get(view)
        if state is None:
            state = self.views[view] = ViewState(view)
        return state

    def own_vote(self, view: View, kind: VoteKind) -> Vote | None:
        return self.guard.vote(view, kind) if self.guard is not None else None

    def send(self, message: Message, to: ValidatorIndex | None = None) -> None:
        self.out.sends.append(Send(message=message, to=to))

    def trace(self, kind: TraceKind, view: View, detail: str = "") -> None:
        self.out.trace.append(TraceEntry(kind=kind, view=view, detail=detail))

    def justifies_parent(self, view: View, block_id: Hash32) -> bool:
        """Whether a notarization or finalization of this block is held (C-2, C-3)."""
        head = self.tree.head
        if block_id == head.id:
            return view == head.view
        final = self.finalization
        if final is not None and final.view == view:
            return final.digest == block_id
        state = self.views.get(view)
        notarization = state.notarization if state is not None else None
        return notarization is not None and notarization.digest == block_id

    def unjustified_skip(self, first: View, last: View) -> View | None:
        """The highest view in [first, last] without a nullification, or None (C-2, C-3)."""
        for view in range(last, first - 1, -1):
            state = self.views.get(View(view))
            if state is None or state.nullification is None:
                return View(view)
        return None

    def pending_work(self) -> bool:
        """C-9: something that this replica knows is not settled yet."""
        if self.work_pending or any(state.notarization is not None for state in self.views.values()):
            return True
        anchored = self.tree.head.executed.height
        if self.with_digests_height > self.anchors.newest.height:
            return True  # a final block with batches is still to be executed
        return self.anchors.unanchored(anchored)

    def update_work(self) -> None:
        """C-9: normal timers start on pending work and stop when none is left."""
        if not self.pending_work():
            self.working_since_us = None
        elif self.working_since_us is None:
            self.working_since_us = self.mono_us

    def note_evidence(self, first: Vote, second: Vote) -> None:
        evidence = self.book.add(first, second)
        if evidence is not None:
            self.out.evidence.append(evidence)

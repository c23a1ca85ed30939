"""What a run left behind, as an outsider could have seen it: the checkers' only input.

Filled by the shell, the wire and the clients; never read by what is tested.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from licet.certificate import Certificate, ExecutedRoots, Vote, VoteKind
from licet.types import Hash32

from consensus.messages import Proposal, Resync
from consensus.types import Block
from node.storage.port import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenVote:
    """A node's own vote, seen on the wire or on its disk."""

    tick_us: int
    voter: int
    view: int
    kind: VoteKind
    digest: bytes
    where: str  # "wire" or "disk"
    durable: bool  # whether the record, and for a notarize the payload, was synced when it was sent


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenBlock:
    """A block that a node executed durably."""

    tick_us: int
    node: int
    block: Block
    finalization: Certificate | None
    roots: ExecutedRoots


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenCommit:
    """A block that a node's ordering engine called final."""

    tick_us: int
    node: int
    height: int
    view: int
    block_id: Hash32


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """A client was told: final at this height, durable."""

    tick_us: int
    node: int
    transaction: Hash32
    height: int
    committed: bool = True  # or refused for good


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """A client was told: refused in a final block, and the id is not used up."""

    tick_us: int
    node: int
    transaction: Hash32
    height: int
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panic:
    """A node's process ended by itself; `expected` when its disk gave a reason."""

    tick_us: int
    node: int
    why: str
    expected: bool


@dataclass(slots=True, kw_only=True)
class History:
    """Everything that happened."""

    n: int
    byzantine: frozenset[int]
    votes: list[SeenVote] = field(default_factory=list)
    finalizes: dict[tuple[int, bytes], dict[int, set[bytes]]] = field(default_factory=dict)  # heard, by claim
    blocks_heard: dict[bytes, Block] = field(default_factory=dict)  # of all proposals, by id
    commits: list[SeenCommit] = field(default_factory=list)
    blocks: list[SeenBlock] = field(default_factory=list)
    acks: list[Ack] = field(default_factory=list)
    turned: list[Turned] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)  # bugs that the machine contained
    panics: list[Panic] = field(default_factory=list)
    isolated: list[tuple[int, int]] = field(default_factory=list)  # (node, height)
    evidence: list[tuple[int, int]] = field(default_factory=list)  # (seen by, against)
    record_lost_us: dict[int, int] = field(default_factory=dict)  # node → first start without a record
    said_nonvoter: set[int] = field(default_factory=set)  # say at their last start why they do not vote
    unsettled: list[Hash32] = field(default_factory=list)  # transactions never acknowledged
    submitted: dict[Hash32, bytes] = field(default_factory=dict)  # transaction hash → bytes as sent
    healed_us: int = 0
    progress_us: int | None = None  # from healing to the first final block, on every honest node
    view_wasted_us: int = 0  # 2Δ at healing, of the most patient honest node
    ended_us: int = 0
    stores: dict[int, Storage] = field(default_factory=dict)  # of honest nodes, at the end
    notes: list[str] = field(default_factory=list)

    @property
    def honest(self) -> tuple[int, ...]:
        """Everybody but the adversary."""
        return tuple(index for index in range(self.n) if index not in self.byzantine)

    def hear(self, message: object) -> None:
        """Note what anybody, honest or not, put on the wire: blocks, and votes that may finalise one."""
        match message:
            case Proposal():
                self.blocks_heard[message.block.id] = message.block
            case Vote():
                if message.kind is VoteKind.FINALIZE:
                    claims = self.finalizes.setdefault((message.view, message.digest), {})
                    claims.setdefault(message.voter, set()).add(message.signature)
            case Resync():
                for vote in message.votes:
                    self.hear(vote)

    def see_votes(
        self, votes: Sequence[Vote], *, tick_us: int, voter: int, where: str, durable: bool
    ) -> None:
        """Note a node's own votes."""
        for vote in votes:
            self.votes.append(
                SeenVote(
                    tick_us=tick_us,
                    voter=voter,
                    view=vote.view,
                    kind=vote.kind,
                    digest=vote.digest,
                    where=where,
                    durable=durable,
                )
            )

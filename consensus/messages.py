"""What replicas say to each other. `consensus.codec` gives the bytes.

`Vote` and `Certificate` of `licet.certificate` are messages as they stand.
Signatures inside a message are checked by the shell (`consensus.verify`); the
replica accepts a `Verified[Message]` only.
"""

from __future__ import annotations

from dataclasses import dataclass

from licet.certificate import Certificate, Vote
from licet.types import Hash32, Height, View

from consensus.types import Block


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A leader's block with what justifies it (C-2), and the leader's own notarize vote.

    `justification` holds the parent's notarization or finalization and the
    nullifications of the skipped views. A receiver may drop what it already
    holds (`Ordering.wants`), and fetches what the leader left out.
    """

    block: Block
    justification: tuple[Certificate, ...]
    vote: Vote


@dataclass(frozen=True, slots=True, kw_only=True)
class Resync:
    """A re-send (C-4): where I stand, my votes and certificates above my finalization.

    `answer` marks a reply, which is never replied to.
    """

    view: View
    finalized_view: View
    finalized_height: Height  # of the highest committed block
    certificates: tuple[Certificate, ...]  # the highest finalization and those above it
    votes: tuple[Vote, ...]
    answer: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRequest:
    """Ask for certificates of a range of views, ends included. Answered by a Resync."""

    first_view: View
    last_view: View


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRequest:
    """Ask for blocks that are not final yet, by id."""

    block_ids: tuple[Hash32, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockResponse:
    """Blocks asked for by id. An id binds its block, so no signature is needed."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalizedRequest:
    """Ask for final blocks from a height on (C-15)."""

    from_height: Height
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalizedResponse:
    """Consecutive final blocks; every `finalizations` entry finalises one of them, the last the last.

    Empty when the peer has nothing from that height.
    """

    from_height: Height
    blocks: tuple[Block, ...]
    finalizations: tuple[Certificate, ...]


Message = (
    Proposal
    | Vote
    | Certificate
    | Resync
    | CertificateRequest
    | BlockRequest
    | BlockResponse
    | FinalizedRequest
    | FinalizedResponse
)

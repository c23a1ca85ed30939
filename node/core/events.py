"""Everything that can happen to the node's core beside what happens to its ordering engine.

The core takes consensus' own events `Received`, `Tick`, `PeerConnected` and
`PeerLost` as they are; the events here stand beside them. Each carries the time
on both clocks, and what comes from a peer was verified by the shell.
"""

from __future__ import annotations

from dataclasses import dataclass

from licet.certificate import ExecutedRoots
from licet.crypto import Verified
from licet.transactions import Transaction
from licet.types import Hash32, TimestampMs, ValidatorIndex

from consensus.events import Event, PeerConnected, PeerLost, Received, Tick
from consensus.messages import Message, Proposal
from consensus.types import Block
from node.core.batches import Batch
from node.net.peer_messages import WritesPage, WritesRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Hinted(Event):
    """A verified message that came as a proposal, with what its sender says beside it (C-14).

    `authors` names who made each batch of `block`, in order, and is trusted by nobody: it decides
    whom to ask for a batch that is not held, and nothing else.
    """

    received: Received
    block: Block
    authors: tuple[ValidatorIndex, ...]


def hinted(received: Received, message: Message, authors: tuple[ValidatorIndex, ...]) -> Received | Hinted:
    """The event of a received message, `message` as it came; authors are heard beside a proposal only."""
    if not authors or not isinstance(message, Proposal):
        return received
    return Hinted(
        now_ms=received.now_ms,
        mono_us=received.mono_us,
        received=received,
        block=message.block,
        authors=authors,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmittedTransactions:
    """What one turn of admission let in: bytes as received, decoded, with declared costs."""

    raws: tuple[bytes, ...]
    transactions: tuple[Transaction, ...]
    cost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted(Event):
    """Transactions of this node's own clients. They become one batch with this node as its author."""

    admitted: Verified[AdmittedTransactions]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchArrived(Event):
    """A batch that is valid by its bytes, from a peer (or read back from the payload file: None)."""

    peer: ValidatorIndex | None
    batch: Verified[Batch]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchInvalid(Event):
    """These bytes have this digest and are no valid batch: so nobody's are (C-14)."""

    peer: ValidatorIndex
    digest: Hash32
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchesWanted(Event):
    """A peer asks for batches."""

    peer: ValidatorIndex
    digests: tuple[Hash32, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchesNotHeld(Event):
    """A peer does not hold what it was asked for."""

    peer: ValidatorIndex
    digests: tuple[Hash32, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchesOffered(Event):
    """A peer holds batches that no block orders yet."""

    peer: ValidatorIndex
    digests: tuple[Hash32, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WritesWanted(Event):
    """A peer asks what a height wrote (C-13)."""

    peer: ValidatorIndex
    request: WritesRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class WritesGiven(Event):
    """A peer says what a height wrote."""

    peer: ValidatorIndex
    page: WritesPage


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockExecuted(Event):
    """The oldest block of `CoreEffects.execute` was executed, and its results are durable."""

    roots: ExecutedRoots


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockAdvanced(Event):
    """The virtual clock was set to `now_ms`: work until a block with that time is final (C-9)."""

    gossip: bool  # set here by an operator: tell the peers


def written(
    peer: ValidatorIndex, message: WritesRequest | WritesPage, *, now_ms: TimestampMs, mono_us: int
) -> WritesWanted | WritesGiven:
    """The event of a question what a height wrote, or of the answer."""
    if isinstance(message, WritesRequest):
        return WritesWanted(now_ms=now_ms, mono_us=mono_us, peer=peer, request=message)
    return WritesGiven(now_ms=now_ms, mono_us=mono_us, peer=peer, page=message)


CoreEvent = (
    Received
    | Hinted
    | Tick
    | PeerConnected
    | PeerLost
    | Submitted
    | BatchArrived
    | BatchInvalid
    | BatchesWanted
    | BatchesNotHeld
    | BatchesOffered
    | WritesWanted
    | WritesGiven
    | BlockExecuted
    | ClockAdvanced
)

__all__ = [
    "AdmittedTransactions",
    "BatchArrived",
    "BatchInvalid",
    "BatchesNotHeld",
    "BatchesOffered",
    "BatchesWanted",
    "BlockExecuted",
    "ClockAdvanced",
    "CoreEvent",
    "Event",
    "Hinted",
    "PeerConnected",
    "PeerLost",
    "Received",
    "Submitted",
    "Tick",
    "TimestampMs",
    "WritesGiven",
    "WritesWanted",
    "hinted",
    "written",
]

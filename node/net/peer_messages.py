"""What nodes say to each other, as frozen values; `node.net.frames` gives the protobuf.

Consensus messages travel as the bytes of `consensus.codec` and payload batches
as the bytes of `node.core.batches`: the transport never looks inside either. Nothing
here is trusted: the driver decodes, checks and verifies before the core sees it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from licet.certificate import ExecutedRoots
from licet.types import Hash32, Height, TimestampMs, ValidatorIndex

from licensing_vm.trail import Row

# C-16: what one message may carry; the transport refuses more and blames the peer.
MESSAGE_BYTES_MAX: Final = 8 << 20
DIGESTS_MAX: Final = 1024
AUTHORS_MAX: Final = 1024  # beside one proposal; a block orders no more batches (`node.net.outgoing`)
BATCHES_BYTES_MAX: Final = 8 << 20
WRITES_ROWS_MAX: Final = 512  # of one page
WRITES_KEY_BYTES_MAX: Final = 1024  # longer than any key of the state
FRAME_BYTES_MAX: Final = 16 << 20
FRAME_MESSAGES_MAX: Final = 4096

UNKNOWN_AUTHOR: Final = ValidatorIndex(0xFFFF)  # no validator's position


class Participation(IntEnum):
    """What part a node takes in consensus, as it says itself. For people: nothing is decided by it."""

    VOTES = 1
    RECORD_MISSING = 2
    RECORD_UNUSABLE = 3
    ISOLATED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsensusMessage:
    """One consensus message in the bytes of `consensus.codec`.

    `authors` travels beside a proposal: the author of each batch of its block, in order, as far as
    the speaker knows (C-14). A hint: nothing but whom a listener asks may depend on it.
    """

    data: bytes
    authors: tuple[ValidatorIndex, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """Payload batches, each in its canonical bytes: gossip ahead of ordering, or an answer."""

    batches: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """Send me these batches (C-14)."""

    digests: tuple[Hash32, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchesMissing:
    """You asked for these and this node does not hold them: ask another."""

    digests: tuple[Hash32, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOffer:
    """This node holds these batches, and no block orders them yet: ask for what you lack (C-9)."""

    digests: tuple[Hash32, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockMoved:
    """Development networks with a manual clock only: the virtual clock was set to this time."""

    now_ms: TimestampMs


@dataclass(frozen=True, slots=True, kw_only=True)
class WritesRequest:
    """Tell me what this height wrote, from this row on; for no rows, its roots alone (C-13)."""

    height: Height
    first_row: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WritesPage:
    """Rows of one height, `first_row` the first, of `total`; without roots, this node does not hold them."""

    height: Height
    roots: ExecutedRoots | None
    first_row: int = 0
    total: int = 0
    rows: tuple[Row, ...] = ()


PeerMessage = (
    ConsensusMessage
    | Batches
    | BatchRequest
    | BatchesMissing
    | BatchOffer
    | ClockMoved
    | WritesRequest
    | WritesPage
)

assert BATCHES_BYTES_MAX <= FRAME_BYTES_MAX
assert MESSAGE_BYTES_MAX <= FRAME_BYTES_MAX
assert WRITES_ROWS_MAX * (WRITES_KEY_BYTES_MAX + 100) <= MESSAGE_BYTES_MAX

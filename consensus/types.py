"""Blocks as consensus sees them, and what an ordering engine is started from.

A block is a header and the digests of its payload batches. The batches' bytes
are the node core's business: consensus asks for them to be checked and never
sees one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from licet.certificate import Certificate, ExecutedRoots, Header, payload_root
from licet.encoding import Reader, Writer
from licet.errors import Fault
from licet.types import HASH_BYTES, Hash32, Height, TimestampMs, View

from consensus.votelog import VoteLogState


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A header and the batch digests whose root it carries."""

    header: Header
    digests: tuple[Hash32, ...]

    @property
    def id(self) -> Hash32:
        return self.header.id

    @property
    def view(self) -> View:
        return self.header.view

    @property
    def height(self) -> Height:
        return self.header.height

    def payload_matches(self) -> bool:
        """Whether the header was made for these digests."""
        return payload_root(self.digests) == self.header.payload_root

    def write(self, writer: Writer) -> None:
        writer.fixed(self.header.encoded, len(self.header.encoded)).u16(len(self.digests))
        writer.fixed(b"".join(self.digests), HASH_BYTES * len(self.digests))

    def encode(self) -> bytes:
        """Canonical binary, for the payload file and the block store."""
        writer = Writer()
        self.write(writer)
        return writer.done()

    @classmethod
    def read(cls, reader: Reader) -> Block:
        header = Header.read(reader)
        count = reader.u16()
        raw = reader.fixed(HASH_BYTES * count)
        digests = tuple(Hash32(raw[at : at + HASH_BYTES]) for at in range(0, len(raw), HASH_BYTES))
        block = cls(header=header, digests=digests)
        if not block.payload_matches():
            raise reader.refuse("the payload root is not that of the digests")
        return block

    @classmethod
    def decode(cls, data: bytes) -> Block:
        reader = Reader(data, what="block", fault=Fault.PEER)
        block = cls.read(reader)
        reader.end()
        return block


class Verdict(Enum):
    """The shell's answer about a block's payload, a property of its bytes (C-14)."""

    VALID = "valid"  # every batch is held durably and valid by its bytes
    INVALID = "invalid"  # some batch is not valid by its bytes, or the block exceeds a limit


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentDigest:
    """A batch digest that a final block ordered within the digest window."""

    digest: Hash32
    timestamp_ms: TimestampMs  # of the block that ordered it


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What a node read from its disk, handed to `Ordering.start`.

    head          the highest final block that is executed (the block store's
                  head), or None at genesis
    finalization  the newest finalization in the block store, if any. One that
                  finalises a block above head is fine.
    executed      roots by height, ascending, of the heights from
                  head.executed.height to head.height (only (head) is required;
                  what is missing is treated as not yet executed). Empty at genesis.
    recent        digests of final blocks with a timestamp of at least
                  head's − digest_window_ms
    blocks        every block of the payload file that is not final yet, any order
    votes         the signing record (`votelog.recover`), or None: then this node
                  is no voter (C-11) and `votes_problem` says why
    """

    head: Block | None = None
    finalization: Certificate | None = None
    executed: tuple[ExecutedRoots, ...] = ()
    recent: tuple[RecentDigest, ...] = ()
    blocks: tuple[Block, ...] = ()
    votes: VoteLogState | None = None
    votes_problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedBlock:
    """A block that became final. They come in order of height, without gaps, each once.

    `finalization` is set when the block was finalised directly and is stored
    with it. Blocks without one are proven by the headers up to the next block
    that has one. The batches may be missing after a catch-up: fetch, then execute.
    """

    block: Block
    finalization: Certificate | None = field(default=None)

"""Payload batches: one author's transactions under one digest (C-14).

    body   = format u8 | chain_id 32 | author u16 | sequence u64 | count u32 | (length u32, raw)*
    batch  = body | signature 64 (the author's, over Tag.BATCH ‖ H(Tag.BATCH ‖ body))
    digest = H(Tag.BATCH ‖ H(Tag.BATCH ‖ body) ‖ signature)

The digest binds every byte, so validity is a property of the digest: whoever
holds a batch that is not valid may say so for ever. `raw` is a serialized
SignedTransaction exactly as received. `sequence` only keeps two batches of the
same transactions apart. Pure: no clock, no state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from licet.certificate import ValidatorSet
from licet.crypto import SigningKey, signature_valid
from licet.encoding import Reader, Tag, Writer, hash_tagged
from licet.errors import Fault
from licet.transactions import Transaction
from licet.types import HASH_BYTES, SIGNATURE_BYTES, ChainId, Hash32, Signature, ValidatorIndex

BATCH_FORMAT: Final = 1
BATCH_TRANSACTIONS_MAX: Final = 8192
BATCH_HEAD_BYTES: Final = 1 + HASH_BYTES + 2 + 8 + 4


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchForm:
    """A batch as its bytes say, nothing verified yet."""

    digest: Hash32
    raw: bytes
    author: ValidatorIndex
    sequence: int
    transactions: tuple[bytes, ...]
    body_hash: Hash32
    signature: Signature

    def author_signed(self, validators: ValidatorSet) -> bool:
        """Whether the named author is a validator and made the signature."""
        if self.author >= validators.n:
            return False
        return signature_valid(validators.keys[self.author], self.signature, Tag.BATCH, self.body_hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch whose signatures all verified, decoded once and kept until it was executed."""

    digest: Hash32
    raw: bytes
    author: ValidatorIndex
    transactions: tuple[Transaction, ...]
    valid_until_ms: int  # the latest of its transactions
    cost: int  # declared, in VM units (C-16)

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self.raw)


def encode_batch(
    raws: Sequence[bytes], *, chain_id: ChainId, author: ValidatorIndex, sequence: int, key: SigningKey
) -> tuple[Hash32, bytes]:
    """Digest and bytes of a new batch, signed."""
    assert 1 <= len(raws) <= BATCH_TRANSACTIONS_MAX
    writer = Writer().u8(BATCH_FORMAT).fixed(chain_id, HASH_BYTES).u16(author).u64(sequence).u32(len(raws))
    for raw in raws:
        writer.blob(raw)
    body = writer.done()
    body_hash = hash_tagged(Tag.BATCH, body)
    signature = key.sign(Tag.BATCH, body_hash)
    return hash_tagged(Tag.BATCH, body_hash, signature), body + signature


def batch_digest(raw: bytes) -> Hash32:
    """The digest of a batch's bytes, whatever they are."""
    body_hash = hash_tagged(Tag.BATCH, raw[:-SIGNATURE_BYTES])
    return hash_tagged(Tag.BATCH, body_hash, raw[-SIGNATURE_BYTES:])


def parse_batch(raw: bytes, *, chain_id: ChainId, bytes_max: int) -> BatchForm:
    """Read a batch's form, or raise `InvalidEncoding` with the peer at fault."""
    reader = Reader(raw, what="payload batch", fault=Fault.PEER)
    if len(raw) > bytes_max:
        raise reader.refuse(f"{len(raw)} bytes are more than {bytes_max}")
    if reader.u8() != BATCH_FORMAT:
        raise reader.refuse("its format is unknown")
    if reader.fixed(HASH_BYTES) != chain_id:
        raise reader.refuse("it belongs to another chain")
    author, sequence, count = ValidatorIndex(reader.u16()), reader.u64(), reader.u32()
    if not 1 <= count <= BATCH_TRANSACTIONS_MAX:
        raise reader.refuse(f"it has {count} transactions, not 1 to {BATCH_TRANSACTIONS_MAX}")
    transactions, at = _transactions(raw, BATCH_HEAD_BYTES, count)
    if at != len(raw) - SIGNATURE_BYTES:
        raise reader.refuse("its transactions do not end where its signature begins")
    signature = Signature(raw[at:])
    body_hash = hash_tagged(Tag.BATCH, raw[:-SIGNATURE_BYTES])
    return BatchForm(
        digest=hash_tagged(Tag.BATCH, body_hash, signature),
        raw=raw,
        author=author,
        sequence=sequence,
        transactions=transactions,
        body_hash=body_hash,
        signature=signature,
    )


def _transactions(raw: bytes, at: int, count: int) -> tuple[tuple[bytes, ...], int]:
    """Each transaction behind its length, and where they end; the caller sees an end beyond the bytes."""
    found: list[bytes] = []
    for _ in range(count):
        start = at + 4
        at = start + int.from_bytes(raw[at:start], "big")
        if at > len(raw):
            break
        found.append(raw[start:at])
    return tuple(found), at

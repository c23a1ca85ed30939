"""The storage port: what the node asks of a disk, and the records it hands over.

One `WriteBatch` per block holds everything the block changes and reaches the
disk whole or not at all. A synced `commit` that returned is durable. After
any failed write the handle is dead: every later call raises `StorageDead`
(LevelDB would go on acknowledging what it then loses). Heights are committed
in order, without gaps. The port knows no consensus and no licensing: blocks,
certificates, batches and receipts are bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from licet.types import ChainId, Hash32, Height

from node.storage.schema import Kind

# A record as a plain tuple, which is what hot paths build.
Row = tuple[Kind, bytes, bytes | None]


class Record(NamedTuple):
    """One record of a kind that has no field of its own in `WriteBatch`. None deletes."""

    kind: Kind
    key: bytes
    value: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteBatch:
    """Everything that one block changes, written at once.

    `batches` are (digest, payload batch bytes) in the block's order.
    `values` are state values by ledger key; None deletes. `records` carry
    tree and log records and the executor's indexes.
    """

    height: Height
    block: bytes
    certificate: bytes = b""
    batches: Sequence[tuple[Hash32, bytes]] = ()
    values: Mapping[bytes, bytes | None] = field(default_factory=dict)
    receipts: Mapping[Hash32, bytes] = field(default_factory=dict)
    records: Sequence[Row] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBlock:
    """A block as it was committed, with the batches that it orders."""

    height: Height
    block: bytes
    certificate: bytes
    batches: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KindStats:
    """What one kind of record costs: written since creation, and on disk now (approximate)."""

    records_written: int
    bytes_written: int
    bytes_stored: int


class RecordReader(Protocol):
    """The two reads that tree and log need: one record, and a range in key order."""

    def record(self, kind: Kind, key: bytes) -> bytes | None:
        """One record of a kind."""
        ...

    def records(
        self, kind: Kind, *, start: bytes = b"", stop: bytes | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Records of a kind with start ≤ key < stop, in key order (or against it)."""
        ...


class Storage(RecordReader, Protocol):
    """A node's ledger on disk or in memory."""

    @property
    def chain_id(self) -> ChainId:
        """The chain this store belongs to, fixed at its creation."""
        ...

    @property
    def height(self) -> Height | None:
        """The highest committed height; None before the first commit."""
        ...

    def get(self, key: bytes) -> bytes | None:
        """The state value of a ledger key."""
        ...

    def scan(self, prefix: bytes, *, after: bytes | None = None, limit: int) -> list[tuple[bytes, bytes]]:
        """Up to `limit` state entries whose key starts with `prefix`, after the key `after`, in key order."""
        ...

    def commit(self, batch: WriteBatch, *, synced: bool = True) -> None:
        """Write one block, whole or not at all; durable on return if `synced`."""
        ...

    def block(self, height: Height) -> StoredBlock | None:
        """A committed block with its certificate and batches."""
        ...

    def batch(self, digest: Hash32) -> bytes | None:
        """A payload batch of a committed block, by its digest."""
        ...

    def receipt(self, transaction: Hash32) -> bytes | None:
        """The receipt under a transaction hash."""
        ...

    def stats(self) -> Mapping[Kind, KindStats]:
        """Records and bytes by kind."""
        ...

    def close(self) -> None:
        """Release everything. Closing twice, or closing a dead handle, is fine."""
        ...

"""What both stores share: a write batch as rows, the block store's reads, the counters.

`RecordStore` turns a `WriteBatch` into rows of (kind, key, value) and answers
blocks, batches and receipts from rows, so that two engines differ only in how
they keep rows. It holds the order of heights and the dead-handle rule: after a
failed write every call but `close` raises `StorageDead`.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Final

from licet.types import HASH_BYTES, ChainId, Hash32, Height

from node.storage.errors import NewerSchema, OlderSchema, StorageDamaged, StorageDead, WrongChain
from node.storage.port import KindStats, Row, StoredBlock, WriteBatch
from node.storage.schema import (
    META_CHAIN,
    META_HEIGHT,
    META_RESERVED,
    META_SCHEMA,
    META_WRITTEN,
    RECORD_KINDS,
    SCHEMA_VERSION,
    Kind,
    height_key,
    parse_position,
    position_key,
)

_COUNTER: Final = struct.Struct(">cQQ")  # kind, records, bytes


_kind_of: Final = itemgetter(0)


def rows_of(batch: WriteBatch) -> list[Row]:
    """Every row that a block writes, without the store's own metadata; those of a kind stand together."""
    at = height_key(batch.height)
    rows: list[Row] = [(Kind.BLOCK, at, batch.block), (Kind.CERTIFICATE, at, batch.certificate)]
    for position, (digest, raw) in enumerate(batch.batches):
        assert len(digest) == HASH_BYTES, digest
        place = position_key(batch.height, position)
        rows += ((Kind.BATCH, place, digest + raw), (Kind.BATCH_INDEX, digest, place))
    state, by_hash = Kind.STATE, Kind.RECEIPT
    rows += [(state, key, value) for key, value in batch.values.items()]
    rows += [(by_hash, transaction, place) for transaction, place in batch.receipts.items()]
    kinds = set(map(_kind_of, batch.records))
    assert kinds <= RECORD_KINDS, kinds
    if Kind.META in kinds:
        assert not any(row[0] is Kind.META and row[1] in META_RESERVED for row in batch.records)
    rows += batch.records
    return rows


class Counters:
    """Records and bytes written since the store's creation, by kind."""

    def __init__(self, stored: bytes | None = None) -> None:
        self.records = dict.fromkeys(Kind, 0)
        self.bytes = dict.fromkeys(Kind, 0)
        if stored is not None:
            for prefix, records, size in _COUNTER.iter_unpack(stored):
                self.records[Kind(prefix)] = records
                self.bytes[Kind(prefix)] = size

    def add(self, rows: Iterable[Row]) -> None:
        """Count what is written, run by run of a kind."""
        for kind, run in groupby(rows, _kind_of):
            count = size = 0
            for _, key, value in run:
                count += 1
                size += len(key) + len(value or b"")
            self.records[kind] += count
            self.bytes[kind] += size + count  # a kind is one byte of its keys

    def encoded(self) -> bytes:
        """The counters of kinds that were ever written."""
        return b"".join(
            _COUNTER.pack(kind, records, self.bytes[kind])
            for kind, records in self.records.items()
            if records
        )


class RecordStore(ABC):
    """A store of rows with the storage port's reads and rules on top."""

    _what: str  # how errors name this store

    def __init__(self, chain_id: ChainId) -> None:
        self._chain_id = chain_id
        self._height: Height | None = None
        self._counters = Counters()
        self._dead: StorageDead | None = None

    # --- what an engine provides

    @abstractmethod
    def _read(self, kind: Kind, key: bytes) -> bytes | None: ...

    @abstractmethod
    def _range(
        self, kind: Kind, start: bytes, stop: bytes | None, reverse: bool
    ) -> Iterator[tuple[bytes, bytes]]: ...

    @abstractmethod
    def _write(self, rows: list[Row], synced: bool) -> None:
        """Write all rows or none. Any exception of the engine or the disk comes out as `OSError`."""

    @abstractmethod
    def _stored_bytes(self, kind: Kind) -> int: ...

    @abstractmethod
    def close(self) -> None: ...

    # --- opening

    def _begin(self) -> None:
        """Check whose store this is, or found it."""
        schema = self._read(Kind.META, META_SCHEMA)
        if schema is None:
            if any(True for kind in Kind for _ in self._range(kind, b"", None, False)):
                raise StorageDamaged(self._what, "it holds records but no schema version")
            found = [
                (Kind.META, META_SCHEMA, SCHEMA_VERSION.to_bytes(4, "big")),
                (Kind.META, META_CHAIN, bytes(self._chain_id)),
            ]
            self._write_or_die(list(found), synced=True)
            return
        version = int.from_bytes(schema, "big")
        if version > SCHEMA_VERSION:
            raise NewerSchema(found=version, known=SCHEMA_VERSION)
        if version < SCHEMA_VERSION:
            raise OlderSchema(found=version, known=SCHEMA_VERSION)
        chain = self._read(Kind.META, META_CHAIN)
        if chain is None:
            raise StorageDamaged(self._what, "it does not say which chain it belongs to")
        if chain != self._chain_id:
            raise WrongChain(found=chain, expected=self._chain_id)
        height = self._read(Kind.META, META_HEIGHT)
        self._height = None if height is None else Height(int.from_bytes(height, "big"))
        self._counters = Counters(self._read(Kind.META, META_WRITTEN))

    # --- the port

    @property
    def chain_id(self) -> ChainId:
        return self._chain_id

    @property
    def height(self) -> Height | None:
        return self._height

    def get(self, key: bytes) -> bytes | None:
        return self.record(Kind.STATE, key)

    def scan(self, prefix: bytes, *, after: bytes | None = None, limit: int) -> list[tuple[bytes, bytes]]:
        assert limit > 0, limit
        start = prefix
        if after is not None and after >= prefix:
            start = after + b"\0"  # the first key that is greater
        found: list[tuple[bytes, bytes]] = []
        for key, value in self.records(Kind.STATE, start=start):
            if not key.startswith(prefix):
                break
            found.append((key, value))
            if len(found) == limit:
                break
        return found

    def commit(self, batch: WriteBatch, *, synced: bool = True) -> None:
        self._check_alive()
        assert self._height is None or batch.height == self._height + 1, (self._height, batch.height)
        rows = rows_of(batch)
        self._counters.add(rows)
        rows.append((Kind.META, META_HEIGHT, height_key(batch.height)))
        rows.append((Kind.META, META_WRITTEN, self._counters.encoded()))
        self._write_or_die(rows, synced=synced)
        self._height = batch.height

    def record(self, kind: Kind, key: bytes) -> bytes | None:
        self._check_alive()
        return self._read(kind, key)

    def records(
        self, kind: Kind, *, start: bytes = b"", stop: bytes | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        self._check_alive()
        return self._range(kind, start, stop, reverse)

    def block(self, height: Height) -> StoredBlock | None:
        at = height_key(height)
        block = self.record(Kind.BLOCK, at)
        if block is None:
            return None
        rows = self.records(Kind.BATCH, start=at, stop=height_key(height + 1))
        return StoredBlock(
            height=height,
            block=block,
            certificate=self.record(Kind.CERTIFICATE, at) or b"",
            batches=tuple(value[HASH_BYTES:] for _, value in rows),
        )

    def batch(self, digest: Hash32) -> bytes | None:
        place = self.record(Kind.BATCH_INDEX, digest)
        if place is None:
            return None
        stored = self.record(Kind.BATCH, place)
        if stored is None or stored[:HASH_BYTES] != digest:
            height, position = parse_position(place)
            raise StorageDamaged(self._what, f"batch {position} of block {height} is not what its index says")
        return stored[HASH_BYTES:]

    def receipt(self, transaction: Hash32) -> bytes | None:
        return self.record(Kind.RECEIPT, transaction)

    def stats(self) -> Mapping[Kind, KindStats]:
        self._check_alive()
        return {
            kind: KindStats(
                records_written=self._counters.records[kind],
                bytes_written=self._counters.bytes[kind],
                bytes_stored=self._stored_bytes(kind),
            )
            for kind in Kind
        }

    # --- the dead-handle rule

    def _check_alive(self) -> None:
        if self._dead is not None:
            raise self._dead

    def _write_or_die(self, rows: list[Row], *, synced: bool) -> None:
        try:
            self._write(rows, synced)
        except OSError as error:
            raise self._die(str(error)) from error

    def _die(self, why: str) -> StorageDead:
        self._dead = StorageDead(self._what, why)
        return self._dead

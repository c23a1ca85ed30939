"""The storage port on LevelDB, one synced write batch per block.

A cache of state values, bounded by configuration, keeps hot state in memory;
state larger than memory works, only slower. The dead-handle rule: after a
failed write LevelDB would go on acknowledging synced writes and lose them at
the next open, so the first failure ends the handle. A synced commit notes its
height in the data folder before it is acknowledged; the next open compares.
Every read checks LevelDB's checksums: rotten bytes are an error, never a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

import plyvel
from licet.types import ChainId, Height

from node.storage.errors import AcknowledgedLost, DataFolderUnusable, StorageDamaged
from node.storage.folder import DataFolder
from node.storage.port import Row, WriteBatch
from node.storage.rows import RecordStore
from node.storage.schema import LEDGER_FOLDER, Kind, prefix_end

_MIB: Final = 1 << 20
# What one cached value costs beside its bytes: two objects and the entry (measured on CPython 3.11).
_ENTRY_BYTES: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelDBOptions:
    """Memory that the store may use, and how it opens."""

    cache_values_bytes: int = 64 * _MIB  # hot state values as Python objects
    cache_blocks_bytes: int = 32 * _MIB  # LevelDB's own cache of table blocks
    # A row's way into a larger buffer misses the processor's caches more often: measured, a block's rows
    # cost 40 % more at 32 MiB than at 16, and below that nothing is gained.
    write_buffer_bytes: int = 16 * _MIB
    open_files_max: int = 256
    accept_loss: bool = False  # go on although the disk lost acknowledged heights


class ValueCache:
    """State values (and known absences) that were used lately, bounded in bytes.

    Two generations: what is used goes into the young one; when that has
    half of the room it becomes the old one, and what was in the old one and
    was not used again is let go. Plain dictionaries of bytes, because the garbage
    collector walks through every entry of an OrderedDict and through none of these.
    """

    def __init__(self, bytes_max: int) -> None:
        self._half = bytes_max // 2
        self._young: dict[bytes, bytes | None] = {}
        self._young_bytes = 0
        self._old: dict[bytes, bytes | None] = {}
        self._lock = Lock()  # a commit may run in a thread beside the reads

    def lookup(self, key: bytes) -> tuple[bool, bytes | None]:
        """Whether the key is known, and its value."""
        value = self._young.get(key, _UNKNOWN)
        if value is not _UNKNOWN:
            return True, value
        with self._lock:
            value = self._old.get(key, _UNKNOWN)
            if value is _UNKNOWN:
                return False, None
            self._add(key, value)
        return True, value

    def store(self, values: Mapping[bytes, bytes | None]) -> None:
        """Remember values, or that there are none."""
        with self._lock:
            for key, value in values.items():
                self._add(key, value)

    def renew(self, values: Mapping[bytes, bytes | None]) -> None:
        """Replace what a block changed of that which is held. What nobody has read is not hot: most of a
        block's values are new records that only their buyer will ever ask for."""
        with self._lock:
            for key, value in values.items():
                if key in self._young or key in self._old:
                    self._add(key, value)

    def _add(self, key: bytes, value: bytes | None) -> None:
        before = self._young.get(key, _UNKNOWN)
        if before is not _UNKNOWN:
            self._young_bytes -= _cost(key, before)
        self._young[key] = value
        self._young_bytes += _cost(key, value)
        # Whatever stays in the old generation is older than this.
        self._old.pop(key, None)
        if self._young_bytes > self._half:
            self._old = self._young
            self._young = {}
            self._young_bytes = 0
            if _cost(key, value) > self._half:
                self._old = {}  # one value alone that has no room

    @property
    def bytes_used(self) -> int:
        """The estimate that the bound is held to."""
        return self._young_bytes + sum(_cost(key, value) for key, value in self._old.items())


# Stands for "not in the cache", which None cannot: it says "not in the ledger".
_UNKNOWN: Final = b"unknown, told by identity"


def _cost(key: bytes, value: bytes | None) -> int:
    return _ENTRY_BYTES + len(key) + (len(value) if value is not None else 0)


class LevelDBStorage(RecordStore):
    """Rows in LevelDB, inside a data folder that the caller holds."""

    def __init__(
        self, folder: DataFolder, *, chain_id: ChainId, options: LevelDBOptions | None = None
    ) -> None:
        super().__init__(chain_id)
        self._what = f"the ledger in {folder.path}"
        self._folder = folder
        self._options = options or LevelDBOptions()
        self._cache = ValueCache(self._options.cache_values_bytes)
        self._generation = 0  # odd while a commit runs
        self._db: Any = self._open()
        try:
            self._begin()
            self._compare_acknowledged()
        except BaseException:
            self._db.close()
            raise

    def _open(self) -> Any:
        options = self._options
        try:
            return plyvel.DB(
                str(self._folder.path / LEDGER_FOLDER),
                create_if_missing=True,
                paranoid_checks=True,
                compression=None,  # ADR 0007: each compaction would compress everything again
                write_buffer_size=options.write_buffer_bytes,
                max_open_files=options.open_files_max,
                lru_cache_size=options.cache_blocks_bytes,
                bloom_filter_bits=10,
            )
        except plyvel.CorruptionError as error:
            raise StorageDamaged(self._what, str(error)) from error
        except (plyvel.Error, OSError) as error:
            raise DataFolderUnusable(str(self._folder.path), str(error)) from error

    def _compare_acknowledged(self) -> None:
        acknowledged = self._folder.acknowledged()
        found = -1 if self._height is None else self._height
        if acknowledged is None or found >= acknowledged:
            return
        if not self._options.accept_loss:
            raise AcknowledgedLost(acknowledged=acknowledged, found=found)

    def get(self, key: bytes) -> bytes | None:
        self._check_alive()
        known, value = self._cache.lookup(key)
        if known:
            return value
        generation = self._generation
        value = self._read(Kind.STATE, key)
        # A commit in another thread may have replaced what was just read: then do not keep it.
        if generation == self._generation and not generation & 1:
            self._cache.store({key: value})
        return value

    def commit(self, batch: WriteBatch, *, synced: bool = True) -> None:
        self._generation += 1
        try:
            super().commit(batch, synced=synced)
            self._cache.renew(batch.values)
            if synced:
                self._acknowledge(batch.height)
        finally:
            self._generation += 1

    def _acknowledge(self, height: Height) -> None:
        try:
            self._folder.acknowledge(height)
        except OSError as error:
            raise self._die(str(error)) from error

    def _read(self, kind: Kind, key: bytes) -> bytes | None:
        try:
            value: bytes | None = self._db.get(kind + key, verify_checksums=True)
        except plyvel.Error as error:
            self._die(str(error))
            raise StorageDamaged(self._what, str(error)) from error
        return value

    def _range(
        self, kind: Kind, start: bytes, stop: bytes | None, reverse: bool
    ) -> Iterator[tuple[bytes, bytes]]:
        prefix = kind
        end = prefix_end(prefix) if stop is None else prefix + stop
        rows = self._db.iterator(start=prefix + start, stop=end, reverse=reverse, verify_checksums=True)
        try:
            for key, value in rows:
                yield key[1:], value
        except plyvel.Error as error:
            self._die(str(error))
            raise StorageDamaged(self._what, str(error)) from error
        finally:
            rows.close()

    def _write(self, rows: list[Row], synced: bool) -> None:
        try:
            with self._db.write_batch(sync=synced) as write:
                put, delete = write.put, write.delete
                for kind, key, value in rows:
                    if value is None:
                        delete(kind + key)
                    else:
                        put(kind + key, value)
        except plyvel.Error as error:
            raise OSError(str(error)) from error

    def _stored_bytes(self, kind: Kind) -> int:
        size: int = self._db.approximate_size(bytes(kind), prefix_end(kind))
        return size

    def close(self) -> None:
        self._db.close()

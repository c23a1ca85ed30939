"""The storage port in memory: for tests, for the simulator, and for a node that need not remember.

Behaves as the disk does, and can be asked to misbehave as one: `fail_writes`
makes the next write fail as a full disk would, and `reopened(power_lost=True)`
gives the store that a restart finds, without what was not synced.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from licet.types import ChainId

from node.storage.port import Row
from node.storage.rows import RecordStore
from node.storage.schema import Kind


class _Table:
    """One kind's rows: a dictionary, and its keys in order, sorted when a range is read."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self._ordered: list[bytes] = []
        self._added: list[bytes] = []

    def put(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            if self.rows.pop(key, None) is not None:
                self._order()
                del self._ordered[bisect_left(self._ordered, key)]
            return
        if key not in self.rows:
            self._added.append(key)
        self.rows[key] = value

    def _order(self) -> None:
        if self._added:
            self._ordered += self._added
            self._ordered.sort()
            self._added = []

    def keys(self, start: bytes, stop: bytes | None) -> list[bytes]:
        self._order()
        first = bisect_left(self._ordered, start)
        last = len(self._ordered) if stop is None else bisect_left(self._ordered, stop)
        return self._ordered[first:last]


class MemoryStorage(RecordStore):
    """Rows in dictionaries."""

    _what = "the ledger in memory"

    def __init__(self, chain_id: ChainId) -> None:
        super().__init__(chain_id)
        self.fail_writes = False
        self._tables = {kind: _Table() for kind in Kind}
        self._closed = False
        # What synced writes did not cover yet: the rows as they were before, oldest first.
        self._unsynced: list[Row] = []
        self._begin()

    def reopened(self, *, power_lost: bool = False, chain_id: ChainId | None = None) -> MemoryStorage:
        """The store as the next process finds it; this handle is closed."""
        self.close()
        if power_lost:
            for kind, key, value in reversed(self._unsynced):
                self._tables[kind].put(key, value)
        store = MemoryStorage.__new__(MemoryStorage)
        RecordStore.__init__(store, self._chain_id if chain_id is None else chain_id)
        store.fail_writes = False
        store._tables = self._tables
        store._closed = False
        store._unsynced = []
        store._begin()
        return store

    def _read(self, kind: Kind, key: bytes) -> bytes | None:
        assert not self._closed, "the store is closed"
        return self._tables[kind].rows.get(key)

    def _range(
        self, kind: Kind, start: bytes, stop: bytes | None, reverse: bool
    ) -> Iterator[tuple[bytes, bytes]]:
        assert not self._closed, "the store is closed"
        table = self._tables[kind]
        keys = table.keys(start, stop)
        pairs = [(key, table.rows[key]) for key in keys]  # as of now, like an iterator of LevelDB
        return reversed(pairs) if reverse else iter(pairs)

    def _write(self, rows: list[Row], synced: bool) -> None:
        assert not self._closed, "the store is closed"
        if self.fail_writes:
            raise OSError("no space left on the simulated disk")
        for kind, key, value in rows:
            table = self._tables[kind]
            if not synced:
                self._unsynced.append((kind, key, table.rows.get(key)))
            table.put(key, value)
        if synced:
            self._unsynced.clear()

    def _stored_bytes(self, kind: Kind) -> int:
        return sum(len(key) + 1 + len(value) for key, value in self._tables[kind].rows.items())

    def close(self) -> None:
        self._closed = True

"""One contract for every storage engine: LevelDB on a real disk, and memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from licet.types import ChainId, Hash32, Height

from node.storage.errors import NewerSchema, OlderSchema, StorageDamaged, StorageDead, WrongChain
from node.storage.folder import DataFolder
from node.storage.leveldb import LevelDBStorage
from node.storage.memory import MemoryStorage
from node.storage.port import Record, Storage, StoredBlock, WriteBatch
from node.storage.rows import RecordStore
from node.storage.schema import META_CHAIN, META_SCHEMA, SCHEMA_VERSION, Kind

CHAIN = ChainId(b"c" * 32)
OTHER_CHAIN = ChainId(b"d" * 32)


class Engine(Protocol):
    """How a test opens, reopens and breaks an engine."""

    def open(self, chain_id: ChainId = CHAIN) -> RecordStore: ...
    def break_writes(self, storage: RecordStore) -> None: ...
    def put_meta(self, key: bytes, value: bytes | None) -> None: ...
    def close(self) -> None: ...


class MemoryEngine:
    def __init__(self, _: Path) -> None:
        self.store: MemoryStorage | None = None

    def open(self, chain_id: ChainId = CHAIN) -> MemoryStorage:
        if self.store is None:
            self.store = MemoryStorage(chain_id)
        else:
            self.store = self.store.reopened(chain_id=chain_id)
        return self.store

    def break_writes(self, storage: RecordStore) -> None:
        assert isinstance(storage, MemoryStorage)
        storage.fail_writes = True

    def put_meta(self, key: bytes, value: bytes | None) -> None:
        assert self.store is not None
        self.store._tables[Kind.META].put(key, value)

    def close(self) -> None:
        if self.store is not None:
            self.store.close()


class _BrokenDB:
    """A LevelDB whose every write fails as on a full disk, and whose reads still work."""

    def __init__(self, db: object) -> None:
        self._db = db

    def __getattr__(self, name: str) -> object:
        return getattr(self._db, name)

    def write_batch(self, *, sync: bool) -> object:
        import plyvel

        raise plyvel.IOError(f"no space left on device (sync={sync})")


class LevelDBEngine:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder: DataFolder | None = None
        self.store: LevelDBStorage | None = None

    def open(self, chain_id: ChainId = CHAIN) -> LevelDBStorage:
        self.close()
        self.folder = DataFolder(self.path)
        self.store = LevelDBStorage(self.folder, chain_id=chain_id)
        return self.store

    def break_writes(self, storage: RecordStore) -> None:
        assert isinstance(storage, LevelDBStorage)
        storage._db = _BrokenDB(storage._db)

    def put_meta(self, key: bytes, value: bytes | None) -> None:
        assert self.store is not None
        if value is None:
            self.store._db.delete(Kind.META + key)
        else:
            self.store._db.put(Kind.META + key, value)

    def close(self) -> None:
        if self.store is not None:
            self.store.close()
        if self.folder is not None:
            self.folder.close()


@pytest.fixture(params=[MemoryEngine, LevelDBEngine], ids=["memory", "leveldb"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    made = request.param(tmp_path / "data")
    yield made
    made.close()


@pytest.fixture
def storage(engine: Engine) -> RecordStore:
    return engine.open()


def _batch(height: int, **fields: object) -> WriteBatch:
    return WriteBatch(height=Height(height), block=b"block %d" % height, **fields)  # type: ignore[arg-type]


def _digest(number: int) -> Hash32:
    return Hash32(bytes([number]) * 32)


def test_it_is_a_storage(storage: RecordStore) -> None:
    port: Storage = storage
    assert port.chain_id == CHAIN


def test_a_new_store_holds_nothing(storage: RecordStore) -> None:
    assert storage.height is None
    assert storage.get(b"key") is None
    assert storage.scan(b"", limit=10) == []
    assert storage.block(Height(0)) is None
    assert storage.batch(_digest(1)) is None
    assert storage.receipt(_digest(1)) is None


def test_a_block_comes_back_whole(engine: Engine) -> None:
    storage = engine.open()
    storage.commit(_batch(0))
    storage.commit(
        _batch(
            1,
            certificate=b"quorum",
            batches=[(_digest(2), b"second digest first"), (_digest(1), b"")],
            values={b"a": b"1", b"gone": None},
            receipts={_digest(7): b"receipt"},
            records=[Record(Kind.EVENT, b"e1", b"event"), (Kind.INDEX, b"by name", b"x")],
        )
    )
    for reopened in (False, True):
        store = engine.open() if reopened else storage
        assert store.height == 1
        assert store.block(Height(1)) == StoredBlock(
            height=Height(1), block=b"block 1", certificate=b"quorum", batches=(b"second digest first", b"")
        )
        assert store.block(Height(0)) == StoredBlock(
            height=Height(0), block=b"block 0", certificate=b"", batches=()
        )
        assert store.batch(_digest(1)) == b""
        assert store.batch(_digest(2)) == b"second digest first"
        assert store.receipt(_digest(7)) == b"receipt"
        assert store.get(b"a") == b"1"
        assert store.record(Kind.EVENT, b"e1") == b"event"
        assert store.record(Kind.INDEX, b"by name") == b"x"


def test_values_change_and_go(storage: RecordStore) -> None:
    storage.commit(_batch(0, values={b"a": b"1", b"b": b"2"}))
    assert (storage.get(b"a"), storage.get(b"b"), storage.get(b"c")) == (b"1", b"2", None)
    storage.commit(_batch(1, values={b"a": None, b"b": b"", b"c": b"3"}))
    assert (storage.get(b"a"), storage.get(b"b"), storage.get(b"c")) == (None, b"", b"3")


def test_scans_are_ordered_paged_and_stay_in_their_prefix(storage: RecordStore) -> None:
    keys = [b"p/1", b"p/10", b"p/2", b"p", b"q/1", b"p/\xff", b"p0", b"\xff", b"\xff\xff"]
    storage.commit(_batch(0, values={key: b"v" + key for key in keys}))
    expected = [(key, b"v" + key) for key in sorted(keys)]
    assert storage.scan(b"", limit=100) == expected
    within = [pair for pair in expected if pair[0].startswith(b"p/")]
    assert storage.scan(b"p/", limit=100) == within
    assert storage.scan(b"\xff", limit=100) == expected[-2:]
    paged: list[tuple[bytes, bytes]] = []
    after: bytes | None = None
    while page := storage.scan(b"p/", after=after, limit=2):
        assert len(page) <= 2
        paged += page
        after = page[-1][0]
    assert paged == within
    assert storage.scan(b"p/", after=b"a", limit=100) == within, "a cursor before the prefix is its start"
    assert storage.scan(b"p/", after=b"z", limit=100) == []


def test_kinds_do_not_see_each_other(storage: RecordStore) -> None:
    storage.commit(_batch(0, values={b"k": b"state"}, records=[(Kind.INDEX, b"k", b"index")]))
    assert storage.get(b"k") == b"state"
    assert list(storage.records(Kind.INDEX)) == [(b"k", b"index")]
    assert list(storage.records(Kind.EVENT)) == []


def test_ranges_of_records_forwards_and_back(storage: RecordStore) -> None:
    storage.commit(_batch(0, records=[(Kind.EVENT, bytes([number]), b"%d" % number) for number in range(6)]))
    forwards = list(storage.records(Kind.EVENT, start=b"\x01", stop=b"\x04"))
    assert forwards == [(b"\x01", b"1"), (b"\x02", b"2"), (b"\x03", b"3")]
    assert list(storage.records(Kind.EVENT, start=b"\x01", stop=b"\x04", reverse=True)) == forwards[::-1]
    assert len(list(storage.records(Kind.EVENT, start=b"\x03"))) == 3
    assert next(storage.records(Kind.EVENT, reverse=True))[0] == b"\x05"


def test_heights_have_no_gaps(storage: RecordStore) -> None:
    storage.commit(_batch(0))
    for height in (0, 2):
        with pytest.raises(AssertionError):
            storage.commit(_batch(height))
    storage.commit(_batch(1))


def test_the_stores_own_names_are_not_for_callers(storage: RecordStore) -> None:
    for row in ((Kind.META, META_CHAIN, b"x"), (Kind.STATE, b"k", b"v"), (Kind.BLOCK, b"k", b"v")):
        with pytest.raises(AssertionError):
            storage.commit(_batch(0, records=[row]))
    assert storage.height is None
    storage.commit(_batch(0, records=[(Kind.META, b"other", b"x")]))


def test_stats_count_by_kind_across_restarts(engine: Engine) -> None:
    storage = engine.open()
    storage.commit(_batch(0, values={b"key": b"value"}, batches=[(_digest(1), b"b" * 1000)]))
    storage.commit(_batch(1, values={b"key": None}))
    for reopened in (False, True):
        store = engine.open() if reopened else storage
        stats = store.stats()
        assert set(stats) == set(Kind)
        assert stats[Kind.STATE].records_written == 2
        assert stats[Kind.STATE].bytes_written == (1 + 3 + 5) + (1 + 3)
        assert stats[Kind.BATCH].bytes_written == 1 + 12 + 32 + 1000
        assert stats[Kind.RECEIPT].records_written == 0
        assert all(kind.bytes_stored >= 0 for kind in stats.values())


def test_after_a_failed_write_the_handle_is_dead(engine: Engine) -> None:
    storage = engine.open()
    storage.commit(_batch(0, values={b"k": b"kept"}))
    engine.break_writes(storage)
    with pytest.raises(StorageDead, match="Free space"):
        storage.commit(_batch(1, values={b"k": b"lost"}))
    calls: list[Callable[[], object]] = [
        lambda: storage.get(b"k"),
        lambda: storage.scan(b"", limit=1),
        lambda: storage.block(Height(0)),
        lambda: storage.batch(_digest(1)),
        lambda: storage.receipt(_digest(1)),
        lambda: storage.record(Kind.INDEX, b"k"),
        lambda: storage.records(Kind.INDEX),
        storage.stats,
        lambda: storage.commit(_batch(1)),
    ]
    for call in calls:
        with pytest.raises(StorageDead):
            call()
    storage.close()
    again = engine.open()
    assert (again.height, again.get(b"k")) == (0, b"kept")


def test_another_chain_is_refused(engine: Engine) -> None:
    engine.open().commit(_batch(0))
    with pytest.raises(WrongChain, match=OTHER_CHAIN.hex()):
        engine.open(OTHER_CHAIN)
    assert engine.open().height == 0


@pytest.mark.parametrize(
    ("version", "error"),
    [(SCHEMA_VERSION + 1, NewerSchema), (SCHEMA_VERSION - 1, OlderSchema)],
)
def test_another_schema_is_refused_with_a_sentence(
    engine: Engine, version: int, error: type[Exception]
) -> None:
    engine.open()
    engine.put_meta(META_SCHEMA, version.to_bytes(4, "big"))
    with pytest.raises(error, match=f"schema {version}"):
        engine.open()


def test_a_store_without_a_schema_is_damaged(engine: Engine) -> None:
    engine.open().commit(_batch(0))
    engine.put_meta(META_SCHEMA, None)
    with pytest.raises(StorageDamaged, match="no schema"):
        engine.open()


def test_closing_twice_is_fine(storage: RecordStore) -> None:
    storage.close()
    storage.close()


def test_memory_loses_what_was_not_synced_when_power_goes() -> None:
    store = MemoryStorage(CHAIN)
    store.commit(_batch(0, values={b"k": b"0", b"j": b"0"}))
    store.commit(_batch(1, values={b"k": b"1", b"n": b"1"}), synced=False)
    store.commit(_batch(2, values={b"j": None, b"k": b"2"}), synced=False)
    assert store.reopened().height == 2, "a process that ends loses nothing"
    store = MemoryStorage(CHAIN)
    store.commit(_batch(0, values={b"k": b"0", b"j": b"0"}))
    store.commit(_batch(1, values={b"k": b"1", b"n": b"1"}), synced=False)
    store.commit(_batch(2, values={b"j": None, b"k": b"2"}), synced=False)
    again = store.reopened(power_lost=True)
    assert again.height == 0
    assert again.scan(b"", limit=9) == [(b"j", b"0"), (b"k", b"0")]
    again.commit(_batch(1, values={b"k": b"1"}), synced=False)
    again.commit(_batch(2))
    assert again.reopened(power_lost=True).get(b"k") == b"1", "a synced write covers those before it"

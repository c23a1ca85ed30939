"""What only the disk store has: the data folder's lock, the acknowledged height, the bounded cache."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from licet.types import ChainId, Height

from node.storage.errors import (
    AcknowledgedLost,
    DataFolderInUse,
    DataFolderUnusable,
    StorageDamaged,
    StorageDead,
    StorageError,
)
from node.storage.folder import DataFolder
from node.storage.leveldb import LevelDBOptions, LevelDBStorage, ValueCache
from node.storage.port import WriteBatch
from node.storage.schema import LOCK_FILE

CHAIN = ChainId(b"c" * 32)
ROOT = Path(__file__).parents[4]


def _commit(storage: LevelDBStorage, height: int, values: dict[bytes, bytes | None] | None = None) -> None:
    storage.commit(WriteBatch(height=Height(height), block=b"b", values=values or {}))


def test_a_folder_in_use_is_refused_in_this_process_and_in_another(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    storage = LevelDBStorage(folder, chain_id=CHAIN)
    _commit(storage, 0)
    for _ in range(2):
        with pytest.raises(DataFolderInUse, match="in use"):
            DataFolder(tmp_path)
        # The refusal must not have released anything that another process could then take.
        assert "DataFolderInUse" in _open_elsewhere(tmp_path)
    _commit(storage, 1)
    storage.close()
    folder.close()
    assert _open_elsewhere(tmp_path) == ""


def _open_elsewhere(path: Path) -> str:
    code = (
        "import sys; from pathlib import Path; from node.storage.folder import DataFolder\n"
        f"DataFolder(Path({str(path)!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode == 0) == (done.stderr == ""), done.stderr
    return done.stderr


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataFolderUnusable, match="permissions"):
        DataFolder(tmp_path / "file" / "data")
    folder = DataFolder(tmp_path / "data")
    (tmp_path / "data" / "ledger").write_bytes(b"in LevelDB's place")
    with pytest.raises(DataFolderUnusable):
        LevelDBStorage(folder, chain_id=CHAIN)
    folder.close()


def test_less_than_was_acknowledged_is_noticed(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    storage = LevelDBStorage(folder, chain_id=CHAIN)
    assert folder.acknowledged() is None
    _commit(storage, 0)
    _commit(storage, 1)
    assert folder.acknowledged() == 1
    storage.commit(WriteBatch(height=Height(2), block=b"b"), synced=False)
    assert folder.acknowledged() == 1, "an unsynced commit promises nothing"
    storage.close()
    folder.acknowledge(5)
    with pytest.raises(AcknowledgedLost, match=r"Height 5 .* only height 2"):
        LevelDBStorage(folder, chain_id=CHAIN)
    accepted = LevelDBStorage(folder, chain_id=CHAIN, options=LevelDBOptions(accept_loss=True))
    _commit(accepted, 3)
    accepted.close()
    assert folder.acknowledged() == 3
    folder.close()
    # A note that is unreadable says nothing, and does not keep the node from starting.
    (tmp_path / LOCK_FILE).write_bytes(b"\xff" * 12)
    folder = DataFolder(tmp_path)
    assert folder.acknowledged() is None
    folder.close()


def test_the_value_cache_is_bounded_and_lets_the_coldest_go() -> None:
    cache = ValueCache(4000)
    for number in range(100):
        cache.store({b"%d" % number: bytes(100)})
        assert cache.lookup(b"0")[0], "a key in use stays"
        assert cache.bytes_used <= 4000 + 400
    assert cache.lookup(b"99") == (True, bytes(100))
    assert cache.lookup(b"50") == (False, None)
    cache.store({b"99": None})
    assert cache.lookup(b"99") == (True, None)
    cache.store({b"large": bytes(1 << 20)})
    assert cache.bytes_used <= 4000


def test_a_store_without_room_to_cache_answers_the_same(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    storage = LevelDBStorage(folder, chain_id=CHAIN, options=LevelDBOptions(cache_values_bytes=0))
    _commit(storage, 0, {b"k": b"v"})
    assert storage.get(b"k") == b"v"
    _commit(storage, 1, {b"k": None})
    assert storage.get(b"k") is None
    storage.close()
    folder.close()


class _CommitsMeanwhile:
    """A LevelDB during whose next read, after the value was found, a commit runs as in another thread."""

    def __init__(self, storage: LevelDBStorage, commit: Callable[[], None]) -> None:
        self._db = storage._db
        self._commit: Callable[[], None] | None = commit

    def __getattr__(self, name: str) -> object:
        return getattr(self._db, name)

    def get(self, key: bytes, **options: bool) -> bytes | None:
        value: bytes | None = self._db.get(key, **options)
        commit, self._commit = self._commit, None
        if commit is not None:
            commit()
        return value


def test_a_read_that_a_commit_overtakes_does_not_stay_in_the_cache(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    storage = LevelDBStorage(folder, chain_id=CHAIN)
    _commit(storage, 0, {b"k": b"old"})
    storage.close()
    storage = LevelDBStorage(folder, chain_id=CHAIN)  # with nothing cached
    storage._db = _CommitsMeanwhile(storage, lambda: _commit(storage, 1, {b"k": b"new"}))
    assert storage.get(b"k") in (b"old", b"new")
    assert storage.get(b"k") == b"new"
    storage.close()
    folder.close()


def test_rotten_tables_are_an_error_and_never_a_value(tmp_path: Path) -> None:
    values: dict[bytes, bytes | None] = {b"key/%d" % number: b"value %d" % number for number in range(500)}
    folder = DataFolder(tmp_path)
    storage = LevelDBStorage(folder, chain_id=CHAIN)
    _commit(storage, 0, values)
    storage.close()
    LevelDBStorage(folder, chain_id=CHAIN).close()  # turns the log into a table
    tables = list((tmp_path / "ledger").glob("*.ldb"))
    assert tables
    found_damage = 0
    for table in tables:
        raw = table.read_bytes()
        for place in range(50, len(raw) - 50, 97):
            table.write_bytes(raw[:place] + bytes([raw[place] ^ 0x40]) + raw[place + 1 :])
            found_damage += _reads_right_or_raises(folder, values)
        table.write_bytes(raw)
    assert found_damage > 20
    folder.close()


def _reads_right_or_raises(folder: DataFolder, values: dict[bytes, bytes | None]) -> bool:
    """Whether damage was reported; asserts that what is read is what was written."""
    try:
        storage = LevelDBStorage(folder, chain_id=CHAIN)
    except StorageError:
        return True
    try:
        for key, value in values.items():
            assert storage.get(key) == value
        return False
    except StorageDamaged:
        with pytest.raises(StorageDead):
            storage.get(b"key/1")
        return True
    finally:
        storage.close()

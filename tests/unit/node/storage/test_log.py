"""The Merkle log: any leaf, any size it ever had, against RFC 9162's definition."""

from __future__ import annotations

import random

import pytest
from licet.merkle import (
    EMPTY_LOG_ROOT,
    log_leaf,
    log_root,
    verify_log_consistency,
    verify_log_inclusion,
)
from licet.types import ChainId, Height

from node.storage.errors import StorageDamaged
from node.storage.log import MerkleLog
from node.storage.memory import MemoryStorage
from node.storage.port import WriteBatch
from node.storage.schema import Kind


def _built(sizes: list[int]) -> tuple[MemoryStorage, MerkleLog, list[bytes], list[bytes]]:
    """A log filled by blocks of these sizes: its store, itself, all data, and the roots by size."""
    storage = MemoryStorage(ChainId(bytes(32)))
    log = MerkleLog(storage)
    data: list[bytes] = []
    for height, size in enumerate(sizes):
        block = [b"leaf %d" % (len(data) + offset) for offset in range(size)]
        data += block
        update = log.append(block)
        assert (update.size, update.root) == (len(data), log.root)
        storage.commit(WriteBatch(height=Height(height), block=b"", records=update.records))
    hashes = [log_leaf(one) for one in data]
    return storage, log, data, list(hashes)


def test_an_empty_log_has_the_empty_root() -> None:
    _, log, _, _ = _built([])
    assert (log.size, log.root) == (0, EMPTY_LOG_ROOT)
    assert log.append([]).records == []
    assert log.root_at(0) == EMPTY_LOG_ROOT


@pytest.mark.parametrize("sizes", [[1] * 40, [7, 0, 5, 1, 28], [40]])
def test_small_logs_in_full(sizes: list[int]) -> None:
    storage, log, data, hashes = _built(sizes)
    assert log.root == log_root(hashes)
    assert MerkleLog(storage).root == log.root
    for size in range(1, len(data) + 1):
        root = log_root(hashes[:size])
        assert log.root_at(size) == root
        for index in range(size):
            verify_log_inclusion(root, size, data[index], log.prove_inclusion(index, size))
        verify_log_consistency(root, log.root, log.prove_consistency(size, len(data)))


def test_a_large_log_across_stored_levels() -> None:
    draw = random.Random(3)
    sizes = [draw.choice([1, 2, 200, 3000]) for _ in range(60)]
    sizes.append((1 << 16) + 300 - sum(sizes))
    storage, log, data, hashes = _built(sizes)
    assert log.root == log_root(hashes)
    again = MerkleLog(storage)
    assert (again.size, again.root) == (log.size, log.root)
    for _ in range(40):
        size = draw.randint(1, log.size)
        index = draw.randrange(size)
        root = log.root_at(size)
        verify_log_inclusion(root, size, data[index], again.prove_inclusion(index, size))
        verify_log_consistency(root, log.root, again.prove_consistency(size, log.size))
    more = [b"after the restart"]
    assert again.append(more).root == log.append(more).root
    assert again.leaf_hash(5) == log_leaf(data[5])


def test_a_leaf_costs_about_its_hash() -> None:
    storage, _, data, _ = _built([1000] * 10)
    stats = storage.stats()
    written = stats[Kind.LOG_LEAVES].bytes_written + stats[Kind.LOG_NODE].bytes_written
    assert written < 33 * len(data)


def test_a_log_that_changed_on_disk_is_refused_at_loading() -> None:
    storage, _, _, _ = _built([3, 4])
    key, leaves = list(storage.records(Kind.LOG_LEAVES))[-1]
    storage._tables[Kind.LOG_LEAVES].put(key, leaves[:-1] + bytes([leaves[-1] ^ 1]))
    with pytest.raises(StorageDamaged, match="root that was stored"):
        MerkleLog(storage)
    storage._tables[Kind.LOG_LEAVES].put(key, None)
    with pytest.raises(StorageDamaged, match="missing"):
        MerkleLog(storage)

"""Receipts stand in chunks, a party's once per block; every reading tells them as if each stood alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from licet.certificate import ExecutedRoots
from licet.types import ZERO_HASH, Hash32, Height

from licensing_vm.transition import Executed, Place, Status
from node.ledger import indexes
from node.ledger.indexes import CHUNK_BYTES, CHUNK_RECEIPTS
from node.storage.memory import MemoryStorage
from node.storage.port import WriteBatch
from node.storage.schema import Kind
from tests.unit.node.core import world

# Receipts by index and size: gaps where repeats were, whole chunks, one too large for company.
BLOCKS: tuple[list[tuple[int, int]], ...] = (
    [(index, 40) for index in range(2 * CHUNK_RECEIPTS)],
    [],
    [(index, 40) for index in range(3, 120, 3)],
    [(0, 40), (5, 3 * CHUNK_BYTES), (6, 40), (9, CHUNK_BYTES - 1), (10, 40)],
    [(7, 1)],
)


def _executed(height: int) -> Iterator[Executed]:
    for index, size in BLOCKS[height - 1]:
        name = b"%d.%d" % (height, index)
        hash_ = Hash32(name.ljust(32, b"."))
        parties = ("hot", f"by-{index % 4}")
        yield Executed(hash_, Status.COMMITTED, Place(height, index), name.ljust(size, b" "), "", (), parties)


@pytest.fixture(scope="module")
def store() -> MemoryStorage:
    storage = MemoryStorage(chain_id=world.genesis().chain_id())
    storage.commit(WriteBatch(height=Height(0), block=b"", values={}))
    log_size = 0
    for height in range(1, len(BLOCKS) + 1):
        done = list(_executed(height))
        roots = ExecutedRoots(
            height=Height(height), state_root=ZERO_HASH, log_root=ZERO_HASH, log_size=log_size + len(done)
        )
        rows, places = indexes.block_records(roots, done, log_start=log_size, settled=lambda _: False)
        storage.commit(
            WriteBatch(height=Height(height), block=b"b", values={}, receipts=places, records=rows)
        )
        log_size += len(done)
    return storage


PLACES = [(height, index) for height, block in enumerate(BLOCKS, 1) for index, _ in block]


def _told(receipts: Iterator[indexes.StoredReceipt]) -> list[tuple[int, int]]:
    found = list(receipts)
    for one in found:
        assert one.data.split()[0] == b"%d.%d" % (one.height, one.index)
        assert one.log_index == PLACES.index((one.height, one.index))
    return [(one.height, one.index) for one in found]


def test_every_receipt_is_told_in_order_both_ways(store: MemoryStorage) -> None:
    assert _told(indexes.receipts_after(store, Height(0), -1)) == PLACES
    assert _told(indexes.receipts_backwards(store)) == PLACES[::-1]
    stopped = _told(indexes.receipts_after(store, Height(1), 20, stop_height=Height(3)))
    assert stopped == [place for place in PLACES if (1, 20) < place < (3, 0)]


def test_a_reading_goes_on_behind_any_place_whether_a_receipt_stands_there_or_not(
    store: MemoryStorage,
) -> None:
    for height in range(len(BLOCKS) + 2):
        for index in (*range(-1, 125), (1 << 32) - 1, 10**18):
            behind = [place for place in PLACES if place > (height, index)]
            assert _told(indexes.receipts_after(store, Height(height), index)) == behind
            by_party = _told(indexes.receipts_of_party(store, "by-1", after=(Height(height), index)))
            assert by_party == [place for place in behind if place[1] % 4 == 1]


def test_a_place_and_a_hash_have_their_receipt_and_a_gap_has_none(store: MemoryStorage) -> None:
    for height in range(1, len(BLOCKS) + 1):
        for index in range(125):
            found = indexes.receipt_at(store, Height(height), index)
            if (height, index) not in PLACES:
                assert found is None
                continue
            assert found is not None
            assert (found.height, found.index) == (height, index)
            assert found == indexes.receipt_of(store, Hash32((b"%d.%d" % (height, index)).ljust(32, b".")))
    assert _told(indexes.receipts_of_party(store, "hot")) == PLACES
    assert _told(indexes.receipts_of_party(store, "nobody")) == []


def test_rows_are_few_and_none_grows_with_the_block(store: MemoryStorage) -> None:
    rows = [raw for _, raw in store.records(Kind.EVENT)]
    assert len(rows) <= sum(len(block) // CHUNK_RECEIPTS + 3 for block in BLOCKS)
    largest = max(size for block in BLOCKS for _, size in block)
    assert max(map(len, rows)) <= CHUNK_BYTES + largest + 8 * CHUNK_RECEIPTS + 8

"""What a store's chain says, out of its bytes: blocks, and the transactions of their batches."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from licet.codec import decode_transaction
from licet.transactions import Transaction
from licet.types import Height

from consensus.types import Block
from node.core.batches import parse_batch
from node.storage.port import Storage
from tests.sim.genesis import make_genesis


@lru_cache(maxsize=4_096)
def transactions_of(batch: bytes) -> tuple[Transaction, ...]:
    """A batch's transactions."""
    form = parse_batch(batch, chain_id=make_genesis().chain_id(), bytes_max=1 << 24)
    return tuple(decode_transaction(raw) for raw in form.transactions)


def blocks_of(store: Storage) -> Iterator[tuple[int, int, list[Transaction]]]:
    """Height, time and transactions of every block."""
    for height in range(1, (store.height or 0) + 1):
        stored = store.block(Height(height))
        if stored is None or not stored.block:
            continue
        now_ms = Block.decode(stored.block).header.timestamp_ms
        yield height, now_ms, [one for batch in stored.batches for one in transactions_of(batch)]

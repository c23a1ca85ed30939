"""What a client was told is final stays: at its height, on every honest node that reached it."""

from __future__ import annotations

from functools import lru_cache

from licet.codec import decode_transaction
from licet.types import Hash32, Height

from node.core.batches import parse_batch
from node.storage.port import Storage
from tests.sim.genesis import make_genesis
from tests.sim.history import History


@lru_cache(maxsize=4_096)
def hashes_of(batch: bytes) -> tuple[Hash32, ...]:
    """The transactions of a batch, by hash, read out of its bytes."""
    form = parse_batch(batch, chain_id=make_genesis().chain_id(), bytes_max=1 << 24)
    return tuple(decode_transaction(raw).hash for raw in form.transactions)


def _ordered_at(store: Storage, height: int) -> set[Hash32]:
    stored = store.block(Height(height))
    return set() if stored is None else {one for batch in stored.batches for one in hashes_of(batch)}


def check(history: History) -> list[str]:
    """Every acknowledgement against every store."""
    problems: list[str] = []
    for node, store in history.stores.items():
        top = store.height or 0
        for ack in history.acks:
            if ack.node in history.byzantine:
                continue
            if ack.node == node and ack.height > top:
                problems.append(f"node {node} acknowledged height {ack.height} and holds {top}")
            elif ack.height <= top and ack.transaction not in _ordered_at(store, ack.height):
                problems.append(
                    f"{ack.transaction.hex()[:12]}, acknowledged at height {ack.height}, "
                    f"is not there at node {node}"
                )
    return problems

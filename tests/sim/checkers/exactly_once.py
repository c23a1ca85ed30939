"""A transaction takes effect once, whoever submits it how often; an id is used once by its sender."""

from __future__ import annotations

from collections import Counter

from licet.types import Height

from node.ledger.indexes import receipts_after
from tests.sim.history import History


def check(history: History) -> list[str]:
    """Receipts of every store, and batches in its chain."""
    problems: list[str] = []
    for node, store in history.stores.items():
        receipts = [stored.read() for stored in receipts_after(store, Height(0), -1)]
        place = {one.transaction_hash: one.height for one in receipts if one.consumed}
        problems += [
            f"node {node}: {ack.transaction.hex()[:12]} was told to be at height {ack.height}, "
            f"and took effect at {place.get(ack.transaction)}"
            for ack in history.acks
            if ack.node not in history.byzantine
            and ack.height <= (store.height or 0)
            and place.get(ack.transaction) != ack.height
        ]
        committed = Counter(one.transaction_hash for one in receipts if one.committed)
        ids = Counter((one.sender, one.id) for one in receipts if one.consumed)
        problems += [
            f"node {node}: transaction {hash_.hex()[:12]} took effect {times} times"
            for hash_, times in committed.items()
            if times > 1
        ]
        problems += [
            f"node {node}: {sender} used an id {times} times"
            for (sender, _), times in ids.items()
            if times > 1
        ]
        digests = Counter(
            batch
            for height in range(1, (store.height or 0) + 1)
            for batch in store.block(Height(height)).batches  # type: ignore[union-attr]
        )
        problems += [
            f"node {node}: a batch is final {times} times" for times in digests.values() if times > 1
        ]
    return problems

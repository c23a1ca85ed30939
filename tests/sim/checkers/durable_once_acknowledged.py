"""What a client was told is in a final block stays: at its height, on every honest node that reached it."""

from __future__ import annotations

from licet.types import Hash32, Height

from node.storage.port import Storage
from tests.sim.checkers.chain import transactions_of
from tests.sim.history import Ack, History, Turned


def _ordered_at(store: Storage, height: int) -> set[Hash32]:
    stored = store.block(Height(height))
    return (
        set() if stored is None else {one.hash for batch in stored.batches for one in transactions_of(batch)}
    )


def check(history: History) -> list[str]:
    """Every acknowledgement against every store."""
    problems: list[str] = []
    for node, store in history.stores.items():
        top = store.height or 0
        told: list[Ack | Turned] = [*history.acks, *history.turned]
        for ack in told:
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

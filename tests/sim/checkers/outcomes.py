"""Every transaction's outcome is the one that the checkers' own ledger finds, and so are all keys.

Whole or not at all, once, refused without using up the id where nobody entitled
signed, where its time had passed, or where the block was full (`replay`).
"""

from __future__ import annotations

from licet.entities import Party, party_key
from licet.records import decode

from node.storage.port import Storage
from tests.sim.checkers.replay import replay
from tests.sim.genesis import PARTIES
from tests.sim.history import History


def check(history: History) -> list[str]:
    """Receipts of every store against a replay of its chain."""
    problems: list[str] = []
    for node, store in history.stores.items():
        replayed = replay(store)
        problems += [f"node {node}: {text}" for text in replayed.complaints]
        for party in PARTIES:
            if keys_of(store, party) != replayed.books.get("keys", party):
                problems.append(f"node {node}: {party} has other keys than it made and revoked")
    return problems


def keys_of(store: Storage, party: str) -> dict[bytes, tuple[tuple[str, ...], int]]:
    """A party's keys as the state has them."""
    raw = store.get(party_key(party))
    assert raw is not None, "genesis names it"
    return {key.public_key: (key.scopes, key.expires_ms) for key in decode(Party, raw).keys}

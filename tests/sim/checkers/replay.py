"""A chain through the checkers' own ledger, once for all stores that hold the same chain.

A refusal for want of room is the one thing taken from the ledger's word, for the own
ledger counts no work: it may not befall a block's first transaction, and it must
leave the id open.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

from licet.receipts import Receipt
from licet.transactions import Transaction
from licet.types import Height

from node.ledger.indexes import receipts_after
from node.storage.port import Storage
from tests.sim.checkers.books import OPEN, REFUSED, REPEAT, TAKEN, Books
from tests.sim.checkers.chain import blocks_of

FULL: Final = "BLOCK_FULL"
Place = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """The own ledger after the chain, and where the ledger's receipts say something else."""

    books: Books
    complaints: tuple[str, ...]
    full: int  # refusals for want of room


class _Chain:
    """A store's chain as a value: equal chains are replayed once."""

    def __init__(self, store: Storage) -> None:
        self.blocks = list(blocks_of(store))
        self.receipts: dict[Place, Receipt] = {}
        digest = sha256()
        for stored in receipts_after(store, Height(0), -1):
            digest.update(stored.data)
            self.receipts[stored.height, stored.index] = stored.read()
        for height, now_ms, transactions in self.blocks:
            digest.update(b"%d %d " % (height, now_ms))
            for one in transactions:
                digest.update(one.raw_body + b"".join(sign.public_key for sign in one.signatures))
        self._digest = digest.digest()

    def __hash__(self) -> int:
        return int.from_bytes(self._digest[:7], "big")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Chain) and self._digest == other._digest


def replay(store: Storage) -> Replayed:
    """The store's transactions, in order, through the own ledger."""
    return _replay(_Chain(store))


@lru_cache(maxsize=8)
def _replay(chain: _Chain) -> Replayed:
    books, complaints, full = Books(), [], 0
    receipts = dict(chain.receipts)
    for height, now_ms, transactions in chain.blocks:
        for position, one in enumerate(transactions):
            receipt = receipts.pop((height, position), None)
            where = f"transaction {one.hash.hex()[:12]} at {height}.{position}"
            if receipt is not None and receipt.refusal is not None and receipt.refusal.code == FULL:
                full += 1
                if receipt.consumed or not position:
                    complaints.append(f"{where} found the block full, which it was not")
            else:
                complaints += _compare(where, receipt, books.execute(one, now_ms), one)
    complaints += [f"a receipt at {height}.{index} is of nothing" for height, index in receipts]
    return Replayed(books=books, complaints=tuple(complaints), full=full)


def _compare(where: str, receipt: Receipt | None, due: str, transaction: Transaction) -> list[str]:
    if receipt is None:
        said = REPEAT
    elif receipt.transaction_hash != transaction.hash:
        return [f"{where} has the receipt of another"]
    else:
        said = TAKEN if receipt.committed else REFUSED if receipt.consumed else OPEN
    code = f" ({receipt.refusal.code})" if receipt is not None and receipt.refusal is not None else ""
    return [] if said == due else [f"{where} is '{said}'{code}, and '{due}' is right"]

"""No money appears or vanishes: entries sum to zero, and balances are what an own ledger computes.

The own ledger replays deposits, transfers and sales out of the chain's bytes, by
the rules in a few lines: enough cash or nothing. It knows no VM and no terms.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache

from licet.codec import decode_transaction
from licet.entities import CASH, ISSUED, Balance, balance_key
from licet.records import decode
from licet.transactions import AcceptOffer, CreateOffer, Deposit, Transaction, Transfer
from licet.types import Height

from consensus.types import Block
from node.core.batches import parse_batch
from node.ledger.indexes import receipts_after
from node.storage.port import Storage
from tests.sim import shop
from tests.sim.genesis import BANK, CURRENCY, PARTIES, make_genesis
from tests.sim.history import History

WINDOW_MS = 300_000


@lru_cache(maxsize=4_096)
def transactions_of(batch: bytes) -> tuple[Transaction, ...]:
    """A batch's transactions out of its bytes."""
    form = parse_batch(batch, chain_id=make_genesis().chain_id(), bytes_max=1 << 24)
    return tuple(decode_transaction(raw) for raw in form.transactions)


class Books:
    """Everybody's cash by the own rules; the bank's is what it issued, negative."""

    def __init__(self) -> None:
        self.cash: dict[str, int] = defaultdict(int)
        self.open = False  # whether the shop's offer stands
        self.sales: set[str] = set()

    def apply(self, transaction: Transaction) -> None:
        """All commands or none."""
        after, opened, sold = dict(self.cash), self.open, set(self.sales)

        def move(payer: str, receiver: str, minor: int) -> None:
            after[payer] = after.get(payer, 0) - minor
            after[receiver] = after.get(receiver, 0) + minor
            if payer != BANK and after[payer] < 0:
                raise NotEnough

        try:
            for command in transaction.body.commands:
                match command:
                    case Deposit():
                        move(BANK, command.to, command.amount.minor)
                    case Transfer():
                        move(transaction.body.sender, command.to, command.amount.minor)
                    case AcceptOffer():
                        if not opened or command.agreement in sold:
                            return
                        sold.add(command.agreement)
                        move(transaction.body.sender, shop.LICENSOR, shop.LICENSOR_MINOR)
                        move(transaction.body.sender, shop.AGENCY, shop.AGENCY_MINOR)
                    case CreateOffer():
                        opened = True
        except NotEnough:
            return
        self.cash.update(after)
        self.open, self.sales = opened, sold


class NotEnough(Exception):
    """Somebody would pay more than they have."""


def replay(store: Storage) -> dict[str, int]:
    """The chain's transactions, each once, through the own books."""
    books = Books()
    seen: set[bytes] = set()
    for height in range(1, (store.height or 0) + 1):
        stored = store.block(Height(height))
        assert stored is not None
        now_ms = Block.decode(stored.block).header.timestamp_ms
        for transaction in (one for batch in stored.batches for one in transactions_of(batch)):
            in_time = now_ms <= transaction.body.valid_until_ms <= now_ms + WINDOW_MS
            if in_time and transaction.hash not in seen:
                seen.add(transaction.hash)
                books.apply(transaction)
    return books.cash


def check(history: History) -> list[str]:
    """Entries and balances of every store."""
    problems: list[str] = []
    for node, store in history.stores.items():
        for stored in receipts_after(store, Height(0), -1):
            for entry in stored.read().entries:
                if sum(posting.change for posting in entry.postings):
                    problems.append(f"node {node}: an entry of height {stored.height} does not sum to zero")
        expected = replay(store)
        for party in PARTIES:
            held = _balance(store, party, CASH)
            if held != expected.get(party, 0):
                problems.append(f"node {node}: {party} holds {held}, and {expected.get(party, 0)} is due")
        issued = _balance(store, BANK, ISSUED)
        if issued + sum(_balance(store, party, CASH) for party in PARTIES):
            problems.append(f"node {node}: the bank issued {-issued}, and another sum circulates")
    return problems


def _balance(store: Storage, party: str, account: int) -> int:
    raw = store.get(balance_key(party, account, BANK, CURRENCY))
    return 0 if raw is None else decode(Balance, raw).amount

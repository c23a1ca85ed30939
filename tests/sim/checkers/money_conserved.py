"""No money appears or vanishes: entries sum to zero, and balances are what an own ledger computes.

The own ledger replays deposits and transfers out of the chain's bytes, by the
rules in ten lines: enough cash or nothing. It knows no VM.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache

from licet.codec import decode_transaction
from licet.entities import CASH, ISSUED, Balance, balance_key
from licet.records import decode
from licet.transactions import Deposit, Transaction, Transfer
from licet.types import Height

from node.batches import parse_batch
from node.indexes import receipts_after
from node.storage.port import Storage
from tests.sim.genesis import BANK, CURRENCY, PARTIES, make_genesis
from tests.sim.history import History


@lru_cache(maxsize=4_096)
def transactions_of(batch: bytes) -> tuple[Transaction, ...]:
    """A batch's transactions out of its bytes."""
    form = parse_batch(batch, chain_id=make_genesis().chain_id(), bytes_max=1 << 24)
    return tuple(decode_transaction(raw) for raw in form.transactions)


def replay(store: Storage) -> dict[str, int]:
    """Everybody's cash by the own ledger; the bank's is what it issued, negative."""
    cash: dict[str, int] = defaultdict(int)
    seen: set[bytes] = set()
    for height in range(1, (store.height or 0) + 1):
        stored = store.block(Height(height))
        assert stored is not None
        for transaction in (one for batch in stored.batches for one in transactions_of(batch)):
            if transaction.hash in seen:
                continue
            seen.add(transaction.hash)
            after = dict(cash)
            sender, fine = transaction.body.sender, True
            for command in transaction.body.commands:
                payer = BANK if isinstance(command, Deposit) else sender
                assert isinstance(command, Deposit | Transfer), "the workload's commands"
                after[payer] = after.get(payer, 0) - command.amount.minor
                after[command.to] = after.get(command.to, 0) + command.amount.minor
                fine = fine and (payer == BANK or after[payer] >= 0)
            if fine:
                cash.update(after)
    return cash


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

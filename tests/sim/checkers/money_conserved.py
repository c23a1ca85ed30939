"""No money appears or vanishes: entries sum to zero, and balances are what an own ledger computes.

The own ledger (`books`) replays the chain's bytes: enough cash or nothing, and
every close, split and payment by its own arithmetic. It knows no VM.
"""

from __future__ import annotations

from collections import defaultdict

from licet.entities import CASH, ISSUED, PAYABLE, RECEIVABLE, Balance, Course, balance_key, course_key
from licet.records import decode
from licet.types import Height

from node.ledger.indexes import receipts_after
from node.storage.port import Storage
from tests.sim import metering
from tests.sim.checkers.books import Books
from tests.sim.checkers.replay import replay
from tests.sim.genesis import BANK, CURRENCY, PARTIES
from tests.sim.history import History


def check(history: History) -> list[str]:
    """Entries, balances and debts of every store."""
    problems: list[str] = []
    for node, store in history.stores.items():
        for stored in receipts_after(store, Height(0), -1):
            for entry in stored.read().entries:
                if sum(posting.change for posting in entry.postings):
                    problems.append(f"node {node}: an entry of height {stored.height} does not sum to zero")
        books = replay(store).books
        problems += [f"node {node}: {text}" for text in (*_cash(store, books), *_debts(store, books))]
    return problems


def _cash(store: Storage, books: Books) -> list[str]:
    problems: list[str] = []
    for party in PARTIES:
        held = _balance(store, party, CASH)
        if held != books.cash(party):
            problems.append(f"{party} holds {held}, and {books.cash(party)} is due")
    issued = _balance(store, BANK, ISSUED)
    if issued + sum(_balance(store, party, CASH) for party in PARTIES):
        problems.append(f"the bank issued {-issued}, and another sum circulates")
    if issued != books.cash(BANK):
        problems.append(f"the bank issued {-issued}, and {-books.cash(BANK)} is right")
    return problems


def _debts(store: Storage, books: Books) -> list[str]:
    """What is owed, one by one, and the accounts that sum it up."""
    problems: list[str] = []
    due: dict[str, set[tuple[int, int, str, str, int]]] = defaultdict(set)
    accounts: dict[tuple[str, int], int] = defaultdict(int)
    for agreement, debt in books.debts():
        due[agreement].add((debt.number, debt.due_ms, debt.debtor, debt.creditor, debt.left))
        accounts[debt.creditor, RECEIVABLE] += debt.left
        accounts[debt.debtor, PAYABLE] -= debt.left
    for agreement in metering.USERS:
        raw = store.get(course_key(agreement))
        items = decode(Course, raw).open if raw is not None else ()
        found = {(one.number, one.due_ms, one.debtor, one.creditor, one.outstanding) for one in items}
        if found != due[agreement] or len(found) != len(items):
            problems.append(f"{agreement} has other debts than its closes and payments left")
    for party in PARTIES:
        for account in (RECEIVABLE, PAYABLE):
            held = _balance(store, party, account, issuer="")
            if held != accounts[party, account]:
                problems.append(f"{party} has {held} on account {account}, not {accounts[party, account]}")
    return problems


def _balance(store: Storage, party: str, account: int, *, issuer: str = BANK) -> int:
    raw = store.get(balance_key(party, account, issuer, CURRENCY))
    return 0 if raw is None else decode(Balance, raw).amount

"""Accounts and the moves between them: double entry over issuers' claims.

A party has cash (a claim on an issuer, per currency), a receivable and a payable account, and an issuer
has `issued`. Cash is never negative; `issued` is minus what was issued, `payable` minus what is owed.
Each function here moves money both ways at once, so that no caller can post one side only, and gives
the postings for the journal entry.

Never decides why money moves: that is the terms' and the commands' business.
"""

from __future__ import annotations

from functools import lru_cache

from licet.entities import CASH, CurrencyEntry, balance_key
from licet.receipts import Posting

from licensing_vm.errors import Refused
from licensing_vm.state import State


def shift(state: State, party: str, account: int, issuer: str, currency: str, change: int) -> None:
    """Change one balance. Callers pair their shifts; see `move`."""
    key = balance_key(party, account, issuer, currency)
    state.put(key, state.balance(key) + change)


@lru_cache(maxsize=1 << 16)
def cash_key(party: str, issuer: str, currency: str) -> bytes:
    """The key of a party's cash; the same few are asked for by every payment."""
    return balance_key(party, CASH, issuer, currency)


def cash_of(state: State, party: str, issuer: str, currency: str) -> int:
    return state.balance(cash_key(party, issuer, currency))


def move(
    state: State, postings: tuple[Posting, ...], issuer: str, currency: str, *, unfunded: bool = False
) -> tuple[Posting, ...]:
    """Apply balanced postings of one currency; cash among them is claims on `issuer`."""
    assert sum(posting.change for posting in postings) == 0, postings
    for posting in postings:
        of = "" if posting.account != CASH else issuer
        key = balance_key(posting.party, posting.account, of, currency)
        after = state.balance(key) + posting.change
        assert after >= 0 or posting.account != CASH or posting.change > 0 or unfunded, posting
        state.put(key, after)
    return postings


def paying_issuer(
    state: State,
    party: str,
    currency: CurrencyEntry,
    amount: int,
    *,
    clause: str = "",
    unfunded: bool = False,
) -> str:
    """The issuer whose claims pay `amount`: the first of the currency's list of which the party holds
    enough. One payment is in claims on one issuer, so that payees know whom they trust."""
    best = 0
    for issuer in currency.issuers:
        held = cash_of(state, party, issuer, currency.code)
        if held >= amount:
            return issuer
        best = max(best, held)
    if unfunded and currency.issuers:
        return currency.issuers[0]
    raise short_of(party, currency.code, amount, best, clause=clause)


def short_of(party: str, currency: str, needed: int, available: int, *, clause: str = "") -> Refused:
    """The refusal of a payment that the balance does not cover (L-1)."""
    return Refused(
        "INSUFFICIENT_FUNDS",
        f"{party} has {available} minor units of {currency} to pay {needed}.",
        {"party": party, "currency": currency, "needed": str(needed), "available": str(available)},
        clause=clause,
    )

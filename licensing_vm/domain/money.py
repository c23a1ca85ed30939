"""Deposit, withdraw, transfer: what issuers do, and cash between parties.

The sum of all cash of a currency is what its issuers deposited less what they withdrew, for ever.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from licet.entities import CASH, ISSUED, CurrencyEntry, balance_key
from licet.receipts import DEPOSIT, TRANSFER, WITHDRAWAL, JournalEntry, Posting
from licet.transactions import AMOUNT_MINOR_MAX, Deposit, Money, Transfer, Withdraw

from licensing_vm.domain.context import Context, transfer_accounts
from licensing_vm.errors import Refused
from licensing_vm.money.journal import cash_key, cash_of, paying_issuer, short_of
from licensing_vm.mould import Hole, Mould, number_bytes, text_bytes

# What one issuer has issued bounds every cash balance, which clients read as 64 bits.
ISSUED_MINOR_MAX: Final = 9 * AMOUNT_MINOR_MAX
assert ISSUED_MINOR_MAX < 1 << 63


def checked_amount(amount: Money) -> int:
    if not 0 < amount.minor <= AMOUNT_MINOR_MAX:
        raise Refused(
            "INVALID_AMOUNT",
            f"The amount {amount.minor} is not between 1 and {AMOUNT_MINOR_MAX}.",
            {"minor": str(amount.minor)},
        )
    return amount.minor


def _issue(context: Context, party: str, currency: CurrencyEntry, change: int, kind: str) -> None:
    """Change what the sender has issued and what the party holds of it, together."""
    issuer, code = context.sender, currency.code
    state = context.state
    issued = change - state.balance(balance_key(issuer, ISSUED, issuer, code))
    if issued > ISSUED_MINOR_MAX:
        raise Refused(
            "INVALID_AMOUNT",
            f"{issuer} would have issued {issued} minor units of {code}; the most is {ISSUED_MINOR_MAX}.",
            {"issued": str(issued), "currency": code},
        )
    for owner, account, delta in ((party, CASH, change), (issuer, ISSUED, -change)):
        key = balance_key(owner, account, issuer, code)
        state.put(key, state.balance(key) + delta)
    _enter(context, kind, code, issuer, (party, change), (issuer, -change))


def _mould(kind: str, second_account: int) -> Mould:
    """An entry of two postings that a command alone caused. Holes: currency, issuer, and for each side
    the party and the change."""
    return Mould(
        JournalEntry(
            kind=kind,
            clause="",
            program_hash=b"",
            agreement="",
            currency=Hole.text(0),
            issuer=Hole.text(1),
            facts=(),
            postings=(
                Posting(party=Hole.text(2), account=CASH, asset="", change=Hole.number(3)),
                Posting(party=Hole.text(4), account=second_account, asset="", change=Hole.number(5)),
            ),
        ),
        6,
        tagged=False,
    )


_MOULDS: Final = MappingProxyType(
    {
        TRANSFER: _mould(TRANSFER, CASH),
        DEPOSIT: _mould(DEPOSIT, ISSUED),
        WITHDRAWAL: _mould(WITHDRAWAL, ISSUED),
    }
)


def _enter(
    context: Context, kind: str, currency: str, issuer: str, one: tuple[str, int], other: tuple[str, int]
) -> None:
    assert one[1] + other[1] == 0, "an entry sums to zero"
    context.entries.append(
        _MOULDS[kind].fill(
            text_bytes(currency),
            text_bytes(issuer),
            text_bytes(one[0]),
            number_bytes(one[1]),
            text_bytes(other[0]),
            number_bytes(other[1]),
        )
    )
    context.parties[one[0]] = None
    context.parties[other[0]] = None


def _issuing(context: Context, amount: Money) -> CurrencyEntry:
    currency = context.currency(amount.currency)
    if context.sender not in currency.issuers:
        raise Refused(
            "NOT_ISSUER",
            f"{context.sender} may not issue {amount.currency}.",
            {"party": context.sender, "currency": amount.currency},
        )
    return currency


def deposit(context: Context, command: Deposit) -> None:
    currency = _issuing(context, command.amount)
    context.must_exist(command.to)
    _issue(context, command.to, currency, checked_amount(command.amount), DEPOSIT)
    context.event(
        "money.deposited", {"party": command.to, "issuer": context.sender, "reference": command.reference}
    )


def withdraw(context: Context, command: Withdraw) -> None:
    """The issuer sends it and the party signs too: nobody's cash leaves without its key."""
    currency = _issuing(context, command.amount)
    amount = checked_amount(command.amount)
    party = command.from_
    context.must_exist(party)
    context.must_sign((party,), "pay", "A withdrawal takes cash from its owner")
    held = cash_of(context.state, party, context.sender, currency.code)
    if held < amount:
        raise short_of(party, currency.code, amount, held)
    _issue(context, party, currency, -amount, WITHDRAWAL)
    context.event(
        "money.withdrawn", {"party": party, "issuer": context.sender, "reference": command.reference}
    )


def transfer(context: Context, command: Transfer) -> None:
    currency = context.currency(command.amount.currency)
    amount = checked_amount(command.amount)
    sender, to, code = context.sender, command.to, currency.code
    state = context.state
    if context.accounts_met is not None:
        context.meet_accounts(transfer_accounts(sender, command))
    context.must_exist(to)
    issuer = command.issuer
    if not issuer:
        issuer = paying_issuer(state, sender, currency, amount, unfunded=context.unfunded)
    elif issuer not in currency.issuers:
        raise Refused("NOT_ISSUER", f"{issuer} does not issue {code}.", {"party": issuer, "currency": code})
    key = cash_key(sender, issuer, code)
    held = state.balance(key)
    if held < amount and not context.unfunded:
        raise short_of(sender, code, amount, held)
    state.put(key, held - amount)
    key = cash_key(to, issuer, code)
    state.put(key, state.balance(key) + amount)
    _enter(context, TRANSFER, code, issuer, (sender, -amount), (to, amount))
    context.event("money.transferred", {"from": sender, "to": to, "reference": command.reference})

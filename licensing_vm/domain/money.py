"""Deposit, withdraw, transfer: what issuers do, and cash between parties.

The sum of all cash of a currency is what its issuers deposited less what they withdrew, for ever.
"""

from __future__ import annotations

from licet.entities import CASH, ISSUED, CurrencyEntry, balance_key
from licet.receipts import DEPOSIT, TRANSFER, WITHDRAWAL, JournalEntry, Posting
from licet.transactions import AMOUNT_MINOR_MAX, Deposit, Money, Transfer, Withdraw

from licensing_vm.domain.context import Context
from licensing_vm.errors import Refused
from licensing_vm.money.journal import cash_of, paying_issuer, short_of


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
    for owner, account, delta in ((party, CASH, change), (issuer, ISSUED, -change)):
        key = balance_key(owner, account, issuer, code)
        state.put(key, state.balance(key) + delta)
    postings = (
        Posting(party=party, account=CASH, asset="", change=change),
        Posting(party=issuer, account=ISSUED, asset="", change=-change),
    )
    context.entry(command_entry(kind, code, issuer, postings))


def command_entry(kind: str, currency: str, issuer: str, postings: tuple[Posting, ...]) -> JournalEntry:
    """An entry that a command alone caused."""
    return JournalEntry(
        kind=kind,
        clause="",
        program_hash=b"",
        agreement="",
        currency=currency,
        issuer=issuer,
        facts=(),
        postings=postings,
    )


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
    context.party(command.to)
    _issue(context, command.to, currency, checked_amount(command.amount), DEPOSIT)
    context.event(
        "money.deposited", {"party": command.to, "issuer": context.sender, "reference": command.reference}
    )


def withdraw(context: Context, command: Withdraw) -> None:
    """The issuer sends it and the party signs too: nobody's cash leaves without its key."""
    currency = _issuing(context, command.amount)
    amount = checked_amount(command.amount)
    party = command.from_
    context.party(party)
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
    context.party(to)
    issuer = command.issuer
    if not issuer:
        issuer = paying_issuer(state, sender, currency, amount)
    elif issuer not in currency.issuers:
        raise Refused("NOT_ISSUER", f"{issuer} does not issue {code}.", {"party": issuer, "currency": code})
    key = balance_key(sender, CASH, issuer, code)
    held = state.balance(key)
    if held < amount and not context.unfunded:
        raise short_of(sender, code, amount, held)
    state.put(key, held - amount)
    key = balance_key(to, CASH, issuer, code)
    state.put(key, state.balance(key) + amount)
    context.entry(
        command_entry(
            TRANSFER,
            code,
            issuer,
            (
                Posting(party=sender, account=CASH, asset="", change=-amount),
                Posting(party=to, account=CASH, asset="", change=amount),
            ),
        )
    )
    context.event("money.transferred", {"from": sender, "to": to, "reference": command.reference})

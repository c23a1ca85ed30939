"""`licet money` and `licet pay`: deposits, transfers, obligations."""

from __future__ import annotations

from typing import Any

from licet.cli.arguments import ArgumentInvalid, submission
from licet.cli.session import Session


def deposit(session: Session, args: Any) -> int:
    """Credit a party."""
    how = submission(session, args)
    outcome = session.acting.deposit(args.party, args.amount, reference=args.reference, how=how)
    session.done(f"Credited {args.party} with {args.amount}", outcome)
    session.hint(f"licet party show {args.party}")
    return 0


def withdraw(session: Session, args: Any) -> int:
    """Debit a party that was paid out."""
    how = submission(session, args)
    outcome = session.acting.withdraw(args.party, args.amount, reference=args.reference, how=how)
    session.done(f"Debited {args.party} by {args.amount}", outcome)
    return 0


def transfer(session: Session, args: Any) -> int:
    """Move cash."""
    how = submission(session, args)
    outcome = session.acting.transfer(
        args.party, args.amount, issuer=args.issuer, reference=args.reference, how=how
    )
    session.done(f"Moved {args.amount} to {args.party}", outcome)
    return 0


def owed(session: Session, args: Any) -> int:
    """Obligations."""
    from licet.usage import format_time_ms

    party = args.party or ("" if args.on else session.sender)
    session.show_all(
        session.client.list_obligations(party=party, agreement=args.on),
        id=lambda item: str(item.obligation),
        headings=("debtor", "creditor", "amount", "paid", "due", "state", "agreement", "clause"),
        row=lambda item: (
            item.debtor,
            item.creditor,
            session.money(item.amount.currency, item.amount.minor),
            session.money(item.paid.currency, item.paid.minor),
            format_time_ms(item.due_ms),
            item.state,
            item.agreement,
            item.clause,
        ),
        party=party,
    )
    session.hint("licet pay AGREEMENT")
    return 0


def pay(session: Session, args: Any) -> int:
    """Pay what the sender owes under an agreement."""
    from licet.transactions import Money

    how = submission(session, args)
    acting = session.acting
    amount: Money | str = args.amount
    if not amount:
        open_: dict[str, int] = {}
        for item in acting.list_obligations(party=session.sender, agreement=args.agreement):
            if item.debtor == session.sender:
                left = item.amount.minor - item.paid.minor
                open_[item.amount.currency] = open_.get(item.amount.currency, 0) + left
        currencies = [currency for currency, left in open_.items() if left]
        if len(currencies) != 1:
            raise ArgumentInvalid(
                args.agreement,
                "has nothing that you owe" if not currencies else "is owed in several currencies",
                "See `licet money owed`, and name the amount.",
            )
        amount = Money(currency=currencies[0], minor=open_[currencies[0]])
    outcome = acting.pay(args.agreement, amount, how=how)
    text = amount if isinstance(amount, str) else session.money(amount.currency, amount.minor)
    session.done(f"Paid {text} under {args.agreement}", outcome, id=args.agreement)
    session.hint(f"licet statement {session.sender} --agreement {args.agreement}")
    return 0

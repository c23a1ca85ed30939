"""Paying what is owed (L-1): the oldest due date first, within one date all creditors pro rata (L-4).

Only the debtor's own `pay` moves its cash. A payment is in whole grains of the terms unless it settles
all that is owed; within one due date it is divided from T = 0 with the outstanding amounts as weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from math import gcd

from licet.entities import (
    CASH,
    PAYABLE,
    RECEIVABLE,
    NamedValue,
    Obligation,
    OpenItem,
    course_key,
    obligation_id,
    obligation_key,
)
from licet.receipts import PAYMENT, JournalEntry, Posting
from licet.transactions import Pay

from licensing_vm.domain.booking import course_of, pay_for_open
from licensing_vm.domain.bound import grain_factor
from licensing_vm.domain.context import Context
from licensing_vm.domain.money import checked_amount
from licensing_vm.domain.periods import close_if_done
from licensing_vm.domain.programs import terms_of
from licensing_vm.domain.reach import GROUP_MAX, PAID
from licensing_vm.errors import Refused
from licensing_vm.money.journal import move, paying_issuer
from licensing_vm.money.split import Splitter
from licensing_vm.program.limits import LEGS_MAX


def pay(context: Context, command: Pay) -> None:
    agreement = context.agreement(command.agreement)
    terms = terms_of(context, agreement.program_hash)
    amount = checked_amount(command.amount)
    currency = context.currency(command.amount.currency)
    if currency.code != terms.program.currency:
        raise Refused(
            "UNKNOWN_CURRENCY",
            f"{command.agreement} is in {terms.program.currency}.",
            {"agreement": command.agreement, "currency": terms.program.currency},
        )
    pay_for_open(context, command.agreement)
    course = course_of(context, command.agreement)
    own = sorted(
        (item for item in course.open if item.debtor == context.sender),
        key=lambda item: (item.due_ms, item.number),
    )
    owed = sum(item.outstanding for item in own)
    if amount > owed:
        raise Refused(
            "NOTHING_OWED",
            f"{context.sender} owes {owed} minor units under {command.agreement}, not {amount}.",
            {"agreement": command.agreement, "owed": str(owed), "amount": str(amount)},
        )
    factor = grain_factor(terms.program, currency)
    if amount % factor and amount != owed:
        raise Refused(
            "INVALID_AMOUNT",
            f"Payments under {command.agreement} are in multiples of {factor} minor units.",
            {"grain": str(factor), "amount": str(amount)},
        )
    issuer = paying_issuer(context.state, context.sender, currency, amount, unfunded=context.unfunded)
    paid = allocate(own, amount, factor)
    if len(paid) > GROUP_MAX:
        beyond = own[GROUP_MAX].due_ms
        first = sum(item.outstanding for item in own[:GROUP_MAX] if item.due_ms < beyond)
        whole = first or own[0].outstanding
        raise Refused(
            "TOO_MANY",
            f"One payment settles at most {GROUP_MAX} obligations: pay {whole} first.",
            {"obligations": str(len(paid)), "first": str(whole)},
        )
    context.spend(len(paid) * PAID)
    left = {item.number: item.outstanding - paid.get(item.number, 0) for item in own}
    open_ = tuple(
        _outstanding(item, left[item.number]) if item.number in paid else item
        for item in course.open
        if left.get(item.number, 1)
    )
    context.state.put(course_key(command.agreement), replace(course, open=open_))
    _settle(context, command.agreement, terms.hash, paid, currency.code, issuer)
    close_if_done(context, agreement, terms)


def allocate(items: Sequence[OpenItem], amount: int, factor: int) -> dict[int, int]:
    """What each obligation receives of `amount`, by its number; items are sorted by due date."""
    paid: dict[int, int] = {}
    for _, group in groupby(items, key=lambda item: item.due_ms):
        due = list(group)
        total = sum(item.outstanding for item in due)
        if total <= amount:
            paid.update((item.number, item.outstanding) for item in due)
        elif amount:
            if len(due) > LEGS_MAX:
                raise Refused(
                    "TOO_MANY",
                    f"Pay the {len(due)} obligations of one due date in full: {total}.",
                    {"due": str(total)},
                )
            # In grains of the terms; payout sheets may have cut finer, then in the finest common unit.
            grain = gcd(factor, amount, *(item.outstanding for item in due))
            shares = Splitter([item.outstanding for item in due]).totals(amount // grain)
            paid.update(
                (item.number, share * grain) for item, share in zip(due, shares, strict=True) if share
            )
        amount -= min(total, amount)
        if not amount:
            break
    return paid


# `dataclasses.replace` would ask the class for its fields each time, of hundreds in a block.
def _outstanding(item: OpenItem, left: int) -> OpenItem:
    return OpenItem(
        number=item.number, due_ms=item.due_ms, debtor=item.debtor, creditor=item.creditor, outstanding=left
    )


def _paid(obligation: Obligation, paid: int) -> Obligation:
    return Obligation(
        agreement=obligation.agreement,
        number=obligation.number,
        debtor=obligation.debtor,
        creditor=obligation.creditor,
        clause=obligation.clause,
        period=obligation.period,
        currency=obligation.currency,
        amount=obligation.amount,
        paid=paid,
        due_ms=obligation.due_ms,
        asset=obligation.asset,
        height=obligation.height,
    )


def _settle(
    context: Context, agreement: str, program_hash: bytes, paid: dict[int, int], currency: str, issuer: str
) -> None:
    """Move cash and reduce what is owed, with one entry per clause and period paid."""
    state = context.state
    by_cause: dict[tuple[str, str], list[Posting]] = {}
    for number, amount in sorted(paid.items()):
        key = obligation_key(agreement, number)
        obligation = state.get(key, Obligation)
        assert obligation is not None
        assert obligation.debtor == context.sender
        after = _paid(obligation, obligation.paid + amount)
        assert after.paid <= after.amount, after
        state.put(key, after)
        postings = by_cause.setdefault((obligation.clause, obligation.period), [])
        debtor, creditor, asset = obligation.debtor, obligation.creditor, obligation.asset
        postings += [
            Posting(party=debtor, account=CASH, asset="", change=-amount),
            Posting(party=creditor, account=CASH, asset=asset, change=amount),
            Posting(party=creditor, account=RECEIVABLE, asset=asset, change=-amount),
            Posting(party=debtor, account=PAYABLE, asset="", change=amount),
        ]
        if after.paid == after.amount:
            context.event(
                "obligation.paid",
                {"obligation": obligation_id(agreement, number), "debtor": debtor, "creditor": creditor},
                (debtor, creditor),
            )
    for (clause, period), postings in by_cause.items():
        context.entry(
            JournalEntry(
                kind=PAYMENT,
                clause=clause,
                program_hash=program_hash,
                agreement=agreement,
                currency=currency,
                issuer=issuer,
                facts=(NamedValue(name="period", value=period),) if period else (),
                postings=move(state, tuple(postings), issuer, currency, unfunded=context.unfunded),
            )
        )

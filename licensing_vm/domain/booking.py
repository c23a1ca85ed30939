"""Running clauses and booking what they say: cash moves or obligations arise (L-1, L-3, L-4).

`pays` moves the debtor's cash to every payee of the split at once, or refuses the whole transaction;
`owes` makes every leg a creditor of its own share, due from the block's time. Shares come from the
program; here they become minor units of the ledger, ancestors' shares go through their payout sheets,
T moves on, and a journal entry with its cause is written. Nothing else in the domain moves money by
terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from licet.entities import (
    CASH,
    PAYABLE,
    RECEIVABLE,
    Course,
    NamedValue,
    Obligation,
    OpenItem,
    course_key,
    obligation_id,
    obligation_key,
)
from licet.receipts import ACCRUAL, SALE, JournalEntry, Posting
from licet.transactions import AMOUNT_MINOR_MAX

from licensing_vm.calendar import add_span
from licensing_vm.domain.bound import Bound, SplitPlan
from licensing_vm.domain.context import Context
from licensing_vm.domain.reach import GROUP_MAX, MET_FREE, MET_ITEM, OPEN_ITEM, OPEN_MAX
from licensing_vm.errors import Refused
from licensing_vm.money.journal import cash_key, move, paying_issuer, short_of
from licensing_vm.mould import Hole, Mould, number_bytes, text_bytes
from licensing_vm.program.model import NONE, Clause, Intent

NO_COURSE: Final = Course(next_number=1, open=(), periods=(), facts=(), rates=())


class Case(NamedTuple):
    """For whom and why clauses run."""

    agreement: str
    roles: tuple[str, ...]  # all of them
    facts: tuple[NamedValue, ...]  # those the trigger brought, for the entry's cause
    period: str  # "month 2026-01-01", empty where the trigger is no close
    agreement_text: bytes  # the agreement and the open role's party, encoded
    open_text: bytes


def case_of(
    bound: Bound, agreement: str, roles: tuple[str, ...], facts: tuple[NamedValue, ...] = (), period: str = ""
) -> Case:
    open_text = text_bytes(roles[bound.open_role]) if bound.open_role != NONE else b""
    return Case(agreement, roles, facts, period, text_bytes(agreement), open_text)


def run_clauses(
    context: Context,
    bound: Bound,
    clauses: Sequence[int],
    case: Case,
    facts: Sequence[int],
    befores: Sequence[int],
) -> None:
    """Run clauses in text order (L-2) and book what they return."""
    state = context.state
    run = bound.terms.loaded.run
    for at in clauses:
        plans = bound.splits[at]
        totals = [state.total(plan.total_key) if plan.total_key else 0 for plan in plans]
        for intent in run(at, bound.params, facts, befores, bound.tables[at], totals):
            if not intent.amount:
                continue
            clause = bound.terms.program.clauses[at]
            if intent.amount * bound.factor > AMOUNT_MINOR_MAX:
                # The terms bound grains; the ledger's are finer, and its amounts must fit 64 bits.
                raise Refused(
                    "INVALID_AMOUNT",
                    f"{clause.name} comes to {intent.amount * bound.factor} minor units;"
                    f" one amount is at most {AMOUNT_MINOR_MAX}.",
                    {"minor": str(intent.amount * bound.factor)},
                    clause=clause.name,
                )
            plan = plans[intent.split]
            if plan.total_key:
                state.put(plan.total_key, intent.total)
            changes = _changes(context, plan, intent, bound.factor)
            if intent.due is None:
                _pay(context, bound, clause, plan, intent, changes, case)
            else:
                _owe(context, bound, clause, plan, intent, changes, case)


def _changes(context: Context, plan: SplitPlan, intent: Intent, factor: int) -> Sequence[int]:
    """What each leg of the plan receives, in minor units of the ledger."""
    shares = intent.shares if factor == 1 else [share * factor for share in intent.shares]
    if not plan.sheets:
        return shares
    state = context.state
    out: list[int] = []
    done = 0
    for sheet in plan.sheets:
        out += shares[done : sheet.at]
        amount = shares[sheet.at]
        total = state.total(sheet.key)
        out += sheet.pay(total, amount)
        state.put(sheet.key, total + amount)
        done = sheet.at + 1
    out += shares[done:]
    return out


def _pay(
    context: Context,
    bound: Bound,
    clause: Clause,
    plan: SplitPlan,
    intent: Intent,
    changes: Sequence[int],
    case: Case,
) -> None:
    """Cash from the debtor to every leg, in claims on one issuer."""
    state = context.state
    amount = intent.amount * bound.factor
    debtor = case.roles[intent.debtor]
    code = bound.currency.code
    issuers = bound.currency.issuers
    if len(issuers) == 1:
        issuer = issuers[0]
    else:
        issuer = paying_issuer(
            state, debtor, bound.currency, amount, clause=clause.name, unfunded=context.unfunded
        )
    assert sum(changes) == amount, "an entry sums to zero"
    mould = _cash_mould(bound, clause, plan, intent, case, issuer)
    key = cash_key(debtor, issuer, code)
    held = state.balance(key)
    if held < amount and not context.unfunded:
        raise short_of(debtor, code, amount, held, clause=clause.name)
    state.put(key, held - amount)
    keys: Sequence[bytes] = mould.keys
    context.parties[debtor] = None
    context.parties.update(mould.parties)
    if mould.open:
        buyer = case.roles[bound.open_role]
        context.parties[buyer] = None
        own = cash_key(buyer, issuer, code)
        keys = [key or own for key in keys]
    state.add(keys, changes)
    context.entries.append(
        mould.mould.fill(
            case.agreement_text,
            case.open_text,
            *[text_bytes(fact.value) for fact in case.facts],
            number_bytes(-amount),
            *map(number_bytes, changes),
        )
    )


class _CashMould(NamedTuple):
    """The journal entry of a payment, but for the agreement, the open role, the facts and the amounts."""

    mould: Mould
    keys: tuple[bytes, ...]  # the payees' cash accounts; empty for the open role
    parties: dict[str, None]  # the payees that are known
    open: bool  # whether the open role is a payee


def _cash_mould(
    bound: Bound, clause: Clause, plan: SplitPlan, intent: Intent, case: Case, issuer: str
) -> _CashMould:
    key = (issuer, intent.debtor)
    found = plan.moulds.get(key)
    if found is None:
        found = plan.moulds[key] = _make_mould(bound, clause, plan, intent, case, issuer)
    assert isinstance(found, _CashMould)
    return found


def _make_mould(
    bound: Bound, clause: Clause, plan: SplitPlan, intent: Intent, case: Case, issuer: str
) -> _CashMould:
    """Holes: 0 the agreement, 1 the open role, then the facts' values, the debtor's change, the legs'."""

    def posting(party: str, asset: str, hole: int) -> Posting:
        return Posting(party=party or Hole.text(1), account=CASH, asset=asset, change=Hole.number(hole))

    code = bound.currency.code
    first = 2 + len(case.facts)
    legs = enumerate(plan.legs, first + 1)
    entry = JournalEntry(
        kind=SALE,
        clause=clause.name,
        program_hash=bound.terms.hash,
        agreement=Hole.text(0),
        currency=code,
        issuer=issuer,
        facts=tuple(NamedValue(name=fact.name, value=Hole.text(at)) for at, fact in enumerate(case.facts, 2)),
        postings=(
            posting(bound.roles[intent.debtor], "", first),
            *(posting(leg.party, leg.asset, hole) for hole, leg in legs),
        ),
    )
    return _CashMould(
        Mould(entry, first + 1 + len(plan.legs), tagged=False),
        tuple(cash_key(leg.party, issuer, code) if leg.party else b"" for leg in plan.legs),
        dict.fromkeys(leg.party for leg in plan.legs if leg.party),
        any(not leg.party for leg in plan.legs),
    )


def course_of(context: Context, agreement: str) -> Course:
    return context.state.get(course_key(agreement), Course) or NO_COURSE


def pay_for_open(context: Context, agreement: str) -> None:
    """The work of reading an agreement's unpaid obligations and of writing back what is left of them: as
    many as there are, counted before they are read."""
    context.spend(context.state.open_of(course_key(agreement)) * OPEN_ITEM)


def meet_course(context: Context, agreement: str) -> Course | None:
    """The course for one who only looks at it: the first in a block pays for what makes it long."""
    key = course_key(agreement)
    if key not in context.met:
        items = context.state.open_of(key)
        if items > MET_FREE:
            context.spend((items - MET_FREE) * MET_ITEM)
        context.met.add(key)
    return context.state.get(key, Course)


def _owe(
    context: Context,
    bound: Bound,
    clause: Clause,
    plan: SplitPlan,
    intent: Intent,
    changes: Sequence[int],
    case: Case,
) -> None:
    """One obligation per leg with a share, and the accrual between the parties' accounts."""
    assert intent.due is not None
    debtor = case.roles[intent.debtor]
    due = add_span(context.now, intent.due)
    course = course_of(context, case.agreement)
    number = course.next_number
    items = list(course.open)
    postings = [Posting(party=debtor, account=PAYABLE, asset="", change=-intent.amount * bound.factor)]
    for leg, change in zip(plan.legs, changes, strict=True):
        creditor = leg.party or case.roles[bound.open_role]
        postings.append(Posting(party=creditor, account=RECEIVABLE, asset=leg.asset, change=change))
        if change:
            obligation = Obligation(
                agreement=case.agreement,
                number=number,
                debtor=debtor,
                creditor=creditor,
                clause=clause.name,
                period=case.period,
                currency=bound.currency.code,
                amount=change,
                paid=0,
                due_ms=due,
                asset=leg.asset,
                height=context.height,
            )
            _note(context, obligation)
            items.append(
                OpenItem(number=number, due_ms=due, debtor=debtor, creditor=creditor, outstanding=change)
            )
            number += 1
    _must_be_payable(clause, debtor, due, items)
    context.state.put(
        course_key(case.agreement),
        Course(
            next_number=number,
            open=tuple(items),
            periods=course.periods,
            facts=course.facts,
            rates=course.rates,
        ),
    )
    context.entry(
        JournalEntry(
            kind=ACCRUAL,
            clause=clause.name,
            program_hash=bound.terms.hash,
            agreement=case.agreement,
            currency=bound.currency.code,
            issuer="",
            facts=case.facts,
            postings=move(context.state, tuple(postings), "", bound.currency.code),
        )
    )


def _must_be_payable(clause: Clause, debtor: str, due: int, items: Sequence[OpenItem]) -> None:
    """Refuse more obligations than an agreement may have, or than one payment can touch."""
    if len(items) > OPEN_MAX:
        raise Refused(
            "TOO_MANY", f"An agreement has at most {OPEN_MAX} unpaid obligations.", clause=clause.name
        )
    if sum(item.due_ms == due and item.debtor == debtor for item in items) > GROUP_MAX:
        raise Refused(
            "TOO_MANY",
            f"At most {GROUP_MAX} obligations fall due at one instant; a later block has another.",
            clause=clause.name,
        )


def _note(context: Context, obligation: Obligation) -> None:
    agreement, number = obligation.agreement, obligation.number
    context.state.put_new(obligation_key(agreement, number), obligation)
    for party in dict.fromkeys((obligation.debtor, obligation.creditor)):
        context.index.append(f"obligation/party/{party}/{obligation_id(agreement, number)}".encode())
    context.event(
        "obligation.due",
        {
            "obligation": obligation_id(agreement, number),
            "debtor": obligation.debtor,
            "creditor": obligation.creditor,
            "amount": str(obligation.amount),
            "due_ms": str(obligation.due_ms),
        },
        (obligation.debtor, obligation.creditor),
    )

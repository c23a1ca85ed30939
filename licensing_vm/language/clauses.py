"""Checks `pay` clauses: what is paid or owed, that it is rounded once, and that all of it reaches payees.

Every payment has exactly one split of its own (L-3): the `split` that divides
the very same value, or the party after `to`.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from licensing_vm.language import syntax as s
from licensing_vm.language.context import Context
from licensing_vm.language.diagnostics import Code, Place
from licensing_vm.language.expressions import Lowering, Refused, Tables, expr_text, same
from licensing_vm.language.rights import heading
from licensing_vm.language.splits import split_of
from licensing_vm.language.work import ANALYSED, COMPARED, STEP
from licensing_vm.program import limits
from licensing_vm.program import model as m
from licensing_vm.program.analysis import Analysis, TooComplex
from licensing_vm.program.instructions import MONEY
from licensing_vm.program.verifier import befores


def clauses(ctx: Context, skeleton: m.Program) -> tuple[m.Clause, ...]:
    """All clauses, with their constants gathered in the context."""
    names: dict[str, int] = {}
    taken = {forbid.name.text: 0 for forbid in ctx.template.forbids}
    kept = ctx.declare(ctx.template.pays, names, ctx.grants, taken, what="clause", most=limits.CLAUSES_MAX)
    return tuple(_Clause(ctx, skeleton, at, pay).checked() for at, pay in enumerate(kept))


class _Clause:
    """One clause being checked."""

    def __init__(self, ctx: Context, skeleton: m.Program, at: int, pay: s.Pay) -> None:
        self._ctx = ctx
        self._program = skeleton
        self._at = at
        self._pay = pay
        self._trigger, self._subject = self._find_trigger()
        self._lowering = Lowering(
            ctx=ctx,
            tables=Tables(params=skeleton.params, facts=skeleton.facts, rates=skeleton.rates),
            trigger=self._trigger,
            subject=self._subject,
            analysis=_LiveAnalysis(ctx, skeleton, self._trigger, self._subject, pay.name.place),
        )
        self._postings: list[tuple[s.Posting, m.Split | None]] = []
        self._unmatched = False  # a split that divides nothing is the likelier mistake; it alone is said
        self._account: set[str] = set()  # rounded values that reach an account as themselves

    def _find_trigger(self) -> tuple[m.Trigger, int]:
        trigger, ctx = self._pay.trigger, self._ctx
        if trigger.subject is None:
            return m.Trigger.ACTIVATED, m.NONE
        if trigger.kind == "used":
            return m.Trigger.USED, ctx.find(ctx.facts, trigger.subject, "fact") or 0
        return m.Trigger.CLOSE, ctx.find(ctx.periods, trigger.subject, "period") or 0

    def checked(self) -> m.Clause:
        pay = self._pay
        for statement in pay.body:
            try:
                self._statement(statement)
            except Refused:
                return self._result()  # its reason has been said; what follows would only repeat it
        for posting, split in self._postings:
            if split is None and not self._unmatched:
                self._ctx.error(
                    Code.NO_PAYEE,
                    posting.place,
                    f"What `{posting.debtor.text}` {'owes' if posting.due else 'pays'} reaches no payee.",
                    f"Divide it: split {expr_text(posting.amount)} {{ … }}; or name who gets it after `to`.",
                )
        if not self._postings:
            self._ctx.error(
                Code.NO_PAYEE,
                pay.name.place,
                f"The clause `{pay.name.text}` pays nothing.",
                "Add a statement such as `licensee pays fee;`, or remove the clause.",
            )
        self._rounded_once()
        for statement in pay.body:
            if isinstance(statement, s.Let) and ("value", statement.name.text) not in self._ctx.used:
                self._ctx.warn(
                    Code.NOT_USED,
                    statement.name.place,
                    f"The value `{statement.name.text}` is never used.",
                    "Use it or remove it.",
                )
        return self._result()

    def _result(self) -> m.Clause:
        pay = self._pay
        head = heading(self._ctx, pay.name, pay.heading, "clause")
        code = tuple(self._lowering.code)
        nothing = m.Split(legs=())
        clause = m.Clause(
            name=pay.name.text,
            heading=head,
            because=pay.because.text if pay.because else "",
            trigger=self._trigger,
            subject=self._subject,
            splits=tuple(split or nothing for _, split in self._postings),
            code=code,
            befores=(),
        )
        return replace(clause, befores=befores(self._program, clause))

    def _statement(self, statement: s.Statement) -> None:
        match statement:
            case s.Let():
                self._lowering.let(statement)
            case s.Posting():
                self._posting(statement)
            case s.Split():
                self._split(statement)

    def _posting(self, posting: s.Posting) -> None:
        ctx, lowering = self._ctx, self._lowering
        debtor = ctx.find(ctx.roles, posting.debtor, "party")
        ctx.use("money", posting.debtor.text)
        ctx.work.spend(STEP, posting.place)
        value = lowering.lower(posting.amount)
        place = posting.amount.place
        if value.type != MONEY:
            ctx.error(
                Code.TYPE,
                place,
                f"Only money can be paid; this is {lowering.text(value.type)}.",
                "Multiply it by a price, or apply a rate to it.",
            )
            raise Refused
        if lowering.analysis.shapes[value.register].den != 1:
            ctx.error(
                Code.NEVER_ROUNDED,
                place,
                f"`{expr_text(posting.amount)}` reaches an account without being rounded.",
                f"Name it first, which rounds it: let amount = {expr_text(posting.amount)};",
            )
            raise Refused
        self._bounded(value.register, place, posting)
        origins = lowering.origins_of(posting.amount)
        self._account |= origins.added
        due = ctx.span(posting.due, zero=True) if posting.due else None
        args = (debtor or 0, value.register, len(self._postings))
        if posting.due is None:
            lowering.code.append(m.Instruction(m.Op.PAYS, m.NONE, args))
        else:
            lowering.code.append(m.Instruction(m.Op.OWES, m.NONE, (*args, *(due or m.Span(0, 0)))))
        split = None
        if posting.to is not None:
            role = ctx.find(ctx.roles, posting.to, "party")
            ctx.use("money", posting.to.text)
            split = m.Split(legs=(m.Leg(kind=m.LegKind.REST, target=role or 0),))
        self._postings.append((posting, split))

    def _bounded(self, register: int, place: Place, posting: s.Posting) -> None:
        ctx, analysis = self._ctx, self._lowering.analysis
        text = expr_text(posting.amount)
        try:
            low, high = analysis.bounds(register)
            falling = analysis.falls_with(register)
        except TooComplex:
            ctx.error(
                Code.TOO_BIG,
                place,
                "This calculation has too many terms to be checked.",
                "Divide the clause in two.",
            )
            raise Refused from None
        if low < 0:
            ctx.error(
                Code.NEGATIVE,
                place,
                f"`{text}` can be negative: within the bounds it can be as low as {self._money(low)}.",
                "Narrow the parameters' bounds, so that what is subtracted is never the larger.",
            )
        if high == 0 and not ctx.failed:
            ctx.error(
                Code.NO_PAYEE,
                place,
                f"`{text}` is always zero, so nothing is ever paid here.",
                "Remove the payment, or give it an amount: terms without a clause may grant for free.",
            )
        if high > limits.AMOUNT_MAX:
            ctx.error(
                Code.OVERFLOW,
                place,
                f"`{text}` can be too large for an account: within the bounds it can exceed 10^18 units.",
                "Bound what goes into it: `in 0 .. 1_000_000_000` on the fact, or a lower highest value.",
            )
        if falling is not None:
            op, at = falling
            name = self._program.facts[at].name if op is m.Op.FACT else self._program.rates[at].name
            ctx.error(
                Code.USAGE_LOWERS,
                place,
                f"More `{name}` lowers what is owed here.",
                "Let more use never cost less: do not subtract what grows with use.",
            )

    def _money(self, grains: Fraction) -> str:
        whole = -(-grains.numerator // grains.denominator)
        digits = str(abs(whole)).rjust(self._ctx.scale + 1, "0")
        cut = len(digits) - self._ctx.scale
        text = digits[:cut] + (f".{digits[cut:]}" if self._ctx.scale else "")
        return f"{self._ctx.currency} {'-' if whole < 0 else ''}{text}"

    def _split(self, split: s.Split) -> None:
        for at, (posting, found) in enumerate(self._postings):
            self._ctx.work.spend(COMPARED, split.place)
            if found is None and same(posting.amount, split.amount):
                self._postings[at] = (posting, split_of(self._ctx, self._program, self._at, at, split))
                return
        self._unmatched = True
        open_ones = [posting for posting, found in self._postings if found is None]
        text = expr_text(split.amount)
        self._ctx.error(
            Code.SPLIT_UNMATCHED,
            split.place,
            f"This splits `{text}`, but no payment before it is of `{text}` and still undivided.",
            f"Split what is paid: split {expr_text(open_ones[0].amount)} {{ … }}"
            if open_ones
            else f"Pay or owe it first: licensee pays {text};",
        )

    def _rounded_once(self) -> None:
        """L-6: a rounded value that is itself no payment may not be calculated into one and rounded again."""
        origins = self._lowering.origins
        for statement in self._pay.body:
            if not isinstance(statement, s.Let) or statement.name.text not in origins:
                continue
            own = origins[statement.name.text]
            if statement.name.text not in own.added:
                continue
            for name in sorted(own.multiplied - self._account)[:1]:
                self._say_twice(name, statement.name.place)

    def _say_twice(self, name: str, place: Place) -> None:
        self._ctx.error(
            Code.ROUNDED_TWICE,
            place,
            f"`{name}` is rounded where it is named, and what is calculated from it would be rounded again.",
            "Write the whole calculation in one `let`, or put the percentage into the rate or the split.",
        )


class _LiveAnalysis(Analysis):
    """The analysis while constants are still being gathered."""

    def __init__(
        self, ctx: Context, program: m.Program, trigger: m.Trigger, subject: int, place: Place
    ) -> None:
        super().__init__(program, trigger, subject)
        self._ctx = ctx
        self._place = place  # of the clause

    def _spend(self, work: int) -> None:
        self._ctx.work.spend(ANALYSED * work, self._place)
        super()._spend(work)

    def constant(self, at: int) -> m.Constant:
        return self._ctx.constants[at]

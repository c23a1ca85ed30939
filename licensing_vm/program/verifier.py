"""Re-checks any Program it is handed, trusting nothing: not the compiler, not the checker (L-12).

Every index points at something, every register is named once and before it is
used, types follow the instruction table, only rounded money reaches an account
(L-6), every posting has its own split and every split is whole (L-3, L-4), a
lineage stack fits beside the fixed legs, bounds hold, nothing owed falls with
more usage. Raises `ProgramRefused`; never mends anything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Sized
from typing import Any, Final

from licensing_vm.codelists import ACTIONS, CODELISTS_VERSION, CURRENCIES, KINDS
from licensing_vm.program import limits
from licensing_vm.program.analysis import Analysis, TooComplex, falls_at
from licensing_vm.program.binding import CODE_TREES, within
from licensing_vm.program.errors import ProgramRefused
from licensing_vm.program.instructions import MONEY, RULES, Operand, product_type, sum_type
from licensing_vm.program.model import (
    NONE,
    Cadence,
    Clause,
    Constant,
    Else,
    Fact,
    Forbid,
    Grant,
    Kind,
    LegKind,
    Op,
    Param,
    Program,
    Rate,
    Span,
    Split,
    Trigger,
    ValueType,
    Where,
)

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*\Z", re.ASCII | re.IGNORECASE)
_DOTTED: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*\Z", re.ASCII | re.IGNORECASE)
_VERSION: Final = re.compile(r"(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\Z", re.ASCII)


def verify(program: Program) -> None:
    """Refuse a program that no checked template can have become."""
    _head(program)
    for param in program.params:
        _param(param)
    for fact in program.facts:
        _fact(program, fact)
    for rate in program.rates:
        _rate(program, rate)
    for lineage in program.lineages:
        _index(lineage.slot, program.slots, "an asset slot")
        _need(lineage.depth == limits.LINEAGE_DEPTH, "a lineage depth other than 8")
        _need(0 <= lineage.stack_ppm <= limits.PPM, "a lineage stack above 100 %")
    for constant in program.constants:
        _constant(constant)
    for grant in program.grants:
        _grant(program, grant)
    for forbid in program.forbids:
        _forbid(program, forbid)
    for clause in program.clauses:
        try:
            _clause(program, clause)
        except ProgramRefused as refused:
            raise ProgramRefused(refused.why, clause=clause.name) from None
        except TooComplex:
            raise ProgramRefused("a value with too many terms", clause=clause.name) from None


def _need(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ProgramRefused(otherwise)


def _index(at: int, among: Sized, what: str) -> None:
    _need(0 <= at < len(among), f"{what} that is not there")


def _head(program: Program) -> None:
    _need(program.language == limits.LANGUAGE_VERSION, "a language version this node does not know")
    _need(program.codelists == CODELISTS_VERSION, "a version of the code lists this node does not know")
    _need(
        len(program.name) <= limits.NAME_CHARS_MAX and bool(_DOTTED.match(program.name)), "a malformed name"
    )
    _need(bool(_VERSION.match(program.version)), "a malformed version")
    _need(program.currency in CURRENCIES, "an unknown currency")
    _need(0 <= program.scale <= limits.SCALE_MAX, "a scale out of range")
    bounds: tuple[tuple[str, Sequence[Any], int, int], ...] = (
        ("roles", program.roles, 1, limits.ROLES_MAX),
        ("asset slots", program.slots, 1, limits.ASSET_SLOTS_MAX),
        ("parameters", program.params, 0, limits.PARAMS_MAX),
        ("periods", program.periods, 0, limits.PERIODS_MAX),
        ("facts", program.facts, 0, limits.FACTS_MAX),
        ("rates", program.rates, 0, limits.RATES_MAX),
        ("lineages", program.lineages, 0, limits.LINEAGES_MAX),
        ("grants", program.grants, 0, limits.GRANTS_MAX),
        ("prohibitions", program.forbids, 0, limits.GRANTS_MAX),
        ("clauses", program.clauses, 0, limits.CLAUSES_MAX),
    )
    for what, items, least, most in bounds:
        _need(least <= len(items) <= most, f"{len(items)} {what}")
        names = [item.name for item in items]
        _need(len(set(names)) == len(names), f"two {what} of one name")
        for name in names:
            _need(
                len(name) <= limits.NAME_CHARS_MAX and bool(_NAME.match(name)),
                f"a malformed name among its {what}",
            )
    _need(all(slot.kind in KINDS for slot in program.slots), "an unknown kind of asset")
    headings = [right.heading for right in program.grants] + [right.heading for right in program.forbids]
    headings += [clause.heading for clause in program.clauses]
    texts = [program.heading, *headings, *(clause.because for clause in program.clauses)]
    texts += [program.legal.title] if program.legal else []
    _need(all(len(text) <= limits.TEXT_CHARS_MAX for text in texts), "a text that is too long")
    _need(all(headings), "something without a heading")
    for period in program.periods:
        _span(period.close_after, least=0)


def _span(span: Span, *, least: int = 1) -> None:
    months, days = span
    _need(0 <= months <= limits.MONTHS_MAX and 0 <= days <= limits.DAYS_MAX, "a span out of range")
    _need(not (months and days) and months + days >= least, "a span that is no number of days or of months")


def _unit(of: ValueType) -> None:
    counted = of.kind in (Kind.COUNT, Kind.PRICE)
    named = not of.unit or (len(of.unit) <= limits.NAME_CHARS_MAX and bool(_NAME.match(of.unit)))
    _need(
        named and (counted or not of.unit) and (of.kind is not Kind.PRICE or bool(of.unit)),
        "a malformed unit",
    )


def _param(param: Param) -> None:
    _unit(param.type)
    kind, low, high = param.type.kind, param.low, param.high
    if kind in CODE_TREES:
        tree = CODE_TREES[kind]
        _need(isinstance(high, tuple) and not isinstance(high, Span), "bounds of another type")
        assert isinstance(high, tuple)
        codes = [str(code) for code in high]
        _need(0 < len(codes) <= limits.CODES_MAX and codes == sorted(set(codes)), "codes out of order")
        _need(all(code in tree for code in codes), "an unknown code")
        _need(low in ((), high), "bounds of another type")
    elif kind is Kind.DURATION:
        _need(isinstance(low, Span) and isinstance(high, Span), "bounds of another type")
        assert isinstance(low, Span)
        assert isinstance(high, Span)
        _span(low)
        _span(high)
        _need(bool(low.months) == bool(high.months) and low <= high, "bounds that do not rise")
    else:
        _need(type(low) is int and type(high) is int, "bounds of another type")
        assert isinstance(low, int)
        assert isinstance(high, int)
        most = limits.PPM if kind is Kind.PERCENT else limits.AMOUNT_MAX
        _need(0 <= low <= high <= most, "bounds that do not rise or are out of range")
    if param.default is not None:
        _need(within(param, param.default), "a default outside its bounds")
    _need(low != high or param.default == high, "a constant without its value")


def _fact(program: Program, fact: Fact) -> None:
    _unit(fact.type)
    _need(fact.type.kind in (Kind.COUNT, Kind.MONEY), "a fact that is neither a count nor money")
    _index(fact.source, program.roles, "a role")
    _index(fact.period, program.periods, "a period")
    _need(0 < fact.high <= limits.FACT_MAX, "a fact's bound out of range")
    mean = fact.otherwise is Else.MEAN
    _need(1 <= fact.mean_of <= limits.MEAN_MAX if mean else fact.mean_of == 0, "a mean out of range")


def _rate(program: Program, rate: Rate) -> None:
    _index(rate.fact, program.facts, "a fact")
    fact = program.facts[rate.fact]
    if rate.over != NONE:
        _index(rate.over, program.periods, "a period")
        _need(spans(program, rate.over, fact.period), "a rate over less than its fact's period")
    _need(0 < len(rate.tiers) <= limits.TIERS_MAX, "a rate without tiers or with too many")
    below = 0
    for tier in rate.tiers:
        last = tier is rate.tiers[-1]
        _need((tier.up_to is None) == last, "tiers that do not end in `above`")
        if tier.up_to is not None:
            _need(below < tier.up_to <= limits.AMOUNT_MAX, "tiers that do not rise")
            below = tier.up_to
        if tier.param == NONE:
            _need(
                0 <= tier.num <= limits.AMOUNT_MAX and 0 < tier.den <= limits.AMOUNT_MAX,
                "a price out of range",
            )
        else:
            _index(tier.param, program.params, "a parameter")
            wanted = (
                ValueType(Kind.PERCENT)
                if fact.type.kind is Kind.MONEY
                else ValueType(Kind.PRICE, fact.type.unit)
            )
            _need(program.params[tier.param].type == wanted, "a price of another type")
    _need(falls_at(program, rate) is None, "a rate that falls with more usage")


def spans(program: Program, wide: int, narrow: int) -> bool:
    """Whether every period `narrow` lies within one period `wide`: weeks fit into nothing but weeks."""
    one, other = program.periods[wide].cadence, program.periods[narrow].cadence
    if one == other:
        return True
    return other is Cadence.DAILY or (one, other) == (Cadence.QUARTERLY, Cadence.MONTHLY)


def _constant(constant: Constant) -> None:
    _unit(constant.type)
    _need(constant.type.kind <= Kind.PRICE, "a constant of another type")
    _need(
        0 <= constant.num <= limits.AMOUNT_MAX and 0 < constant.den <= limits.AMOUNT_MAX,
        "a constant out of range",
    )


def _where(program: Program, where: Sequence[Where]) -> None:
    dimensions = [one.dimension for one in where]
    _need(len(set(dimensions)) == len(dimensions), "two limits in one dimension")
    for one in where:
        _need(one.dimension in CODE_TREES, "a limit in an unknown dimension")
        if one.param != NONE:
            _index(one.param, program.params, "a parameter")
            _need(
                program.params[one.param].type.kind is one.dimension and not one.codes,
                "a limit of another type",
            )
        else:
            tree = CODE_TREES[one.dimension]
            _need(0 < len(one.codes) <= limits.CODES_MAX, "a limit without codes")
            _need(list(one.codes) == sorted(set(one.codes)), "codes out of order")
            _need(all(code in tree for code in one.codes), "an unknown code")


def _rights(program: Program, right: Grant | Forbid) -> None:
    _need(
        0 < len(right.actions) <= limits.CODES_MAX and all(a in ACTIONS for a in right.actions),
        "an unknown action",
    )
    _need(list(right.actions) == sorted(set(right.actions)), "actions out of order")
    _need(len(right.slots) > 0 and list(right.slots) == sorted(set(right.slots)), "asset slots out of order")
    for slot in right.slots:
        _index(slot, program.slots, "an asset slot")
    _where(program, right.where)


def _grant(program: Program, grant: Grant) -> None:
    _rights(program, grant)
    _index(grant.to, program.roles, "a role")
    if grant.during_param == NONE:
        _span(grant.during)
    else:
        _index(grant.during_param, program.params, "a parameter")
        _need(program.params[grant.during_param].type.kind is Kind.DURATION, "a term of another type")
        _need(grant.during == Span(0, 0), "two terms of one grant")


def _forbid(program: Program, forbid: Forbid) -> None:
    _rights(program, forbid)
    _need(list(forbid.excepted) == sorted(set(forbid.excepted)), "exceptions out of order")
    for grant in forbid.excepted:
        _index(grant, program.grants, "a grant")


def _clause(program: Program, clause: Clause) -> None:
    match clause.trigger:
        case Trigger.ACTIVATED:
            _need(clause.subject == NONE, "a trigger with a subject it cannot have")
        case Trigger.USED:
            _index(clause.subject, program.facts, "a fact")
        case Trigger.CLOSE:
            _index(clause.subject, program.periods, "a period")
    _need(0 < len(clause.code) <= limits.INSTRUCTIONS_MAX, "a clause without instructions or with too many")
    for split in clause.splits:
        _split(program, split)
    _code(program, clause)
    _need(clause.befores == befores(program, clause), "another list of rates that need their totals")


def befores(program: Program, clause: Clause) -> tuple[int, ...]:
    """The rates whose total so far a clause needs: at the close of its own span nothing came before."""
    rates = sorted({args[0] for op, _, args in clause.code if op is Op.RATE})
    closes = clause.trigger is Trigger.CLOSE
    return tuple(r for r in rates if not (closes and program.rates[r].over == clause.subject))


def _code(program: Program, clause: Clause) -> None:
    types: dict[int, ValueType] = {}
    analysis = Analysis(program, clause.trigger, clause.subject)
    used_splits: list[int] = []
    for op, out, args in clause.code:
        rule = RULES[op]
        _need(len(args) == len(rule.operands), "an instruction with other operands")
        for operand, arg in zip(rule.operands, args, strict=True):
            _operand(program, clause, operand, arg, types)
        if rule.effect:
            _need(out == NONE, "a posting that names a register")
            _posting(args, types, analysis)
            _need(op is not Op.OWES or args[3] == 0 or args[4] == 0, "a due date that is no span")
            used_splits.append(args[2])
            continue
        _need(out == len(types), "registers that are not named in order")
        types[out] = _type(program, clause, op, args, types)
        shape = analysis.step(op, out, args)
        _need(shape.den.bit_length() <= limits.EXACT_BITS_MAX, "a value with too many decimals")
    _need(used_splits == list(range(len(clause.splits))), "postings that do not have one split each")


def _operand(
    program: Program, clause: Clause, operand: Operand, arg: int, types: dict[int, ValueType]
) -> None:
    tables: dict[Operand, tuple[Sized, str]] = {
        Operand.CONSTANT: (program.constants, "a constant"),
        Operand.PARAM: (program.params, "a parameter"),
        Operand.FACT: (program.facts, "a fact"),
        Operand.REGISTER: (types, "a register"),
        Operand.RATE: (program.rates, "a rate"),
        Operand.ROLE: (program.roles, "a role"),
        Operand.SPLIT: (clause.splits, "a split"),
    }
    if operand in tables:
        _index(arg, *tables[operand])
    else:
        most = limits.MONTHS_MAX if operand is Operand.MONTHS else limits.DAYS_MAX
        _need(0 <= arg <= most, "a due date out of range")


def _type(
    program: Program, clause: Clause, op: Op, args: tuple[int, ...], types: dict[int, ValueType]
) -> ValueType:
    found: ValueType | None
    match op:
        case Op.CONST:
            found = program.constants[args[0]].type
        case Op.PARAM:
            found = program.params[args[0]].type
            _need(found.kind <= Kind.PRICE, "a parameter that is no number")
        case Op.FACT:
            _need(
                readable(program, clause.trigger, clause.subject, args[0]), "a fact its trigger does not know"
            )
            found = program.facts[args[0]].type
        case Op.RATE:
            fact = program.rates[args[0]].fact
            _need(readable(program, clause.trigger, clause.subject, fact), "a fact its trigger does not know")
            found = MONEY
        case Op.ROUND:
            found = types[args[0]]
            _need(found == MONEY, "a rounding of what is not money")
        case Op.ADD | Op.SUB:
            found = sum_type(types[args[0]], types[args[1]])
        case _:
            found = product_type(types[args[0]], types[args[1]])
    if found is None:
        raise ProgramRefused("types that do not match")
    return found


def readable(program: Program, trigger: Trigger, subject: int, fact: int) -> bool:
    """Whether a clause may read a fact: the reported one, or one of the period that closes (L-2)."""
    if trigger is Trigger.USED:
        return fact == subject
    return trigger is Trigger.CLOSE and program.facts[fact].period == subject


def _posting(args: tuple[int, ...], types: dict[int, ValueType], analysis: Analysis) -> None:
    register = args[1]
    _need(types[register] == MONEY, "a payment of what is not money")
    _need(analysis.shapes[register].den == 1, "a value that reaches an account unrounded")
    low, high = analysis.bounds(register)
    _need(low >= 0, "a payment that can be negative")
    _need(high <= limits.AMOUNT_MAX, "a payment that can overflow")
    _need(analysis.falls_with(register) is None, "a payment that falls with more usage")


def _split(program: Program, split: Split) -> None:
    _need(0 < len(split.legs) <= limits.LEGS_MAX, "a split without legs or with too many")
    most = 0
    kinds = [leg.kind for leg in split.legs]
    for leg in split.legs:
        role = leg.kind in (LegKind.SHARE, LegKind.REST)
        _index(leg.target, program.roles if role else program.lineages, "a payee")
        _need(0 <= leg.ppm <= limits.PPM, "a share out of range")
        _need(leg.param == NONE or leg.kind in (LegKind.SHARE, LegKind.BUDGET), "a share that is bound twice")
        if leg.param != NONE:
            _index(leg.param, program.params, "a parameter")
            param = program.params[leg.param]
            _need(param.type.kind is Kind.PERCENT and leg.ppm == 0, "a share of another type")
            assert isinstance(param.high, int)
            most += param.high
        elif leg.kind is LegKind.LINEAGE:
            most += program.lineages[leg.target].stack_ppm
        else:
            most += leg.ppm
    lineages = sum(kind in (LegKind.LINEAGE, LegKind.BUDGET) for kind in kinds)
    rests = kinds.count(LegKind.REST)
    _need(lineages <= 1, "two lineage legs in one split")
    _need(rests <= 1 and (rests == 1 or not lineages), "a split without its one rest")
    if lineages:
        _need(len(kinds) <= limits.DIRECT_LEGS_WITH_LINEAGE_MAX, "too many legs beside a lineage")
    constant = all(leg.param == NONE for leg in split.legs)
    _need(most <= limits.PPM if rests else constant and most == limits.PPM, "a split that is not 100 %")

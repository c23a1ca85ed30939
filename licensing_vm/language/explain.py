"""A template in plain words, clause by clause, for people who sign it.

Says what the program does, from the program itself, so that the explanation
cannot drift from what runs. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from licensing_vm.money.amounts import decimal_text, money_text, percent_text, ratio_text, span_text
from licensing_vm.program import model as m
from licensing_vm.program.binding import bounds_text, value_text
from licensing_vm.program.limits import PPM

_ROUNDED: Final = "rounded("


def explain(program: m.Program) -> str:
    """The summary, as lines of text."""
    lines = [f"{program.name} {program.version} – {program.heading}", ""]
    if program.legal:
        lines += [f"Legal text: {program.legal.title} (SHA-256 {program.legal.sha256.hex()}).", ""]
    lines.append(f"Parties: {_listed([role.name for role in program.roles])}.")
    lines.append(f"Assets: {_listed([f'{slot.name} ({slot.kind})' for slot in program.slots])}.")
    rounding = program.rounding.name.lower().replace("_", " ")
    decimals = "1 decimal" if program.scale == 1 else f"{program.scale} decimals"
    lines.append(f"Money is in {program.currency} with {decimals}, rounded {rounding}.")
    sections: tuple[tuple[str, Sequence[object], Callable[[m.Program, int], str]], ...] = (
        ("To be agreed", program.params, _param),
        ("Reported", program.facts, _fact),
        ("Rates", program.rates, _rate),
        ("Upstream", program.lineages, _lineage),
        ("Granted", program.grants, _grant),
        ("Forbidden", program.forbids, _forbid),
        ("Paid", program.clauses, _clause),
    )
    for title, items, say in sections:
        if items:
            lines += ["", f"{title}:"]
            lines += [f"  {say(program, at)}" for at in range(len(items))]
    return "\n".join(lines)


def _listed(names: Sequence[str], last: str = "and") -> str:
    if len(names) <= 1:
        return "".join(names)
    return f"{', '.join(names[:-1])} {last} {names[-1]}"


def _param(program: m.Program, at: int) -> str:
    param = program.params[at]
    if param.low == param.high:
        return f"{param.name} is {bounds_text(program, param)}."
    within = "within" if param.type.kind in (m.Kind.TERRITORY, m.Kind.MEDIUM) else "from"
    bounds = bounds_text(program, param).replace(" .. ", " to ")
    default = ""
    if param.default is not None:
        default = f", if nothing else is agreed {value_text(program, param.type.kind, param.default)}"
    return f"{param.name} is {within} {bounds}{default}."


def _fact(program: m.Program, at: int) -> str:
    fact = program.facts[at]
    missing = {
        m.Else.HOLD: "without a report the period is not closed",
        m.Else.LAST: "without a report the last closed period's figure counts (zero in the first)",
        m.Else.ZERO: "without a report it is zero",
        m.Else.MEAN: f"without a report the mean of the last {fact.mean_of} closed periods counts"
        " (zero in the first)",
    }[fact.otherwise]
    period = program.periods[fact.period]
    what, most = f"a count of {fact.type.unit or 'units'}", f"{fact.high:_}"
    if fact.type.kind is m.Kind.MONEY:
        what, most = "an amount", money_text(fact.high, program.currency, program.scale)
    cadence = period.cadence.name.lower()
    end = f"{span_text(period.close_after)} after its end" if any(period.close_after) else "at its end"
    source = program.roles[fact.source].name
    return (
        f"{fact.name}: {what}, at most {most}, by {source}, {cadence};"
        f" each {period.name} is closed {end} at the earliest; {missing}."
    )


def _rate(program: m.Program, at: int) -> str:
    rate = program.rates[at]
    fact = program.facts[rate.fact]
    money = fact.type.kind is m.Kind.MONEY
    span = "the whole term" if rate.over == m.NONE else f"each {program.periods[rate.over].name}"
    parts: list[str] = []
    for tier in rate.tiers:
        if tier.up_to is None:
            reach = "above" if len(rate.tiers) > 1 else "for all"
        else:
            limit = money_text(tier.up_to, program.currency, program.scale) if money else f"{tier.up_to:_}"
            reach = f"up to {limit}"
        parts.append(f"{reach} {_price(program, fact, tier)}")
    how = "each tier prices its own part" if rate.marginal else "the tier that is reached prices everything"
    return f"{rate.name}, on {fact.name} over {span}: {'; '.join(parts)} ({how})."


def _price(program: m.Program, fact: m.Fact, tier: m.Tier) -> str:
    if tier.param != m.NONE:
        return program.params[tier.param].name
    if fact.type.kind is m.Kind.MONEY:
        return percent_text(tier.num * PPM // tier.den)
    return f"{program.currency} {ratio_text(tier.num, tier.den * 10**program.scale)} per {fact.type.unit}"


def _where(program: m.Program, where: tuple[m.Where, ...]) -> str:
    parts: list[str] = []
    for one in where:
        codes = program.params[one.param].name if one.param != m.NONE else _listed(one.codes)
        parts.append(f"{'in' if one.dimension is m.Kind.TERRITORY else 'through'} {codes}")
    return f" {' '.join(parts)}" if parts else ""


def _right(program: m.Program, right: m.Grant | m.Forbid) -> str:
    slots = _listed([program.slots[slot].name for slot in right.slots])
    actions = _listed(right.actions, "or" if isinstance(right, m.Forbid) else "and")
    return f"{actions} {slots}{_where(program, right.where)}"


def _grant(program: m.Program, at: int) -> str:
    grant = program.grants[at]
    term = (
        span_text(grant.during) if grant.during_param == m.NONE else program.params[grant.during_param].name
    )
    exclusive = {
        m.Exclusive.NO: "not exclusive",
        m.Exclusive.SOLE: "sole (only the licensor besides)",
        m.Exclusive.YES: "exclusive",
    }[grant.exclusive]
    to = program.roles[grant.to].name
    may = {
        m.Consent.NO: "may not be",
        m.Consent.WITH_CONSENT: "may with consent be",
        m.Consent.YES: "may be",
    }
    return (
        f"{grant.name} {grant.heading}: {to} may {_right(program, grant)} for {term}"
        f" from the effective date; {exclusive}, {may[grant.sublicense]} sublicensed,"
        f" {may[grant.transfer]} transferred."
    )


def _forbid(program: m.Program, at: int) -> str:
    forbid = program.forbids[at]
    names = [program.grants[grant].name for grant in forbid.excepted]
    excepted = f", except what {_listed(names)} permits" if names else ""
    return f"{forbid.name} {forbid.heading}: nothing here permits to {_right(program, forbid)}{excepted}."


def _clause(program: m.Program, at: int) -> str:
    clause = program.clauses[at]
    when = {
        m.Trigger.ACTIVATED: "when the agreement becomes active",
        m.Trigger.USED: "for each accepted report",
        m.Trigger.CLOSE: "at the close of each period",
    }[clause.trigger]
    if clause.trigger is m.Trigger.CLOSE:
        when = f"at the close of each {program.periods[clause.subject].name}"
    elif clause.trigger is m.Trigger.USED:
        when = f"for each accepted report of {program.facts[clause.subject].name}"
    texts: dict[int, str] = {}
    said: list[str] = []
    for instruction in clause.code:
        if instruction.out != m.NONE:
            texts[instruction.out] = _value(program, instruction, texts)
        else:
            said.append(_posting(program, clause, instruction, texts))
    because = f" ({clause.because.rstrip('.')}.)" if clause.because else ""
    return f"{clause.name} {clause.heading}: {when}, {'; '.join(said)}.{because}"


def _posting(program: m.Program, clause: m.Clause, instruction: m.Instruction, texts: dict[int, str]) -> str:
    role, register, split = instruction.args[:3]
    legs = [_leg(program, leg) for leg in clause.splits[split].legs]
    if len(legs) == 1:
        legs = [f"all of it to {program.roles[clause.splits[split].legs[0].target].name}"]
    verb, due = "pays", ""
    if instruction.op is m.Op.OWES:
        verb, due = "owes", f", due within {span_text(m.Span(*instruction.args[3:]))}"
    amount = _bare(texts[register])
    if amount.startswith(_ROUNDED):  # of the whole of it: a sum of roundings stands in parentheses
        amount = f"{amount[len(_ROUNDED) : -1]}, rounded"
    return f"{program.roles[role].name} {verb} {amount}{due}: {_listed(legs)}"


def _leg(program: m.Program, leg: m.Leg) -> str:
    share = percent_text(leg.ppm) if leg.param == m.NONE else program.params[leg.param].name
    match leg.kind:
        case m.LegKind.SHARE:
            return f"{share} to {program.roles[leg.target].name}"
        case m.LegKind.REST:
            return f"the rest to {program.roles[leg.target].name}"
        case m.LegKind.LINEAGE:
            lineage = program.lineages[leg.target]
            cap = percent_text(lineage.stack_ppm)
            return (
                f"each ancestor its {_weight(lineage)}, together at most {cap}"
                f" (above it all are scaled down alike), by {lineage.name}"
            )
        case m.LegKind.BUDGET:
            lineage = program.lineages[leg.target]
            return (
                f"{share} among the ancestors by their {_weight(lineage)}"
                f" (to the rest where there are none), by {lineage.name}"
            )


def _weight(lineage: m.Lineage) -> str:
    count = "once" if lineage.count is m.LineageCount.ONCE else "on every path"
    return f"{lineage.mode.name.lower()} weight, counted {count}"


def _lineage(program: m.Program, at: int) -> str:
    lineage = program.lineages[at]
    once = lineage.count is m.LineageCount.ONCE
    if lineage.mode is m.LineageMode.RELATIVE:
        weight = "the product of the rates from link to link"
        several = "the largest of its paths counts" if once else "its paths are added up"
    else:
        weight = "the rate of the link that leads to it"
        several = "the largest of several counts" if once else "several are added up"
    of = program.slots[lineage.slot].name
    return (
        f"{lineage.name}, the ancestors of {of} within {lineage.depth} generations:"
        f" the weight of one is {weight}; {several}."
    )


def _value(program: m.Program, instruction: m.Instruction, texts: dict[int, str]) -> str:
    op, _, args = instruction
    match op:
        case m.Op.CONST:
            return _constant(program, program.constants[args[0]])
        case m.Op.PARAM:
            return program.params[args[0]].name
        case m.Op.FACT:
            return program.facts[args[0]].name
        case m.Op.RATE:
            rate = program.rates[args[0]]
            return f"{rate.name} of {program.facts[rate.fact].name}"
        case m.Op.ROUND:
            return f"{_ROUNDED}{_bare(texts[args[0]])})"
        case _:
            sign = {m.Op.ADD: "+", m.Op.SUB: "-", m.Op.MUL: "×"}[op]
            return f"({texts[args[0]]} {sign} {texts[args[1]]})"


def _bare(text: str) -> str:
    return text[1:-1] if text.startswith("(") and text.endswith(")") else text


def _constant(program: m.Program, constant: m.Constant) -> str:
    match constant.type.kind:
        case m.Kind.PERCENT:
            return percent_text(constant.num * PPM // constant.den)
        case m.Kind.MONEY if constant.den == 1:
            return money_text(constant.num, program.currency, program.scale)
        case m.Kind.MONEY:
            return f"{program.currency} {ratio_text(constant.num, constant.den * 10**program.scale)}"
        case m.Kind.PRICE:
            price = ratio_text(constant.num, constant.den * 10**program.scale)
            return f"{program.currency} {price} per {constant.type.unit}"
        case _:
            return (
                decimal_text(constant.num, 0) if constant.den == 1 else ratio_text(constant.num, constant.den)
            )

"""Checks what a template declares: currency, parties, assets, parameters, periods, facts, rates, lineages."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from licensing_vm.codelists import CURRENCIES, KINDS
from licensing_vm.language import syntax as s
from licensing_vm.language.context import Context, Knob, reduced
from licensing_vm.language.diagnostics import Code
from licensing_vm.language.words import LATER
from licensing_vm.program import limits
from licensing_vm.program import model as m
from licensing_vm.program.binding import CODE_TREES, within

_ROUNDINGS: Final[Mapping[str, m.Rounding]] = MappingProxyType({r.name.lower(): r for r in m.Rounding})
_CADENCES: Final[Mapping[str, m.Cadence]] = MappingProxyType({c.name.lower(): c for c in m.Cadence})
_ELSES: Final[Mapping[str, m.Else]] = MappingProxyType({e.name.lower(): e for e in m.Else})
_KINDS: Final[Mapping[str, m.Kind]] = MappingProxyType({k.name.lower(): k for k in m.Kind})


def currency(ctx: Context) -> None:
    """Sets the context's currency, scale and rounding."""
    declared = ctx.template.currency
    if declared is None:
        ctx.error(
            Code.MISSING_PART,
            ctx.template.name.place,
            "The template declares no currency.",
            "Add a line such as: currency EUR scale 2 round half_even;",
        )
        return
    name = declared.name.text
    if name not in CURRENCIES:
        ctx.error(
            Code.CODE_UNKNOWN,
            declared.name.place,
            f"`{name}` is no currency code.",
            "Use a code of ISO 4217, three capital letters such as EUR.",
        )
    ctx.currency = name
    scale = ctx.whole(declared.scale, "A scale")
    if scale is not None and scale > limits.SCALE_MAX:
        ctx.error(
            Code.NUMBER,
            declared.scale.place,
            f"A currency's scale is at most {limits.SCALE_MAX}.",
            "Use the number of decimals that accounts are kept in, such as 2.",
        )
        scale = None
    ctx.scale = scale or 0
    rounding = _ROUNDINGS.get(declared.rounding.text)
    if rounding is None:
        ctx.error(
            Code.CODE_UNKNOWN,
            declared.rounding.place,
            f"`{declared.rounding.text}` is no rounding rule.",
            f"Use one of: {', '.join(_ROUNDINGS)}.",
        )
    else:
        ctx.rounding = rounding


def parties(ctx: Context) -> tuple[m.Role, ...]:
    template = ctx.template
    if not template.parties:
        ctx.error(
            Code.MISSING_PART,
            template.name.place,
            "The template names no parties.",
            "Add a part such as: parties { licensor: one; licensee: one; }",
        )
    kept = ctx.declare(template.parties, ctx.roles, what="party", most=limits.ROLES_MAX)
    return tuple(m.Role(name=party.name.text) for party in kept)


def assets(ctx: Context) -> tuple[m.AssetSlot, ...]:
    template = ctx.template
    if not template.assets:
        ctx.error(
            Code.MISSING_PART,
            template.name.place,
            "The template names no assets.",
            "Add a part such as: assets { work: image; }",
        )
    kept = ctx.declare(template.assets, ctx.slots, what="asset", most=limits.ASSET_SLOTS_MAX)
    for slot in kept:
        if slot.of.text not in KINDS:
            ctx.error(
                Code.CODE_UNKNOWN,
                slot.of.place,
                f"`{slot.of.text}` is no kind of asset.",
                f"Use one of: {', '.join(KINDS.codes)}.",
            )
    return tuple(m.AssetSlot(name=slot.name.text, kind=slot.of.text) for slot in kept)


# --- parameters ----------------------------------------------------------------


def params(ctx: Context) -> tuple[m.Param, ...]:
    kept = ctx.declare(ctx.template.params, ctx.params, what="parameter", most=limits.PARAMS_MAX)
    return tuple(_param(ctx, at, param) for at, param in enumerate(kept))


def type_of(ref: s.TypeRef) -> m.ValueType:
    unit = ref.unit.text if ref.unit else ""
    if ref.name.text == "money" and unit:
        return m.ValueType(m.Kind.PRICE, unit)
    return m.ValueType(_KINDS[ref.name.text], unit)


def _param(ctx: Context, at: int, param: s.Param) -> m.Param:
    of = type_of(param.type)
    name = param.name
    blank: m.Value = (
        {m.Kind.DURATION: m.Span(1, 0)}.get(of.kind, 0)
        if of.kind not in CODE_TREES
        else (CODE_TREES[of.kind].codes[0],)
    )
    nothing = m.Param(name=name.text, type=of, low=blank, high=blank, default=blank)
    if of.kind in CODE_TREES and name.text in CODE_TREES[of.kind]:
        ctx.error(
            Code.NAME_TWICE,
            name.place,
            f"`{name.text}` is also a {CODE_TREES[of.kind].name} code.",
            "Give the parameter another name.",
        )
    if param.range is None:
        ctx.error(
            Code.PARAM_BOUNDS,
            name.place,
            f"The parameter `{name.text}` has no bounds.",
            "Write `= value` for a constant, or `in lowest .. highest default value`.",
        )
        return nothing
    bounds = param.range
    low = value(ctx, of, bounds.low)
    high = low if bounds.high is bounds.low else value(ctx, of, bounds.high) if bounds.high else low
    default = value(ctx, of, bounds.default) if bounds.default else None
    if low is None or high is None or (bounds.default and default is None):
        return nothing
    if bounds.high is None:
        if of.kind in (m.Kind.MONEY, m.Kind.PERCENT, m.Kind.COUNT, m.Kind.PRICE):
            ctx.knobs.append(Knob("param", (at,), bounds.low.place))
        return m.Param(name=name.text, type=of, low=low, high=low, default=low)
    if of.kind in CODE_TREES:
        return _code_param(ctx, param, nothing, high, default)
    if bounds.high is bounds.low or not _rises(low, high):
        ctx.error(
            Code.PARAM_BOUNDS,
            bounds.place,
            f"The bounds of `{name.text}` do not rise from a lowest to a highest value.",
            "Write `in lowest .. highest`, both in the same unit, or `= value` for a constant.",
        )
        return nothing
    found = m.Param(name=name.text, type=of, low=low, high=high, default=default if low != high else low)
    return found if _default_fits(ctx, param, found) else nothing


def _code_param(
    ctx: Context, param: s.Param, nothing: m.Param, high: m.Value, default: m.Value | None
) -> m.Param:
    assert param.range is not None
    if param.range.high is not param.range.low:
        ctx.error(
            Code.PARAM_BOUNDS,
            param.range.place,
            "Codes have no lowest and highest.",
            "Write `in` and the codes that a value must lie in: `in {EEA, CH} default DE`.",
        )
        return nothing
    found = m.Param(name=param.name.text, type=type_of(param.type), low=(), high=high, default=default)
    return found if _default_fits(ctx, param, found) else nothing


def _default_fits(ctx: Context, param: s.Param, found: m.Param) -> bool:
    if found.default is None or within(found, found.default):
        return True
    assert param.range is not None
    place = param.range.default.place if param.range.default else param.range.place
    ctx.error(
        Code.PARAM_BOUNDS,
        place,
        f"The default of `{param.name.text}` is outside its bounds.",
        "Choose a default within the bounds.",
    )
    return False


def _rises(low: m.Value, high: m.Value) -> bool:
    if isinstance(low, m.Span) and isinstance(high, m.Span):
        return bool(low.months) == bool(high.months) and low <= high
    return isinstance(low, int) and isinstance(high, int) and low <= high


def value(ctx: Context, of: m.ValueType, written: s.Literal) -> m.Value | None:
    """A written value in program units, None (and said so) if it is of another type."""
    match of.kind, written:
        case (m.Kind.MONEY | m.Kind.PRICE, s.Money()):
            return ctx.grains(written)
        case (m.Kind.PERCENT, s.Percent()):
            return ctx.ppm(written)
        case (m.Kind.COUNT, s.Number()):
            return ctx.whole(written, "A count")
        case (m.Kind.DURATION, s.Duration()):
            return ctx.span(written)
        case (m.Kind.TERRITORY | m.Kind.MEDIUM, s.Codes()):
            return code_list(ctx, of.kind, written)
    wanted = {
        m.Kind.MONEY: f"an amount such as {ctx.currency} 5.00",
        m.Kind.PRICE: f"an amount such as {ctx.currency} 5.00",
        m.Kind.PERCENT: "a percentage such as 70%",
        m.Kind.COUNT: "a whole number such as 1_000",
        m.Kind.DURATION: "a length of time such as 2 years",
        m.Kind.TERRITORY: "territories such as {DE, AT}",
        m.Kind.MEDIUM: "media such as {web, social}",
    }[of.kind]
    ctx.error(
        Code.TYPE,
        written.place,
        f"A value of type {of.kind.name.lower()} is needed here.",
        f"Write {wanted}.",
    )
    return None


def code_list(ctx: Context, kind: m.Kind, written: s.Codes) -> tuple[str, ...] | None:
    """Codes, sorted and without repetition."""
    tree = CODE_TREES[kind]
    for name in written.names:
        if name.text not in tree:
            ctx.error(
                Code.CODE_UNKNOWN,
                name.place,
                f"`{name.text}` is no {tree.name} code.",
                "Use ISO 3166 country codes or groups such as EEA, EU, WORLD."
                if kind is m.Kind.TERRITORY
                else f"Use one of: {', '.join(tree.codes)}.",
            )
            return None
    return tuple(sorted({name.text for name in written.names}))


# --- periods, facts ------------------------------------------------------------


def periods(ctx: Context) -> tuple[m.Period, ...]:
    kept = ctx.declare(ctx.template.periods, ctx.periods, what="period", most=limits.PERIODS_MAX)
    return tuple(
        m.Period(
            name=period.name.text,
            cadence=_CADENCES[period.cadence.text],
            close_after=ctx.span(period.close_after, zero=True) or m.Span(0, 0),
        )
        for period in kept
    )


def facts(ctx: Context) -> tuple[m.Fact, ...]:
    kept = ctx.declare(ctx.template.facts, ctx.facts, ctx.params, what="fact", most=limits.FACTS_MAX)
    return tuple(_fact(ctx, fact) for fact in kept)


def _fact(ctx: Context, fact: s.Fact) -> m.Fact:
    name = fact.name
    of = type_of(fact.type)
    if fact.source is None:
        ctx.error(
            Code.FACT_SOURCE,
            name.place,
            f"The fact `{name.text}` has no source: nobody is named who reports it.",
            "Add `from` and a party: from licensee.",
        )
    if fact.period is None:
        ctx.error(
            Code.FACT_PERIOD,
            name.place,
            f"The fact `{name.text}` says nothing about how often it is reported.",
            "Add `per` and a period: per month.",
        )
    if fact.otherwise is None:
        ctx.error(
            Code.FACT_ELSE,
            name.place,
            f"The fact `{name.text}` does not say what holds when it is missing at the close.",
            "Add `else hold`, `else last`, `else mean n` or `else zero`.",
        )
    mean = ctx.whole(fact.mean_of, "A number of periods") if fact.mean_of else 0
    if fact.mean_of and mean is not None and not 1 <= mean <= limits.MEAN_MAX:
        ctx.error(
            Code.NUMBER,
            fact.mean_of.place,
            f"A mean is of 1 to {limits.MEAN_MAX} periods.",
            "Use a number of periods in that range.",
        )
    return m.Fact(
        name=name.text,
        type=of,
        source=(ctx.find(ctx.roles, fact.source, "party") if fact.source else 0) or 0,
        period=(ctx.find(ctx.periods, fact.period, "period") if fact.period else 0) or 0,
        high=_fact_high(ctx, of, fact),
        otherwise=_ELSES[fact.otherwise.text] if fact.otherwise else m.Else.HOLD,
        mean_of=mean or 0,
    )


def _fact_high(ctx: Context, of: m.ValueType, fact: s.Fact) -> int:
    """L-10: a fact without bounds is at most 10^15."""
    if fact.range is None:
        return limits.FACT_MAX
    assert fact.range.high is not None
    low, high = value(ctx, of, fact.range.low), value(ctx, of, fact.range.high)
    if low is None or high is None:
        return limits.FACT_MAX
    if low != 0 or not isinstance(high, int) or not 0 < high <= limits.FACT_MAX:
        ctx.error(
            Code.PARAM_BOUNDS,
            fact.range.place,
            f"The bounds of the fact `{fact.name.text}` must begin at zero and end at most at 10^15.",
            "Write `in 0 .. 1_000_000`: a period may always be without use.",
        )
        return limits.FACT_MAX
    return high


# --- rates ---------------------------------------------------------------------


def rates(ctx: Context, params_: tuple[m.Param, ...], facts_: tuple[m.Fact, ...]) -> tuple[m.Rate, ...]:
    kept = ctx.declare(
        ctx.template.rates, ctx.rates, ctx.facts, ctx.params, what="rate", most=limits.RATES_MAX
    )
    return tuple(_rate(ctx, at, rate, params_, facts_) for at, rate in enumerate(kept))


def _rate(
    ctx: Context, at: int, rate: s.Rate, params_: tuple[m.Param, ...], facts_: tuple[m.Fact, ...]
) -> m.Rate:
    fact_at = ctx.find(ctx.facts, rate.fact, "fact")
    fact = facts_[fact_at] if fact_at is not None else None
    over: int | None = m.NONE if rate.over.text == "term" else ctx.find(ctx.periods, rate.over, "period")
    tiers: list[m.Tier] = []
    below = 0
    if not rate.tiers or rate.tiers[-1].up_to is not None:
        ctx.error(
            Code.TIERS,
            rate.tiers[-1].place if rate.tiers else rate.name.place,
            f"The tiers of `{rate.name.text}` do not end in `above`, so more use would have no price.",
            "Add a last tier: above -> price;",
        )
    if len(rate.tiers) > limits.TIERS_MAX:
        ctx.error(Code.TOO_BIG, rate.name.place, f"More than {limits.TIERS_MAX} tiers.", "Use fewer tiers.")
    for k, tier in enumerate(rate.tiers):
        if tier.up_to is None and k < len(rate.tiers) - 1:
            ctx.error(
                Code.TIERS,
                tier.place,
                "`above` is not the last tier.",
                "Move it to the end, or give it a threshold.",
            )
        up_to = _threshold(ctx, rate, tier, fact, below)
        if up_to is not None:
            below = up_to
            ctx.knobs.append(Knob("threshold", (at, k), tier.up_to.place if tier.up_to else tier.place))
        tiers.append(_tier(ctx, at, k, tier, up_to, fact, params_))
    return m.Rate(
        name=rate.name.text,
        fact=fact_at or 0,
        marginal=rate.kind.text == "marginal",
        over=over if over is not None else m.NONE,
        tiers=tuple(tiers) or (m.Tier(up_to=None, num=0, den=1),),
    )


def _threshold(ctx: Context, rate: s.Rate, tier: s.Tier, fact: m.Fact | None, below: int) -> int | None:
    if tier.up_to is None or fact is None:
        return None
    found = value(ctx, fact.type, tier.up_to)
    if not isinstance(found, int):
        return None
    if found <= below:
        ctx.error(
            Code.TIERS,
            tier.up_to.place,
            f"The tiers of `{rate.name.text}` do not rise: this threshold is not above the one before.",
            "Order the tiers by their thresholds, from the lowest to the highest.",
        )
        return None
    return found


def _tier(
    ctx: Context,
    rate: int,
    at: int,
    tier: s.Tier,
    up_to: int | None,
    fact: m.Fact | None,
    params_: tuple[m.Param, ...],
) -> m.Tier:
    num, den, param = 0, 1, m.NONE
    of_money = fact is not None and fact.type.kind is m.Kind.MONEY
    unit = fact.type.unit if fact else ""
    wanted = "a percentage" if of_money else f"{ctx.currency} per {unit}" if unit else "a price per unit"
    match tier.price:
        case s.Percent():
            num, den = reduced(ctx.ppm(tier.price) or 0, limits.PPM)
            fits = of_money
        case s.Price():
            ctx.same_currency(tier.price.money)
            num, den = ctx.exact_money(tier.price.money)
            fits = not of_money and tier.price.unit.text == unit
        case s.Ref():
            found = ctx.find(ctx.params, tier.price.name, "parameter")
            param = m.NONE if found is None else found
            of = m.ValueType(m.Kind.PERCENT) if of_money else m.ValueType(m.Kind.PRICE, unit)
            fits = found is None or params_[found].type == of
    if fact is not None and not fits:
        ctx.error(
            Code.TYPE,
            tier.price.place,
            f"The units do not match: the fact `{fact.name}` is priced by {wanted}.",
            f"Write {wanted} here."
            if unit or of_money
            else f"Declare the fact with a unit, `{fact.name}: count<impression>`, and price that unit.",
        )
        param = m.NONE
    if param == m.NONE:
        ctx.knobs.append(Knob("price", (rate, at), tier.price.place))
    return m.Tier(up_to=up_to, num=num, den=den, param=param)


# --- lineages ------------------------------------------------------------------


def lineages(ctx: Context) -> tuple[m.Lineage, ...]:
    kept = ctx.declare(ctx.template.lineages, ctx.lineages, what="lineage", most=limits.LINEAGES_MAX)
    return tuple(_lineage(ctx, at, lineage) for at, lineage in enumerate(kept))


def _lineage(ctx: Context, at: int, lineage: s.Lineage) -> m.Lineage:
    for part, found, example in (
        ("mode", lineage.mode, "mode relative;"),
        ("depth", lineage.depth, "depth 8;"),
        ("count", lineage.counting, "count once;"),
    ):
        if found is None:
            ctx.error(
                Code.MISSING_PART,
                lineage.name.place,
                f"The lineage `{lineage.name.text}` has no `{part}`.",
                f"Add: {example}",
            )
    if lineage.depth is not None and (lineage.depth.digits, lineage.depth.decimals) != (
        limits.LINEAGE_DEPTH,
        0,
    ):
        ctx.error(
            Code.LATER_VERSION,
            lineage.depth.place,
            f"A `depth` other than {limits.LINEAGE_DEPTH} belongs to a later language version.",
            f"Write: depth {limits.LINEAGE_DEPTH};",
        )
    slot = ctx.find(ctx.slots, lineage.slot, "asset") if lineage.slot else 0
    stack = limits.PPM
    if lineage.stack is not None:
        stack = ctx.ppm(lineage.stack) or 0
        ctx.knobs.append(Knob("stack", (at,), lineage.stack.place))
    return m.Lineage(
        name=lineage.name.text,
        slot=slot or 0,
        mode=m.LineageMode.ABSOLUTE
        if lineage.mode and lineage.mode.text == "absolute"
        else m.LineageMode.RELATIVE,
        count=m.LineageCount.EVERY_PATH
        if lineage.counting and lineage.counting.text == "every"
        else m.LineageCount.ONCE,
        depth=limits.LINEAGE_DEPTH,
        stack_ppm=stack,
    )


assert not set(_ROUNDINGS) & set(LATER)

"""Binding a program: checking parameters at acceptance, and building a split's table (L-4, L-5, L-12, L-13).

`bind` turns named values into the tuple that clauses read and refuses what is
outside the template's bounds. `split_table` turns the legs of one split, with
the bound percents and the ancestors' weights, into integer weights: shares
count 10^-12, and where a lineage is scaled down or a budget divided, all
weights are multiplied so that they stay whole. Build a table once per asset
version; it never changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import lcm
from typing import Final, final

from licensing_vm.codelists import MEDIA, TERRITORIES, CodeTree
from licensing_vm.money.amounts import money_text, percent_text, span_text
from licensing_vm.money.split import splitter
from licensing_vm.program.errors import BindingRefused
from licensing_vm.program.limits import ANCESTORS_MAX, CODES_MAX, PPM, WEIGHT_ONE
from licensing_vm.program.model import (
    NONE,
    Ancestors,
    Kind,
    Leg,
    LegKind,
    Param,
    Payee,
    Program,
    Span,
    Split,
    Value,
)

_WEIGHT_OF_PPM: Final = WEIGHT_ONE // PPM
CODE_TREES: Final[Mapping[Kind, CodeTree]] = {Kind.TERRITORY: TERRITORIES, Kind.MEDIUM: MEDIA}


@final
class Table:
    """A split's payees and its splitter. `pay(T, p)` gives what each payee receives (L-4)."""

    __slots__ = ("pay", "payees", "weights")

    def __init__(self, payees: tuple[Payee, ...], weights: tuple[int, ...]) -> None:
        core = splitter(weights)
        self.payees = payees
        self.weights = core.weights
        self.pay = core.pay


def split_table(
    split: Split, params: Sequence[Value], lineages: Sequence[Ancestors], program: Program
) -> Table:
    """The table of one split. `lineages` holds, per Program.lineages, the ancestors' weights
    (ascending by key) for its mode and count; empty for an asset without ancestors."""
    payees: list[Payee] = []
    exact: list[tuple[int, int]] = []  # weights as (num, den) of WEIGHT_ONE
    rest_at = NONE
    for leg in split.legs:
        if leg.kind is LegKind.REST:
            rest_at = len(exact)
            payees.append(leg.target)
            exact.append((0, 1))
        elif leg.kind is LegKind.SHARE:
            payees.append(leg.target)
            exact.append((_ppm(leg, params) * _WEIGHT_OF_PPM, 1))
        else:
            ancestors = lineages[leg.target]
            assert len(ancestors) <= ANCESTORS_MAX, len(ancestors)
            payees += [key for key, _ in ancestors]
            exact += _lineage_weights(leg, params, ancestors, program)
    scale = lcm(*(den for _, den in exact))
    weights = [num * (scale // den) for num, den in exact]
    if rest_at != NONE:
        weights[rest_at] = WEIGHT_ONE * scale - sum(weights)
    assert weights[rest_at] >= 0, "the verifier keeps fixed legs and stack within 100 %"
    return Table(tuple(payees), tuple(weights))


def _ppm(leg: Leg, params: Sequence[Value]) -> int:
    if leg.param == NONE:
        return leg.ppm
    value = params[leg.param]
    assert isinstance(value, int)
    return value


def _lineage_weights(
    leg: Leg, params: Sequence[Value], ancestors: Ancestors, program: Program
) -> list[tuple[int, int]]:
    """L-13: a budget is divided in proportion; weights within the cap stand, above it they scale down."""
    summed = sum(weight for _, weight in ancestors)
    if leg.kind is LegKind.BUDGET:
        cap = _ppm(leg, params) * _WEIGHT_OF_PPM
    else:
        cap = program.lineages[leg.target].stack_ppm * _WEIGHT_OF_PPM
        if summed <= cap:
            return [(weight, 1) for _, weight in ancestors]
    if not summed:
        return [(0, 1) for _ in ancestors]
    return [(weight * cap, summed) for _, weight in ancestors]


def bind(program: Program, given: Mapping[str, Value]) -> tuple[Value, ...]:
    """One value per parameter: as given, else its default. Refuses unknown names and values out of bounds."""
    names = {param.name for param in program.params}
    for name in sorted(given):
        if name not in names:
            raise BindingRefused(
                f"The template {program.name} has no parameter {name!r}.",
                f"Its parameters are: {', '.join(sorted(names)) or 'none'}.",
                {"parameter": name},
            )
    return tuple(_bound(program, param, given) for param in program.params)


def _bound(program: Program, param: Param, given: Mapping[str, Value]) -> Value:
    value = given.get(param.name, param.default)
    facts = {"parameter": param.name}
    if value is None:
        raise BindingRefused(
            f"The parameter {param.name} has no default and was not given.",
            f"Give a value within {bounds_text(program, param)}.",
            facts,
        )
    if not within(param, value):
        raise BindingRefused(
            f"The parameter {param.name} may not be {value_text(program, param.type.kind, value)}.",
            f"It must be within {bounds_text(program, param)}.",
            facts,
        )
    return value


def within(param: Param, value: Value) -> bool:
    """Whether a value has the parameter's type and lies in its bounds."""
    tree = CODE_TREES.get(param.type.kind)
    if tree is not None:
        if not isinstance(value, tuple) or isinstance(value, Span) or not 0 < len(value) <= CODES_MAX:
            return False
        if list(value) != sorted(set(value)) or not all(code in tree for code in value):
            return False
        assert isinstance(param.high, tuple)
        wide = tree.mask(str(code) for code in param.high)
        mask = tree.mask(value)
        return mask == wide if param.low == param.high else not mask & ~wide
    if param.type.kind is Kind.DURATION:
        low, high = param.low, param.high
        if not isinstance(value, Span) or not isinstance(low, Span) or not isinstance(high, Span):
            return False
        if high.months:  # bounds are both in months or both in days
            return value.days == 0 and low.months <= value.months <= high.months
        return value.months == 0 and low.days <= value.days <= high.days
    if isinstance(value, bool) or not isinstance(value, int):
        return False
    assert isinstance(param.low, int)
    assert isinstance(param.high, int)
    return param.low <= value <= param.high


def value_text(program: Program, kind: Kind, value: Value) -> str:
    """A bound value as the template would write it."""
    if isinstance(value, Span):
        return span_text(value)
    if isinstance(value, tuple):
        return str(value[0]) if len(value) == 1 else "{" + ", ".join(str(code) for code in value) + "}"
    if kind in (Kind.MONEY, Kind.PRICE):
        return money_text(value, program.currency, program.scale)
    return percent_text(value) if kind is Kind.PERCENT else f"{value:_}"


def bounds_text(program: Program, param: Param) -> str:
    """The bounds of a parameter as the template would write them."""
    high = value_text(program, param.type.kind, param.high)
    if param.low == param.high or param.type.kind in CODE_TREES:
        return high
    return f"{value_text(program, param.type.kind, param.low)} .. {high}"

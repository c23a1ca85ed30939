"""Bounds of every value in a clause, proved before it runs.

A register is described as a polynomial over the clause's inputs (parameters,
facts, results of rates) plus an interval for what rounding may have moved. A
polynomial that is linear in each variable takes its extremes at the corners of
the box of bounds, so `fee - 10 % of fee` is known not to be negative, where
plain intervals would refuse it. Plain intervals are kept beside it, because
they know that rounding never changes a sign; a bound is the better of both.
The work is bounded: beyond it a clause is too complex. Exact rationals only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Final, NamedTuple

from licensing_vm.money.amounts import round_ratio
from licensing_vm.program.limits import EXACT_BITS_MAX, PPM, SPAN_TOTAL_FACTOR
from licensing_vm.program.model import (
    NONE,
    Clause,
    Constant,
    Kind,
    Op,
    Program,
    Rate,
    Rounding,
    Tier,
    Trigger,
)

_CORNER_VARIABLES_MAX: Final = 8
_TERMS_MAX: Final = 128
_WORK_MAX: Final = 12_000  # factors of terms multiplied or evaluated for one clause
_OF_AN_INTERVAL: Final = 6  # an interval is four products and two comparisons
_BITS_OF_ONE_UNIT: Final = 256  # larger denominators take longer

# A variable: an operation that reads an input, and the input's index.
Variable = tuple[Op, int]
# Sorted variables with repetition -> coefficient. The empty monomial is the constant.
Terms = Mapping[tuple[Variable, ...], Fraction]


class Bounds(NamedTuple):
    low: Fraction
    high: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What is known of a register: it is terms + something within `error`, within `span`, and a
    multiple of 1/den."""

    terms: Terms
    error: Bounds
    span: Bounds
    den: int


_ZERO: Final = Bounds(Fraction(0), Fraction(0))


class TooComplex(Exception):
    """A clause whose values have more terms, or more corners, than are worth analysing."""


def rate_bounds(program: Program, rate: Rate, *, once: bool) -> Bounds:
    """What one evaluation of a rate can give, in grains: 0 .. the most.

    `once` says that the whole span is rated in one go, so that nothing came before.
    """
    now = program.facts[rate.fact].high
    dearest = max(_price_bounds(program, tier).high for tier in rate.tiers)
    total = now if once or rate.marginal else now * SPAN_TOTAL_FACTOR
    return Bounds(Fraction(0), Fraction(dearest * total + 1))


def _price_bounds(program: Program, tier: Tier) -> Bounds:
    if tier.param == NONE:
        return Bounds(Fraction(tier.num, tier.den), Fraction(tier.num, tier.den))
    return _param_bounds(program, tier.param)


def _param_bounds(program: Program, at: int) -> Bounds:
    param = program.params[at]
    assert isinstance(param.low, int)
    assert isinstance(param.high, int)
    den = PPM if param.type.kind is Kind.PERCENT else 1
    return Bounds(Fraction(param.low, den), Fraction(param.high, den))


def falls_at(program: Program, rate: Rate) -> int | None:
    """The index of the first tier of a slab rate whose beginning owes less than the end of the one before."""
    if rate.marginal:
        return None
    for at, (tier, following) in enumerate(zip(rate.tiers, rate.tiers[1:], strict=False)):
        assert tier.up_to is not None
        at_threshold = _price_bounds(program, tier).high * tier.up_to
        if _price_bounds(program, following).low * (tier.up_to + 1) < at_threshold:
            return at + 1
    return None


class Analysis:
    """The shapes of a clause's registers, filled in text order by `step`."""

    def __init__(self, program: Program, trigger: Trigger, subject: int) -> None:
        self._program = program
        self._trigger = trigger
        self._subject = subject
        self._work = 0
        self._boxes: dict[Variable, Bounds] = {}
        self.shapes: dict[int, Shape] = {}

    @classmethod
    def of(cls, program: Program, clause: Clause) -> Analysis:
        analysis = cls(program, clause.trigger, clause.subject)
        for op, out, args in clause.code:
            if out != NONE:
                analysis.step(op, out, args)
        return analysis

    def step(self, op: Op, out: int, args: tuple[int, ...]) -> Shape:
        """Describe register `out`. Raises `TooComplex`."""
        shape = self._shape(op, args)
        if len(shape.terms) > _TERMS_MAX or max(map(_bits, shape.span)) > 2 * EXACT_BITS_MAX:
            raise TooComplex
        self.shapes[out] = shape
        return shape

    def constant(self, at: int) -> Constant:
        """The constant at an index; the checker overrides this while it still gathers them."""
        return self._program.constants[at]

    def _shape(self, op: Op, args: tuple[int, ...]) -> Shape:
        program = self._program
        match op:
            case Op.CONST:
                constant = self.constant(args[0])
                return _constant(Fraction(constant.num, constant.den), constant.den)
            case Op.PARAM:
                bounds = _param_bounds(program, args[0])
                den = PPM if program.params[args[0]].type.kind is Kind.PERCENT else 1
                if bounds.low == bounds.high:
                    return _constant(bounds.low, den)
                return Shape(terms={((op, args[0]),): Fraction(1)}, error=_ZERO, span=bounds, den=den)
            case Op.FACT | Op.RATE:
                span = self._box((op, args[0]))
                return Shape(terms={((op, args[0]),): Fraction(1)}, error=_ZERO, span=span, den=1)
            case Op.ADD | Op.SUB:
                return self._sum(self.shapes[args[0]], self.shapes[args[1]], 1 if op is Op.ADD else -1)
            case Op.MUL:
                return self._product(self.shapes[args[0]], self.shapes[args[1]])
            case Op.ROUND:
                return self._rounded(self.shapes[args[0]])
            case _:
                raise AssertionError(op)

    def _sum(self, a: Shape, b: Shape, sign: int) -> Shape:
        self._spend((len(a.terms) + len(b.terms)) // 4)
        terms = dict(a.terms)
        for monomial, coefficient in b.terms.items():
            terms[monomial] = terms.get(monomial, Fraction(0)) + sign * coefficient
        low, high = (b.error.low, b.error.high) if sign > 0 else (-b.error.high, -b.error.low)
        den = a.den * b.den // _gcd(a.den, b.den)
        return Shape(
            terms={k: v for k, v in terms.items() if v},
            error=Bounds(a.error.low + low, a.error.high + high),
            span=_plus(a.span, b.span) if sign > 0 else _plus(a.span, Bounds(-b.span.high, -b.span.low)),
            den=den,
        )

    def _product(self, a: Shape, b: Shape) -> Shape:
        terms: dict[tuple[Variable, ...], Fraction] = {}
        self._spend(len(a.terms) * len(b.terms) * (1 + (a.den * b.den).bit_length() // _BITS_OF_ONE_UNIT))
        for left, x in a.terms.items():
            for right, y in b.terms.items():
                monomial = tuple(sorted(left + right))
                terms[monomial] = terms.get(monomial, Fraction(0)) + x * y
        # (A + e)(B + f) = AB + Af + Be + ef
        error = _ZERO
        if a.error != _ZERO or b.error != _ZERO:
            for one, other in ((self._exact(a), b.error), (self._exact(b), a.error), (a.error, b.error)):
                error = _plus(error, _times(one, other))
        return Shape(
            terms={k: v for k, v in terms.items() if v},
            error=error,
            span=_times(a.span, b.span),
            den=a.den * b.den,
        )

    def _rounded(self, of: Shape) -> Shape:
        if of.den == 1:
            return of
        rule = self._program.rounding
        most = Fraction(of.den - 1, of.den)
        if rule in (Rounding.HALF_EVEN, Rounding.HALF_UP, Rounding.HALF_DOWN):
            moved = Bounds(Fraction(-1, 2), Fraction(1, 2))
        else:  # up and down turn round at zero
            moved = Bounds(-most, most)
        # Rounding is monotone, so it takes the ends of a span to the ends of the rounded one.
        low, high = self._best(of)
        return Shape(
            terms=of.terms,
            error=_plus(of.error, moved),
            span=Bounds(
                Fraction(round_ratio(low.numerator, low.denominator, rule)),
                Fraction(round_ratio(high.numerator, high.denominator, rule)),
            ),
            den=1,
        )

    def _box(self, variable: Variable) -> Bounds:
        known = self._boxes.get(variable)
        if known is None:
            known = self._boxes[variable] = self._range(*variable)
        return known

    def _range(self, op: Op, at: int) -> Bounds:
        if op is Op.PARAM:
            return _param_bounds(self._program, at)
        if op is Op.FACT:
            return Bounds(Fraction(0), Fraction(self._program.facts[at].high))
        rate = self._program.rates[at]
        self._spend(2 * len(rate.tiers))
        once = self._trigger is Trigger.CLOSE and rate.over == self._subject
        return rate_bounds(self._program, rate, once=once)

    def _exact(self, shape: Shape) -> Bounds:
        """The range of the terms alone."""
        variables = sorted({v for monomial in shape.terms for v in monomial})
        corners = len(variables) <= _CORNER_VARIABLES_MAX
        corners = corners and all(len(set(monomial)) == len(monomial) for monomial in shape.terms)
        # Where each variable stands alone, intervals are exact and need no corners.
        corners = corners and any(len(monomial) > 1 for monomial in shape.terms)
        size = sum(len(monomial) + 1 for monomial in shape.terms)
        size *= 1 + shape.den.bit_length() // _BITS_OF_ONE_UNIT
        self._spend(size << len(variables) if corners else _OF_AN_INTERVAL * size)
        if corners:
            values = [
                _evaluate(shape.terms, dict(zip(variables, corner, strict=True)))
                for corner in product(*(self._box(v) for v in variables))
            ]
            return Bounds(min(values), max(values))
        low = high = Fraction(0)
        for monomial, coefficient in shape.terms.items():
            span = Bounds(coefficient, coefficient)
            for variable in monomial:
                span = _times(span, self._box(variable))
            low, high = low + span.low, high + span.high
        return Bounds(low, high)

    def _spend(self, work: int) -> None:
        self._work += work
        if self._work > _WORK_MAX:
            raise TooComplex

    def _best(self, shape: Shape) -> Bounds:
        """The narrower, at each end, of what the terms and what plain intervals tell."""
        low, high = _plus(self._exact(shape), shape.error)
        return Bounds(max(low, shape.span.low), min(high, shape.span.high))

    def bounds(self, register: int) -> Bounds:
        """The range of a register, tightened to whole multiples of its grain. Raises `TooComplex`."""
        shape = self.shapes[register]
        low, high = self._best(shape)
        return Bounds(
            Fraction(-(-low.numerator * shape.den // low.denominator), shape.den),
            Fraction(high.numerator * shape.den // high.denominator, shape.den),
        )

    def falls_with(self, register: int) -> Variable | None:
        """The fact or rate whose growth lowers this register somewhere, if there is one (its slope is
        linear in every other input, so its least is at a corner)."""
        shape = self.shapes[register]
        usage = sorted({v for monomial in shape.terms for v in monomial if v[0] is not Op.PARAM})
        for variable in usage:
            slope: dict[tuple[Variable, ...], Fraction] = {}
            for monomial, coefficient in shape.terms.items():
                times = monomial.count(variable)
                if times:
                    rest = list(monomial)
                    rest.remove(variable)
                    key = tuple(rest)
                    slope[key] = slope.get(key, Fraction(0)) + coefficient * times
            if self._exact(Shape(terms=slope, error=_ZERO, span=_ZERO, den=1)).low < 0:
                return variable
        return None


def _constant(value: Fraction, den: int) -> Shape:
    return Shape(terms={(): value} if value else {}, error=_ZERO, span=Bounds(value, value), den=den)


def _plus(a: Bounds, b: Bounds) -> Bounds:
    return Bounds(a.low + b.low, a.high + b.high)


def _times(a: Bounds, b: Bounds) -> Bounds:
    corners = [x * y for x in a for y in b]
    return Bounds(min(corners), max(corners))


def _evaluate(terms: Terms, values: Mapping[Variable, Fraction]) -> Fraction:
    total = Fraction(0)
    for monomial, coefficient in terms.items():
        term = coefficient
        for variable in monomial:
            term *= values[variable]
        total += term
    return total


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _gcd(a: int, b: int) -> int:
    while b:
        a, b = b, a % b
    return a

"""Turns expressions into straight-line instructions, with types, units and exactness checked.

Every operation names a new register. Rounding happens at `let` and at rates
only (L-6), so a value reaches an account rounded exactly once: not never, and
not twice. Diagnostics stand at the operand or operator that is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from licensing_vm.language import syntax as s
from licensing_vm.language.context import Context, Knob, reduced
from licensing_vm.language.diagnostics import Code, Place
from licensing_vm.language.work import STEP
from licensing_vm.program import model as m
from licensing_vm.program.analysis import Analysis, TooComplex
from licensing_vm.program.instructions import MONEY, NUMBER, PERCENT, product_type, sum_type, type_text
from licensing_vm.program.limits import EXACT_BITS_MAX, INSTRUCTIONS_MAX, PPM


class Value(NamedTuple):
    """A register and its type."""

    register: int
    type: m.ValueType


@dataclass(frozen=True, slots=True, kw_only=True)
class Origins:
    """Which rounded values an expression adds up, and which it multiplies further."""

    added: frozenset[str] = frozenset()
    multiplied: frozenset[str] = frozenset()

    @property
    def size(self) -> int:
        return len(self.added) + len(self.multiplied)

    def sum_with(self, other: Origins) -> Origins:
        return Origins(added=self.added | other.added, multiplied=self.multiplied | other.multiplied)

    def times(self, other: Origins) -> Origins:
        everything = self.added | self.multiplied | other.added | other.multiplied
        return Origins(multiplied=everything)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The declared parts that expressions refer to, by index."""

    params: tuple[m.Param, ...]
    facts: tuple[m.Fact, ...]
    rates: tuple[m.Rate, ...]


class Refused(Exception):
    """An expression that was refused; its diagnostic has been said."""


@dataclass(slots=True, kw_only=True)
class Lowering:
    """The code of one clause as it grows. `skeleton` is the program so far, for the analysis."""

    ctx: Context
    tables: Tables
    trigger: m.Trigger
    subject: int
    analysis: Analysis
    code: list[m.Instruction] = field(default_factory=list)
    types: list[m.ValueType] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)  # let names
    origins: dict[str, Origins] = field(default_factory=dict)  # what went into each let name
    seen: dict[str, Origins] = field(default_factory=dict)  # what whoever uses the name has to know

    def emit(self, op: m.Op, args: tuple[int, ...], of: m.ValueType, place: Place) -> Value:
        if len(self.code) >= INSTRUCTIONS_MAX - 1:
            self._refuse(Code.TOO_BIG, place, "This clause is too long.", "Divide it into several clauses.")
        self.ctx.work.spend(STEP, place)
        out = len(self.types)
        self.types.append(of)
        self.code.append(m.Instruction(op, out, args))
        try:
            shape = self.analysis.step(op, out, args)
        except TooComplex:
            shape = None
        if shape is None or shape.den.bit_length() > EXACT_BITS_MAX:
            self._refuse(
                Code.TOO_BIG,
                place,
                "This calculation has too many terms to be checked.",
                "Name parts with `let`.",
            )
        return Value(out, of)

    def _refuse(self, code: Code, place: Place, reason: str, remedy: str) -> None:
        self.ctx.error(code, place, reason, remedy)
        raise Refused

    def text(self, of: m.ValueType) -> str:
        return type_text(of, self.ctx.currency)

    def let(self, let: s.Let) -> None:
        """`let name = expression;` – money is rounded here if it is not whole already (L-6)."""
        name = let.name
        ctx = self.ctx
        if (
            name.text in self.values
            or name.text in ctx.params
            or name.text in ctx.facts
            or name.text in ctx.rates
        ):
            self._refuse(
                Code.NAME_TWICE,
                name.place,
                f"The name `{name.text}` is used twice; every value is named once.",
                "Choose another name.",
            )
        value = self.lower(let.value)
        origins = self.origins_of(let.value)
        seen = origins
        if value.type == MONEY and self.analysis.shapes[value.register].den != 1:
            value = self.emit(m.Op.ROUND, (value.register,), MONEY, name.place)
            origins = Origins(added=origins.added | {name.text}, multiplied=origins.multiplied)
            # What went into a rounded value is that value's affair.
            seen = Origins(added=origins.added)
        self.values[name.text] = value
        self.origins[name.text] = origins
        self.seen[name.text] = seen

    def origins_of(self, expr: s.Expr) -> Origins:
        match expr:
            case s.Ref():
                return self.seen.get(expr.name.text, Origins())
            case s.Call():
                return Origins(added=frozenset({f"{expr.rate.text}({expr.fact.text})"}))
            case s.Binary():
                left, right = self.origins_of(expr.left), self.origins_of(expr.right)
                self.ctx.work.spend(1 + (left.size + right.size) // 8, expr.place)
                return left.times(right) if expr.op == "*" else left.sum_with(right)
            case _:
                return Origins()

    def lower(self, expr: s.Expr) -> Value:
        match expr:
            case s.Binary():
                return self._binary(expr)
            case s.Ref():
                return self._reference(expr)
            case s.Call():
                return self._call(expr)
            case s.Number():
                return self._constant(NUMBER, expr.digits, 10**expr.decimals, expr.place)
            case s.Percent():
                ppm = self.ctx.ppm(expr)
                if ppm is None:
                    raise Refused
                return self._constant(PERCENT, ppm, PPM, expr.place)
            case s.Money():
                if not self.ctx.same_currency(expr):
                    raise Refused
                return self._constant(MONEY, *self.ctx.exact_money(expr), expr.place)
            case s.Price():
                if not self.ctx.same_currency(expr.money):
                    raise Refused
                of = m.ValueType(m.Kind.PRICE, expr.unit.text)
                return self._constant(of, *self.ctx.exact_money(expr.money), expr.place)

    def _constant(self, of: m.ValueType, num: int, den: int, place: Place) -> Value:
        num, den = reduced(num, den)
        if not self.ctx.small(num, place) or not self.ctx.small(den, place):
            raise Refused
        at = len(self.ctx.constants)
        self.ctx.constants.append(m.Constant(of, num, den))
        self.ctx.knobs.append(Knob("constant", (at,), place))
        return self.emit(m.Op.CONST, (at,), of, place)

    def _reference(self, expr: s.Ref) -> Value:
        ctx, name = self.ctx, expr.name
        if name.text in self.values:
            ctx.use("value", name.text)
            return self.values[name.text]
        if name.text in ctx.params:
            at = ctx.params[name.text]
            ctx.use("parameter", name.text)
            of = self.tables.params[at].type
            if of.kind > m.Kind.PRICE:
                self._refuse(
                    Code.TYPE,
                    expr.place,
                    f"`{name.text}` is {self.text(of)} and cannot be calculated with.",
                    "Use money, a percentage, a count or a price.",
                )
            return self.emit(m.Op.PARAM, (at,), of, expr.place)
        if name.text in ctx.facts:
            at = ctx.facts[name.text]
            self._readable(at, name)
            return self.emit(m.Op.FACT, (at,), self.tables.facts[at].type, expr.place)
        if name.text in ctx.rates:
            at = self.tables.rates[ctx.rates[name.text]].fact
            fact = self.tables.facts[at].name if at < len(self.tables.facts) else "its_fact"
            self._refuse(
                Code.TYPE,
                expr.place,
                f"`{name.text}` is a rate, not a value.",
                f"Apply it to its fact: {name.text}({fact}).",
            )
        ctx.unknown(name, "value", {**ctx.params, **ctx.facts, **dict.fromkeys(self.values, 0)})
        raise Refused

    def _readable(self, fact: int, name: s.Name) -> None:
        self.ctx.use("fact", self.tables.facts[fact].name)
        if self.trigger is m.Trigger.CLOSE and self.tables.facts[fact].period == self.subject:
            return
        if self.trigger is m.Trigger.USED and fact == self.subject:
            return
        self._refuse(
            Code.FACT_PERIOD,
            name.place,
            f"The fact `{self.tables.facts[fact].name}` is not known when this clause runs.",
            "Read a fact at the close of its own period, or `on used` of itself.",
        )

    def _call(self, expr: s.Call) -> Value:
        ctx = self.ctx
        rate_at = ctx.find(ctx.rates, expr.rate, "rate")
        fact_at = ctx.find(ctx.facts, expr.fact, "fact")
        if rate_at is None or fact_at is None:
            raise Refused
        rate = self.tables.rates[rate_at]
        priced = self.tables.facts[rate.fact].name
        if rate.fact != fact_at:
            self._refuse(
                Code.TYPE,
                expr.fact.place,
                f"The rate `{rate.name}` prices `{priced}`, not `{expr.fact.text}`.",
                f"Write {rate.name}({priced}).",
            )
        self._readable(fact_at, expr.fact)
        return self.emit(m.Op.RATE, (rate_at,), MONEY, expr.place)

    def _binary(self, expr: s.Binary) -> Value:
        left, right = self.lower(expr.left), self.lower(expr.right)
        rule = product_type if expr.op == "*" else sum_type
        of = rule(left.type, right.type)
        if of is None:
            verb = {"+": "plus", "-": "minus", "*": "times"}[expr.op]
            self._refuse(
                Code.TYPE,
                expr.place,
                f"Units do not match: {self.text(left.type)} {verb} {self.text(right.type)}.",
                self._remedy(expr.op, left.type, right.type),
            )
            raise AssertionError
        op = {"+": m.Op.ADD, "-": m.Op.SUB, "*": m.Op.MUL}[expr.op]
        return self.emit(op, (left.register, right.register), of, expr.place)

    def _remedy(self, op: str, left: m.ValueType, right: m.ValueType) -> str:
        kinds = {left.kind: left, right.kind: right}
        if op == "*" and set(kinds) == {m.Kind.MONEY, m.Kind.COUNT}:
            unit = kinds[m.Kind.COUNT].unit
            return f"Make the money a price: {self.ctx.currency} 0.01 per {unit}, or `money per {unit}`."
        if op == "*":
            return "Multiply by a percentage or a plain number, or a count by its price per unit."
        return "Add and subtract only like and like: money and money, or a count and the same count."


def same(one: s.Expr, other: s.Expr) -> bool:
    """Whether two expressions are written alike, wherever they stand."""
    match one, other:
        case (s.Binary(), s.Binary()):
            return one.op == other.op and same(one.left, other.left) and same(one.right, other.right)
        case (s.Ref(), s.Ref()):
            return one.name.text == other.name.text
        case (s.Call(), s.Call()):
            return one.rate.text == other.rate.text and one.fact.text == other.fact.text
        case (s.Money(), s.Money()):
            return one.currency.text == other.currency.text and same(one.number, other.number)
        case (s.Percent(), s.Percent()):
            return same(one.number, other.number)
        case (s.Price(), s.Price()):
            return same(one.money, other.money) and one.unit.text == other.unit.text
        case (s.Number(), s.Number()):
            return (one.digits, one.decimals) == (other.digits, other.decimals)
        case _:
            return False


# An operator and the one of its right side, where the text reads the same without parentheses.
_NO_PARENTHESES: Final = frozenset({("+", "+"), ("+", "-"), ("+", "*"), ("-", "*"), ("*", "*")})


def expr_text(expr: s.Expr) -> str:
    """An expression as it would be written, for messages."""
    match expr:
        case s.Binary():
            left, right = expr_text(expr.left), expr_text(expr.right)
            if expr.op == "*" and isinstance(expr.left, s.Binary) and expr.left.op != "*":
                left = f"({left})"
            if isinstance(expr.right, s.Binary) and (expr.op, expr.right.op) not in _NO_PARENTHESES:
                right = f"({right})"
            return f"{left} {expr.op} {right}"
        case s.Ref():
            return expr.name.text
        case s.Call():
            return f"{expr.rate.text}({expr.fact.text})"
        case s.Money():
            return f"{expr.currency.text} {expr_text(expr.number)}"
        case s.Percent():
            return f"{expr_text(expr.number)}%"
        case s.Price():
            return f"{expr_text(expr.money)} per {expr.unit.text}"
        case s.Number():
            text = str(expr.digits).rjust(expr.decimals + 1, "0")
            return f"{text[: -expr.decimals]}.{text[-expr.decimals :]}" if expr.decimals else text

"""Parsing of values and expressions: money, percents, durations, codes, and sums of products."""

from __future__ import annotations

from licensing_vm.language import syntax as s
from licensing_vm.language.cursor import Cursor
from licensing_vm.language.diagnostics import Code, Place
from licensing_vm.language.tokens import T
from licensing_vm.language.words import LATER, LATER_BUT_NAMEABLE, time_unit
from licensing_vm.program.limits import CODES_MAX, NESTING_MAX

_OPERATORS_MAX = 64  # in one expression


def from_to(first: Place, last: Place) -> Place:
    """A place from one to the other, if they are on one line; else the first."""
    if first.line != last.line:
        return first
    return Place(first.line, first.column, last.column + last.length - first.column)


def money(c: Cursor, what: str = "an amount of money such as EUR 5.00") -> s.Money:
    if c.now.kind is not T.NAME or c.following.kind is not T.NUMBER:
        c.unexpected(what)
    currency = c.word(what)
    number = c.number(what)
    return s.Money(currency, number, from_to(currency.place, number.place))


def percent(c: Cursor, number: s.Number) -> s.Percent:
    sign = c.need("%", "after the number")
    return s.Percent(number, from_to(number.place, sign.place))


def duration(c: Cursor) -> s.Duration:
    number = c.number("a number of days, months or years")
    if c.now.kind is not T.NAME or time_unit(c.now.text) is None:
        c.unexpected("days, weeks, months, quarters or years")
    unit = c.word("a unit of time")
    return s.Duration(number, unit, from_to(number.place, unit.place))


def codes(c: Cursor, what: str) -> s.Codes:
    """One code, or `{a, b, c}`."""
    if not c.at("{"):
        one = c.word(what)
        return s.Codes((one,), False, one.place)
    opening = c.take().place
    names = [c.word(what)]
    while c.skip(",") and not c.at("}"):
        names.append(c.word(what))
        if len(names) > CODES_MAX:
            c.stop(Code.TOO_BIG, opening, f"This list has more than {CODES_MAX} codes.", "Use a group code.")
    closing = c.need("}", "at the end of the list")
    return s.Codes(tuple(names), True, from_to(opening, closing.place))


def literal(c: Cursor, what: str) -> s.Literal:
    """Any value a parameter or a fact can have."""
    if c.now.kind is T.NUMBER:
        following = c.following
        if following.kind is T.NAME and time_unit(following.text):
            return duration(c)
        number = c.number(what)
        return percent(c, number) if c.at("%") else number
    if c.now.kind is T.NAME and c.following.kind is T.NUMBER:
        return money(c)
    if c.now.kind is T.NAME or c.at("{"):
        return codes(c, what)
    c.unexpected(what)


class Expressions:
    """A sum of products. Bounded in depth and length; `/` and later functions are refused by name."""

    def __init__(self, c: Cursor) -> None:
        self._c = c
        self._depth = 0
        self._operators = 0

    def whole(self) -> s.Expr:
        left = self._product()
        while self._c.at("+", "-"):
            left = self._binary(left, self._product)
        return left

    def _product(self) -> s.Expr:
        left = self._factor()
        while self._c.at("*", "/"):
            if self._c.at("/"):
                self._c.later(self._c.now, "division")
            left = self._binary(left, self._factor)
        return left

    def _binary(self, left: s.Expr, right: object) -> s.Expr:
        assert callable(right)
        op = self._c.take()
        self._operators += 1
        if self._operators > _OPERATORS_MAX:
            self._c.stop(
                Code.TOO_BIG,
                op.place,
                f"This calculation has more than {_OPERATORS_MAX} operations.",
                "Name parts of it with `let`.",
            )
        return s.Binary(op.text, left, right(), op.place)

    def _factor(self) -> s.Expr:
        c = self._c
        if c.at("("):
            self._depth += 1
            if self._depth > NESTING_MAX:
                c.stop(
                    Code.TOO_BIG,
                    c.now.place,
                    f"Parentheses are nested more than {NESTING_MAX} deep.",
                    "Name parts of the calculation with `let`.",
                )
            c.take()
            inner = self.whole()
            c.need(")", "to close the parenthesis")
            self._depth -= 1
            return inner
        if c.now.kind is T.NUMBER:
            number = c.number("a number")
            return percent(c, number) if c.at("%") else number
        if c.now.kind is T.NAME and c.following.kind is T.NUMBER and c.now.text not in LATER:
            return price(c)
        return self._reference()

    def _reference(self) -> s.Expr:
        c = self._c
        word, following = c.now, c.following
        if word.kind is T.NAME and word.text in LATER:
            # `release holdback` is a later construct, `release;` a parameter of that name.
            used_as_name = word.text in LATER_BUT_NAMEABLE and following.kind is not T.NAME
            if not used_as_name and following.text not in ("to", "due"):
                c.later(word)
        name = c.name("a value")
        if not c.at("("):
            return s.Ref(name, name.place)
        c.take()
        fact = c.name("the rate's fact")
        closing = c.need(")", "after the rate's fact")
        return s.Call(name, fact, from_to(name.place, closing.place))


def expression(c: Cursor) -> s.Expr:
    return Expressions(c).whole()


def price(c: Cursor) -> s.Money | s.Price:
    """`EUR 5.00` or `EUR 0.002 per impression`"""
    amount = money(c)
    if not c.skip("per"):
        return amount
    unit = c.word("the unit that is counted")
    return s.Price(amount, unit, from_to(amount.place, unit.place))

"""Values of parameters as text: what a client writes in a binding, and how the ledger stores it.

    money     EUR 1_000.50        at most the template's decimals
    percent   12.5%               at most four decimals
    count     1_000
    price     EUR 0.0020          `per UNIT` may follow, the parameter's own
    span      30 days | 2 years | 18 months | 2 weeks
    codes     EEA | {DE, FR}

Reading and writing are inverse; `canonical` is the one text that is stored. Bounds are the binding's
business (`program.binding`).
"""

from __future__ import annotations

import re
from typing import Final

from licensing_vm.errors import Refused
from licensing_vm.money.amounts import parse_decimal
from licensing_vm.program.binding import CODE_TREES, value_text
from licensing_vm.program.limits import CODES_MAX, PERCENT_DECIMALS, PPM, SCALE_MAX
from licensing_vm.program.model import Kind, Param, Program, Span, Value

_DIGITS: Final = r"(?=[0-9_]{1,26}(?![0-9_]))[0-9]+(?:_[0-9]+)*"  # as the language writes numbers
_NUMBER: Final = rf"{_DIGITS}(?:\.[0-9]{{1,{SCALE_MAX}}})?"
_MONEY: Final = re.compile(rf"([A-Z]{{3}}) ({_NUMBER})(?: per ([A-Za-z][A-Za-z0-9_]{{0,63}}))?")
_PERCENT: Final = re.compile(rf"({_NUMBER}) ?%")
_COUNT: Final = re.compile(_DIGITS)
_SPAN: Final = re.compile(r"([0-9]{1,6}) (day|week|month|quarter|year)s?")
_MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}
_DAYS: Final = {"day": 1, "week": 7}


def parse(program: Program, param: Param, text: str) -> Value:
    """The value that a literal writes for this parameter."""
    value = _value(program, param, text)
    if value is None:
        raise Refused(
            "INVALID_BINDING",
            f"{text!r} is no value for the parameter {param.name}: it takes {_example(param)}.",
            {"parameter": param.name, "value": text},
        )
    return value


_EXAMPLES: Final = {
    Kind.MONEY: "an amount such as EUR 99.99",
    Kind.PERCENT: "a percentage such as 12.5%",
    Kind.COUNT: "a whole number such as 1_000",
    Kind.PRICE: "a price such as EUR 0.20",
    Kind.TERRITORY: "territories such as EEA or {DE, FR}",
    Kind.MEDIUM: "media such as web or {web, print}",
    Kind.DURATION: "a span such as 2 years",
}


def _example(param: Param) -> str:
    unit = f" or EUR 0.20 per {param.type.unit}" if param.type.kind is Kind.PRICE and param.type.unit else ""
    return _EXAMPLES[param.type.kind] + unit


def canonical(program: Program, param: Param, value: Value) -> str:
    """The text that is stored: reading it gives the value again."""
    return value_text(program, param.type.kind, value)


def _value(program: Program, param: Param, text: str) -> Value | None:
    kind = param.type.kind
    if kind in CODE_TREES:
        return _codes(text)
    if kind in (Kind.MONEY, Kind.PRICE):
        money = _MONEY.fullmatch(text)
        if money is None or money[1] != program.currency:
            return None
        if money[3] is not None and (kind is Kind.MONEY or money[3] != param.type.unit):
            return None
        return _scaled(money[2], program.scale)
    if kind is Kind.PERCENT:
        percent = _PERCENT.fullmatch(text)
        return _scaled(percent[1], PERCENT_DECIMALS, PPM // 100) if percent else None
    if kind is Kind.COUNT:
        return int(text.replace("_", "")) if _COUNT.fullmatch(text) else None
    span = _SPAN.fullmatch(text)
    if span is None:
        return None
    count, unit = int(span[1]), span[2]
    return Span(count * _MONTHS[unit], 0) if unit in _MONTHS else Span(0, count * _DAYS[unit])


def _scaled(text: str, decimals: int, one: int | None = None) -> int | None:
    """A decimal number in units of 10^-decimals; None if it has more decimals than that."""
    digits, given = parse_decimal(text)
    if given > decimals:
        return None
    unit: int = 10**decimals if one is None else one
    return digits * unit // int(10**given)


def _codes(text: str) -> tuple[str, ...] | None:
    inner = text[1:-1] if text.startswith("{") and text.endswith("}") else text
    codes = [code.strip() for code in inner.split(",")]
    if not all(codes) or len(codes) > CODES_MAX or (len(codes) > 1 and inner == text):
        return None
    return tuple(sorted(set(codes)))

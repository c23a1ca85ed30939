"""The instruction table: every instruction has operands, a type rule, a cost and an effect.

One table for the compiler (which types to expect), the verifier (which
operands are allowed), gas (what each costs) and the reader of the SPEC. Never
executes anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from licensing_vm.program.model import Kind, Op, ValueType

MONEY: Final = ValueType(Kind.MONEY)
PERCENT: Final = ValueType(Kind.PERCENT)
NUMBER: Final = ValueType(Kind.COUNT)  # a count of nothing: `2`


class Operand(IntEnum):
    """What an operand's number points at."""

    CONSTANT = 1
    PARAM = 2
    FACT = 3
    REGISTER = 4
    RATE = 5
    ROLE = 6
    SPLIT = 7
    MONTHS = 8
    DAYS = 9


class Rule(NamedTuple):
    operands: tuple[Operand, ...]
    cost: int  # gas; a rate and a split cost their tiers and legs besides
    effect: bool  # names no register, emits a posting


_R = Operand.REGISTER
_POSTING: Final = (Operand.ROLE, _R, Operand.SPLIT)

RULES: Final[Mapping[Op, Rule]] = MappingProxyType(
    {
        Op.CONST: Rule((Operand.CONSTANT,), 1, False),
        Op.PARAM: Rule((Operand.PARAM,), 1, False),
        Op.FACT: Rule((Operand.FACT,), 1, False),
        Op.ADD: Rule((_R, _R), 1, False),
        Op.SUB: Rule((_R, _R), 1, False),
        Op.MUL: Rule((_R, _R), 2, False),
        Op.RATE: Rule((Operand.RATE,), 4, False),
        Op.ROUND: Rule((_R,), 2, False),
        Op.PAYS: Rule(_POSTING, 10, True),
        Op.OWES: Rule((*_POSTING, Operand.MONTHS, Operand.DAYS), 10, True),
    }
)
assert set(RULES) == set(Op)


def sum_type(left: ValueType, right: ValueType) -> ValueType | None:
    """The type of a sum or difference, None if they do not match: only like adds to like."""
    return left if left == right and left.kind <= Kind.PRICE else None


def product_type(left: ValueType, right: ValueType) -> ValueType | None:
    """The type of a product, None if it has no meaning.

    A percent or a plain number of anything is that thing; a count times a price per its unit is money.
    """
    for a, b in ((left, right), (right, left)):
        if a in (PERCENT, NUMBER) and b.kind <= Kind.PRICE:
            return b
        if a.kind is Kind.COUNT and b.kind is Kind.PRICE and a.unit == b.unit:
            return MONEY
    return None


def type_text(of: ValueType, currency: str) -> str:
    """A type as a lawyer would say it."""
    match of.kind:
        case Kind.MONEY:
            return f"money in {currency}"
        case Kind.PRICE:
            return f"{currency} per {of.unit}"
        case Kind.COUNT:
            return f"a count of {of.unit}" if of.unit else "a plain number"
        case Kind.PERCENT:
            return "a percentage"
        case _:
            return f"a {of.kind.name.lower()}"

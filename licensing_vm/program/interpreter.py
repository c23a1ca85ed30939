"""The reference interpreter: short and obvious (L-4, L-6).

What it returns is what a clause means; `codegen` must equal it on every
input. Registers hold exact rationals (num, den). Never rounds but at ROUND and
RATE, never has an effect: it returns intents.
"""

from __future__ import annotations

from collections.abc import Sequence

from licensing_vm.money.amounts import round_ratio
from licensing_vm.program.errors import ClauseRefused
from licensing_vm.program.limits import AMOUNT_MAX, PPM
from licensing_vm.program.model import (
    NONE,
    Instruction,
    Intent,
    Intents,
    Kind,
    Op,
    Program,
    Rate,
    Span,
    SplitTable,
    Value,
)

Exact = tuple[int, int]


def run(
    program: Program,
    clause: int,
    params: Sequence[Value],
    facts: Sequence[int],
    befores: Sequence[int],
    tables: Sequence[SplitTable],
    totals: Sequence[int],
) -> Intents:
    """Run one clause; `program.model` tells what the arguments hold."""
    registers: dict[int, Exact] = {}
    intents: list[Intent] = []
    for instruction in program.clauses[clause].code:
        op, out, args = instruction
        if op in (Op.PAYS, Op.OWES):
            intents.append(_posting(instruction, registers, tables, totals))
        else:
            registers[out] = _value(program, op, args, registers, params, facts, befores)
    return tuple(intents)


def _value(
    program: Program,
    op: Op,
    args: tuple[int, ...],
    registers: dict[int, Exact],
    params: Sequence[Value],
    facts: Sequence[int],
    befores: Sequence[int],
) -> Exact:
    match op:
        case Op.CONST:
            constant = program.constants[args[0]]
            return constant.num, constant.den
        case Op.PARAM:
            return _number(program, params, args[0])
        case Op.FACT:
            return facts[args[0]], 1
        case Op.ADD | Op.SUB:
            (a, b), (c, d) = registers[args[0]], registers[args[1]]
            return (a * d + c * b, b * d) if op is Op.ADD else (a * d - c * b, b * d)
        case Op.MUL:
            (a, b), (c, d) = registers[args[0]], registers[args[1]]
            return a * c, b * d
        case Op.RATE:
            rate = program.rates[args[0]]
            before = befores[args[0]]
            owed = round_ratio(*rated(program, rate, params, before + facts[rate.fact]), program.rounding)
            return owed - round_ratio(*rated(program, rate, params, before), program.rounding), 1
        case Op.ROUND:
            return round_ratio(*registers[args[0]], program.rounding), 1
        case _:
            raise AssertionError(op)


def _posting(
    instruction: Instruction, registers: dict[int, Exact], tables: Sequence[SplitTable], totals: Sequence[int]
) -> Intent:
    debtor, register, split = instruction.args[:3]
    amount, den = registers[register]
    assert amount % den == 0, "the verifier lets only rounded values reach an account (L-6)"
    amount //= den
    if not 0 <= amount <= AMOUNT_MAX:
        raise ClauseRefused(amount)
    due = None if instruction.op is Op.PAYS else Span(*instruction.args[3:])
    table, total = tables[split], totals[split]
    shares = table.pay(total, amount)
    assert sum(shares) == amount, "postings sum to zero"
    return Intent(debtor, amount, due, split, total + amount, table.payees, shares)


def _number(program: Program, params: Sequence[Value], at: int) -> Exact:
    value = params[at]
    assert isinstance(value, int)
    return value, PPM if program.params[at].type.kind is Kind.PERCENT else 1


def rated(program: Program, rate: Rate, params: Sequence[Value], total: int) -> Exact:
    """R(total), exact, in grains."""
    num, den, below = 0, 1, 0
    for tier in rate.tiers:
        price, per = (tier.num, tier.den) if tier.param == NONE else _number(program, params, tier.param)
        reached = tier.up_to is None or total <= tier.up_to
        if rate.marginal:
            units = (total if reached else tier.up_to or 0) - below
            num, den = num * per + units * price * den, den * per
        elif reached:
            return total * price, per
        if reached:
            break
        below = tier.up_to or 0
    return num, den

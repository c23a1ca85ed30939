"""Programs translated once to Python: each clause becomes one straight-line function.

Denominators are known from the program's text, so a register is one integer
and every rounding has a constant divisor. The source made here holds integers
and indexes only, no text of a template, and is about as long as the program.
Equal to `interpreter` on every input (held by property tests), which runs a
clause until it has proved worth translating: translating costs as much as a
hundred runs. Never called on a program the verifier has not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import gcd
from typing import Final, final

from licet.types import Hash32

from licensing_vm.program import interpreter
from licensing_vm.program.binding import Table, split_table
from licensing_vm.program.encoding import program_hash
from licensing_vm.program.errors import ClauseRefused
from licensing_vm.program.limits import AMOUNT_MAX, PPM
from licensing_vm.program.model import (
    NONE,
    Ancestors,
    Clause,
    Intent,
    Intents,
    Kind,
    Op,
    Program,
    Rate,
    Rounding,
    Span,
    SplitTable,
    Tier,
    Value,
)
from licensing_vm.program.verifier import verify

ClauseFn = Callable[
    [Sequence[Value], Sequence[int], Sequence[int], Sequence[SplitTable], Sequence[int]],
    Intents,
]


RUNS_INTERPRETED: Final = 8  # of one clause, before it is translated


TRANSLATED_IN_BLOCK: Final = 48  # instructions translated while one block is executed
TRANSLATED_MAX: Final = 256  # instructions of one clause; a longer one stays interpreted


@final
class Translations:
    """How much may still be translated while a block is executed (C-16): translating is no part of what a
    block does, and a node may do it in any block. One clause at least, if it is not too long."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = TRANSLATED_IN_BLOCK

    def open_block(self) -> None:
        self._left = TRANSLATED_IN_BLOCK

    def takes(self, clause: Clause) -> bool:
        size = len(clause.code) + sum(len(split.legs) for split in clause.splits)
        if size > TRANSLATED_MAX or (size > self._left and self._left < TRANSLATED_IN_BLOCK):
            return False
        self._left -= size
        return True


@final
class LoadedProgram:
    """A verified program whose clauses become Python functions once they are used. `load` makes one."""

    __slots__ = ("_run", "_runs", "_translations", "hash", "program")

    def __init__(
        self,
        program: Program,
        *,
        verified_as: Hash32 | None = None,
        translations: Translations | None = None,
    ) -> None:
        """`verified_as` is the hash of a program that was verified when it was published; `translations`
        bounds what is translated at a time."""
        self._translations = translations
        if verified_as is None:
            verify(program)
        self.program = program
        self.hash = program_hash(program) if verified_as is None else verified_as
        self._runs = [0] * len(program.clauses)
        self._run: list[ClauseFn | None] = [None] * len(program.clauses)

    def run(
        self,
        clause: int,
        params: Sequence[Value],
        facts: Sequence[int],
        befores: Sequence[int],
        tables: Sequence[SplitTable],
        totals: Sequence[int],
    ) -> Intents:
        """Run one clause; `program.model` tells what the arguments hold."""
        translated = self._run[clause]
        if translated is None:
            self._runs[clause] += 1
            if self._runs[clause] <= RUNS_INTERPRETED or (
                self._translations is not None and not self._translations.takes(self.program.clauses[clause])
            ):
                return interpreter.run(self.program, clause, params, facts, befores, tables, totals)
            translated = self._run[clause] = _function(self.program, self.program.clauses[clause])
        return translated(params, facts, befores, tables, totals)

    def tables(
        self, clause: int, params: Sequence[Value], lineages: Sequence[Ancestors]
    ) -> tuple[Table, ...]:
        """The tables of a clause's splits for one asset version. Keep them: building costs 10 to 100 runs."""
        program = self.program
        return tuple(
            split_table(split, params, lineages, program) for split in program.clauses[clause].splits
        )


@lru_cache(maxsize=1024)
def load(program: Program) -> LoadedProgram:
    """Verify and translate a program, once."""
    return LoadedProgram(program)


def _function(program: Program, clause: Clause) -> ClauseFn:
    source = clause_source(program, clause)
    namespace: dict[str, object] = {
        "__builtins__": {},
        "new": tuple.__new__,
        "Intent": Intent,
        "refuse": _refuse,
        "spans": tuple(_due(op, args) for op, _, args in clause.code),
    }
    exec(source, namespace)
    run = namespace["run"]
    assert callable(run)
    return run


def _due(op: Op, args: tuple[int, ...]) -> Span | None:
    return Span(*args[3:]) if op is Op.OWES else None


def _refuse(amount: int) -> None:
    raise ClauseRefused(amount)


def clause_source(program: Program, clause: Clause) -> str:
    """The Python source of a clause. Register n is the variable `r<n>`, an integer over a known divisor."""
    den: dict[int, int] = {}
    lines = ["def run(params, facts, befores, tables, totals):"]
    intents: list[str] = []
    for at, (op, out, args) in enumerate(clause.code):
        if op in (Op.PAYS, Op.OWES):
            role, register, split = args[:3]
            amount = f"r{register}"
            assert den[register] == 1, "the verifier lets only rounded values reach an account (L-6)"
            lines += [
                f"  if not 0 <= {amount} <= {AMOUNT_MAX}: refuse({amount})",
                f"  k{split} = tables[{split}]",
                f"  t{split} = totals[{split}]",
            ]
            due = f"spans[{at}]" if op is Op.OWES else "None"
            intents.append(
                f"new(Intent, ({role}, {amount}, {due}, {split}, t{split} + {amount},"
                f" k{split}.payees, k{split}.pay(t{split}, {amount})))"
            )
        else:
            lines += [f"  {line}" for line in _assign(program, op, out, args, den)]
    lines.append(f"  return ({', '.join(intents)}{',' if intents else ''})")
    return "\n".join(lines)


def _assign(program: Program, op: Op, out: int, args: tuple[int, ...], den: dict[int, int]) -> list[str]:
    """The lines that name register `out`; records its divisor."""
    r = f"r{out}"
    match op:
        case Op.CONST:
            constant = program.constants[args[0]]
            den[out] = constant.den
            return [f"{r} = {constant.num}"]
        case Op.PARAM:
            den[out] = PPM if program.params[args[0]].type.kind is Kind.PERCENT else 1
            return [f"{r} = params[{args[0]}]"]
        case Op.FACT:
            den[out] = 1
            return [f"{r} = facts[{args[0]}]"]
        case Op.ADD | Op.SUB:
            a, b = args
            common = den[a] * den[b] // gcd(den[a], den[b])
            den[out] = common
            sign = "+" if op is Op.ADD else "-"
            return [f"{r} = r{a} * {common // den[a]} {sign} r{b} * {common // den[b]}"]
        case Op.MUL:
            den[out] = den[args[0]] * den[args[1]]
            return [f"{r} = r{args[0]} * r{args[1]}"]
        case Op.RATE:
            den[out] = 1
            return _rate_lines(program, args[0], out)
        case Op.ROUND:
            den[out] = 1
            return _round_lines(r, f"r{args[0]}", den[args[0]], program.rounding)
        case _:
            raise AssertionError(op)


def _round_lines(target: str, source: str, den: int, rule: Rounding) -> list[str]:
    """`target` becomes source/den rounded; the same arithmetic as `money.amounts`, with den constant."""
    if den == 1:
        return [f"{target} = {source}"]
    match rule:
        case Rounding.HALF_EVEN:
            step = [
                f"{target} = {source} // {den}",
                f"x = 2 * ({source} - {target} * {den})",
                f"if x > {den} or (x == {den} and {target} & 1): {target} = {target} + 1",
            ]
            return step
        case Rounding.HALF_UP:
            up, down = f"(2 * {source} + {den}) // {2 * den}", f"-(({den} - 2 * {source}) // {2 * den})"
        case Rounding.HALF_DOWN:
            up, down = f"-(({den} - 2 * {source}) // {2 * den})", f"(2 * {source} + {den}) // {2 * den}"
        case Rounding.UP:
            up, down = f"-(-{source} // {den})", f"{source} // {den}"
        case Rounding.DOWN:
            up, down = f"{source} // {den}", f"-(-{source} // {den})"
    return [f"{target} = {up} if {source} >= 0 else {down}"]


def _rate_lines(program: Program, at: int, out: int) -> list[str]:
    """L-6: what is owed now is round(R(before + now)) - round(R(before))."""
    rate = program.rates[at]
    divisor = 1
    for tier in rate.tiers:
        per = _price(program, tier)[1]
        divisor = divisor * per // gcd(divisor, per)
    lines = [f"b = befores[{at}]", f"n = b + facts[{rate.fact}]"]
    bases = _bases(program, rate, divisor, lines)
    for side, variable in (("n", f"n{out}"), ("b", f"b{out}")):
        lines += _tier_lines(program, rate, side, divisor, bases)
        lines += _round_lines(variable, "v", divisor, program.rounding)
    return [*lines, f"r{out} = n{out} - b{out}"]


def _factor(program: Program, tier: Tier, divisor: int) -> str:
    """A tier's price times the divisor, as source text."""
    price, per = _price(program, tier)
    return f"{price} * {divisor // per}" if tier.param != NONE else str(int(price) * (divisor // per))


def _bases(program: Program, rate: Rate, divisor: int, lines: list[str]) -> list[str]:
    """What all tiers below each tier owe, marginally: a number, or a variable that `lines` now name."""
    bases, below = ["0"], 0
    for k, tier in enumerate(rate.tiers[:-1], 1):
        assert tier.up_to is not None
        factor = _factor(program, tier, divisor)
        if tier.param == NONE and bases[-1].isdigit():
            bases.append(str(int(bases[-1]) + (tier.up_to - below) * int(factor)))
        else:
            if rate.marginal:
                lines.append(f"s{k} = {bases[-1]} + {tier.up_to - below} * {factor}")
            bases.append(f"s{k}")
        below = tier.up_to
    return bases


def _tier_lines(program: Program, rate: Rate, total: str, divisor: int, bases: list[str]) -> list[str]:
    """`v` becomes R(total) times the divisor: one branch per tier."""
    lines: list[str] = []
    below = 0
    for k, tier in enumerate(rate.tiers):
        factor = _factor(program, tier, divisor)
        value = f"{bases[k]} + ({total} - {below}) * {factor}" if rate.marginal else f"{total} * {factor}"
        if tier.up_to is None:
            lines.append(f"else: v = {value}" if k else f"v = {value}")
        else:
            lines.append(f"{'elif' if k else 'if'} {total} <= {tier.up_to}: v = {value}")
            below = tier.up_to
    return lines


def _price(program: Program, tier: Tier) -> tuple[str, int]:
    """A tier's price as source text over a constant divisor."""
    if tier.param == NONE:
        return str(tier.num), tier.den
    percent = program.params[tier.param].type.kind is Kind.PERCENT
    return f"params[{tier.param}]", PPM if percent else 1

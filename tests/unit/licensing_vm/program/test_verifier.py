"""The verifier re-checks any program: damaged bytes never crash it, and what it accepts can run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from licet.errors import InvalidEncoding, LicetError

from licensing_vm.program import model as m
from licensing_vm.program.codegen import load
from licensing_vm.program.compiler import compile_source
from licensing_vm.program.encoding import decode, encode
from licensing_vm.program.errors import ProgramRefused
from licensing_vm.program.verifier import verify

SOURCE = """template shop.print version 1.0.0 "Prints" {
  legal "Text" sha256 b2c9e0380f8f0232bac238b0132586920ba162b3c3430f11b08187d7a2cc67df
  parties { maker: one; shop: one; buyer: one; }
  assets { work: image; }
  currency EUR scale 2 round half_even;
  params { fee: money in EUR 5.00 .. EUR 500.00; share: percent in 10% .. 60% default 50%;
    zone: territory = EEA; }
  period month monthly close after 10 days;
  facts { prints: count<print> from buyer per month else zero; }
  rate per_print on prints marginal over term {
    up to 1_000 -> EUR 0.50 per print; above -> EUR 0.40 per print; }
  lineage up { mode relative; depth 8; stack max 40%; count once; }
  grant G1 "Prints" { permit copy of work to buyer where territory in zone during 1 year from effective }
  forbid F1 "No machines" { ai of work except G1 }
  pay P1 "Fee" on activated { buyer pays fee; split fee { lineage up; share -> shop; rest -> maker; } }
  pay P2 "Prints" at close of month {
    let royalty = per_print(prints);
    let tenth = fee * 10%;
    buyer owes royalty + tenth due in 30 days;
    split royalty + tenth { 30% -> shop; rest -> maker; }
  }
}"""
PROGRAM = compile_source(SOURCE)
FEE, PRINTS = PROGRAM.clauses


def _clause(at: int, **changes: object) -> m.Program:
    clause = replace(PROGRAM.clauses[at], **changes)  # type: ignore[arg-type]
    clauses = tuple(clause if k == at else other for k, other in enumerate(PROGRAM.clauses))
    return replace(PROGRAM, clauses=clauses)


def _code(at: int, position: int, instruction: m.Instruction) -> m.Program:
    code = PROGRAM.clauses[at].code
    return _clause(at, code=(*code[:position], instruction, *code[position + 1 :]))


def _legs(*legs: m.Leg) -> m.Program:
    return _clause(0, splits=(m.Split(legs=legs),))


_REST = m.Leg(kind=m.LegKind.REST, target=0)
_LINEAGE = m.Leg(kind=m.LegKind.LINEAGE, target=0)


def _share(ppm: int) -> m.Leg:
    return m.Leg(kind=m.LegKind.SHARE, target=1, ppm=ppm)


ROUND_AT = next(k for k, one in enumerate(PRINTS.code) if one.op is m.Op.ROUND)
DAMAGED = {
    "a register used before it is named": _code(0, 0, m.Instruction(m.Op.ROUND, 0, (0,))),
    "a register named out of order": _code(0, 0, m.Instruction(m.Op.PARAM, 5, (0,))),
    "a parameter that is not there": _code(0, 0, m.Instruction(m.Op.PARAM, 0, (7,))),
    "a parameter that is no number": _code(0, 0, m.Instruction(m.Op.PARAM, 0, (2,))),
    "a percentage is paid": _code(0, 0, m.Instruction(m.Op.PARAM, 0, (1,))),
    "a fact read on activation": _code(0, 0, m.Instruction(m.Op.RATE, 0, (0,))),
    "other operands": _code(0, 0, m.Instruction(m.Op.PARAM, 0, (0, 0))),
    "a debtor that is not there": _code(0, 1, m.Instruction(m.Op.PAYS, m.NONE, (9, 0, 0))),
    "a split that is not there": _code(0, 1, m.Instruction(m.Op.PAYS, m.NONE, (2, 0, 1))),
    "a posting that names a register": _code(0, 1, m.Instruction(m.Op.PAYS, 1, (2, 0, 0))),
    "two spans in one due date": _code(
        1, len(PRINTS.code) - 1, m.Instruction(m.Op.OWES, m.NONE, (2, 5, 0, 1, 1))
    ),
    "a negative register": _code(0, 1, m.Instruction(m.Op.PAYS, m.NONE, (2, -1, 0))),
    "split below 100": _legs(_share(900_000)),
    "split above 100": _legs(_share(900_000), _share(200_000), _REST),
    "two rests": _legs(_REST, _REST),
    "lineage without rest": _legs(_LINEAGE, _share(600_000)),
    "two lineages": _legs(_LINEAGE, _LINEAGE, _REST),
    "stack above what is left": _legs(_LINEAGE, _share(600_001), _REST),
    "no legs": _legs(),
    "a payee that is not there": _legs(replace(_REST, target=3)),
    "a negative share": _legs(_share(-1), _REST),
    "a clause without code": _clause(0, code=()),
    "an unused split": _clause(0, splits=(*FEE.splits, *FEE.splits)),
    "a trigger with a subject": _clause(0, subject=0),
    "another list of totals": _clause(1, befores=()),
    "no heading": _clause(0, heading=""),
    "tiers that fall": replace(
        PROGRAM,
        rates=(
            replace(
                PROGRAM.rates[0], tiers=(m.Tier(up_to=0, num=1, den=1), m.Tier(up_to=None, num=1, den=1))
            ),
        ),
    ),
    "tiers without above": replace(
        PROGRAM, rates=(replace(PROGRAM.rates[0], tiers=(m.Tier(up_to=5, num=1, den=1),)),)
    ),
    "a slab that falls": replace(
        PROGRAM,
        rates=(
            replace(
                PROGRAM.rates[0],
                marginal=False,
                tiers=(m.Tier(up_to=10, num=2, den=1), m.Tier(up_to=None, num=1, den=1)),
            ),
        ),
    ),
    "a language of the future": replace(PROGRAM, language=2),
    "other code lists": replace(PROGRAM, codelists=2),
    "two parties of one name": replace(PROGRAM, roles=(PROGRAM.roles[0],) * 3),
    "a scale too fine": replace(PROGRAM, scale=10),
    "a default outside": replace(
        PROGRAM, params=(replace(PROGRAM.params[0], default=1), *PROGRAM.params[1:])
    ),
    "a lineage of another depth": replace(PROGRAM, lineages=(replace(PROGRAM.lineages[0], depth=9),)),
    "an unknown action": replace(PROGRAM, grants=(replace(PROGRAM.grants[0], actions=("admire",)),)),
}


def test_the_undamaged_program_passes() -> None:
    verify(PROGRAM)


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_refused(name: str) -> None:
    with pytest.raises(ProgramRefused):
        verify(DAMAGED[name])


def test_an_unrounded_value_never_reaches_an_account() -> None:
    """L-6: without its ROUND the same clause is refused."""
    code = list(PRINTS.code)
    product = code[ROUND_AT].args[0]
    code[ROUND_AT] = m.Instruction(m.Op.ADD, code[ROUND_AT].out, (product, product))
    with pytest.raises(ProgramRefused, match="unrounded"):
        verify(_clause(1, code=tuple(code)))


@settings(max_examples=300)
@given(at=st.integers(0, len(encode(PROGRAM)) - 1), flip=st.integers(1, 255))
def test_damaged_bytes_are_refused_or_run(at: int, flip: int) -> None:
    """Whatever a byte is changed to: a sentence, or a program that loads; never a crash."""
    raw = bytearray(encode(PROGRAM))
    raw[at] ^= flip
    try:
        program = decode(bytes(raw))
        assert encode(program) == bytes(raw)
        verify(program)
    except LicetError:
        return
    load(program)


@given(cut=st.integers(0, len(encode(PROGRAM)) - 1))
@settings(max_examples=50)
def test_truncated_bytes_are_refused(cut: int) -> None:
    with pytest.raises(InvalidEncoding):
        decode(encode(PROGRAM)[:cut])


def test_trailing_bytes_are_refused() -> None:
    with pytest.raises(InvalidEncoding):
        decode(encode(PROGRAM) + b"\0")

"""The interpreter is the reference and the translated form equals it; programs keep their bytes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from licensing_vm.program.analysis import Analysis
from licensing_vm.program.codegen import RUNS_INTERPRETED, LoadedProgram, load
from licensing_vm.program.compiler import compile_source
from licensing_vm.program.encoding import decode, encode, program_hash
from licensing_vm.program.errors import ClauseRefused
from licensing_vm.program.gas import COST_MAX, cost, cost_bound
from licensing_vm.program.interpreter import run
from licensing_vm.program.model import Intents, Op, Program
from licensing_vm.program.verifier import verify
from tests.unit.licensing_vm.language.templates import Inputs, inputs, templates

_SLOW = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def translated(program: Program) -> LoadedProgram:
    """The program with every clause translated already."""
    loaded = load(program)
    loaded._runs = [RUNS_INTERPRETED] * len(program.clauses)
    return loaded


def _both(program: Program, clause: int, given_: Inputs) -> tuple[Intents, Intents]:
    loaded = translated(program)
    arguments = (given_.params, given_.facts, given_.befores, given_.tables[clause], given_.totals[clause])
    return run(program, clause, *arguments), loaded.run(clause, *arguments)


@_SLOW
@given(data=st.data(), source=templates())
def test_translated_clauses_equal_the_interpreter(data: st.DataObject, source: str) -> None:
    program = compile_source(source)
    for _ in range(3):
        given_ = data.draw(inputs(program))
        for clause in range(len(program.clauses)):
            expected, found = _both(program, clause, given_)
            assert expected == found
            for intent in found:
                assert sum(intent.shares) == intent.amount >= 0
                assert min(intent.shares) >= 0
                assert intent.total == given_.totals[clause][intent.split] + intent.amount


@_SLOW
@given(data=st.data(), source=templates())
def test_proved_bounds_hold(data: st.DataObject, source: str) -> None:
    """What the checker proved of a payment before it ran is true of every run."""
    program = compile_source(source)
    given_ = data.draw(inputs(program))
    for at, clause in enumerate(program.clauses):
        analysis = Analysis.of(program, clause)
        amounts = [intent.amount for intent in _both(program, at, given_)[0]]
        registers = [args[1] for op, _, args in clause.code if op in (Op.PAYS, Op.OWES)]
        for register, amount in zip(registers, amounts, strict=True):
            low, high = analysis.bounds(register)
            assert low <= amount <= high


@_SLOW
@given(source=templates())
def test_bytes_are_canonical_and_decode_to_the_same_program(source: str) -> None:
    program = compile_source(source)
    raw = encode(program)
    again = decode(raw)
    assert again == program
    assert encode(again) == raw
    assert program_hash(again) == program_hash(program)
    verify(again)


@_SLOW
@given(data=st.data(), source=templates())
def test_usage_reported_in_parts_owes_what_it_owes_at_once(data: st.DataObject, source: str) -> None:
    """L-6: round(R(total now)) - round(R(total before)) telescopes, so slicing changes no total."""
    program = compile_source(source)
    given_ = data.draw(inputs(program))
    at = next(k for k, clause in enumerate(program.clauses) if clause.name == "P2")
    if not program.clauses[at].befores:
        return  # no rate: each report is rounded by itself
    rate = program.clauses[at].befores[0]
    fact = program.rates[rate].fact
    whole = given_.facts[fact]
    cut = data.draw(st.integers(0, whole))
    tables, zero = given_.tables[at], (0,) * len(given_.tables[at])

    def owed(before: int, now: int) -> int:
        befores = tuple(before if k == rate else 0 for k in range(len(program.rates)))
        facts = tuple(now if k == fact else 0 for k in range(len(program.facts)))
        return run(program, at, given_.params, facts, befores, tables, zero)[0].amount

    assert owed(0, cut) + owed(cut, whole - cut) == owed(0, whole)


@given(source=templates())
@settings(max_examples=20)
def test_cost_is_known_before_it_runs(source: str) -> None:
    program = compile_source(source)
    for clause in program.clauses:
        assert (
            0 < cost(program, clause) <= cost(program, clause, 5) <= cost_bound(program, clause) <= COST_MAX
        )


def test_an_amount_above_the_bound_is_refused_by_both() -> None:
    source = """template a.b version 1.0.0 "T" {
      parties { x: one; y: one; }
      assets { w: image; }
      currency EUR scale 2 round up;
      period m monthly close after 1 day;
      facts { n: count<item> from x per m else zero; }
      grant G "G" { permit display of w to x during 1 day from effective }
      pay P "P" at close of m { let due_now = n * EUR 1.00 per item; x owes due_now to y due in 1 day; }
    }"""
    program = compile_source(source)
    loaded = translated(program)
    tables = loaded.tables(0, (), ())
    for runner in (loaded.run, lambda *rest: run(program, *rest)):
        with pytest.raises(ClauseRefused):
            runner(0, (), (10**18,), (), tables, (0,))

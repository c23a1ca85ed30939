"""A template's own tests: run on the reference interpreter, and judged.

One test is one agreement: `on activated` clauses run once, `on used` once for
each fact that is given, `at close of` once for each period. Facts not given are
zero, parameters not given have their defaults, T is zero. What a payee is paid
(or owed) is summed over all clauses. `warn_untested` turns every rate and
threshold a little and points out those that no test notices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from licensing_vm.language import syntax as s
from licensing_vm.language.context import Context, Knob
from licensing_vm.language.declarations import value
from licensing_vm.language.diagnostics import Code
from licensing_vm.language.work import TRIED
from licensing_vm.money.amounts import money_text
from licensing_vm.program import model as m
from licensing_vm.program.binding import bind, bounds_text, split_table, within
from licensing_vm.program.errors import BindingRefused, ClauseRefused
from licensing_vm.program.gas import cost, legs_of
from licensing_vm.program.interpreter import run
from licensing_vm.program.limits import (
    ANCESTORS_MAX,
    PPM,
    SPAN_TOTAL_FACTOR,
    TESTS_COST_MAX,
    TURNS_COST_MAX,
    WEIGHT_ONE,
)

_WEIGHT_OF_PPM = WEIGHT_ONE // PPM


class Line(NamedTuple):
    """One expectation and what came out, in grains."""

    paid: bool
    payee: str
    expected: int
    found: int


class Trial(NamedTuple):
    name: str
    lines: tuple[Line, ...]
    passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setup:
    params: tuple[m.Value, ...]
    facts: Mapping[int, int]
    befores: Mapping[int, int]  # fact -> total so far
    lineages: tuple[m.Ancestors, ...]
    expects: tuple[tuple[bool, m.Payee, int], ...]


def run_tests(ctx: Context, program: m.Program) -> tuple[Trial, ...]:
    """Run every test; a failed or impossible one is an error of the template."""
    if not _affordable(ctx, program):
        return ()
    trials: list[Trial] = []
    names: set[str] = set()
    for test in ctx.template.tests:
        if test.name.text in names:
            ctx.error(Code.NAME_TWICE, test.name.place, "Two tests have this name.", "Give it another name.")
        names.add(test.name.text)
        ctx.work.spend(_setting_up(ctx, program, test), test.name.place)
        setup = _setup(ctx, program, test)
        if setup is None:
            trials.append(Trial(test.name.text, (), False))
            continue
        try:
            found = _outcome(program, setup)
        except ClauseRefused as refused:
            ctx.error(Code.TEST_FAILS, test.name.place, refused.message, refused.remedy)
            trials.append(Trial(test.name.text, (), False))
            continue
        lines = tuple(
            Line(paid, written.payee.text, amount, found.get((paid, payee), 0))
            for (paid, payee, amount), written in zip(setup.expects, test.expects, strict=True)
        )
        trials.append(Trial(test.name.text, lines, all(line.expected == line.found for line in lines)))
        _judge(ctx, program, test, lines)
    return tuple(trials)


def _setting_up(ctx: Context, program: m.Program, test: s.Test) -> int:
    """Work of binding parameters and building the tables of one test."""
    ancestors = max((len(given.weights) for given in test.lineages), default=0)
    splits = [split for clause in program.clauses for split in clause.splits]
    legs = sum(legs_of(split, ancestors) for split in splits)
    return TRIED * (1 + len(program.clauses) + len(splits)) + len(program.params) + len(program.facts) + legs


def _cost(ctx: Context, program: m.Program) -> int:
    """The gas of running all tests once, at most."""
    ancestors = max((len(given.weights) for test in ctx.template.tests for given in test.lineages), default=0)
    return len(ctx.template.tests) * sum(cost(program, clause, ancestors) for clause in program.clauses)


def _affordable(ctx: Context, program: m.Program) -> bool:
    """Tests run on every validator at publication, so all of them together have a bound."""
    if _cost(ctx, program) <= TESTS_COST_MAX:
        return True
    ctx.error(
        Code.TOO_BIG,
        ctx.template.tests[0].name.place,
        "All tests together cost too much to run.",
        "Use fewer tests, clauses or ancestors.",
    )
    return False


def _judge(ctx: Context, program: m.Program, test: s.Test, lines: tuple[Line, ...]) -> None:
    for line, written in zip(lines, test.expects, strict=True):
        if line.expected == line.found:
            continue
        verb = "paid" if line.paid else "owed"
        found = money_text(line.found, program.currency, program.scale)
        ctx.error(
            Code.TEST_FAILS,
            written.amount.place,
            f"The test {test.name.text!r} fails: {found} is {verb} to `{line.payee}`.",
            f"Correct the clause, or expect {found}.",
        )


def _outcome(program: m.Program, setup: _Setup) -> dict[tuple[bool, m.Payee], int]:
    """(paid or owed, payee) -> total of all clauses."""
    facts = tuple(setup.facts.get(at, 0) for at in range(len(program.facts)))
    totals: dict[tuple[bool, m.Payee], int] = {}
    for at, clause in enumerate(program.clauses):
        if clause.trigger is m.Trigger.USED and clause.subject not in setup.facts:
            continue
        befores = tuple(
            setup.befores.get(rate.fact, 0) if index in clause.befores else 0
            for index, rate in enumerate(program.rates)
        )
        tables = [split_table(split, setup.params, setup.lineages, program) for split in clause.splits]
        for intent in run(program, at, setup.params, facts, befores, tables, [0] * len(tables)):
            for payee, share in zip(intent.payees, intent.shares, strict=True):
                key = (intent.due is None, payee)
                totals[key] = totals.get(key, 0) + share
    return totals


# --- setting up ------------------------------------------------------------------


def _setup(ctx: Context, program: m.Program, test: s.Test) -> _Setup | None:
    said = len(ctx.diagnostics)
    if not test.expects:
        ctx.error(
            Code.TEST_SETUP,
            test.name.place,
            "This test expects nothing, so it can never fail.",
            "Add a line such as: expect paid to licensor = EUR 1.00;",
        )
    params: dict[str, m.Value] = {}
    facts: dict[int, int] = {}
    befores: dict[int, int] = {}
    for given in test.givens:
        _given(ctx, program, given, params, facts, befores)
    lineages = _lineages(ctx, test)
    if len(ctx.diagnostics) > said:
        return None
    try:
        bound = bind(program, params)
    except BindingRefused as refused:
        ctx.error(Code.TEST_SETUP, test.name.place, refused.message, refused.remedy)
        return None
    expects = _expects(ctx, test)
    if len(ctx.diagnostics) > said:
        return None
    return _Setup(params=bound, facts=facts, befores=befores, lineages=lineages, expects=expects)


def _given(
    ctx: Context,
    program: m.Program,
    given: s.Given,
    params: dict[str, m.Value],
    facts: dict[int, int],
    befores: dict[int, int],
) -> None:
    name = given.name
    found: m.Value | None
    if name.text in ctx.params and not given.before:
        param = program.params[ctx.params[name.text]]
        found = value(ctx, param.type, given.value)
        if found is not None and not within(param, found):
            ctx.error(
                Code.TEST_SETUP,
                given.value.place,
                f"The parameter `{name.text}` may not have this value.",
                f"Stay within {bounds_text(program, param)}.",
            )
        _enter(ctx, params, name.text, name, found)
    elif name.text in ctx.facts:
        fact = program.facts[ctx.facts[name.text]]
        found = value(ctx, fact.type, given.value)
        most = fact.high * SPAN_TOTAL_FACTOR if given.before else fact.high
        if isinstance(found, int) and found > most:
            ctx.error(
                Code.TEST_SETUP,
                given.value.place,
                f"The fact `{name.text}` may not be as high.",
                f"Stay within 0 .. {most:_}.",
            )
        _enter(ctx, befores if given.before else facts, ctx.facts[name.text], name, found)
    else:
        ctx.unknown(name, "fact" if given.before else "parameter or fact", {**ctx.params, **ctx.facts})


def _enter(ctx: Context, table: dict[Any, Any], key: str | int, name: s.Name, found: m.Value | None) -> None:
    if key in table:
        ctx.error(Code.NAME_TWICE, name.place, f"`{name.text}` is given twice.", "Remove one.")
    if found is not None:
        table[key] = found


def _lineages(ctx: Context, test: s.Test) -> tuple[m.Ancestors, ...]:
    """Ancestors stand in the order of their names, as asset keys do on the ledger."""
    found: dict[int, m.Ancestors] = {}
    for given in test.lineages:
        at = ctx.find(ctx.lineages, given.name, "lineage")
        if at is None:
            continue
        weights: dict[bytes, int] = {}
        for name, percent in given.weights:
            ppm = ctx.ppm(percent)
            key = name.text.encode("ascii")
            if key in weights or name.text in ctx.roles:
                ctx.error(
                    Code.NAME_TWICE,
                    name.place,
                    f"`{name.text}` is used twice.",
                    "Give the ancestor another name.",
                )
            weights[key] = (ppm or 0) * _WEIGHT_OF_PPM
        if at in found:
            ctx.error(Code.NAME_TWICE, given.name.place, "This lineage is given twice.", "Remove one.")
        if len(weights) > ANCESTORS_MAX:
            ctx.error(Code.TOO_BIG, given.name.place, f"More than {ANCESTORS_MAX} ancestors.", "Remove some.")
        found[at] = tuple(sorted(weights.items()))
    return tuple(found.get(at, ()) for at in range(len(ctx.lineages)))


def _expects(ctx: Context, test: s.Test) -> tuple[tuple[bool, m.Payee, int], ...]:
    ancestors = {name.text for given in test.lineages for name, _ in given.weights}
    found: list[tuple[bool, m.Payee, int]] = []
    for expect in test.expects:
        amount = ctx.grains(expect.amount)
        payee: m.Payee | None = ctx.roles.get(expect.payee.text)
        if payee is None and expect.payee.text in ancestors:
            payee = expect.payee.text.encode("ascii")
        if payee is None:
            ctx.unknown(
                expect.payee, "party or ancestor", {**ctx.roles, **dict.fromkeys(sorted(ancestors), 0)}
            )
        elif amount is not None:
            found.append((expect.paid, payee, amount))
    return tuple(found)


# --- what no test holds ------------------------------------------------------------


def warn_untested(ctx: Context, program: m.Program) -> None:
    """Point out each rate and threshold whose change breaks none of the tests."""
    if not ctx.template.tests:
        ctx.warn(
            Code.UNTESTED,
            ctx.template.name.place,
            "The template has no tests of its own.",
            'Add one: test "name" { given fee = EUR 1.00; expect paid to licensor = EUR 0.70; }',
        )
        return
    if _cost(ctx, program) * len(ctx.knobs) > TURNS_COST_MAX:
        ctx.warn(
            Code.UNTESTED,
            ctx.template.name.place,
            "There are too many rates and tests to find out which rates no test holds.",
            "Split the template to have them turned one by one.",
        )
        return
    setups = [setup for test in ctx.template.tests if (setup := _setup(ctx, program, test))]
    for knob in ctx.knobs:
        changed, what = _turned(program, knob)
        if changed is None or any(_notices(changed, setup) for setup in setups):
            continue
        ctx.warn(
            Code.UNTESTED,
            knob.place,
            f"No test notices when this {what} changes.",
            "Add a test whose expected amounts depend on it.",
        )


def _notices(program: m.Program, setup: _Setup) -> bool:
    params = tuple(
        param.high if param.low == param.high else bound
        for param, bound in zip(program.params, setup.params, strict=True)
    )
    try:
        found = _outcome(program, replace(setup, params=params))
    except ClauseRefused:
        return True
    return any(found.get((paid, payee), 0) != amount for paid, payee, amount in setup.expects)


def _turned(program: m.Program, knob: Knob) -> tuple[m.Program | None, str]:
    """The program with one rate or threshold changed, None if the change has no meaning."""
    match knob.kind, knob.path:
        case "price", (rate, tier):
            old = program.rates[rate].tiers[tier]
            return _with_tier(program, rate, tier, replace(old, num=old.num * 2 + 1)), "price"
        case "threshold", (rate, tier):
            old = program.rates[rate].tiers[tier]
            below = program.rates[rate].tiers[tier - 1].up_to or 0 if tier else 0
            assert old.up_to is not None
            halfway = below + (old.up_to - below) // 2
            return _with_tier(program, rate, tier, replace(old, up_to=halfway)), "threshold"
        case "stack", (at,):
            lineage = program.lineages[at]
            changed = replace(lineage, stack_ppm=lineage.stack_ppm // 2)
            return replace(program, lineages=_put(program.lineages, at, changed)), "cap"
        case "constant", (at,):
            constant = program.constants[at]
            changed_constant = constant._replace(num=constant.num * 2 + 1)
            return replace(program, constants=_put(program.constants, at, changed_constant)), "number"
        case "param", (at,):
            param = program.params[at]
            assert isinstance(param.high, int)
            fresh = param.high // 2 if param.high > 1 else param.high + 1
            return replace(
                program, params=_put(program.params, at, replace(param, low=fresh, high=fresh, default=fresh))
            ), "value"
        case _:
            return _with_share(program, knob), "share"


def _with_tier(program: m.Program, rate: int, at: int, tier: m.Tier) -> m.Program:
    changed = replace(program.rates[rate], tiers=_put(program.rates[rate].tiers, at, tier))
    return replace(program, rates=_put(program.rates, rate, changed))


def _with_share(program: m.Program, knob: Knob) -> m.Program | None:
    """Half the share; without a `rest` the next leg gets the other half, so that the sum stays."""
    clause_at, split_at, at = knob.path
    clause = program.clauses[clause_at]
    legs = clause.splits[split_at].legs
    half = legs[at].ppm // 2
    changed = _put(legs, at, replace(legs[at], ppm=half))
    if all(leg.kind is not m.LegKind.REST for leg in legs):
        following = (at + 1) % len(legs)
        if following == at:
            return None
        other = changed[following]
        changed = _put(changed, following, replace(other, ppm=other.ppm + legs[at].ppm - half))
    split = m.Split(legs=changed)
    clause = replace(clause, splits=_put(clause.splits, split_at, split))
    return replace(program, clauses=_put(program.clauses, clause_at, clause))


def _put(items: tuple[Any, ...], at: int, item: Any) -> tuple[Any, ...]:
    return (*items[:at], item, *items[at + 1 :])

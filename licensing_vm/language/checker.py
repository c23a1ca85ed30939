"""The checker: from text to a program, or to the reasons why there is none.

`check` reads a template, checks all that its source alone can tell, runs the
template's own tests on the reference interpreter, and warns of rates and
thresholds that no test holds. A program comes out only if there is no error,
and the verifier has seen it. Never recompiles anything by itself (L-12).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from licensing_vm.codelists import CODELISTS_VERSION
from licensing_vm.language import declarations, rights, trials
from licensing_vm.language import syntax as s
from licensing_vm.language.clauses import clauses
from licensing_vm.language.context import Context
from licensing_vm.language.diagnostics import Code, Diagnostic, Report, Severity, Stop, error
from licensing_vm.language.parser import parse
from licensing_vm.language.work import Work
from licensing_vm.program import model as m
from licensing_vm.program.analysis import falls_at
from licensing_vm.program.errors import ProgramRefused
from licensing_vm.program.limits import LANGUAGE_VERSION, TESTS_MAX
from licensing_vm.program.verifier import spans, verify


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What checking a source gave. `program` is there exactly if the report has no error."""

    report: Report
    template: s.Template | None
    program: m.Program | None
    trials: tuple[trials.Trial, ...]


def check(source: str, *, warn: bool = True) -> Checked:
    """Check one template: its text, its meaning, and its own tests.

    Without `warn`, as at publication, nothing is spent on what would only be pointed out.
    """
    template: s.Template | None = None
    results: tuple[trials.Trial, ...] = ()
    try:
        work = Work()
        template = parse(source, work)
        ctx = Context(template=template, work=work)
        program = _program(ctx)
        if not ctx.failed:
            _verified(ctx, program)
        if not ctx.failed:
            results = trials.run_tests(ctx, program)
    except Stop as stop:
        return Checked(report=_report(source, [stop.diagnostic]), template=template, program=None, trials=())
    if warn and not ctx.failed:
        ctx.work = Work()  # an author's tool has its own bound
        trials.warn_untested(ctx, program)
    failed = ctx.failed
    return Checked(
        report=_report(source, ctx.diagnostics),
        template=template,
        program=None if failed else program,
        trials=results,
    )


def _report(source: str, diagnostics: list[Diagnostic]) -> Report:
    # Several checks may come to one word; it is said once. Warnings wait until there are no errors:
    # what is unused may only be unused because of them.
    wrong = [d for d in diagnostics if d.severity is Severity.ERROR]
    ordered = sorted(wrong or diagnostics, key=lambda d: (d.place, d.code, d.reason))
    return Report(source=source, diagnostics=tuple(dict.fromkeys(ordered)))


def _program(ctx: Context) -> m.Program:
    template = ctx.template
    declarations.currency(ctx)
    roles, slots = declarations.parties(ctx), declarations.assets(ctx)
    params, periods = declarations.params(ctx), declarations.periods(ctx)
    facts = declarations.facts(ctx)
    rates = declarations.rates(ctx, params, facts)
    lineages = declarations.lineages(ctx)
    grants = rights.grants(ctx, params)
    forbids = rights.forbids(ctx, params, grants)
    legal = template.legal
    skeleton = m.Program(
        language=LANGUAGE_VERSION,
        codelists=CODELISTS_VERSION,
        name=template.name.text,
        version=template.version.text,
        heading=template.heading.text,
        legal=m.Legal(title=legal.title.text, sha256=bytes.fromhex(legal.sha256)) if legal else None,
        currency=ctx.currency,
        scale=ctx.scale,
        rounding=ctx.rounding,
        roles=roles,
        slots=slots,
        params=params,
        periods=periods,
        facts=facts,
        rates=rates,
        lineages=lineages,
        grants=grants,
        forbids=forbids,
        constants=(),
        clauses=(),
    )
    _rates_hold(ctx, skeleton)
    found = clauses(ctx, skeleton)
    _nothing_idle(ctx)
    if len(template.tests) > TESTS_MAX:
        ctx.error(
            Code.TOO_BIG, template.tests[TESTS_MAX].name.place, "There are too many tests.", "Remove some."
        )
    return replace(skeleton, constants=tuple(ctx.constants), clauses=found)


def _rates_hold(ctx: Context, program: m.Program) -> None:
    """Checks of rates that need all declarations: their span, and that more use never costs less."""
    written = {rate.name.text: rate for rate in reversed(ctx.template.rates)}
    for rate in program.rates:
        source = written[rate.name]
        if program.facts and program.periods and rate.over != m.NONE:
            period = program.facts[rate.fact].period
            if not spans(program, rate.over, period):
                ctx.error(
                    Code.FACT_PERIOD,
                    source.over.place,
                    f"The rate runs over `{source.over.text}`, which does not hold whole periods of its fact "
                    f"(`{program.periods[period].name}`).",
                    f"Write: over {program.periods[period].name}, or a longer period that holds it, or term.",
                )
        complete = [tier.up_to is None for tier in rate.tiers] == [False] * (len(rate.tiers) - 1) + [True]
        falling = falls_at(program, rate) if program.facts and complete else None
        if falling is not None:
            ctx.error(
                Code.USAGE_LOWERS,
                source.tiers[falling].place,
                f"More `{program.facts[rate.fact].name}` lowers what is owed where this tier begins.",
                "Use `marginal` tiers, or a price that does not make the whole cheaper.",
            )


def _nothing_idle(ctx: Context) -> None:
    """Parties that money never reaches or leaves are refused; other idle declarations are pointed out."""
    template = ctx.template
    if not template.grants and not template.pays:
        ctx.error(
            Code.MISSING_PART,
            template.name.place,
            "The template grants nothing and pays nothing.",
            'Add a grant, such as: grant G1 "Use" { permit display of work to licensee during 1 year '
            "from effective exclusive no sublicense no transfer no }",
        )
    # What a refused clause would have paid is not known, so nobody is called unpaid because of it.
    what = "money" if template.pays else "party"
    unused = [p.name for p in template.parties if not ctx.failed and (what, p.name.text) not in ctx.used]
    # Of terms that grant for free, the one party that they need not name again is who grants.
    for party in unused if template.pays else unused[1:]:
        ctx.error(
            Code.ROLE_UNUSED,
            party.place,
            f"The party `{party.text}` can never pay or be paid."
            if template.pays
            else f"The party `{party.text}` appears nowhere.",
            "Give it a share, let it pay, or remove it.",
        )
    idle: tuple[tuple[str, tuple[s.Named | s.Param | s.Fact | s.Rate | s.Lineage, ...]], ...] = (
        ("parameter", template.params),
        ("fact", template.facts),
        ("rate", template.rates),
        ("lineage", template.lineages),
    )
    for what, items in idle:
        for item in items:
            if (what, item.name.text) not in ctx.used:
                ctx.warn(
                    Code.NOT_USED,
                    item.name.place,
                    f"The {what} `{item.name.text}` is never used.",
                    "Use it or remove it.",
                )


def _verified(ctx: Context, program: m.Program) -> None:
    """The verifier has the last word; what it refuses and the checker let pass is still refused."""
    try:
        verify(program)
    except ProgramRefused as refused:
        clause = refused.facts.get("clause", "")
        places = [pay.name.place for pay in ctx.template.pays if pay.name.text == clause]
        place = places[0] if places else ctx.template.name.place
        ctx.diagnostics.append(
            error(Code.SYNTAX, place, f"The program would not be valid: {refused.why}.", "Change this part.")
        )

"""Closing periods (L-9, L-10): each once, in order, shorter before longer, when due.

A close runs the clauses `at close` of its period, each once, on the totals reported; a fact that nobody
reported takes its declared `else`. Rates over a longer span take what was rated before, so that what is
owed telescopes (L-6). Periods go on closing until the term has run off; the agreement closes when they
have and nothing is owed. One close is far below a block's cost bound (a program's cost is bounded), so
none is ever cut into parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from licet.entities import (
    CLOSED,
    Agreement,
    Course,
    FactCourse,
    NamedValue,
    PeriodCourse,
    RateCourse,
    Usage,
    agreement_end,
    agreement_key,
    course_key,
    usage_key,
)
from licet.receipts import JournalEntry
from licet.records import decode_any
from licet.transactions import ClosePeriod

from licensing_vm.calendar import Interval, add_span, date_of
from licensing_vm.domain.agreements import bound_agreement
from licensing_vm.domain.booking import case_of, course_of, pay_for_open, run_clauses
from licensing_vm.domain.bound import Bound
from licensing_vm.domain.context import Context
from licensing_vm.domain.programs import Terms, terms_of
from licensing_vm.domain.usage import meets_term, period_containing, period_of, span_start
from licensing_vm.errors import Refused
from licensing_vm.program.model import Else, Fact, Trigger

_ENTRY_TAG = b"\x2a"  # of JournalEntry


def close_period(context: Context, command: ClosePeriod) -> None:
    agreement = context.agreement(command.agreement)
    terms = terms_of(context, agreement.program_hash)
    at = _period_named(terms, command.agreement, command.period)
    interval = period_of(terms, at, command.period_start_ms)
    pay_for_open(context, command.agreement)
    course = course_of(context, command.agreement)
    _in_turn(agreement, terms, course, at, interval)
    due = add_span(interval.end_ms, terms.program.periods[at].close_after)
    if context.now < due:
        raise Refused(
            "PERIOD_NOT_DUE",
            f"This {command.period} closes at {due}.",
            {"due_ms": str(due), "block_ms": str(context.now)},
        )
    values = _values(context, agreement, terms, course, at, interval.start_ms, {})
    bound = bound_agreement(context, agreement)
    _run(context, bound, agreement, course, at, interval, values)
    _advance(context, agreement, terms, at, interval, values)
    context.event(
        "period.closed",
        {
            "agreement": command.agreement,
            "period": command.period,
            "start": _label(terms, at, interval).partition(" ")[2],
        },
        (role.value for role in agreement.roles),
    )
    close_if_done(context, agreement, terms)


def _period_named(terms: Terms, agreement: str, period: str) -> int:
    at = terms.period_named.get(period)
    if at is None:
        raise Refused(
            "INVALID_PERIOD", f"The terms of {agreement} have no period {period!r}.", {"period": period}
        )
    return at


def _label(terms: Terms, at: int, interval: Interval) -> str:
    """`month 2026-01-01`"""
    date = date_of(interval.start_ms)
    return f"{terms.program.periods[at].name} {date.year:04d}-{date.month:02d}-{date.day:02d}"


def _next_start(agreement: Agreement, terms: Terms, course: Course, at: int) -> int:
    """Where the first open period of this kind begins."""
    period = terms.program.periods[at]
    for known in course.periods:
        if known.period == period.name:
            return known.next_start_ms
    return period_containing(period.cadence, agreement.effective_ms).start_ms


def _in_turn(agreement: Agreement, terms: Terms, course: Course, at: int, interval: Interval) -> None:
    """Refuse a close that was done, is out of order, or of a period after the term."""
    name = terms.program.periods[at].name
    first = _next_start(agreement, terms, course, at)
    facts = {"agreement": agreement.agreement, "period": name, "open_from_ms": str(first)}
    if not meets_term(agreement, interval):
        raise Refused("PERIOD_OUTSIDE_TERM", f"This {name} does not meet the agreement's term.", facts)
    if interval.start_ms < first:
        raise Refused("PERIOD_CLOSED", f"This {name} is closed already.", facts)
    if interval.start_ms > first:
        raise Refused("PERIOD_ORDER", f"An earlier {name} is still open.", facts)
    end_of_term = agreement_end(agreement)
    for other, period in enumerate(terms.program.periods):
        if period.cadence < terms.program.periods[at].cadence:
            begins = _next_start(agreement, terms, course, other)
            ends = period_containing(period.cadence, begins).end_ms
            if begins < end_of_term and ends <= interval.end_ms:
                raise Refused("PERIOD_ORDER", f"A shorter {period.name} within it is still open.", facts)


def _values(
    context: Context,
    agreement: Agreement,
    terms: Terms,
    course: Course,
    at: int,
    start_ms: int,
    given: Mapping[str, int],
) -> dict[int, int]:
    """The value of each fact of the period: as given (to simulate), as reported, or by its `else`."""
    values: dict[int, int] = {}
    for number, fact in enumerate(terms.program.facts):
        if fact.period != at:
            continue
        if fact.name in given:
            values[number] = given[fact.name]
            continue
        key = usage_key(agreement.agreement, fact.name, terms.program.periods[at].name, start_ms)
        usage = context.state.get(key, Usage)
        values[number] = usage.total if usage is not None else _otherwise(agreement, course, fact)
    return values


def _otherwise(agreement: Agreement, course: Course, fact: Fact) -> int:
    """What a fact is that nobody reported (L-10)."""
    past = next((known.values for known in course.facts if known.fact == fact.name), ())
    match fact.otherwise:
        case Else.HOLD:
            raise Refused(
                "FACT_MISSING",
                f"{fact.name} of {agreement.agreement} has not been reported.",
                {
                    "agreement": agreement.agreement,
                    "fact": fact.name,
                    "source": agreement.roles[fact.source].value,
                },
            )
        case Else.LAST:
            return past[-1] if past else 0
        case Else.MEAN:
            recent = past[-fact.mean_of :]
            return sum(recent) // len(recent) if recent else 0
        case Else.ZERO:
            return 0


def _run(
    context: Context,
    bound: Bound,
    agreement: Agreement,
    course: Course,
    at: int,
    interval: Interval,
    values: Mapping[int, int],
) -> None:
    terms = bound.terms
    program = terms.program
    bound.must_keep_within(agreement.agreement)
    context.spend(bound.reached(Trigger.CLOSE, at))
    facts = [values.get(number, 0) for number in range(len(program.facts))]
    rated = {known.rate: known for known in course.rates}
    befores: list[int] = []
    for rate in program.rates:
        known = rated.get(rate.name)
        same_span = (
            known is not None and known.span_start_ms == span_start(terms, rate.over, interval.start_ms)[1]
        )
        befores.append(known.total if known is not None and same_span and rate.over != at else 0)
    case = case_of(
        bound,
        agreement.agreement,
        tuple(role.value for role in agreement.roles),
        tuple(
            NamedValue(name=program.facts[number].name, value=str(value))
            for number, value in sorted(values.items())
        ),
        _label(terms, at, interval),
    )
    run_clauses(context, bound, terms.clauses.get((Trigger.CLOSE, at), ()), case, facts, befores)


def _advance(
    context: Context,
    agreement: Agreement,
    terms: Terms,
    at: int,
    interval: Interval,
    values: Mapping[int, int],
) -> None:
    """Note the close: the next period opens, facts and rates move on."""
    program = terms.program
    course = course_of(context, agreement.agreement)
    name = program.periods[at].name
    closed = next((known.closed for known in course.periods if known.period == name), 0)
    periods = [known for known in course.periods if known.period != name]
    periods.append(PeriodCourse(period=name, next_start_ms=interval.end_ms, closed=closed + 1))
    facts = {known.fact: known for known in course.facts}
    for number, value in sorted(values.items()):
        fact = program.facts[number]
        keep = {Else.LAST: 1, Else.MEAN: fact.mean_of}.get(fact.otherwise, 0)
        if keep:
            past = facts[fact.name].values if fact.name in facts else ()
            facts[fact.name] = FactCourse(fact=fact.name, values=(*past, value)[-keep:])
    rates = {known.rate: known for known in course.rates}
    running = {
        rate
        for clause in terms.clauses.get((Trigger.CLOSE, at), ())
        for rate in program.clauses[clause].befores
    }
    for number in sorted(running):
        rate = program.rates[number]
        start = span_start(terms, rate.over, interval.start_ms)[1]
        known = rates.get(rate.name)
        before = known.total if known is not None and known.span_start_ms == start else 0
        total = before + values[rate.fact]
        rates[rate.name] = RateCourse(rate=rate.name, span_start_ms=start, total=total)
    context.state.put(
        course_key(agreement.agreement),
        replace(course, periods=tuple(periods), facts=tuple(facts.values()), rates=tuple(rates.values())),
    )


def close_if_done(context: Context, agreement: Agreement, terms: Terms) -> None:
    """L-9: an agreement closes when its term and its periods have run off and nothing is owed."""
    course = course_of(context, agreement.agreement)
    end_of_term = agreement_end(agreement)
    if agreement.state == CLOSED or course.open or context.now < end_of_term:
        return
    periods = range(len(terms.program.periods))
    if any(_next_start(agreement, terms, course, at) < end_of_term for at in periods):
        return
    context.state.put(agreement_key(agreement.agreement), replace(agreement, state=CLOSED))
    context.event(
        "agreement.closed", {"agreement": agreement.agreement}, (role.value for role in agreement.roles)
    )


def simulate(
    context: Context, agreement_name: str, period: str, facts: Mapping[str, int]
) -> tuple[JournalEntry, ...]:
    """What closing the first open period would post under these facts. The caller rolls back."""
    context.begin_unsigned()
    agreement = context.agreement(agreement_name)
    terms = terms_of(context, agreement.program_hash)
    at = _period_named(terms, agreement_name, period)
    unknown = sorted(set(facts) - set(terms.fact_named))
    if unknown:
        raise Refused("UNKNOWN_FACT", f"The terms have no fact {unknown[0]!r}.", {"fact": unknown[0]})
    for name, value in facts.items():
        if not 0 <= value <= terms.program.facts[terms.fact_named[name]].high:
            raise Refused(
                "FACT_TOO_LARGE", f"{name} may not be {value}.", {"fact": name, "total": str(value)}
            )
    course = course_of(context, agreement_name)
    start = _next_start(agreement, terms, course, at)
    interval = period_containing(terms.program.periods[at].cadence, start)
    values = _values(context, agreement, terms, course, at, start, facts)
    bound = bound_agreement(context, agreement)
    _run(context, bound, agreement, course, at, interval, values)
    return tuple(decode_any(_ENTRY_TAG + entry) for entry in context.entries)

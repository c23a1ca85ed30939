"""Usage reports: many rows under one signature, in columns (issue: one party, one fact, one period).

A row outside the period, or of an agreement of which the sender is not the fact's source, refuses the
whole report. (reporter, report id) counts once; reports add up; a period that has closed takes none.
What is kept is the total per agreement, so a thousand rows cost little more than one. Clauses
`on used(fact)` run once per accepted report, for its total (L-2).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from licet.entities import (
    Agreement,
    NamedValue,
    Usage,
    UsageReport,
    agreement_end,
    report_key,
    usage_key,
)
from licet.records import encode
from licet.transactions import ReportUsage

from licensing_vm.calendar import Interval
from licensing_vm.calendar import period_containing as _period_containing
from licensing_vm.domain.agreements import bound_agreement
from licensing_vm.domain.booking import case_of, meet_course, pay_for_open, run_clauses
from licensing_vm.domain.context import Context
from licensing_vm.domain.programs import Terms, terms_of
from licensing_vm.errors import Refused
from licensing_vm.mould import Hole, Mould, blob_bytes, number_bytes, text_bytes
from licensing_vm.program.model import NONE, Trigger

# Reports of one period come by the thousand.
period_containing = lru_cache(maxsize=4096)(_period_containing)
_usage_key = lru_cache(maxsize=1 << 16)(usage_key)
AGREEMENTS_FREE: Final = 8  # of one report, whose reading the declared cost pays for
REPORTED: Final = 24  # the work of each further agreement
_NO_USE: Final = Usage(total=0, rows=0, reports=0)


def report_usage(context: Context, command: ReportUsage) -> None:
    reporter, state = context.sender, context.state
    key = report_key(reporter, command.report)
    if state.has(key):
        raise Refused(
            "REPORT_EXISTS",
            f"{reporter} has reported {command.report!r} already.",
            {"reporter": reporter, "report": command.report},
        )
    agreements = command.agreements
    if len(agreements) > 1 and len(set(agreements)) != len(agreements):
        raise Refused("INVALID_ROWS", "The report lists an agreement twice.")
    if len(agreements) > AGREEMENTS_FREE:
        context.spend((len(agreements) - AGREEMENTS_FREE) * REPORTED)
    rows, totals = _columns(command)
    last = max(command.offset_ms)
    for name, count, total in zip(agreements, rows, totals, strict=True):
        _accept(context, command, name, count, total, last)
        context.index.append(f"report/agreement/{name}/{reporter}/{command.report}".encode())
    # Written as bytes: nothing reads a report back, and it would only fill the cache.
    state.put_new(key, _report_bytes(context, command, totals))
    context.rows += len(command.quantity)
    context.event(
        "usage.reported",
        {
            "reporter": reporter,
            "report": command.report,
            "fact": command.fact,
            "rows": str(len(command.quantity)),
        },
    )


# Most reports are of one agreement.
_ONE_AGREEMENT: Final = Mould(
    UsageReport(
        reporter=Hole.text(0),
        report=Hole.text(1),
        fact=Hole.text(2),
        period_start_ms=Hole.number(3),
        agreements=(Hole.text(4),),
        totals=(Hole.number(5),),
        rows=Hole.number(6),
        transaction_hash=Hole.blob(7),
        height=Hole.number(8),
    ),
    9,
    tagged=True,
)


def _report_bytes(context: Context, command: ReportUsage, totals: Sequence[int]) -> bytes:
    """The report's record, encoded."""
    rows = len(command.quantity)
    if len(totals) == 1:
        return _ONE_AGREEMENT.fill(
            text_bytes(context.sender),
            text_bytes(command.report),
            text_bytes(command.fact),
            number_bytes(command.period_start_ms),
            text_bytes(command.agreements[0]),
            number_bytes(totals[0]),
            number_bytes(rows),
            blob_bytes(context.transaction_hash),
            context.height_bytes,
        )
    return encode(
        UsageReport(
            reporter=context.sender,
            report=command.report,
            fact=command.fact,
            period_start_ms=command.period_start_ms,
            agreements=command.agreements,
            totals=tuple(totals),
            rows=rows,
            transaction_hash=context.transaction_hash,
            height=context.height,
        )
    )


def _columns(command: ReportUsage) -> tuple[Sequence[int], Sequence[int]]:
    """Rows and total per agreement. The columns have equal lengths: that is a limit of form."""
    places, quantity = command.agreement_index, command.quantity
    count = len(command.agreements)
    assert len(places) == len(quantity) == len(command.offset_ms) > 0
    if max(places) >= count:
        raise Refused(
            "INVALID_ROWS",
            f"A row names agreement {max(places)}; the report lists {count}.",
            {"index": str(max(places)), "agreements": str(count)},
        )
    if count == 1:
        return (len(quantity),), (sum(quantity),)
    rows, totals = [0] * count, [0] * count
    for at, units in zip(places, quantity, strict=True):
        rows[at] += 1
        totals[at] += units
    return rows, totals


def _accept(context: Context, command: ReportUsage, name: str, rows: int, total: int, last: int) -> None:
    """Add what was reported of one agreement and run what runs at once, or refuse."""
    agreement = context.agreement(name)
    terms = terms_of(context, agreement.program_hash)
    at = terms.fact_named.get(command.fact, NONE)
    if at == NONE:
        raise Refused(
            "UNKNOWN_FACT",
            f"The terms of {name} have no fact {command.fact!r}.",
            {"agreement": name, "fact": command.fact},
        )
    fact = terms.program.facts[at]
    if agreement.roles[fact.source].value != context.sender:
        raise Refused(
            "NOT_REPORTER",
            f"{command.fact} of {name} is reported by {agreement.roles[fact.source].value}.",
            {"agreement": name, "fact": command.fact, "source": agreement.roles[fact.source].value},
        )
    start = command.period_start_ms
    interval = period_of(terms, fact.period, start)
    if last >= interval.end_ms - start:
        raise Refused(
            "ROW_OUTSIDE_PERIOD",
            f"A row lies {last} ms after the start of a period of {interval.end_ms - start} ms.",
            {"offset_ms": str(last), "period_ms": str(interval.end_ms - start)},
        )
    _open_for_use(context, agreement, terms.program.periods[fact.period].name, interval)
    befores = _add(context, terms, name, at, start, rows, total)
    used = terms.clauses.get((Trigger.USED, at), ())
    if used:
        _on_used(context, terms, agreement, used, at, total, befores)


def period_of(terms: Terms, period: int, start_ms: int) -> Interval:
    """The civil period that begins at `start_ms`; refused if none does."""
    interval = period_containing(terms.program.periods[period].cadence, start_ms)
    if interval.start_ms != start_ms:
        raise Refused(
            "INVALID_PERIOD",
            f"No {terms.program.periods[period].name} begins at {start_ms}.",
            {"period_start_ms": str(start_ms), "containing_start_ms": str(interval.start_ms)},
        )
    return interval


def _open_for_use(context: Context, agreement: Agreement, period: str, interval: Interval) -> None:
    name = agreement.agreement
    if interval.start_ms > context.now:
        raise Refused(
            "INVALID_PERIOD", "The period has not begun.", {"period_start_ms": str(interval.start_ms)}
        )
    course = meet_course(context, name)
    if course is not None:
        for known in course.periods:
            if known.period == period and interval.start_ms < known.next_start_ms:
                raise Refused(
                    "PERIOD_CLOSED",
                    f"This {period} of {name} is closed.",
                    {"agreement": name, "open_from_ms": str(known.next_start_ms)},
                )
    if not meets_term(agreement, interval):
        raise Refused(
            "PERIOD_OUTSIDE_TERM",
            f"The period does not meet the term of {name}.",
            {"agreement": name, "effective_ms": str(agreement.effective_ms)},
        )


def meets_term(agreement: Agreement, interval: Interval) -> bool:
    return interval.end_ms > agreement.effective_ms and interval.start_ms < agreement_end(agreement)


def span_start(terms: Terms, period: int, at_ms: int) -> tuple[str, int]:
    """Name and start of the span that a time falls in; the whole term is nameless and begins at 0."""
    if period == NONE:
        return "", 0
    of = terms.program.periods[period]
    return of.name, period_containing(of.cadence, at_ms).start_ms


def _add(
    context: Context, terms: Terms, name: str, at: int, start: int, rows: int, total: int
) -> dict[int, int]:
    """Add to the totals of the fact's own period and of each span a rate `on used` looks back on.

    Returns what each span's total was before."""
    fact = terms.program.facts[at]
    state = context.state
    before: dict[int, int] = {}
    for period in terms.spans_of_fact[at]:
        key = _usage_key(name, fact.name, *span_start(terms, period, start))
        usage = state.get(key, Usage) or _NO_USE
        after = usage.total + total
        if period == fact.period and after > fact.high:
            raise Refused(
                "FACT_TOO_LARGE",
                f"With this report {fact.name} of {name} would be {after}; the terms allow {fact.high}.",
                {"agreement": name, "fact": fact.name, "total": str(after), "high": str(fact.high)},
            )
        before[period] = usage.total
        state.put(key, Usage(total=after, rows=usage.rows + rows, reports=usage.reports + 1))
    return before


def _on_used(
    context: Context,
    terms: Terms,
    agreement: Agreement,
    clauses: tuple[int, ...],
    at: int,
    total: int,
    before: dict[int, int],
) -> None:
    program = terms.program
    bound = bound_agreement(context, agreement)
    bound.must_keep_within(agreement.agreement)
    if (Trigger.USED, at) in terms.owing:
        pay_for_open(context, agreement.agreement)
    context.spend(bound.reached(Trigger.USED, at))
    facts = list(bound.no_facts)
    facts[at] = total
    befores = tuple(before.get(rate.over, 0) if rate.fact == at else 0 for rate in program.rates)
    roles = tuple(role.value for role in agreement.roles)
    cause = (NamedValue(name=program.facts[at].name, value=str(total)),)
    run_clauses(context, bound, clauses, case_of(bound, agreement.agreement, roles, cause), facts, befores)

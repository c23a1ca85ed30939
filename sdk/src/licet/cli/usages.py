"""`licet usage` and `licet period`: report use, close periods."""

from __future__ import annotations

import contextlib
import re
from typing import Any

from licet.cli.arguments import ArgumentInvalid, file_to_read, pairs, submission
from licet.cli.session import Session
from licet.errors import LicetError

_ASIDE = re.compile(r'#[^\n]*|"(?:[^"\\]|\\.)*"')  # comments and texts of a template


def report(session: Session, args: Any) -> int:
    """Report a CSV. Every row is checked first: one bad line, and nothing is reported."""
    from licet.usage import format_time_ms, period_bounds_ms, read_usage_csv, row_check

    start, end = period_bounds_ms(args.period)
    how, source = submission(session, args), file_to_read(args.file)
    acting = session.acting
    mine = {item.agreement for item in acting.list_agreements(party=session.sender)}
    rows = read_usage_csv(source, check=row_check(start_ms=start, end_ms=end, agreements=mine))
    outcomes = acting.report_usage(
        rows, fact=args.fact, period_start_ms=start, period_end_ms=end, report=args.report, how=how
    )
    names = [outcome.names["report"] for outcome in outcomes]
    verb = "would be reported" if how.validate_only else "reported"
    session.show(
        {"rows": len(rows), "reports": [outcome.to_dict() for outcome in outcomes]},
        id="\n".join(names),
        lines=(
            f"{len(rows)} rows {verb} in {len(outcomes)} reports ({', '.join(names)})"
            f" for the period from {format_time_ms(start)}.",
        ),
    )
    reported = sorted({row.agreement for row in rows})
    agreement = reported[0] if len(reported) == 1 else "AGREEMENT"
    period = _period_of(session, reported[0], args.fact)
    if period:
        session.hint(f"licet period close {agreement} {period} {args.period}")
    else:
        session.hint(f"licet usage list --on {agreement}")
    return 0


def _period_of(session: Session, agreement: str, fact: str) -> str:
    """The period that a fact is reported by in the agreement's terms; empty where they name none."""
    if session.output != "table":
        return ""
    # The rows are on the ledger by now: a hint that cannot be had is no failure.
    with contextlib.suppress(LicetError):
        found = session.client.get_agreement(agreement)
        return period_of_fact(session.client.get_template(program_hash=found.program_hash).source, fact)
    return ""


def period_of_fact(source: str, fact: str) -> str:
    """The period behind a fact's `per` in a template, or the template's only one."""
    text = _ASIDE.sub(" ", source)
    per = re.search(
        rf"[{{;]\s*{re.escape(fact)}\s*:\s*(?:count|money)\b[^;]*?\bper\s+([a-z][a-z0-9_]*)", text
    )
    if per is not None:
        return per.group(1)
    periods = re.findall(r"[{;}]\s*period\s+([a-z][a-z0-9_]*)\s", text)
    return str(periods[0]) if len(periods) == 1 else ""


def list_all(session: Session, args: Any) -> int:
    """Accepted reports."""
    from licet.usage import format_time_ms

    session.show_all(
        session.client.list_usage_reports(reporter=args.reporter, agreement=args.on),
        id=lambda item: f"{item.reporter}/{item.report}",
        headings=("reporter", "report", "fact", "period", "rows", "total"),
        row=lambda item: (
            item.reporter,
            item.report,
            item.fact,
            format_time_ms(item.period_start_ms),
            item.rows,
            sum(item.totals),
        ),
        party=args.reporter,
    )
    return 0


def close(session: Session, args: Any) -> int:
    """Close a period of an agreement."""
    from licet.usage import period_bounds_ms

    start, _ = period_bounds_ms(args.start)
    how = submission(session, args)
    outcome = session.acting.close_period(args.agreement, period=args.period, period_start_ms=start, how=how)
    session.done(f"Closed {args.period} {args.start} of {args.agreement}", outcome, id=args.agreement)
    session.hint(f"licet money owed --on {args.agreement}")
    return 0


def simulate(session: Session, args: Any) -> int:
    """What would be owed under given facts."""
    facts = pairs(args.given)
    if not all(value.isascii() and value.isdecimal() for value in facts.values()):
        raise ArgumentInvalid(", ".join(args.given), "gives a fact no whole number", "Write FACT=NUMBER.")
    result = session.client.simulate(
        args.agreement, period=args.period, facts={name: int(value) for name, value in facts.items()}
    )
    lines = [
        f"{entry.clause}: {posting.party} {posting.account} "
        + session.money(posting.change.currency, posting.change.minor)
        for entry in result.entries
        for posting in entry.postings
        if posting.change.minor
    ]
    session.show(result, id=args.agreement, lines=lines or ["Nothing would be owed."])
    return 0

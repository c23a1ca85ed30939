"""Reports, closes and payments (L-1, L-2, L-6, L-9, L-10): the numbers of `ads.per_use` and the refusals."""

from __future__ import annotations

import pytest
from licet.entities import (
    CASH,
    RECEIVABLE,
    Agreement,
    Course,
    Obligation,
    Usage,
    UsageReport,
    agreement_state,
    obligation_state,
)
from licet.receipts import statement_lines
from licet.transactions import AcceptOffer, ClosePeriod, Money, Pay, ReportUsage

from licensing_vm.calendar import DAY_MS, Date, start_of
from tests.unit.licensing_vm.domain.kit import EUR, START_MS, Ledger, offer_of, publish

JANUARY, FEBRUARY, MARCH = (start_of(Date(2026, month, 1)) for month in (1, 2, 3))
DUE = start_of(Date(2026, 2, 11))  # January's close: ten days after its end

QUARTERS = """
template test.quarters version 1.0.0 "Months and quarters" {
  parties { owner: one; user: one; }
  assets { work: image; }
  currency EUR scale 2 round half_even;
  period month monthly close after 5 days;
  period quarter quarterly close after 5 days;
  facts {
    calls: count<call> from user per month else last;
    views: count<view> from user per month else mean 2;
    plays: count<play> from user per quarter else zero;
  }
  grant G1 "Any" {
    permit display of work to user
    during 6 months from effective exclusive no sublicense no transfer no
  }
  rate per_call on calls marginal over quarter { up to 100 -> EUR 0.10 per call; above -> EUR 0.05 per call; }
  rate per_view on views marginal over term { up to 1_000 -> EUR 0.01 per view; above -> EUR 0.005 per view; }
  rate per_play on plays marginal over quarter { above -> EUR 1.00 per play; }
  rate prepaid on calls marginal over term { up to 10 -> EUR 1.00 per call; above -> EUR 0.50 per call; }
  pay P1 "Calls" at close of month {
    let fee = per_call(calls);
    user owes fee due in 10 days; split fee { 50% -> owner; rest -> owner; }
  }
  pay P2 "Views" at close of month {
    let fee = per_view(views);
    user owes fee due in 10 days; split fee { rest -> owner; }
  }
  pay P3 "Plays" at close of quarter {
    let fee = per_play(plays);
    user owes fee due in 10 days; split fee { rest -> owner; }
  }
  pay P4 "Prepaid" on used(calls) {
    let fee = prepaid(calls);
    user pays fee; split fee { rest -> owner; }
  }
  test "calls" { given calls = 100; expect owed to owner = EUR 10.00; }
}
"""


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger()
    ledger.party("studio", "artist", "advertiser")
    ledger.fund("advertiser", 100_000 * EUR)
    ledger.asset("studio", "ad", kind="composite")
    terms = publish(ledger, "ads.per_use")
    ledger.run(
        "studio", offer_of("use", terms, {"studio": "studio", "artist": "artist"}, {}, {"creative": "ad"})
    )
    for name in ("a1", "a2"):
        ledger.run("advertiser", AcceptOffer(agreement=name, offer="use"))
    return ledger


def report(
    id_: str,
    rows: list[tuple[int, int, int]],
    agreements: tuple[str, ...] = ("a1",),
    start: int = JANUARY,
    fact: str = "impressions",
) -> ReportUsage:
    index, offset, quantity = zip(*rows, strict=True)
    return ReportUsage(
        report=id_,
        fact=fact,
        period_start_ms=start,
        agreements=agreements,
        agreement_index=index,
        offset_ms=offset,
        quantity=quantity,
    )


def january(agreement: str = "a1") -> ClosePeriod:
    return ClosePeriod(agreement=agreement, period="month", period_start_ms=JANUARY)


def owed(ledger: Ledger, agreement: str = "a1") -> dict[str, int]:
    course = ledger.read(f"course/{agreement}".encode(), Course)
    return {item.creditor: item.outstanding for item in course.open}


@pytest.mark.parametrize(
    ("uses", "artist", "studio"),
    [((2_500_000,), 2_975, 1_275), ((12_000_000,), 12_250, 5_250), ((1, 2_499_998, 1), 2_975, 1_275)],
)
def test_the_designs_numbers_and_splitting_a_report_changes_nothing(
    ledger: Ledger, uses: tuple[int, ...], artist: int, studio: int
) -> None:
    for n, use in enumerate(uses):
        ledger.run("advertiser", report(f"r{n}", [(0, n, use)]))
    ledger.now = DUE
    receipt = ledger.run("advertiser", january())
    assert owed(ledger) == {"artist": artist * EUR, "studio": studio * EUR}
    [entry] = receipt.entries
    assert [(f.name, f.value) for f in entry.facts] == [("impressions", str(sum(uses)))]
    assert ledger.balance("advertiser", "payable") == -(artist + studio) * EUR
    assert ledger.balance("artist", "receivable") == artist * EUR
    assert ledger.balance("artist") == 0, "nobody is paid from money not received (L-1)"
    due = ledger.read(b"obligation/a1/00000001", Obligation)
    assert (due.clause, due.period, due.due_ms) == ("P1", "month 2026-01-01", ledger.now + 30 * DAY_MS)


def test_twelve_million_from_report_to_payment(ledger: Ledger) -> None:
    ledger.run("advertiser", report("r1", [(0, n, 12_000) for n in range(1_000)]))
    ledger.now = DUE
    ledger.run("studio", january())
    part = Money(currency="EUR", minor=1_750 * EUR)
    ledger.run("advertiser", Pay(agreement="a1", amount=part))
    assert (ledger.balance("artist"), ledger.balance("studio")) == (1_225 * EUR, 525 * EUR)
    first = ledger.read(b"obligation/a1/00000001", Obligation)
    assert obligation_state(first, ledger.now) == "part_paid"
    assert obligation_state(first, first.due_ms) == "overdue"
    too_much = Money(currency="EUR", minor=15_751 * EUR)
    assert ledger.refused("advertiser", Pay(agreement="a1", amount=too_much)) == "NOTHING_OWED"
    fraction = Money(currency="EUR", minor=9_999)
    assert ledger.refused("advertiser", Pay(agreement="a1", amount=fraction)) == "INVALID_AMOUNT"
    assert ledger.refused("studio", Pay(agreement="a1", amount=part)) == "NOTHING_OWED"
    receipt = ledger.run("advertiser", Pay(agreement="a1", amount=Money(currency="EUR", minor=15_750 * EUR)))
    assert (ledger.balance("artist"), ledger.balance("studio")) == (12_250 * EUR, 5_250 * EUR)
    assert ledger.balance("advertiser", "payable") == ledger.balance("artist", "receivable") == 0
    assert owed(ledger) == {}
    lines = statement_lines(receipt, "artist")
    assert [(line.account, line.change // EUR, line.clause, line.counterparty) for line in lines] == [
        (CASH, 11_025, "P1", "advertiser"),
        (RECEIVABLE, -11_025, "P1", "advertiser"),
    ]
    assert [(fact.name, fact.value) for fact in lines[0].facts] == [("period", "month 2026-01-01")]


def test_l01_pay_settles_the_older_month_first(ledger: Ledger) -> None:
    ledger.run("advertiser", report("r1", [(0, 0, 1_000_000)]))
    ledger.now = DUE
    ledger.run("advertiser", report("r2", [(0, 0, 1_000_000)], start=FEBRUARY))
    ledger.run("advertiser", january())
    ledger.now = start_of(Date(2026, 3, 11))
    ledger.run("advertiser", ClosePeriod(agreement="a1", period="month", period_start_ms=FEBRUARY))
    ledger.run("advertiser", Pay(agreement="a1", amount=Money(currency="EUR", minor=2_500 * EUR)))
    left = [item.outstanding // EUR for item in ledger.read(b"course/a1", Course).open]
    assert left == [1_050, 450]


def test_a_report_counts_once_and_reports_add_up(ledger: Ledger) -> None:
    ledger.run("advertiser", report("r1", [(0, 5, 10), (1, 6, 7), (0, 7, 0)], ("a1", "a2")))
    assert ledger.refused("advertiser", report("r1", [(0, 5, 10)])) == "REPORT_EXISTS"
    ledger.run("advertiser", report("r2", [(0, 5, 1)]))
    assert ledger.read(f"usage/a1/impressions/month/{JANUARY}".encode(), Usage) == Usage(
        total=11, rows=3, reports=2
    )
    assert ledger.read(f"usage/a2/impressions/month/{JANUARY}".encode(), Usage).total == 7
    kept = ledger.read(b"report/advertiser/r1", UsageReport)
    assert (kept.totals, kept.rows, kept.agreements) == ((10, 7), 3, ("a1", "a2"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"rows": [(0, FEBRUARY - JANUARY, 1)]}, "ROW_OUTSIDE_PERIOD"),
        ({"rows": [(0, 0, 1), (1, 0, 1)]}, "INVALID_ROWS"),
        ({"agreements": ("a1", "a1")}, "INVALID_ROWS"),
        ({"agreements": ("a1", "nothing")}, "UNKNOWN_AGREEMENT"),
        ({"fact": "clicks"}, "UNKNOWN_FACT"),
        ({"start": JANUARY + 1}, "INVALID_PERIOD"),
        ({"start": FEBRUARY}, "INVALID_PERIOD"),
        ({"start": start_of(Date(2025, 12, 1))}, "PERIOD_OUTSIDE_TERM"),
        ({"rows": [(0, 0, 10**15), (0, 0, 1)]}, "FACT_TOO_LARGE"),
    ],
)
def test_one_wrong_row_refuses_the_whole_report(ledger: Ledger, change: dict, code: str) -> None:  # type: ignore[type-arg]
    arguments = {"rows": [(0, 0, 1)], **change}
    assert ledger.refused("advertiser", report("r1", **arguments)) == code


def test_rows_count_once_per_accepted_report_and_not_for_a_refused_transaction(ledger: Ledger) -> None:
    good, bad = report("r1", [(0, 0, 1), (0, 1, 2)]), report("r2", [(1, 0, 1)])
    result = ledger.block(ledger.tx("advertiser", good, bad), ledger.tx("advertiser", good))
    assert [done.code for done in result.executed] == ["INVALID_ROWS", ""]
    assert result.rows == 2
    kept = ledger.read(b"report/advertiser/r1", UsageReport)
    assert (kept.totals, kept.rows, kept.fact, kept.height) == ((3,), 2, "impressions", ledger.height)
    assert kept.transaction_hash == ledger.receipts[-1].transaction_hash


def test_only_the_facts_source_reports(ledger: Ledger) -> None:
    assert ledger.refused("studio", report("r1", [(0, 0, 1)])) == "NOT_REPORTER"


def test_l10_a_close_happens_once_when_due_and_no_report_follows(ledger: Ledger) -> None:
    ledger.run("advertiser", report("r1", [(0, 0, 5)]))
    ledger.now = DUE - 2_000
    assert ledger.refused("advertiser", january()) == "PERIOD_NOT_DUE"
    ledger.run("advertiser", january())
    assert ledger.refused("advertiser", january()) == "PERIOD_CLOSED"
    assert ledger.refused("advertiser", report("r2", [(0, 0, 5)])) == "PERIOD_CLOSED"
    later = ClosePeriod(agreement="a1", period="month", period_start_ms=MARCH)
    assert ledger.refused("advertiser", later) == "PERIOD_ORDER"
    unknown = ClosePeriod(agreement="a1", period="week", period_start_ms=JANUARY)
    assert ledger.refused("advertiser", unknown) == "INVALID_PERIOD"


def test_l10_hold_refuses_the_close_until_the_source_reports_maybe_zero(ledger: Ledger) -> None:
    ledger.now = DUE
    assert ledger.refused("advertiser", january()) == "FACT_MISSING"
    ledger.run("advertiser", report("r1", [(0, 0, 0)]))
    receipt = ledger.run("advertiser", january())
    assert receipt.entries == ()


def quarters() -> Ledger:
    ledger = Ledger()
    ledger.party("studio", "user")
    ledger.fund("user", 10_000 * EUR)
    ledger.asset("studio", "picture")
    terms = publish(ledger, QUARTERS)
    ledger.run("studio", offer_of("q", terms, {"owner": "studio"}, {}, {"work": "picture"}))
    ledger.run("user", AcceptOffer(agreement="q1", offer="q"))
    return ledger


def close(ledger: Ledger, period: str, year: int, month: int) -> dict[str, int]:
    """Close a period six days after its end; what each clause accrued, in cents."""
    start = start_of(Date(year, month, 1))
    receipt = ledger.run("user", ClosePeriod(agreement="q1", period=period, period_start_ms=start))
    return {entry.clause: -entry.postings[0].change // 10_000 for entry in receipt.entries}


def test_l06_rates_telescope_over_longer_spans_and_l10_else_rules_apply() -> None:
    ledger = quarters()
    ledger.run("user", report("c1", [(0, 0, 60)], ("q1",), fact="calls"))
    ledger.run("user", report("v1", [(0, 0, 900)], ("q1",), fact="views"))
    ledger.now = start_of(Date(2026, 4, 7))
    ledger.run("user", report("c2", [(0, 0, 60)], ("q1",), FEBRUARY, "calls"))
    ledger.run("user", report("v2", [(0, 0, 301)], ("q1",), FEBRUARY, "views"))
    first_quarter = ClosePeriod(agreement="q1", period="quarter", period_start_ms=JANUARY)
    assert ledger.refused("user", first_quarter) == "PERIOD_ORDER", "shorter periods close first"
    assert close(ledger, "month", 2026, 1) == {"P1": 600, "P2": 900}
    assert ledger.refused("user", first_quarter) == "PERIOD_ORDER"
    # 60 more calls: 40 within the quarter's first hundred, 20 above; 301 views: 100 and 201 above 1,000,
    # 200.5 x 0.5 cents rounded so that the sum of both months is round(R(1,201)).
    assert close(ledger, "month", 2026, 2) == {"P1": 500, "P2": 200}
    # Nobody reported March: the last calls (60), the mean of both months' views (600).
    assert close(ledger, "month", 2026, 3) == {"P1": 300, "P2": 300}
    assert close(ledger, "quarter", 2026, 1) == {}, "no plays, else zero"
    ledger.now = start_of(Date(2026, 5, 7))
    # A new quarter begins its tiers again; the term goes on: round(R(2,251)) - round(R(1,801)).
    assert close(ledger, "month", 2026, 4) == {"P1": 600, "P2": 226}


def test_l02_on_used_runs_once_per_report_for_its_total_and_counts_the_span() -> None:
    ledger = quarters()
    paid = []
    for n, calls in enumerate((4, 8, 10)):
        before = ledger.balance("studio")
        ledger.run("user", report(f"c{n}", [(0, 0, calls)], ("q1",), fact="calls"))
        paid.append((ledger.balance("studio") - before) // EUR)
    assert paid == [4, 7, 5]


def test_l09_periods_run_off_and_the_agreement_closes_when_nothing_is_owed() -> None:
    ledger = quarters()
    ledger.run("user", report("c1", [(0, 0, 10)], ("q1",), fact="calls"))
    ledger.now = start_of(Date(2026, 7, 20))
    agreement = ledger.read(b"agreement/q1", Agreement)
    assert agreement_state(agreement, START_MS + DAY_MS) == "active"
    assert agreement_state(agreement, ledger.now) == "expired"
    for month in range(1, 8):
        if month == 7:
            ledger.now = start_of(Date(2026, 8, 20))
        close(ledger, "month", 2026, month)
        if month % 3 == 0:
            close(ledger, "quarter", 2026, month - 2)
    ledger.now = start_of(Date(2026, 10, 20))
    close(ledger, "quarter", 2026, 7)
    outside = ClosePeriod(agreement="q1", period="month", period_start_ms=start_of(Date(2026, 8, 1)))
    assert ledger.refused("user", outside) == "PERIOD_OUTSIDE_TERM"
    assert ledger.read(b"agreement/q1", Agreement).state == "active"
    rest = sum(item.outstanding for item in ledger.read(b"course/q1", Course).open)
    receipt = ledger.run("user", Pay(agreement="q1", amount=Money(currency="EUR", minor=rest)))
    assert receipt.events[-1].kind == "agreement.closed"
    closed = ledger.read(b"agreement/q1", Agreement)
    assert agreement_state(closed, ledger.now) == "closed"


def test_simulate_tells_what_a_close_would_post_and_changes_nothing(ledger: Ledger) -> None:
    before = dict(ledger.state)
    [entry] = ledger.machine.simulate("a1", "month", {"impressions": 2_500_000}, ledger.now)
    assert {p.party: p.change // EUR for p in entry.postings} == {
        "advertiser": -4_250,
        "artist": 2_975,
        "studio": 1_275,
    }
    ledger.run("advertiser", report("r1", [(0, 0, 1_000_000)]))
    [entry] = ledger.machine.simulate("a1", "month", {}, ledger.now)
    assert entry.postings[0].change == -2_000 * EUR
    assert "obligation" not in "".join(key.decode() for key in ledger.state)
    assert before.keys() <= ledger.state.keys()

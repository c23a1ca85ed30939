"""The civil calendar against the standard library's, which the pure rooms may not use."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from licensing_vm.calendar import (
    DAY_MS,
    Date,
    Interval,
    add_months,
    add_span,
    date_of,
    day_number,
    days_in_month,
    iso_text,
    next_period,
    period_containing,
    start_of,
)
from licensing_vm.program.model import Cadence, Span

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
times = st.integers(-(10**12), 10**14)  # 1938 to 5138


def when(time_ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=time_ms)


@given(time_ms=times)
def test_dates(time_ms: int) -> None:
    moment = when(time_ms)
    date = date_of(time_ms)
    assert date == (moment.year, moment.month, moment.day)
    assert day_number(date) == (moment.date() - EPOCH.date()).days
    assert days_in_month(date.year, date.month) == monthrange(date.year, date.month)[1]


@given(time_ms=times, months=st.integers(-600, 600))
def test_adding_months_clamps_the_day(time_ms: int, months: int) -> None:
    moment = when(time_ms)
    year, month0 = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, monthrange(year, month0 + 1)[1])
    assert when(add_months(time_ms, months)) == moment.replace(year=year, month=month0 + 1, day=day)


def test_the_last_of_january_plus_a_month() -> None:
    assert date_of(add_months(start_of(Date(2024, 1, 31)), 1)) == (2024, 2, 29)
    assert date_of(add_months(start_of(Date(2026, 1, 31)), 1)) == (2026, 2, 28)
    assert date_of(add_span(start_of(Date(2024, 2, 29)), Span(12, 0))) == (2025, 2, 28)
    assert add_span(5, Span(0, 30)) == 5 + 30 * DAY_MS


@given(time_ms=times, cadence=st.sampled_from(Cadence))
def test_periods_contain_their_times_and_tile(time_ms: int, cadence: Cadence) -> None:
    period = period_containing(cadence, time_ms)
    assert period.start_ms <= time_ms < period.end_ms
    assert period_containing(cadence, period.start_ms) == period
    assert period_containing(cadence, period.end_ms - 1) == period
    following = next_period(cadence, period)
    assert following.start_ms == period.end_ms
    start = when(period.start_ms)
    assert (start.hour, start.minute, start.second, start.microsecond) == (0, 0, 0, 0)
    match cadence:
        case Cadence.WEEKLY:
            assert start.weekday() == 0
            assert period.end_ms - period.start_ms == 7 * DAY_MS
        case Cadence.MONTHLY:
            assert start.day == 1
            assert when(period.end_ms).day == 1
        case Cadence.QUARTERLY:
            assert (start.day, start.month % 3) == (1, 1)
        case Cadence.DAILY:
            assert period == Interval(period.start_ms, period.start_ms + DAY_MS)


@given(time_ms=times)
def test_iso_text_reads_back(time_ms: int) -> None:
    text = iso_text(time_ms)
    assert datetime.fromisoformat(text).replace(tzinfo=UTC) == when(time_ms)

"""Civil UTC calendar in integers: periods, months, days (L-10, L-14).

Times are milliseconds since 1970-01-01T00:00Z, spans are [start, end), weeks
begin on Monday. Adding months keeps the time of day and clamps the day to the
month's last. Never reads a clock, never knows a time zone or a leap second.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from licensing_vm.program.model import Cadence, Span

DAY_MS: Final = 86_400_000
_DAYS_OF_ERA: Final = 146_097  # 400 Gregorian years
_MONTH_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Date(NamedTuple):
    year: int
    month: int  # 1 .. 12
    day: int  # 1 .. 31


class Interval(NamedTuple):
    """[start_ms, end_ms)"""

    start_ms: int
    end_ms: int


def is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def days_in_month(year: int, month: int) -> int:
    return 29 if month == 2 and is_leap(year) else _MONTH_DAYS[month - 1]


def day_number(date: Date) -> int:
    """Days from 1970-01-01. Counts years from March, so that the leap day is a year's last."""
    year = date.year - (date.month <= 2)
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * ((date.month + 9) % 12) + 2) // 5 + date.day - 1
    return (
        era * _DAYS_OF_ERA + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468
    )


def date_of_day(days: int) -> Date:
    """The inverse of `day_number`."""
    era, day_of_era = divmod(days + 719_468, _DAYS_OF_ERA)
    year_of_era = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = (shifted + 2) % 12 + 1
    return Date(era * 400 + year_of_era + (month <= 2), month, day_of_year - (153 * shifted + 2) // 5 + 1)


def date_of(time_ms: int) -> Date:
    """The UTC date on which `time_ms` falls."""
    return date_of_day(time_ms // DAY_MS)


def start_of(date: Date) -> int:
    """00:00 UTC of `date`, in milliseconds."""
    return day_number(date) * DAY_MS


def add_months(time_ms: int, months: int) -> int:
    """The same time of day `months` later (or earlier); the day is clamped to the month's last."""
    days, of_day = divmod(time_ms, DAY_MS)
    date = date_of_day(days)
    year, month0 = divmod(date.year * 12 + date.month - 1 + months, 12)
    day = min(date.day, days_in_month(year, month0 + 1))
    return start_of(Date(year, month0 + 1, day)) + of_day


def add_span(time_ms: int, span: Span) -> int:
    """`time_ms` plus a span: its months first, then its days."""
    return add_months(time_ms, span.months) + span.days * DAY_MS


def period_containing(cadence: Cadence, time_ms: int) -> Interval:
    """The civil period of this cadence that `time_ms` falls in."""
    days = time_ms // DAY_MS
    if cadence is Cadence.DAILY:
        return Interval(days * DAY_MS, (days + 1) * DAY_MS)
    if cadence is Cadence.WEEKLY:
        monday = days - (days + 3) % 7  # 1970-01-01 was a Thursday
        return Interval(monday * DAY_MS, (monday + 7) * DAY_MS)
    date = date_of_day(days)
    length = 1 if cadence is Cadence.MONTHLY else 3
    start = start_of(Date(date.year, (date.month - 1) // length * length + 1, 1))
    return Interval(start, add_months(start, length))


def next_period(cadence: Cadence, period: Interval) -> Interval:
    """The period that begins where `period` ends."""
    return period_containing(cadence, period.end_ms)


def iso_text(time_ms: int) -> str:
    """`2026-01-31T23:59:59.999Z`; seconds' fraction and midnight are left out where they are zero."""
    days, of_day = divmod(time_ms, DAY_MS)
    date = date_of_day(days)
    text = f"{date.year:04d}-{date.month:02d}-{date.day:02d}"
    if not of_day:
        return text
    seconds, ms = divmod(of_day, 1_000)
    text += f"T{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{text}.{ms:03d}Z" if ms else f"{text}Z"

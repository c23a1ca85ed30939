"""Usage reports from rows and from CSV: every row is checked before anything is signed.

A CSV has a header line naming `agreement`, `at` and `quantity` in any order; `at` is a time in UTC
(`2026-01-15T12:30:00Z`, fractions to milliseconds) or milliseconds since 1970; `quantity` is an integer
in the fact's unit. Bad rows are reported by line, all at once, and then nothing is reported at all.

Calendar arithmetic is here our own integers as in the ledger; no locale and no time zone is consulted.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, TextIO

from licet.errors import Fault, LicetError
from licet.transactions import REPORT_AGREEMENTS_MAX, REPORT_ROWS_MAX, ReportUsage, valid_name

ROWS_PER_REPORT: Final = 10_000  # some 80 kB a transaction: blocks stay small, and a refusal costs little
AGREEMENTS_PER_REPORT: Final = 500  # far fewer than may stand in one: each is work, which a block bounds
BAD_ROWS_SHOWN: Final = 20
INT64_MAX: Final = (1 << 63) - 1
_INT64_DIGITS: Final = 19
_COLUMNS: Final = ("agreement", "at", "quantity")
_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,3}))?)?)?(?:Z|\+00:00)", re.ASCII
)
_PERIOD: Final = re.compile(r"(\d{4})(?:-(?:(\d\d)(?:-(\d\d))?|q([1-4])|w(\d\d)))?", re.ASCII)
_DAY_MS: Final = 86_400_000
_COLUMNS_SHOWN: Final = 6

assert ROWS_PER_REPORT <= REPORT_ROWS_MAX
assert AGREEMENTS_PER_REPORT <= REPORT_AGREEMENTS_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """One use: under which agreement, when, how many units."""

    agreement: str
    at_ms: int
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A row that was not taken: its line in the file (or position, from 1) and why."""

    line: int
    why: str


class BadRows(LicetError):
    """Rows that are wrong. Nothing was reported."""

    def __init__(self, rows: Sequence[BadRow]) -> None:
        shown = "; ".join(f"line {row.line}: {row.why}" for row in rows[:BAD_ROWS_SHOWN])
        more = f"; and {len(rows) - BAD_ROWS_SHOWN} more" if len(rows) > BAD_ROWS_SHOWN else ""
        super().__init__(
            "USAGE_ROWS_BAD",
            f"{len(rows)} {'row is' if len(rows) == 1 else 'rows are'} wrong"
            f" and nothing was reported: {shown}{more}.",
            fault=Fault.SENDER,
            remedy="Correct these lines and report the file again.",
            facts={"rows": str(len(rows)), "lines": ",".join(str(row.line) for row in rows[:BAD_ROWS_SHOWN])},
        )
        self.rows = tuple(rows)

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.rows,))


def days_from_civil(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 of a date of the proleptic Gregorian calendar."""
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def _days_in_month(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def _up_to_int64(digits: str) -> int | None:
    """The number; None above 2^63 - 1, however many digits it has."""
    significant = digits.lstrip("0")
    number = int(significant or "0") if len(significant) <= _INT64_DIGITS else INT64_MAX + 1
    return number if number <= INT64_MAX else None


def parse_time_ms(text: str) -> int:
    """Milliseconds since 1970 of a UTC time, or of an integer; `ValueError` says why not."""
    if text.isascii() and text.isdecimal():
        value = _up_to_int64(text)
        if value is None:
            raise ValueError("the time is too far away")
        return value
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is no time in UTC such as 2026-01-15T12:30:00Z")
    year, month, day, hour, minute, second = (int(group or 0) for group in match.groups()[:6])
    if not (year >= 1970 and 1 <= month <= 12 and 1 <= day <= _days_in_month(year, month)):
        raise ValueError(f"{text[:40]!r} is no day of the calendar")
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(f"{text[:40]!r} is no time of the day")
    ms = int((match.group(7) or "0").ljust(3, "0"))
    return ((days_from_civil(year, month, day) * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + ms


def format_time_ms(ms: int) -> str:
    """A time as people read it, in UTC."""
    days, rest = divmod(ms, 86_400_000)
    days += 719_468
    era, of_era = divmod(days, 146_097)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * of_year + 2) // 153
    day, month = of_year - (153 * shifted + 2) // 5 + 1, shifted + 3 if shifted < 10 else shifted - 9
    year += era * 400 + (month <= 2)
    seconds, millis = divmod(rest, 1000)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{year:04}-{month:02}-{day:02}T{clock}" + (f".{millis:03}Z" if millis else "Z")


def period_bounds_ms(text: str) -> tuple[int, int]:
    """Start and end (exclusive) of a day "2026-01-05", a week "2026-w02" (ISO, from Monday), a month
    "2026-01", a quarter "2026-q1" or a year "2026"."""
    match = _PERIOD.fullmatch(text.lower())
    parts = [part and int(part) for part in match.groups()] if match else [0]
    found = None if 0 in parts else _days_of(*(part or 0 for part in parts))
    if found is None:
        raise LicetError(
            "PERIOD_INVALID",
            f"{text!r} is no period.",
            fault=Fault.SENDER,
            remedy='Write a month as "2026-01", a quarter as "2026-q1", a year as "2026",'
            ' a week as "2026-w02", a day as "2026-01-05".',
            facts={"text": text},
        )
    return found[0] * _DAY_MS, found[1] * _DAY_MS


def _days_of(year: int, month: int, day: int, quarter: int, week: int) -> tuple[int, int] | None:
    """Days since 1970 of a period's start and end; the parts that were not written are 0."""
    if year < 1970 or month > 12:
        return None
    if week:
        start, following = _first_week(year) + 7 * (week - 1), _first_week(year + 1)
        return (start, start + 7) if start < following else None
    if day:
        start = days_from_civil(year, month, day)
        return (start, start + 1) if month and day <= _days_in_month(year, month) else None
    first, months = (month, 1) if month else (3 * quarter - 2, 3) if quarter else (1, 12)
    after = year * 12 + first - 1 + months
    return days_from_civil(year, first, 1), days_from_civil(after // 12, after % 12 + 1, 1)


def _first_week(year: int) -> int:
    """The day on which a year's first week begins: the Monday of the week that holds January 4th."""
    fourth = days_from_civil(year, 1, 4)
    return fourth - (fourth + 3) % 7  # 1970-01-01 was a Thursday


def _row(agreement: str, at: str, quantity: str) -> UsageRow:
    if not valid_name(agreement):
        raise ValueError(f"{agreement[:40]!r} is no agreement's id")
    if not (quantity.isascii() and quantity.isdecimal()):
        raise ValueError(f"the quantity {quantity[:40]!r} is no whole number of units")
    units = _up_to_int64(quantity)
    if units is None:
        raise ValueError("the quantity is too large")
    return UsageRow(agreement=agreement, at_ms=parse_time_ms(at), quantity=units)


def _places(header: Sequence[str], path: str) -> list[int]:
    names = [name.strip().lower() for name in header]
    if sorted(names) != sorted(_COLUMNS):
        cells = names[0].split("\t") if names else []
        if len(names) > _COLUMNS_SHOWN or any(len(name) > 40 for name in names):
            names = [*(name[:40] for name in names[:_COLUMNS_SHOWN]), "…"]
        found = f"The first line of {path} names the columns {', '.join(names)}."
        if not names:
            found = f"{path} is empty, or begins with an empty line."
        if cells[0:1] == ["head"] and len(cells) > 1:
            found = f"{path} is a DDEX sales report (DSR), which this version does not import."
        elif len(cells) > 1 or (len(names) == 1 and ";" in names[0]):
            found = f"The cells of {path} are separated by {'tabs' if len(cells) > 1 else 'semicolons'}."
        raise LicetError(
            "USAGE_HEADER_BAD",
            found,
            fault=Fault.SENDER,
            remedy=f"Write a CSV with commas; its first line names exactly {', '.join(_COLUMNS)}.",
            facts={"file": path},
        )
    return [names.index(name) for name in _COLUMNS]


def _opened(source: Path | BinaryIO) -> TextIO:
    """The file as text; a byte order mark before it, as spreadsheets write one, is no part of it. A byte that
    is no text stays as a lone surrogate, so that the row it stands in can be told."""
    binary = source.open("rb") if isinstance(source, Path) else source
    return io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="")


def _is_text(cell: str) -> bool:
    """Whether every byte of a cell was UTF-8."""
    return cell.isascii() or not any("\udc80" <= char <= "\udcff" for char in cell)


def _csv_lines(source: Path | BinaryIO, path: str, bad: list[BadRow]) -> Iterator[tuple[int, list[str]]]:
    """Rows and the line on which each begins; one at which the file cannot be read further is noted as the
    last."""
    line = 1
    try:
        with _opened(source) as file:
            reader = csv.reader(file, strict=True)
            try:
                for row in reader:
                    yield line, row
                    line = reader.line_num + 1
            except csv.Error as why:
                bad.append(BadRow(line=line, why=f"it is no CSV from here on ({why})"))
    except OSError as why:
        raise LicetError(
            "USAGE_FILE_BAD",
            f"{path} cannot be read: {why.strerror}.",
            fault=Fault.OPERATOR,
            remedy="Name a CSV file that exists.",
            facts={"file": path},
        ) from None


def read_usage_csv(
    source: str | os.PathLike[str] | BinaryIO, *, check: Callable[[UsageRow], str] | None = None
) -> list[UsageRow]:
    """Every row of a CSV, or `BadRows` with every bad line. `check` may refuse a row with a reason.

    The CSV is a file by its path, or one that is open for reading bytes; that is closed.
    """
    bad: list[BadRow] = []
    file = Path(source) if isinstance(source, str | os.PathLike) else source
    path = str(file) if isinstance(file, Path) else "standard input"
    lines = _csv_lines(file, path, bad)
    _, header = next(lines, (1, []))
    if bad:
        raise BadRows(bad)
    if not all(map(_is_text, header)):
        raise LicetError(
            "USAGE_FILE_BAD",
            f"{path} is not UTF-8 text.",
            fault=Fault.OPERATOR,
            remedy='Save it as "CSV UTF-8", the name that spreadsheets give it.',
            facts={"file": path},
        )
    places = _places(header, path)
    rows: list[UsageRow] = []
    for line, cells in lines:
        if not cells:  # an empty line
            continue
        try:
            if not all(map(_is_text, cells)):
                raise ValueError("it is not UTF-8 text")
            if len(cells) != len(_COLUMNS):
                raise ValueError(f"it has {len(cells)} cells, not {len(_COLUMNS)}")
            agreement, at, quantity = (cells[place].strip() for place in places)
            row = _row(agreement, at, quantity)
            if check is not None and (why := check(row)):
                raise ValueError(why)
            rows.append(row)
        except ValueError as why:
            bad.append(BadRow(line=line, why=str(why)))
    if bad:
        raise BadRows(bad)
    if not rows:
        raise BadRows([BadRow(line=1, why="the file has no rows")])
    return rows


def row_check(
    *, start_ms: int, end_ms: int | None = None, agreements: Collection[str] | None = None
) -> Callable[[UsageRow], str]:
    """A check of rows against a period and the reporter's agreements; returns why not, or nothing."""

    def check(row: UsageRow) -> str:
        if row.at_ms < start_ms or (end_ms is not None and row.at_ms >= end_ms):
            return f"{format_time_ms(row.at_ms)} lies outside the period"
        if agreements is not None and row.agreement not in agreements:
            return f"{row.agreement} is no agreement of the reporter"
        return ""

    return check


def to_reports(
    rows: Iterable[UsageRow],
    *,
    report: str,
    fact: str,
    period_start_ms: int,
    period_end_ms: int | None = None,
    rows_per_report: int = ROWS_PER_REPORT,
) -> list[ReportUsage]:
    """Pack rows into columns, a report for each chunk: `report`, or `report.1`, `report.2` … for several."""
    if not 1 <= rows_per_report <= REPORT_ROWS_MAX:
        raise ValueError(f"a report has 1 to {REPORT_ROWS_MAX} rows")
    check = row_check(start_ms=period_start_ms, end_ms=period_end_ms)
    chunks: list[tuple[dict[str, int], list[int], list[int], list[int]]] = []
    bad: list[BadRow] = []
    for position, row in enumerate(rows, 1):
        if why := check(row):
            bad.append(BadRow(line=position, why=why))
            continue
        if (
            not chunks
            or len(chunks[-1][1]) >= rows_per_report
            or (row.agreement not in chunks[-1][0] and len(chunks[-1][0]) >= AGREEMENTS_PER_REPORT)
        ):
            chunks.append(({}, [], [], []))
        names, index, offset, quantity = chunks[-1]
        index.append(names.setdefault(row.agreement, len(names)))
        offset.append(row.at_ms - period_start_ms)
        quantity.append(row.quantity)
    if bad or not chunks:
        raise BadRows(bad or [BadRow(line=1, why="there are no rows")])
    return [
        ReportUsage(
            report=report if len(chunks) == 1 else f"{report}.{number}",
            fact=fact,
            period_start_ms=period_start_ms,
            agreements=tuple(names),
            agreement_index=index,
            offset_ms=offset,
            quantity=quantity,
        )
        for number, (names, index, offset, quantity) in enumerate(chunks, 1)
    ]

"""Usage rows: checked all before any is reported, named by line, packed into columns."""

from __future__ import annotations

import calendar
import datetime as dt
import io
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from licet import usage as u
from licet.cli.arguments import ArgumentInvalid, percent
from licet.errors import LicetError
from licet.money import InvalidAmount, parse_money

JANUARY = u.period_bounds_ms("2026-01")


def csv_file(folder: Path, *lines: str, header: str = "agreement,at,quantity") -> Path:
    path = folder / "usage.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


@given(st.integers(0, 4_102_444_800_000))
def test_times_are_those_of_the_standard_library(ms: int) -> None:
    text = u.format_time_ms(ms)
    assert u.parse_time_ms(text) == ms
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=ms)
    assert dt.datetime.fromisoformat(text) == moment


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-01", "2026-01-01", "2026-02-01"),
        ("2026-12", "2026-12-01", "2027-01-01"),
        ("2024-02", "2024-02-01", "2024-03-01"),
        ("2026-q1", "2026-01-01", "2026-04-01"),
        ("2026-Q4", "2026-10-01", "2027-01-01"),
        ("2026", "2026-01-01", "2027-01-01"),
        ("2024-02-29", "2024-02-29", "2024-03-01"),
        ("2026-12-31", "2026-12-31", "2027-01-01"),
        ("2026-w01", "2025-12-29", "2026-01-05"),
        ("2026-W53", "2026-12-28", "2027-01-04"),
        ("2027-w01", "2027-01-04", "2027-01-11"),
    ],
)
def test_periods_are_calendar_periods_in_utc(text: str, start: str, end: str) -> None:
    expected = tuple(calendar.timegm(dt.date.fromisoformat(day).timetuple()) * 1000 for day in (start, end))
    assert u.period_bounds_ms(text) == expected


_NO_DAYS = (
    "2026-02-29",
    "2026-01-00",
    "2026-00-05",
    "2026-13-01",
    "2026-w00",
    "2025-w53",
    "2026-w54",
    "２０２６",
)


@pytest.mark.parametrize("year", range(1970, 2101))
def test_weeks_are_iso_weeks(year: int) -> None:
    last = dt.date(year, 12, 28).isocalendar().week
    for week in (1, 26, last):
        monday = calendar.timegm(dt.date.fromisocalendar(year, week, 1).timetuple()) * 1000
        assert u.period_bounds_ms(f"{year}-w{week:02d}") == (monday, monday + 7 * 86_400_000)
    if last == 52:
        with pytest.raises(LicetError, match="is no period"):
            u.period_bounds_ms(f"{year}-w53")


@pytest.mark.parametrize("text", ["", "2026-13", "2026-00", "2026-q5", "26-01", "2026-1", "1969", *_NO_DAYS])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(LicetError, match="is no period"):
        u.period_bounds_ms(text)


@pytest.mark.parametrize(
    "text",
    ["2026-02-29T00:00Z", "2026-01-01", "2026-01-01T25:00Z", "2026-01-01T00:00+01:00", "soon", "-5", "１２"],
)
def test_what_is_no_time_in_utc_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        u.parse_time_ms(text)


def test_every_bad_line_is_named_at_once_and_nothing_is_taken(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path,
        "a-1,2026-01-05T10:00:00Z,3",
        "A 1,2026-01-05T10:00:00Z,3",
        "a-1,yesterday,3",
        "a-1,2026-01-05T10:00:00Z,-3",
        "a-1,2026-01-05T10:00:00Z,3.5",
        "a-1,2026-02-01T00:00:00Z,1",
        "a-9,2026-01-05T10:00:00Z,1",
        "a-1,2026-01-05T10:00:00Z",
        "",
        "a-1,2026-01-05T10:00:00.250Z,4",
    )
    check = u.row_check(start_ms=JANUARY[0], end_ms=JANUARY[1], agreements={"a-1"})
    with pytest.raises(u.BadRows) as bad:
        u.read_usage_csv(path, check=check)
    assert [row.line for row in bad.value.rows] == [3, 4, 5, 6, 7, 8, 9]
    reasons = {row.line: row.why for row in bad.value.rows}
    assert "no agreement's id" in reasons[3]
    assert "no time in UTC" in reasons[4]
    assert "no whole number" in reasons[5]
    assert "outside the period" in reasons[7]
    assert "no agreement of the reporter" in reasons[8]
    assert "has 2 cells" in reasons[9]
    assert "7 rows are wrong and nothing was reported" in str(bad.value)
    assert pickle.loads(pickle.dumps(bad.value)).rows == bad.value.rows


def test_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    path = csv_file(tmp_path, '7,"a-1",2026-01-01T00:00Z', header="Quantity, agreement ,at")
    assert u.read_usage_csv(path) == [u.UsageRow(agreement="a-1", at_ms=JANUARY[0], quantity=7)]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"agreement,when,quantity\na,1,1\n", "USAGE_HEADER_BAD"),
        (b"", "USAGE_HEADER_BAD"),
        (b"agreement,at,quantity\n", "USAGE_ROWS_BAD"),
        (b"agreement,at,quantity\xff\na,1,1\n", "USAGE_FILE_BAD"),
        ("agreement,at,quantity\na,1,1\n".encode("utf-16"), "USAGE_FILE_BAD"),
        (b"agreement,at,quantity\n\xff,1,1\n", "USAGE_ROWS_BAD"),
        (b'agreement,at,quantity\n"a,1,1\n', "USAGE_ROWS_BAD"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, data: bytes, code: str) -> None:
    path = tmp_path / "usage.csv"
    path.write_bytes(data)
    with pytest.raises(LicetError) as refused:
        u.read_usage_csv(path)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "data",
    [
        b"agreement,at,quantity\na-1,2026-01-01T00:00Z,7\n",
        b"\xef\xbb\xbfagreement,at,quantity\r\na-1,2026-01-01T00:00Z,7\r\n",
        b'\xef\xbb\xbf"agreement","at","quantity"\r\n\r\n"a-1","2026-01-01T00:00Z","7"',
    ],
)
def test_marks_and_line_ends_of_other_systems_change_nothing(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "usage.csv"
    path.write_bytes(data)
    wanted = [u.UsageRow(agreement="a-1", at_ms=JANUARY[0], quantity=7)]
    assert u.read_usage_csv(path) == u.read_usage_csv(io.BytesIO(data)) == wanted


@pytest.mark.parametrize("text", ["agreement,at,quantity\na,1,1\n", "Größe;at;quantity\n"])
def test_a_spreadsheet_s_own_encodings_are_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "usage.csv"
    path.write_bytes(text.encode("utf-16" if text.isascii() else "latin-1"))
    with pytest.raises(LicetError, match=r"is not UTF-8 text") as wrong:
        u.read_usage_csv(path)
    assert "CSV UTF-8" in wrong.value.remedy


def test_an_empty_file_is_said_to_be_empty() -> None:
    with pytest.raises(LicetError, match="standard input is empty"):
        u.read_usage_csv(io.BytesIO(b""))


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LicetError, match="cannot be read"):
        u.read_usage_csv(tmp_path / "none.csv")


def rows(count: int, agreements: int = 3) -> list[u.UsageRow]:
    return [
        u.UsageRow(agreement=f"a-{n % agreements}", at_ms=JANUARY[0] + n, quantity=n % 7)
        for n in range(count)
    ]


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 25))
def test_columns_hold_exactly_the_rows(count: int, agreements: int, chunk: int) -> None:
    given_rows = rows(count, agreements)
    reports = u.to_reports(
        given_rows, report="r", fact="impressions", period_start_ms=JANUARY[0], rows_per_report=chunk
    )
    unpacked = [
        u.UsageRow(agreement=report.agreements[index], at_ms=JANUARY[0] + offset, quantity=quantity)
        for report in reports
        for index, offset, quantity in zip(
            report.agreement_index, report.offset_ms, report.quantity, strict=True
        )
    ]
    assert unpacked == given_rows
    assert len({report.report for report in reports}) == len(reports) == -(-count // chunk)


def test_a_report_names_at_most_so_many_agreements() -> None:
    reports = u.to_reports(
        rows(u.AGREEMENTS_PER_REPORT + 5, 10**6), report="r", fact="f", period_start_ms=JANUARY[0]
    )
    assert [len(report.agreements) for report in reports] == [u.AGREEMENTS_PER_REPORT, 5]


def test_a_row_before_the_period_refuses_all() -> None:
    early = u.UsageRow(agreement="a", at_ms=JANUARY[0] - 1, quantity=1)
    with pytest.raises(u.BadRows, match=r"line 4: 2025-12-31T23:59:59\.999Z lies outside"):
        u.to_reports([*rows(3), early], report="r", fact="f", period_start_ms=JANUARY[0])


def test_a_bad_byte_is_told_by_its_line_beside_the_other_bad_rows(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_bytes(b"agreement,at,quantity\na,soon,1\na,1,1\nb\xe9,1,1\na,1,-1\n")
    with pytest.raises(u.BadRows) as bad:
        u.read_usage_csv(path)
    assert [row.line for row in bad.value.rows] == [2, 4, 5]
    assert bad.value.rows[1].why == "it is not UTF-8 text"
    assert bad.value.message.isascii()


def test_a_row_is_told_by_the_line_it_begins_on(tmp_path: Path) -> None:
    path = csv_file(tmp_path, '"a\n\n1",1,1', "", "a,x,1", '"a,1,1', "a,1,1")
    with pytest.raises(u.BadRows) as bad:
        u.read_usage_csv(path)
    assert [row.line for row in bad.value.rows] == [2, 6, 7]


@pytest.mark.parametrize("digits", ["٢", "２", "߂"])
def test_other_scripts_digits_are_none(tmp_path: Path, digits: str) -> None:
    """No day of theirs is a day of ours by chance: they are refused, as everywhere on the ledger."""
    with pytest.raises(ValueError, match="no time in UTC"):
        u.parse_time_ms(f"{digits}026-01-05T10:00:00Z")
    with pytest.raises(InvalidAmount, match="not a currency and a decimal number"):
        parse_money(f"EUR {digits}.00", {"EUR": 2})
    with pytest.raises(ArgumentInvalid, match="is no percentage"):
        percent(f"{digits}%", of=100)
    with pytest.raises(u.BadRows, match="no whole number"):
        u.read_usage_csv(csv_file(tmp_path, f"a,1,{digits}"))


def test_numbers_of_thousands_of_digits_are_too_large(tmp_path: Path) -> None:
    many = "9" * 5_000
    with pytest.raises(u.BadRows) as bad:
        u.read_usage_csv(csv_file(tmp_path, f"a,1,{many}", f"a,{many},1", f"a,1,{1 << 63}"))
    assert [row.why for row in bad.value.rows] == [
        "the quantity is too large",
        "the time is too far away",
        "the quantity is too large",
    ]
    with pytest.raises(InvalidAmount, match="not between 1 and"):
        parse_money(f"EUR {many}", {"EUR": 2})
    padded = "0" * 5_000 + str((1 << 63) - 1)
    assert u.read_usage_csv(csv_file(tmp_path, f"a,1,{padded}"))[0].quantity == (1 << 63) - 1


def test_lines_before_the_one_that_is_no_csv_are_named_too(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path, "a-1,soon,1", "a-1,2026-01-05T10:00:00Z,1", '"a-1,2026-01-05T10:00:00Z,1', "a-1,x,1"
    )
    with pytest.raises(u.BadRows) as bad:
        u.read_usage_csv(path)
    assert [row.line for row in bad.value.rows][:1] == [2]
    assert "is no CSV from here on" in bad.value.rows[-1].why
    assert len(bad.value.rows) == 2


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ("agreement;at;quantity", "separated by semicolons"),
        ("agreement\tat\tquantity", "separated by tabs"),
        ("HEAD\tdsrf/3.0\tUGCProfile\t1.0", "is a DDEX sales report"),
        ("HEAD\tdsrf/3.0\ta,b\t1.0", "is a DDEX sales report"),
        (",".join(f"c{n}" * 30 for n in range(50)), "…"),
    ],
)
def test_a_file_of_another_kind_is_told_what_it_is(tmp_path: Path, first: str, said: str) -> None:
    with pytest.raises(LicetError) as wrong:
        u.read_usage_csv(csv_file(tmp_path, "1,2,3", header=first))
    assert wrong.value.code == "USAGE_HEADER_BAD"
    assert said in wrong.value.message
    assert len(wrong.value.message) < 500 + len(str(tmp_path))
    assert "agreement, at, quantity" in wrong.value.remedy

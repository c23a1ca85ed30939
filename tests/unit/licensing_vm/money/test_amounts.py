"""L-6: rounding is exact, by five rules; money and percents as text."""

from __future__ import annotations

import decimal
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licensing_vm.money.amounts import (
    decimal_text,
    money_text,
    parse_decimal,
    percent_text,
    ratio_text,
    round_ratio,
    span_text,
)
from licensing_vm.program.model import Rounding, Span

_DECIMAL = {
    Rounding.HALF_EVEN: decimal.ROUND_HALF_EVEN,
    Rounding.HALF_UP: decimal.ROUND_HALF_UP,
    Rounding.HALF_DOWN: decimal.ROUND_HALF_DOWN,
    Rounding.UP: decimal.ROUND_UP,
    Rounding.DOWN: decimal.ROUND_DOWN,
}


@given(
    num=st.integers(-(10**9), 10**9),
    twos=st.integers(0, 8),
    fives=st.integers(0, 8),
    rule=st.sampled_from(Rounding),
)
def test_rounds_as_the_decimal_module_does(num: int, twos: int, fives: int, rule: Rounding) -> None:
    den = 2**twos * 5**fives
    with decimal.localcontext(prec=60):
        expected = (Decimal(num) / Decimal(den)).quantize(Decimal(1), rounding=_DECIMAL[rule])
    assert round_ratio(num, den, rule) == int(expected)


@given(
    num=st.integers(0, 10**12),
    step=st.integers(0, 10**6),
    den=st.integers(1, 10**6),
    rule=st.sampled_from(Rounding),
)
def test_rounding_is_monotone_and_near(num: int, step: int, den: int, rule: Rounding) -> None:
    rounded = round_ratio(num, den, rule)
    assert round_ratio(num + step, den, rule) >= rounded
    assert abs(rounded - Fraction(num, den)) < 1


@pytest.mark.parametrize(
    ("grains", "scale", "text"),
    [
        (100_000_000, 2, "EUR 1_000_000.00"),
        (5, 2, "EUR 0.05"),
        (0, 0, "EUR 0"),
        (-123_456, 4, "EUR -12.3456"),
        (1_234, 0, "EUR 1_234"),
    ],
)
def test_money_as_text(grains: int, scale: int, text: str) -> None:
    assert money_text(grains, "EUR", scale) == text


def test_other_texts() -> None:
    assert [percent_text(p) for p in (700_000, 125_000, 1, 1_000_000)] == ["70%", "12.5%", "0.0001%", "100%"]
    assert ratio_text(1, 5) == "0.2"
    assert ratio_text(1, 3) == "1/3"
    assert [span_text(s) for s in (Span(0, 30), Span(24, 0), Span(18, 0), Span(0, 1), Span(1, 0))] == [
        "30 days",
        "2 years",
        "18 months",
        "1 day",
        "1 month",
    ]


@given(num=st.integers(0, 10**15), decimals=st.integers(0, 9))
def test_a_written_number_reads_back(num: int, decimals: int) -> None:
    assert parse_decimal(decimal_text(num, decimals)) == (num, decimals)

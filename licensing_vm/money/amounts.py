"""Exact amounts: rounding of rationals, and money and percent as text (L-6).

Everything is an integer or a pair (num, den) with den > 0. Never a float,
never a locale: `EUR 1_000_000.00` is how money is written, everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from licensing_vm.program.limits import PERCENT_DECIMALS, PPM
from licensing_vm.program.model import Rounding, Span


def _half_even(num: int, den: int) -> int:
    whole, rest = divmod(num, den)
    return whole + (2 * rest > den or (2 * rest == den and whole & 1))


def _half_up(num: int, den: int) -> int:
    return (2 * num + den) // (2 * den) if num >= 0 else -((den - 2 * num) // (2 * den))


def _half_down(num: int, den: int) -> int:
    return -((den - 2 * num) // (2 * den)) if num >= 0 else (2 * num + den) // (2 * den)


def _up(num: int, den: int) -> int:
    return -(-num // den) if num >= 0 else num // den


def _down(num: int, den: int) -> int:
    return num // den if num >= 0 else -(-num // den)


# Each rounds num/den (den > 0) to an integer and is monotone in num, so that rates stay monotone too.
ROUNDERS: Final[Mapping[Rounding, Callable[[int, int], int]]] = MappingProxyType(
    {
        Rounding.HALF_EVEN: _half_even,
        Rounding.HALF_UP: _half_up,
        Rounding.HALF_DOWN: _half_down,
        Rounding.UP: _up,
        Rounding.DOWN: _down,
    }
)


def round_ratio(num: int, den: int, rule: Rounding) -> int:
    """num/den as a whole number, by the rule."""
    assert den > 0, den
    return ROUNDERS[rule](num, den)


def decimal_text(num: int, decimals: int, *, group: bool = True) -> str:
    """num * 10^-decimals, with `_` between thousands: `1_000.50`."""
    whole, part = divmod(abs(num), 10**decimals)
    text = f"{whole:_}" if group else str(whole)
    if decimals:
        text += f".{part:0{decimals}d}"
    return f"-{text}" if num < 0 else text


def money_text(grains: int, currency: str, scale: int) -> str:
    """`EUR 1_000_000.00`"""
    return f"{currency} {decimal_text(grains, scale)}"


def ratio_text(num: int, den: int) -> str:
    """An exact decimal if there is one (`0.0020` becomes `0.002`), else the fraction."""
    for decimals in range(19):
        if num * 10**decimals % den == 0:
            return decimal_text(num * 10**decimals // den, decimals)
    return f"{num}/{den}"


def percent_text(ppm: int) -> str:
    """`12.5%`"""
    whole, part = divmod(ppm, PPM // 100)
    if not part:
        return f"{whole}%"
    return f"{whole}.{part:0{PERCENT_DECIMALS}d}".rstrip("0") + "%"


def span_text(span: Span) -> str:
    """`30 days`, `2 years`, `18 months`"""
    count, word = (span.months, "month") if span.months else (span.days, "day")
    if span.months and span.months % 12 == 0:
        count, word = span.months // 12, "year"
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def parse_decimal(text: str) -> tuple[int, int]:
    """`1_000.50` as (100050, 2): digits and the number of decimals. The text is already a number token."""
    whole, _, part = text.replace("_", "").partition(".")
    return int(whole + part), len(part)

"""Amounts as people write them: "EUR 250.00" to and from minor units. Integers only, nothing rounded.

A currency's scale is on the ledger; an amount with more decimals than that is refused, never cut.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from licet.errors import Fault, LicetError
from licet.transactions import AMOUNT_MINOR_MAX, Money

_AMOUNT: Final = re.compile(r"([A-Z]{3,8}) (\d{1,3}(?:_?\d{3})*|\d+)(?:\.(\d+))?", re.ASCII)

_DIGITS_MAX: Final = 20  # more than the largest amount has: what is longer need not be read to be too large


class InvalidAmount(LicetError):
    """Text that is no amount of a currency on this ledger."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(
            "AMOUNT_INVALID",
            f"{text!r} is no amount: {why}.",
            fault=Fault.SENDER,
            remedy='Write the currency and a decimal number, such as "EUR 250.00".',
            facts={"text": text},
        )


def parse_money(text: str, scales: Mapping[str, int]) -> Money:
    """The amount that `text` names, at the ledger's scale of its currency."""
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise InvalidAmount(text, "it is not a currency and a decimal number")
    currency, whole, fraction = match.group(1), match.group(2).replace("_", ""), match.group(3) or ""
    scale = scales.get(currency)
    if scale is None:
        known = ", ".join(sorted(scales))
        raise InvalidAmount(text, f"{currency} is not on this ledger, which knows {known}")
    if len(fraction) > scale:
        raise InvalidAmount(text, f"{currency} has {scale} decimals on this ledger")
    digits = (whole + fraction.ljust(scale, "0")).lstrip("0")
    minor = int(digits or "0") if len(digits) <= _DIGITS_MAX else AMOUNT_MINOR_MAX + 1
    if not 0 < minor <= AMOUNT_MINOR_MAX:
        raise InvalidAmount(text, f"it is not between 1 and {AMOUNT_MINOR_MAX} minor units")
    return Money(currency=currency, minor=minor)


def format_money(currency: str, minor: int, scales: Mapping[str, int], *, decimals_min: int = 2) -> str:
    """`minor` as people read it: all its decimals that say something, at least `decimals_min`."""
    scale = scales.get(currency)
    if scale is None:
        return f"{currency} {minor} minor"
    sign = "-" if minor < 0 else ""
    digits = str(abs(minor)).rjust(scale + 1, "0")
    whole, fraction = (digits[:-scale], digits[-scale:]) if scale else (digits, "")
    fraction = fraction.rstrip("0").ljust(min(decimals_min, scale), "0")
    grouped = f"{int(whole):_}"
    return f"{currency} {sign}{grouped}" + (f".{fraction}" if fraction else "")

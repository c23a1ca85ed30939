"""L-12: a binding is refused outside the template's bounds, and says what would be within them."""

from __future__ import annotations

from typing import Any

import pytest

from licensing_vm.program.binding import bind
from licensing_vm.program.compiler import compile_source
from licensing_vm.program.errors import BindingRefused
from licensing_vm.program.model import Span

PROGRAM = compile_source("""template a.b version 1.0.0 "T" {
  parties { x: one; y: one; }
  assets { w: image; }
  currency EUR scale 2 round half_even;
  params {
    fee: money in EUR 5.00 .. EUR 50.00;
    fixed: money = EUR 1.00;
    share: percent in 10% .. 60% default 50%;
    seats: count in 1 .. 9 default 1;
    zone: territory in {EEA, CH} default DE;
    home: territory = {AT, DE};
    length: duration in 1 month .. 2 years default 1 year;
    days: duration in 1 day .. 30 days default 1 week;
  }
  grant G "G" { permit display of w to x where territory in zone during length from effective }
  pay P "P" on activated { x pays fee; split fee { share -> y; rest -> x; } }
}""")
DEFAULTS = (
    100,
    500_000,
    1,
    ("DE",),
    ("AT", "DE"),
    Span(12, 0),
    Span(0, 7),
)


def test_defaults_and_constants_fill_in() -> None:
    assert bind(PROGRAM, {"fee": 500}) == (500, *DEFAULTS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fee", 5_000),
        ("share", 100_000),
        ("seats", 9),
        ("zone", ("CH", "EU")),
        ("zone", ("IS", "NO")),
        ("home", ("AT", "DE")),
        ("fixed", 100),
        ("length", Span(24, 0)),
        ("days", Span(0, 30)),
    ],
)
def test_within_bounds(name: str, value: Any) -> None:
    bound = bind(PROGRAM, {"fee": 500, name: value})
    assert value in bound


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "fee has no default"),
        ({"fee": 499}, "may not be EUR 4.99"),
        ({"fee": 5_001}, "may not be EUR 50.01"),
        ({"fee": True}, "fee may not be"),
        ({"fee": ("DE",)}, "fee may not be"),
        ({"fee": 500, "fixed": 101}, "fixed may not be"),
        ({"fee": 500, "share": 600_001}, "may not be 60.0001%"),
        ({"fee": 500, "zone": ("US",)}, "may not be US"),
        ({"fee": 500, "zone": ("EU", "CH")}, "zone may not be"),  # codes are sorted
        ({"fee": 500, "zone": ()}, "zone may not be"),
        ({"fee": 500, "zone": ("ATLANTIS",)}, "zone may not be"),
        ({"fee": 500, "home": ("DE",)}, "home may not be DE"),
        ({"fee": 500, "length": Span(0, 40)}, "may not be 40 days"),
        ({"fee": 500, "days": Span(1, 0)}, "may not be 1 month"),
        ({"fee": 500, "fees": 500}, "no parameter 'fees'"),
    ],
)
def test_outside_bounds(given: dict[str, Any], says: str) -> None:
    with pytest.raises(BindingRefused, match=says) as refused:
        bind(PROGRAM, given)
    assert refused.value.remedy

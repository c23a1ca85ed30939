"""What is signed can be ended: what an offer's own length adds to a close counts when it is accepted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from licet import transactions as t

from tests.property.worst import FEBRUARY, offer_of, publish, roles, template, world
from tests.unit.licensing_vm.domain.kit import START_MS, Ledger

WORKS = 1_000


def offered(legs: int) -> Ledger:
    """An offer of a thousand works, whose month's close owes to so many."""
    ledger = world()
    names = [f"x{number}" for number in range(WORKS)]
    for name in names:
        ledger.asset("seller", name)
    program = publish(ledger, template("o", legs, verb="owes", when="at close of month"), "seller")
    offer = offer_of("o", program, roles(legs), {}, {"w": "x0"})
    assets = tuple(t.AssetBinding(slot="w", asset=name) for name in names)
    ledger.run("seller", replace(offer, assets=assets))
    return ledger


def acceptance() -> t.AcceptOffer:
    return t.AcceptOffer(agreement="a", offer="o", assets=(t.AssetBinding(slot="w", asset="x1"),))


@pytest.mark.parametrize("legs", [470, 500])
def test_what_could_never_be_closed_is_not_signed(legs: int) -> None:
    assert offered(legs).refused("buyer", acceptance()) == "TOO_WIDE"


def test_what_is_signed_is_closed() -> None:
    ledger = offered(400)
    ledger.run("buyer", acceptance())
    ledger.now = FEBRUARY
    ledger.run("seller", t.ClosePeriod(agreement="a", period="month", period_start_ms=START_MS))

"""Parameters as text: what is stored reads back as the same value."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licensing_vm.codelists import MEDIA, TERRITORIES
from licensing_vm.domain.literals import canonical, parse
from licensing_vm.errors import Refused
from licensing_vm.language.checker import check
from licensing_vm.program.model import Kind, Param, Program, Span, Value, ValueType

TERMS = Path(__file__).parents[2] / "examples" / "terms"


def _program() -> Program:
    program = check((TERMS / "stock.image_flat.terms").read_text()).program
    assert program is not None
    return program


PROGRAM = _program()


def param(kind: Kind, unit: str = "") -> Param:
    return Param(name="p", type=ValueType(kind, unit), low=0, high=0, default=None)


def _codes(codes: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.sets(st.sampled_from(codes), min_size=1, max_size=9).map(lambda found: tuple(sorted(found)))


VALUES: dict[Kind, st.SearchStrategy[Value]] = {
    Kind.MONEY: st.integers(0, 10**15),
    Kind.PRICE: st.integers(0, 10**15),
    Kind.PERCENT: st.integers(0, 10**6),
    Kind.COUNT: st.integers(0, 10**18),
    Kind.DURATION: st.integers(1, 400).map(lambda n: Span(n, 0))
    | st.integers(1, 4_000).map(lambda n: Span(0, n)),
    Kind.TERRITORY: _codes(TERRITORIES.codes),
    Kind.MEDIUM: _codes(MEDIA.codes),
}


@given(st.sampled_from(sorted(VALUES)), st.data(), st.integers(0, 9))
def test_what_is_stored_reads_back(kind: Kind, data: st.DataObject, scale: int) -> None:
    program = replace(PROGRAM, scale=scale)
    value = data.draw(VALUES[kind])
    assert parse(program, param(kind), canonical(program, param(kind), value)) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Kind.MONEY, "EUR -1.00"),
        (Kind.MONEY, "EUR 1.001"),
        (Kind.MONEY, "eur 1.00"),
        (Kind.MONEY, "EUR 1,00"),
        (Kind.MONEY, "EUR 1_"),
        (Kind.MONEY, "EUR 1__0"),
        (Kind.MONEY, "EUR 1.00 per banana"),
        (Kind.MONEY, "EUR 1.00 per "),
        (Kind.PRICE, "EUR 1.00 per banana"),
        (Kind.COUNT, "1 click"),
        (Kind.COUNT, "1" * 27),
        (Kind.MONEY, "EUR ١.00"),
        (Kind.PERCENT, "12.34567%"),
        (Kind.PERCENT, "12"),
        (Kind.COUNT, "1e6"),
        (Kind.COUNT, "1.0"),
        (Kind.DURATION, "2 fortnights"),
        (Kind.DURATION, "years"),
        (Kind.TERRITORY, "DE, FR"),
        (Kind.TERRITORY, "{DE,}"),
        (Kind.TERRITORY, ""),
    ],
)
def test_anything_else_is_refused(kind: Kind, text: str) -> None:
    with pytest.raises(Refused, match="is no value for the parameter p"):
        parse(PROGRAM, param(kind), text)


def test_a_price_is_per_the_unit_of_its_parameter() -> None:
    """A unit that is read is a unit that is compared: nobody signs a price per banana for clicks."""
    price = param(Kind.PRICE, "click")
    assert parse(PROGRAM, price, "EUR 0.20") == parse(PROGRAM, price, "EUR 0.20 per click") == 20
    for text in ("EUR 0.20 per banana", "EUR 0.20 per clicks", "EUR 0.20 per", "EUR 0.20 per click "):
        with pytest.raises(Refused, match=r"it takes a price such as EUR 0.20 or EUR 0.20 per click"):
            parse(PROGRAM, price, text)

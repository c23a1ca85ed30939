"""`licet.frozen.maker` makes exactly what the class makes, and no less frozen."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, replace

import pytest
from licet.frozen import maker
from licet.transactions import AcceptOffer, Money


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    left: int
    right: str = "r"


def test_it_makes_what_the_class_makes() -> None:
    make = maker(_Pair)
    assert make(left=1) == _Pair(left=1)
    assert make(left=1, right="x") == _Pair(left=1, right="x")
    assert hash(make(left=2)) == hash(_Pair(left=2))
    assert type(make(left=1)) is _Pair
    assert replace(make(left=1), left=5) == _Pair(left=5)


def test_what_it_makes_is_frozen() -> None:
    made = maker(Money)(currency="EUR", minor=1)
    with pytest.raises(FrozenInstanceError):
        made.minor = 2  # type: ignore[misc]


def test_it_takes_keywords_alone_and_all_of_them() -> None:
    make = maker(Money)
    with pytest.raises(TypeError):
        make("EUR", 1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        make(currency="EUR")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        make(currency="EUR", minor=1, major=2)  # type: ignore[call-arg]


def test_defaults_stay() -> None:
    assert maker(AcceptOffer)(agreement="a", offer="o") == AcceptOffer(agreement="a", offer="o")


def test_a_class_with_more_to_its_making_is_refused() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Checked:
        value: int

        def __post_init__(self) -> None:
            assert self.value > 0

    with pytest.raises(AssertionError):
        maker(Checked)

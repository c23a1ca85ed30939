"""L-4: splits are exact and fair for ever."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from licensing_vm.money.split import SplitRefused, Splitter, pro_rata

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "split.json").read_text(encoding="utf-8"))
BOUND = Fraction(168, 100)

weights_ = st.lists(
    st.one_of(st.integers(0, 3), st.integers(0, 10**6), st.integers(0, 10**24)), min_size=1, max_size=40
).filter(any)
payments_ = st.lists(st.one_of(st.integers(0, 99), st.integers(0, 10**9)), min_size=1, max_size=20)


def reference(weights: list[int], total: int) -> list[int]:
    """L-4 read literally: a recursive tree, joined by searching, shared out from the root."""
    nodes: list[tuple[int, int, object]] = [(w, k, k) for k, w in enumerate(weights) if w]
    while len(nodes) > 1:
        nodes.sort(key=lambda node: (node[0], -node[1]))
        one, two = nodes[0], nodes[1]
        left, right = (one, two) if one[1] < two[1] else (two, one)
        nodes = [*nodes[2:], (one[0] + two[0], left[1], (left, right))]
    shares = [0] * len(weights)

    def give(node: tuple[int, int, object], t: int) -> None:
        if isinstance(node[2], int):
            shares[node[2]] = t
            return
        left, right = node[2]  # type: ignore[misc]
        x = (2 * t * left[0] + node[0]) // (2 * node[0])
        give(left, x)
        give(right, t - x)

    give(nodes[0], total)
    return shares


@pytest.mark.parametrize("case", VECTORS, ids=range(len(VECTORS)))
def test_vectors(case: dict[str, list[int]]) -> None:
    splitter = Splitter(case["weights"])
    total = 0
    for payment, paid in zip(case["payments"], case["paid"], strict=True):
        assert list(splitter.pay(total, payment)) == paid
        total += payment


@given(weights=weights_, payments=payments_)
def test_equals_the_rule_read_literally(weights: list[int], payments: list[int]) -> None:
    splitter = Splitter(weights)
    total = 0
    for payment in payments:
        before = reference(weights, total)
        after = reference(weights, total + payment)
        assert list(splitter.pay(total, payment)) == [b - a for a, b in zip(before, after, strict=True)]
        assert list(splitter.totals(total + payment)) == after
        total += payment


@given(weights=weights_, payments=payments_)
def test_exact_monotone_and_independent_of_slicing(weights: list[int], payments: list[int]) -> None:
    splitter = Splitter(weights)
    received = [0] * len(weights)
    total = 0
    for payment in payments:
        shares = splitter.pay(total, payment)
        assert sum(shares) == payment
        assert min(shares) >= 0
        total += payment
        received = [r + s for r, s in zip(received, shares, strict=True)]
    assert received == list(splitter.pay(0, total))


@given(weights=weights_, before=st.integers(0, 10**9), payment=st.integers(0, 10**9))
def test_a_refund_reverses_exactly(weights: list[int], before: int, payment: int) -> None:
    splitter = Splitter(weights)
    paid = splitter.pay(before, payment)
    assert splitter.pay(before + payment, -payment) == tuple(-share for share in paid)


@settings(max_examples=30)
@given(
    weights=st.lists(st.integers(0, 10**6) | st.integers(0, 3), min_size=1, max_size=500).filter(any),
    total=st.integers(0, 10**9),
)
def test_no_leg_strays_from_its_quota(weights: list[int], total: int) -> None:
    whole = sum(weights)
    for weight, share in zip(weights, Splitter(weights).totals(total), strict=True):
        assert abs(share - Fraction(total * weight, whole)) < BOUND


def test_a_thousand_payments_of_nine_cents() -> None:
    """At 90.1 / 5.0 / 4.9 the smallest leg gets its 4.41, not nothing."""
    splitter = Splitter([901, 50, 49])
    received = [0, 0, 0]
    for n in range(1_000):
        received = [r + s for r, s in zip(received, splitter.pay(9 * n, 9), strict=True)]
    assert received == [8_109, 450, 441]


def test_odd_cent() -> None:
    assert Splitter([70, 30]).pay(0, 9_999) == (6_999, 3_000)


def test_shares_depend_on_proportions_alone() -> None:
    assert Splitter([10**12, 3 * 10**12]).weights == (1, 3)


@pytest.mark.parametrize("weights", [[], [0, 0], [1, -1], [1] * 513])
def test_impossible_weights_are_refused(weights: list[int]) -> None:
    with pytest.raises(SplitRefused):
        Splitter(weights)


def test_a_partial_payment_is_shared_pro_rata() -> None:
    """L-1: creditors of one due date, outstanding amounts as weights, from T = 0."""
    assert pro_rata(5, [3, 2]) == (3, 2)
    assert pro_rata(9, [300, 200]) == (5, 4)

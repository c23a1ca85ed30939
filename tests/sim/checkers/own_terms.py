"""The checkers' own arithmetic of money: tiers, rounding and splits, written a second time on purpose.

Fractions and trees, slow and plain, after the words of L-4 and L-6; nothing of the
production's arithmetic is used. The rates and shares are those of `metered.terms`.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

GRAIN: Final = 10_000  # a cent of the terms, in the ledger's minor units (six decimals)
VIEWS: Final = ((1_000, Fraction(235, 10_000)), (None, Fraction(110, 10_000)))
PRINTS: Final = ((40, Fraction(1_350, 10_000)), (None, Fraction(750, 10_000)))
VIEW_LEGS: Final = (47, 19, 34)  # owner, agency, artist
PRINT_LEGS: Final = (50, 50)  # artist, owner


def rated(tiers: Sequence[tuple[int | None, Fraction]], units: int) -> int:
    """Cents for so many units: each tier's units at its own price, rounded once, half to even."""
    euros, below = Fraction(0), 0
    for upto, price in tiers:
        in_tier = max(0, units - below) if upto is None else max(0, min(units, upto) - below)
        euros += in_tier * price
        below = upto or below
    return round(euros * 100)  # Python rounds a fraction half to even


class Leg:
    """A leaf of L-4's tree."""

    def __init__(self, number: int, weight: int) -> None:
        self.first = number
        self.weight = weight

    def share(self, total: int, into: dict[int, int]) -> None:
        into[self.first] = total


class Joint:
    """An inner node: the child that holds the earliest-declared leg stands left."""

    def __init__(self, one: Leg | Joint, other: Leg | Joint) -> None:
        self.left: Leg | Joint = one if one.first < other.first else other
        self.right: Leg | Joint = other if one.first < other.first else one
        self.first: int = self.left.first
        self.weight: int = one.weight + other.weight

    def share(self, total: int, into: dict[int, int]) -> None:
        of_left = (2 * total * self.left.weight + self.weight) // (2 * self.weight)
        self.left.share(of_left, into)
        self.right.share(total - of_left, into)


def shares(weights: Sequence[int], total: int) -> list[int]:
    """What every leg has received when `total` was ever split."""
    nodes: list[Leg | Joint] = [Leg(at, weight) for at, weight in enumerate(weights) if weight]
    while len(nodes) > 1:
        nodes.sort(key=lambda node: (node.weight, -node.first))  # smallest; of equals the later-declared
        nodes = [Joint(nodes[0], nodes[1]), *nodes[2:]]
    into: dict[int, int] = {}
    nodes[0].share(total, into)
    return [into.get(at, 0) for at in range(len(weights))]


def split(weights: Sequence[int], before: int, amount: int) -> list[int]:
    """What every leg receives of `amount` when `before` was split already."""
    then, now = shares(weights, before), shares(weights, before + amount)
    return [b - a for a, b in zip(then, now, strict=True)]

"""Splits that are exact and fair for ever (L-4).

A split keeps one integer T, all money ever split under it, and every leg's
total is a pure function of T. So sums are exact, every leg is monotone in T,
order and slicing of payments do not matter, a refund reverses exactly, and no
leg strays from its quota by 1.68 minor units or more.

Weights are non-negative integers in declared order; `split_weights` of
`program.binding` scales exact rationals to them. Never rounds, never forgets
a remainder.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import gcd
from typing import NamedTuple, final

from licet.errors import Fault, LicetError

from licensing_vm.program.limits import LEGS_MAX

# One split up to this many legs runs as straight-line Python, compiled once per shape of tree.
_UNROLLED_LEGS_MAX = 16


class SplitRefused(LicetError):
    """Weights that no split can have."""

    def __init__(self, why: str) -> None:
        super().__init__(
            "SPLIT_REFUSED",
            f"This split is not possible: {why}.",
            fault=Fault.SENDER,
            remedy="Give between 1 and 512 legs with weights of zero or more that are not all zero.",
        )


class _Join(NamedTuple):
    """An inner node: slots of the node itself and its children, and its two weights."""

    node: int
    left: int
    right: int
    weight_left: int
    weight: int


def _join(weights: Sequence[int]) -> tuple[tuple[int, ...], tuple[_Join, ...]]:
    """The tree of L-4 as joins from the root down, and the declared position of each leaf.

    Leaves are slots 0 .. n-1 in declared order (zero weights left out), inner nodes follow.
    """
    live = tuple(k for k, w in enumerate(weights) if w)
    # L-4: join the two smallest; of equal weights the later-declared goes first.
    heap = [(weights[k], -k, slot) for slot, k in enumerate(live)]
    heapq.heapify(heap)
    joins: list[_Join] = []
    while len(heap) > 1:
        a_weight, a_at, a = heapq.heappop(heap)
        b_weight, b_at, b = heapq.heappop(heap)
        if -a_at < -b_at:  # the child that holds the earliest-declared leg is the left one
            left, right, weight_left = a, b, a_weight
        else:
            left, right, weight_left = b, a, b_weight
        node = len(live) + len(joins)
        joins.append(_Join(node, left, right, weight_left, a_weight + b_weight))
        heapq.heappush(heap, (a_weight + b_weight, max(a_at, b_at), node))
    return live, tuple(reversed(joins))


_PayFn = Callable[[int, int], tuple[int, ...]]


@lru_cache(maxsize=512)
def _unrolled(
    legs: int, live: tuple[int, ...], shape: tuple[tuple[int, int, int], ...]
) -> Callable[..., _PayFn]:
    """A factory of `pay` functions for one shape of tree; the weights come as arguments.

    The source holds slot numbers only, so what is compiled is bounded by the shapes, not the assets.
    """
    root = shape[0][0] if shape else 0
    lines = [f"def make({', '.join(f'l{n}, w{n}, d{n}' for n, _, _ in shape)}):", "  def pay(total, amount):"]
    lines += [f"    a{root} = total", f"    b{root} = total + amount"]
    for node, left, right in shape:
        for side in "ab":
            lines.append(f"    {side}{left} = ({side}{node} * l{node} + w{node}) // d{node}")
            lines.append(f"    {side}{right} = {side}{node} - {side}{left}")
    slot_of = {k: slot for slot, k in enumerate(live)}
    shares = [f"b{slot_of[k]} - a{slot_of[k]}" if k in slot_of else "0" for k in range(legs)]
    lines += [f"    return ({', '.join(shares)},)", "  return pay"]
    namespace: dict[str, object] = {"__builtins__": {}}
    exec("\n".join(lines), namespace)
    make = namespace["make"]
    assert callable(make)
    return make


@final
class Splitter:
    """The legs of one version of a split. Immutable; T lives with the caller (L-5)."""

    __slots__ = ("_joins", "_live", "legs", "pay", "weights")

    def __init__(self, weights: Sequence[int]) -> None:
        if not 1 <= len(weights) <= LEGS_MAX:
            raise SplitRefused(f"it has {len(weights)} legs")
        if any(w < 0 for w in weights):
            raise SplitRefused("a weight is negative")
        common = gcd(*weights)
        if common == 0:
            raise SplitRefused("its weights are all zero")
        self.weights = tuple(w // common for w in weights)
        self.legs = len(weights)
        self._live, self._joins = _join(self.weights)
        # pay(T, p): what each leg receives of p when T was split before; the caller then keeps T + p.
        self.pay: _PayFn = self._compiled() if len(self._live) <= _UNROLLED_LEGS_MAX else self._pay_slowly

    def totals(self, total: int) -> tuple[int, ...]:
        """share_k(T) of every leg: all that it has ever received."""
        at = [0] * (len(self._live) + len(self._joins))
        at[-1] = total  # the root was joined last; a single leaf is its own root
        for node, left, right, weight_left, weight in self._joins:
            t = at[node]
            x = (2 * t * weight_left + weight) // (2 * weight)
            at[left] = x
            at[right] = t - x
        shares = [0] * self.legs
        for slot, k in enumerate(self._live):
            shares[k] = at[slot]
        return tuple(shares)

    def _pay_slowly(self, total: int, amount: int) -> tuple[int, ...]:
        before = self.totals(total)
        return tuple(b - a for a, b in zip(before, self.totals(total + amount), strict=True))

    def _compiled(self) -> _PayFn:
        shape = tuple((j.node, j.left, j.right) for j in self._joins)
        numbers: list[int] = []
        for j in self._joins:
            numbers += (2 * j.weight_left, j.weight, 2 * j.weight)
        return _unrolled(self.legs, self._live, shape)(*numbers)


@lru_cache(maxsize=4096)
def splitter(weights: tuple[int, ...]) -> Splitter:
    """The splitter of these weights, kept for the next payment."""
    return Splitter(weights)


def pro_rata(amount: int, outstanding: Sequence[int]) -> tuple[int, ...]:
    """L-1: a partial payment among creditors of one due date, from T = 0, outstanding amounts as weights."""
    return Splitter(outstanding).totals(amount)

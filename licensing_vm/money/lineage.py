"""The weights of an asset version's ancestors, computed once when it is linked (L-13).

Every edge child -> parent has a rate of nine decimals. Relative weights
multiply the rates along paths; absolute ones are the rates of the distinct
edges that enter an ancestor. "Once" takes the largest, "every path" the sum.
Weights have twelve decimals and are floored at each edge, going up from the
child. Paths of more than eight edges do not count. Never caps or scales: a
split does that (`program.binding`), with the stack of its own template.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from licet.errors import Fault, LicetError

from licensing_vm.program.limits import ANCESTORS_MAX, LINEAGE_DEPTH, LINKS_WALKED_MAX, RATE_ONE, WEIGHT_ONE
from licensing_vm.program.model import Ancestors, LineageCount, LineageMode

_WEIGHT_MAX = WEIGHT_ONE * 1_000  # so that any weight and sum of weights fits 64 bits
assert _WEIGHT_MAX * ANCESTORS_MAX < 2**63

# (parent key, rate in billionths of the sale)
Edge = tuple[bytes, int]


class LineageRefused(LicetError):
    """A link that would break a bound of L-13."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(
            "LINEAGE_REFUSED", f"This link is refused: {why}.", fault=Fault.SENDER, remedy=remedy
        )


class AncestorWeight(NamedTuple):
    """One ancestor and its four weights."""

    key: bytes
    relative_once: int
    relative_every_path: int
    absolute_once: int
    absolute_every_path: int


def walk_ancestors(
    child: bytes, parents: Sequence[Edge], parents_of: Callable[[bytes], Sequence[Edge]]
) -> tuple[tuple[AncestorWeight, ...], int]:
    """All four weights of every ancestor of `child` within eight generations, ascending by key; and how many
    links were walked on the way.

    `parents` are the child's own edges, the new one included; `parents_of` reads those of any other
    asset version. Refuses a cycle and more than `ANCESTORS_MAX` ancestors.
    """
    found: dict[bytes, list[int]] = {}
    entered: set[tuple[bytes, bytes]] = set()  # edges already counted for the absolute weights
    walked = 0
    layer: dict[bytes, tuple[int, int]] = {child: (WEIGHT_ONE, WEIGHT_ONE)}
    for _ in range(LINEAGE_DEPTH):
        above: dict[bytes, tuple[int, int]] = {}
        for node, (largest, summed) in layer.items():
            for parent, rate in parents if node == child else parents_of(node):
                walked += 1
                _check_edge(child, parent, rate)
                up_largest, up_summed = above.get(parent, (0, 0))
                above[parent] = (
                    max(up_largest, largest * rate // RATE_ONE),
                    up_summed + summed * rate // RATE_ONE,
                )
                row = found.setdefault(parent, [0, 0, 0, 0])
                if (node, parent) not in entered:
                    entered.add((node, parent))
                    absolute = rate * (WEIGHT_ONE // RATE_ONE)
                    row[2] = max(row[2], absolute)
                    row[3] += absolute
        for parent, (largest, summed) in above.items():
            row = found[parent]
            row[0] = max(row[0], largest)
            row[1] += summed
            if walked > LINKS_WALKED_MAX:
                raise LineageRefused(
                    f"more than {LINKS_WALKED_MAX} links lead from the asset to its ancestors",
                    "Link to fewer works, or to works that share fewer ancestors.",
                )
        _check_bounds(found)
        layer = above
        if not layer:
            break
    return tuple(AncestorWeight(key, *found[key]) for key in sorted(found)), walked


def ancestor_weights(
    child: bytes, parents: Sequence[Edge], parents_of: Callable[[bytes], Sequence[Edge]]
) -> tuple[AncestorWeight, ...]:
    """The weights alone."""
    return walk_ancestors(child, parents, parents_of)[0]


def select(table: Sequence[AncestorWeight], mode: LineageMode, count: LineageCount) -> Ancestors:
    """The weights that a program's lineage uses: what `binding.split_table` takes."""
    column = 1 + 2 * (mode is LineageMode.ABSOLUTE) + (count is LineageCount.EVERY_PATH)
    return tuple((row[0], int(row[column])) for row in table)


def _check_edge(child: bytes, parent: bytes, rate: int) -> None:
    if parent == child:
        raise LineageRefused(
            "the asset would be its own ancestor", "Link to a work that is not derived from this one."
        )
    if not 0 < rate <= RATE_ONE:
        raise LineageRefused(
            f"an edge has the rate {rate} billionths", "Give a rate above 0 % and at most 100 % of the sale."
        )


def _check_bounds(found: dict[bytes, list[int]]) -> None:
    if len(found) > ANCESTORS_MAX:
        raise LineageRefused(
            f"it would give the asset {len(found)} ancestors within {LINEAGE_DEPTH} generations",
            f"Link to fewer works: an asset version has at most {ANCESTORS_MAX} ancestors.",
        )
    if any(weight > _WEIGHT_MAX for row in found.values() for weight in row):
        raise LineageRefused(
            "an ancestor's weight would be above 1,000 times the sale", "Link with lower rates."
        )

"""The weights of an asset version's ancestors, fixed once when it is linked (L-13).

Every edge child -> parent has a rate of nine decimals. Relative weights
multiply rates along paths, absolute ones are the rates of the edges that enter
the ancestor; "once" takes the largest, "every path" the sum. Products have
twelve decimals and are floored at each edge. Only ancestors within eight
generations count. Never caps or scales: a split does (`program.binding`).

A parent's own four weights are already stored, so linking a child reads only
its parents' tables. Generations matter only for the depth bound; therefore a
table keeps, per ancestor, its contribution *per generation*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from licet.errors import Fault, LicetError
from licensing_vm.program.limits import ANCESTORS_MAX, LINEAGE_DEPTH, RATE_ONE, WEIGHT_ONE
from licensing_vm.program.model import Ancestors, LineageCount, LineageMode


class LineageRefused(LicetError):
    """A link that would break L-13's bounds."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__("LINEAGE_REFUSED", f"This link is refused: {why}.", fault=Fault.SENDER, remedy=remedy)

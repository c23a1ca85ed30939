"""The cost of a clause, known before it runs and charged up front.

`cost_bound` holds for every input and is what publication checks; `cost` is
the exact figure for an asset version with so many ancestors. Never looks at a
value: programs have no jumps, so cost depends on their text alone.
"""

from __future__ import annotations

from typing import Final

from licensing_vm.program.instructions import RULES
from licensing_vm.program.limits import ANCESTORS_MAX, INSTRUCTIONS_MAX, LEGS_MAX, TIERS_MAX
from licensing_vm.program.model import Clause, LegKind, Op, Program, Split

_COST_OF_LEG: Final = 3
_COST_OF_TIER: Final = 2

# No clause can cost more, whatever its text.
COST_MAX: Final = INSTRUCTIONS_MAX * (10 + _COST_OF_LEG * LEGS_MAX + 2 * _COST_OF_TIER * TIERS_MAX)


def legs_of(split: Split, ancestors: int) -> int:
    """How many legs a split has when each lineage leg stands for so many ancestors."""
    return sum(ancestors if leg.kind in (LegKind.LINEAGE, LegKind.BUDGET) else 1 for leg in split.legs)


def cost(program: Program, clause: Clause, ancestors: int = 0) -> int:
    """What running `clause` costs for an asset version with so many ancestors."""
    total = 0
    for op, _, args in clause.code:
        rule = RULES[op]
        total += rule.cost
        if op is Op.RATE:
            total += 2 * _COST_OF_TIER * len(program.rates[args[0]].tiers)
        elif rule.effect:
            total += _COST_OF_LEG * legs_of(clause.splits[args[2]], ancestors)
    return total


def cost_bound(program: Program, clause: Clause) -> int:
    """The most that `clause` can cost."""
    return cost(program, clause, ANCESTORS_MAX)

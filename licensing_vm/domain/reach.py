"""How much work a command is, counted before it acts, and how much a block has room for (C-16).

A command's declared cost is a function of its bytes; what it does depends on terms that bytes only name.
So execution counts: a command spends what it reaches from the block's budget of work before it acts. What
does not fit is refused with `BLOCK_FULL`, consumes nothing, and fits into a later block. Terms that could
never fit are refused when an agreement is made (`TOO_WIDE`).

The unit is one posting of cash (about 0.8 µs). Counts, never measures: the same on every node, whatever
it has in its caches.
"""

from __future__ import annotations

from typing import Final

from licensing_vm.errors import Refused
from licensing_vm.program.limits import LEGS_MAX

POSTING: Final = 1  # of cash, to one payee
OBLIGATION: Final = 20  # an obligation to one payee: a record, index rows, an event, two postings
GRANT: Final = 4  # a grant on one asset: exclusivity, the agreement's record
TITLE: Final = 16  # a title whose claims begin or end: added up at every acceptance
GAS: Final = 8  # so many units of a program's gas are one
OPEN_ITEM: Final = 4  # an unpaid obligation that a close or a payment reads and writes back
BINDING: Final = 8  # a leg of terms that are bound in this block, beyond the free ones
BINDING_FREE: Final = 16  # legs whose binding the declared cost pays for
SHEET_RESERVED: Final = 4  # payees that an ancestor may come to have while an agreement runs

WORK_PER_BLOCK: Final = 32_000  # about 26 ms
COMMAND_MAX: Final = 16_000  # of what one trigger's clauses do, with the binding of their terms
GROUP_MAX: Final = 512  # obligations of one debtor and one due date; a payment touches as many
OPEN_MAX: Final = 2_048  # unpaid obligations of an agreement

assert COMMAND_MAX + OPEN_MAX * OPEN_ITEM <= WORK_PER_BLOCK, "what may be agreed fits into an empty block"
assert GROUP_MAX * OBLIGATION + OPEN_MAX * OPEN_ITEM <= WORK_PER_BLOCK, "what may be owed can be paid"
assert GROUP_MAX >= LEGS_MAX, "a part of a group is divided exactly (L-17)"
assert LEGS_MAX * OBLIGATION + (LEGS_MAX - BINDING_FREE) * BINDING <= COMMAND_MAX, "L-4's legs may be owed"


def binding_of(legs: int) -> int:
    """The work of binding terms with so many legs."""
    return max(0, legs - BINDING_FREE) * BINDING


def too_wide(**facts: str) -> Refused:
    """The refusal of what would be more work than one command or one block may be."""
    return Refused("TOO_WIDE", "It would make too many payments, obligations and grants at once.", facts)

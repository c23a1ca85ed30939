"""How much work a command is, counted before it acts, and how much a block has room for (C-16).

A command's declared cost is a function of its bytes; what it does depends on terms that bytes only name.
So execution counts: a command spends what it reaches from the block's budget of work before it acts. What
does not fit is refused with `BLOCK_FULL`, consumes nothing, and fits into a later block. Terms that could
never fit are refused when an agreement is made (`TOO_WIDE`).

The unit is one posting of cash (about 0.8 µs). Declared costs and work share one budget, because both are
time of the same block: what a block's bytes declare is set aside before its first transaction, and work
has the rest. Weights are those of a machine that has just started, measured with the state tree and the
write batch (`tests.bench.worst_block`). Counts, never measures: the same on every node, whatever it has in
its caches.
"""

from __future__ import annotations

from typing import Final

from licensing_vm.errors import Refused
from licensing_vm.program.limits import LEGS_MAX

POSTING: Final = 1  # of cash, to one payee
OBLIGATION: Final = 36  # an obligation to one payee: a record, index rows, an event, two postings
PAID: Final = 46  # an obligation that a payment touches: its record read and written, four postings
GRANT: Final = 4  # a grant on one asset: exclusivity, the agreement's record
TITLE: Final = 16  # a title whose claims begin or end, and a unit for each claim: added up at every sale
CLAUSE: Final = 8  # a clause that runs, with its journal entry
GAS: Final = 6  # so many units of a program's gas are one
OPEN_ITEM: Final = 9  # an unpaid obligation that a close or a payment reads and writes back
SHEET_RESERVED: Final = 4  # payees that an ancestor may come to have while an agreement runs

# What is made ready once and then kept, though no charge may depend on whether a node still has it.
LOADING: Final = 120  # a program met for the first time in a block, and
CODE_BYTES: Final = 3  # so many bytes of it are a unit more
BINDING: Final = 180  # terms bound to assets, for the first time in a block
BOUND_LEG: Final = 7  # each of their legs
BOUND_ITEM: Final = 8  # each of their parameters and assets
BOUND_CLAUSE: Final = 60  # each of their clauses beyond the first
BOUND_GRANT: Final = 22  # each of their grants on an asset
TEXT_BYTES: Final = 16  # so many bytes of parameters' texts are a unit, and
CODES: Final = 1  # each code of a grant
BOUND_ANCESTOR: Final = 13  # each of the ancestors among them
BOUND_ROLE: Final = 16  # each of their roles: a party, and a balance that may be met for the first time
MET_ITEM: Final = 6  # each item of a long record met for the first time in a block
MET_FREE: Final = 16  # items whose reading the declared cost pays for
ASSET: Final = 16  # an asset met for the first time in a block: its record, and
ANCESTOR_ROW: Final = 8  # each of its ancestors
PARENT_ROW: Final = 3  # each of its parents
PAYEE_ROW: Final = 3  # each payee of its sheet
ID_ROW: Final = 4  # each of its external ids
HASHES_ROW: Final = 4  # so many of its content hashes are a unit
ACCOUNT: Final = 19  # a balance met for the first time in a block: read, written back, a leaf of the tree
KEY: Final = 5  # a key of a party met for the first time in a block, beyond
KEYS_FREE: Final = 2
READING_MAX: Final = 18_000  # of reading what derives from what: a link that would make it more is refused
DERIVED_HASHES_MAX: Final = 64  # content hashes of a new version of a work that others derive from

ROOM_COST: Final = 80  # of declared cost are a unit of work
WORK_PER_BLOCK: Final = 30_000  # 24 of the 25 ms of C-16: what a block declares and what it does besides
WORK_MIN: Final = 5_000  # of it for work, where a network lets blocks declare more than the usual
COMMAND_MAX: Final = 23_900  # of what one trigger's clauses do, with the binding of their terms
GROUP_MAX: Final = 512  # obligations of one debtor and one due date; a payment touches as many
OPEN_MAX: Final = 620  # unpaid obligations of an agreement
ENOUGH: Final = 24_500  # who began with so much and yet ran out by reading would never fit

_DECLARED: Final = 500  # of the one transaction that does it

# What clauses, binding and all that is met may come to in a block of their own, beside as many unpaid
# obligations as an agreement may have that owes to a whole group at once.
ALONE_MAX: Final = WORK_PER_BLOCK - _DECLARED - (OPEN_MAX - GROUP_MAX) * OPEN_ITEM

assert COMMAND_MAX + OPEN_MAX * OPEN_ITEM + _DECLARED <= WORK_PER_BLOCK, (
    "what may be agreed fits into a block"
)
assert GROUP_MAX * PAID + OPEN_MAX * OPEN_ITEM + _DECLARED <= WORK_PER_BLOCK, "what may be owed can be paid"
assert GROUP_MAX >= LEGS_MAX, "a part of a group is divided exactly (L-17)"
assert LEGS_MAX * (OBLIGATION + BOUND_LEG) + 2 * BINDING <= COMMAND_MAX, "L-4's legs may be owed"


def room_beside(declared: int) -> int:
    """The work that a block has room for beside what its transactions declare."""
    return max(WORK_MIN, WORK_PER_BLOCK + -declared // ROOM_COST)


def loading_of(code_bytes: int) -> int:
    """The work of loading a program of so many bytes."""
    return LOADING + code_bytes // CODE_BYTES


def too_wide(**facts: str) -> Refused:
    """The refusal of what would be more work than one command or one block may be."""
    return Refused("TOO_WIDE", "It would make too many payments, obligations and grants at once.", facts)

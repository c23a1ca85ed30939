"""How far one command may reach, so that its declared cost bounds its work (C-16).

A command's cost is a function of its bytes; what it does depends on terms that bytes only name. So the id
of an agreement tells how much it may set in motion: an id that begins with `wide.` may reach far, and
every command that names it declares a high cost; any other reaches little and costs little. Terms that
reach too far for the id are refused when the agreement is made.

The unit is one posting of cash (about 0.8 µs). Counts, never measures.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from licensing_vm.errors import Refused
from licensing_vm.program.model import Trigger

WIDE_PREFIX: Final = "wide."

POSTING: Final = 1  # of cash, to one payee
OBLIGATION: Final = 20  # an obligation to one payee: a record, index rows, an event, two postings
GRANT: Final = 4  # a grant on one asset: exclusivity, the agreement's record
TITLE: Final = 16  # a title whose claims begin or end: added up at every acceptance
GAS: Final = 8  # so many units of a program's gas are one
SHEET_RESERVED: Final = 4  # payees that an ancestor may come to have while an agreement runs


class Limits(NamedTuple):
    """What one command may reach."""

    activated: int
    used: int
    close: int
    group: int  # obligations of one debtor and one due date; a payment touches as many
    open: int  # unpaid obligations


NARROW: Final = Limits(activated=100, used=44, close=320, group=16, open=1_024)
WIDE: Final = Limits(activated=2_560, used=2_560, close=2_560, group=128, open=4_096)
REPORT: Final = 24_000  # of all narrow agreements in one report together
assert all(one <= other for one, other in zip(NARROW, WIDE, strict=True))
assert NARROW.group * OBLIGATION <= NARROW.close, "what a close may owe can be paid"
assert WIDE.group * OBLIGATION <= WIDE.close


def is_wide(agreement: str) -> bool:
    return agreement.startswith(WIDE_PREFIX)


def limits_of(agreement: str) -> Limits:
    return WIDE if is_wide(agreement) else NARROW


def exceeds(reach: int, trigger: Trigger, limits: Limits) -> bool:
    """Whether clauses of one trigger reach too far."""
    match trigger:
        case Trigger.ACTIVATED:
            return reach > limits.activated
        case Trigger.USED:
            return reach > limits.used
        case Trigger.CLOSE:
            return reach > limits.close


def too_wide(agreement: str) -> Refused:
    """The refusal of terms that reach too far for an agreement's id."""
    if is_wide(agreement):
        return Refused(
            "TOO_WIDE",
            "The terms make too many payments, obligations and grants at once.",
            {"agreement": agreement},
            remedy="Divide the terms, or let ancestors state payout sheets with fewer payees.",
        )
    return Refused(
        "TOO_WIDE",
        "The terms reach too many payees or grants for an agreement of this name.",
        {"agreement": agreement, "prefix": WIDE_PREFIX},
    )

"""How much work one source may cause: counted in units that follow from its text, never in time.

Every validator checks a published source while it executes a block (C-16), so a source that would take
long is refused, at the same word on every machine. A unit is about a microsecond on the reference machine.
Never measures anything.
"""

from __future__ import annotations

from typing import Final, final

from licensing_vm.language.diagnostics import Code, Place, Stop, error
from licensing_vm.program.limits import CHECK_WORK_MAX

# What each step costs; calibrated by `tests.property.fuzz_terms --hostile`.
PIECE: Final = 2  # a token, a space, a comment or a line
TOKEN: Final = 4  # a token, besides: made, parsed, looked at by the checks of declarations
STEP: Final = 60  # an instruction lowered, described and verified
LEG: Final = 6  # a share of a split
COMPARED: Final = 2  # two expressions of a split and a payment
SAID: Final = 7  # a diagnostic
MET: Final = 8  # a grant and a prohibition compared, besides their codes
ANALYSED: Final = 3  # a term evaluated: by the checker, and again by the verifier
TRIED: Final = 15  # a test or one of its clauses set up, besides what stands in it


@final
class Work:
    """The work done so far for one source."""

    __slots__ = ("spent",)

    def __init__(self) -> None:
        self.spent = 0

    def spend(self, units: int, place: Place) -> None:
        """Count work; raise `Stop` where it becomes too much."""
        self.spent += units
        if self.spent > CHECK_WORK_MAX:
            raise Stop(
                error(
                    Code.TOO_COSTLY,
                    place,
                    "Up to here the template takes more work to check than one template may.",
                    "Split it into several templates, or shorten calculations, lists and tests.",
                )
            )

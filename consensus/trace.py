"""What the engine says about itself: small typed lines for logs, metrics and the simulator's digest."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from licet.types import View


class TraceKind(Enum):
    """Every kind of line there is."""

    ENTERED = "entered"  # facts: by
    PROPOSED = "proposed"
    NOTARIZED = "notarized"  # our vote
    NULLIFIED = "nullified"  # our vote; facts: why
    FINALIZED = "finalized"  # our vote
    CERTIFICATE = "certificate"  # held; facts: kind
    COMMITTED = "committed"  # facts: height
    REFUSED = "refused"  # a proposal or message; facts: why
    CATCH_UP = "catch_up"
    ISOLATED = "isolated"


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceEntry:
    """One line: what, in which view, and a short detail."""

    kind: TraceKind
    view: View
    detail: str = ""

    def line(self) -> str:
        """Stable text, the same in every run."""
        return f"{self.kind.value} view={self.view} {self.detail}".rstrip()

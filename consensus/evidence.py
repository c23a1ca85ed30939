"""C-7: two signed statements by one key that no honest key makes, kept and exposed.

An honest validator signs at most one notarize in a view, and never both nullify
and finalize. A pair that breaks this is evidence that anyone can check.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from licet.certificate import Vote, VoteKind
from licet.types import ValidatorIndex, View

EVIDENCE_KEPT_MAX: Final = 256  # distinct (validator, view) pairs; later ones are dropped (C-16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Two verified votes by one validator for one view that contradict each other."""

    first: Vote
    second: Vote

    @property
    def voter(self) -> ValidatorIndex:
        return self.first.voter

    @property
    def view(self) -> View:
        return self.first.view


def conflict(first: Vote, second: Vote) -> bool:
    """Whether no honest validator signs both (C-7)."""
    same = first.voter == second.voter and first.view == second.view and first.epoch == second.epoch
    if not same or first.chain_id != second.chain_id:
        return False
    kinds = {first.kind, second.kind}
    if kinds == {VoteKind.NULLIFY, VoteKind.FINALIZE}:
        return True
    return len(kinds) == 1 and first.digest != second.digest


class EvidenceBook:
    """Keeps at most one piece of evidence per validator and view, and a bounded number in all."""

    __slots__ = ("_by_voter_view",)

    def __init__(self) -> None:
        self._by_voter_view: dict[tuple[ValidatorIndex, View], Evidence] = {}

    def add(self, first: Vote, second: Vote) -> Evidence | None:
        """Keep a contradiction; None when it is none, known already, or the book is full."""
        key = (first.voter, first.view)
        if not conflict(first, second) or key in self._by_voter_view:
            return None
        if len(self._by_voter_view) >= EVIDENCE_KEPT_MAX:
            return None
        evidence = Evidence(first=first, second=second)
        self._by_voter_view[key] = evidence
        return evidence

    def has(self, voter: ValidatorIndex, view: View) -> bool:
        """Whether this validator's contradiction in this view is kept already."""
        return (voter, view) in self._by_voter_view

    def all(self) -> tuple[Evidence, ...]:
        """Everything kept, in the order it was found."""
        return tuple(self._by_voter_view.values())

"""No honest key signs two notarizes, two finalizes, or nullify and finalize in one view.

Wire and disk are taken together, over all lives of a node.
"""

from __future__ import annotations

from licet.certificate import VoteKind

from tests.sim.history import History


def check(history: History) -> list[str]:
    """Everything that an honest node said or kept, in all its lives."""
    said: dict[tuple[int, int, VoteKind], bytes] = {}
    problems: set[str] = set()
    for vote in history.votes:
        if vote.voter in history.byzantine:
            continue
        place = (vote.voter, vote.view, vote.kind)
        if said.setdefault(place, vote.digest) != vote.digest:
            problems.add(f"node {vote.voter} signed two {vote.kind.name} in view {vote.view}")
    for voter, view, kind in said:
        if kind is VoteKind.FINALIZE and (voter, view, VoteKind.NULLIFY) in said:
            problems.add(f"node {voter} signed NULLIFY and FINALIZE in view {view}")
    problems |= {
        f"node {seen_by} holds evidence against honest node {against}"
        for seen_by, against in history.evidence
        if against not in history.byzantine and seen_by not in history.byzantine
    }
    return sorted(problems)

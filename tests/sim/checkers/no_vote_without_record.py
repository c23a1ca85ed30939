"""A node whose signing record was missing or damaged at a start says nothing from then on that is a vote."""

from __future__ import annotations

from tests.sim.history import History


def check(history: History) -> list[str]:
    """The plan that took the record away says since when; the node must say that it does not vote."""
    problems = [
        f"node {node} lost its signing record and does not say so"
        for node in history.record_lost_us
        if node not in history.said_nonvoter
    ]
    return problems + [
        f"node {vote.voter} voted {vote.kind.name} in view {vote.view} without a signing record"
        for vote in history.votes
        if vote.where == "wire"
        and vote.voter in history.record_lost_us
        and vote.tick_us > history.record_lost_us[vote.voter]
    ]

"""A node whose signing record was missing or damaged at a start says nothing from then on that is a vote."""

from __future__ import annotations

from tests.sim.history import History


def check(history: History) -> list[str]:
    """Non-voters are noted when they start; `record_lost_us` says since when."""
    return [
        f"node {vote.voter} voted {vote.kind.name} in view {vote.view} without a signing record"
        for vote in history.votes
        if vote.where == "wire"
        and vote.voter in history.record_lost_us
        and vote.tick_us > history.record_lost_us[vote.voter]
    ]

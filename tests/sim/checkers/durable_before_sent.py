"""What left a process was on its disk first: the vote; for a notarize, block and batches too (C-14)."""

from __future__ import annotations

from tests.sim.history import History


def check(history: History) -> list[str]:
    """Looked at in the synced bytes at the moment of sending."""
    return [
        f"node {vote.voter} sent {vote.kind.name} of view {vote.view} at {vote.tick_us} before it was durable"
        for vote in history.votes
        if vote.where == "wire" and vote.voter not in history.byzantine and not vote.durable
    ]

"""After the network healed, a new final block within three seconds, and nothing stays undone.

Beside an adversary the limit is higher by one view of its own: it may lead the
first view after healing and say nothing, for t_leader = 2Δ of the patience that
the trouble before had taught the honest nodes (C-8).
"""

from __future__ import annotations

from typing import Final

from tests.sim.history import History

LIMIT_US: Final = 3_000_000


def check(history: History) -> list[str]:
    """The time was measured by the run: on every honest node that is up and may follow."""
    limit_us = LIMIT_US + (history.view_wasted_us if history.byzantine else 0)
    if history.progress_us is None:
        return [f"no new final block within {2 * limit_us // 1000} ms of healing"]
    if history.progress_us > limit_us:
        return [f"the first new final block came {history.progress_us // 1000} ms after healing"]
    return [f"{hash_.hex()[:12]} was never acknowledged" for hash_ in history.unsettled]

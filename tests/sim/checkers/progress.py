"""After the network healed, a new final block within three seconds, and nothing stays undone."""

from __future__ import annotations

from typing import Final

from tests.sim.history import History

LIMIT_US: Final = 3_000_000


def check(history: History) -> list[str]:
    """The time was measured by the run: on every honest node that is up and may follow."""
    if history.progress_us is None:
        return [f"no new final block within {LIMIT_US // 1000} ms of healing"]
    if history.progress_us > LIMIT_US:
        return [f"the first new final block came {history.progress_us // 1000} ms after healing"]
    return [f"{hash_.hex()[:12]} was never acknowledged" for hash_ in history.unsettled]

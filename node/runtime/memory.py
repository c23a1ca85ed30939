"""Keeps the garbage collector from stopping the loop.

A node holds up to millions of small objects for long: decoded state, used ids,
batches that wait. CPython's full collection walks all of them, half a second at
a time, and finds nothing, for what a node drops is freed by reference counts.
So full collections are off. The young are looked at once a second, and what has survived is put
aside, where no collection walks it: as often as the interpreter would look by itself, each time a
few batches are decoded, it took a twentieth of a busy node's time. A cycle that outlives that second
is not found again: cycles that long-lived are a handful of connections, not traffic.
"""

from __future__ import annotations

import gc
from typing import Final

YOUNG_OBJECTS: Final = 100_000  # an idle node's blocks are rare: its cycles are found here
NEVER: Final = 1_000_000_000
ASIDE_EVERY_US: Final = 1_000_000


class Memory:
    """One per driver; the settings are the process'."""

    def __init__(self) -> None:
        self._before: tuple[int, int, int] | None = None
        self._aside_at_us = 0

    def begin(self) -> None:
        """The node is assembled: what stands now stays."""
        if self._before is None:
            self._before = gc.get_threshold()
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS, NEVER, NEVER)

    def step(self, mono_us: int) -> None:
        """Once a second, look at the young and put aside what survives."""
        if mono_us >= self._aside_at_us:
            self._aside_at_us = mono_us + ASIDE_EVERY_US
            gc.collect(0)
            gc.freeze()

    def end(self) -> None:
        """The process goes on without this node: as before."""
        if self._before is not None:
            gc.set_threshold(*self._before)
            gc.unfreeze()
            self._before = None

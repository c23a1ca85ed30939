"""Keeps the garbage collector from stopping the loop.

A node holds up to millions of small objects for long: decoded state, used ids,
batches that wait. CPython's full collection walks all of them, half a second at
a time, and finds nothing, for what a node drops is freed by reference counts.
So full collections are off; the young generations are collected as ever (a few
milliseconds at most), and what has survived them is put aside every few seconds,
where no collection walks it. A cycle that outlives that is not found again: cycles that
long-lived are a handful of connections, not traffic.
"""

from __future__ import annotations

import gc
from typing import Final

YOUNG_OBJECTS: Final = 10_000  # allocations before the youngest are looked at
YOUNG_ROUNDS: Final = 5
NEVER: Final = 1_000_000_000
ASIDE_EVERY_US: Final = 5_000_000


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
        gc.set_threshold(YOUNG_OBJECTS, YOUNG_ROUNDS, NEVER)

    def step(self, mono_us: int) -> None:
        """Now and then, put aside what has survived the young generations."""
        if mono_us >= self._aside_at_us:
            self._aside_at_us = mono_us + ASIDE_EVERY_US
            gc.collect(1)
            gc.freeze()

    def end(self) -> None:
        """The process goes on without this node: as before."""
        if self._before is not None:
            gc.set_threshold(*self._before)
            gc.unfreeze()
            self._before = None

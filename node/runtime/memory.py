"""Keeps the garbage collector from stopping the loop.

A node holds up to millions of small objects for long: decoded state, used ids,
batches that wait. CPython's full collection walks all of them, half a second at
a time, and finds nothing, for what a node drops is freed by reference counts.
So the young are looked at once a second, unless they are many, and what has survived is put aside,
where no collection walks it: as often as the interpreter would look by itself, each time a few batches are
decoded, it took a twentieth of a busy node's time. A cycle of what was put aside is found by a full
collection, which comes when the process has grown by a part since the last one: seldom, for what
grows by a part grows ever more slowly, and never because of traffic that leaves nothing behind.
"""

from __future__ import annotations

import gc
import resource
from pathlib import Path
from typing import Final

YOUNG_OBJECTS: Final = 100_000  # an idle node's blocks are rare: its cycles are found here
BUSY_OBJECTS: Final = 20_000  # more new ones in a second are traffic: walking them takes 20 ms
NEVER: Final = 1_000_000_000
ASIDE_EVERY_US: Final = 1_000_000
GROWN_PART: Final = 2  # a full collection once memory is half as much again as after the last one,
GROWN_BYTES: Final = 256 << 20  # and this much besides: it takes half a second for a million objects

_PAGE_BYTES: Final = resource.getpagesize()


def resident_bytes() -> int:
    """Memory that this process takes; zero where the system does not tell."""
    try:
        with Path("/proc/self/statm").open("rb") as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


class Memory:
    """One per driver; the settings are the process'."""

    def __init__(self) -> None:
        self._before: tuple[int, int, int] | None = None
        self._aside_at_us = 0
        self._bytes = 0  # after the last full collection

    def begin(self) -> None:
        """The node is assembled: what stands now stays."""
        if self._before is None:
            self._before = gc.get_threshold()
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS, NEVER, NEVER)
        self._bytes = resident_bytes()

    def step(self, mono_us: int) -> None:
        """Once a second, look at the young and put aside what survives; at all where there is much more."""
        if mono_us < self._aside_at_us:
            return
        self._aside_at_us = mono_us + ASIDE_EVERY_US
        if gc.get_count()[0] < BUSY_OBJECTS:
            gc.collect(0)
        gc.freeze()
        if resident_bytes() > self._bytes + self._bytes // GROWN_PART + GROWN_BYTES:
            gc.unfreeze()
            gc.collect()
            gc.freeze()
            self._bytes = resident_bytes()

    def end(self) -> None:
        """The process goes on without this node: as before."""
        if self._before is not None:
            gc.set_threshold(*self._before)
            gc.unfreeze()
            self._before = None

"""A node's two clocks, each wrong in its own way: skew and drift of block time, drift of timers.

Whole numbers only, so that a clock's reading is the same on every machine.
"""

from __future__ import annotations

from typing import Final

from licet.types import TimestampMs

from tests.sim.world import World

PPM: Final = 1_000_000


class NodeClock:
    """Reads the world's time with an offset and a rate."""

    def __init__(self, world: World, *, start_ms: int, skew_ms: int = 0, drift_ppm: int = 0) -> None:
        self._world = world
        self._start_ms = start_ms
        self._skew_ms = skew_ms
        self._rate = PPM + drift_ppm
        self._zero_us = 0

    def restart(self) -> None:
        """A new process: its monotonic clock begins somewhere else."""
        self._zero_us = self._raw_us() - self._world.between(0, 5_000_000)

    def step(self, by_ms: int) -> None:
        """The time of day jumps; timers do not."""
        self._skew_ms += by_ms

    def drift(self, ppm: int) -> None:
        """Run so many parts in a million too fast. Set before anything starts."""
        self._rate = PPM + ppm

    def _raw_us(self) -> int:
        return self._world.now_us * self._rate // PPM

    def mono_us(self) -> int:
        """The monotonic clock."""
        return self._raw_us() - self._zero_us

    def now_ms(self) -> TimestampMs:
        """The time of day."""
        return TimestampMs(self._start_ms + self._skew_ms + self._raw_us() // 1_000)

    def tick_of(self, mono_us: int) -> int:
        """The first tick at which the monotonic clock shows at least `mono_us`."""
        return -((-(mono_us + self._zero_us) * PPM) // self._rate)

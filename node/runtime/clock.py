"""The two clocks: block time in milliseconds and a monotonic one in microseconds.

The only readers of the machine's clocks in the node. The virtual clock of a
development network (genesis says `manual_clock`) stands still until it is set;
timers and Δ stay real. It never goes back.
"""

from __future__ import annotations

import time
from typing import Protocol

from licet.types import TimestampMs


class Clock(Protocol):
    """What the driver asks for the time."""

    @property
    def manual(self) -> bool:
        """Whether block time moves by command only."""
        ...

    def now_ms(self) -> TimestampMs:
        """Block time (C-2, C-3 and admission)."""
        ...

    def mono_us(self) -> int:
        """Time for timers and ages; rises, and means nothing across processes."""
        ...

    def set_ms(self, to_ms: TimestampMs) -> bool:
        """Move a virtual clock forward; False when it stands there already, or is none."""
        ...


class WallClock:
    """The machine's time of day."""

    manual = False

    def now_ms(self) -> TimestampMs:
        return TimestampMs(time.time_ns() // 1_000_000)

    def mono_us(self) -> int:
        return time.monotonic_ns() // 1_000

    def set_ms(self, to_ms: TimestampMs) -> bool:
        return False


class VirtualClock:
    """Block time by command. Starts at genesis time or at the highest final block's."""

    manual = True

    def __init__(self, start_ms: TimestampMs) -> None:
        self._now_ms = start_ms

    def now_ms(self) -> TimestampMs:
        return self._now_ms

    def mono_us(self) -> int:
        return time.monotonic_ns() // 1_000

    def set_ms(self, to_ms: TimestampMs) -> bool:
        if to_ms <= self._now_ms:
            return False
        self._now_ms = to_ms
        return True

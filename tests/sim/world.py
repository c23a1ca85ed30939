"""Virtual time, one source of chance, and the trace: what makes a seed a whole run.

A heap of (tick, sequence, action) in microseconds and one seeded generator. Every
line of the trace goes into one digest, so two runs of a seed can be compared in
one comparison. Nothing in the simulator reads a clock, an environment or the
order of a hash table.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from hashlib import sha256
from typing import Final

MS: Final = 1_000
SECOND: Final = 1_000 * MS
LINES_KEPT: Final = 50_000

Action = Callable[[], None]


class World:
    """The heap, the generator and the trace of one run."""

    def __init__(self, seed: int) -> None:
        self.seed: Final = seed
        self.random: Final = random.Random(seed)
        self.now_us = 0
        self.events = 0
        self.lines: deque[str] = deque(maxlen=LINES_KEPT)  # the end of the trace, for people
        self._digest = sha256()
        self._heap: list[tuple[int, int, Action]] = []
        self._sequence = 0

    # --- time

    def at(self, tick_us: int, action: Action) -> None:
        """Do this at that time, after what was scheduled for the same time before."""
        self._sequence += 1
        heapq.heappush(self._heap, (max(tick_us, self.now_us), self._sequence, action))

    def after(self, delay_us: int, action: Action) -> None:
        """Do this so much later."""
        self.at(self.now_us + delay_us, action)

    def run_until(self, tick_us: int, done: Callable[[], bool] | None = None) -> bool:
        """Let time pass up to `tick_us`, or until `done` holds; says whether it did."""
        while self._heap and self._heap[0][0] <= tick_us:
            self.now_us, _, action = heapq.heappop(self._heap)
            self.events += 1
            action()
            if done is not None and done():
                return True
        self.now_us = max(self.now_us, tick_us)
        return False

    # --- chance

    def chance(self, percent: float) -> bool:
        """True in so many of a hundred cases."""
        return self.random.random() * 100 < percent

    def between(self, low: int, high: int) -> int:
        """A whole number, ends included."""
        return self.random.randint(low, high)

    # --- the trace

    def trace(self, who: object, text: str, data: bytes = b"") -> None:
        """One line; `data` enters the digest and not the line."""
        line = f"{self.now_us} {who} {text}"
        self.lines.append(line)
        self._digest.update(line.encode() + b"\n")
        if data:
            self._digest.update(data)

    @property
    def digest(self) -> str:
        """The digest of the whole trace so far."""
        return self._digest.hexdigest()

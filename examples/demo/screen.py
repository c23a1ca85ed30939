"""What the demo shows: steps, a live network line, tables.

On a terminal the network line moves while a step runs; elsewhere it is printed once a step.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from licet.client import Client
from licet.errors import LicetError
from licet.outcomes import Committed
from licet.views import text_table

REDRAW_S = 0.2


def percentile(values: Sequence[float], percent: int) -> float:
    """The value below or at which `percent` of the values lie; 0 for none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, (len(ordered) * percent) // 100)]


class Screen:
    """Prints, and counts what was committed and how long it took."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty()
        self.outcomes: list[Committed] = []
        self.latencies: list[float] = []
        self.began = time.monotonic()
        self.step_rates: list[tuple[str, int, float]] = []
        self._client: Client | None = None
        self._network = ""
        self._steps = 0
        self._at = 0

    def watch(self, client: Client) -> None:
        """The network whose line is shown."""
        self._client = client

    def say(self, text: str = "") -> None:
        """A line of its own."""
        if self.live:
            sys.stdout.write("\r\x1b[K")
        print(text, flush=True)

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A table, indented."""
        for line in text_table(headings, rows).splitlines():
            self.say(f"    {line}")

    def count(self, outcome: Committed, seconds: float) -> None:
        """One more commitment, and how long it took until it was final."""
        self.outcomes.append(outcome)
        self.latencies.append(seconds)

    async def _read(self) -> None:
        if self._client is None:
            return
        with contextlib.suppress(LicetError):
            status = await self._client.status()
            self._network = f"height {status.height}, leader {status.leader}"

    def _line(self, since: float, before: int, slow: int) -> str:
        done = len(self.outcomes) - before
        elapsed = max(time.monotonic() - since, 0.001)
        latest = self.latencies[slow:]
        rate = f"{done / elapsed:,.0f} tx/s"
        waits = ""
        if latest:
            p50, p99 = (1000 * percentile(latest, percent) for percent in (50, 99))
            waits = f", final in p50 {p50:.0f} ms, p99 {p99:.0f} ms"
        return f"    network: {self._network}, {done} transactions, {rate}{waits}"

    @asynccontextmanager
    async def step(self, title: str) -> AsyncIterator[None]:
        """A titled step with its network line; the line is redrawn while the step runs."""
        self._at += 1
        since, before, slow = time.monotonic(), len(self.outcomes), len(self.latencies)
        self.say(f"\n{self._at:>2}. {title}")
        ticker = asyncio.create_task(self._tick(since, before, slow)) if self.live else None
        try:
            yield
        finally:
            if ticker is not None:
                ticker.cancel()
                await asyncio.gather(ticker, return_exceptions=True)
        await self._read()
        if len(self.outcomes) > before:
            self.say(self._line(since, before, slow))
            self.step_rates.append((title, len(self.outcomes) - before, time.monotonic() - since))

    async def _tick(self, since: float, before: int, slow: int) -> None:
        while True:
            await self._read()
            sys.stdout.write("\r\x1b[K" + self._line(since, before, slow))
            sys.stdout.flush()
            await asyncio.sleep(REDRAW_S)

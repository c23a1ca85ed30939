"""How many transactions may wait for their result: of one connection, and of all together.

A bounded pool with fair shares: while more than half of it is taken, a connection may hold no more than
its equal part, so that a flood is refused (RESOURCE_EXHAUSTED with a time to retry) and others feel
nothing. A stream waits for room instead of being refused: its sender is slowed down by its own window.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from licet.errors import Fault, LicetError

RETRY_MS: Final = 250
SHARE_MIN: Final = 1_024  # of a connection, however many there are


class QuotaExceeded(LicetError):
    """This connection has as many transactions waiting as it may."""

    def __init__(self, *, waiting: int, limit: int) -> None:
        super().__init__(
            "QUOTA_EXCEEDED",
            f"This connection has {waiting} transactions waiting for their result, of {limit}.",
            fault=Fault.SENDER,
            remedy=f"Send again in {RETRY_MS} ms, or wait for results first.",
            facts={"waiting": str(waiting), "limit": str(limit), "retry_ms": str(RETRY_MS)},
        )


class Quotas:
    """Counts by connection. All calls come from the event loop's thread."""

    def __init__(self, *, connection_max: int, total_max: int) -> None:
        self._connection_max = connection_max
        self._total_max = total_max
        self._held: dict[str, int] = {}
        self._total = 0
        self._freed = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Transactions of all connections that wait."""
        return self._total

    def limit(self, connection: str) -> int:
        """What a connection may hold now."""
        if self._total * 2 <= self._total_max:
            return self._connection_max
        sharing = len(self._held) + (connection not in self._held)
        return min(self._connection_max, max(SHARE_MIN, self._total_max // sharing))

    def _fits(self, connection: str, count: int) -> bool:
        held = self._held.get(connection, 0)
        # One submission of any allowed size always fits an idle connection.
        return held == 0 or (
            held + count <= self.limit(connection) and self._total + count <= self._total_max
        )

    @contextmanager
    def take(self, connection: str, count: int) -> Iterator[None]:
        """Hold room for a call's transactions, or raise `QuotaExceeded`."""
        if not self._fits(connection, count):
            raise QuotaExceeded(waiting=self._held[connection], limit=self.limit(connection))
        self._add(connection, count)
        try:
            yield
        finally:
            self._add(connection, -count)

    async def wait(self, connection: str, count: int) -> None:
        """Hold room, as soon as there is some. Give it back with `give_back`."""
        while not self._fits(connection, count):
            self._freed.clear()
            await self._freed.wait()
        self._add(connection, count)

    def give_back(self, connection: str, count: int) -> None:
        self._add(connection, -count)

    def _add(self, connection: str, count: int) -> None:
        held = self._held.get(connection, 0) + count
        if held:
            self._held[connection] = held
        else:
            self._held.pop(connection, None)
        self._total += count
        if count < 0:
            self._freed.set()

"""Readings one after another: what is long never stands between transactions and the loop (C-16).

A list, a statement or a scan of events is work of the loop's one thread, so two at once gain nothing and a
hundred stop the node. One reading runs at a time; after it readings rest for as long as it took, so that they
take half of the thread at most; who waits is served by connection in turn, so that a flood delays itself.
Reads of single records do not come here: they cost as much as their own call.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from licet.errors import Fault, LicetError

WAITING_MAX: Final = 64  # readings of one connection that wait
RETRY_MS: Final = 500
BRIEF_S: Final = 0.002  # no rest after less
REST_MAX_S: Final = 0.2


class ReadingsExceeded(LicetError):
    """This connection has as many readings waiting as it may."""

    def __init__(self) -> None:
        super().__init__(
            "QUOTA_EXCEEDED",
            f"This connection has {WAITING_MAX} lists or statements waiting for their turn.",
            fault=Fault.SENDER,
            remedy=f"Send again in {RETRY_MS} ms, or wait for results first.",
            facts={"waiting": str(WAITING_MAX), "limit": str(WAITING_MAX), "retry_ms": str(RETRY_MS)},
        )


class Turns:
    """All calls come from the event loop's thread."""

    def __init__(self) -> None:
        self._taken = False
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def take(self, connection: str, *, patient: bool = False) -> AsyncIterator[None]:
        """Run the body as the one reading. Raises `ReadingsExceeded`; a stream is `patient` and waits."""
        if self._taken:
            await self._wait(connection, patient)
        self._taken = True
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            yield
        finally:
            took = loop.time() - began
            if took < BRIEF_S:
                self._next()
            else:
                loop.call_later(min(took, REST_MAX_S), self._next)

    async def _wait(self, connection: str, patient: bool) -> None:
        queue = self._waiting.setdefault(connection, deque())
        if len(queue) >= WAITING_MAX and not patient:
            raise ReadingsExceeded
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._next()  # the turn had come: it is the next one's
            elif connection in self._waiting and turn in self._waiting[connection]:
                self._waiting[connection].remove(turn)
            raise

    def _next(self) -> None:
        """Give the turn to the connection that has waited longest for one."""
        self._taken = False
        while self._waiting:
            connection, queue = self._waiting.popitem(last=False)
            while queue and queue[0].done():
                queue.popleft()
            if not queue:
                continue
            turn = queue.popleft()
            if queue:
                self._waiting[connection] = queue
            self._taken = True
            turn.set_result(None)
            return

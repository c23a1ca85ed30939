"""A receiver for transports under test: keeps everything, wakes whoever waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from licet.types import ValidatorIndex

from node.net.peer_messages import ConsensusMessage, PeerMessage

LIMIT_S = 10.0


class Inbox:
    """A receiver that keeps everything and wakes whoever waits for it."""

    def __init__(self) -> None:
        self.got: list[tuple[int, bytes]] = []
        self.up: set[int] = set()
        self.ups = 0
        self.faults: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._changed = asyncio.Condition()

    def connected(self, peer: ValidatorIndex) -> None:
        assert peer not in self.up
        self.up.add(peer)
        self.ups += 1
        self._wake()

    def lost(self, peer: ValidatorIndex) -> None:
        assert peer in self.up
        self.up.discard(peer)
        self._wake()

    def received(self, peer: ValidatorIndex, messages: Sequence[PeerMessage], size: int) -> None:
        for message in messages:
            assert isinstance(message, ConsensusMessage)
            self.got.append((peer, message.data))
        self._wake()

    async def room(self, peer: ValidatorIndex) -> None:
        await self.gate.wait()

    def misbehaved(self, peer: ValidatorIndex, why: str) -> None:
        self.faults.append(why)
        self._wake()

    def _wake(self) -> None:
        async def notify() -> None:
            async with self._changed:
                self._changed.notify_all()

        self._task = asyncio.ensure_future(notify())

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S), self._changed:
            await self._changed.wait_for(condition)

"""Drivers over an in-process transport, real files and LevelDB."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from licet.genesis import Genesis
from licet.types import ValidatorIndex

from node.ledger.assembly import assemble, chain_config, create_signing_record
from node.net.peer_messages import PeerMessage
from node.net.port import Receiver
from node.runtime.clock import VirtualClock, WallClock
from node.runtime.driver import Driver
from node.storage.folder import DataFolder
from node.storage.leveldb import LevelDBStorage
from tests.unit.node.core import world


@dataclass
class Hub:
    """A network in one process: delivers in the loop's next turn, and can cut peers off."""

    receivers: dict[ValidatorIndex, Receiver] = field(default_factory=dict)
    delivered: int = 0

    def join(self, index: ValidatorIndex, receiver: Receiver) -> None:
        for other, there in self.receivers.items():
            there.connected(index)
            receiver.connected(other)
        self.receivers[index] = receiver

    def leave(self, index: ValidatorIndex) -> None:
        gone = self.receivers.pop(index, None)
        for other, there in self.receivers.items():
            there.lost(index)
            if gone is not None:
                gone.lost(other)


class HubTransport:
    """The transport port over a hub."""

    def __init__(self, hub: Hub, index: ValidatorIndex) -> None:
        self._hub = hub
        self._index = index

    async def start(self, receiver: Receiver) -> None:
        self._hub.join(self._index, receiver)

    def send(self, peer: ValidatorIndex, messages: Sequence[PeerMessage]) -> None:
        asyncio.get_running_loop().call_soon(self._deliver, peer, list(messages))

    def _deliver(self, peer: ValidatorIndex, messages: list[PeerMessage]) -> None:
        receiver = self._hub.receivers.get(peer)
        if receiver is not None and self._index in self._hub.receivers:
            self._hub.delivered += 1
            receiver.received(self._index, messages, 0)

    async def close(self) -> None:
        self._hub.leave(self._index)


@dataclass
class Member:
    """One validator's folder, and its driver while it runs."""

    genesis: Genesis
    index: ValidatorIndex
    folder: Path
    hub: Hub
    opened: DataFolder | None = None
    running: Driver | None = None

    @property
    def driver(self) -> Driver:
        assert self.running is not None
        return self.running

    def init(self) -> None:
        key = world.key(f"v{self.index}")
        folder = DataFolder(self.folder)
        chain = chain_config(self.genesis, key.public_key)
        create_signing_record(folder.files, chain=chain, public_key=key.public_key)
        folder.close()

    async def start(self) -> Driver:
        self.opened = DataFolder(self.folder)
        storage = LevelDBStorage(self.opened, chain_id=self.genesis.chain_id())
        node = assemble(
            self.genesis, storage=storage, files=self.opened.files, key=world.key(f"v{self.index}")
        )
        manual = self.genesis.parameters.manual_clock
        clock = VirtualClock(node.chain.genesis_time_ms) if manual else WallClock()
        self.running = Driver(node, clock=clock, transport=HubTransport(self.hub, self.index))
        await self.running.start()
        return self.running

    async def stop(self) -> None:
        if self.running is not None:
            await self.running.stop()
            self.running = None
        if self.opened is not None:
            self.opened.close()
            self.opened = None


def members(genesis: Genesis, folder: Path) -> list[Member]:
    hub = Hub()
    made = [
        Member(genesis=genesis, index=ValidatorIndex(index), folder=folder / f"n{index}", hub=hub)
        for index in range(len(genesis.validators))
    ]
    for member in made:
        member.init()
    return made

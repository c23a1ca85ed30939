"""One contract for every transport: gRPC on real sockets, and the one that driver tests run over."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Protocol

import pytest
import pytest_asyncio
from licet.certificate import ValidatorSet
from licet.crypto import SigningKey
from licet.types import ChainId, ValidatorIndex

from node.config import Address
from node.net.grpc_transport import GrpcTransport, TransportConfig
from node.net.peer_messages import ConsensusMessage
from node.net.peers import PeerTable
from node.net.port import Transport
from tests.unit.node.driver.world import Hub, HubTransport
from tests.unit.node.net.inbox import Inbox

KEYS = [SigningKey(bytes([index + 1]) * 32) for index in range(3)]
NAMES = ("n1", "n2", "n3")


class Maker(Protocol):
    """Makes the transport of one of three validators."""

    def make(self, index: int) -> Transport: ...


class OverGrpc:
    """Real streams on loopback, ports fixed for the test."""

    def __init__(self) -> None:
        held = [socket.create_server(("127.0.0.1", 0)) for _ in NAMES]
        self._addresses = {
            name: Address(host="127.0.0.1", port=one.getsockname()[1])
            for name, one in zip(NAMES, held, strict=True)
        }
        for one in held:
            one.close()

    def make(self, index: int) -> Transport:
        config = TransportConfig(
            chain_id=ChainId(b"c" * 32),
            validators=ValidatorSet(keys=tuple(key.public_key for key in KEYS)),
            index=ValidatorIndex(index),
            key=KEYS[index],
            listen=self._addresses[NAMES[index]],
        )
        return GrpcTransport(config, PeerTable(NAMES, ValidatorIndex(index), self._addresses))


class OverHub:
    def __init__(self) -> None:
        self._hub = Hub()

    def make(self, index: int) -> Transport:
        return HubTransport(self._hub, ValidatorIndex(index))


class Net:
    """Three transports, started in turn; whatever is open at the end is closed."""

    def __init__(self, maker: Maker) -> None:
        self._maker = maker
        self.open: dict[int, tuple[Transport, Inbox]] = {}

    async def start(self, index: int) -> tuple[Transport, Inbox]:
        transport, inbox = self._maker.make(index), Inbox()
        self.open[index] = (transport, inbox)
        await transport.start(inbox)
        return transport, inbox

    async def stop(self, index: int) -> None:
        transport, _ = self.open.pop(index)
        await transport.close()

    async def joined(self) -> None:
        """Wait until everyone who is open sees everyone else who is."""
        for index, (_, inbox) in self.open.items():
            others = set(self.open) - {index}
            await inbox.until(lambda inbox=inbox, others=others: inbox.up == others)


@pytest_asyncio.fixture(params=[OverGrpc, OverHub])
async def net(request: pytest.FixtureRequest) -> AsyncIterator[Net]:
    made = Net(request.param())
    yield made
    for index in list(made.open):
        await made.stop(index)


def message(text: str) -> ConsensusMessage:
    return ConsensusMessage(data=text.encode())


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
async def test_all_find_each_other_whatever_the_order_of_their_start(
    net: Net, order: tuple[int, ...]
) -> None:
    for index in order:
        await net.start(index)
    await net.joined()


async def test_frames_arrive_in_order_and_say_from_whom(net: Net) -> None:
    for index in range(3):
        await net.start(index)
    await net.joined()
    for number in range(50):
        for sender in (0, 1):
            net.open[sender][0].send(ValidatorIndex(2), [message(f"{number}a"), message(f"{number}b")])
    inbox = net.open[2][1]
    await inbox.until(lambda: len(inbox.got) == 200)
    expected = [f"{number}{half}".encode() for number in range(50) for half in "ab"]
    for sender in (0, 1):
        assert [data for source, data in inbox.got if source == sender] == expected


async def test_what_is_sent_to_nobody_is_dropped_and_no_error(net: Net) -> None:
    transport, inbox = await net.start(0)
    transport.send(ValidatorIndex(1), [message("lost")])
    await asyncio.sleep(0)
    _, late = await net.start(1)
    await net.joined()
    transport.send(ValidatorIndex(1), [message("found")])
    await late.until(lambda: bool(late.got))
    assert late.got == [(0, b"found")]
    assert inbox.ups == 1


async def test_who_leaves_is_lost_and_may_return(net: Net) -> None:
    for index in range(3):
        await net.start(index)
    await net.joined()
    await net.stop(1)
    for index in (0, 2):
        inbox = net.open[index][1]
        await inbox.until(lambda inbox=inbox: 1 not in inbox.up)
    net.open[0][0].send(ValidatorIndex(2), [message("still")])
    await net.open[2][1].until(lambda: bool(net.open[2][1].got))
    again, _ = await net.start(1)
    await net.joined()
    again.send(ValidatorIndex(0), [message("back")])
    await net.open[0][1].until(lambda: (1, b"back") in net.open[0][1].got)

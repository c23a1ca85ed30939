"""The transport on real sockets: identity, order, reconnection, and a slow peer that harms only itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import grpc
import pytest
import pytest_asyncio
from licet.certificate import ValidatorSet
from licet.crypto import SigningKey
from licet.types import ChainId, ValidatorIndex

from node.config import Address
from node.net import frames, grpc_transport
from node.net.grpc_transport import METHOD, GrpcTransport, TransportConfig
from node.net.peer_messages import ConsensusMessage, Participation
from node.net.peers import PeerTable
from node.net.ports import PortInUse
from node.operations import health
from tests.unit.node.net.inbox import LIMIT_S, Inbox

CHAIN = ChainId(b"c" * 32)
KEYS = [SigningKey(bytes([index + 1]) * 32) for index in range(3)]
VALIDATORS = ValidatorSet(keys=tuple(key.public_key for key in KEYS))
NAMES = ("n1", "n2", "n3")

Start = Callable[..., Awaitable[tuple[GrpcTransport, Inbox]]]


@pytest_asyncio.fixture
async def start() -> AsyncIterator[Start]:
    running: list[GrpcTransport] = []

    async def one(
        index: int,
        addresses: dict[str, Address] | None = None,
        *,
        port: int = 0,
        key: SigningKey | None = None,
        queue: int = 1 << 20,
    ) -> tuple[GrpcTransport, Inbox]:
        config = TransportConfig(
            chain_id=CHAIN,
            validators=VALIDATORS,
            index=ValidatorIndex(index),
            key=key or KEYS[index],
            listen=Address(host="127.0.0.1", port=port),
            queue_bytes_max=queue,
        )
        transport = GrpcTransport(config, PeerTable(NAMES, ValidatorIndex(index), addresses or {}))
        inbox = Inbox()
        await transport.start(inbox)
        running.append(transport)
        return transport, inbox

    yield one
    for transport in running:
        await transport.close()


def _at(transport: GrpcTransport) -> Address:
    return Address(host="127.0.0.1", port=transport.port)


async def test_frames_arrive_in_order_both_ways(start: Start) -> None:
    two, inbox_two = await start(1)
    one, inbox_one = await start(0, {"n2": _at(two)})
    await inbox_one.until(lambda: inbox_one.up == {1})
    await inbox_two.until(lambda: inbox_two.up == {0})
    for n in range(100):
        one.send(ValidatorIndex(1), [ConsensusMessage(data=b"%d" % n)])
        two.send(ValidatorIndex(0), [ConsensusMessage(data=b"%d" % n)])
    await inbox_two.until(lambda: len(inbox_two.got) == 100)
    await inbox_one.until(lambda: len(inbox_one.got) == 100)
    assert inbox_two.got == [(0, b"%d" % n) for n in range(100)]
    assert inbox_one.got == [(1, b"%d" % n) for n in range(100)]


async def test_a_restarted_peer_is_found_again_on_its_port(start: Start) -> None:
    two, _ = await start(1)
    one, inbox_one = await start(0, {"n2": _at(two)})
    await inbox_one.until(lambda: inbox_one.up == {1})
    await two.close()
    await inbox_one.until(lambda: not inbox_one.up)
    one.send(ValidatorIndex(1), [ConsensusMessage(data=b"lost")])
    _, inbox_again = await start(1, port=two.port)
    await inbox_one.until(lambda: inbox_one.up == {1})
    one.send(ValidatorIndex(1), [ConsensusMessage(data=b"found")])
    await inbox_again.until(lambda: bool(inbox_again.got))
    assert inbox_again.got == [(0, b"found")]


async def test_a_peer_without_the_validators_key_is_no_peer(start: Start) -> None:
    two, inbox_two = await start(1)
    thief, inbox_thief = await start(0, {"n2": _at(two)}, key=SigningKey(b"x" * 32))
    peer = thief.peers[ValidatorIndex(1)]
    async with asyncio.timeout(LIMIT_S):
        while not peer.protocol_version:  # noqa: ASYNC110 (until the hellos were exchanged)
            await asyncio.sleep(0)
    _, inbox_honest = await start(0, {"n2": _at(two)})
    await inbox_honest.until(lambda: inbox_honest.up == {1})
    await inbox_two.until(lambda: inbox_two.up == {0})  # the dialled side hears of it a turn later
    assert not inbox_thief.up
    assert not peer.connected
    assert inbox_two.ups == 1


async def test_a_slow_peer_loses_its_own_oldest_frames_only(start: Start) -> None:
    two, inbox_two = await start(1)
    three, inbox_three = await start(2)
    one, inbox_one = await start(0, {"n2": _at(two), "n3": _at(three)}, queue=1 << 20)
    await inbox_one.until(lambda: inbox_one.up == {1, 2})
    await inbox_two.until(lambda: bool(inbox_two.up))
    inbox_two.gate.clear()
    block = bytes(200_000)
    for n in range(100):
        for peer in (1, 2):
            one.send(ValidatorIndex(peer), [ConsensusMessage(data=b"%3d" % n + block)])
        await inbox_three.until(lambda n=n: len(inbox_three.got) == n + 1)
    assert one.peers[ValidatorIndex(1)].frames_dropped > 0
    assert one.peers[ValidatorIndex(2)].frames_dropped == 0
    inbox_two.gate.set()
    one.send(ValidatorIndex(1), [ConsensusMessage(data=b"last")])
    await inbox_two.until(lambda: bool(inbox_two.got) and inbox_two.got[-1] == (0, b"last"))
    numbers = [int(data[:3]) for _, data in inbox_two.got[:-1]]
    assert numbers == sorted(numbers)
    assert len(numbers) < 100


async def test_a_malformed_frame_closes_the_stream_and_is_reported(start: Start) -> None:
    two, inbox_two = await start(1)
    async with grpc.aio.insecure_channel(str(_at(two))) as channel:
        call = channel.stream_stream(METHOD)()
        own = frames.new_hello(CHAIN, ValidatorIndex(0), "")
        await call.write(frames.encode_request(own))
        theirs = frames.decode_response(await call.read())
        assert isinstance(theirs, frames.Hello)
        await call.write(frames.encode_request(frames.prove(KEYS[0], speaker=own, listener=theirs)))
        await inbox_two.until(lambda: inbox_two.up == {0})
        await call.write(b"\xff\xff")
        await inbox_two.until(lambda: not inbox_two.up)
        assert len(inbox_two.faults) == 1
        assert isinstance(frames.decode_response(await call.read()), frames.Proof)
        with pytest.raises(grpc.RpcError) as refused:
            await call.read()
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_a_taken_port_is_one_sentence(start: Start) -> None:
    two, _ = await start(1)
    with pytest.raises(PortInUse, match=str(two.port)):
        await start(0, port=two.port)


async def test_streams_that_prove_nothing_are_few_and_end(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpc_transport, "HANDSHAKE_S", 0.5)
    two, inbox_two = await start(1)
    async with grpc.aio.insecure_channel(str(_at(two))) as channel:
        calls = [channel.stream_stream(METHOD)() for _ in range(grpc_transport.STREAMS_MAX + 5)]
        codes = await asyncio.wait_for(asyncio.gather(*(call.code() for call in calls)), LIMIT_S)
        assert grpc.StatusCode.RESOURCE_EXHAUSTED in codes
        assert codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) == 3  # beyond one a peer and the spare ones
    _, inbox_one = await start(0, {"n2": _at(two)})  # and the honest one still finds room
    await inbox_one.until(lambda: inbox_one.up == {1})
    assert inbox_two.ups == 1


async def test_a_follower_says_so_before_and_after_its_stream_stands(start: Start) -> None:
    two, inbox_two = await start(1)
    two.announce(Participation.RECORD_MISSING)
    one, inbox_one = await start(0, {"n2": _at(two)})
    await inbox_one.until(lambda: inbox_one.up == {1})
    peer = one.peers[ValidatorIndex(1)]
    assert peer.participation is Participation.RECORD_MISSING
    assert not health.takes_part(peer)
    await inbox_two.until(lambda: inbox_two.up == {0})
    for part in (Participation.VOTES, Participation.ISOLATED):
        two.announce(part)
        two.send(ValidatorIndex(0), [ConsensusMessage(data=part.name.encode())])  # what follows it
        await inbox_one.until(lambda part=part: inbox_one.got[-1:] == [(1, part.name.encode())])
        assert peer.participation is part
    assert two.peers[ValidatorIndex(0)].participation is Participation.VOTES
    assert inbox_one.ups == 1


async def test_a_peer_of_another_version_is_named_with_both(start: Start) -> None:
    two, inbox_two = await start(1)
    async with grpc.aio.insecure_channel(str(_at(two))) as channel:
        call = channel.stream_stream(METHOD)()
        hello = replace(frames.new_hello(CHAIN, ValidatorIndex(0), ""), protocol_version=4)
        await call.write(frames.encode_request(hello))
        assert isinstance(frames.decode_response(await call.read()), frames.Hello)
        with pytest.raises(grpc.RpcError) as refused:
            await call.read()
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert health.last_words(two.peers[ValidatorIndex(0)]) == "n1 speaks v4, we speak v3"
    assert not inbox_two.up

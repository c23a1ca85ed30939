"""The transport port on gRPC: one bidirectional stream between two validators, one frame a turn.

The validator that comes first in genesis dials. Before the first frame each side proves by a
signature over the other's nonce that it holds its validator's key; a stream that fails is closed and
dialled again. A new proven stream of a peer replaces its old one, since only a restart makes two.

C-16: each peer has its own bounded queue. When a slow peer's is full its oldest frames go, and
nobody else's; its inbox is not read while it is full. Plain TCP: identity is proved, secrecy is not
promised (consensus messages and batches carry signatures of their own).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import grpc
import grpc.aio
from licet.certificate import ValidatorSet
from licet.crypto import SigningKey
from licet.types import ChainId, ValidatorIndex

from node.config import Address
from node.net import frames
from node.net.frames import Frame, Hello, Item, PeerFault, Proof, Standing
from node.net.peer_messages import FRAME_BYTES_MAX, Participation, PeerMessage
from node.net.peers import PeerState, PeerTable
from node.net.port import SEND_QUEUE_BYTES_MAX, Receiver
from node.net.ports import PortInUse, require_free
from node.operations import descriptors, logs

METHOD: Final = "/licet.v1.PeerService/Exchange"
HANDSHAKE_S: Final = 5.0
REDIAL_S: Final = 0.05  # doubled up to REDIAL_MAX_S while a peer refuses
REDIAL_MAX_S: Final = 0.5
CLOSE_S: Final = 1.0
STREAMS_MAX: Final = 8  # of one listener beyond one per peer: unproven ones

_LIMITS: Final = [
    ("grpc.max_receive_message_length", FRAME_BYTES_MAX + 1024),
    ("grpc.max_send_message_length", FRAME_BYTES_MAX + 1024),
    ("grpc.keepalive_time_ms", 5_000),  # a peer that stopped answering is lost after 10 s
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),  # gRPC's own 60 s would hold else
    ("grpc.http2.max_pings_without_data", 0),
]
CHANNEL_OPTIONS: Final = [
    *_LIMITS,
    # gRPC's default adds a second to every start and return (performance.md).
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
]
SERVER_OPTIONS: Final = [
    *_LIMITS,
    ("grpc.so_reuseport", 0),  # a taken port must be refused, not shared
    ("grpc.http2.min_ping_interval_without_data_ms", 4_000),
]


Read = Callable[[], Awaitable[Item]]
Write = Callable[[Item], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportConfig:
    """Who we are, whom to expect, and where."""

    chain_id: ChainId
    validators: ValidatorSet
    index: ValidatorIndex
    key: SigningKey
    listen: Address
    software: str = ""
    queue_bytes_max: int = SEND_QUEUE_BYTES_MAX
    connections_max: int = descriptors.PEERS_MAX


class _Outbox:
    """Frames that wait for one peer, bounded in bytes."""

    def __init__(self, bytes_max: int, state: PeerState) -> None:
        self._bytes_max = bytes_max
        self._state = state
        self._turns: deque[tuple[Sequence[PeerMessage], int]] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()

    def put(self, messages: Sequence[PeerMessage]) -> None:
        size = sum(map(frames.message_bytes, messages))
        self._turns.append((messages, size))
        self._bytes += size
        while self._bytes > self._bytes_max and len(self._turns) > 1:
            self._bytes -= self._turns.popleft()[1]
            self._state.frames_dropped += 1
        self._filled.set()

    async def take(self) -> list[PeerMessage]:
        """Everything that waits, once something does."""
        await self._filled.wait()
        self._filled.clear()
        messages = [message for turn, _ in self._turns for message in turn]
        self._turns.clear()
        self._bytes = 0
        return messages

    def wake(self) -> None:
        """Let the writer take its turn although no message may wait."""
        self._filled.set()

    @property
    def empty(self) -> bool:
        return not self._turns


class _Stream:
    """A proven stream with one peer: a reader and a writer until either ends."""

    def __init__(
        self,
        peer: PeerState,
        read: Read,
        write: Write,
        outbox: _Outbox,
        part: Callable[[], Participation],
        told: Participation,
    ) -> None:
        self.peer = peer
        self._part = part
        self._told = told  # what the peer knows of our part in consensus
        self._read = read
        self._write = write
        self.outbox = outbox
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self, receiver: Receiver) -> None:
        """Carry frames until the channel is gone; raise `PeerFault` for a peer's fault."""
        self._tasks = [asyncio.create_task(self._reading(receiver)), asyncio.create_task(self._writing())]
        try:
            done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        for task in done:
            if not task.cancelled() and isinstance(error := task.exception(), PeerFault):
                raise error

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _reading(self, receiver: Receiver) -> None:
        index = self.peer.index
        while True:
            await receiver.room(index)
            item = await self._read()
            if isinstance(item, Standing):
                self.peer.participation = item.participation
                continue
            if not isinstance(item, Frame):
                raise PeerFault("it greets twice")
            receiver.received(index, item.messages, sum(map(frames.message_bytes, item.messages)))

    async def _writing(self) -> None:
        while True:
            messages = await self.outbox.take()
            if (part := self._part()) is not self._told:
                await self._write(Standing(participation=part))
                self._told = part
            for frame in frames.split(messages):
                await self._write(frame)


class GrpcTransport:
    """Channels to all other validators (`node.net.port.Transport`)."""

    def __init__(self, config: TransportConfig, peers: PeerTable) -> None:
        self._config = config
        self.peers = peers
        self._log = logs.logger("peers")
        self._streams: dict[ValidatorIndex, _Stream] = {}
        self._dialling: list[asyncio.Task[None]] = []
        self._unproven = 0
        self._closing = False
        self._server: grpc.aio.Server | None = None
        self._receiver: Receiver | None = None
        self.port = config.listen.port  # the bound one, once started
        self._part = Participation.VOTES

    # --- the port -------------------------------------------------------------------------------

    async def start(self, receiver: Receiver) -> None:
        self._receiver = receiver
        options = [*SERVER_OPTIONS, *descriptors.server_options(self._config.connections_max)]
        self._server = server = grpc.aio.server(options=options)
        handler: Any = grpc.stream_stream_rpc_method_handler(self._accept)
        service, method = METHOD[1:].split("/")
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
        require_free(self._config.listen, "peers")
        try:
            self.port = server.add_insecure_port(str(self._config.listen))
        except RuntimeError:
            raise PortInUse(str(self._config.listen), "peers") from None
        await server.start()
        for peer in self.peers:
            if peer.index > self._config.index and peer.address is not None:
                self._dialling.append(asyncio.create_task(self._dial_for_ever(peer, peer.address)))

    def send(self, peer: ValidatorIndex, messages: Sequence[PeerMessage]) -> None:
        stream = self._streams.get(peer)
        if stream is not None:
            stream.outbox.put(messages)

    def announce(self, part: Participation) -> None:
        """What part this node takes in consensus from now on: in hellos, and on streams that stand."""
        if part is not self._part:
            self._part = part
            for stream in self._streams.values():
                stream.outbox.wake()

    async def close(self) -> None:
        deadline = asyncio.get_running_loop().time() + CLOSE_S
        while any(not stream.outbox.empty for stream in self._streams.values()):
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.005)
        self._closing = True
        for task in self._dialling:
            task.cancel()
        for stream in list(self._streams.values()):
            stream.stop()
        await asyncio.gather(*self._dialling, return_exceptions=True)
        if self._server is not None:
            await self._server.stop(grace=None)

    # --- dialling -------------------------------------------------------------------------------

    async def _dial_for_ever(self, peer: PeerState, address: Address) -> None:
        pause = REDIAL_S
        async with grpc.aio.insecure_channel(str(address), options=CHANNEL_OPTIONS) as channel:
            method: Any = channel.stream_stream(METHOD)
            while not self._closing:
                before = peer.connections
                try:
                    await self._dial(method, peer)
                except (PeerFault, grpc.RpcError, asyncio.InvalidStateError, TimeoutError) as error:
                    self._note(peer, error)
                pause = REDIAL_S if peer.connections > before else min(2 * pause, REDIAL_MAX_S)
                await asyncio.sleep(pause)

    async def _dial(self, method: Any, peer: PeerState) -> None:
        call = method(wait_for_ready=True)

        async def read() -> Item:
            data = await call.read()
            if data is grpc.aio.EOF:
                raise _Ended
            peer.heard(len(data))
            return frames.decode_response(data)

        async def write(item: Item) -> None:
            data = frames.encode_request(item)
            peer.bytes_out += len(data)
            await call.write(data)

        try:
            own = self._hello()
            await call.wait_for_connection()
            async with asyncio.timeout(HANDSHAKE_S):
                await write(own)
                theirs = _expect(await read(), Hello)
                self._note_hello(peer, theirs)
                frames.check_hello(theirs, own=own, validators=self._config.validators)
                if theirs.validator != peer.index:
                    raise PeerFault(f"validator {theirs.validator} answers at the address of {peer.name}")
                await write(frames.prove(self._config.key, speaker=own, listener=theirs))
                proof = _expect(await read(), Proof)
                frames.check_proof(proof, speaker=theirs, listener=own, validators=self._config.validators)
            await self._carry(peer, read, write, own=own, theirs=theirs)
        except _Ended:
            pass
        finally:
            call.cancel()

    # --- being dialled --------------------------------------------------------------------------

    async def _accept(self, requests: AsyncIterator[bytes], context: Any) -> None:
        if self._unproven >= STREAMS_MAX + len(self.peers):
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many streams without a proof")
        self._unproven += 1
        proving = True
        own = self._hello()
        peer: PeerState | None = None

        async def read() -> Item:
            data = await context.read()
            if data is grpc.aio.EOF:
                raise _Ended
            if peer is not None:
                peer.heard(len(data))
            return frames.decode_request(data)

        async def write(item: Item) -> None:
            data = frames.encode_response(item)
            if peer is not None:
                peer.bytes_out += len(data)
            await context.write(data)

        try:
            async with asyncio.timeout(HANDSHAKE_S):
                theirs = _expect(await read(), Hello)
                await write(own)  # before the checks: the other side then knows our version too
                if theirs.validator < self._config.validators.n and theirs.validator != own.validator:
                    self._note_hello(self.peers[theirs.validator], theirs)
                frames.check_hello(theirs, own=own, validators=self._config.validators)
                if theirs.validator > own.validator:
                    raise PeerFault(f"validator {theirs.validator} is dialled by us, and dials")
                proof = _expect(await read(), Proof)
                frames.check_proof(proof, speaker=theirs, listener=own, validators=self._config.validators)
                peer = self.peers[theirs.validator]
                await write(frames.prove(self._config.key, speaker=own, listener=theirs))
            self._unproven -= 1
            proving = False
            await self._carry(peer, read, write, own=own, theirs=theirs)
        except (_Ended, TimeoutError, grpc.aio.AbortError):
            return
        except PeerFault as error:
            if peer is not None:
                self._note(peer, error)
            else:
                self._log.warning("a stream was refused", extra={"why": error.message})
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, error.message)
        finally:
            if proving:
                self._unproven -= 1

    # --- both -----------------------------------------------------------------------------------

    def _hello(self) -> Hello:
        config = self._config
        return frames.new_hello(config.chain_id, config.index, config.software, self._part)

    async def _carry(self, peer: PeerState, read: Read, write: Write, *, own: Hello, theirs: Hello) -> None:
        """Carry frames on a proven stream, in the place of the peer's older one if there is one."""
        assert self._receiver is not None
        receiver = self._receiver
        older = self._streams.get(peer.index)
        if older is not None:
            older.stop()
            receiver.lost(peer.index)
        outbox = _Outbox(self._config.queue_bytes_max, peer)
        stream = _Stream(peer, read, write, outbox, lambda: self._part, told=own.participation)
        self._streams[peer.index] = stream
        outbox.wake()  # our part may have changed since our hello
        peer.proved(theirs.participation)
        self._log.info("peer connected", extra={"peer": peer.name, "part": theirs.participation.name.lower()})
        receiver.connected(peer.index)
        try:
            await stream.run(receiver)
        except PeerFault as error:
            receiver.misbehaved(peer.index, error.message)
            raise
        finally:
            if self._streams.get(peer.index) is stream:
                del self._streams[peer.index]
                peer.connected = False
                self._log.info("peer lost", extra={"peer": peer.name})
                with contextlib.suppress(RuntimeError):  # the loop may be closing
                    receiver.lost(peer.index)

    def _note(self, peer: PeerState, error: BaseException) -> None:
        if isinstance(error, PeerFault):
            if peer.last_fault != error.message:
                self._log.warning("peer fault", extra={"peer": peer.name, "why": error.message})
            peer.last_fault = error.message
        else:
            self._log.debug("peer not reached", extra={"peer": peer.name, "why": type(error).__name__})

    def _note_hello(self, peer: PeerState, hello: Hello) -> None:
        """What it says of itself, proved or not, for the operator's eyes."""
        peer.protocol_version = hello.protocol_version
        peer.software = hello.software


class _Ended(Exception):
    """The other side ended the stream."""


def _expect(item: Item, kind: type[Any]) -> Any:
    if not isinstance(item, kind):
        raise PeerFault(f"a {kind.__name__.lower()} was due, not a {type(item).__name__.lower()}")
    return item

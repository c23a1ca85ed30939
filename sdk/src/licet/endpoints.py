"""The nodes that a client talks to: one channel each, the first that answers is kept.

A failure turns to the next; nothing is sent to two nodes at once. Channels are made when first used
and closed together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, cast

import grpc
import grpc.aio

from licet.errors import Fault, LicetError
from licet.v1.ledger_pb2_grpc import LedgerServiceStub

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from licet.v1.ledger_pb2_grpc import LedgerServiceAsyncStub

MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024  # of one message either way; what a node takes unless configured
ENDPOINTS_MAX: Final = 64

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    # A node that was restarted is found again within a second, not after gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_time_ms", 30_000),
    # One client, one set of connections: sharing them would tie its failover to others'.
    ("grpc.use_local_subchannel_pool", 1),
)


def too_large(why: str) -> LicetError:
    """The error for a message that no node would take, however often it is sent."""
    return LicetError(
        "MESSAGE_TOO_LARGE",
        f"The message is larger than one call may carry: {why}.",
        fault=Fault.SENDER,
        remedy="Ask for less at once, or divide what you send.",
        facts={"limit": str(MESSAGE_BYTES_MAX)},
    )


def check_size(message: Message) -> None:
    """Raise for a request that is too large to be sent, before it is."""
    size = message.ByteSize()
    if size > MESSAGE_BYTES_MAX:
        raise too_large(f"{size} bytes, of at most {MESSAGE_BYTES_MAX}")


def parse_targets(target: str | Sequence[str]) -> tuple[str, ...]:
    """One address, several separated by commas, or a list of them."""
    items = target.split(",") if isinstance(target, str) else list(target)
    targets = tuple(dict.fromkeys(item.strip() for item in items if item.strip()))
    if not 1 <= len(targets) <= ENDPOINTS_MAX:
        raise LicetError(
            "TARGET_INVALID",
            f"{len(targets)} addresses of nodes were given, not 1 to {ENDPOINTS_MAX}.",
            fault=Fault.OPERATOR,
            remedy='Give host:port, such as "127.0.0.1:7101"; several are separated by commas.',
        )
    for item in targets:
        if not item.startswith(("unix:", "dns:")) and ":" not in item:
            raise LicetError(
                "TARGET_INVALID",
                f"{item!r} is no address of a node.",
                fault=Fault.OPERATOR,
                remedy='Give host:port, such as "127.0.0.1:7101".',
                facts={"target": item},
            )
    return targets


class Endpoints:
    """The channels to one network's nodes, and which of them is in use."""

    def __init__(self, targets: Sequence[str], *, credentials: grpc.ChannelCredentials | None = None) -> None:
        self.targets: Final = tuple(targets)
        self._credentials = credentials
        self._channels: dict[int, grpc.aio.Channel] = {}
        self._stubs: dict[int, LedgerServiceAsyncStub] = {}
        self._current = 0
        self.generation = 0  # rises with every change of node

    @property
    def target(self) -> str:
        """The address in use."""
        return self.targets[self._current]

    @property
    def channel(self) -> grpc.aio.Channel:
        """The channel in use."""
        channel = self._channels.get(self._current)
        if channel is None:
            if self._credentials is None:
                channel = grpc.aio.insecure_channel(self.target, options=_OPTIONS)
            else:
                channel = grpc.aio.secure_channel(self.target, self._credentials, options=_OPTIONS)
            self._channels[self._current] = channel
        return channel

    @property
    def stub(self) -> LedgerServiceAsyncStub:
        """The raw stub of the node in use."""
        stub = self._stubs.get(self._current)
        if stub is None:
            # The generated stub is one class; only its typing tells the two kinds of channel apart.
            stub = cast("LedgerServiceAsyncStub", LedgerServiceStub(cast("grpc.Channel", self.channel)))
            self._stubs[self._current] = stub
        return stub

    def turn(self, *, away_from: int) -> None:
        """Turn to the next node, unless somebody has turned since `generation` was read."""
        if away_from == self.generation and len(self.targets) > 1:
            self._current = (self._current + 1) % len(self.targets)
            self.generation += 1

    async def close(self) -> None:
        """Close every channel."""
        channels = list(self._channels.values())
        self._channels.clear()
        self._stubs.clear()
        for channel in channels:
            await channel.close()

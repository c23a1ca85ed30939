"""The transport port: authenticated channels to the other validators.

A transport delivers frames (all messages of one turn to one peer) in order per
peer, or loses them; it never blocks the sender. What it promises is only who
the peer is: a frame from `peer` was sent by the holder of that validator's key.

Implemented by `node.net.grpc_transport` and, in the simulator, by its network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from licet.types import ValidatorIndex

from node.net.peer_messages import PeerMessage

# C-16: bytes queued for one peer; beyond, that peer's oldest frames are dropped and nobody else's.
SEND_QUEUE_BYTES_MAX: Final = 64 << 20
# C-16: bytes received from one peer and not handled yet; beyond, its channel is not read.
INBOX_BYTES_MAX: Final = 32 << 20


class Receiver(Protocol):
    """What the driver offers the transport. All calls come from the event loop's thread."""

    def connected(self, peer: ValidatorIndex) -> None:
        """A channel to this validator stands (again), in both directions."""
        ...

    def lost(self, peer: ValidatorIndex) -> None:
        """The channel is gone."""
        ...

    def received(self, peer: ValidatorIndex, messages: Sequence[PeerMessage], size: int) -> None:
        """One frame of `size` bytes. Returns at once; the driver handles it in its next turn."""
        ...

    async def room(self, peer: ValidatorIndex) -> None:
        """Return when this peer's inbox has room. Awaited before each read of its channel (C-16)."""
        ...

    def misbehaved(self, peer: ValidatorIndex, why: str) -> None:
        """The peer sent a frame that is malformed; the transport has closed its channel."""
        ...


class Transport(Protocol):
    """Channels to all other validators of the chain."""

    async def start(self, receiver: Receiver) -> None:
        """Listen, dial every other validator, and go on dialling whoever is lost."""
        ...

    def send(self, peer: ValidatorIndex, messages: Sequence[PeerMessage]) -> None:
        """Queue one frame for a peer. Never blocks, never raises for the peer's fault.

        A peer without a channel is no error: the frame is dropped, since
        whatever matters is re-sent on connection (C-4).
        """
        ...

    async def close(self) -> None:
        """Send what is queued within a bounded time, then close everything."""
        ...

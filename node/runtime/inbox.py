"""What peers sent and nobody looked at yet: bounded per peer, votes before batches (C-16).

Consensus messages and requests wait in one queue per peer and are served round
robin; batches to verify wait in another and are worked on in slices. A peer
whose inbox is full is not read until there is room; the others feel nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from licet.types import ValidatorIndex

from node.net import writes
from node.net.peer_messages import (
    Batches,
    ClockMoved,
    ConsensusMessage,
    PeerMessage,
    WritesPage,
    WritesRequest,
)
from node.net.port import INBOX_BYTES_MAX

MESSAGE_OVERHEAD_BYTES = 64  # what an empty message is counted as
AUTHOR_BYTES = 8  # an author beside a proposal, as it is held


@dataclass(slots=True)
class _Peer:
    urgent: deque[PeerMessage] = field(default_factory=deque)
    batches: deque[bytes] = field(default_factory=deque)
    held_bytes: int = 0
    room: asyncio.Event = field(default_factory=asyncio.Event)


def _size(message: PeerMessage) -> int:
    match message:
        case ConsensusMessage():
            return len(message.data) + AUTHOR_BYTES * len(message.authors) + MESSAGE_OVERHEAD_BYTES
        case Batches() | ClockMoved() | WritesRequest():
            return MESSAGE_OVERHEAD_BYTES
        case WritesPage():
            return writes.page_bytes(message) + MESSAGE_OVERHEAD_BYTES
        case _:
            return 32 * len(message.digests) + MESSAGE_OVERHEAD_BYTES


class Inbox:
    """The queues of all peers."""

    def __init__(self, peers: Iterable[ValidatorIndex]) -> None:
        self._peers = {peer: _Peer() for peer in peers}
        self._urgent: deque[ValidatorIndex] = deque()  # peers with urgent messages, in turn
        self._bulk: deque[ValidatorIndex] = deque()
        for peer in self._peers.values():
            peer.room.set()

    def put(self, peer: ValidatorIndex, messages: Sequence[PeerMessage]) -> None:
        """Take a frame."""
        box = self._peers[peer]
        for message in messages:
            if isinstance(message, Batches):
                if message.batches and not box.batches:
                    self._bulk.append(peer)
                box.batches.extend(message.batches)
                box.held_bytes += sum(map(len, message.batches))
                continue
            if not box.urgent:
                self._urgent.append(peer)
            box.urgent.append(message)
            box.held_bytes += _size(message)
        if box.held_bytes > INBOX_BYTES_MAX:
            box.room.clear()

    @property
    def urgent(self) -> bool:
        """Whether anything but batches waits."""
        return bool(self._urgent)

    @property
    def bulk(self) -> bool:
        """Whether batches wait."""
        return bool(self._bulk)

    def next_urgent(self) -> tuple[ValidatorIndex, PeerMessage]:
        """The next message, peers in turn."""
        peer = self._urgent.popleft()
        box = self._peers[peer]
        message = box.urgent.popleft()
        if box.urgent:
            self._urgent.append(peer)
        self._freed(box, _size(message))
        return peer, message

    def next_batch(self) -> tuple[ValidatorIndex, bytes]:
        """The next batch's bytes, peers in turn."""
        peer = self._bulk.popleft()
        box = self._peers[peer]
        raw = box.batches.popleft()
        if box.batches:
            self._bulk.append(peer)
        self._freed(box, len(raw))
        return peer, raw

    def _freed(self, box: _Peer, size: int) -> None:
        box.held_bytes -= size
        if box.held_bytes <= INBOX_BYTES_MAX:
            box.room.set()

    async def room(self, peer: ValidatorIndex) -> None:
        """Return when this peer's inbox has room."""
        await self._peers[peer].room.wait()

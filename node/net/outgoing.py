"""A turn's messages as frames: one per peer, votes never behind batches (C-16). Pure."""

from __future__ import annotations

from consensus import codec
from consensus.config import DIGESTS_PER_BLOCK_CEILING
from node.core.effects import CoreSend
from node.net import writes
from node.net.peer_messages import (
    AUTHORS_MAX,
    FRAME_BYTES_MAX,
    FRAME_MESSAGES_MAX,
    Batches,
    BatchesMissing,
    BatchOffer,
    BatchRequest,
    ClockMoved,
    ConsensusMessage,
    PeerMessage,
    WritesPage,
    WritesRequest,
)

MESSAGE_OVERHEAD_BYTES = 64  # framing of one message, generously
AUTHOR_BYTES = 5  # an author beside a proposal, at most

assert DIGESTS_PER_BLOCK_CEILING <= AUTHORS_MAX, "every batch of a block may have its author named"


def wire(send: CoreSend) -> tuple[PeerMessage, int]:
    """A message as it travels, and about how many bytes it has."""
    message = send.message
    match message:
        case Batches():
            return message, sum(map(len, message.batches))
        case BatchRequest() | BatchesMissing() | BatchOffer():
            return message, 32 * len(message.digests)
        case ClockMoved() | WritesRequest():
            return message, 32
        case WritesPage():
            return message, writes.page_bytes(message)
        case _:
            data = codec.encode(message)
            size = len(data) + AUTHOR_BYTES * len(send.authors)
            return ConsensusMessage(data=data, authors=send.authors), size


def frames(messages: list[tuple[PeerMessage, int]]) -> list[list[PeerMessage]]:
    """One frame, or as many as the limits of a frame make necessary; votes are never behind batches."""
    urgent = [one for one in messages if not isinstance(one[0], Batches)]
    bulk = [one for one in messages if isinstance(one[0], Batches)]
    found: list[list[PeerMessage]] = []
    room = 0
    for message, size in urgent + bulk:
        needed = size + MESSAGE_OVERHEAD_BYTES
        if not found or needed > room or len(found[-1]) >= FRAME_MESSAGES_MAX:
            found.append([])
            room = FRAME_BYTES_MAX
        found[-1].append(message)
        room -= needed
    return found

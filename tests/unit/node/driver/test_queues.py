"""Queues between wire and core: bounded per peer, fair, votes before batches (C-16)."""

from __future__ import annotations

import asyncio

import pytest
from licet.types import Hash32, Height, ValidatorIndex

from consensus.messages import FinalizedRequest
from node.core.effects import CoreSend
from node.net import outgoing
from node.net.peer_messages import (
    FRAME_BYTES_MAX,
    FRAME_MESSAGES_MAX,
    Batches,
    BatchRequest,
    ConsensusMessage,
)
from node.runtime import inbox as inbox_module
from node.runtime.inbox import Inbox

A, B = ValidatorIndex(1), ValidatorIndex(2)


def test_peers_are_served_in_turn_and_a_flood_delays_nobody_else() -> None:
    box = Inbox((A, B))
    box.put(A, [ConsensusMessage(data=bytes((number,))) for number in range(50)])
    box.put(B, [ConsensusMessage(data=b"b1"), ConsensusMessage(data=b"b2")])
    first = [box.next_urgent()[0] for _ in range(4)]
    assert first == [A, B, A, B]


def test_batches_wait_apart_from_votes() -> None:
    box = Inbox((A,))
    box.put(A, [Batches(batches=(b"x", b"y")), ConsensusMessage(data=b"v")])
    assert box.urgent
    assert box.bulk
    assert box.next_urgent() == (A, ConsensusMessage(data=b"v"))
    assert not box.urgent
    assert [box.next_batch() for _ in range(2)] == [(A, b"x"), (A, b"y")]
    assert not box.bulk


async def test_a_full_inbox_holds_up_its_own_peer_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "INBOX_BYTES_MAX", 1_000)
    box = Inbox((A, B))
    box.put(A, [Batches(batches=(bytes(600), bytes(600)))])
    waiting = asyncio.ensure_future(box.room(A))
    await asyncio.wait_for(box.room(B), 1)
    assert not waiting.done()
    box.next_batch()
    await asyncio.wait_for(waiting, 1)


def wires(*messages: Batches | BatchRequest | FinalizedRequest) -> list[object]:
    found = [outgoing.wire(CoreSend(message=message)) for message in messages]
    return [list(frame) for frame in outgoing.frames(found)]


def test_one_frame_with_votes_before_batches() -> None:
    request = BatchRequest(digests=(Hash32(bytes(32)),))
    final = FinalizedRequest(from_height=Height(1), count=1)
    bulk = Batches(batches=(b"raw",))
    (frame,) = wires(bulk, request, final)
    assert isinstance(frame, list)
    assert frame[0] == request
    assert isinstance(frame[1], ConsensusMessage)
    assert frame[2] == bulk


def test_frames_keep_their_limits() -> None:
    big = Batches(batches=(bytes(FRAME_BYTES_MAX // 2),))
    assert [len(frame) for frame in wires(big, big, big)] == [1, 1, 1]  # type: ignore[arg-type]
    small = BatchRequest(digests=())
    frames = wires(*[small] * (FRAME_MESSAGES_MAX + 1))
    assert [len(frame) for frame in frames] == [FRAME_MESSAGES_MAX, 1]  # type: ignore[arg-type]

"""Frames: what a peer says is decoded once, within limits, and its identity is proved per stream."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from licet.certificate import ExecutedRoots, ValidatorSet
from licet.crypto import SigningKey
from licet.types import ChainId, Hash32, Height, TimestampMs, ValidatorIndex
from licet.v1 import peer_pb2 as pb

from licensing_vm.trail import Row
from node.net import frames
from node.net.peer_messages import (
    AUTHORS_MAX,
    FRAME_MESSAGES_MAX,
    MESSAGE_BYTES_MAX,
    WRITES_KEY_BYTES_MAX,
    WRITES_ROWS_MAX,
    Batches,
    BatchesMissing,
    BatchOffer,
    BatchRequest,
    ClockMoved,
    ConsensusMessage,
    Participation,
    WritesPage,
    WritesRequest,
)

CHAIN = ChainId(b"c" * 32)
KEYS = [SigningKey(bytes([index]) * 32) for index in range(4)]
VALIDATORS = ValidatorSet(keys=tuple(key.public_key for key in KEYS))

digests = st.lists(st.binary(min_size=32, max_size=32).map(Hash32), max_size=4).map(tuple)
hashes = st.binary(min_size=32, max_size=32).map(Hash32)
rows = st.builds(Row, st.integers(0, 2**32 - 1), hashes, st.binary(max_size=80), st.one_of(st.none(), hashes))


def pages(height: int) -> st.SearchStrategy[WritesPage]:
    """Pages of a height, as long as one may be."""
    roots = st.builds(
        ExecutedRoots,
        height=st.just(Height(height)),
        state_root=hashes,
        log_root=hashes,
        log_size=st.integers(0, 2**63),
    )
    return st.builds(
        lambda roots, first, found, more: WritesPage(
            height=Height(height),
            roots=roots,
            first_row=first,
            total=first + len(found) + more,
            rows=tuple(found),
        ),
        roots,
        st.integers(0, 2**30),
        st.lists(rows, max_size=4),
        st.integers(0, 2**30),
    )


messages = st.one_of(
    st.builds(
        ConsensusMessage,
        data=st.binary(max_size=64),
        authors=st.lists(st.integers(0, 0xFFFFFFFF).map(ValidatorIndex), max_size=4).map(tuple),
    ),
    st.lists(st.binary(max_size=64), max_size=4).map(lambda items: Batches(batches=tuple(items))),
    digests.map(lambda items: BatchRequest(digests=items)),
    digests.map(lambda items: BatchesMissing(digests=items)),
    digests.map(lambda items: BatchOffer(digests=items)),
    st.integers(0, 2**63).map(lambda now: ClockMoved(now_ms=TimestampMs(now))),
    st.builds(
        WritesRequest,
        height=st.integers(0, 2**63).map(Height),
        first_row=st.integers(0, 2**32 - 1),
        rows=st.integers(0, WRITES_ROWS_MAX),
    ),
    st.integers(0, 2**63).map(lambda height: WritesPage(height=Height(height), roots=None)),
    st.integers(0, 2**63).flatmap(pages),
)


@given(st.lists(messages, max_size=8))
def test_a_frame_travels_unchanged_both_ways(items: list[frames.PeerMessage]) -> None:
    frame = frames.Frame(messages=tuple(items))
    assert frames.decode_request(frames.encode_request(frame)) == frame
    assert frames.decode_response(frames.encode_response(frame)) == frame


@given(st.lists(messages, max_size=8))
def test_the_estimate_of_size_is_never_too_low(items: list[frames.PeerMessage]) -> None:
    frame = frames.Frame(messages=tuple(items))
    assert sum(map(frames.message_bytes, items)) + 16 >= len(frames.encode_request(frame))


def test_authors_beside_anything_but_a_consensus_message_are_not_read() -> None:
    said = pb.ExchangeRequest()
    message = said.frame.messages.add(clock_ms=7)
    message.batch_authors.extend([1] * (AUTHORS_MAX + 1))
    moved = ClockMoved(now_ms=TimestampMs(7))
    assert frames.decode_request(said.SerializeToString()) == frames.Frame(messages=(moved,))


def test_without_authors_a_message_has_the_bytes_it_had_before_there_were_any() -> None:
    """Nodes with and without this field are of one protocol version."""
    frame = frames.Frame(messages=(ConsensusMessage(data=b"vote"),))
    assert frames.encode_request(frame) == bytes.fromhex("1a080a06") + b"\x0a\x04vote"


@given(st.binary(max_size=200))
def test_any_bytes_are_an_item_or_the_peers_fault(data: bytes) -> None:
    with contextlib.suppress(frames.PeerFault):
        frames.decode_request(data)


def test_split_keeps_order_and_limits() -> None:
    big = [ConsensusMessage(data=bytes(400_000)) for _ in range(5)]
    small = [ConsensusMessage(data=bytes([n % 251])) for n in range(FRAME_MESSAGES_MAX + 3)]
    parts = frames.split([*big, *small])
    assert [message for frame in parts for message in frame.messages] == [*big, *small]
    assert all(len(frame.messages) <= FRAME_MESSAGES_MAX for frame in parts)
    assert all(len(frames.encode_request(frame)) <= frames.FRAME_BYTES_AIM + 500_000 for frame in parts)
    assert frames.split([]) == []


def _frame(fill: object) -> bytes:
    message = pb.ExchangeRequest()
    message.frame.SetInParent()
    fill(message.frame)  # type: ignore[operator]
    return message.SerializeToString()


def _row(**changes: bytes) -> pb.WrittenRow:
    return pb.WrittenRow(**{"transaction_hash": bytes(32), "key": b"k", "value_hash": bytes(32), **changes})


def _page(frame: pb.Frame, **changes: object) -> None:
    fields: dict[str, object] = {"held": True, "state_root": bytes(32), "log_root": bytes(32), **changes}
    frame.messages.add(writes=pb.Writes(**fields))  # type: ignore[arg-type]


def test_a_page_of_written_rows_may_be_as_large_as_its_limits_say() -> None:
    row = Row(2**32 - 1, Hash32(bytes(32)), bytes(WRITES_KEY_BYTES_MAX), None)
    roots = ExecutedRoots(
        height=Height(2**60), state_root=Hash32(bytes(32)), log_root=Hash32(bytes(32)), log_size=2**60
    )
    page = WritesPage(
        height=roots.height, roots=roots, first_row=7, total=2**32 - 1, rows=(row,) * WRITES_ROWS_MAX
    )
    frame = frames.Frame(messages=(page,))
    assert len(frames.encode_request(frame)) <= frames.message_bytes(page) + 16 <= MESSAGE_BYTES_MAX
    assert frames.decode_request(frames.encode_request(frame)) == frame


@pytest.mark.parametrize(
    "fill",
    [
        lambda frame: frame.messages.add(),
        lambda frame: frame.messages.add().wanted.digests.append(b"short"),
        lambda frame: frame.messages.add().wanted.digests.extend([bytes(32)] * 1025),
        lambda frame: frame.messages.add(consensus=b"").batch_authors.extend([1] * (AUTHORS_MAX + 1)),
        lambda frame: frame.messages.add().batch_authors.extend([1]),
        lambda frame: frame.messages.add().batches.batches.extend([bytes(5 << 20)] * 2),
        lambda frame: setattr(frame.messages.add().writes_wanted, "rows", WRITES_ROWS_MAX + 1),
        lambda frame: _page(frame, rows=[_row()] * (WRITES_ROWS_MAX + 1), total=WRITES_ROWS_MAX + 1),
        lambda frame: _page(frame, rows=[_row()], total=1, state_root=b"short"),
        lambda frame: _page(frame, rows=[_row()], total=1, log_root=bytes(33)),
        lambda frame: _page(frame, rows=[_row()], total=0),
        lambda frame: _page(frame, rows=[_row()], total=4, first_row=4),
        lambda frame: _page(frame, rows=[_row(transaction_hash=b"")], total=1),
        lambda frame: _page(frame, rows=[_row(value_hash=bytes(31))], total=1),
        lambda frame: _page(frame, rows=[_row(key=bytes(WRITES_KEY_BYTES_MAX + 1))], total=1),
        lambda frame: [frame.messages.add().consensus for _ in range(FRAME_MESSAGES_MAX + 1)],
    ],
)
def test_what_exceeds_a_limit_is_refused(fill: object) -> None:
    with pytest.raises(frames.PeerFault):
        frames.decode_request(_frame(fill))


def _hellos() -> tuple[frames.Hello, frames.Hello]:
    return (
        frames.new_hello(CHAIN, ValidatorIndex(0), "x"),
        frames.new_hello(CHAIN, ValidatorIndex(2), "x"),
    )


def test_the_proof_shows_who_speaks_to_whom() -> None:
    one, two = _hellos()
    proof = frames.prove(KEYS[0], speaker=one, listener=two)
    frames.check_proof(proof, speaker=one, listener=two, validators=VALIDATORS)
    other = frames.new_hello(CHAIN, ValidatorIndex(2), "x")
    for speaker, listener in ((two, one), (one, other), (replace(one, validator=ValidatorIndex(1)), two)):
        with pytest.raises(frames.PeerFault):
            frames.check_proof(proof, speaker=speaker, listener=listener, validators=VALIDATORS)
    with pytest.raises(frames.PeerFault):
        frames.check_proof(
            frames.prove(KEYS[1], speaker=one, listener=two),
            speaker=one,
            listener=two,
            validators=VALIDATORS,
        )


def test_a_hello_of_another_chain_version_or_set_is_refused() -> None:
    one, two = _hellos()
    frames.check_hello(two, own=one, validators=VALIDATORS)
    for wrong in (
        replace(two, protocol_version=7),
        replace(two, chain_id=ChainId(bytes(32))),
        replace(two, validator=ValidatorIndex(0)),
        replace(two, validator=ValidatorIndex(4)),
        replace(two, nonce=one.nonce),
    ):
        with pytest.raises(frames.PeerFault):
            frames.check_hello(wrong, own=one, validators=VALIDATORS)


@pytest.mark.parametrize("part", list(Participation))
def test_what_part_a_speaker_takes_travels_with_its_hello_and_later(part: Participation) -> None:
    hello = frames.new_hello(CHAIN, ValidatorIndex(0), "x", part)
    standing = frames.Standing(participation=part)
    for item in (hello, standing):
        assert frames.decode_request(frames.encode_request(item)) == item
        assert frames.decode_response(frames.encode_response(item)) == item


def test_the_proof_covers_what_part_the_speaker_takes() -> None:
    one, two = _hellos()
    proof = frames.prove(KEYS[0], speaker=one, listener=two)
    follower = replace(one, participation=Participation.RECORD_MISSING)
    with pytest.raises(frames.PeerFault):
        frames.check_proof(proof, speaker=follower, listener=two, validators=VALIDATORS)


def test_a_part_that_is_none_is_the_peers_fault() -> None:
    one, _ = _hellos()
    message = pb.ExchangeRequest.FromString(frames.encode_request(one))
    message.hello.participation = 9  # type: ignore[assignment]
    with pytest.raises(frames.PeerFault, match="its part in consensus 9"):
        frames.decode_request(message.SerializeToString())
    message.hello.protocol_version = 4  # another version has other parts: its number is what matters
    assert frames.decode_request(message.SerializeToString()) == replace(one, protocol_version=4)

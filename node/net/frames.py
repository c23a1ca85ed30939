"""Peer messages as protobuf and as frozen values: what a peer sent is decoded here and in `node.net.writes`.

Form and limits are checked here and the peer is blamed (C-16). What is inside a message's byte
strings is decoded by those who own it: consensus messages by `consensus.codec`, batches by
`node.core.batches`. All messages of a turn go in one frame, unless they are longer than `FRAME_BYTES_AIM`.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError
from licet.certificate import ValidatorSet
from licet.crypto import SigningKey, signature_valid
from licet.encoding import Tag, Writer
from licet.errors import Fault, LicetError
from licet.types import (
    HASH_BYTES,
    SIGNATURE_BYTES,
    ChainId,
    Hash32,
    Height,
    Signature,
    TimestampMs,
    ValidatorIndex,
)
from licet.v1 import peer_pb2 as pb

from node.net import writes
from node.net.peer_messages import (
    AUTHORS_MAX,
    BATCHES_BYTES_MAX,
    DIGESTS_MAX,
    FRAME_BYTES_MAX,
    FRAME_MESSAGES_MAX,
    MESSAGE_BYTES_MAX,
    WRITES_ROWS_MAX,
    Batches,
    BatchesMissing,
    BatchOffer,
    BatchRequest,
    ClockMoved,
    ConsensusMessage,
    Participation,
    PeerMessage,
    WritesPage,
    WritesRequest,
)

PROTOCOL_VERSION: Final = 3  # 2: hellos say what part their speaker takes; 3: what a height wrote is told
NONCE_BYTES: Final = 32
FRAME_BYTES_AIM: Final = 1 << 20  # a turn's bytes beyond this go in further frames
SOFTWARE_BYTES_MAX: Final = 64
_HEADROOM: Final = 32  # tags and lengths around one message
_AUTHOR_BYTES: Final = 5  # a u32 as a varint, at most

assert FRAME_BYTES_AIM + BATCHES_BYTES_MAX < FRAME_BYTES_MAX


class PeerFault(LicetError):
    """A peer said what no honest node says, or is another peer than it should be."""

    def __init__(self, why: str, *, facts: dict[str, str] | None = None) -> None:
        super().__init__(
            "PEER_FAULT",
            f"The peer's message is refused: {why}.",
            fault=Fault.PEER,
            remedy="The stream is closed and dialled again; if it goes on, ask that node's operator.",
            facts=facts,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """Who speaks, before it is proved."""

    protocol_version: int
    chain_id: ChainId
    validator: ValidatorIndex
    nonce: bytes
    software: str = ""
    participation: Participation = Participation.VOTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What one turn has for one peer, in order."""

    messages: tuple[PeerMessage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The signature that a speaker proves itself with."""

    signature: Signature


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The speaker's part in consensus has changed since its hello."""

    participation: Participation


Item = Hello | Proof | Frame | Standing


def new_hello(
    chain_id: ChainId,
    validator: ValidatorIndex,
    software: str,
    participation: Participation = Participation.VOTES,
) -> Hello:
    """A hello with a fresh nonce."""
    return Hello(
        protocol_version=PROTOCOL_VERSION,
        chain_id=chain_id,
        validator=validator,
        nonce=secrets.token_bytes(NONCE_BYTES),
        software=software[:SOFTWARE_BYTES_MAX],
        participation=participation,
    )


def _proof_message(speaker: Hello, listener: Hello) -> bytes:
    """Binds both nonces, both indexes and the direction, so that no proof can be used twice or back."""
    out = Writer().u32(speaker.protocol_version).fixed(speaker.chain_id, HASH_BYTES)
    out.u16(speaker.validator).u16(listener.validator)
    out.fixed(listener.nonce, NONCE_BYTES).fixed(speaker.nonce, NONCE_BYTES)
    return out.u8(speaker.participation).done()


def prove(key: SigningKey, *, speaker: Hello, listener: Hello) -> Proof:
    """The speaker's proof to this listener, on this stream."""
    return Proof(signature=key.sign(Tag.PEER_HELLO, _proof_message(speaker, listener)))


def check_hello(hello: Hello, *, own: Hello, validators: ValidatorSet) -> None:
    """Refuse a peer of another protocol, another chain, outside the set, or ourselves."""
    if hello.protocol_version != own.protocol_version:
        raise PeerFault(
            f"it speaks protocol version {hello.protocol_version}, we speak {own.protocol_version}",
            facts={"protocol_version": str(hello.protocol_version)},
        )
    if hello.chain_id != own.chain_id:
        raise PeerFault(f"it is of chain {hello.chain_id.hex()[:16]}", facts={"chain": hello.chain_id.hex()})
    if hello.validator >= validators.n or hello.validator == own.validator:
        raise PeerFault(f"it calls itself validator {hello.validator}")
    if hello.nonce == own.nonce:
        raise PeerFault("it repeats our nonce")


def check_proof(proof: Proof, *, speaker: Hello, listener: Hello, validators: ValidatorSet) -> None:
    """Raise unless the speaker holds the key of the validator that it says it is."""
    key = validators.keys[speaker.validator]
    message = _proof_message(speaker, listener)
    if not signature_valid(key, proof.signature, Tag.PEER_HELLO, message):
        raise PeerFault(f"it does not hold the key of validator {speaker.validator}")


# --- to the wire --------------------------------------------------------------------------------


def encode_request(item: Item) -> bytes:
    """An item as the dialling side sends it."""
    return _encode(item, pb.ExchangeRequest())


def encode_response(item: Item) -> bytes:
    """An item as the dialled side sends it."""
    return _encode(item, pb.ExchangeResponse())


def _encode(item: Item, message: pb.ExchangeRequest | pb.ExchangeResponse) -> bytes:
    match item:
        case Hello():
            message.hello.protocol_version = item.protocol_version
            message.hello.chain_id = item.chain_id
            message.hello.validator = item.validator
            message.hello.nonce = item.nonce
            message.hello.software = item.software
            message.hello.participation = _spoken(item.participation)
        case Proof():
            message.proof.signature = item.signature
        case Standing():
            message.participation = _spoken(item.participation)
        case Frame():
            message.frame.SetInParent()
            for one in item.messages:
                _encode_message(one, message.frame.messages.add())
    return message.SerializeToString()


def _spoken(participation: Participation) -> pb.Participation.ValueType:
    return pb.Participation.Value(f"PARTICIPATION_{participation.name}")


def _encode_message(message: PeerMessage, out: pb.PeerMessage) -> None:
    match message:
        case ConsensusMessage():
            out.consensus = message.data
            out.batch_authors.extend(message.authors)
        case Batches():
            out.batches.batches.extend(message.batches)
            out.batches.SetInParent()
        case BatchRequest():
            _encode_digests(out.wanted, message.digests)
        case BatchesMissing():
            _encode_digests(out.missing, message.digests)
        case BatchOffer():
            _encode_digests(out.offered, message.digests)
        case ClockMoved():
            out.clock_ms = message.now_ms
        case WritesRequest():
            out.writes_wanted.height = message.height
            out.writes_wanted.first_row = message.first_row
            out.writes_wanted.rows = message.rows
        case WritesPage():
            writes.encode(message, out.writes)


def _encode_digests(out: pb.Digests, digests: tuple[Hash32, ...]) -> None:
    out.digests.extend(digests)
    out.SetInParent()


def message_bytes(message: PeerMessage) -> int:
    """About how long a message is on the wire, never less."""
    match message:
        case ConsensusMessage():
            return len(message.data) + _AUTHOR_BYTES * len(message.authors) + _HEADROOM
        case Batches():
            return sum(map(len, message.batches)) + 8 * len(message.batches) + _HEADROOM
        case ClockMoved() | WritesRequest():
            return _HEADROOM
        case WritesPage():
            return writes.page_bytes(message) + _HEADROOM
    return (HASH_BYTES + 2) * len(message.digests) + _HEADROOM


def split(messages: Sequence[PeerMessage]) -> list[Frame]:
    """The messages in as few frames as the limits allow, in order."""
    frames: list[Frame] = []
    part: list[PeerMessage] = []
    size = 0
    for message in messages:
        cost = message_bytes(message)
        if part and (size + cost > FRAME_BYTES_AIM or len(part) == FRAME_MESSAGES_MAX):
            frames.append(Frame(messages=tuple(part)))
            part, size = [], 0
        part.append(message)
        size += cost
    if part:
        frames.append(Frame(messages=tuple(part)))
    return frames


# --- from the wire ------------------------------------------------------------------------------


def decode_request(data: bytes) -> Item:
    """An item from the side that dialled; `PeerFault` for anything that is none."""
    return _decode(data, pb.ExchangeRequest())


def decode_response(data: bytes) -> Item:
    """An item from the side that was dialled; `PeerFault` for anything that is none."""
    return _decode(data, pb.ExchangeResponse())


def _decode(data: bytes, message: pb.ExchangeRequest | pb.ExchangeResponse) -> Item:
    if len(data) > FRAME_BYTES_MAX:
        raise PeerFault(f"{len(data)} bytes are more than {FRAME_BYTES_MAX}")
    try:
        message.ParseFromString(data)
    except (DecodeError, ValueError) as error:
        raise PeerFault(f"it is no protobuf message ({error})") from None
    match message.WhichOneof("item"):
        case "hello":
            return _decode_hello(message.hello)
        case "proof":
            if len(message.proof.signature) != SIGNATURE_BYTES:
                raise PeerFault(f"a signature of {len(message.proof.signature)} bytes")
            return Proof(signature=Signature(message.proof.signature))
        case "frame":
            return _decode_frame(message.frame)
        case "participation":
            return Standing(participation=_participation(message.participation))
    raise PeerFault("it holds neither hello, proof, frame nor participation")


def _decode_hello(hello: pb.Hello) -> Hello:
    if len(hello.chain_id) != HASH_BYTES or len(hello.nonce) != NONCE_BYTES:
        raise PeerFault("chain id or nonce of its hello have a wrong length")
    if hello.validator > 0xFFFF or len(hello.software) > SOFTWARE_BYTES_MAX:
        raise PeerFault("its hello is out of range")
    ours = hello.protocol_version == PROTOCOL_VERSION  # of another version only the number is understood
    return Hello(
        protocol_version=hello.protocol_version,
        chain_id=ChainId(hello.chain_id),
        validator=ValidatorIndex(hello.validator),
        nonce=hello.nonce,
        software=hello.software,
        participation=_participation(hello.participation) if ours else Participation.VOTES,
    )


def _participation(value: int) -> Participation:
    try:
        return Participation(value)
    except ValueError:
        raise PeerFault(f"it calls its part in consensus {value}, which is none") from None


def _decode_frame(frame: pb.Frame) -> Frame:
    if len(frame.messages) > FRAME_MESSAGES_MAX:
        raise PeerFault(f"a frame of {len(frame.messages)} messages, more than {FRAME_MESSAGES_MAX}")
    return Frame(messages=tuple(_decode_message(message) for message in frame.messages))


def _decode_message(message: pb.PeerMessage) -> PeerMessage:
    match message.WhichOneof("kind"):
        case "consensus":
            if len(message.consensus) > MESSAGE_BYTES_MAX:
                raise PeerFault(f"a consensus message of {len(message.consensus)} bytes")
            return ConsensusMessage(data=message.consensus, authors=_authors(message))
        case "batches":
            batches = tuple(message.batches.batches)
            if sum(map(len, batches)) > BATCHES_BYTES_MAX:
                raise PeerFault(f"batches of more than {BATCHES_BYTES_MAX} bytes in one message")
            return Batches(batches=batches)
        case "wanted":
            return BatchRequest(digests=_digests(message.wanted))
        case "missing":
            return BatchesMissing(digests=_digests(message.missing))
        case "offered":
            return BatchOffer(digests=_digests(message.offered))
        case "clock_ms":
            return ClockMoved(now_ms=TimestampMs(message.clock_ms))
        case "writes_wanted":
            return _decode_writes_wanted(message.writes_wanted)
        case "writes":
            page = writes.decode(message.writes)
            if isinstance(page, str):
                raise PeerFault(page)
            return page
    raise PeerFault("a message of an unknown kind")


def _decode_writes_wanted(message: pb.WritesRequest) -> WritesRequest:
    if message.rows > WRITES_ROWS_MAX:
        raise PeerFault(f"it asks for {message.rows} rows at once, more than {WRITES_ROWS_MAX}")
    return WritesRequest(height=Height(message.height), first_row=message.first_row, rows=message.rows)


def _authors(message: pb.PeerMessage) -> tuple[ValidatorIndex, ...]:
    """As they stand: whether they name a validator, and a block's batches, is asked where they are used."""
    if len(message.batch_authors) > AUTHORS_MAX:
        raise PeerFault(f"{len(message.batch_authors)} authors beside one message, more than {AUTHORS_MAX}")
    return tuple(ValidatorIndex(author) for author in message.batch_authors)


def _digests(message: pb.Digests) -> tuple[Hash32, ...]:
    if len(message.digests) > DIGESTS_MAX:
        raise PeerFault(f"{len(message.digests)} digests in one message, more than {DIGESTS_MAX}")
    for digest in message.digests:
        if len(digest) != HASH_BYTES:
            raise PeerFault(f"a digest of {len(digest)} bytes")
    return tuple(Hash32(digest) for digest in message.digests)

"""Peer messages as protobuf and as frozen values: the one file that decodes what a peer sent.

Form and limits are checked here and the peer is blamed (C-16). What is inside a frame's byte strings
is decoded by those who own it: consensus messages by `consensus.codec`, batches and transactions by
the node's core. Frames are built from many queued messages at once and split at `FRAME_BYTES_MAX`.
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
from licet.types import HASH_BYTES, SIGNATURE_BYTES, ChainId, Hash32, Height, Signature, ValidatorIndex
from licet.v1 import peer_pb2 as pb

PROTOCOL_VERSION: Final = 1
NONCE_BYTES: Final = 32
# One message on the wire. A consensus message or a batch alone is always smaller.
FRAME_BYTES_MAX: Final = 16 << 20
FRAME_BYTES_AIM: Final = 1 << 20  # a turn's bytes beyond this go in further frames
FRAME_ITEMS_MAX: Final = 65_536
SOFTWARE_BYTES_MAX: Final = 64

assert FRAME_BYTES_AIM < FRAME_BYTES_MAX


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What one turn has for one peer."""

    consensus: tuple[bytes, ...] = ()
    batches: tuple[bytes, ...] = ()
    wanted: tuple[Hash32, ...] = ()
    missing: tuple[Hash32, ...] = ()
    transactions: tuple[bytes, ...] = ()
    height: Height = Height(0)

    @property
    def empty(self) -> bool:
        return not (self.consensus or self.batches or self.wanted or self.missing or self.transactions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The signature that a speaker proves itself with."""

    signature: Signature


Item = Hello | Proof | Frame


def new_hello(chain_id: ChainId, validator: ValidatorIndex, software: str) -> Hello:
    """A hello with a fresh nonce."""
    return Hello(
        protocol_version=PROTOCOL_VERSION,
        chain_id=chain_id,
        validator=validator,
        nonce=secrets.token_bytes(NONCE_BYTES),
        software=software[:SOFTWARE_BYTES_MAX],
    )


def _proof_message(speaker: Hello, listener: Hello) -> bytes:
    """Binds both nonces, both indexes and the direction, so that no proof can be used twice or back."""
    out = Writer().u32(speaker.protocol_version).fixed(speaker.chain_id, HASH_BYTES)
    out.u16(speaker.validator).u16(listener.validator)
    return out.fixed(listener.nonce, NONCE_BYTES).fixed(speaker.nonce, NONCE_BYTES).done()


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
        case Proof():
            message.proof.signature = item.signature
        case Frame():
            frame = message.frame
            frame.SetInParent()
            frame.consensus.extend(item.consensus)
            frame.batches.extend(item.batches)
            frame.wanted.extend(item.wanted)
            frame.missing.extend(item.missing)
            frame.transactions.extend(item.transactions)
            frame.height = item.height
    return message.SerializeToString()


def join(frames: Sequence[Frame]) -> list[Frame]:
    """The same content in as few frames as the aimed size allows, in order within each kind."""
    out: list[Frame] = []
    parts: list[Frame] = []
    size = items = 0
    for frame in frames:
        cost, count = frame_bytes(frame), _items(frame)
        if parts and (size + cost > FRAME_BYTES_AIM or items + count > FRAME_ITEMS_MAX):
            out.append(_merge(parts))
            parts, size, items = [], 0, 0
        parts.append(frame)
        size += cost
        items += count
    if parts:
        out.append(_merge(parts))
    return out


def frame_bytes(frame: Frame) -> int:
    """About how long a frame is on the wire (never less)."""
    blobs = (*frame.consensus, *frame.batches, *frame.transactions)
    hashes = len(frame.wanted) + len(frame.missing)
    return sum(map(len, blobs)) + 8 * len(blobs) + (HASH_BYTES + 2) * hashes + 16


def _items(frame: Frame) -> int:
    return (
        len(frame.consensus)
        + len(frame.batches)
        + len(frame.wanted)
        + len(frame.missing)
        + len(frame.transactions)
    )


def _merge(frames: Sequence[Frame]) -> Frame:
    if len(frames) == 1:
        return frames[0]
    return Frame(
        consensus=tuple(item for frame in frames for item in frame.consensus),
        batches=tuple(item for frame in frames for item in frame.batches),
        wanted=tuple(item for frame in frames for item in frame.wanted),
        missing=tuple(item for frame in frames for item in frame.missing),
        transactions=tuple(item for frame in frames for item in frame.transactions),
        height=Height(max(frame.height for frame in frames)),
    )


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
    raise PeerFault("it holds neither hello, proof nor frame")


def _decode_hello(hello: pb.Hello) -> Hello:
    if len(hello.chain_id) != HASH_BYTES or len(hello.nonce) != NONCE_BYTES:
        raise PeerFault("chain id or nonce of its hello have a wrong length")
    if hello.validator > 0xFFFF or len(hello.software) > SOFTWARE_BYTES_MAX:
        raise PeerFault("its hello is out of range")
    return Hello(
        protocol_version=hello.protocol_version,
        chain_id=ChainId(hello.chain_id),
        validator=ValidatorIndex(hello.validator),
        nonce=hello.nonce,
        software=hello.software,
    )


def _decode_frame(frame: pb.Frame) -> Frame:
    value = Frame(
        consensus=tuple(frame.consensus),
        batches=tuple(frame.batches),
        wanted=_hashes(frame.wanted),
        missing=_hashes(frame.missing),
        transactions=tuple(frame.transactions),
        height=Height(frame.height),
    )
    if _items(value) > FRAME_ITEMS_MAX:
        raise PeerFault(f"a frame of {_items(value)} items, more than {FRAME_ITEMS_MAX}")
    return value


def _hashes(values: Sequence[bytes]) -> tuple[Hash32, ...]:
    for value in values:
        if len(value) != HASH_BYTES:
            raise PeerFault(f"a digest of {len(value)} bytes")
    return tuple(Hash32(value) for value in values)

"""Consensus messages as bytes: one kind byte, then fixed big-endian binary.

The transport carries these bytes and never looks inside. Decoding checks form
and limits (C-16) before anything is allocated for a claim of length, and blames
the peer. `decode(encode(m)) == m`, and no other bytes decode to m.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Final

from licet.certificate import Certificate, Vote
from licet.encoding import Reader, Writer
from licet.errors import Fault
from licet.types import HASH_BYTES, Hash32, Height, View

from consensus.config import (
    BLOCKS_REQUEST_MAX,
    CATCH_UP_BATCH_MAX,
    CERTIFICATES_REQUEST_MAX,
    DIGESTS_PER_BLOCK_CEILING,
    JUSTIFICATION_MAX,
    RESYNC_ITEMS_MAX,
)
from consensus.messages import (
    BlockRequest,
    BlockResponse,
    CertificateRequest,
    FinalizedRequest,
    FinalizedResponse,
    Message,
    Proposal,
    Resync,
)
from consensus.types import Block

MESSAGE_BYTES_MAX: Final = 8 << 20  # the transport's frame limit may be lower, never higher


class MessageKind(IntEnum):
    """The first byte of every message."""

    PROPOSAL = 1
    VOTE = 2
    CERTIFICATE = 3
    RESYNC = 4
    CERTIFICATE_REQUEST = 5
    BLOCK_REQUEST = 6
    BLOCK_RESPONSE = 7
    FINALIZED_REQUEST = 8
    FINALIZED_RESPONSE = 9


def encode(message: Message) -> bytes:
    """The bytes of a message."""
    writer = Writer()
    match message:
        case Vote():
            message.write(writer.u8(MessageKind.VOTE))
        case Certificate():
            message.write(writer.u8(MessageKind.CERTIFICATE))
        case Proposal():
            message.block.write(writer.u8(MessageKind.PROPOSAL))
            message.vote.write(writer)
            _write_certificates(writer, message.justification)
        case Resync():
            writer.u8(MessageKind.RESYNC).u64(message.view).u64(message.finalized_view)
            writer.u64(message.finalized_height).u8(message.answer)
            _write_certificates(writer, message.certificates)
            writer.u16(len(message.votes))
            for vote in message.votes:
                vote.write(writer)
        case CertificateRequest():
            writer.u8(MessageKind.CERTIFICATE_REQUEST).u64(message.first_view).u64(message.last_view)
        case BlockRequest():
            writer.u8(MessageKind.BLOCK_REQUEST).u16(len(message.block_ids))
            for block_id in message.block_ids:
                writer.fixed(block_id, HASH_BYTES)
        case BlockResponse():
            _write_blocks(writer.u8(MessageKind.BLOCK_RESPONSE), message.blocks)
        case FinalizedRequest():
            writer.u8(MessageKind.FINALIZED_REQUEST).u64(message.from_height).u16(message.count)
        case FinalizedResponse():
            writer.u8(MessageKind.FINALIZED_RESPONSE).u64(message.from_height)
            _write_blocks(writer, message.blocks)
            _write_certificates(writer, message.finalizations)
    return writer.done()


def decode(data: bytes) -> Message:
    """The message of these bytes, or `InvalidEncoding` with the peer at fault."""
    reader = Reader(data, what="consensus message", fault=Fault.PEER)
    if len(data) > MESSAGE_BYTES_MAX:
        raise reader.refuse(f"{len(data)} bytes are more than {MESSAGE_BYTES_MAX}")
    kind = reader.u8()
    decoder = _DECODERS.get(kind)
    if decoder is None:
        raise reader.refuse(f"message kind {kind} is unknown")
    message = decoder(reader)
    reader.end()
    return message


def _write_certificates(writer: Writer, certificates: tuple[Certificate, ...]) -> None:
    writer.u16(len(certificates))
    for certificate in certificates:
        certificate.write(writer)


def _write_blocks(writer: Writer, blocks: tuple[Block, ...]) -> None:
    writer.u16(len(blocks))
    for block in blocks:
        block.write(writer)


def _count(reader: Reader, what: str, at_most: int) -> range:
    count = reader.u16()
    if count > at_most:
        raise reader.refuse(f"{count} {what} are more than {at_most}")
    return range(count)


def _certificates(reader: Reader, at_most: int) -> tuple[Certificate, ...]:
    return tuple(Certificate.read(reader) for _ in _count(reader, "certificates", at_most))


def _block(reader: Reader) -> Block:
    block = Block.read(reader)
    if len(block.digests) > DIGESTS_PER_BLOCK_CEILING:
        raise reader.refuse(f"a block orders {len(block.digests)} batches")
    return block


def _blocks(reader: Reader, at_most: int) -> tuple[Block, ...]:
    return tuple(_block(reader) for _ in _count(reader, "blocks", at_most))


def _proposal(reader: Reader) -> Proposal:
    block, vote = _block(reader), Vote.read(reader)
    return Proposal(block=block, vote=vote, justification=_certificates(reader, JUSTIFICATION_MAX))


def _resync(reader: Reader) -> Resync:
    view, finalized_view, height = View(reader.u64()), View(reader.u64()), Height(reader.u64())
    answer = reader.u8()
    if answer > 1:
        raise reader.refuse("a flag is 0 or 1")
    certificates = _certificates(reader, RESYNC_ITEMS_MAX)
    votes = tuple(Vote.read(reader) for _ in _count(reader, "votes", RESYNC_ITEMS_MAX))
    return Resync(
        view=view,
        finalized_view=finalized_view,
        finalized_height=height,
        certificates=certificates,
        votes=votes,
        answer=bool(answer),
    )


def _certificate_request(reader: Reader) -> CertificateRequest:
    first, last = View(reader.u64()), View(reader.u64())
    if not first <= last < first + CERTIFICATES_REQUEST_MAX:
        raise reader.refuse(f"views {first} to {last} are no range to ask for")
    return CertificateRequest(first_view=first, last_view=last)


def _block_request(reader: Reader) -> BlockRequest:
    ids = tuple(Hash32(reader.fixed(HASH_BYTES)) for _ in _count(reader, "ids", BLOCKS_REQUEST_MAX))
    return BlockRequest(block_ids=ids)


def _finalized_request(reader: Reader) -> FinalizedRequest:
    height, count = Height(reader.u64()), reader.u16()
    if not 1 <= count <= CATCH_UP_BATCH_MAX:
        raise reader.refuse(f"{count} blocks asked for at once")
    return FinalizedRequest(from_height=height, count=count)


def _finalized_response(reader: Reader) -> FinalizedResponse:
    return FinalizedResponse(
        from_height=Height(reader.u64()),
        blocks=_blocks(reader, CATCH_UP_BATCH_MAX),
        finalizations=_certificates(reader, CATCH_UP_BATCH_MAX),
    )


_DECODERS: Final[dict[int, Callable[[Reader], Message]]] = {
    MessageKind.PROPOSAL: _proposal,
    MessageKind.VOTE: Vote.read,
    MessageKind.CERTIFICATE: Certificate.read,
    MessageKind.RESYNC: _resync,
    MessageKind.CERTIFICATE_REQUEST: _certificate_request,
    MessageKind.BLOCK_REQUEST: _block_request,
    MessageKind.BLOCK_RESPONSE: lambda reader: BlockResponse(blocks=_blocks(reader, BLOCKS_REQUEST_MAX)),
    MessageKind.FINALIZED_REQUEST: _finalized_request,
    MessageKind.FINALIZED_RESPONSE: _finalized_response,
}

"""A receipt's outcome without its events and entries: what a brief stream asks for.

Reads the first fields of the canonical form (`licet.receipts.Receipt`, whose order is fixed for ever) and
leaves the rest alone: a tenth of the cost of reading it all. A test holds it equal to the whole reading.
"""

from __future__ import annotations

from typing import Final

from licet.receipts import read_receipt
from licet.types import HASH_BYTES
from licet.v1 import ledger_pb2 as pb

from node.api import mapping

_HASH_AT: Final = 2  # behind the record's tag and the hash's length


def brief_receipt(data: bytes) -> pb.Receipt:
    """The outcome in a receipt's canonical bytes, as this node stored them."""
    at = _HASH_AT + HASH_BYTES
    for _ in ("sender", "id"):
        length, at = _varint(data, at)
        at += length
    height, at = _varint(data, at)
    index, at = _varint(data, at)
    timestamp_ms, at = _varint(data, at)
    if data[at + 1]:  # behind `consumed`: a refusal, which is told with its facts
        return mapping.brief_receipt(read_receipt(data))
    # Signed integers are zigzag: these are never below zero.
    return pb.Receipt(
        transaction_hash=data[_HASH_AT : _HASH_AT + HASH_BYTES],
        height=height >> 1,
        index=index >> 1,
        timestamp_ms=timestamp_ms >> 1,
        committed=True,
    )


def is_of(data: bytes, sender: str, id_: bytes) -> bool:
    """Whether a receipt's canonical bytes are those of a transaction of (sender, id)."""
    name = sender.encode()
    named = bytes((len(name),)) + name + bytes((len(id_),)) + id_  # both shorter than 128
    return data.startswith(named, _HASH_AT + HASH_BYTES)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    at += 1
    if byte < 0x80:
        return byte, at
    value, shift = byte & 0x7F, 7
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7

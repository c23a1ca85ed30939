"""Canonical bytes: domain tags, hashing, and fixed big-endian binary.

Everything that is hashed or signed is built here, so that a client and a
validator cannot differ by a byte. H is SHA-256. Every tag is 16 ASCII bytes,
zero-padded, and stands in `Tag` alone: two structures can never share a
signing or hashing domain. Tree and log nodes use the one-byte tags of
RFC 9162 and `design/ledger.md` and stand in `licet.merkle`.
"""

from __future__ import annotations

import struct
from enum import Enum
from hashlib import sha256
from typing import Final

from licet.errors import Fault, InvalidEncoding
from licet.types import Hash32

TAG_BYTES: Final = 16


class Tag(Enum):
    """Every domain-separation tag there is. Adding one is a format change."""

    GENESIS = "licet.genesis"
    HEADER = "licet.header"
    VOTE = "licet.vote"
    TRANSACTION = "licet.tx"
    BATCH = "licet.batch"
    PAYLOAD = "licet.payload"
    PROPOSAL = "licet.proposal"
    PEER_HELLO = "licet.hello"
    PROGRAM = "licet.program"
    TEMPLATE = "licet.template"
    RECEIPT = "licet.receipt"
    REPORT_ROWS = "licet.rows"
    KEY_FILE = "licet.keyfile"
    PARAMETERS = "licet.params"
    DECISION = "licet.decision"

    bytes16: bytes  # the tag as it is hashed: 16 bytes, zero-padded

    def __init__(self, name: str) -> None:
        raw = name.encode("ascii")
        assert len(raw) <= TAG_BYTES, name
        self.bytes16 = raw.ljust(TAG_BYTES, b"\0")


assert len({tag.bytes16 for tag in Tag}) == len(Tag)


def hash_tagged(tag: Tag, *parts: bytes) -> Hash32:
    """H(tag ‖ parts). The caller's parts must be of fixed or prefixed length."""
    # One call of the hash: making the object and each update cost as much as hashing a short part.
    return Hash32(sha256(tag.bytes16 + (parts[0] if len(parts) == 1 else b"".join(parts))).digest())


_U8 = struct.Struct(">B")
_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
_I64 = struct.Struct(">q")


class Writer:
    """Builds fixed big-endian binary. Raises `struct.error` for a value out of range (our bug)."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def u8(self, value: int) -> Writer:
        self._parts.append(_U8.pack(value))
        return self

    def u16(self, value: int) -> Writer:
        self._parts.append(_U16.pack(value))
        return self

    def u32(self, value: int) -> Writer:
        self._parts.append(_U32.pack(value))
        return self

    def u64(self, value: int) -> Writer:
        self._parts.append(_U64.pack(value))
        return self

    def i64(self, value: int) -> Writer:
        self._parts.append(_I64.pack(value))
        return self

    def fixed(self, value: bytes, length: int) -> Writer:
        """Append bytes whose length both sides know."""
        assert len(value) == length, (len(value), length)
        self._parts.append(value)
        return self

    def blob(self, value: bytes) -> Writer:
        """Append bytes behind their u32 length."""
        self._parts.append(_U32.pack(len(value)))
        self._parts.append(value)
        return self

    def text(self, value: str) -> Writer:
        """Append UTF-8 text behind its u32 byte length."""
        return self.blob(value.encode("utf-8"))

    def done(self) -> bytes:
        return b"".join(self._parts)


class Reader:
    """Reads what `Writer` wrote; raises `InvalidEncoding` for anything else."""

    __slots__ = ("_at", "_data", "_fault", "_what")

    def __init__(self, data: bytes, *, what: str, fault: Fault = Fault.SENDER) -> None:
        self._data = data
        self._at = 0
        self._what = what
        self._fault = fault

    def fixed(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._data):
            raise InvalidEncoding(self._what, f"it ends after {len(self._data)} bytes", fault=self._fault)
        value = self._data[self._at : end]
        self._at = end
        return value

    def u8(self) -> int:
        return self.fixed(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.fixed(2), "big")

    def u32(self) -> int:
        return int.from_bytes(self.fixed(4), "big")

    def u64(self) -> int:
        return int.from_bytes(self.fixed(8), "big")

    def i64(self) -> int:
        return int.from_bytes(self.fixed(8), "big", signed=True)

    def blob(self, *, at_most: int) -> bytes:
        length = self.u32()
        if length > at_most:
            raise InvalidEncoding(
                self._what, f"a field of {length} bytes is longer than {at_most}", fault=self._fault
            )
        return self.fixed(length)

    def text(self, *, at_most: int) -> str:
        raw = self.blob(at_most=at_most)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidEncoding(self._what, "a text field is not UTF-8", fault=self._fault) from None

    def refuse(self, why: str) -> InvalidEncoding:
        """The error to raise for a value that is well-formed but not allowed."""
        return InvalidEncoding(self._what, why, fault=self._fault)

    def remaining(self) -> int:
        return len(self._data) - self._at

    def end(self) -> None:
        """Refuse trailing bytes."""
        if self._at != len(self._data):
            raise InvalidEncoding(self._what, f"{self.remaining()} bytes follow its end", fault=self._fault)

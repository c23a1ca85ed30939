"""Moulds: records of which all but a few fields are known beforehand, encoded at the cost of those.

Every sale under an offer writes an agreement, an event and a journal entry that differ from the last
sale's in a handful of fields. A mould encodes a pattern once, cuts it at the fields that vary, and then
fills: joining constant pieces with the encodings of the few. What it makes is exactly the record's
canonical encoding (a test holds it to that); it is a cache, never a second format.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, final

from licet.records import encode, signed_varint, varint

_TEXT_MARK: Final = "\x00\x01mould:{}\x01\x00"  # cannot occur in a valid name
_INT_MARK: Final = (1 << 76) + 0x5EED  # cannot occur as an amount, a time or a height: those have 64 bits
_POSITION_MAX: Final = 1 << 21
_TEXT_HEAD, _TEXT_TAIL = (part.encode() for part in _TEXT_MARK.split("{}"))
# A mark's encoding: the 21 bits below a position are the same in every mark, then three bytes hold the
# position, and the rest is the same again.
_INT_BYTES: Final = signed_varint(_INT_MARK)
_MARKS: Final = re.compile(
    re.escape(_TEXT_HEAD)
    + b"([0-9]+)"
    + re.escape(_TEXT_TAIL)
    + b"|"
    + re.escape(_INT_BYTES[:3])
    + b"([\x80-\xff]{3})"
    + re.escape(_INT_BYTES[6:]),
    re.DOTALL,
)
_LENGTHS: Final = tuple(varint(length) for length in range(128))


@final
class Hole:
    """A field that varies. Use `text(n)`, `blob(n)` or `number(n)` in the pattern, and fill position n."""

    @staticmethod
    def text(position: int) -> str:
        return _TEXT_MARK.format(position)

    @staticmethod
    def blob(position: int) -> bytes:
        """A field of bytes; filled with `blob_bytes`."""
        return _TEXT_MARK.format(position).encode()

    @staticmethod
    def number(position: int) -> int:
        assert position < _POSITION_MAX, position
        return _INT_MARK + (position << 20)


def text_bytes(value: str) -> bytes:
    """A text field as records encode it."""
    raw = value.encode()
    length = len(raw)
    return (_LENGTHS[length] if length < 128 else varint(length)) + raw


def blob_bytes(value: bytes) -> bytes:
    """A field of bytes as records encode it."""
    length = len(value)
    return (_LENGTHS[length] if length < 128 else varint(length)) + value


# Amounts under one offer, heights and times repeat by the thousand.
number_bytes: Final = lru_cache(maxsize=1 << 16)(signed_varint)


def _marks(data: bytes, holes: int) -> list[tuple[int, int, int]]:
    """Where the holes of an encoded pattern are: start, end, position. One pass, however many there are."""
    marks: list[tuple[int, int, int]] = []
    for found in _MARKS.finditer(data):
        begin, end = found.span()
        text, number = found.groups()
        if text is not None:
            begin -= len(varint(end - begin))  # the length stands before it
            position = int(text)
        else:
            position = number[0] & 0x7F | (number[1] & 0x7F) << 7 | (number[2] & 0x7F) << 14
        assert position < holes, (position, holes)
        marks.append((begin, end, position))
    return marks


@final
class Mould:
    """The encoding of a pattern, cut at its holes. `holes` is how many positions it has.

    Filling is one formatting of bytes, which costs less than joining them.
    """

    __slots__ = ("_format", "_pick")

    def __init__(self, pattern: Any, holes: int, *, tagged: bool) -> None:
        data = encode(pattern)
        if not tagged:
            data = data[1:]
        marks = _marks(data, holes)
        pieces: list[bytes] = []
        start = 0
        for begin, end, _ in marks:
            pieces.append(data[start:begin])
            start = end
        pieces.append(data[start:])
        self._format = b"%b".join(piece.replace(b"%", b"%%") for piece in pieces)
        order = [position for _, _, position in marks]
        self._pick: Callable[[tuple[bytes, ...]], tuple[bytes, ...]] | None = None
        if order != list(range(holes)):
            self._pick = (
                itemgetter(*order) if len(order) > 1 else lambda values: tuple(values[n] for n in order)
            )

    def fill(self, *values: bytes) -> bytes:
        """The record with its holes filled by encoded fields (`text_bytes`, `number_bytes`)."""
        return self._format % (values if self._pick is None else self._pick(values))

"""google.rpc.Status and its ErrorInfo detail, as far as the API uses them.

Errors of the API travel as a status whose detail is an ErrorInfo: reason is the error's code, domain
"licet", metadata the facts with "fault" and "remedy". googleapis' package would be a dependency for
three messages, so they are written and read here, on protobuf's own wire format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from licet.records import varint

DOMAIN: Final = "licet"
METADATA_KEY: Final = "grpc-status-details-bin"
_ERROR_INFO: Final = b"type.googleapis.com/google.rpc.ErrorInfo"
_DETAILS_BYTES_MAX: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorInfo:
    """Why a call was refused."""

    reason: str
    metadata: Mapping[str, str]
    message: str = ""


def _item(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


def encode_status(code: int, message: str, info: ErrorInfo) -> bytes:
    """A serialized google.rpc.Status with one ErrorInfo."""
    detail = _item(1, info.reason.encode()) + _item(2, DOMAIN.encode())
    for key in sorted(info.metadata):
        detail += _item(3, _item(1, key.encode()) + _item(2, info.metadata[key].encode()))
    packed = _item(1, _ERROR_INFO) + _item(2, detail)
    return (varint(8) + varint(code) if code else b"") + _item(2, message.encode()) + _item(3, packed)


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")


def _fields(data: bytes) -> list[tuple[int, bytes]]:
    """The length-delimited fields of a message, in order; numbers are stepped over."""
    out: list[tuple[int, bytes]] = []
    at = 0
    while at < len(data):
        tag, at = _number(data, at)
        if tag & 7 == 0:
            _, at = _number(data, at)
            continue
        if tag & 7 != 2:
            raise ValueError("a field has another wire type")
        size, at = _number(data, at)
        if at + size > len(data):
            raise ValueError("a field ends early")
        out.append((tag >> 3, data[at : at + size]))
        at += size
    return out


def _first(fields: list[tuple[int, bytes]], number: int) -> bytes:
    return next((value for found, value in fields if found == number), b"")


def decode_status(data: bytes) -> ErrorInfo | None:
    """The ErrorInfo of a serialized status; None where there is none of ours that can be read."""
    if len(data) > _DETAILS_BYTES_MAX:
        return None
    try:
        status = _fields(data)
        for number, packed in status:
            detail = _fields(packed) if number == 3 else []
            if _first(detail, 1) != _ERROR_INFO:
                continue
            info = _fields(_first(detail, 2))
            if _first(info, 2).decode() != DOMAIN:
                continue
            pairs = [_fields(value) for found, value in info if found == 3]
            return ErrorInfo(
                reason=_first(info, 1).decode(),
                metadata={_first(pair, 1).decode(): _first(pair, 2).decode() for pair in pairs},
                message=_first(status, 2).decode(),
            )
    except (ValueError, IndexError):
        return None
    return None

"""Canonical records: one encoding for every value that is hashed into the state or the log.

A record is a frozen dataclass under `@record(tag)`. Its bytes are the tag and then its fields in the
order in which they are declared; there are no names, no options and no padding, so that a value has
exactly one encoding and a decoder accepts exactly that one (`InvalidEncoding` otherwise).

    int           zigzag, then LEB128, minimal; at most 19 bytes (any |n| < 2**127)
    bool          one byte, 0 or 1
    str, bytes    length as LEB128, then the bytes (UTF-8)
    X | None      one byte, 0 or 1, then X
    tuple[X, ...] count as LEB128, then each X
    a record      its bytes without its own tag where the field's type is that record

Encoders and decoders are generated once per class, as source, because every sale writes a record:
a loop over field descriptions costs four times as much.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, Final, TypeVar

from licet.errors import Fault, InvalidEncoding

T = TypeVar("T")

VARINT_BYTES_MAX: Final = 19
_MASK: Final = 0x7F

_BY_TAG: dict[int, type[Any]] = {}
_ENCODERS: dict[type[Any], Callable[[Any, list[bytes]], None]] = {}
_DECODERS: dict[type[Any], Callable[[bytes, int], tuple[Any, int]]] = {}
_TAGS: dict[type[Any], int] = {}

_SMALL: Final = tuple(bytes((n,)) for n in range(128))


class _Malformed(Exception):
    """Raised inside decoders; becomes `InvalidEncoding` at the door."""


def varint(value: int) -> bytes:
    """LEB128 of a non-negative integer, minimal."""
    if value < 128:
        return _SMALL[value]
    out = bytearray()
    while value > _MASK:
        out.append(value & _MASK | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _signed(value: int) -> bytes:
    zigzag = value << 1 if value >= 0 else (-value << 1) - 1
    if zigzag < 128:
        return _SMALL[zigzag]
    out = varint(zigzag)
    if len(out) > VARINT_BYTES_MAX:
        raise OverflowError(f"{value} is too large for a record")
    return out


signed_varint = _signed  # for callers who put a record together from parts


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    if byte < 128:
        return byte, at + 1
    value = byte & _MASK
    shift = 7
    start = at
    while True:
        at += 1
        byte = data[at]
        value |= (byte & _MASK) << shift
        if byte < 128:
            break
        shift += 7
        if at - start >= VARINT_BYTES_MAX:
            raise _Malformed("an integer is too long")
    if byte == 0:
        raise _Malformed("an integer is not minimal")
    return value, at + 1


def _read_signed(data: bytes, at: int) -> tuple[int, int]:
    value, at = _read_varint(data, at)
    return (value >> 1 if not value & 1 else -((value + 1) >> 1)), at


def _read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    length, at = _read_varint(data, at)
    end = at + length
    if end > len(data):
        raise _Malformed("it ends early")
    return data[at:end], end


def _read_text(data: bytes, at: int) -> tuple[str, int]:
    raw, at = _read_bytes(data, at)
    return raw.decode("utf-8"), at


def _read_bool(data: bytes, at: int) -> tuple[bool, int]:
    byte = data[at]
    if byte > 1:
        raise _Malformed("a boolean is neither 0 nor 1")
    return byte == 1, at + 1


def _read_count(data: bytes, at: int) -> tuple[int, int]:
    count, at = _read_varint(data, at)
    if count > len(data) - at and count > 0:
        raise _Malformed("a list is longer than its bytes")
    return count, at


class _Generator:
    """Writes the source of one class's encoder and decoder."""

    def __init__(self, cls: type[Any]) -> None:
        self.cls = cls
        self.enc: list[str] = []
        self.dec: list[str] = []
        self.names: dict[str, Any] = {
            "add_varint": varint,
            "add_signed": _signed,
            "read_varint": _read_varint,
            "read_signed": _read_signed,
            "read_bytes": _read_bytes,
            "read_text": _read_text,
            "read_bool": _read_bool,
            "read_count": _read_count,
            "Malformed": _Malformed,
            "cls": cls,
        }
        self.count = 0

    def fresh(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def encode(self, expression: str, hint: Any, pad: str) -> None:
        add = self.enc.append
        origin = typing.get_origin(hint)
        if hint is bool:
            add(f"{pad}put(b'\\x01' if {expression} else b'\\x00')")
        elif _is_int(hint):
            add(f"{pad}put(add_signed({expression}))")
        elif _is_str(hint):
            name = self.fresh()
            add(f"{pad}{name} = {expression}.encode()")
            add(f"{pad}put(add_varint(len({name}))); put({name})")
        elif _is_bytes(hint):
            name = self.fresh()
            add(f"{pad}{name} = {expression}")
            add(f"{pad}put(add_varint(len({name}))); put({name})")
        elif origin is tuple:
            name = self.fresh()
            add(f"{pad}put(add_varint(len({expression})))")
            add(f"{pad}for {name} in {expression}:")
            self.encode(name, typing.get_args(hint)[0], pad + "    ")
        elif origin in (typing.Union, types.UnionType):
            name = self.fresh()
            add(f"{pad}{name} = {expression}")
            add(f"{pad}if {name} is None: put(b'\\x00')")
            add(f"{pad}else:")
            add(f"{pad}    put(b'\\x01')")
            self.encode(name, _optional_of(hint), pad + "    ")
        else:
            name = f"enc_{hint.__name__}"
            self.names[name] = _ENCODERS[hint]
            add(f"{pad}{name}({expression}, out)")

    def decode(self, target: str, hint: Any, pad: str) -> None:
        add = self.dec.append
        origin = typing.get_origin(hint)
        if hint is bool:
            add(f"{pad}{target}, at = read_bool(data, at)")
        elif _is_int(hint):
            add(f"{pad}{target}, at = read_signed(data, at)")
        elif _is_str(hint):
            add(f"{pad}{target}, at = read_text(data, at)")
        elif _is_bytes(hint):
            add(f"{pad}{target}, at = read_bytes(data, at)")
        elif origin is tuple:
            count, item, items = self.fresh(), self.fresh(), self.fresh()
            add(f"{pad}{count}, at = read_count(data, at)")
            add(f"{pad}{items} = []")
            add(f"{pad}for _ in range({count}):")
            self.decode(item, typing.get_args(hint)[0], pad + "    ")
            add(f"{pad}    {items}.append({item})")
            add(f"{pad}{target} = tuple({items})")
        elif origin in (typing.Union, types.UnionType):
            flag = self.fresh()
            add(f"{pad}{flag}, at = read_bool(data, at)")
            add(f"{pad}if {flag}:")
            self.decode(target, _optional_of(hint), pad + "    ")
            add(f"{pad}else: {target} = None")
        else:
            name = f"dec_{hint.__name__}"
            self.names[name] = _DECODERS[hint]
            add(f"{pad}{target}, at = {name}(data, at)")

    def build(self) -> tuple[Callable[[Any, list[bytes]], None], Callable[[bytes, int], tuple[Any, int]]]:
        hints = typing.get_type_hints(self.cls)
        names = [f.name for f in fields(self.cls)]
        for name in names:
            self.encode(f"r.{name}", hints[name], "    ")
            self.decode(f"f_{name}", hints[name], "    ")
        call = ", ".join(f"{name}=f_{name}" for name in names)
        source = "\n".join(
            [
                "def encode(r, out):",
                "    put = out.append",
                *self.enc,
                "def decode(data, at):",
                *self.dec,
                f"    return cls({call}), at",
            ]
        )
        exec(compile(source, f"<record {self.cls.__name__}>", "exec"), self.names)
        return self.names["encode"], self.names["decode"]


def _is_int(hint: Any) -> bool:
    return hint is int or getattr(hint, "__supertype__", None) is int


def _is_str(hint: Any) -> bool:
    return hint is str or getattr(hint, "__supertype__", None) is str


def _is_bytes(hint: Any) -> bool:
    return hint is bytes or getattr(hint, "__supertype__", None) is bytes


def _optional_of(hint: Any) -> Any:
    inner = [arg for arg in typing.get_args(hint) if arg is not type(None)]
    assert len(inner) == 1, hint
    return inner[0]


def record(tag: int) -> Callable[[type[T]], type[T]]:
    """Give a frozen dataclass its canonical encoding. `tag` (0 … 127) is unique for ever.

    Every class that a field names must have been decorated before.
    """
    assert 0 <= tag < 128

    def decorate(cls: type[T]) -> type[T]:
        assert is_dataclass(cls), cls
        assert tag not in _BY_TAG, f"record tag {tag} is taken by {_BY_TAG[tag].__name__}"
        encode_fields, decode_fields = _Generator(cls).build()
        _BY_TAG[tag] = cls
        _TAGS[cls] = tag
        _ENCODERS[cls] = encode_fields
        _DECODERS[cls] = decode_fields
        return cls

    return decorate


def encode(value: Any) -> bytes:
    """The canonical bytes of a record: its tag, then its fields."""
    cls = type(value)
    out = [_SMALL[_TAGS[cls]]]
    _ENCODERS[cls](value, out)
    return b"".join(out)


def decode(cls: type[T], data: bytes, *, fault: Fault = Fault.MACHINE) -> T:
    """Read a record of class `cls`; raise `InvalidEncoding` unless `data` is its one encoding."""
    what = cls.__name__
    if not data or data[0] != _TAGS[cls]:
        raise InvalidEncoding(what, f"it does not begin with tag {_TAGS[cls]}", fault=fault)
    try:
        value, at = _DECODERS[cls](data, 1)
    except IndexError:
        raise InvalidEncoding(what, "it ends early", fault=fault) from None
    except UnicodeDecodeError:
        raise InvalidEncoding(what, "a text is not UTF-8", fault=fault) from None
    except _Malformed as why:
        raise InvalidEncoding(what, str(why), fault=fault) from None
    if at != len(data):
        raise InvalidEncoding(what, f"{len(data) - at} bytes follow its end", fault=fault)
    return value  # type: ignore[no-any-return]


def decode_any(data: bytes, *, fault: Fault = Fault.MACHINE) -> Any:
    """Read a record of whatever class its tag names."""
    cls = _BY_TAG.get(data[0]) if data else None
    if cls is None:
        raise InvalidEncoding("record", "its tag names no kind of record", fault=fault)
    return decode(cls, data, fault=fault)

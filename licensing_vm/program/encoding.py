"""Canonical bytes of a program, and its hash (L-12).

A program has exactly one encoding: fields in the order of `model`, integers
as their length and big-endian two's complement, tuples behind their count,
every count bounded. `decode` refuses anything that `encode` would not have
written. Changing a table here is a format change. Whether a decoded program
makes sense is the verifier's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final

from licet.encoding import Reader, Tag, Writer, hash_tagged
from licet.types import Hash32

from licensing_vm.program import limits
from licensing_vm.program import model as m

PROGRAM_BYTES_MAX: Final = 4 * 1024 * 1024
_FORMAT: Final = 1
_INT_BYTES_MAX: Final = limits.EXACT_BITS_MAX // 8 + 1
_ELEMENTS_MAX: Final = 1024
assert max(limits.LEGS_MAX, limits.INSTRUCTIONS_MAX, limits.CODES_MAX) <= _ELEMENTS_MAX

_Write = Callable[[Writer, Any], None]
_Read = Callable[[Reader], Any]
_Codec = tuple[_Write, _Read]


def _write_int(out: Writer, value: int) -> None:
    size = (value.bit_length() + 8) // 8  # one bit for the sign
    out.u8(size).fixed(value.to_bytes(size, "big", signed=True), size)


def _read_int(data: Reader) -> int:
    size = data.u8()
    if not 1 <= size <= _INT_BYTES_MAX:
        raise data.refuse(f"an integer of {size} bytes")
    value = int.from_bytes(data.fixed(size), "big", signed=True)
    if (value.bit_length() + 8) // 8 != size:
        raise data.refuse("an integer that is longer than it need be")
    return value


def _read_bool(data: Reader) -> bool:
    value = data.u8()
    if value > 1:
        raise data.refuse("a flag that is neither 0 nor 1")
    return value == 1


def _enum(of: type[IntEnum]) -> _Codec:
    known = {int(member): member for member in of}

    def read(data: Reader) -> IntEnum:
        value = data.u8()
        if value not in known:
            raise data.refuse(f"{value} is no {of.__name__}")
        return known[value]

    return (lambda out, value: void(out.u8(int(value)))), read


def void(_: object) -> None:
    return None


_INT: Final[_Codec] = (_write_int, _read_int)
_BOOL: Final[_Codec] = (lambda out, value: void(out.u8(1 if value else 0)), _read_bool)
_TEXT: Final[_Codec] = (
    lambda out, value: void(out.text(value)),
    lambda data: data.text(at_most=4 * limits.TEXT_CHARS_MAX),
)
_HASH: Final[_Codec] = (lambda out, value: void(out.fixed(value, 32)), lambda data: data.fixed(32))


def _many(of: _Codec) -> _Codec:
    write_one, read_one = of

    def write(out: Writer, values: tuple[Any, ...]) -> None:
        out.u16(len(values))
        for value in values:
            write_one(out, value)

    def read(data: Reader) -> tuple[Any, ...]:
        count = data.u16()
        if count > _ELEMENTS_MAX:
            raise data.refuse(f"a list of {count} elements")
        return tuple(read_one(data) for _ in range(count))

    return write, read


def _maybe(of: _Codec) -> _Codec:
    write_one, read_one = of

    def write(out: Writer, value: Any) -> None:
        out.u8(value is not None)
        if value is not None:
            write_one(out, value)

    return write, lambda data: read_one(data) if _read_bool(data) else None


def _record(of: Callable[..., Any], **fields: _Codec) -> _Codec:
    """A dataclass or named tuple, field by field in declared order."""
    declared = getattr(of, "_fields", None) or tuple(getattr(of, "__dataclass_fields__"))  # noqa: B009
    assert declared == tuple(fields), (of, declared, tuple(fields))

    def write(out: Writer, value: Any) -> None:
        for name, (write_one, _) in fields.items():
            write_one(out, getattr(value, name))

    return write, lambda data: of(**{name: read_one(data) for name, (_, read_one) in fields.items()})


_SPAN: Final = _record(m.Span, months=_INT, days=_INT)
_TYPE: Final = _record(m.ValueType, kind=_enum(m.Kind), unit=_TEXT)


def _write_value(out: Writer, value: m.Value) -> None:
    if isinstance(value, m.Span):
        out.u8(2)
        _SPAN[0](out, value)
    elif isinstance(value, tuple):
        out.u8(1)
        _many(_TEXT)[0](out, value)
    else:
        out.u8(0)
        _write_int(out, value)


def read_value(data: Reader) -> m.Value:
    """One bound value, as `write_value` wrote it."""
    tag = data.u8()
    readers: Mapping[int, _Read] = {0: _read_int, 1: _many(_TEXT)[1], 2: _SPAN[1]}
    if tag not in readers:
        raise data.refuse(f"{tag} is no kind of value")
    value: m.Value = readers[tag](data)
    return value


def write_value(out: Writer, value: m.Value) -> None:
    """One bound value: an integer, a list of codes, or a span."""
    _write_value(out, value)


_VALUE: Final[_Codec] = (_write_value, read_value)
_INTS: Final = _many(_INT)
_TEXTS: Final = _many(_TEXT)
_WHERE: Final = _record(m.Where, dimension=_enum(m.Kind), codes=_TEXTS, param=_INT)
_LEG: Final = _record(m.Leg, kind=_enum(m.LegKind), target=_INT, ppm=_INT, param=_INT)
_TIER: Final = _record(m.Tier, up_to=_maybe(_INT), num=_INT, den=_INT, param=_INT)

_TABLES: Final[Mapping[str, _Codec]] = MappingProxyType(
    {
        "roles": _many(_record(m.Role, name=_TEXT)),
        "slots": _many(_record(m.AssetSlot, name=_TEXT, kind=_TEXT)),
        "params": _many(
            _record(m.Param, name=_TEXT, type=_TYPE, low=_VALUE, high=_VALUE, default=_maybe(_VALUE))
        ),
        "periods": _many(_record(m.Period, name=_TEXT, cadence=_enum(m.Cadence), close_after=_SPAN)),
        "facts": _many(
            _record(
                m.Fact,
                name=_TEXT,
                type=_TYPE,
                source=_INT,
                period=_INT,
                high=_INT,
                otherwise=_enum(m.Else),
                mean_of=_INT,
            )
        ),
        "rates": _many(_record(m.Rate, name=_TEXT, fact=_INT, marginal=_BOOL, over=_INT, tiers=_many(_TIER))),
        "lineages": _many(
            _record(
                m.Lineage,
                name=_TEXT,
                slot=_INT,
                mode=_enum(m.LineageMode),
                count=_enum(m.LineageCount),
                depth=_INT,
                stack_ppm=_INT,
            )
        ),
        "grants": _many(
            _record(
                m.Grant,
                name=_TEXT,
                heading=_TEXT,
                actions=_TEXTS,
                slots=_INTS,
                to=_INT,
                where=_many(_WHERE),
                during=_SPAN,
                during_param=_INT,
                exclusive=_enum(m.Exclusive),
                sublicense=_enum(m.Consent),
                transfer=_enum(m.Consent),
            )
        ),
        "forbids": _many(
            _record(
                m.Forbid,
                name=_TEXT,
                heading=_TEXT,
                actions=_TEXTS,
                slots=_INTS,
                where=_many(_WHERE),
                excepted=_INTS,
            )
        ),
        "constants": _many(_record(m.Constant, type=_TYPE, num=_INT, den=_INT)),
        "clauses": _many(
            _record(
                m.Clause,
                name=_TEXT,
                heading=_TEXT,
                because=_TEXT,
                trigger=_enum(m.Trigger),
                subject=_INT,
                splits=_many(_record(m.Split, legs=_many(_LEG))),
                code=_many(_record(m.Instruction, op=_enum(m.Op), out=_INT, args=_INTS)),
                befores=_INTS,
            )
        ),
    }
)
_PROGRAM: Final = _record(
    m.Program,
    language=_INT,
    codelists=_INT,
    name=_TEXT,
    version=_TEXT,
    heading=_TEXT,
    legal=_maybe(_record(m.Legal, title=_TEXT, sha256=_HASH)),
    currency=_TEXT,
    scale=_INT,
    rounding=_enum(m.Rounding),
    **_TABLES,
)


def encode(program: m.Program) -> bytes:
    """The program's canonical bytes."""
    out = Writer()
    out.u16(_FORMAT)
    _PROGRAM[0](out, program)
    return out.done()


def decode(data: bytes) -> m.Program:
    """The program of these bytes, which must be canonical. Then run `verifier.verify` on it."""
    reader = Reader(data, what="program")
    if len(data) > PROGRAM_BYTES_MAX:
        raise reader.refuse(f"it has {len(data)} bytes, more than {PROGRAM_BYTES_MAX}")
    if reader.u16() != _FORMAT:
        raise reader.refuse("its format is not known to this node")
    program: m.Program = _PROGRAM[1](reader)
    reader.end()
    return program


def program_hash(program: m.Program) -> Hash32:
    """The program's name: the hash of its canonical bytes under its own tag."""
    return hash_tagged(Tag.PROGRAM, encode(program))

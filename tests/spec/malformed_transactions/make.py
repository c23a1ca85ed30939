"""Writes corpus.json: serialized bodies and transactions, each wrong (or odd) in one way.

    python -m tests.spec.malformed_transactions.make

Every case is put together from wire bytes by hand, so that no protobuf library decides what can be
said. The verdicts are those of the decoder when the case was added; the test pins them. Decoding is a
ledger rule: a verdict that changes forks the chain, so an existing case is never changed, and running
this again refuses to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from licet.codec import MalformedTransaction, decode_body, decode_transaction, encode_body
from licet.crypto import SigningKey

CORPUS = Path(__file__).resolve().parent / "corpus.json"
KEY = SigningKey(bytes(range(32)))


def varint(value: int, width: int = 0) -> bytes:
    """LEB128, padded to `width` bytes with continuation where asked for."""
    out = bytearray()
    while value > 0x7F or len(out) + 1 < width:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def tag(number: int, wire: int) -> bytes:
    return varint(number << 3 | wire)


def put(number: int, value: bytes | str) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return tag(number, 2) + varint(len(raw)) + raw


def num(number: int, value: int) -> bytes:
    return tag(number, 0) + varint(value)


MONEY = put(1, "EUR") + num(2, 5)
PAY = put(20, put(1, "a-1") + put(2, MONEY))
PARTS = {
    "chain": put(1, bytes(32)),
    "id": put(2, bytes(16)),
    "sender": put(3, "acme"),
    "until": num(4, 1_767_225_750_000),
    "commands": put(5, PAY),
}
REPORT = put(1, "r") + put(2, "impressions") + num(3, 5) + put(4, "a-1")


def body(**parts: bytes) -> bytes:
    return b"".join({**PARTS, **parts}.values())


def command(kind: int, inner: bytes) -> bytes:
    return body(commands=put(5, put(kind, inner)))


def report(index: bytes, offset: bytes, quantity: bytes) -> bytes:
    return command(15, REPORT + index + offset + quantity)


def many(*values: int) -> bytes:
    return b"".join(varint(value) for value in values)


def u32(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "little") for value in values)


def u64(*values: int) -> bytes:
    return b"".join(value.to_bytes(8, "little") for value in values)


def groups(depth: int) -> bytes:
    return tag(99, 3) * depth + tag(99, 4) * depth


def text_cases() -> Iterator[tuple[str, bytes]]:
    for name, raw in (
        ("lone continuation", b"\x80"),
        ("overlong slash", b"\xc0\xaf"),
        ("surrogate", b"\xed\xa0\x80"),
        ("beyond unicode", b"\xf4\x90\x80\x80"),
        ("cut character", b"a\xe2\x82"),
    ):
        yield f"utf8 sender: {name}", body(sender=put(3, raw))
        yield f"utf8 title: {name}", command(4, put(1, "w-1") + put(2, "image") + put(3, raw))
        yield f"utf8 in a repeated text: {name}", command(15, put(1, "r") + put(4, raw))
    yield "utf8 title: fine", command(4, put(1, "w-1") + put(2, "image") + put(3, "Elif Aydın"))
    yield "text with a zero character", command(4, put(1, "w-1") + put(2, "image") + put(3, "a\0b"))
    yield "title of 257 bytes", command(4, put(1, "w-1") + put(2, "image") + put(3, "x" * 257))
    for name in ("", "A", "-a", "a b", "a/b", "ä", "a" * 65, "a\n"):
        yield f"sender {name[:9]!r} of {len(name)}", body(sender=put(3, name))


def varint_cases() -> Iterator[tuple[str, bytes]]:
    for width in (7, 9, 10, 11, 12):
        yield f"varint value in {width} bytes", body(until=tag(4, 0) + varint(5, width))
    yield "varint without an end", body(until=tag(4, 0) + b"\xff" * 10)
    yield "varint of ten bytes beyond 64 bits", body(until=tag(4, 0) + b"\xff" * 9 + b"\x7f")
    for width in (2, 4, 5, 6, 10):
        yield f"tag in {width} bytes", body(sender=varint(3 << 3 | 2, width) + varint(4) + b"acme")
        yield f"length in {width} bytes", body(sender=tag(3, 2) + varint(4, width) + b"acme")
    yield "uint32 above 32 bits", command(6, put(1, "c") + put(2, "w") + put(3, "p") + num(6, 2**32 + 5))
    yield "int64 below zero", command(20, put(1, "a-1") + put(2, put(1, "EUR") + num(2, 2**64 - 5)))


def field_cases() -> Iterator[tuple[str, bytes]]:
    yield "field number zero", body() + b"\x00\x05"
    yield "field number zero with length", body() + b"\x02\x01x"
    yield "highest field number", body() + tag(2**29 - 1, 0) + b"\x01"
    yield "field number too high", body() + varint(2**29 << 3) + b"\x01"
    for wire in (6, 7):
        yield f"wire type {wire}", body() + tag(9, wire) + b"\x01"
    yield "known field of another wire type", body(until=tag(4, 1) + bytes(8))
    yield "known text as a number", body(sender=num(3, 5))
    for wire, data in ((0, b"\x05"), (1, bytes(8)), (2, b"\x01x"), (5, bytes(4))):
        yield f"unknown field of wire type {wire} in the body", body() + tag(31, wire) + data
        unknown = tag(31, wire) + data
        yield f"unknown field of wire type {wire} in a command", body(commands=put(5, PAY + unknown))
        yield (
            f"unknown field of wire type {wire} in an act",
            command(20, put(1, "a-1") + put(2, MONEY) + unknown),
        )
        yield (
            f"unknown field of wire type {wire} in money",
            command(20, put(1, "a-1") + put(2, MONEY + unknown)),
        )
    yield "unknown kind of command", body(commands=put(5, put(21, b"")))
    key = put(1, KEY.public_key) + put(2, "all")
    party = put(1, "Acme") + put(2, "organisation")
    yield "unknown field in a repeated message", command(1, party + put(3, key + num(31, 1)))
    yield "repeated message that is fine", command(1, party + put(3, key))
    for depth in (1, 50, 99, 101, 200):
        yield f"groups {depth} deep", body() + groups(depth)
    yield "group that does not end", body() + tag(99, 3)
    yield "group that never began", body() + tag(99, 4)
    yield "group in an act", command(20, put(1, "a-1") + put(2, MONEY) + tag(9, 3) + tag(9, 4))
    yield "known field as a group", body(sender=tag(3, 3) + tag(3, 4))


def order_cases() -> Iterator[tuple[str, bytes]]:
    yield "fields in another order", b"".join(reversed(list(PARTS.values())))
    yield "sender twice, the same", body(sender=PARTS["sender"] * 2)
    yield "sender twice, different", body(sender=put(3, "other") + PARTS["sender"])
    yield "time twice", body(until=num(4, 1) + num(4, 2))
    yield "id twice", body(id=put(2, bytes(16)) + put(2, bytes([1]) * 16))
    yield "a default value written out", body(until=num(4, 0))
    yield "one command of two kinds", body(commands=put(5, put(12, put(1, "o")) + PAY))
    lost = put(5, put(12, put(1, "o") + num(31, 1)) + PAY)
    yield "one command of two kinds, an unknown field in the lost one", body(commands=lost)
    yield "one command of one kind twice", body(commands=put(5, put(20, put(1, "a-0")) + PAY))
    yield "money in two pieces", command(20, put(1, "a-1") + put(2, put(1, "EUR")) + put(2, num(2, 5)))


def length_cases() -> Iterator[tuple[str, bytes]]:
    whole = body()
    yield "nothing", b""
    yield "one byte", b"\x0a"
    for cut in (1, 7, 20):
        yield f"cut by {cut} bytes", whole[:-cut]
    yield "a length beyond the end", body(commands=tag(5, 2) + varint(2**31 - 1))
    yield "a length of 2^32", body(commands=tag(5, 2) + varint(2**32) + PAY)
    yield "a length below zero", body(commands=tag(5, 2) + varint(2**64 - 1) + PAY)
    for size in (0, 31, 33):
        yield f"chain id of {size} bytes", body(chain=put(1, bytes(size)))
    for size in (0, 15, 17):
        yield f"id of {size} bytes", body(id=put(2, bytes(size)))
    for size in (0, 31, 33):
        yield f"public key of {size} bytes", command(3, put(1, bytes(size)))
        yield f"content hash of {size} bytes", command(5, put(1, "w-1") + put(2, bytes(size)))
    yield "no commands", body(commands=b"")
    yield "a command that says nothing", body(commands=put(5, b""))
    yield "256 commands", body(commands=put(5, put(12, put(1, "o"))) * 256)
    yield "257 commands", body(commands=put(5, put(12, put(1, "o"))) * 257)
    yield "an act without its fields", command(20, b"")
    yield "no amount", command(20, put(1, "a-1"))
    yield "an amount of zero", command(20, put(1, "a-1") + put(2, put(1, "EUR")))
    yield "the largest amount", command(20, put(1, "a-1") + put(2, put(1, "EUR") + num(2, 10**18)))
    yield (
        "more than the largest amount",
        command(20, put(1, "a-1") + put(2, put(1, "EUR") + num(2, 10**18 + 1))),
    )


def column_cases() -> Iterator[tuple[str, bytes]]:
    index, offset, quantity = put(5, many(0, 0)), put(6, many(1, 2)), put(7, many(3, 4))
    yield "columns packed", report(index, offset, quantity)
    loose = num(5, 0) * 2, num(6, 1) * 2, num(7, 3) * 2
    yield "columns unpacked", report(*loose)
    yield "columns of one row, unpacked", report(num(5, 0), num(6, 1), num(7, 3))
    yield "columns in two packs", report(put(5, many(0)) * 2, offset, quantity)
    yield "columns packed and unpacked", report(put(5, many(0)) + num(5, 0), offset, quantity)
    yield "columns of different lengths", report(put(5, many(0)), offset, quantity)
    yield "columns without rows", report(b"", b"", b"")
    yield "columns in empty packs", report(put(5, b""), put(6, b""), put(7, b""))
    yield "a column that ends within a number", report(put(5, b"\0\x80"), offset, quantity)
    yield "a column of fixed width", report(tag(5, 5) + u32(0), put(6, many(1)), put(7, many(3)))
    yield "a column of packed fixed width", report(index, put(6, u64(1, 2)), quantity)
    for width in (2, 5, 10, 11):
        yield f"a column's number in {width} bytes", report(index, offset, put(7, varint(3, width) + many(4)))
    yield "an index above 32 bits", report(put(5, many(0, 2**32)), offset, quantity)
    yield "an index of 32 bits", report(put(5, many(0, 2**32 - 1)), offset, quantity)
    yield (
        "an index above 32 bits that is as long as what is read",
        report(put(5, many(0, 2**32 + 2**31)), offset, quantity),
    )
    yield "an index beyond the agreements", report(put(5, many(0, 1)), offset, quantity)
    yield "a quantity of 63 bits", report(index, offset, put(7, many(3, 2**63 - 1)))
    yield (
        "quantities of more than 63 bits together",
        report(index, offset, put(7, many(2**63 - 1, 2**63 - 1))),
    )
    yield "a quantity of 64 bits", report(index, offset, put(7, many(3, 2**64 - 1)))
    yield "a quantity above 64 bits", report(index, offset, put(7, many(3) + b"\xff" * 9 + b"\x02"))
    yield (
        "a quantity above 64 bits in ten bytes",
        report(index, offset, put(7, many(3) + b"\x81" + b"\x80" * 8 + b"\x03")),
    )
    yield (
        "an offset above 64 bits in ten bytes",
        report(index, put(6, many(1) + b"\x81" + b"\x80" * 8 + b"\x7f"), quantity),
    )
    yield (
        "columns without agreements",
        command(15, put(1, "r") + put(2, "impressions") + index + offset + quantity),
    )
    rows = bytes(20_001)
    yield "twenty thousand and one rows", command(15, REPORT + put(5, rows) + put(6, rows) + put(7, rows))


def transaction_cases() -> Iterator[tuple[str, bytes]]:
    raw = body()
    good = put(1, KEY.public_key) + put(2, bytes(64))
    others = [put(1, SigningKey(bytes([n]) * 32).public_key) + put(2, bytes(64)) for n in range(17)]
    yield "well-formed", put(1, raw) + put(2, good)
    yield "empty", b""
    yield "no signature", put(1, raw)
    yield "no body", put(2, good)
    yield "a body that is none", put(1, b"\xff") + put(2, good)
    yield "body twice", put(1, b"\xff") + put(1, raw) + put(2, good)
    yield "signature before body", put(2, good) + put(1, raw)
    yield "unknown field", put(1, raw) + put(2, good) + num(3, 1)
    yield "unknown field in a signature", put(1, raw) + put(2, good + num(3, 1))
    yield "group", put(1, raw) + put(2, good) + groups(1)
    yield "one key twice", put(1, raw) + put(2, good) * 2
    for size in (0, 31, 33):
        yield f"key of {size} bytes", put(1, raw) + put(2, put(1, bytes(size)) + put(2, bytes(64)))
    for size in (0, 63, 65):
        yield f"signature of {size} bytes", put(1, raw) + put(2, put(1, KEY.public_key) + put(2, bytes(size)))
    yield "sixteen signatures", put(1, raw) + b"".join(put(2, one) for one in others[:16])
    yield "seventeen signatures", put(1, raw) + b"".join(put(2, one) for one in others)


def verdict(level: str, raw: bytes) -> dict[str, str]:
    """What the decoder says now."""
    try:
        read = decode_transaction(raw).body if level == "transaction" else decode_body(raw)
    except MalformedTransaction as refusal:
        return {"verdict": "refuse", "field": refusal.facts["field"]}
    # What an accepted case means is pinned too: two readings of one body would fork the chain as well.
    return {"verdict": "accept", "reads": sha256(encode_body(read)).hexdigest()}


def cases() -> list[dict[str, Any]]:
    """The whole corpus."""
    bodies = (text_cases, varint_cases, field_cases, order_cases, length_cases, column_cases)
    found = [("body", name, raw) for make in bodies for name, raw in make()]
    found += [("transaction", name, raw) for name, raw in transaction_cases()]
    return [
        {"level": level, "name": name, "bytes": raw.hex(), **verdict(level, raw)}
        for level, name, raw in found
        if len(raw) < 20_000
    ]


def main() -> None:
    """Write the corpus, or add to it."""
    old = json.loads(CORPUS.read_text(encoding="utf-8"))["cases"] if CORPUS.exists() else []
    new = cases()
    if new[: len(old)] != old and not all(case in new for case in old):
        raise SystemExit("corpus.json holds cases that would change: decoding is a ledger rule.")
    document = {"format": 1, "cases": new}
    CORPUS.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{len(new)} cases, {sum(case['verdict'] == 'accept' for case in new)} of them accepted")


if __name__ == "__main__":
    main()

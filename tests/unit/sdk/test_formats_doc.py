"""docs/FORMATS.md is enough to implement from: its examples are recomputed from its rules alone.

Nothing here but SHA-256, Ed25519 and what the page says; the library's own reading is compared at the end. So
the page, the code and this file cannot drift apart in silence.
"""

from __future__ import annotations

import re
import typing
from dataclasses import fields
from hashlib import sha256
from pathlib import Path

import pytest
from licet import entities, receipts, records
from licet import transactions as t
from licet.codec import decode_transaction
from licet.decision import read_decision
from licet.proof import read_proof
from nacl.signing import SigningKey, VerifyKey

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "FORMATS.md").read_text()
ZEROS = bytes(32)


def _examples() -> dict[str, dict[str, bytes]]:
    out: dict[str, dict[str, bytes]] = {}
    for name, body in re.findall(r"```hex (\w+)\n(.*?)```", PAGE, re.DOTALL):
        here = out[name] = {}
        for item, lines in re.findall(r"^(\w+)\n((?:  [0-9a-f]+\n)+)", body, re.MULTILINE):
            here[item] = bytes.fromhex("".join(lines.split()))
    return out


EXAMPLE = _examples()
CHAIN = EXAMPLE["genesis"]["chain_id"]


def tag(name: str) -> bytes:
    return name.encode().ljust(16, b"\0")


def h(*parts: bytes) -> bytes:
    return sha256(b"".join(parts)).digest()


def u(size: int, *values: int) -> bytes:
    return b"".join(value.to_bytes(size, "big") for value in values)


def text(value: str) -> bytes:
    return u(4, len(value.encode())) + value.encode()


def leb(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))


def num(value: int) -> bytes:
    return leb(2 * value if value >= 0 else -2 * value - 1)


def blob(value: bytes | str) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return leb(len(raw)) + raw


def item(number: int, value: bytes) -> bytes:
    return leb(number << 3 | 2) + blob(value)


def seed(number: int) -> SigningKey:
    return SigningKey(bytes([number]) * 32)


def sign(key: SigningKey, name: str, message: bytes) -> bytes:
    return key.sign(tag(name) + message).signature


def test_every_example_is_there() -> None:
    names = "transaction record genesis tree log header certificate proof decision"
    assert sorted(EXAMPLE) == sorted(names.split())
    assert all(EXAMPLE.values())


def test_transaction() -> None:
    got = EXAMPLE["transaction"]
    money = item(1, b"EUR") + leb(2 << 3) + leb(30)
    command = item(19, item(1, b"bob") + item(3, money))
    body = item(1, CHAIN) + item(2, bytes(range(16))) + item(3, b"ada")
    body += leb(4 << 3) + leb(1_767_225_660_000) + item(5, command)
    assert got["body"] == body
    assert got["tag"] == tag("licet.tx")
    assert got["hash"] == h(tag("licet.tx"), body)
    key = SigningKey(got["seed"])
    assert got["public_key"] == bytes(key.verify_key)
    assert got["signature"] == sign(key, "licet.tx", body)
    assert got["transaction"] == item(1, body) + item(
        2, item(1, bytes(key.verify_key)) + item(2, got["signature"])
    )
    assert decode_transaction(got["transaction"]).hash == got["hash"]


def test_record() -> None:
    got = EXAMPLE["record"]
    assert got["balance_of_69990000"] == b"\x1a" + num(69_990_000)
    assert got["balance_of_minus_30"] == b"\x1a" + num(-30)
    event = blob("money.transferred") + leb(1) + blob("to") + blob("bob")
    postings = leb(2) + b"".join(
        blob(party) + num(1) + blob("") + num(change) for party, change in (("ada", -30), ("bob", 30))
    )
    entry = blob("transfer") + blob("") * 3 + blob("EUR") + blob("bank") + leb(0) + postings
    receipt = b"\x2c" + blob(b"\xaa" * 32) + blob("ada") + blob(bytes(range(16))) + num(6) + num(0)
    receipt += num(1_767_225_600_006) + b"\x01" + b"\x00" + leb(1) + event + leb(1) + entry
    assert got["receipt"] == receipt


def test_genesis() -> None:
    keys = [bytes(seed(number).verify_key) for number in (1, 2, 3, 4)]
    canonical = u(2, 1) + text("example") + u(1, 1) + u(8, 1_767_225_600_000) + bytes(range(16)) + u(1, 1)
    canonical += u(2, 4) + b"".join(text(f"n{at + 1}") + key for at, key in enumerate(keys))
    canonical += u(8, 300_000, 500, 32, 5, 1 << 20, 64, 2_000_000, 1, 0) + EXAMPLE["tree"]["empty_root"]
    assert EXAMPLE["genesis"]["canonical"] == canonical
    assert h(tag("licet.genesis"), canonical) == CHAIN


def empty(levels: int) -> bytes:
    return ZEROS if levels == 0 else h(b"\x02", empty(levels - 1) * 16)


def root_by_proof(proof: bytes, key_hash: bytes, leaf: bytes) -> bytes:
    """The root that an inclusion proof without siblings inside its slot leads to."""
    assert proof[:2] == b"\x01\x05"
    at, levels = 2, []
    for level in range(5):
        bits = int.from_bytes(proof[at : at + 2], "big")
        at += 2
        siblings = []
        for sibling in range(15):
            if bits >> sibling & 1:
                siblings.append(proof[at : at + 32])
                at += 32
            else:
                siblings.append(empty(4 - level))
        levels.append(siblings)
    assert proof[at:] == b"\x00"
    node = leaf
    for level in (4, 3, 2, 1, 0):
        place = int(key_hash.hex()[level], 16)
        node = h(b"\x02", *levels[level][:place], node, *levels[level][place:])
    return node


def test_tree_and_log() -> None:
    got, record = EXAMPLE["tree"], EXAMPLE["record"]
    assert record["key"] == b"balance/ada/cash/bank/EUR"
    assert got["key_hash"] == h(record["key"])
    assert got["value_hash"] == h(record["balance_of_69990000"])
    assert got["leaf"] == h(b"\x00", got["key_hash"], got["value_hash"])
    assert got["empty_root"] == empty(5)
    assert got["root"] == root_by_proof(got["proof"], got["key_hash"], got["leaf"])
    other = h(b"\x00", h(b"balance/bob/cash/bank/EUR"), h(record["balance_of_minus_30"]))
    level: dict[str, bytes] = {
        h(key).hex()[:5]: leaf
        for key, leaf in ((record["key"], got["leaf"]), (b"balance/bob/cash/bank/EUR", other))
    }
    for depth in range(5):  # the whole tree, slot by slot
        parents = {slot[:-1] for slot in level}
        level = {
            parent: h(b"\x02", *(level.get(f"{parent}{child:x}", empty(depth)) for child in range(16)))
            for parent in parents
        }
    assert level == {"": got["root"]}
    log = EXAMPLE["log"]
    assert log["leaf"] == h(b"\x00", record["receipt"])
    assert log["sibling"] == h(b"\x00", b"first")
    assert log["root"] == h(b"\x01", log["sibling"], log["leaf"])


def test_header_and_certificate() -> None:
    header = u(2, 1) + CHAIN + u(8, 0, 9, 7) + b"\xbb" * 32 + u(8, 8) + u(8, 1_767_225_600_007) + u(2, 9 % 4)
    header += h(tag("licet.payload"), u(4, 0)) + u(8, 6) + EXAMPLE["tree"]["root"] + EXAMPLE["log"]["root"]
    header += u(8, 2) + ZEROS
    assert len(header) == 252
    assert EXAMPLE["header"] == {"header": header, "block_id": h(tag("licet.header"), header)}
    vote = CHAIN + u(8, 0, 9) + u(1, 3) + EXAMPLE["header"]["block_id"]
    signed = b"".join(sign(seed(number), "licet.vote", vote) for number in (1, 2, 4))
    certificate = u(1, 1, 3) + u(8, 0, 9) + EXAMPLE["header"]["block_id"] + u(1, 1, 0b1101_0000) + signed
    assert EXAMPLE["certificate"] == {"vote": tag("licet.vote") + vote, "certificate": certificate}


def test_proof_file() -> None:
    record = EXAMPLE["record"]
    claim = item(1, record["key"]) + item(2, record["balance_of_69990000"])
    claim += item(4, EXAMPLE["tree"]["proof"])
    file = leb(1 << 3) + leb(1) + item(2, CHAIN) + item(3, claim) + item(5, EXAMPLE["header"]["header"])
    file += item(6, EXAMPLE["certificate"]["certificate"])
    assert EXAMPLE["proof"]["file"] == file
    assert read_proof(file).encode() == file


def test_decision() -> None:
    got = EXAMPLE["decision"]
    decision = u(1, 1) + CHAIN + u(8, 6, 1_767_225_600_007) + u(1, 0) + text("ada") + text("photo")
    decision += text("display") + u(2, 1) + text("DE") + u(2, 1) + text("web") + u(8, 0, 0) + text("No.")
    decision += u(2, 0) + u(2, 0)
    assert got["decision"] == decision
    VerifyKey(bytes(seed(1).verify_key)).verify(tag("licet.decision") + decision, got["signature"])
    assert read_decision(decision).reason == "No."


_SIMPLE = {int: "int", str: "text", bytes: "bytes", bool: "bool"}


def _type(hint: typing.Any) -> str:
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        return _type(arguments[0]) + "*"
    if arguments:
        return _type(next(one for one in arguments if one is not type(None))) + "?"
    return _SIMPLE.get(hint, hint.__name__)


def test_the_table_of_records_is_the_code() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (.*) \|$", PAGE, re.MULTILINE)
    found = {(int(number), name): listed for number, name, listed in rows}
    expected = {}
    for number, cls in records._BY_TAG.items():
        if cls.__module__ in (entities.__name__, receipts.__name__):
            hints = typing.get_type_hints(cls)
            listed = ", ".join(f"{one.name} {_type(hints[one.name])}" for one in fields(cls))
            expected[number, cls.__name__] = listed
    assert found == expected


@pytest.mark.parametrize(
    ("row", "limits"),
    [
        ("body", [t.BODY_BYTES_MAX // 1024]),
        ("signatures", [t.SIGNATURES_MAX]),
        ("commands", [t.COMMANDS_MAX]),
        ("source of a template", [t.SOURCE_BYTES_MAX // 1024]),
        ("rows of a usage report", [t.REPORT_ROWS_MAX, t.REPORT_AGREEMENTS_MAX]),
        ("assets chosen", [64, 16, 512, t.LIST_ITEMS_MAX]),
        ("titles", [t.TEXT_BYTES_MAX, 128, 4096]),
    ],
)
def test_limits(row: str, limits: list[int]) -> None:
    found = re.search(rf"^\| {row}[^|]*\| ([^|]*) \|$", PAGE, re.MULTILINE)
    assert found is not None
    assert [int(one.replace(",", "")) for one in re.findall(r"[\d,]*\d", found[1])] == limits

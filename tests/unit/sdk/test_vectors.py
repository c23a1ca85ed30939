"""The pinned vectors: recomputed with other code than wrote them, and read back by ours."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import nacl.signing
import pytest
from licet import codec, entities, receipts, records
from licet.crypto import SigningKey
from licet.encoding import Tag
from licet.errors import InvalidEncoding
from licet.genesis import parse_genesis
from licet.proof import read_proof, verify_proof
from licet.transactions import transaction_hash
from licet.v1 import proof_pb2, transaction_pb2

from tests.vectors import cases

VECTORS = Path(__file__).resolve().parents[2] / "vectors"


def load(name: str) -> list[Any]:
    document = json.loads((VECTORS / name).read_text(encoding="utf-8"))
    assert document["format"] == 1
    found = document["cases"]
    assert len({case["name"] for case in found}) == len(found) > 0
    return [pytest.param(case, id=case["name"]) for case in found]


def padded(tag: str) -> bytes:
    return tag.encode().ljust(16, b"\0")


@pytest.mark.parametrize("case", load("signing.json"))
def test_signing(case: dict[str, str]) -> None:
    seed, message = bytes.fromhex(case["seed"]), bytes.fromhex(case["message"])
    other = nacl.signing.SigningKey(seed)
    assert bytes(other.verify_key).hex() == case["public_key"]
    assert other.sign(padded(case["tag"]) + message).signature.hex() == case["signature"]
    assert sha256(padded(case["tag"]) + message).hexdigest() == case["hash"]
    assert SigningKey(seed).sign(Tag(case["tag"]), message).hex() == case["signature"]


def test_every_tag_has_a_vector() -> None:
    named = {case.values[0]["tag"] for case in load("signing.json")}
    assert named == {tag.value for tag in Tag}


@pytest.mark.parametrize("case", load("records.json"))
def test_records(case: dict[str, Any]) -> None:
    value = cases.record_values()[case["name"]]
    assert records.encode(value).hex() == case["bytes"]
    assert records.decode(type(value), bytes.fromhex(case["bytes"])) == value
    assert records.decode_any(bytes.fromhex(case["bytes"])) == value
    assert type(value).__name__ == case["record"]


@pytest.mark.parametrize("case", load("refused_records.json"))
def test_refused_records(case: dict[str, str]) -> None:
    cls = getattr(entities, case["record"], None) or getattr(receipts, case["record"])
    with pytest.raises(InvalidEncoding, match=case["why"]):
        records.decode(cls, bytes.fromhex(case["bytes"]))


@pytest.mark.parametrize("case", load("records.json"))
def test_a_record_with_any_bit_flipped_is_another_record_or_none(case: dict[str, str]) -> None:
    """Canonical: no two byte strings mean the same."""
    data = bytes.fromhex(case["bytes"])
    value = records.decode_any(data)
    for at in range(len(data)):
        for bit in range(8):
            forged = bytearray(data)
            forged[at] ^= 1 << bit
            try:
                other = records.decode_any(bytes(forged))
            except InvalidEncoding:
                continue
            assert other != value
            assert records.encode(other) == bytes(forged)


@pytest.mark.parametrize("case", load("transactions.json"))
def test_transactions(case: dict[str, str]) -> None:
    body, raw = bytes.fromhex(case["body"]), bytes.fromhex(case["transaction"])
    assert sha256(padded("licet.tx") + body).hexdigest() == case["hash"] == transaction_hash(body).hex()
    message = transaction_pb2.SignedTransaction.FromString(raw)
    assert message.body == body
    key = nacl.signing.SigningKey(bytes.fromhex(case["seed"])).verify_key
    assert [bytes(key)] == [item.public_key for item in message.signatures]
    key.verify(padded("licet.tx") + body, message.signatures[0].signature)
    tx = codec.decode_transaction(raw)
    given = cases.commands()
    expected = list(given.values()) if case["kind"] == "all" else [given[case["kind"]]]
    assert list(tx.body.commands) == expected
    assert (tx.hash.hex(), tx.body.sender, tx.body.chain_id) == (case["hash"], "ada.okafor", cases.CHAIN)
    assert codec.encode_body(tx.body) == body


def test_every_command_has_a_vector() -> None:
    kinds = {field.name for field in transaction_pb2.Command.DESCRIPTOR.fields}
    assert kinds | {"all"} == {case.values[0]["kind"] for case in load("transactions.json")}
    assert set(cases.commands()) == kinds


@pytest.mark.parametrize("case", load("proofs.json"))
def test_proofs(case: dict[str, Any]) -> None:
    genesis = parse_genesis(case["genesis"])
    data = bytes.fromhex(case["file"])
    claim = verify_proof(data, genesis)
    assert claim.chain_id.hex() == case["chain_id"]
    assert (claim.kind, claim.key, claim.value.hex()) == (case["kind"], case["key"], case["value"])
    assert (claim.height, claim.anchor_height, claim.final_height) == (
        case["height"],
        case["anchor_height"],
        case["final_height"],
    )
    assert list(claim.signers) == case["signers"]
    assert read_proof(data).encode() == data
    assert proof_pb2.ProofFile.FromString(data).SerializeToString(deterministic=True) == data

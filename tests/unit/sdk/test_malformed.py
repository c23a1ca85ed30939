"""The corpus of malformed transactions: what is accepted and what is refused never changes."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.internal import api_implementation
from licet import transactions as t
from licet.codec import MalformedTransaction, decode_body, decode_transaction, encode_body

from tests.spec.malformed_transactions import make

CORPUS = Path(__file__).resolve().parents[2] / "spec" / "malformed_transactions" / "corpus.json"
CASES = json.loads(CORPUS.read_text(encoding="utf-8"))["cases"]

pytestmark = pytest.mark.skipif(
    api_implementation.Type() != "upb", reason="the ledger's rule is upb's reading; nodes refuse any other"
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_verdict_is_the_pinned_one(case: dict[str, Any]) -> None:
    raw = bytes.fromhex(case["bytes"])
    if case["verdict"] == "refuse":
        with pytest.raises(MalformedTransaction) as refusal:
            decode_transaction(raw) if case["level"] == "transaction" else decode_body(raw)
        assert refusal.value.facts["field"] == case["field"]
        assert refusal.value.code == "TX_MALFORMED"
        assert refusal.value.fault == "sender"
    else:
        body = decode_transaction(raw).body if case["level"] == "transaction" else decode_body(raw)
        assert sha256(encode_body(body)).hexdigest() == case["reads"]


def test_the_corpus_is_what_its_maker_makes() -> None:
    assert make.cases() == CASES
    assert len({(case["level"], case["name"]) for case in CASES}) == len(CASES) >= 140
    assert {case["verdict"] for case in CASES} == {"accept", "refuse"}


def test_sizes_are_refused_before_they_are_read() -> None:
    with pytest.raises(MalformedTransaction, match="more than"):
        decode_body(bytes(t.BODY_BYTES_MAX + 1))
    rows = t.REPORT_ROWS_MAX + 1
    too_many = make.report(make.put(5, bytes(rows)), make.put(6, bytes(rows)), make.put(7, bytes(rows)))
    assert len(too_many) <= t.BODY_BYTES_MAX
    with pytest.raises(MalformedTransaction, match=f"{rows} rows"):
        decode_body(too_many)


def test_what_was_signed_is_what_is_hashed() -> None:
    """Two serializations of one meaning are two transactions: nobody re-serializes a body."""
    plain, turned = make.body(), b"".join(reversed(list(make.PARTS.values())))
    assert decode_body(plain) == decode_body(turned)
    assert t.transaction_hash(plain) != t.transaction_hash(turned)

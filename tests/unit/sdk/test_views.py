"""Amounts as text, and views that print, pickle, escape and lose nothing."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from licet import proof
from licet.errors import LicetError
from licet.money import format_money, parse_money
from licet.outcomes import Committed, Entry, Event, Posting
from licet.statement import (
    Balance,
    Certificate,
    Edge,
    Lineage,
    Statement,
    StatementLine,
    percent_text,
)
from licet.status_details import ErrorInfo, decode_status, encode_status
from licet.transactions import AMOUNT_MINOR_MAX, Money

from tests.unit.sdk import test_proof

SCALES = {"EUR": 6, "JPY": 0, "USD": 2}


@given(st.sampled_from(sorted(SCALES)), st.integers(1, AMOUNT_MINOR_MAX))
def test_amounts_survive_being_written(currency: str, minor: int) -> None:
    text = format_money(currency, minor, SCALES)
    assert parse_money(text, SCALES) == Money(currency=currency, minor=minor)


@pytest.mark.parametrize(
    ("text", "minor"),
    [("EUR 1", 10**6), ("EUR 2_975.00", 2_975_000_000), ("JPY 12", 12), ("USD 0.01", 1), ("EUR 0.000001", 1)],
)
def test_amounts_as_people_write_them(text: str, minor: int) -> None:
    assert parse_money(text, SCALES).minor == minor


@pytest.mark.parametrize(
    "text",
    ["", "1", "EUR", "EUR -1", "EUR 0", "EUR 1.0000001", "JPY 1.5", "GBP 1", "eur 1", "EUR 1,5", "EUR 1e3"],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(LicetError) as refused:
        parse_money(text, SCALES)
    assert refused.value.code == "AMOUNT_INVALID"


def test_amounts_as_people_read_them() -> None:
    assert format_money("EUR", 2_975_000_000, SCALES) == "EUR 2_975.00"
    assert format_money("EUR", -1, SCALES) == "EUR -0.000001"
    assert format_money("JPY", 5, SCALES) == "JPY 5"
    assert format_money("XTS", 5, SCALES) == "XTS 5 minor"
    assert percent_text(200_000_000, 10**9) == "20 %"
    assert percent_text(33_333_000, 10**9) == "3.3333 %"


def line(**more: object) -> StatementLine:
    fields: dict[str, object] = {
        "height": 7,
        "index": 0,
        "timestamp_ms": 1_767_225_600_000,
        "transaction_hash": bytes(32),
        "kind": "sale",
        "agreement": "a-1",
        "clause": "P1",
        "clause_heading": "Licence <fee>",
        "account": "cash",
        "change": Money(currency="EUR", minor=70_310_000),
        "counterparty": "brand",
        "asset": "",
        "facts": {},
    }
    return StatementLine(**{**fields, **more})  # type: ignore[arg-type]


STATEMENT = Statement(
    party="artist",
    lines=(line(), line(change=Money(currency="EUR", minor=690_000))),
    balances=(
        Balance(
            party="artist", account="cash", issuer="bank", amount=Money(currency="EUR", minor=71_000_000)
        ),
    ),
    height=9,
    scales=SCALES,
)


def test_a_statement_prints_sums_and_pickles() -> None:
    assert STATEMENT.by_clause("cash") == {("a-1", "P1"): {"EUR": 71_000_000}}
    text = STATEMENT.to_text()
    assert "EUR 70.31" in text
    assert "cash EUR 71.00 at bank" in text
    assert "2026-01-01T00:00:00Z" in text
    assert json.loads(json.dumps(STATEMENT.to_dict()))["lines"][0]["clause"] == "P1"
    assert pickle.loads(pickle.dumps(STATEMENT)) == STATEMENT


def test_notebooks_show_names_as_text_never_as_markup() -> None:
    html = STATEMENT._repr_html_()
    assert "Licence &lt;fee&gt;" in html
    assert "<fee>" not in html


def test_lineage_prints_a_shared_ancestor_once() -> None:
    edges = [("d", "b", 200_000_000), ("d", "c", 100_000_000), ("b", "a", 10**8), ("c", "a", 3 * 10**8)]
    lineage = Lineage(
        asset="d",
        edges=tuple(Edge(child=c, parent=p, relation="derived", rate_e9=rate) for c, p, rate in edges),
        ancestors=(),
    )
    assert lineage.to_text().splitlines() == [
        "d",
        "├─ b  derived 20 %",
        "│  └─ a  derived 10 %",
        "└─ c  derived 10 %",
        "   └─ a  derived 30 %",
    ]
    assert "derived" in lineage._repr_html_()
    assert pickle.loads(pickle.dumps(lineage)) == lineage


def test_a_certificate_saves_what_verifies(tmp_path: Path) -> None:
    data = test_proof.state_file()
    certificate = Certificate(data=data, claim=proof.verify_proof(data, test_proof.GENESIS))
    assert certificate.save(tmp_path / "c.licet").read_bytes() == data
    assert json.loads(json.dumps(certificate.to_dict()))["signers"] == ["n1", "n3", "n4"]
    assert "agreement/a-1" in certificate._repr_html_()
    assert pickle.loads(pickle.dumps(certificate)) == certificate


def test_a_receipt_prints_and_its_entries_sum() -> None:
    entry = Entry(
        clause="P1",
        program_hash=b"",
        agreement="a-1",
        kind="sale",
        facts={},
        postings=(
            Posting(party="brand", account="cash", change=Money(currency="EUR", minor=-5)),
            Posting(party="artist", account="cash", change=Money(currency="EUR", minor=5)),
        ),
    )
    done = Committed(
        transaction_hash=b"\1" * 32,
        id=b"\2" * 16,
        sender="brand",
        height=3,
        index=0,
        timestamp_ms=1,
        events=(Event(kind="agreement.activated", attributes={"agreement": "a-1"}),),
        entries=(entry,),
    )
    assert entry.sums() == {"EUR": 0}
    assert json.loads(json.dumps(done.to_dict()))["entries"][0]["postings"][0]["change"]["minor"] == -5
    assert "agreement=a-1" in done._repr_html_()


@given(
    st.text(min_size=1, max_size=30), st.dictionaries(st.text(max_size=9), st.text(max_size=40), max_size=5)
)
def test_error_details_survive_the_wire(reason: str, facts: dict[str, str]) -> None:
    packed = encode_status(5, "no", ErrorInfo(reason=reason, metadata=facts))
    assert decode_status(packed) == ErrorInfo(reason=reason, metadata=facts, message="no")


@given(st.binary(max_size=200))
def test_error_details_that_are_noise_are_none(data: bytes) -> None:
    assert decode_status(data) is None

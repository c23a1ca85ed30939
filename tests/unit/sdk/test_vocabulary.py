"""The vocabulary: tags, canonical bytes, signatures, errors, genesis."""

from __future__ import annotations

import dataclasses
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from licet import records
from licet.certificate import CertificateKind
from licet.crypto import (
    SigningKey,
    Verified,
    check_public_key,
    check_signature,
    mark_verified,
    signature_valid,
)
from licet.encoding import TAG_BYTES, Reader, Tag, Writer, hash_tagged
from licet.entities import Balance, NamedValue
from licet.errors import Fault, InvalidEncoding, InvalidSignature, LicetError
from licet.genesis import (
    Currency,
    Genesis,
    GenesisParty,
    InvalidGenesis,
    Parameters,
    Validator,
    parse_genesis,
)
from licet.types import PublicKey

from tests.unit.sdk import world

KEY = SigningKey(bytes(range(32)))

# --- tags and canonical bytes


def test_tags_are_sixteen_bytes_and_no_two_are_equal() -> None:
    padded = {tag.bytes16 for tag in Tag}
    assert len(padded) == len(Tag)
    assert {len(tag) for tag in padded} == {TAG_BYTES}


def test_one_message_under_two_tags_has_two_hashes() -> None:
    assert len({hash_tagged(tag, b"same") for tag in Tag}) == len(Tag)


@given(
    st.integers(0, 2**8 - 1),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.binary(max_size=40),
    st.text(max_size=40),
)
def test_what_is_written_is_read(a: int, b: int, c: int, d: int, e: int, blob: bytes, text: str) -> None:
    raw = Writer().u8(a).u16(b).u32(c).u64(d).i64(e).blob(blob).text(text).done()
    reader = Reader(raw, what="thing")
    got = (reader.u8(), reader.u16(), reader.u32(), reader.u64(), reader.i64())
    assert got == (a, b, c, d, e)
    assert (reader.blob(at_most=40), reader.text(at_most=400)) == (blob, text)
    reader.end()
    for cut in range(len(raw)):
        with pytest.raises(InvalidEncoding):
            read_all(Reader(raw[:cut], what="thing"))


def read_all(reader: Reader) -> None:
    reader.u8(), reader.u16(), reader.u32(), reader.u64(), reader.i64()
    reader.blob(at_most=40), reader.text(at_most=400)
    reader.end()


def test_a_reader_refuses_what_follows_what_is_long_and_what_is_no_text() -> None:
    reader = Reader(b"\1\2", what="thing")
    reader.u8()
    assert reader.remaining() == 1
    with pytest.raises(InvalidEncoding, match="1 bytes follow"):
        reader.end()
    with pytest.raises(InvalidEncoding, match="longer than 3"):
        Reader(Writer().blob(b"four").done(), what="thing").blob(at_most=3)
    with pytest.raises(InvalidEncoding, match="not UTF-8"):
        Reader(Writer().blob(b"\xff").done(), what="thing").text(at_most=3)
    error = Reader(b"", what="thing", fault=Fault.PEER).refuse("it is odd")
    assert (error.fault, error.facts["why"]) == (Fault.PEER, "it is odd")


@given(st.integers(-(2**127) + 1, 2**127 - 1))
def test_every_amount_has_one_encoding(amount: int) -> None:
    raw = records.encode(Balance(amount=amount))
    assert records.decode(Balance, raw).amount == amount


def test_an_amount_beyond_the_widest_is_our_own_bug() -> None:
    with pytest.raises(OverflowError):
        records.encode(Balance(amount=2**140))


@given(st.binary(max_size=60))
def test_bytes_are_a_record_in_one_way_or_none(data: bytes) -> None:
    try:
        value = records.decode_any(data)
    except InvalidEncoding:
        return
    assert records.encode(value) == data


def test_a_record_of_another_kind_is_refused() -> None:
    with pytest.raises(InvalidEncoding, match="does not begin with tag"):
        records.decode(Balance, records.encode(NamedValue(name="a", value="b")))
    with pytest.raises(InvalidEncoding, match="names no kind"):
        records.decode_any(b"\x7f")


# --- signatures


def test_a_signature_holds_for_its_key_its_tag_and_its_message_alone() -> None:
    other = SigningKey(bytes(32))
    signature = KEY.sign(Tag.TRANSACTION, b"body")
    assert signature_valid(KEY.public_key, signature, Tag.TRANSACTION, b"body")
    assert not signature_valid(KEY.public_key, signature, Tag.VOTE, b"body")
    assert not signature_valid(KEY.public_key, signature, Tag.TRANSACTION, b"bodY")
    assert not signature_valid(other.public_key, signature, Tag.TRANSACTION, b"body")
    with pytest.raises(InvalidSignature, match="does not verify"):
        check_signature(other.public_key, signature, Tag.TRANSACTION, b"body", what="a body")


@pytest.mark.parametrize("size", [0, 63, 65])
def test_wrong_lengths_are_just_not_valid(size: int) -> None:
    assert not signature_valid(KEY.public_key, bytes(size), Tag.TRANSACTION, b"")
    assert not signature_valid(bytes(size), bytes(64), Tag.TRANSACTION, b"")


def test_every_flipped_bit_of_a_signature_is_refused() -> None:
    signature = KEY.sign(Tag.TRANSACTION, b"body")
    for at in range(64):
        for bit in range(8):
            forged = bytearray(signature)
            forged[at] ^= 1 << bit
            assert not signature_valid(KEY.public_key, bytes(forged), Tag.TRANSACTION, b"body")


def test_a_scalar_that_was_shifted_by_the_order_is_refused() -> None:
    """Malleability: S + L satisfies the equation, and RFC 8032 forbids it."""
    signature = KEY.sign(Tag.TRANSACTION, b"body")
    order = 2**252 + 27742317777372353535851937790883648493
    shifted = int.from_bytes(signature[32:], "little") + order
    if shifted < 2**256:
        forged = signature[:32] + shifted.to_bytes(32, "little")
        assert not signature_valid(KEY.public_key, forged, Tag.TRANSACTION, b"body")


SMALL_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
]
NOT_CANONICAL = [
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]


@pytest.mark.parametrize("key", [*SMALL_ORDER, *NOT_CANONICAL, "02" + "00" * 31, "00" * 31, "00" * 33])
def test_keys_that_no_honest_signer_has_are_refused(key: str) -> None:
    with pytest.raises(InvalidSignature):
        check_public_key(bytes.fromhex(key))


def test_honest_keys_are_taken() -> None:
    for n in range(20):
        key = SigningKey(bytes([n]) * 32).public_key
        assert check_public_key(key) == key


def test_a_seed_has_thirty_two_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SigningKey(bytes(31))


def test_verified_values_are_made_by_one_function_alone() -> None:
    assert mark_verified(5).value == 5
    with pytest.raises(AssertionError):
        Verified(5, object())


# --- errors


def test_errors_carry_facts_that_nobody_changes_and_survive_a_process() -> None:
    facts = {"limit": "3"}
    error = LicetError("A_CODE", "It is so.", fault=Fault.OPERATOR, remedy="Change it.", facts=facts)
    facts["limit"] = "4"
    assert error.facts == {"limit": "3"}
    with pytest.raises(TypeError):
        error.facts["limit"] = "5"  # type: ignore[index]
    assert str(error) == "It is so. Change it."
    again = pickle.loads(pickle.dumps(error))
    assert (again.code, again.message, again.fault, again.remedy, again.facts) == (
        error.code,
        error.message,
        error.fault,
        error.remedy,
        error.facts,
    )
    for special in (InvalidEncoding("thing", "it is odd"), InvalidSignature("thing", "it is odd")):
        assert str(pickle.loads(pickle.dumps(special))) == str(special)


# --- genesis


def full_genesis() -> Genesis:
    return dataclasses.replace(
        world.genesis(),
        parties=(
            GenesisParty(
                party="bank",
                name="Bank",
                kind="organisation",
                public_key=KEY.public_key,
                roles=("issuer:EUR",),
            ),
        ),
    )


def test_a_genesis_file_is_read_as_it_was_written() -> None:
    genesis = full_genesis()
    assert parse_genesis(genesis.to_json()) == genesis


def test_the_chain_id_is_pinned() -> None:
    assert world.genesis().chain_id().hex() == (
        "d825200c1ab0d01efa34eeb512e61670fc95332c3310e55b971008bc3c37315a"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"dev": False},
        {"time_ms": 5},
        {"nonce": bytes(16)},
        {"certificate_kind": CertificateKind.SEQUENCER},
        {"validators": tuple(reversed(world.genesis().validators))},
        {"initial_state_root": bytes([1]) * 32},
        *(
            {"parameters": dataclasses.replace(Parameters(), **{name: 7})}
            for name in ("window_ms", "tree_depth")
        ),
        {"parameters": dataclasses.replace(Parameters(), manual_clock=True)},
    ],
)
def test_every_field_makes_another_network(change: dict[str, Any]) -> None:
    assert dataclasses.replace(world.genesis(), **change).chain_id() != world.genesis().chain_id()


def changed(**fields: Any) -> str:
    return json.dumps({**json.loads(full_genesis().to_json()), **fields})


def without(name: str) -> str:
    document = json.loads(full_genesis().to_json())
    del document[name]
    return json.dumps(document)


def with_validators(*validators: Validator) -> str:
    genesis = dataclasses.replace(full_genesis(), validators=validators)
    return genesis.to_json()


ONE = Validator(name="n1", public_key=KEY.public_key)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "genesis file is not valid"),
        ("[]", "genesis file is not valid"),
        (changed(format=2), "format 2"),
        (changed(name="other"), "does not hash"),
        (changed(chain_id="00" * 32), "does not hash"),
        (changed(nonce="00"), "should have 16"),
        (changed(nonce="xx"), "not valid"),
        (changed(certificate_kind="raft"), "'raft' is unknown"),
        (changed(parameters={"windov_ms": 5}), "'windov_ms' is unknown"),
        (changed(validators=[]), "0 validators"),
        (without("validators"), "'validators' is missing"),
        (without("chain_id"), "'chain_id' is missing"),
        (with_validators(ONE, ONE), "twice"),
        (with_validators(ONE, Validator(name="n1", public_key=PublicKey(bytes(32)))), "twice"),
        (changed(windows=5), "'windows' is unknown"),
        (changed(dev="yes"), "neither true nor false"),
        (changed(dev=1), "neither true nor false"),
        (changed(time_ms="x"), "'time_ms' is no whole number"),
        (changed(time_ms=10**400), "'time_ms' is no whole number"),
        (changed(time_ms=-1), "'time_ms' is no whole number"),
        (changed(time_ms=True), "'time_ms' is no whole number"),
        (changed(name=7), "not valid"),
        (changed(parameters={"window_ms": 1.5}), "'window_ms' is no whole number"),
        (changed(parameters=[]), "is no object"),
        (changed(currencies=[{"code": "EUR", "scale": -1}]), "a scale is no whole number"),
        (changed(currencies=[{"code": "EUR", "scale": 2, "sclae": 2}]), "'sclae' of currencies is unknown"),
        (changed(currencies={}), "'currencies' is no list"),
        (changed(parties=[[]]), "a part of parties is no object"),
        ("[]", "it is no JSON object"),
        ("[" * 100_000, "nested too deep"),
        ("{", "it is no JSON"),
    ],
)
def test_a_genesis_that_is_wrong_says_where(text: str, why: str) -> None:
    with pytest.raises(InvalidGenesis) as refused:
        parse_genesis(text)
    assert why in refused.value.message
    assert refused.value.fault == Fault.OPERATOR


def test_the_scale_of_a_currency_is_part_of_genesis_s_file() -> None:
    genesis = dataclasses.replace(full_genesis(), currencies=(Currency(code="JPY", scale=0),))
    assert parse_genesis(genesis.to_json()).currencies[0].scale == 0

"""A batch's validity is a property of its bytes, and its digest binds every one of them (C-14)."""

from __future__ import annotations

import pytest
from licet.crypto import SigningKey
from licet.errors import InvalidEncoding, LicetError
from licet.types import Hash32, TimestampMs, ValidatorIndex

from node.core.batches import batch_digest, encode_batch, parse_batch
from node.core.submit import Expired, TooFarAhead, WrongChainTransaction
from node.core.verifier import InvalidBatch, TooCostly, TooLarge
from tests.unit.node.core import world

CHAIN = world.genesis().chain_id()


def raw_batch(numbers: list[int], author: int = 1, key: SigningKey | None = None) -> bytes:
    raws = [world.transaction(number) for number in numbers]
    signer = key or world.key(f"v{author}")
    return encode_batch(raws, chain_id=CHAIN, author=ValidatorIndex(author), sequence=7, key=signer)[1]


def test_what_was_encoded_is_read_back() -> None:
    raw = raw_batch([1, 2, 3])
    form = parse_batch(raw, chain_id=CHAIN, bytes_max=1 << 20)
    assert form.transactions == tuple(world.transaction(number) for number in (1, 2, 3))
    assert (form.author, form.sequence, form.raw) == (1, 7, raw)
    assert form.digest == batch_digest(raw)
    verified = world.verifier().batch_now(raw).value
    assert [one.body.id for one in verified.transactions] == [n.to_bytes(16, "big") for n in (1, 2, 3)]
    assert verified.cost == 30


def test_every_flipped_byte_is_refused_or_another_digest() -> None:
    raw = raw_batch([1])
    digest = batch_digest(raw)
    for at in range(len(raw)):
        changed = raw[:at] + bytes((raw[at] ^ 1,)) + raw[at + 1 :]
        assert batch_digest(changed) != digest
        with pytest.raises((InvalidBatch, InvalidEncoding)):
            world.verifier().batch_now(changed)


@pytest.mark.parametrize("cut", [0, 1, 40, 63, 64, 100])
def test_short_bytes_are_refused(cut: int) -> None:
    with pytest.raises(InvalidEncoding):
        parse_batch(raw_batch([1])[:cut], chain_id=CHAIN, bytes_max=1 << 20)


def test_a_batch_signed_by_another_than_its_author_is_invalid() -> None:
    with pytest.raises(InvalidBatch, match="author"):
        world.verifier().batch_now(raw_batch([1], author=1, key=world.key("v2")))


def test_an_author_that_is_no_validator_is_refused() -> None:
    with pytest.raises(InvalidBatch, match="author"):
        world.verifier().batch_now(raw_batch([1], author=9))


def test_a_batch_of_another_chain_is_refused() -> None:
    with pytest.raises(InvalidEncoding, match="another chain"):
        parse_batch(raw_batch([1]), chain_id=type(CHAIN)(bytes(32)), bytes_max=1 << 20)


def test_one_bad_signature_spoils_the_batch_but_not_what_a_quorum_held() -> None:
    good = world.transaction(1)
    bad = good[:-1] + bytes((good[-1] ^ 1,))
    raw = encode_batch([bad], chain_id=CHAIN, author=ValidatorIndex(1), sequence=1, key=world.key("v1"))[1]
    with pytest.raises(InvalidBatch, match="does not verify"):
        world.verifier().batch_now(raw)
    # C-15: catch-up of final blocks does not repeat signatures.
    assert world.verifier().batch_now(raw, trusted=True).value.digest == batch_digest(raw)


def test_a_batch_that_costs_more_than_a_block_is_invalid() -> None:
    limit = world.genesis().parameters.block_cost_max
    costly = world.verifier(cost=lambda _: limit // 2 + 1)
    with pytest.raises(InvalidBatch, match="cost"):
        costly.batch_now(raw_batch([1, 2]))
    assert costly.batch_now(raw_batch([1])).value.cost == limit // 2 + 1


def admit(raw: bytes, now_ms: int = world.START_MS) -> int:
    check = world.verifier()
    return check.admit(check.admit_form(raw), now_ms=TimestampMs(now_ms))


def test_admission_names_what_is_wrong() -> None:
    window = world.genesis().parameters.window_ms
    assert admit(world.transaction(1)) == 10
    cases: list[tuple[bytes, type[LicetError]]] = [
        (world.transaction(1, valid_until_ms=world.START_MS - 1), Expired),
        (world.transaction(1, valid_until_ms=world.START_MS + window + 501), TooFarAhead),
        (world.transaction(1, chain=world.genesis(1)), WrongChainTransaction),
        (bytes(2 << 20), TooLarge),
        (b"nonsense", LicetError),
    ]
    for raw, error in cases:
        with pytest.raises(error):
            admit(raw)
    check = world.verifier(cost=lambda _: 1 << 40)
    with pytest.raises(TooCostly):
        check.admit(check.admit_form(world.transaction(1)), now_ms=world.START_MS)


def test_digests_differ_by_sequence_alone() -> None:
    digests: set[Hash32] = set()
    for sequence in range(3):
        digest, _ = encode_batch(
            [world.transaction(1)],
            chain_id=CHAIN,
            author=ValidatorIndex(0),
            sequence=sequence,
            key=world.key("v0"),
        )
        digests.add(digest)
    assert len(digests) == 3

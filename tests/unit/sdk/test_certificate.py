"""Headers, votes, certificates: pinned bytes, the quorum arithmetic, and what each check refuses."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest
from licet.certificate import (
    FIRST_EPOCH,
    Certificate,
    CertificateKind,
    ExecutedRoots,
    Header,
    ValidatorSet,
    Vote,
    VoteKind,
    check_certificate,
    check_finality,
    payload_root,
    sign_vote,
    vote_message,
)
from licet.crypto import SigningKey
from licet.errors import InvalidEncoding, InvalidProof
from licet.types import (
    ZERO_HASH,
    ChainId,
    Epoch,
    Hash32,
    Height,
    PublicKey,
    Signature,
    TimestampMs,
    ValidatorIndex,
    View,
)

CHAIN = ChainId(bytes(range(32)))
KEYS = [SigningKey(bytes([index + 1]) * 32) for index in range(10)]


def validators(n: int = 4) -> ValidatorSet:
    return ValidatorSet(keys=tuple(PublicKey(key.public_key) for key in KEYS[:n]))


def header(view: int = 1, parent: Header | None = None, **changes: object) -> Header:
    fields: dict[str, object] = {
        "chain_id": CHAIN,
        "epoch": FIRST_EPOCH,
        "view": View(view),
        "height": Height(1 if parent is None else parent.height + 1),
        "parent_id": CHAIN if parent is None else parent.id,
        "parent_view": View(0 if parent is None else parent.view),
        "timestamp_ms": TimestampMs(1_767_225_600_000 + view),
        "proposer": ValidatorIndex(view % 4),
        "payload_root": payload_root(()),
        "executed": ExecutedRoots(
            height=Height(0),
            state_root=Hash32(b"\x11" * 32),
            log_root=Hash32(sha256(b"").digest()),
            log_size=0,
        ),
    }
    return Header(**{**fields, **changes})  # type: ignore[arg-type]


def vote(voter: int, kind: VoteKind = VoteKind.FINALIZE, view: int = 1, digest: Hash32 | None = None) -> Vote:
    return sign_vote(
        KEYS[voter],
        kind=kind,
        chain_id=CHAIN,
        epoch=FIRST_EPOCH,
        view=View(view),
        digest=header(view).id if digest is None else digest,
        voter=ValidatorIndex(voter),
    )


def certificate(
    *voters: int,
    kind: VoteKind = VoteKind.FINALIZE,
    view: int = 1,
    digest: Hash32 | None = None,
    n: int = 4,
    scheme: CertificateKind = CertificateKind.SIMPLEX,
) -> Certificate:
    votes = [vote(voter, kind, view, digest) for voter in voters]
    return Certificate.build(
        scheme=scheme,
        kind=kind,
        epoch=FIRST_EPOCH,
        view=View(view),
        digest=votes[0].digest,
        signatures={one.voter: one.signature for one in votes},
        n=n,
    )


# --- pinned vectors -------------------------------------------------------------------


def test_header_bytes_are_pinned() -> None:
    one = header()
    assert len(one.encode()) == 252
    assert one.encode().hex() == (
        "0001"
        + bytes(range(32)).hex()
        + "0000000000000000" + "0000000000000001" + "0000000000000001"
        + bytes(range(32)).hex()
        + "0000000000000000" + "0000019b76daa801" + "0001"
        + payload_root(()).hex()
        + "0000000000000000" + "11" * 32
        + "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        + "0000000000000000" + "00" * 32
    )  # fmt: skip
    assert one.id == sha256(b"licet.header".ljust(16, b"\0") + one.encode()).digest()
    assert one.id.hex() == "4a42e8ee31215d7981bfb4eba45ce948a132fbb8d6c47ee4a805057f51901226"
    assert payload_root(()).hex() == "aa47dc2d34cb2a3eecf8b68a95398eb02098c33a413359fbd79d5b2d7f49d0de"
    assert (
        payload_root((Hash32(b"\x22" * 32),)).hex()
        == "180f813fd9595cc0b7cea73f5142dd1c0876c57bcf67f6a92e21e185b3663db8"
    )


def test_vote_bytes_are_pinned() -> None:
    message = vote_message(CHAIN, FIRST_EPOCH, View(7), VoteKind.NULLIFY, ZERO_HASH)
    assert message.hex() == bytes(range(32)).hex() + "00" * 8 + "0000000000000007" + "02" + "00" * 32
    assert vote(2, VoteKind.NULLIFY, 7, ZERO_HASH).signature.hex() == (
        "4e8f0c987ba31b27baba963c4645980645d889cdeefbdc7f7bff144130d48b36"
        "dd9e315f09d67a2f0a3c5cebe890ad29fb99717c771083725582c086a278ab0b"
    )


def test_certificate_bytes_are_pinned() -> None:
    encoded = certificate(0, 1, 3).encode()
    assert encoded[:2].hex() == "0103"
    assert len(encoded) == 1 + 1 + 8 + 8 + 32 + 1 + 1 + 3 * 64
    assert encoded[51] == 0b1101_0000, "validator 0 is the highest bit"
    assert sha256(encoded).hexdigest() == "1fd1e087b74354ea3f4fa08b3c776d12fe1cf092c041244776af993bb6c8f536"


def test_everything_decodes_to_what_was_encoded_and_nothing_else_does() -> None:
    one, two, three = header(), vote(1), certificate(0, 2, 3)
    assert Header.decode(one.encode()) == one
    assert Vote.decode(two.encode()) == two
    assert Certificate.decode(three.encode()) == three
    for decode, encoded in (
        (Header.decode, one.encode()),
        (Vote.decode, two.encode()),
        (Certificate.decode, three.encode()),
    ):
        for bad in (encoded + b"\0", encoded[:-1], b""):
            with pytest.raises(InvalidEncoding):
                decode(bad)
    with pytest.raises(InvalidEncoding):
        Header.decode(b"\0\2" + one.encode()[2:])
    with pytest.raises(InvalidEncoding):
        Vote.decode(b"\4" + two.encode()[1:])
    with pytest.raises(InvalidEncoding):
        Certificate.decode(b"\3" + three.encode()[1:])


# --- quorum ---------------------------------------------------------------------------


def test_quorums_against_a_dumb_oracle() -> None:
    """Two quorums always share an honest validator, and the honest alone are a quorum: the largest such f."""
    table = {1: (0, 1), 2: (0, 2), 3: (0, 3), 4: (1, 3), 5: (1, 4), 6: (1, 5), 7: (2, 5), 10: (3, 7)}
    for n, (f, quorum) in table.items():
        one = validators(n)
        assert (one.f, one.quorum) == (f, quorum)
        assert 2 * one.quorum - n > one.f
        assert n - one.f >= one.quorum
        assert 3 * (one.f + 1) + 1 > n, "no more faults can be tolerated"


def test_leaders_rotate_by_view() -> None:
    assert [validators().leader(View(view)) for view in range(1, 6)] == [1, 2, 3, 0, 1]


def test_a_validator_set_is_well_formed() -> None:
    with pytest.raises(ValueError, match="twice"):
        ValidatorSet(keys=(PublicKey(KEYS[0].public_key),) * 2)
    with pytest.raises(ValueError, match="not 0"):
        ValidatorSet(keys=())
    with pytest.raises(ValueError, match="32 bytes"):
        ValidatorSet(keys=(PublicKey(b"short"),))
    assert validators().index_of(PublicKey(KEYS[2].public_key)) == 2
    assert validators().index_of(PublicKey(KEYS[9].public_key)) is None


# --- certificates ---------------------------------------------------------------------


def refuse(one: Certificate, why: str, n: int = 4, scheme: CertificateKind = CertificateKind.SIMPLEX) -> None:
    with pytest.raises(InvalidProof, match=why):
        check_certificate(one, validators(n), chain_id=CHAIN, scheme=scheme)


def test_a_quorum_is_accepted() -> None:
    check_certificate(certificate(0, 1, 2), validators(), chain_id=CHAIN)
    check_certificate(certificate(0, 1, 2, 3), validators(), chain_id=CHAIN)


def test_too_few_signers_are_refused() -> None:
    refuse(certificate(0, 1), "fewer than the quorum of 3")


def test_every_signature_present_must_verify() -> None:
    good = certificate(0, 1, 2, 3)
    for at in range(4):
        bad = bytearray(good.signatures[at])
        bad[5] ^= 1
        signatures = (*good.signatures[:at], Signature(bytes(bad)), *good.signatures[at + 1 :])
        refuse(replace(good, signatures=signatures), f"validator {at} does not verify")


def test_a_signature_counts_for_its_own_validator_once() -> None:
    good = certificate(0, 1, 2)
    refuse(replace(good, signatures=(good.signatures[0],) * 3), "validator 1 does not verify")
    refuse(replace(good, signers=bytes([0b1111_0000])), "4 signers are named")
    refuse(replace(good, signers=bytes([0b1100_1000])), "does not exist")
    refuse(replace(good, signers=bytes(2)), "16 bits for 4 validators")


def test_a_certificate_is_of_its_chain_view_epoch_and_kind() -> None:
    good = certificate(0, 1, 2)
    for other in (
        replace(good, view=View(2)),
        replace(good, epoch=Epoch(1)),
        replace(good, digest=Hash32(b"\1" * 32)),
        replace(good, kind=VoteKind.NOTARIZE),
    ):
        refuse(other, "does not verify")
    with pytest.raises(InvalidProof):
        check_certificate(good, validators(), chain_id=ChainId(bytes(32)))


def test_a_nullification_names_no_block() -> None:
    check_certificate(
        certificate(0, 1, 2, kind=VoteKind.NULLIFY, digest=ZERO_HASH), validators(), chain_id=CHAIN
    )
    refuse(certificate(0, 1, 2, kind=VoteKind.NULLIFY), "names a block")
    refuse(certificate(0, 1, 2, digest=ZERO_HASH), "names a block")


def test_a_sequencers_certificate_never_passes_for_a_consortiums() -> None:
    sequencer = certificate(0, n=1, scheme=CertificateKind.SEQUENCER)
    check_certificate(sequencer, validators(1), chain_id=CHAIN, scheme=CertificateKind.SEQUENCER)
    refuse(sequencer, "genesis names SIMPLEX")
    refuse(certificate(0, 1, 2), "genesis names SEQUENCER", n=1, scheme=CertificateKind.SEQUENCER)
    wide = certificate(0, 1, 2, scheme=CertificateKind.SEQUENCER)
    refuse(wide, "one validator's", scheme=CertificateKind.SEQUENCER)


# --- finality of a header -------------------------------------------------------------


def chain(length: int) -> list[Header]:
    headers: list[Header] = []
    for view in range(1, length + 1):
        headers.append(header(view, headers[-1] if headers else None))
    return headers


def finality(headers: list[Header], one: Certificate) -> None:
    check_finality(headers, one, validators(), chain_id=CHAIN)


def test_a_header_is_final_directly_or_through_a_descendant() -> None:
    headers = chain(3)
    final = certificate(0, 1, 2, view=3, digest=headers[-1].id)
    finality(headers, final)
    finality(headers[2:], final)


def test_what_is_no_chain_to_the_finalised_header_is_refused() -> None:
    headers = chain(4)
    final = certificate(0, 1, 2, view=4, digest=headers[-1].id)
    cases = {
        "1 to 1024 headers": [],
        "not a child": [headers[0], headers[2], headers[3]],
        "of another block": headers[:3],
        "another chain": [*headers[:3], header(4, headers[2], chain_id=ChainId(bytes(32)))],
        "epoch 1": [*headers[:3], header(4, headers[2], epoch=1)],
        "not its view's leader's": [*headers[:3], header(4, headers[2], proposer=1)],
        "does not rise": [headers[2], header(4, headers[2], timestamp_ms=headers[2].timestamp_ms)],
    }
    for why, bad in cases.items():
        with pytest.raises(InvalidProof, match=why):
            finality(bad, final)
    with pytest.raises(InvalidProof, match="no finalization"):
        finality(headers, certificate(0, 1, 2, kind=VoteKind.NOTARIZE, view=4, digest=headers[-1].id))
    with pytest.raises(InvalidProof, match="fewer"):
        finality(headers, certificate(0, 1, view=4, digest=headers[-1].id))


def test_a_flipped_bit_anywhere_in_a_header_is_refused() -> None:
    one = header()
    final = certificate(0, 1, 2)
    finality([one], final)
    encoded = one.encode()
    for at in range(len(encoded)):
        bad = bytes([*encoded[:at], encoded[at] ^ 1, *encoded[at + 1 :]])
        try:
            changed = Header.decode(bad)
        except InvalidEncoding:
            continue
        with pytest.raises(InvalidProof):
            finality([changed], final)

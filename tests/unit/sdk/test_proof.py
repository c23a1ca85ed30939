"""Proof files: only the canonical bytes, every byte bound, every signature checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import pytest
from licet import proof as p
from licet.certificate import CertificateKind
from licet.crypto import SigningKey
from licet.errors import InvalidEncoding, InvalidProof, LicetError
from licet.merkle import decode_state_proof, encode_state_proof
from licet.types import Hash32, Signature
from licet.v1 import proof_pb2 as pb

from tests.unit.sdk import world

GENESIS = world.genesis()
KEY, VALUE = b"agreement/a-1", b"\x07some record"
CONTENT = {KEY: VALUE, b"party/studio": b"\x01studio", **{b"asset/%d" % n: b"\x02%d" % n for n in range(40)}}
TREE = world.PaperTree(CONTENT)


def state_file(
    key: bytes = KEY, value: bytes | None = VALUE, *, signers: tuple[int, ...] = (0, 2, 3), length: int = 2
) -> bytes:
    chain = world.headers(GENESIS, world.roots_of(TREE), length=length)
    return p.build_proof_bytes(
        chain_id=GENESIS.chain_id(),
        claim=p.state_claim(key, value, TREE.prove(key)),
        headers=chain,
        finality=world.finality(GENESIS, chain[-1], signers=signers),
    )


def log_file(entry: bytes = b"\x09entry 3") -> bytes:
    entries = [b"\x09entry %d" % n for n in range(11)]
    root, path = world.paper_log(entries, 3)
    chain = world.headers(GENESIS, world.roots_of(TREE, (root, len(entries))), length=1)
    return p.build_proof_bytes(
        chain_id=GENESIS.chain_id(),
        claim=p.log_claim(entry, path),
        headers=chain,
        finality=world.finality(GENESIS, chain[-1]),
    )


def test_a_state_claim_verifies_and_says_who_signed() -> None:
    claim = p.verify_proof(state_file(), GENESIS)
    assert (claim.kind, claim.key, claim.value) == ("state", "agreement/a-1", VALUE)
    assert (claim.height, claim.anchor_height, claim.final_height) == (8, 9, 10)
    assert claim.signers == ("n1", "n3", "n4")
    assert (claim.quorum, claim.validators) == (3, 4)
    assert "3 of 4 validators signed" in claim.sentence()


def test_an_absence_verifies() -> None:
    claim = p.verify_proof(state_file(b"agreement/none", None), GENESIS)
    assert (claim.kind, claim.value, claim.record) == ("absence", b"", None)
    assert claim.to_dict()["record"] is None


def test_a_log_entry_verifies() -> None:
    claim = p.verify_proof(log_file(), GENESIS)
    assert (claim.kind, claim.log_index, claim.value) == ("log", 3, b"\x09entry 3")


def test_the_bytes_are_what_protobuf_writes() -> None:
    """The writer of our own and the published contract agree."""
    for data in (state_file(), state_file(b"agreement/none", None), log_file()):
        message = pb.ProofFile.FromString(data)
        assert message.SerializeToString(deterministic=True) == data
        assert p.read_proof(data).encode() == data


def flips(data: bytes) -> Iterator[bytes]:
    for at in range(len(data)):
        for bit in range(8):
            forged = bytearray(data)
            forged[at] ^= 1 << bit
            yield bytes(forged)


@pytest.mark.parametrize("make", [state_file, log_file])
def test_every_flipped_bit_is_refused(make: Callable[[], bytes]) -> None:
    data = make()
    p.verify_proof(data, GENESIS)
    for forged in flips(data):
        with pytest.raises((InvalidProof, InvalidEncoding)):
            p.verify_proof(forged, GENESIS)


def test_a_flipped_bit_in_an_absence_proves_at_most_another_true_absence() -> None:
    """Nothing stands where a key is absent, so one path may serve several keys; never one that exists."""
    data = state_file(b"agreement/none", None)
    others = 0
    for forged in flips(data):
        try:
            claim = p.verify_proof(forged, GENESIS)
        except (InvalidProof, InvalidEncoding):
            continue
        others += 1
        read = p.read_proof(forged)
        assert claim.kind == "absence"
        assert isinstance(read.claim, p.StateClaim)
        assert read.claim.key not in CONTENT
        assert read.claim.key != b"agreement/none"
    # Only the key's own bits can do so.
    assert others <= 8 * len(b"agreement/none")


def test_every_byte_removed_or_doubled_is_refused() -> None:
    data = log_file()
    for at in range(len(data)):
        for forged in (data[:at] + data[at + 1 :], data[:at] + data[at : at + 1] + data[at:], data[:at]):
            if forged != data:
                with pytest.raises((InvalidProof, InvalidEncoding)):
                    p.verify_proof(forged, GENESIS)


def _uint(number: int, value: int) -> bytes:
    return bytes([number << 3, value])


@pytest.mark.parametrize(
    ("forge", "why"),
    [
        (lambda d: d + _uint(7, 1), "field 7 of wire type 0 is unknown"),
        (lambda d: b"\x08\x81\x00" + d[2:], "not in its shortest form"),
        (lambda d: b"\x88\x00\x01" + d[2:], "not in its shortest form"),
        (lambda d: d[2:] + d[:2], "out of order"),
        (lambda d: d[:2] + d, "written twice"),
        (lambda d: d[2:], "it has version 0"),
        (lambda d: b"\x08\x02" + d[2:], "it has version 2"),
        (lambda d: b"\x0b" + d[2:], "of wire type 3 is unknown"),
        (lambda d: b"\x08" + b"\xff" * 10 + b"\x01" + d[2:], "too long"),
        (lambda d: d + b"\x32\x00", "written twice"),
        (lambda d: b"", "it has version 0"),
        (lambda d: bytes(p.PROOF_BYTES_MAX + 1), "more than"),
    ],
)
def test_other_serializations_are_refused(forge: object, why: str) -> None:
    with pytest.raises(InvalidEncoding, match=why):
        p.read_proof(forge(state_file()))  # type: ignore[operator]


def message_of(data: bytes) -> pb.ProofFile:
    return pb.ProofFile.FromString(data)


def test_protobuf_that_says_the_same_in_other_bytes_is_refused() -> None:
    message = message_of(state_file())
    body = message.SerializeToString(deterministic=True)
    spelled = bytearray(body)
    # A default value that is written out: absent = false inside the claim.
    inner = message.state.SerializeToString() + b"\x18\x00"
    with pytest.raises(InvalidEncoding):
        p.read_proof(bytes(spelled).replace(message.state.SerializeToString(), inner))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda m: m.headers.extend([m.headers[0]]), "not a child"),
        (lambda m: m.headers.__delitem__(0), "does not lead to the state root|no list|not its|state root"),
        (lambda m: m.ClearField("headers"), "it has 0 headers"),
        (lambda m: m.ClearField("finality"), "ends after 0 bytes"),
        (lambda m: m.ClearField("state"), "not exactly one claim"),
        (lambda m: setattr(m.state, "absent", True), "a value exactly where"),
        (lambda m: setattr(m.state, "value", b""), "a value exactly where"),
        (lambda m: setattr(m.state, "key", b"agreement/a-2"), "does not lead to the state root"),
        (lambda m: setattr(m.state, "value", b"\x07other"), "does not lead to the state root"),
        (lambda m: setattr(m, "chain_id", bytes(32)), "another network"),
        (lambda m: setattr(m, "chain_id", b"short"), "its chain id has 5 bytes"),
    ],
)
def test_forged_fields_are_refused(change: object, why: str) -> None:
    message = message_of(state_file())
    change(message)  # type: ignore[operator]
    if len(message.headers) == 1:
        # The second header carries the same roots, so the chain of one proves the same claim.
        p.verify_proof(message.SerializeToString(deterministic=True), GENESIS)
        return
    with pytest.raises((InvalidProof, InvalidEncoding), match=why):
        p.verify_proof(message.SerializeToString(deterministic=True), GENESIS)


def test_a_value_cannot_pass_for_absence() -> None:
    chain = world.headers(GENESIS, world.roots_of(TREE))
    forged = p.build_proof_bytes(
        chain_id=GENESIS.chain_id(),
        claim=p.state_claim(KEY, None, TREE.prove(KEY)),
        headers=chain,
        finality=world.finality(GENESIS, chain[-1]),
    )
    with pytest.raises(InvalidProof, match="absence"):
        p.verify_proof(forged, GENESIS)


def test_fewer_signers_than_the_quorum_are_refused() -> None:
    with pytest.raises(InvalidProof, match="2 distinct signers are fewer than the quorum of 3"):
        p.verify_proof(state_file(signers=(0, 1)), GENESIS)


def test_one_bad_signature_beside_a_quorum_of_good_ones_is_refused() -> None:
    read = p.read_proof(state_file(signers=(0, 1, 2, 3)))
    p.verify(read, GENESIS)
    signatures = (*read.finality.signatures[:3], Signature(read.finality.signatures[0]))
    forged = dataclasses.replace(read, finality=dataclasses.replace(read.finality, signatures=signatures))
    with pytest.raises(InvalidProof, match="signature of validator 3 does not verify"):
        p.verify_proof(forged.encode(), GENESIS)


def test_signatures_of_strangers_are_refused() -> None:
    strangers = tuple(SigningKey(bytes([n]) * 32) for n in range(20, 24))
    chain = world.headers(GENESIS, world.roots_of(TREE))
    forged = p.build_proof_bytes(
        chain_id=GENESIS.chain_id(),
        claim=p.state_claim(KEY, VALUE, TREE.prove(KEY)),
        headers=chain,
        finality=world.finality(GENESIS, chain[-1], keys=strangers),
    )
    with pytest.raises(InvalidProof, match="does not verify"):
        p.verify_proof(forged, GENESIS)


def test_a_network_made_again_is_another_network() -> None:
    with pytest.raises(InvalidProof, match="another network"):
        p.verify_proof(state_file(), world.genesis(nonce=8))


def test_a_sequencer_cannot_speak_for_a_consortium() -> None:
    chain = world.headers(GENESIS, world.roots_of(TREE))
    certificate = dataclasses.replace(
        world.finality(GENESIS, chain[-1], signers=(0,)), scheme=CertificateKind.SEQUENCER
    )
    forged = p.build_proof_bytes(
        chain_id=GENESIS.chain_id(),
        claim=p.state_claim(KEY, VALUE, TREE.prove(KEY)),
        headers=chain,
        finality=certificate,
    )
    with pytest.raises(InvalidProof, match="of kind SEQUENCER, and genesis names SIMPLEX"):
        p.verify_proof(forged, GENESIS)


def test_a_tree_of_another_depth_is_refused() -> None:
    shallow = world.PaperTree(CONTENT, depth=4)
    chain = world.headers(GENESIS, world.roots_of(shallow))
    forged = p.build_proof_bytes(
        chain_id=GENESIS.chain_id(),
        claim=p.state_claim(KEY, VALUE, shallow.prove(KEY)),
        headers=chain,
        finality=world.finality(GENESIS, chain[-1]),
    )
    with pytest.raises(InvalidProof, match="4 levels deep, and genesis says 5"):
        p.verify_proof(forged, GENESIS)


def test_a_header_cannot_carry_its_own_roots() -> None:
    chain = world.headers(GENESIS, world.roots_of(TREE, height=9))
    forged = p.build_proof_bytes(
        chain_id=GENESIS.chain_id(),
        claim=p.state_claim(KEY, VALUE, TREE.prove(KEY)),
        headers=chain,
        finality=world.finality(GENESIS, chain[-1]),
    )
    with pytest.raises(InvalidProof, match="own height"):
        p.verify_proof(forged, GENESIS)


def test_proofs_of_a_crowded_slot_and_of_absence_beside_another_leaf() -> None:
    """The paper tree and the verifier agree on branches inside a slot, at depth 1 where slots are full."""
    tree = world.PaperTree(CONTENT, depth=1)
    for key in (*CONTENT, b"agreement/none", b"asset/none", b"x", b"y", b"z"):
        path = tree.prove(key)
        assert decode_state_proof(encode_state_proof(path)) == path
        p._check_state(p.state_claim(key, CONTENT.get(key), path), tree.root(), 1)
        with pytest.raises(InvalidProof):
            p._check_state(p.state_claim(key, CONTENT.get(key), path), Hash32(bytes(32)), 1)


def test_errors_name_the_fault_and_the_remedy() -> None:
    with pytest.raises(LicetError) as refusal:
        p.verify_proof(b"nonsense", GENESIS)
    assert refusal.value.code == "INVALID_ENCODING"
    assert refusal.value.fault == "peer"
    assert refusal.value.remedy

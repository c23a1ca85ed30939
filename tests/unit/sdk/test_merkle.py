"""Merkle proofs against published vectors, dumb oracles, and every flipped byte."""

from __future__ import annotations

from hashlib import sha256

import pytest
from licet.errors import InvalidEncoding, InvalidProof, LicetError
from licet.merkle import (
    EMPTY_LOG_ROOT,
    LogConsistency,
    LogProof,
    StateProof,
    Terminal,
    decode_log_consistency,
    decode_log_proof,
    decode_state_proof,
    empty_node,
    encode_log_consistency,
    encode_log_proof,
    encode_state_proof,
    log_leaf,
    log_node,
    log_root,
    slot_of,
    state_branch,
    state_inner,
    state_leaf,
    verify_absence,
    verify_inclusion,
    verify_log_consistency,
    verify_log_inclusion,
)
from licet.types import ZERO_HASH, Hash32

# The eight inputs of the test vectors that circulate with RFC 6962, and the roots of their prefixes.
RFC_LEAVES = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
]
RFC_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def _h(data: bytes) -> Hash32:
    return Hash32(sha256(data).digest())


# --- the log


def test_log_roots_are_the_published_ones() -> None:
    hashes = [log_leaf(data) for data in RFC_LEAVES]
    assert EMPTY_LOG_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert [log_root(hashes[: size + 1]).hex() for size in range(8)] == RFC_ROOTS


def test_published_inclusion_path() -> None:
    path = (
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    )
    proof = LogProof(index=5, size=8, path=tuple(Hash32(bytes.fromhex(node)) for node in path))
    verify_log_inclusion(bytes.fromhex(RFC_ROOTS[7]), 8, RFC_LEAVES[5], proof)


def test_published_consistency_path() -> None:
    path = (
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    )
    proof = LogConsistency(old_size=6, new_size=8, path=tuple(Hash32(bytes.fromhex(node)) for node in path))
    verify_log_consistency(bytes.fromhex(RFC_ROOTS[5]), bytes.fromhex(RFC_ROOTS[7]), proof)
    with pytest.raises(InvalidProof):
        verify_log_consistency(bytes.fromhex(RFC_ROOTS[4]), bytes.fromhex(RFC_ROOTS[7]), proof)


def _log_path(index: int, hashes: list[Hash32]) -> list[Hash32]:
    """RFC 9162's PATH by its definition."""
    if len(hashes) == 1:
        return []
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    if index < split:
        return [*_log_path(index, hashes[:split]), log_root(hashes[split:])]
    return [*_log_path(index - split, hashes[split:]), log_root(hashes[:split])]


def test_every_leaf_of_every_small_log_verifies_and_no_other_place_does() -> None:
    data = [bytes([number]) for number in range(19)]
    hashes = [log_leaf(one) for one in data]
    for size in range(1, 20):
        root = log_root(hashes[:size])
        for index in range(size):
            path = tuple(_log_path(index, hashes[:size]))
            verify_log_inclusion(root, size, data[index], LogProof(index=index, size=size, path=path))
            for other in range(size):
                if other != index:
                    moved = LogProof(index=other, size=size, path=path)
                    with pytest.raises(InvalidProof):
                        verify_log_inclusion(root, size, data[index], moved)


def test_a_log_proof_is_for_its_size_alone() -> None:
    hashes = [log_leaf(one) for one in RFC_LEAVES]
    proof = LogProof(index=1, size=4, path=tuple(_log_path(1, hashes[:4])))
    verify_log_inclusion(log_root(hashes[:4]), 4, RFC_LEAVES[1], proof)
    with pytest.raises(InvalidProof, match="for a log of 4 leaves"):
        verify_log_inclusion(log_root(hashes[:4]), 5, RFC_LEAVES[1], proof)


def test_a_node_is_no_leaf() -> None:
    left, right = log_leaf(b"a"), log_leaf(b"b")
    root = log_node(left, right)
    with pytest.raises(InvalidProof):
        verify_log_inclusion(root, 1, left + right, LogProof(index=0, size=1, path=()))


def test_each_flipped_byte_of_a_log_proof_is_refused() -> None:
    hashes = [log_leaf(one) for one in RFC_LEAVES]
    root = log_root(hashes[:7])
    proof = LogProof(index=4, size=7, path=tuple(_log_path(4, hashes[:7])))
    raw = encode_log_proof(proof)
    assert decode_log_proof(raw) == proof
    for damaged in _damaged(raw):
        with pytest.raises((InvalidProof, InvalidEncoding)):
            verify_log_inclusion(root, 7, RFC_LEAVES[4], decode_log_proof(damaged))


def test_each_flipped_byte_of_a_consistency_proof_is_refused() -> None:
    hashes = [log_leaf(one) for one in RFC_LEAVES]
    old, new = log_root(hashes[:4]), log_root(hashes[:7])
    # An older log that is one whole subtree is not repeated in the path.
    proof = LogConsistency(old_size=4, new_size=7, path=(log_root(hashes[4:7]),))
    raw = encode_log_consistency(proof)
    assert decode_log_consistency(raw) == proof
    verify_log_consistency(old, new, proof)
    for damaged in _damaged(raw):
        try:
            changed = decode_log_consistency(damaged)
        except InvalidEncoding:
            continue
        if (changed.old_size, changed.new_size) == (4, 7):  # sizes are bound by the headers, not by the roots
            with pytest.raises(InvalidProof):
                verify_log_consistency(old, new, changed)


def _damaged(raw: bytes) -> list[bytes]:
    """The bytes with every byte flipped in two ways, cut short, and with one more."""
    flipped = [
        raw[:place] + bytes([raw[place] ^ mask]) + raw[place + 1 :]
        for place in range(len(raw))
        for mask in (0x01, 0xFF)
    ]
    return [*flipped, raw[:-1], raw + b"\0", b""]


# --- the state tree, by hand, one level deep


KEY, VALUE = b"party/1", b"a value"
KEY_HASH = _h(KEY)


def _one_level(slots: dict[int, Hash32]) -> Hash32:
    return state_inner(b"".join(slots.get(number, ZERO_HASH) for number in range(16)))


def _siblings(slots: dict[int, Hash32], place: int) -> tuple[Hash32, ...]:
    return tuple(slots.get(number, ZERO_HASH) for number in range(16) if number != place)


def _world() -> tuple[Hash32, StateProof]:
    """A tree of depth 1 with our key, another in its slot, and one beside."""
    place = slot_of(KEY_HASH, 1)
    bit = KEY_HASH[0] >> 3 & 1
    other = Hash32(bytes([KEY_HASH[0] ^ 0x08]) + bytes(31))
    leaf, sibling = state_leaf(KEY_HASH, _h(VALUE)), state_leaf(other, _h(b"x"))
    slot = state_branch(sibling, leaf) if bit else state_branch(leaf, sibling)
    slots = {place: slot, (place + 3) % 16: _h(b"elsewhere")}
    proof = StateProof(levels=(_siblings(slots, place),), branches=(sibling,), terminal=Terminal.OWN_LEAF)
    return _one_level(slots), proof


def test_inclusion_by_hand() -> None:
    root, proof = _world()
    verify_inclusion(root, KEY, VALUE, proof)
    with pytest.raises(InvalidProof):
        verify_inclusion(root, KEY, b"another value", proof)
    with pytest.raises(InvalidProof):
        verify_inclusion(root, b"party/2", VALUE, proof)
    with pytest.raises(InvalidProof, match="present"):
        verify_absence(root, KEY, proof)


def test_each_flipped_byte_of_a_state_proof_is_refused() -> None:
    root, proof = _world()
    raw = encode_state_proof(proof)
    assert decode_state_proof(raw) == proof
    for damaged in _damaged(raw):
        with pytest.raises(LicetError) as caught:
            verify_inclusion(root, KEY, VALUE, decode_state_proof(damaged))
        assert isinstance(caught.value, InvalidProof | InvalidEncoding)


def test_absence_in_an_empty_slot() -> None:
    slots = {(slot_of(KEY_HASH, 1) + 1) % 16: _h(b"elsewhere")}
    root = _one_level(slots)
    proof = StateProof(levels=(_siblings(slots, slot_of(KEY_HASH, 1)),), branches=(), terminal=Terminal.EMPTY)
    verify_absence(root, KEY, proof)
    with pytest.raises(InvalidProof, match="absence"):
        verify_inclusion(root, KEY, VALUE, proof)
    for damaged in _damaged(encode_state_proof(proof)):
        with pytest.raises((InvalidProof, InvalidEncoding)):
            verify_absence(root, KEY, decode_state_proof(damaged))


def test_absence_by_another_keys_leaf_needs_it_in_this_keys_place() -> None:
    place = slot_of(KEY_HASH, 1)
    near = Hash32(KEY_HASH[:31] + bytes([KEY_HASH[31] ^ 1]))
    far = Hash32(bytes([KEY_HASH[0] ^ 0x80]) + KEY_HASH[1:])
    for other, holds in ((near, True), (far, False), (KEY_HASH, False)):
        slots = {place: state_leaf(other, _h(b"x"))}
        proof = StateProof(
            levels=(_siblings(slots, place),),
            branches=(),
            terminal=Terminal.OTHER_LEAF,
            other=(other, _h(b"x")),
        )
        if holds:
            verify_absence(_one_level(slots), KEY, proof)
            for damaged in _damaged(encode_state_proof(proof)):
                with pytest.raises((InvalidProof, InvalidEncoding)):
                    verify_absence(_one_level(slots), KEY, decode_state_proof(damaged))
        else:
            with pytest.raises(InvalidProof):
                verify_absence(_one_level(slots), KEY, proof)


def test_a_written_out_empty_sibling_is_refused() -> None:
    root, proof = _world()
    raw = encode_state_proof(proof)
    full = raw[:2] + (0x7FFF).to_bytes(2, "big") + b"".join(proof.levels[0]) + raw[4 + 32 :]
    with pytest.raises(InvalidEncoding, match="empty sibling"):
        decode_state_proof(full)
    assert root != empty_node(1)


def test_empty_tree_is_pinned() -> None:
    assert empty_node(0) == ZERO_HASH
    assert empty_node(1) == _h(b"\x02" + bytes(512))
    assert empty_node(5).hex() == "e8a584b3e18cbe3786926db85775ba0cdb90d62b295fd18b64d72efb17877d77"


def test_state_root_is_pinned() -> None:
    assert _world()[0].hex() == "26746c4c1ccf69a7097a177a174fc235480f9e71109b7a3f3f5fcecf47bbf9e3"

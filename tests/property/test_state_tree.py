"""The flat state tree against its definition, for any history of changes.

The oracle builds the root from nothing but the set of keys and values, by the
sentences of the design: it knows no pages, no levels held flat, no updates.
"""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from licet.errors import InvalidProof
from licet.merkle import decode_state_proof, encode_state_proof, verify_absence, verify_inclusion
from licet.types import ChainId, Height

from node.storage.memory import MemoryStorage
from node.storage.port import WriteBatch
from node.storage.state import State
from node.storage.state_tree import StateTree

CHAIN = ChainId(bytes(32))


def _h(data: bytes) -> bytes:
    return sha256(data).digest()


def _bits(data: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in data)


def _slot_root(leaves: list[tuple[str, bytes]]) -> bytes:
    """The compact binary tree over (remaining bits, leaf hash)."""
    if not leaves:
        return bytes(32)
    if len(leaves) == 1:
        return leaves[0][1]
    left = [(bits[1:], leaf) for bits, leaf in leaves if bits[0] == "0"]
    right = [(bits[1:], leaf) for bits, leaf in leaves if bits[0] == "1"]
    return _h(b"\x01" + _slot_root(left) + _slot_root(right))


def oracle_root(values: dict[bytes, bytes], depth: int) -> bytes:
    """The state root of these values, by definition."""
    slots: dict[str, list[tuple[str, bytes]]] = {}
    for key, value in values.items():
        nibbles, rest = _h(key).hex()[:depth], _bits(_h(key))[4 * depth :]
        slots.setdefault(nibbles, []).append((rest, _h(b"\x00" + _h(key) + _h(value))))

    def node(prefix: str) -> bytes:
        if len(prefix) == depth:
            return _slot_root(slots.get(prefix, []))
        return _h(b"\x02" + b"".join(node(prefix + digit) for digit in "0123456789abcdef"))

    return node("")


KEYS = st.integers(0, 120).map(lambda number: b"key/%d" % number)
CHANGES = st.dictionaries(KEYS, st.one_of(st.none(), st.binary(max_size=3)), max_size=60)
HISTORIES = st.lists(CHANGES, min_size=1, max_size=8)


def _after(values: dict[bytes, bytes], changes: dict[bytes, bytes | None]) -> dict[bytes, bytes]:
    merged: dict[bytes, bytes | None] = {**values, **changes}
    return {key: value for key, value in merged.items() if value is not None}


@settings(max_examples=40)
@given(history=HISTORIES, depth=st.sampled_from([1, 2]))
def test_every_block_has_the_root_of_its_values(history: list[dict[bytes, bytes | None]], depth: int) -> None:
    tree = StateTree(depth=depth)
    values: dict[bytes, bytes] = {}
    for height, changes in enumerate(history):
        values = _after(values, changes)
        update = tree.apply(Height(height), changes)
        assert update.root == tree.root == oracle_root(values, depth)
        assert tree.key_count == len(values)


@settings(max_examples=25)
@given(history=HISTORIES)
def test_kept_heights_prove_their_own_values_and_nothing_else(
    history: list[dict[bytes, bytes | None]],
) -> None:
    storage = MemoryStorage(CHAIN)
    state = State(storage, depth=1)
    worlds: list[dict[bytes, bytes]] = []
    for number, changes in enumerate(history):
        update = state.apply(Height(number), changes)
        storage.commit(WriteBatch(height=Height(number), block=b"", values=changes, records=update.records))
        worlds.append(_after(worlds[-1] if worlds else {}, changes))
    for height, values in enumerate(worlds):
        root = state.tree.root_at(height)
        assert root == oracle_root(values, 1)
        for key in (b"key/%d" % number for number in range(0, 121, 7)):
            proven = state.prove(key, Height(height))
            proof = decode_state_proof(encode_state_proof(proven.proof))
            assert proof == proven.proof
            assert proven.value == values.get(key)
            if proven.value is None:
                verify_absence(root, key, proof)
                with pytest.raises(InvalidProof):
                    verify_inclusion(root, key, b"", proof)
            else:
                verify_inclusion(root, key, proven.value, proof)
                with pytest.raises(InvalidProof):
                    verify_absence(root, key, proof)


@settings(max_examples=25)
@given(history=HISTORIES, cache_bytes=st.sampled_from([0, 2000, 1 << 20]))
def test_a_loaded_tree_is_the_tree_that_was_stored(
    history: list[dict[bytes, bytes | None]], cache_bytes: int
) -> None:
    storage = MemoryStorage(CHAIN)
    values: dict[bytes, bytes] = {}
    for number, changes in enumerate(history):
        # Each block on a freshly loaded tree, with room for all pages, for some or for none.
        state = State(storage, depth=1, tree_cache_bytes=cache_bytes)
        assert state.root == oracle_root(values, 1)
        update = state.apply(Height(number), changes)
        storage.commit(WriteBatch(height=Height(number), block=b"", values=changes, records=update.records))
        values = _after(values, changes)
        assert state.root == oracle_root(values, 1)
        assert state.tree.key_count == len(values)
    check = State(storage, depth=1, tree_cache_bytes=cache_bytes).start_check()
    for _ in range(200):
        if check.check_slots(5):
            break
    assert check.done


@given(values=st.dictionaries(KEYS, st.binary(max_size=3), max_size=80), data=st.data())
def test_the_order_of_arrival_leaves_no_trace(values: dict[bytes, bytes], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(sorted(values)))
    one, many = StateTree(depth=1), StateTree(depth=1)
    one.apply(Height(0), values)
    for height, key in enumerate(shuffled):
        many.apply(Height(height), {key: values[key]})
    assert one.root == many.root
    stored_once, stored_singly = MemoryStorage(CHAIN), MemoryStorage(CHAIN)
    for storage, order in ((stored_once, [list(shuffled)]), (stored_singly, [[key] for key in shuffled])):
        state = State(storage, depth=1)
        for height, keys in enumerate(order):
            changes: dict[bytes, bytes | None] = {key: values[key] for key in keys}
            update = state.apply(Height(height), changes)
            storage.commit(
                WriteBatch(height=Height(height), block=b"", values=changes, records=update.records)
            )
    assert _tree_rows(stored_once) == _tree_rows(stored_singly)


def _tree_rows(storage: MemoryStorage) -> list[tuple[bytes, bytes]]:
    from node.storage.schema import Kind

    return [row for kind in (Kind.SLOT, Kind.PAGE) for row in storage.records(kind)]


@given(keys=st.sets(KEYS, max_size=60))
def test_deleting_everything_restores_the_empty_tree(keys: set[bytes]) -> None:
    tree = StateTree(depth=1)
    empty = tree.root
    tree.apply(Height(0), dict.fromkeys(sorted(keys), b"v"))
    tree.apply(Height(1), dict.fromkeys(sorted(keys)))
    assert tree.root == empty
    assert tree.key_count == 0

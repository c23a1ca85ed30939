"""Heights that are kept, what loading refuses, and what is found by the background check."""

from __future__ import annotations

import pytest
from licet.merkle import verify_absence, verify_inclusion
from licet.types import ChainId, Height

from node.storage.errors import HeightNotKept, StorageDamaged
from node.storage.memory import MemoryStorage
from node.storage.port import WriteBatch
from node.storage.schema import META_STATE, Kind
from node.storage.state import State
from node.storage.state_tree import StateTree

CHAIN = ChainId(bytes(32))
Changes = dict[bytes, bytes | None]


def _commit(storage: MemoryStorage, state: State, height: int, changes: Changes) -> None:
    update = state.apply(Height(height), changes)
    storage.commit(WriteBatch(height=Height(height), block=b"", values=changes, records=update.records))


def _filled(blocks: int = 3, *, depth: int = 2) -> tuple[MemoryStorage, State]:
    storage = MemoryStorage(CHAIN)
    state = State(storage, depth=depth)
    for height in range(blocks):
        _commit(storage, state, height, {b"k/%d" % number: b"%d" % height for number in range(100)})
    return storage, state


def test_the_real_depth_is_held_flat_and_proves() -> None:
    tree = StateTree()
    tree.apply(Height(0), {b"key/%d" % number: b"v" for number in range(1000)})
    verify_inclusion(tree.root, b"key/7", b"v", tree.prove(b"key/7", 0))
    verify_absence(tree.root, b"key/1000", tree.prove(b"key/1000", 0))
    tree.apply(Height(1), dict.fromkeys(b"key/%d" % number for number in range(1000)))
    assert tree.root == StateTree().root


def test_root_of_known_values_is_pinned() -> None:
    tree = StateTree()
    root = tree.apply(Height(0), {b"party/%d" % number: b"%d" % number for number in range(50)}).root
    assert root.hex() == "d355c3c84b7768e4b1ef5aa66a8fbe2b934e4d36e6e3386b65ce492df29dbab4"


def test_heights_beyond_the_kept_ones_are_refused() -> None:
    tree = StateTree(depth=1, history_blocks=3)
    for height in range(10):
        tree.apply(Height(height), {b"k": b"%d" % height})
    assert tree.lowest_height == 6
    for height in range(6, 10):
        verify_inclusion(tree.root_at(height), b"k", b"%d" % height, tree.prove(b"k", height))
    for height in (0, 5, 10):
        with pytest.raises(HeightNotKept, match="6 to 9"):
            tree.prove(b"k", height)


def test_blocks_without_changes_keep_proofs_alive_across_a_restart() -> None:
    storage, state = _filled()
    root = state.root
    for height in (3, 4):
        _commit(storage, state, height, {})
    again = State(storage, depth=2)
    assert (again.root, again.tree.lowest_height) == (root, 2)
    proven = again.prove(b"k/1", Height(2))
    verify_inclusion(root, b"k/1", b"2", proven.proof)
    with pytest.raises(HeightNotKept):
        again.prove(b"k/1", Height(1))


def test_a_record_per_changed_slot_and_no_more() -> None:
    _, state = _filled()
    update = state.apply(Height(3), {b"k/1": b"new", b"nobody": None})
    assert [row[0] for row in update.records] == [Kind.SLOT, Kind.META]


def _rewrite(storage: MemoryStorage, kind: Kind, key: bytes, value: bytes | None) -> None:
    """Change a record behind the store's back, as a bad disk would."""
    storage._tables[kind].put(key, value)


def test_a_slot_that_changed_on_disk_is_refused_at_loading() -> None:
    storage, _ = _filled()
    key, page = next(iter(storage.records(Kind.SLOT)))
    _rewrite(storage, Kind.SLOT, key, page[:-1] + bytes([page[-1] ^ 1]))
    if len(page) == 64:
        with pytest.raises(StorageDamaged, match="root that was stored"):
            State(storage, depth=2)
        return
    # A page of several keys carries its hash; the check of its pairs is the background's.
    check = State(storage, depth=2).start_check()
    with pytest.raises(StorageDamaged):
        _run(check)


def test_a_missing_slot_or_root_is_refused_at_loading() -> None:
    storage, _ = _filled()
    note = storage.record(Kind.META, META_STATE)
    _rewrite(storage, Kind.META, META_STATE, None)
    with pytest.raises(StorageDamaged, match="no root"):
        State(storage, depth=2)
    _rewrite(storage, Kind.META, META_STATE, note)
    _rewrite(storage, Kind.SLOT, next(iter(storage.records(Kind.SLOT)))[0], None)
    with pytest.raises(StorageDamaged, match="root that was stored"):
        State(storage, depth=2)


def test_another_depth_than_genesis_says_is_refused() -> None:
    storage, _ = _filled(depth=2)
    with pytest.raises(StorageDamaged, match=r"depth|root"):
        State(storage, depth=3)


def _run(check: object) -> int:
    slices = 0
    while not check.check_slots(16):  # type: ignore[attr-defined]
        slices += 1
        assert slices < 1000
    return slices


def test_the_check_goes_through_everything_in_slices() -> None:
    _, state = _filled()
    assert _run(state.start_check()) >= 100 // 16 + 256 // 16 - 1


@pytest.mark.parametrize(("key", "value"), [(b"k/50", b"forged"), (b"k/50", None), (b"extra", b"1")])
def test_the_check_finds_a_value_that_the_tree_does_not_have(key: bytes, value: bytes | None) -> None:
    storage, state = _filled()
    _rewrite(storage, Kind.STATE, key, value)
    with pytest.raises(StorageDamaged):
        _run(state.start_check())


def test_the_check_goes_on_while_blocks_change_what_it_counts() -> None:
    storage, state = _filled()
    check = state.start_check()
    for height in range(3, 13):
        check.check_slots(16)
        changes: Changes = {b"k/%d" % (height * 7): None, b"a/%d" % height: b"x", b"z/%d" % height: b"x"}
        update = state.apply(Height(height), changes)
        assert not check.check_slots(16), "a block is between tree and disk"
        storage.commit(WriteBatch(height=Height(height), block=b"", values=changes, records=update.records))
    _run(check)
    assert check.done


def test_pages_leave_memory_when_they_exceed_their_bound() -> None:
    storage = MemoryStorage(CHAIN)
    state = State(storage, depth=2, tree_cache_bytes=20_000)
    for height in range(20):
        _commit(storage, state, height, {b"k/%d" % number: b"%d" % height for number in range(height * 50)})
    assert state.tree.cached_bytes > 22_000, (
        "the last block changed more than fits, and may still be on its way"
    )
    _commit(storage, state, 20, {b"one": b"more"})
    state.apply(Height(21), {})
    assert state.tree.cached_bytes < 22_000
    whole = StateTree(depth=2)
    values: Changes = {b"k/%d" % number: b"19" for number in range(950)}
    assert whole.apply(Height(0), {**values, b"one": b"more"}).root == state.root


def test_what_the_tree_calls_absent_is_absent_and_what_was_created_had_no_value_before() -> None:
    storage = MemoryStorage(CHAIN)
    state = State(storage, depth=2, tree_cache_bytes=20_000)  # crowded slots, and pages that leave memory
    keys = [b"k/%d" % number for number in range(2_000)]
    before: dict[bytes, bytes | None] = {}
    for height in range(6):
        changes: Changes = dict.fromkeys(keys[height * 300 : height * 300 + 300], b"v")
        created = [key for key in changes if state.tree.absent(key)]
        changes |= dict.fromkeys(keys[height * 150 : height * 150 + 20])  # of which some are gone again
        update = state.apply(Height(height), changes, created=created)
        storage.commit(WriteBatch(height=Height(height), block=b"", values=changes, records=update.records))
        for key in keys:
            value = storage.get(key)
            assert state.get(key) == value
            assert not state.tree.absent(key) or value is None
            if height:
                assert state.prove(key, Height(height - 1)).value == before[key]
        before = {key: storage.get(key) for key in keys}
    assert any(state.tree.absent(key) for key in keys[1_800:])

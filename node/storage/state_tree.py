"""The authenticated state: a dense radix-16 Merkle tree, flat in memory.

One update per block over the block's dirty keys: they are sorted by slot and
every inner node above them is hashed once. For the last blocks the replaced
node hashes and pages are kept, so that a proof can be served at an older
anchored height; a block's share of that is packed arrays, not objects.

`apply` returns the records that carry the change to disk, one per changed
slot (and one per page below a crowded slot, see `pages`). `load` reads at most
one record per slot and hashes the levels above. Without a reader the tree
lives in memory alone. With one, pages leave memory when they exceed the
configured bound and are read again when needed; so the records of height h
must be stored before h + 1 is applied.

The tree never sees values, only their hashes; `state.State` joins both.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from licet.merkle import (
    LEAF_TAG,
    RADIX,
    STATE_DEPTH,
    STATE_DEPTH_MAX,
    StateProof,
    Terminal,
    key_bit,
    slot_of,
)
from licet.types import HASH_BYTES, ZERO_HASH, Hash32, Height

from node.storage.errors import StorageDamaged
from node.storage.pages import (
    PAIR_BYTES,
    Change,
    PageUpdate,
    branch_children,
    change_leaf_page,
    child_page,
    find_value,
    is_branch,
    page_count,
    page_hash,
    page_pairs,
    pairs_hash,
    split_at,
)
from node.storage.port import RecordReader, Row
from node.storage.schema import META_STATE, Kind
from node.storage.tree_history import TreeHistory, Undo
from node.storage.tree_levels import GROUP_BYTES, Replaced, empty_levels, rehash

HISTORY_BLOCKS: Final = 128
HISTORY_BLOCKS_MIN: Final = 64  # the ledger's R; a node may not be configured below it
CACHE_BYTES: Final = 512 << 20
_PAGE_BYTES: Final = 48  # what a page costs beside its bytes

assert HISTORY_BLOCKS >= HISTORY_BLOCKS_MIN


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeUpdate:
    """The state root after a block, and the records that carry the change to disk."""

    root: Hash32
    records: list[Row]


class StateTree:
    """The tree of one chain. Depth is fixed in genesis; simulations use 2 or 3."""

    def __init__(
        self,
        *,
        depth: int = STATE_DEPTH,
        history_blocks: int = HISTORY_BLOCKS,
        reader: RecordReader | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        assert 1 <= depth <= STATE_DEPTH_MAX, depth
        self.depth: Final = depth
        self._slot_bits: Final = 4 * depth
        self._levels = empty_levels(depth)
        # Pages by slot, and those below crowded slots. Dictionaries of plain bytes, because the
        # garbage collector walks every entry of a list this long, and none of these.
        self._roots: dict[int, bytes] = {}
        self._deep: dict[int, bytes] = {}
        self._history = TreeHistory(history_blocks)
        self._reader = reader
        self._cache_bytes_max = cache_bytes
        self._cache_bytes = 0
        self._key_count = 0

    # --- what it says

    @property
    def root(self) -> Hash32:
        """The state root after the last applied block."""
        return Hash32(bytes(self._levels[0][:HASH_BYTES]))

    @property
    def height(self) -> Height | None:
        """The height applied last; None before the first."""
        return self._history.height

    @property
    def lowest_height(self) -> int:
        """The oldest height at which proofs are served."""
        return self._history.lowest

    @property
    def key_count(self) -> int:
        """How many keys have a value."""
        return self._key_count

    @property
    def cached_bytes(self) -> int:
        """Estimate of the memory that pages take; bounded by configuration when there is a reader."""
        return self._cache_bytes

    def value_hash(self, key_hash: bytes) -> bytes | None:
        """H(value) of a key in the newest state."""
        number, taken = slot_of(key_hash, self.depth), 0
        page = self._page(number)
        while page is not None and is_branch(page):
            right = key_bit(key_hash, self._slot_bits + taken)
            number = child_page(number, self._slot_bits, taken, right)
            taken += 1
            page = self._page(number)
        return None if page is None else find_value(page, key_hash)

    def absent(self, key: bytes) -> bool:
        """Whether the newest state surely has no value at a key; most often told from memory alone."""
        key_hash = sha256(key).digest()
        slot = int.from_bytes(key_hash[:4], "big") >> 32 - self._slot_bits
        page = self._roots.get(slot)
        if page is None:
            page = self._page(slot)
            if page is None:
                return True
        return key_hash not in page and not is_branch(page)

    # --- one update per block

    def apply(self, height: Height, changes: Mapping[bytes, bytes | None]) -> TreeUpdate:
        """Set or delete (None) the values of a block's dirty keys."""
        assert self.height is None or height == self.height + 1, (self.height, height)
        self._evict()
        ordered: list[Change] = sorted(
            [
                (sha256(key).digest(), None if value is None else sha256(value).digest())
                for key, value in changes.items()
            ]
        )
        replaced_pages: dict[int, bytes | None] = {}
        rows, slots, hashes = self._update_slots(ordered, replaced_pages)
        levels = [*rehash(self._levels, slots), Replaced(array("I", slots), b"".join(hashes))]
        self._history.add(Undo(height, levels, replaced_pages))
        if rows:
            note = bytes((self.depth,)) + height.to_bytes(8, "big") + self.root
            rows.append((Kind.META, META_STATE, note))
        return TreeUpdate(root=self.root, records=rows)

    def _update_slots(
        self, ordered: list[Change], replaced: dict[int, bytes | None]
    ) -> tuple[list[Row], list[int], list[bytes]]:
        """Change the slots of sorted keys; the records, and slots with their hashes before."""
        shift = 32 - self._slot_bits
        slots = [int.from_bytes(key[:4], "big") >> shift for key, _ in ordered]
        changed = list(dict.fromkeys(slots))
        groups = _groups(slots, ordered) if len(changed) < len(slots) else {}
        roots, level = self._roots, self._levels[self.depth]
        rows: list[Row] = []
        hashes: list[bytes] = []
        keep, write, kind = hashes.append, rows.append, Kind.SLOT
        done = -1
        for slot, (key, value) in zip(slots, ordered, strict=True):
            if slot == done:
                continue  # of a group that was changed at its first key
            done = slot
            place = slot * HASH_BYTES
            before = level[place : place + HASH_BYTES]
            page = roots.get(slot)
            if page is None and before != ZERO_HASH:
                page = self._page(slot)
            # Most slots hold few keys: no page arithmetic for these.
            if slot in groups:
                digest = self._update_pages(slot, groups[slot], replaced, rows)
            elif value is not None and (page is None or (len(page) == PAIR_BYTES and page.startswith(key))):
                new = key + value
                digest = sha256(LEAF_TAG + new).digest()
                if page is None:
                    self._key_count += 1
                    self._cache_bytes += PAIR_BYTES + _PAGE_BYTES
                replaced[slot] = page
                roots[slot] = new
                write((kind, slot.to_bytes(4, "big"), new))
            else:
                digest = self._update_slot(slot, page, key, value, replaced, rows)
            level[place : place + HASH_BYTES] = digest
            keep(before)
        return rows, changed, hashes

    def _update_slot(
        self,
        slot: int,
        page: bytes | None,
        key: bytes,
        value: bytes | None,
        replaced: dict[int, bytes | None],
        rows: list[Row],
    ) -> bytes:
        """Change one key of a slot; the slot's new hash."""
        if page is not None and value is not None and not is_branch(page):
            outcome = change_leaf_page(page, key, value, self._slot_bits)
            if outcome is not None:
                new, digest = outcome
                self._key_count += page_count(new) - page_count(page)
                self._cache_bytes += len(new) - len(page)
                replaced[slot] = page
                self._roots[slot] = new
                rows.append((Kind.SLOT, slot.to_bytes(4, "big"), new))
                return digest
        return self._update_pages(slot, [(key, value)], replaced, rows)

    def _update_pages(
        self, slot: int, changes: list[Change], replaced: dict[int, bytes | None], rows: list[Row]
    ) -> bytes:
        """Change a slot's pages; the slot's new hash."""
        update = PageUpdate(self._page, slot_bits=self._slot_bits)
        count_before = page_count(self._page(slot))
        digest, count = update.apply(slot, 0, changes)
        self._key_count += count - count_before
        for number, page in update.written.items():
            before = self._page(number)
            if page == before:
                continue
            replaced[number] = before
            self._put(number, page)
            if number >> self._slot_bits:
                rows.append((Kind.PAGE, self._page_key(number), page))
            else:
                rows.append((Kind.SLOT, slot.to_bytes(4, "big"), page))
        return digest

    # --- pages

    def _page(self, number: int) -> bytes | None:
        """A page of the newest state, from memory or from disk."""
        slot_page = not number >> self._slot_bits
        page = (self._roots if slot_page else self._deep).get(number)
        if page is not None or self._reader is None:
            return page
        if not slot_page:
            page = self._reader.record(Kind.PAGE, self._page_key(number))
        else:
            place = number * HASH_BYTES
            digest = self._levels[self.depth][place : place + HASH_BYTES]
            if digest == ZERO_HASH:
                return None
            page = self._reader.record(Kind.SLOT, number.to_bytes(4, "big"))
            if page is None or page_hash(page) != digest:
                raise StorageDamaged("the state tree", f"the record of slot {number} is not its hash's")
        self._put(number, page)
        return page

    def _put(self, number: int, page: bytes | None) -> None:
        pages = self._deep if number >> self._slot_bits else self._roots
        before = pages.get(number)
        if page is not None:
            pages[number] = page
        elif before is not None:
            del pages[number]
        self._cache_bytes += _page_cost(page) - _page_cost(before)

    def _page_key(self, number: int) -> bytes:
        slot = number & ((1 << self._slot_bits) - 1)
        path = number >> self._slot_bits
        return slot.to_bytes(4, "big") + path.to_bytes((path.bit_length() + 7) // 8, "big")

    def _evict(self) -> None:
        """Let pages go until they fit. Those of the last block stay: it may be on its way to disk."""
        if self._reader is None or self._cache_bytes <= self._cache_bytes_max:
            return
        fresh = self._history.fresh_pages()
        for number in [number for number in self._deep if number not in fresh]:
            self._put(number, None)
        surplus = self._cache_bytes - self._cache_bytes_max
        if surplus <= 0:
            return
        # The oldest entries first, some more than needed, so that this is rare.
        surplus += self._cache_bytes_max // 16
        gone: list[int] = []
        for number, page in self._roots.items():
            if surplus <= 0:
                break
            if number not in fresh:
                gone.append(number)
                surplus -= _page_cost(page)
        for number in gone:
            self._put(number, None)

    # --- proofs at kept heights

    def root_at(self, height: int) -> Hash32:
        """The state root after a kept block."""
        for undo in self._history.since(height):
            if undo.levels[0].hashes:
                return Hash32(undo.levels[0].hashes)
        return self.root

    def prove(self, key: bytes, at_height: int) -> StateProof:
        """The proof of a key's value, or of its absence, under the root of a kept height."""
        since = self._history.since(at_height)
        key_hash = sha256(key).digest()
        slot = slot_of(key_hash, self.depth)
        levels: list[tuple[Hash32, ...]] = []
        for level in range(self.depth):
            parent = slot >> (4 * (self.depth - level))
            place = (slot >> (4 * (self.depth - level - 1))) & (RADIX - 1)
            children = self._children_at(level + 1, parent, since)
            levels.append(
                tuple(
                    Hash32(children[HASH_BYTES * index : HASH_BYTES * (index + 1)])
                    for index in range(RADIX)
                    if index != place
                )
            )
        branches, page, bit = self._walk(slot, key_hash, since)
        pairs = page_pairs(page)
        while len(pairs) > 1:
            middle = split_at(pairs, bit)
            halves = (pairs[:middle], pairs[middle:])
            right = key_bit(key_hash, bit)
            bit += 1
            branches.append(Hash32(pairs_hash(halves[1 - right], bit)))
            pairs = halves[right]
        if not pairs:
            return StateProof(levels=tuple(levels), branches=tuple(branches), terminal=Terminal.EMPTY)
        other_key, other_value = Hash32(pairs[0][0]), Hash32(pairs[0][1])
        own = other_key == key_hash
        return StateProof(
            levels=tuple(levels),
            branches=tuple(branches),
            terminal=Terminal.OWN_LEAF if own else Terminal.OTHER_LEAF,
            other=None if own else (other_key, other_value),
        )

    def _children_at(self, level: int, parent: int, since: list[Undo]) -> bytes:
        """The 16 hashes of a group as they were before the blocks `since`."""
        group = bytearray(self._levels[level][parent * GROUP_BYTES : (parent + 1) * GROUP_BYTES])
        for undo in reversed(since):
            undo.levels[level].restore(group, parent)
        return bytes(group)

    def _walk(self, slot: int, key_hash: bytes, since: list[Undo]) -> tuple[list[Hash32], bytes | None, int]:
        """From a slot's page down to the one that would hold the key: siblings, page, first free bit."""
        number, taken = slot, 0
        siblings: list[Hash32] = []
        page = self._page_at(number, since)
        while page is not None and is_branch(page):
            right = key_bit(key_hash, self._slot_bits + taken)
            siblings.append(Hash32(branch_children(page)[1 - right]))
            number = child_page(number, self._slot_bits, taken, right)
            taken += 1
            page = self._page_at(number, since)
        return siblings, page, self._slot_bits + taken

    def _page_at(self, number: int, since: list[Undo]) -> bytes | None:
        for undo in since:
            if number in undo.pages:
                return undo.pages[number]
        return self._page(number)

    # --- loading and checking

    @classmethod
    def load(
        cls,
        reader: RecordReader,
        *,
        height: Height | None,
        depth: int = STATE_DEPTH,
        history_blocks: int = HISTORY_BLOCKS,
        cache_bytes: int = CACHE_BYTES,
    ) -> StateTree:
        """The tree of a store at its height; `StorageDamaged` if it is not the tree that was stored."""
        tree = cls(depth=depth, history_blocks=history_blocks, reader=reader, cache_bytes=cache_bytes)
        if height is None:
            return tree
        tree._load_slots(reader)
        tree._history.begin(height, unchanged_since=0)
        note = reader.record(Kind.META, META_STATE)
        if note is None:
            if tree._key_count:
                raise StorageDamaged("the state tree", "it has keys but no root")
            return tree
        stored_depth, changed, root = note[0], int.from_bytes(note[1:9], "big"), note[9:]
        if stored_depth != depth:
            raise StorageDamaged("the state tree", f"its depth is {stored_depth}, and genesis says {depth}")
        if root != tree.root:
            raise StorageDamaged(
                "the state tree",
                "its slots do not lead to the root that was stored",
                facts={"stored": root.hex(), "found": tree.root.hex()},
            )
        # Blocks after the last change left the tree as it is: proofs hold at their heights too.
        tree._history.begin(height, unchanged_since=changed)
        return tree

    def _load_slots(self, reader: RecordReader) -> None:
        level, dirty = self._levels[self.depth], []
        for raw, page in reader.records(Kind.SLOT):
            slot = int.from_bytes(raw, "big")
            place = slot * HASH_BYTES
            level[place : place + HASH_BYTES] = page_hash(page)
            dirty.append(slot)
            self._key_count += page_count(page)
            if self._cache_bytes < self._cache_bytes_max:
                self._put(slot, page)
        rehash(self._levels, dirty)

    def check_pages(self, first: int, count: int) -> None:
        """Recompute slots from their pages; raises `StorageDamaged` for one that differs."""
        level = self._levels[self.depth]
        for slot in range(first, min(first + count, RADIX**self.depth)):
            place = slot * HASH_BYTES
            stored = bytes(level[place : place + HASH_BYTES])
            if stored == ZERO_HASH and slot not in self._roots:
                continue
            if self._recomputed(slot, 0) != stored:
                raise StorageDamaged("the state tree", f"slot {slot} is not what its keys hash to")

    def _recomputed(self, number: int, taken: int) -> bytes:
        page = self._page(number)
        if page is None or not is_branch(page):
            return pairs_hash(page_pairs(page), self._slot_bits + taken)
        halves = [
            self._recomputed(child_page(number, self._slot_bits, taken, right), taken + 1) for right in (0, 1)
        ]
        if tuple(halves) != branch_children(page):
            raise StorageDamaged("the state tree", f"page {number} is not what its halves hash to")
        return page_hash(page)


def _page_cost(page: bytes | None) -> int:
    return 0 if page is None else len(page) + _PAGE_BYTES


def _groups(slots: list[int], ordered: list[Change]) -> dict[int, list[Change]]:
    """The changes of every slot that has several."""
    groups: dict[int, list[Change]] = {}
    for index in range(1, len(slots)):
        if slots[index] == slots[index - 1]:
            group = groups.setdefault(slots[index], [ordered[index - 1]])
            group.append(ordered[index])
    return groups

"""What stands in one slot of the state tree: pages of a compact binary tree.

A slot's keys are kept in pages. A page holds up to `PAGE_KEYS` pairs of
H(key) and H(value), sorted; a subtree with more is a branch page with the
hashes of its two halves, and the halves are pages of their own. So a slot
that an attacker crowds costs one page per level, not one record that grows
with it. A page is bytes, the same in memory and on disk:

    one key       H(key) 32 | H(value) 32
    several keys  hash of the subtree 32 | pairs
    branch        number of keys u32 | left hash 32 | right hash 32

The lengths tell them apart. A branch has more than `PAGE_KEYS` keys below it
always, so that the pages of a set of keys are the same in whatever order they
came. A page's number is the slot, or, below the slot, (1 ‖ bits taken) ‖ slot.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from licet.merkle import BRANCH_TAG, KEY_BITS, LEAF_TAG, key_bit
from licet.types import HASH_BYTES, ZERO_HASH

PAGE_KEYS: Final = 8
PAIR_BYTES: Final = 2 * HASH_BYTES
COUNT_BYTES: Final = 4
BRANCH_BYTES: Final = COUNT_BYTES + 2 * HASH_BYTES

_PAIR: Final = struct.Struct(f"{HASH_BYTES}s{HASH_BYTES}s")

# A page's form is its length.
assert BRANCH_BYTES not in {PAIR_BYTES} | {HASH_BYTES + PAIR_BYTES * n for n in range(2, PAGE_KEYS + 1)}

Pair = tuple[bytes, bytes]  # H(key), H(value)
Change = tuple[bytes, bytes | None]  # H(key), H(value) or None to delete


def one_key_page(key_hash: bytes, value_hash: bytes) -> tuple[bytes, bytes]:
    """Page and hash of a subtree of one key."""
    page = key_hash + value_hash
    return page, sha256(LEAF_TAG + page).digest()


def page_hash(page: bytes) -> bytes:
    """The hash of the subtree that a page stands for."""
    if len(page) == PAIR_BYTES:
        return sha256(LEAF_TAG + page).digest()
    if len(page) == BRANCH_BYTES:
        return sha256(BRANCH_TAG + page[COUNT_BYTES:]).digest()
    return page[:HASH_BYTES]


def page_count(page: bytes | None) -> int:
    """How many keys stand in and below a page."""
    if page is None:
        return 0
    if len(page) == BRANCH_BYTES:
        return int.from_bytes(page[:COUNT_BYTES], "big")
    return len(page) // PAIR_BYTES


def is_branch(page: bytes) -> bool:
    """Whether the page's keys are in pages of their own."""
    return len(page) == BRANCH_BYTES


def branch_children(page: bytes) -> tuple[bytes, bytes]:
    """Left and right hash of a branch page."""
    return page[COUNT_BYTES : COUNT_BYTES + HASH_BYTES], page[COUNT_BYTES + HASH_BYTES :]


def page_pairs(page: bytes | None) -> list[Pair]:
    """The pairs of a page that is no branch."""
    if page is None:
        return []
    return list(_PAIR.iter_unpack(page if len(page) == PAIR_BYTES else page[HASH_BYTES:]))


def find_value(page: bytes, key_hash: bytes) -> bytes | None:
    """H(value) of a key in a page that is no branch."""
    for key, value in page_pairs(page):
        if key == key_hash:
            return value
    return None


def pairs_hash(pairs: list[Pair], bit: int) -> bytes:
    """The hash of the compact binary tree over sorted pairs, whose first free bit is `bit`."""
    if not pairs:
        return ZERO_HASH
    leaves = [sha256(LEAF_TAG + key + value).digest() for key, value in pairs]
    if len(pairs) == 1:
        return leaves[0]
    return _range_hash([int.from_bytes(key, "big") for key, _ in pairs], leaves, 0, len(leaves), bit)


def _range_hash(keys: list[int], leaves: list[bytes], first: int, end: int, bit: int) -> bytes:
    """The subtree over several sorted keys: one step to where they part, and back up along empty halves."""
    free = (keys[first] ^ keys[end - 1]).bit_length() - 1  # bits below the one at which they part
    if end - first == 2:
        left, right = leaves[first], leaves[first + 1]
    else:
        middle = bisect_left(keys, keys[end - 1] >> free << free, first, end)
        below = KEY_BITS - free
        left = leaves[first] if middle - first == 1 else _range_hash(keys, leaves, first, middle, below)
        right = leaves[middle] if end - middle == 1 else _range_hash(keys, leaves, middle, end, below)
    node = sha256(BRANCH_TAG + left + right).digest()
    shared = KEY_BITS - 1 - free - bit  # levels at which one half is empty
    if shared:
        path = keys[first] >> free + 1
        for above in range(shared):
            pair = ZERO_HASH + node if path >> above & 1 else node + ZERO_HASH
            node = sha256(BRANCH_TAG + pair).digest()
    return node


def change_leaf_page(page: bytes, key: bytes, value: bytes, bit: int) -> tuple[bytes, bytes] | None:
    """Set one key in a page that is no branch: page and hash; None when the page must split."""
    if len(page) == PAIR_BYTES and page[:HASH_BYTES] == key:
        return one_key_page(key, value)
    pairs = page_pairs(page)
    for index, (held, _) in enumerate(pairs):
        if held >= key:
            if held == key:
                pairs[index] = (key, value)
            else:
                pairs.insert(index, (key, value))
            break
    else:
        pairs.append((key, value))
    if len(pairs) > PAGE_KEYS:
        return None
    joined = [held + of for held, of in pairs]
    leaves = [sha256(LEAF_TAG + pair).digest() for pair in joined]
    keys = [int.from_bytes(held, "big") for held, _ in pairs]
    digest = _range_hash(keys, leaves, 0, len(keys), bit)
    return digest + b"".join(joined), digest


def split_at(pairs: list[Pair] | list[Change], bit: int) -> int:
    """Where in sorted pairs those with a one at `bit` begin; all bits before it are equal."""
    return bisect_left(pairs, 1, key=lambda pair: key_bit(pair[0], bit))


def child_page(number: int, slot_bits: int, taken: int, right: int) -> int:
    """The number of a half of the page `number`, which has used `taken` bits of its slot."""
    path = (number >> slot_bits) or 1  # a root page has no marker yet
    assert path.bit_length() == taken + 1, (number, taken)
    slot = number & ((1 << slot_bits) - 1)
    return (path << 1 | right) << slot_bits | slot


class PageUpdate:
    """Changes the pages of one slot and remembers what it wrote.

    `load` gives a page by its number. `written` collects pages by number,
    None for one that is gone.
    """

    def __init__(self, load: Callable[[int], bytes | None], *, slot_bits: int) -> None:
        self._load = load
        self._slot_bits = slot_bits
        self.written: dict[int, bytes | None] = {}

    def _get(self, number: int) -> bytes | None:
        if number in self.written:
            return self.written[number]
        return self._load(number)

    def apply(self, number: int, taken: int, changes: list[Change]) -> tuple[bytes, int]:
        """Apply sorted changes to a subtree; its new hash and number of keys."""
        page = self._get(number)
        if page is not None and is_branch(page):
            return self._apply_branch(number, taken, page, changes)
        held = dict(page_pairs(page))
        for key, value in changes:
            if value is None:
                held.pop(key, None)
            else:
                held[key] = value
        return self._store(number, taken, sorted(held.items()))

    def _apply_branch(self, number: int, taken: int, page: bytes, changes: list[Change]) -> tuple[bytes, int]:
        middle = split_at(changes, self._slot_bits + taken)
        hashes, counts = list(branch_children(page)), [0, 0]
        for right, part in enumerate((changes[:middle], changes[middle:])):
            child = child_page(number, self._slot_bits, taken, right)
            if part:
                hashes[right], counts[right] = self.apply(child, taken + 1, part)
            else:
                counts[right] = page_count(self._get(child))
        if sum(counts) <= PAGE_KEYS:
            return self._store(number, taken, self._take_all(number, taken))
        return self._store_branch(number, hashes, sum(counts))

    def _store(self, number: int, taken: int, pairs: list[Pair]) -> tuple[bytes, int]:
        """Write a subtree of these pairs afresh."""
        if not pairs:
            self.written[number] = None
            return ZERO_HASH, 0
        if len(pairs) == 1:
            page, digest = one_key_page(*pairs[0])
            self.written[number] = page
            return digest, 1
        if len(pairs) <= PAGE_KEYS:
            digest = pairs_hash(pairs, self._slot_bits + taken)
            self.written[number] = digest + b"".join(key + value for key, value in pairs)
            return digest, len(pairs)
        middle = split_at(pairs, self._slot_bits + taken)
        hashes = [
            self._store(child_page(number, self._slot_bits, taken, right), taken + 1, part)[0]
            for right, part in enumerate((pairs[:middle], pairs[middle:]))
        ]
        return self._store_branch(number, hashes, len(pairs))

    def _store_branch(self, number: int, hashes: list[bytes], count: int) -> tuple[bytes, int]:
        page = count.to_bytes(COUNT_BYTES, "big") + hashes[0] + hashes[1]
        self.written[number] = page
        return page_hash(page), count

    def _take_all(self, number: int, taken: int) -> list[Pair]:
        """The pairs below a branch that has become small; their pages are gone."""
        pairs: list[Pair] = []
        for right in (0, 1):
            child = child_page(number, self._slot_bits, taken, right)
            page = self._get(child)
            if page is None:
                continue
            pairs += self._take_all(child, taken + 1) if is_branch(page) else page_pairs(page)
            self.written[child] = None
        return pairs

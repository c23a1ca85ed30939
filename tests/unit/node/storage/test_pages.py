"""Pages of crowded slots: logarithmic however the keys are chosen."""

from __future__ import annotations

import random

import pytest

from node.storage.pages import (
    BRANCH_BYTES,
    PAGE_KEYS,
    Change,
    PageUpdate,
    change_leaf_page,
    page_count,
    pairs_hash,
)

SLOT = 5
SLOT_BITS = 20
PREFIX = SLOT << (256 - SLOT_BITS)


def _key(rest: int) -> bytes:
    return (PREFIX | rest).to_bytes(32, "big")


class _Pages:
    """Pages of one slot in a dictionary, with what each update touched."""

    def __init__(self) -> None:
        self.pages: dict[int, bytes] = {}
        self.loads = 0
        self.writes = 0

    def load(self, number: int) -> bytes | None:
        self.loads += 1
        return self.pages.get(number)

    def change(self, changes: list[Change]) -> bytes:
        update = PageUpdate(self.load, slot_bits=SLOT_BITS)
        digest, count = update.apply(SLOT, 0, sorted(changes))
        for number, page in update.written.items():
            if page is None:
                self.pages.pop(number, None)
            else:
                self.pages[number] = page
        self.writes = len(update.written)
        assert page_count(self.pages.get(SLOT)) == count
        return digest


@pytest.mark.parametrize("shared_bits", [0, 1, 7, 60, 200])
def test_keys_ground_to_share_bits_hash_like_any_others(shared_bits: int) -> None:
    draw = random.Random(shared_bits)
    free = 256 - SLOT_BITS - shared_bits
    keys = [_key(draw.getrandbits(free)) for _ in range(40)]
    pages = _Pages()
    held: dict[bytes, bytes] = {}
    for key in keys:
        held[key] = draw.randbytes(32)
        assert pages.change([(key, held[key])]) == pairs_hash(sorted(held.items()), SLOT_BITS)
    for key in keys:
        del held[key]
        assert pages.change([(key, None)]) == pairs_hash(sorted(held.items()), SLOT_BITS)
    assert not pages.pages


def test_an_update_of_a_crowded_slot_touches_one_page_a_level() -> None:
    draw = random.Random(1)
    keys = [_key(draw.getrandbits(256 - SLOT_BITS)) for _ in range(4096)]
    pages = _Pages()
    pages.change([(key, bytes(32)) for key in keys])
    assert all(len(page) == BRANCH_BYTES or page_count(page) <= PAGE_KEYS for page in pages.pages.values())
    for key in keys[:50]:
        pages.loads = 0
        pages.change([(key, draw.randbytes(32))])
        assert pages.writes <= 16, "4,096 keys are 9 levels of pages and some unevenness"
        assert pages.loads <= 40


def test_one_key_changed_alone_is_the_general_change() -> None:
    draw = random.Random(2)
    page: bytes | None = None
    held: dict[bytes, bytes] = {}
    pages = _Pages()
    for _ in range(PAGE_KEYS):
        key, value = _key(draw.getrandbits(40)), draw.randbytes(32)
        held[key] = value
        digest = pages.change([(key, value)])
        if page is None:
            page = pages.pages[SLOT]
            continue
        changed = change_leaf_page(page, key, value, SLOT_BITS)
        assert changed == (pages.pages[SLOT], digest)
        page = changed[0]
    assert page is not None
    assert change_leaf_page(page, _key(1), bytes(32), SLOT_BITS) is None

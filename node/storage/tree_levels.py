"""The hashes of the state tree, held flat: one stretch of memory per level.

Level 0 is the root and level `depth` the slots; a node's 16 children stand
side by side. Hashing touches each given node once. Knows no keys.
"""

from __future__ import annotations

import mmap
from array import array
from bisect import bisect_left
from hashlib import sha256
from typing import Final, NamedTuple

from licet.merkle import INNER_TAG, RADIX, empty_node
from licet.types import HASH_BYTES

GROUP_BYTES: Final = RADIX * HASH_BYTES

# A map gives bytes where a bytearray would give a copy of its own kind, and stays zero pages until touched.
Level = mmap.mmap


class Replaced(NamedTuple):
    """Node numbers of one level that were replaced, ascending, and their hashes before."""

    numbers: array[int]
    hashes: bytes

    def restore(self, group: bytearray, parent: int) -> None:
        """Put the hashes that were replaced among a node's children back into their group."""
        first = parent * RADIX
        index = bisect_left(self.numbers, first)
        while index < len(self.numbers) and self.numbers[index] < first + RADIX:
            place = (self.numbers[index] - first) * HASH_BYTES
            group[place : place + HASH_BYTES] = self.hashes[index * HASH_BYTES : (index + 1) * HASH_BYTES]
            index += 1


def empty_levels(depth: int) -> list[Level]:
    """All levels of a tree without keys. Cheap: most of it is memory that nobody has touched."""
    levels = [
        mmap.mmap(-1, RADIX**level * HASH_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        for level in range(depth + 1)
    ]
    for level in range(depth):
        levels[level][:] = empty_node(depth - level) * RADIX**level
    return levels


def rehash(levels: list[Level], slots: list[int]) -> list[Replaced]:
    """Hash every node above these slots (ascending, no two alike); what was replaced, from the root down."""
    replaced: list[Replaced] = []
    dirty = slots
    for level in range(len(levels) - 2, -1, -1):
        dirty = list(dict.fromkeys([number >> 4 for number in dirty]))
        replaced.append(_hash_nodes(levels[level], levels[level + 1], dirty))
    replaced.reverse()
    return replaced


def _hash_nodes(nodes: Level, children: Level, numbers: list[int]) -> Replaced:
    before: list[bytes] = []
    keep, begun, hash_bytes, group_bytes = before.append, sha256(INNER_TAG).copy, HASH_BYTES, GROUP_BYTES
    for number in numbers:
        first, place = number * group_bytes, number * hash_bytes
        end = place + hash_bytes
        digest = begun()
        digest.update(children[first : first + group_bytes])
        keep(nodes[place:end])
        nodes[place:end] = digest.digest()
    return Replaced(array("I", numbers), b"".join(before))

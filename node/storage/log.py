"""The append-only Merkle log (RFC 9162 shape): many leaves per block, a proof for any of them.

In memory stands the frontier alone: one hash per level. On disk stand, per
block, one record with its leaf hashes, and one record per complete subtree of
256, 256², … leaves: about 33 bytes a leaf in all. Whatever a proof needs between
is hashed again from at most 256 neighbours a level. So a proof can be made
for any leaf and any size the log ever had, the anchored one as well as the
newest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from licet.merkle import (
    BRANCH_TAG,
    EMPTY_LOG_ROOT,
    LEAF_TAG,
    LogConsistency,
    LogProof,
    log_node,
    split_point,
)
from licet.types import HASH_BYTES, Hash32

from node.storage.errors import StorageDamaged
from node.storage.port import RecordReader, Row
from node.storage.schema import META_LOG, Kind

STRIDE: Final = 8  # every eighth level is stored
FAN: Final = 1 << STRIDE


@dataclass(frozen=True, slots=True, kw_only=True)
class LogUpdate:
    """The log after a block, and the records that carry the change to disk."""

    root: Hash32
    size: int
    records: list[Row]


class MerkleLog:
    """The log of one chain. Proofs are read from the store, so only what was committed can be proved."""

    def __init__(self, reader: RecordReader) -> None:
        self._reader = reader
        self._frontier: list[bytes | None] = []  # by level, the complete subtree that waits for its sibling
        self._size = 0
        self._load()

    @property
    def size(self) -> int:
        """Leaves appended so far."""
        return self._size

    @property
    def root(self) -> Hash32:
        """The root over all leaves."""
        node: bytes | None = None
        for waiting in self._frontier:
            if waiting is not None:
                node = waiting if node is None else log_node(waiting, node)
        return EMPTY_LOG_ROOT if node is None else Hash32(node)

    # --- appending

    def append(self, leaves: Sequence[bytes]) -> LogUpdate:
        """Add a block's leaves (their data, not their hashes)."""
        hashes = [sha256(LEAF_TAG + data).digest() for data in leaves]
        rows: list[Row] = []
        if hashes:
            rows.append((Kind.LOG_LEAVES, self._size.to_bytes(8, "big"), b"".join(hashes)))
            self._raise(hashes, rows)
            self._size += len(leaves)
            rows.append((Kind.META, META_LOG, self._size.to_bytes(8, "big") + self.root))
        return LogUpdate(root=self.root, size=self._size, records=rows)

    def _raise(self, nodes: list[bytes], rows: list[Row]) -> None:
        """Join complete subtrees level by level; what stays single waits in the frontier. Empties `nodes`."""
        level, position = 0, self._size  # `position`: number of the first of `nodes` at its level
        while nodes:
            if level % STRIDE == 0 and level:
                rows += [
                    (Kind.LOG_NODE, _node_key(level, position + offset), node)
                    for offset, node in enumerate(nodes)
                ]
            if level == len(self._frontier):
                self._frontier.append(None)
            waiting = self._frontier[level]
            if waiting is not None:
                nodes = [waiting, *nodes]
            self._frontier[level] = nodes.pop() if len(nodes) & 1 else None
            pairs = iter(nodes)
            nodes = [
                sha256(BRANCH_TAG + left + right).digest() for left, right in zip(pairs, pairs, strict=True)
            ]
            level += 1
            position >>= 1  # an odd one had its sibling waiting, and their parent is the same

    # --- proving

    def prove_inclusion(self, index: int, size: int) -> LogProof:
        """That leaf `index` stands in the log as it was at `size` leaves."""
        assert 0 <= index < size <= self._size, (index, size, self._size)
        source = _Source(self._reader)
        path: list[Hash32] = []
        first, end = 0, size
        while end - first > 1:
            middle = first + split_point(end - first)
            if index < middle:
                path.append(source.range_root(middle, end))
                end = middle
            else:
                path.append(source.range_root(first, middle))
                first = middle
        path.reverse()
        return LogProof(index=index, size=size, path=tuple(path))

    def prove_consistency(self, old_size: int, new_size: int) -> LogConsistency:
        """That the log of `old_size` leaves is the beginning of that of `new_size`."""
        assert 0 < old_size <= new_size <= self._size, (old_size, new_size, self._size)
        source = _Source(self._reader)
        path: list[Hash32] = []
        first, end = 0, new_size
        while end != old_size:
            middle = first + split_point(end - first)
            if old_size <= middle:
                path.append(source.range_root(middle, end))
                end = middle
            else:
                path.append(source.range_root(first, middle))
                first = middle
        # RFC 9162, 2.1.4.1: the older log's own root is known to the verifier when it is a whole subtree.
        if first != 0:
            path.append(source.range_root(first, end))
        path.reverse()
        return LogConsistency(old_size=old_size, new_size=new_size, path=tuple(path))

    def root_at(self, size: int) -> Hash32:
        """The root when the log had `size` leaves."""
        assert 0 <= size <= self._size, (size, self._size)
        return _Source(self._reader).range_root(0, size) if size else EMPTY_LOG_ROOT

    def leaf_hash(self, index: int) -> Hash32:
        """The hash of a leaf."""
        assert 0 <= index < self._size, (index, self._size)
        return Hash32(_Source(self._reader).node(0, index))

    # --- loading

    def _load(self) -> None:
        note = self._reader.record(Kind.META, META_LOG)
        if note is None:
            return
        self._size = int.from_bytes(note[:8], "big")
        source = _Source(self._reader)
        for level in range(self._size.bit_length()):
            # The subtree that waits at a level is the last whole one of an odd number.
            number = self._size >> level
            self._frontier.append(source.node(level, number - 1) if number & 1 else None)
        if self.root != note[8:]:
            raise StorageDamaged("the log", "its leaves do not lead to the root that was stored")


class _Source:
    """Nodes of the tree, read from records and hashed as needed; one per proof, so it never grows old."""

    def __init__(self, reader: RecordReader) -> None:
        self._reader = reader
        self._stored: dict[tuple[int, int], list[bytes]] = {}  # groups of a stored level
        self._joined: dict[tuple[int, int], bytes] = {}

    def range_root(self, first: int, end: int) -> Hash32:
        """The root over leaves first ≤ i < end, where `first` starts a subtree that holds them all."""
        size = end - first
        level = size.bit_length() - 1
        if size == 1 << level:
            return Hash32(self.node(level, first >> level))
        middle = first + split_point(size)
        return log_node(self.range_root(first, middle), self.range_root(middle, end))

    def node(self, level: int, number: int) -> bytes:
        """The hash of a complete subtree."""
        if level % STRIDE == 0:
            group = self._group(level, number >> STRIDE)
            offset = number & (FAN - 1)
            if offset >= len(group):
                raise StorageDamaged("the log", f"node {number} of level {level} is missing")
            return group[offset]
        known = self._joined.get((level, number))
        if known is None:
            known = log_node(self.node(level - 1, 2 * number), self.node(level - 1, 2 * number + 1))
            self._joined[level, number] = known
        return known

    def _group(self, level: int, number: int) -> list[bytes]:
        group = self._stored.get((level, number))
        if group is None:
            group = self._read_leaves(number) if level == 0 else self._read_nodes(level, number)
            self._stored[level, number] = group
        return group

    def _read_nodes(self, level: int, number: int) -> list[bytes]:
        start, stop = _node_key(level, number * FAN), _node_key(level, (number + 1) * FAN)
        return [node for _, node in self._reader.records(Kind.LOG_NODE, start=start, stop=stop)]

    def _read_leaves(self, number: int) -> list[bytes]:
        first, end = number * FAN, (number + 1) * FAN
        parts: list[bytes] = []
        # The record in which the group begins is the last one that does not start after it.
        before = self._reader.records(Kind.LOG_LEAVES, stop=(first + 1).to_bytes(8, "big"), reverse=True)
        at = first
        for key, hashes in before:
            parts.append(hashes[(first - int.from_bytes(key, "big")) * HASH_BYTES :])
            at = int.from_bytes(key, "big") + len(hashes) // HASH_BYTES
            break
        if at < end:
            rows = self._reader.records(
                Kind.LOG_LEAVES, start=(first + 1).to_bytes(8, "big"), stop=end.to_bytes(8, "big")
            )
            parts += [hashes for _, hashes in rows]
        joined = b"".join(parts)[: FAN * HASH_BYTES]
        return [joined[offset : offset + HASH_BYTES] for offset in range(0, len(joined), HASH_BYTES)]


def _node_key(level: int, number: int) -> bytes:
    return bytes((level,)) + number.to_bytes(8, "big")

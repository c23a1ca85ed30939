"""State values with their proofs: the store's values joined with the authenticated tree.

`apply` takes a block's changed values and returns the root and the records
for the block's write batch; the values go into the same batch. For the last
blocks the replaced values are kept too, so that a value and its proof can be
given at the newest anchored height. A block must be committed before the next
is applied.

`SlotCheck` goes through all values and slots in slices while the node works,
and raises `StorageDamaged` for the first that differs. Voting does not wait
for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from licet.merkle import RADIX, STATE_DEPTH, StateProof
from licet.types import Hash32, Height

from node.storage.errors import StorageDamaged
from node.storage.port import Storage
from node.storage.state_tree import CACHE_BYTES, HISTORY_BLOCKS, StateTree, TreeUpdate


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenValue:
    """A value (None: absent) at a height, with the proof under that height's state root."""

    key: bytes
    value: bytes | None
    height: Height
    proof: StateProof


class State:
    """The ledger's state: what a block reads and what a proof shows."""

    def __init__(
        self,
        storage: Storage,
        *,
        depth: int = STATE_DEPTH,
        history_blocks: int = HISTORY_BLOCKS,
        tree_cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._storage = storage
        self._history_blocks = history_blocks
        self.tree: Final = StateTree.load(
            storage,
            height=storage.height,
            depth=depth,
            history_blocks=history_blocks,
            cache_bytes=tree_cache_bytes,
        )
        # Per block, the values it replaced.
        self._replaced: deque[tuple[int, dict[bytes, bytes | None]]] = deque(maxlen=history_blocks)
        self._checks: list[SlotCheck] = []

    @property
    def root(self) -> Hash32:
        """The state root after the last applied block."""
        return self.tree.root

    def get(self, key: bytes) -> bytes | None:
        """A committed value. Of a new record the tree knows that it is not there: no search in the store."""
        return None if self.tree.absent(key) else self._storage.get(key)

    def scan(self, prefix: bytes, *, after: bytes | None = None, limit: int) -> list[tuple[bytes, bytes]]:
        """Committed values by key prefix, as the store gives them."""
        return self._storage.scan(prefix, after=after, limit=limit)

    def apply(
        self, height: Height, changes: Mapping[bytes, bytes | None], *, created: Iterable[bytes] = ()
    ) -> TreeUpdate:
        """The root after a block that leaves these values (None: deleted), and the records to store.

        `created` are keys that the caller has read and found absent.
        """
        get = self._storage.get
        before: dict[bytes, bytes | None] = dict.fromkeys(created)
        for key in changes:
            if key not in before:
                before[key] = get(key)
        update = self.tree.apply(height, changes)
        self._replaced.append((height, before))
        for check in self._checks:
            check.note(before, changes)
        return update

    def value_at(self, key: bytes, height: int) -> bytes | None:
        """The value of a key after a kept block."""
        for changed_at, before in self._replaced:
            if changed_at > height and key in before:
                return before[key]
        return self._storage.get(key)

    def prove(self, key: bytes, at_height: Height) -> ProvenValue:
        """A value or an absence at a kept height; raises `HeightNotKept`."""
        proof = self.tree.prove(key, at_height)
        value = self.value_at(key, at_height)
        return ProvenValue(key=key, value=value, height=at_height, proof=proof)

    def start_check(self) -> SlotCheck:
        """Begin a check of everything against everything."""
        check = SlotCheck(self._storage, self.tree)
        self._checks = [check]
        return check


class SlotCheck:
    """One pass over all values and slots, in slices."""

    def __init__(self, storage: Storage, tree: StateTree) -> None:
        self._storage = storage
        self._tree = tree
        self._after: bytes | None = None  # the last key that was compared
        self._seen = 0  # keys up to it that have a value now
        self._values_done = False
        self._slot = 0
        self._slots = RADIX**tree.depth
        self.done = False

    def check_slots(self, limit: int) -> bool:
        """Compare up to `limit` values, then slots; True when all were compared. Raises `StorageDamaged`."""
        if self._storage.height != self._tree.height:
            return False  # a block is between tree and disk; the next slice finds both alike
        if not self._values_done:
            self._compare_values(limit)
        elif not self.done:
            self._tree.check_pages(self._slot, limit)
            self._slot += limit
            self.done = self._slot >= self._slots
        return self.done

    def _compare_values(self, limit: int) -> None:
        found = self._storage.scan(b"", after=self._after, limit=limit)
        for key, value in found:
            if self._tree.value_hash(sha256(key).digest()) != sha256(value).digest():
                raise StorageDamaged(
                    "the state", "a value is not the one in the state tree", facts={"key": key.hex()}
                )
            self._after = key
        self._seen += len(found)
        if len(found) == limit:
            return
        self._values_done = True
        if self._seen != self._tree.key_count:
            raise StorageDamaged(
                "the state", f"it has {self._seen} values and the state tree {self._tree.key_count} keys"
            )

    def note(self, before: Mapping[bytes, bytes | None], after: Mapping[bytes, bytes | None]) -> None:
        """Count what a block adds or takes among the keys already compared."""
        if self._after is None or self._values_done:
            return
        for key, value in after.items():
            if key <= self._after:
                self._seen += (value is not None) - (before[key] is not None)

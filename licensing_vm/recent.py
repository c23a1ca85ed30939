"""Exactly once: which (sender, id) were used inside the last window.

The index is no part of the tree: it follows from the log's last window. `remember` rebuilds it at start,
`add` extends it during a block, and block time expires it. An entry is kept while a transaction that
used it could still be valid, so that a repeat is either found here or too old to execute.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, final


class Place(NamedTuple):
    """Where a receipt stands in the log."""

    height: int
    position: int  # in its block


_Key = tuple[str, bytes]
_Use = tuple[bytes, Place]


@final
class RecentIds:
    __slots__ = ("_added", "_blocks", "_expired", "_known", "_now", "_window")

    def __init__(self, window_ms: int) -> None:
        self._window = window_ms
        self._known: dict[_Key, _Use] = {}
        self._blocks: deque[tuple[int, dict[_Key, _Use]]] = deque()  # block time and uses; rising
        self._added: dict[_Key, _Use] = {}
        self._expired: list[tuple[int, dict[_Key, _Use]]] = []
        self._now = 0

    def __len__(self) -> int:
        return len(self._known)

    def find(self, sender: str, id_: bytes) -> _Use | None:
        """The hash that used it and the place of its receipt."""
        return self._known.get((sender, id_))

    def find_at(self, sender: str, id_: bytes, now_ms: int) -> _Use | None:
        """What a block of this time would find; changes nothing."""
        use = self._known.get((sender, id_))
        if use is None:
            return None
        for time, uses in self._blocks:
            if time + self._window >= now_ms:
                break
            if uses.get((sender, id_)) is use:
                return None
        return use

    def open(self, now_ms: int) -> None:
        """Begin a block: set aside what no valid transaction can repeat any more.

        A transaction executed at time t was valid until t + window at most. What is known during a block
        depends on its time alone, never on which blocks a node happened to execute before.
        """
        self._now = now_ms
        known, blocks = self._known, self._blocks
        while blocks and blocks[0][0] + self._window < now_ms:
            block = blocks.popleft()
            self._expired.append(block)
            for key, use in block[1].items():
                if known.get(key) is use:
                    del known[key]

    def add(self, sender: str, id_: bytes, hash_: bytes, place: Place) -> None:
        key = (sender, id_)
        self._known[key] = self._added[key] = (hash_, place)

    def commit(self) -> None:
        self._expired.clear()
        if self._added:
            self._blocks.append((self._now, self._added))
            self._added = {}

    def discard(self) -> None:
        """Take back the block: its additions, and what its time had expired."""
        for key in self._added:
            del self._known[key]
        self._added = {}
        while self._expired:
            block = self._expired.pop()
            self._blocks.appendleft(block)
            for key, use in block[1].items():
                self._known.setdefault(key, use)

    def remember(self, sender: str, id_: bytes, hash_: bytes, place: Place, timestamp_ms: int) -> None:
        """One receipt of the log's last window, in ledger order."""
        key = (sender, id_)
        use = self._known[key] = (hash_, place)
        if not self._blocks or self._blocks[-1][0] != timestamp_ms:
            self._blocks.append((timestamp_ms, {}))
        self._blocks[-1][1][key] = use

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


@final
class RecentIds:
    __slots__ = ("_added", "_blocks", "_known", "_now", "_window")

    def __init__(self, window_ms: int) -> None:
        self._window = window_ms
        self._known: dict[_Key, tuple[bytes, Place]] = {}
        self._blocks: deque[tuple[int, list[_Key]]] = deque()  # block time, keys used at it; rising
        self._added: list[_Key] = []
        self._now = 0

    def __len__(self) -> int:
        return len(self._known)

    def find(self, sender: str, id_: bytes) -> tuple[bytes, Place] | None:
        """The hash that used it and the place of its receipt."""
        return self._known.get((sender, id_))

    def open(self, now_ms: int) -> None:
        """Begin a block: forget what no valid transaction can repeat any more.

        A transaction executed at time t was valid until t + window at most.
        """
        self._now = now_ms
        self._added = []
        blocks = self._blocks
        while blocks and blocks[0][0] + self._window < now_ms:
            for key in blocks.popleft()[1]:
                del self._known[key]

    def add(self, sender: str, id_: bytes, hash_: bytes, place: Place) -> None:
        key = (sender, id_)
        self._known[key] = (hash_, place)
        self._added.append(key)

    def commit(self) -> None:
        if self._added:
            self._blocks.append((self._now, self._added))
            self._added = []

    def discard(self) -> None:
        """Take back the block's additions. What `open` expired was out of every window since."""
        for key in self._added:
            del self._known[key]
        self._added = []

    def remember(self, sender: str, id_: bytes, hash_: bytes, place: Place, timestamp_ms: int) -> None:
        """One receipt of the log's last window, in ledger order."""
        key = (sender, id_)
        self._known[key] = (hash_, place)
        if self._blocks and self._blocks[-1][0] == timestamp_ms:
            self._blocks[-1][1].append(key)
        else:
            self._blocks.append((timestamp_ms, [key]))

"""What the last blocks replaced in the state tree, so that older heights can be proved.

A block's share is packed arrays of node numbers and hashes, and the pages it
replaced. Reading an older height starts from the newest and puts back what
the blocks above it replaced.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from licet.types import Height

from node.storage.errors import HeightNotKept
from node.storage.tree_levels import Replaced


class Undo(NamedTuple):
    """What one block replaced: by level from the root (0) to the slots, and pages by number."""

    height: int
    levels: list[Replaced]
    pages: dict[int, bytes | None]


class TreeHistory:
    """The undos of the last blocks, in order of height without gaps."""

    def __init__(self, blocks_max: int) -> None:
        assert blocks_max >= 1, blocks_max
        self._blocks_max = blocks_max
        self._undos: deque[Undo] = deque()
        self.height: Height | None = None  # applied last
        self.lowest = 0  # the oldest height that can be read

    def begin(self, height: Height, *, unchanged_since: int) -> None:
        """A tree was loaded at this height and has been the same since an older one."""
        self.height = height
        self.lowest = unchanged_since

    def add(self, undo: Undo) -> None:
        """A block was applied."""
        if self.height is None:
            self.lowest = undo.height
        else:
            self._undos.append(undo)
            if len(self._undos) > self._blocks_max:
                self.lowest = self._undos.popleft().height
        self.height = Height(undo.height)

    def since(self, height: int) -> list[Undo]:
        """What the blocks above a kept height replaced, the oldest first; raises `HeightNotKept`."""
        highest = -1 if self.height is None else self.height
        if not self.lowest <= height <= highest:
            raise HeightNotKept(height=height, lowest=self.lowest, highest=highest)
        return [undo for undo in self._undos if undo.height > height]

    def fresh_pages(self) -> dict[int, bytes | None]:
        """The pages that the last block replaced: their successors may still be on the way to disk."""
        return self._undos[-1].pages if self._undos else {}

"""What the last blocks wrote, kept for a while, so that nodes whose roots differ can find where (C-13).

Keeping a block costs a few references: the notes of `licensing_vm.trail`, which exist anyway. Blocks that
no executed header anchors yet are always kept (an anchor lag bounds how many can hold transactions); of
older ones the newest, as far as the limits go. In memory only: a restart begins with none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from licet.certificate import ExecutedRoots
from licet.types import Height

from licensing_vm.trail import Row, Trail
from licensing_vm.transition import BlockResult
from node.ledger.finding import EarlierFinding
from node.limits import WRITES_HEIGHTS_KEPT, WRITES_KEPT_MAX


@dataclass(slots=True, kw_only=True)
class BlockWrites:
    """One executed block: its roots, and the rows of its trail once that is prepared."""

    roots: ExecutedRoots
    trail: Trail
    weight: int  # about how many writes it holds on to

    def prepare(self) -> bool:
        """Work for one slice; True when rows can be read."""
        return self.trail.prepare()

    @property
    def total(self) -> int:
        return self.trail.total

    def rows(self, first: int, count: int) -> list[Row]:
        return self.trail.rows(first, count)


class RecentWrites:
    """The window. The executor fills it, the core reads it."""

    def __init__(self, earlier: EarlierFinding | None = None) -> None:
        self._earlier = earlier
        self._kept: deque[BlockWrites] = deque()
        self._weight = 0

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, roots: ExecutedRoots, result: BlockResult, *, anchored: Height) -> None:
        """A block was executed whose header anchors this height."""
        block = BlockWrites(roots=roots, trail=Trail(result), weight=len(result.notes) // 2 + 1)
        self._kept.append(block)
        self._weight += block.weight
        while self._kept[0].roots.height <= anchored and self._is_full():
            self._weight -= self._kept.popleft().weight

    def _is_full(self) -> bool:
        return self._weight > WRITES_KEPT_MAX or len(self._kept) > WRITES_HEIGHTS_KEPT

    def at(self, height: Height) -> BlockWrites | None:
        """The block at this height, if it is still kept."""
        if not self._kept:
            return None
        place = height - self._kept[0].roots.height
        return self._kept[place] if 0 <= place < len(self._kept) else None

    def found_before(self, ours: ExecutedRoots) -> str:
        """What was found before a restart where these were our roots; empty if nothing was."""
        return "" if self._earlier is None else self._earlier.about(ours)

    def heights(self) -> Iterable[Height]:
        """What is kept, ascending."""
        return (block.roots.height for block in self._kept)

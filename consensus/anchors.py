"""C-13: what this replica executed, and what headers claim about it.

Roots are kept from the height that the committed head anchors upwards: no
header that may still come can name a lower one. A claim about a height not yet
executed is pending, never a "no"; only other roots at an executed height are a
mismatch.
"""

from __future__ import annotations

from enum import Enum

from licet.certificate import ExecutedRoots, Header
from licet.types import Hash32, Height


class Claim(Enum):
    """How a header's `executed` compares with what this replica computed."""

    EQUAL = "equal"
    PENDING = "pending"
    MISMATCH = "mismatch"


class Anchors:
    """The roots by height, and the newest height that changed anything (C-9)."""

    def __init__(self, genesis: ExecutedRoots) -> None:
        self._roots: dict[Height, ExecutedRoots] = {genesis.height: genesis}
        self._claims: dict[Height, Header] = {}  # of final headers, about heights not executed yet
        self.newest = genesis
        self.change_height = genesis.height  # the lowest height with the newest roots

    def restore(self, executed: tuple[ExecutedRoots, ...], head_anchor: ExecutedRoots) -> None:
        """Take up the stored roots, ascending; `head_anchor` is what the committed head anchors.

        Where ours differ from these, ours stay: a restart must not make us believe that they agree.
        """
        own = next((roots for roots in executed if roots.height == head_anchor.height), head_anchor)
        self._roots = {own.height: own}
        self.newest, self.change_height = own, own.height
        for roots in executed:
            if roots.height > head_anchor.height:
                self.executed(roots)

    def executed(self, roots: ExecutedRoots) -> Header | None:
        """A height was executed. Returns a final header that claims other roots for it, if one does."""
        assert roots.height > self.newest.height, "C-6: blocks are executed in order, each once"
        changed = _differs(roots, self.newest)
        self._roots[roots.height] = roots
        self.newest = roots
        if changed:
            self.change_height = roots.height
        claim = self._claims.pop(roots.height, None)
        return claim if claim is not None and claim.executed != roots else None

    def compare(self, claimed: ExecutedRoots) -> Claim:
        """Judge a header's claim."""
        ours = self._roots.get(claimed.height)
        if ours is None:
            return Claim.PENDING
        return Claim.EQUAL if ours == claimed else Claim.MISMATCH

    def at(self, height: Height) -> ExecutedRoots | None:
        return self._roots.get(height)

    def committed(self, header: Header) -> None:
        """A header became final: remember a claim that cannot be judged yet, forget what is too low."""
        if header.executed.height > self.newest.height:
            self._claims[header.executed.height] = header
        lowest = min(header.executed.height, self.newest.height)
        for height in [height for height in self._roots if height < lowest]:
            del self._roots[height]

    def unanchored(self, anchored: Height) -> bool:
        """Whether a change was executed that a chain anchoring `anchored` does not cover."""
        return anchored < self.change_height


def _differs(one: ExecutedRoots, other: ExecutedRoots) -> bool:
    first: tuple[Hash32, Hash32] = (one.state_root, one.log_root)
    return first != (other.state_root, other.log_root)

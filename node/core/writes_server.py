"""Tells peers what recent blocks wrote, a page at a time, without getting in the way (C-13, C-16).

One request of each peer waits, the newest; a peer gets one page in `WRITES_PAGE_EVERY_US`, so that
whoever floods delays its own answers and nobody else's. Work is done in slices: each call of `step` looks
at some writes or hashes some values, and no more. The block that a peer is reading stays held for it when the
window moves on. Pure: the caller says what time it is and sends what `step` returns.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from licet.types import ValidatorIndex

from licensing_vm.trail import Row
from node.core.parts import WritesSource, WrittenBlock
from node.limits import WRITES_PAGE_EVERY_US, WRITES_ROWS_PER_STEP
from node.net.peer_messages import WritesPage, WritesRequest


@dataclass(slots=True)
class _Reader:
    asked: WritesRequest | None = None
    block: WrittenBlock | None = None
    rows: list[Row] = field(default_factory=list)  # of the page being made
    not_before_us: int = 0


class WritesServer:
    """The requests of all peers."""

    def __init__(self, source: WritesSource) -> None:
        self._source = source
        self._readers: dict[ValidatorIndex, _Reader] = {}

    def wanted(self, peer: ValidatorIndex, request: WritesRequest) -> None:
        """A peer asks; what it asked before and did not get yet is forgotten."""
        reader = self._readers.setdefault(peer, _Reader())
        reader.asked = request
        reader.rows = []
        if reader.block is None or reader.block.roots.height != request.height:
            reader.block = self._source.at(request.height)

    def lost(self, peer: ValidatorIndex) -> None:
        """Its channel is gone: nothing is held for it any more, but its next page is due no sooner."""
        reader = self._readers.get(peer)
        if reader is not None:
            reader.asked, reader.block, reader.rows = None, None, []

    def step(self, mono_us: int) -> list[tuple[ValidatorIndex, WritesPage]]:
        """One slice of work for the peer whose turn it is; its page, if that is done."""
        for peer, reader in self._readers.items():
            if reader.asked is None or reader.not_before_us > mono_us:
                continue
            self._readers[peer] = self._readers.pop(peer)  # the others first, next time
            page = _work(reader, reader.asked)
            if page is None:
                return []
            reader.asked, reader.rows = None, []
            if page.first_row + len(page.rows) >= page.total:
                reader.block = None  # read to its end
            reader.not_before_us = mono_us + WRITES_PAGE_EVERY_US
            return [(peer, page)]
        return []

    def next_at(self) -> int | None:
        """When `step` has something to do next."""
        return min(
            (one.not_before_us for one in self._readers.values() if one.asked is not None), default=None
        )


def _work(reader: _Reader, request: WritesRequest) -> WritesPage | None:
    block = reader.block
    if block is None:
        return WritesPage(height=request.height, roots=None)
    if request.rows == 0:
        return WritesPage(height=request.height, roots=block.roots)
    if not block.prepare():
        return None
    at = request.first_row + len(reader.rows)
    count = min(WRITES_ROWS_PER_STEP, request.rows - len(reader.rows))
    reader.rows += block.rows(at, count)
    if len(reader.rows) < request.rows and at + count < block.total:
        return None
    return WritesPage(
        height=request.height,
        roots=block.roots,
        first_row=request.first_row,
        total=block.total,
        rows=tuple(reader.rows),
    )

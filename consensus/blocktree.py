"""Blocks above the committed head, and what of the final chain still matters.

Keeps: the head (genesis at first), every held block above it, the last few final
blocks for peers that ask by id, and the digests that final blocks ordered within
the digest window. Bounded: `BLOCKS_HELD_MAX` above the head (C-16).
It decides nothing: what may be added or committed is the caller's business.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from licet.certificate import ExecutedRoots
from licet.types import Hash32, Height, TimestampMs, View

from consensus.config import BLOCKS_HELD_MAX, RECENT_FINAL_MAX, ChainConfig
from consensus.types import Block, RecentDigest


class Payload(Enum):
    """What is known of a held block's batches."""

    UNKNOWN = "unknown"
    ASKED = "asked"  # a CheckPayload is out
    VALID = "valid"
    INVALID = "invalid"


@dataclass(slots=True, kw_only=True)
class Entry:
    """A block in the tree, or genesis (which has no block)."""

    id: Hash32
    view: View
    height: Height
    timestamp_ms: TimestampMs
    executed: ExecutedRoots
    parent_id: Hash32
    block: Block | None
    held_us: int  # when this replica first held it
    payload: Payload = Payload.UNKNOWN
    persisted: bool = False  # stands in the payload file or the block store
    over_half_full: bool = False
    digests: frozenset[Hash32] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """The way from the head up to a block: whole, broken at a missing block, or leading elsewhere."""

    entries: tuple[Entry, ...] = ()  # ascending, without the head
    missing: Hash32 | None = None
    reached: Height | None = None  # the lowest height held above the gap
    off_chain: bool = False  # it does not descend from the head

    @property
    def whole(self) -> bool:
        return self.missing is None and not self.off_chain


class BlockTree:
    """See the module's docstring."""

    def __init__(self, config: ChainConfig) -> None:
        self._config = config
        self.head = Entry(
            id=config.genesis_id,
            view=View(0),
            height=Height(0),
            timestamp_ms=config.genesis_time_ms,
            executed=config.genesis_roots,
            parent_id=config.genesis_id,
            block=None,
            held_us=0,
            payload=Payload.VALID,
            persisted=True,
        )
        self._held: dict[Hash32, Entry] = {}
        self._recent: deque[Entry] = deque(maxlen=RECENT_FINAL_MAX)
        self._final_digests: dict[Hash32, TimestampMs] = {}
        self.newest_with_digests: Entry | None = None  # C-9 pacing

    def restore(self, head: Block | None, recent: tuple[RecentDigest, ...], mono_us: int) -> None:
        """Take up the committed head of the block store. Once, before anything is added."""
        if head is not None:
            self.head = _entry(head, mono_us)
            self.head.persisted, self.head.payload = True, Payload.VALID
            self._recent.append(self.head)
        for one in recent:
            self._final_digests[one.digest] = one.timestamp_ms

    @property
    def full(self) -> bool:
        """Whether no further uncertified block is taken in."""
        return len(self._held) >= BLOCKS_HELD_MAX

    def get(self, block_id: Hash32) -> Entry | None:
        """A held block above the head, or the head itself."""
        return self.head if block_id == self.head.id else self._held.get(block_id)

    def add(self, block: Block, mono_us: int) -> Entry:
        """Hold a block; the entry that is there already, if it is."""
        entry = self.get(block.id)
        if entry is None:
            entry = self._held[block.id] = _entry(block, mono_us)
            newest = self.newest_with_digests
            if block.digests and (newest is None or newest.view < entry.view):
                self.newest_with_digests = entry
        return entry

    def find_recent(self, block_id: Hash32) -> Block | None:
        """A held or recently final block, for a peer that asks by id."""
        entry = self.get(block_id) or next((one for one in self._recent if one.id == block_id), None)
        return entry.block if entry is not None else None

    def path(self, block_id: Hash32) -> Path:
        """The blocks from the head (exclusive) up to this one."""
        entries: list[Entry] = []
        at, reached = block_id, None
        while at != self.head.id:
            entry = self._held.get(at)
            if entry is None:
                return Path(missing=at, reached=reached)
            if entry.height <= self.head.height:
                return Path(off_chain=True)
            entries.append(entry)
            at, reached = entry.parent_id, entry.height
        entries.reverse()
        return Path(entries=tuple(entries))

    def digest_used(self, digest: Hash32, entries: tuple[Entry, ...], *, since_ms: int) -> bool:
        """Whether an ancestor (of the path or final) no older than `since_ms` ordered the digest (C-14)."""
        final = self._final_digests.get(digest)
        if final is not None and final >= since_ms:
            return True
        return any(digest in entry.digests and entry.timestamp_ms >= since_ms for entry in entries)

    def commit(self, entries: tuple[Entry, ...]) -> None:
        """Move the head up along a whole path and forget what it leaves behind."""
        for entry in entries:
            assert entry.parent_id == self.head.id, "C-6: along the chain"
            assert entry.height == self.head.height + 1, "C-6: in order"
            assert entry.block is not None
            for digest in entry.block.digests:
                self._final_digests.pop(digest, None)  # keep insertion order = order of time
                self._final_digests[digest] = entry.timestamp_ms
            self._held.pop(entry.id, None)
            self._recent.append(entry)
            self.head = entry
        head = self.head
        for stale in [e.id for e in self._held.values() if e.height <= head.height or e.view <= head.view]:
            del self._held[stale]
        oldest = head.timestamp_ms - self._config.digest_window_ms
        while self._final_digests:
            digest, timestamp = next(iter(self._final_digests.items()))
            if timestamp >= oldest:
                break
            del self._final_digests[digest]


def _entry(block: Block, mono_us: int) -> Entry:
    header = block.header
    return Entry(
        id=header.id,
        view=header.view,
        height=header.height,
        timestamp_ms=header.timestamp_ms,
        executed=header.executed,
        parent_id=header.parent_id,
        block=block,
        held_us=mono_us,
        payload=Payload.UNKNOWN if block.digests else Payload.VALID,
        digests=frozenset(block.digests),
    )

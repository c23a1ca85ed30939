"""Batches that are not final yet: held, offered to blocks, checked, dropped (C-14, C-9).

* A batch stays until its block is final, or until its last `valid_until` has
  passed while no held block refers to it. Batches of held blocks are never
  dropped: such a block may be notarized and become final through a descendant.
* A block that is not final gives its batches back when another one becomes final
  in its view or above it.
* Each author has a byte quota for batches to which no block refers; a batch that
  a block needs is taken whatever the quota says.

* A block is filled with the work in mind that its batches will probably ask (`licensing_vm.foresight`).

Pure, and per batch: nothing here looks at a transaction but that guess.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from licet.types import Hash32, TimestampMs, ValidatorIndex, View

from consensus.effects import BuildProposal
from consensus.types import Block, RecentDigest, Verdict
from licensing_vm.foresight import Foresight
from node.core.batches import Batch
from node.limits import (
    AUTHOR_QUOTA_BYTES,
    BLOCK_BYTES_TARGET,
    LEFT_OUT_MAX,
    OWN_QUOTA_BYTES,
    POOL_BATCHES_MAX,
)


class Added(Enum):
    """What became of a batch that came in."""

    NEW = "new"
    HELD = "held"  # held already
    FINAL = "final"  # a final block of the window ordered it
    OVER_QUOTA = "over_quota"


@dataclass(slots=True, kw_only=True)
class _Held:
    batch: Batch
    since_us: int
    references: int = 0  # held unfinalised blocks that order it
    offered_view: int = 0


@dataclass(slots=True)
class _Usage:
    """Unreferenced batches of one author."""

    bytes: int = 0
    batches: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalised:
    """What a final block changed."""

    batches: tuple[Batch | None, ...]  # in the block's order; None is not held
    orphans: tuple[Block, ...]  # held blocks that can be final no more


class Mempool:
    """The batches this node holds and the unfinalised blocks that refer to them."""

    def __init__(
        self,
        *,
        me: ValidatorIndex | None,
        block_batches_max: int,
        block_cost_max: int,
        digest_window_ms: int,
        foresight: Foresight | None = None,
    ) -> None:
        """`foresight` guesses the work of what a block may hold; without one every offer is new."""
        self._me = me
        self._block_batches_max = block_batches_max
        self._block_cost_max = block_cost_max
        self._window_ms = digest_window_ms
        self._foresight = foresight or Foresight()
        self._held: dict[Hash32, _Held] = {}  # in order of arrival
        self._usage: dict[ValidatorIndex, _Usage] = {}
        self._blocks: dict[Hash32, Block] = {}
        self._wanted: dict[Hash32, int] = {}  # digest → held blocks that order it while it is not held
        self._recent: dict[Hash32, TimestampMs] = {}
        self._recent_order: deque[RecentDigest] = deque()
        self._free_bytes = 0
        self._free_cost = 0
        self._free_batches = 0

    # --- batches

    def restore(self, recent: Iterable[RecentDigest]) -> None:
        """Take up the digests of the window's final blocks."""
        for entry in recent:
            self._recent[entry.digest] = entry.timestamp_ms
            self._recent_order.append(entry)

    def add(self, batch: Batch, *, mono_us: int) -> Added:
        """Take a verified batch, unless its author's quota is used up and no block needs it."""
        digest = batch.digest
        if digest in self._held:
            return Added.HELD
        references = self._wanted.pop(digest, 0)
        if not references:
            if digest in self._recent:
                return Added.FINAL
            if not self.room(batch.author, batch.size):
                return Added.OVER_QUOTA
        self._held[digest] = _Held(batch=batch, since_us=mono_us, references=references)
        if not references:
            self._count(batch, 1)
        return Added.NEW

    def room(self, author: ValidatorIndex, size: int) -> bool:
        """Whether a batch of this size fits the author's quota."""
        usage = self._usage.get(author)
        quota = OWN_QUOTA_BYTES if author == self._me else AUTHOR_QUOTA_BYTES
        return usage is None or (usage.bytes + size <= quota and usage.batches < POOL_BATCHES_MAX)

    def used_bytes(self, author: ValidatorIndex) -> int:
        """Bytes of the author's unreferenced batches."""
        usage = self._usage.get(author)
        return 0 if usage is None else usage.bytes

    def waiting_of(self, author: ValidatorIndex) -> int:
        """How many of the author's batches no block orders yet."""
        usage = self._usage.get(author)
        return 0 if usage is None else usage.batches

    def get(self, digest: Hash32) -> Batch | None:
        """A held batch."""
        held = self._held.get(digest)
        return None if held is None else held.batch

    def is_recent(self, digest: Hash32) -> bool:
        """Whether a final block of the window ordered it."""
        return digest in self._recent

    def is_wanted(self, digest: Hash32) -> bool:
        """Whether a held block orders it and it is not held."""
        return digest in self._wanted

    def batches(self) -> Iterator[Batch]:
        """Every held batch, oldest first."""
        return (held.batch for held in self._held.values())

    def _count(self, batch: Batch, sign: int) -> None:
        usage = self._usage.setdefault(batch.author, _Usage())
        usage.bytes += sign * batch.size
        usage.batches += sign
        self._free_bytes += sign * batch.size
        self._free_cost += sign * batch.cost
        self._free_batches += sign

    # --- C-9

    @property
    def pending(self) -> bool:
        """Whether anything held is not final: unordered, or ordered by a block that is not final."""
        return bool(self._held)

    @property
    def fills_block(self) -> bool:
        """Whether what no block orders yet fills a whole one."""
        return (
            self._free_batches >= self._block_batches_max
            or self._free_bytes >= BLOCK_BYTES_TARGET
            or self._free_cost >= self._block_cost_max
        )

    @property
    def free_bytes(self) -> int:
        """Bytes of batches to which no block refers."""
        return self._free_bytes

    def held_transactions(self) -> int:
        """Transactions that are not final: unordered, or in a block that is not final. Walks the pool."""
        return sum(len(held.batch.transactions) for held in self._held.values())

    def held_bytes(self) -> int:
        """Bytes of the batches that hold them."""
        return sum(held.batch.size for held in self._held.values())

    def free_digests(self, at_most: int) -> tuple[Hash32, ...]:
        """The oldest batches to which no block refers."""
        found: list[Hash32] = []
        for digest, held in self._held.items():
            if not held.references:
                found.append(digest)
                if len(found) == at_most:
                    break
        return tuple(found)

    def offer_to_leader(self, *, view: View, before_us: int, at_most: int) -> tuple[Hash32, ...]:
        """Unordered batches that came before `before_us` and were not offered in this view yet."""
        found: list[Hash32] = []
        for digest, held in self._held.items():
            if held.since_us > before_us or len(found) == at_most:
                break
            if not held.references and held.offered_view < view:
                held.offered_view = view
                found.append(digest)
        return tuple(found)

    def oldest_us(self) -> int | None:
        """When the oldest held batch came."""
        return next((held.since_us for held in self._held.values()), None)

    # --- blocks

    def build(self, request: BuildProposal) -> tuple[tuple[Hash32, ...], bool]:
        """Digests for a block, oldest first, within every bound; and whether it is over half full."""
        digests: list[Hash32] = []
        size = cost = 0
        room = self._foresight.room()
        left_out = 0
        for digest, held in self._held.items():
            batch = held.batch
            if left_out == LEFT_OUT_MAX:
                break
            if digest in request.exclude or batch.valid_until_ms < request.timestamp_ms:
                continue
            if cost + batch.cost > self._block_cost_max:
                left_out += 1
                continue
            if digests and size + batch.size > BLOCK_BYTES_TARGET:
                break
            # The oldest goes whatever it asks: what finds no room in its block is sent again.
            if not room.takes(batch.transactions, batch.cost, whatever=not digests):
                left_out += 1
                continue
            digests.append(digest)
            size += batch.size
            cost += batch.cost
            if len(digests) == self._block_batches_max:
                break
        return tuple(digests), self._over_half(len(digests), size, cost)

    def _over_half(self, count: int, size: int, cost: int) -> bool:
        return (
            2 * count > self._block_batches_max
            or 2 * size > BLOCK_BYTES_TARGET
            or 2 * cost > self._block_cost_max
        )

    def refer(self, block: Block) -> None:
        """This block is held and may become final: its batches stay."""
        if block.id in self._blocks:
            return
        self._blocks[block.id] = block
        for digest in block.digests:
            held = self._held.get(digest)
            if held is None:
                if digest not in self._recent:  # else the block can be valid no more, and waits for nothing
                    self._wanted[digest] = self._wanted.get(digest, 0) + 1
                continue
            if held.references == 0:
                self._count(held.batch, -1)
            held.references += 1

    def missing(self, block: Block) -> tuple[Hash32, ...]:
        """The block's batches that are not held."""
        return tuple(digest for digest in block.digests if digest not in self._held)

    def check(self, block: Block) -> tuple[Verdict, bool] | None:
        """The verdict on a block's payload and whether it is over half full; None for "not yet" (C-14)."""
        if len(block.digests) > self._block_batches_max:
            return Verdict.INVALID, False
        size = cost = 0
        for digest in block.digests:
            held = self._held.get(digest)
            if held is None:
                return None
            size += held.batch.size
            cost += held.batch.cost
        if cost > self._block_cost_max:
            return Verdict.INVALID, False
        return Verdict.VALID, self._over_half(len(block.digests), size, cost)

    def finalise(self, block: Block) -> Finalised:
        """A block became final: its batches leave, blocks beside it give theirs back."""
        orphans: list[Block] = []
        for one in [one for one in self._blocks.values() if one.view <= block.view]:
            del self._blocks[one.id]
            self._release(one)
            if one.id != block.id:
                orphans.append(one)
        batches: list[Batch | None] = []
        for digest in block.digests:
            held = self._held.pop(digest, None)
            self._wanted.pop(digest, None)
            batches.append(None if held is None else held.batch)
            if held is not None and held.references == 0:
                self._count(held.batch, -1)
            self._recent[digest] = block.header.timestamp_ms
            entry = RecentDigest(digest=digest, timestamp_ms=block.header.timestamp_ms)
            self._recent_order.append(entry)
        self._forget_recent(TimestampMs(block.header.timestamp_ms - self._window_ms))
        return Finalised(batches=tuple(batches), orphans=tuple(orphans))

    def _release(self, block: Block) -> None:
        for digest in block.digests:
            held = self._held.get(digest)
            if held is not None and held.references:
                held.references -= 1
                if held.references == 0:
                    self._count(held.batch, 1)
            elif digest in self._wanted:
                self._wanted[digest] -= 1
                if not self._wanted[digest]:
                    del self._wanted[digest]

    def _forget_recent(self, before: TimestampMs) -> None:
        while self._recent_order and self._recent_order[0].timestamp_ms < before:
            entry = self._recent_order.popleft()
            if self._recent.get(entry.digest) == entry.timestamp_ms:
                del self._recent[entry.digest]

    def expire(self, before_ms: int) -> tuple[Batch, ...]:
        """Drop unreferenced batches whose last moment lies before `before_ms`."""
        gone = [
            held.batch
            for held in self._held.values()
            if not held.references and held.batch.valid_until_ms < before_ms
        ]
        for batch in gone:
            del self._held[batch.digest]
            self._count(batch, -1)
        return tuple(gone)

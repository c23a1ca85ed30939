"""Whatever happens in whatever order, the mempool's books agree with what it holds."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from licet.types import Hash32, ValidatorIndex

from consensus.types import Block
from node.core.batches import Batch
from node.core.mempool import Added, Mempool
from tests.unit.node.core import world

BATCHES = [
    world.batch(1 + number % 3, [number], sequence=number, valid_until_ms=world.START_MS + 10 * number)
    for number in range(12)
]


class Books(RuleBasedStateMachine):
    """A dumb model: what was put in and what may have left."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Mempool(
            me=ValidatorIndex(0), block_batches_max=4, block_cost_max=1_000, digest_window_ms=60_000
        )
        self.held: dict[Hash32, Batch] = {}
        self.blocks: dict[Hash32, Block] = {}
        self.final: set[Hash32] = set()
        self.final_view = 0
        self.height = 0

    def referred(self) -> set[Hash32]:
        return {digest for block in self.blocks.values() for digest in block.digests}

    @rule(one=st.sampled_from(BATCHES))
    def add(self, one: Batch) -> None:
        result = self.pool.add(one, mono_us=0)
        if one.digest in self.held:
            assert result is Added.HELD
        elif one.digest in self.final:
            assert result is Added.FINAL
        else:
            assert result is Added.NEW
            self.held[one.digest] = one

    @rule(
        view=st.integers(min_value=1, max_value=6),
        chosen=st.lists(st.sampled_from(BATCHES), max_size=3, unique_by=lambda one: one.digest),
    )
    def refer(self, view: int, chosen: list[Batch]) -> None:
        digests = tuple(one.digest for one in chosen)
        block = world.block(digests, view=self.final_view + view, height=self.height + 1)
        self.pool.refer(block)
        self.blocks[block.id] = block

    @rule(data=st.data())
    def finalise(self, data: st.DataObject) -> None:
        if not self.blocks:
            return
        block = self.blocks[data.draw(st.sampled_from(sorted(self.blocks)))]
        done = self.pool.finalise(block)
        assert [None if one is None else one.digest for one in done.batches] == [
            digest if digest in self.held else None for digest in block.digests
        ]
        gone = {one.id for one in self.blocks.values() if one.view <= block.view}
        assert {one.id for one in done.orphans} == gone - {block.id}
        self.blocks = {one.id: one for one in self.blocks.values() if one.id not in gone}
        for digest in block.digests:
            self.held.pop(digest, None)
        self.final |= set(block.digests)
        self.final_view, self.height = block.view, self.height + 1

    @rule(after_ms=st.integers(min_value=0, max_value=150))
    def expire(self, after_ms: int) -> None:
        before_ms = world.START_MS + after_ms
        spared = self.referred()
        expected = {
            digest
            for digest, one in self.held.items()
            if one.valid_until_ms < before_ms and digest not in spared
        }
        assert {one.digest for one in self.pool.expire(before_ms)} == expected
        for digest in expected:
            del self.held[digest]

    @invariant()
    def books_agree(self) -> None:
        referred = self.referred()
        free = [one for digest, one in self.held.items() if digest not in referred]
        assert {one.digest for one in self.pool.batches()} == set(self.held)
        assert set(self.pool.free_digests(99)) == {one.digest for one in free}
        assert self.pool.free_bytes == sum(one.size for one in free)
        assert self.pool.pending == bool(self.held)
        for author in range(4):
            mine = [one for one in free if one.author == author]
            assert self.pool.used_bytes(ValidatorIndex(author)) == sum(one.size for one in mine)
            assert self.pool.waiting_of(ValidatorIndex(author)) == len(mine)
        for digest in referred - set(self.held):
            assert self.pool.is_wanted(digest) == (digest not in self.final)


TestBooks = Books.TestCase

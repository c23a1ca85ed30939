"""The mempool keeps what may still become final, and bounds what need not (C-14, C-16)."""

from __future__ import annotations

import pytest
from licet.types import Hash32, TimestampMs, ValidatorIndex, View

from consensus.effects import BuildProposal
from consensus.types import RecentDigest, Verdict
from node.core import mempool as module
from node.core.mempool import Added, Mempool
from tests.unit.node.core import world


def pool(**changes: int) -> Mempool:
    limits = {"block_batches_max": 4, "block_cost_max": 1_000, "digest_window_ms": 60_000} | changes
    return Mempool(me=ValidatorIndex(0), **limits)


def ask(exclude: frozenset[Hash32] = frozenset(), now_ms: int = world.START_MS) -> BuildProposal:
    return BuildProposal(
        view=View(1), parent_id=Hash32(bytes(32)), timestamp_ms=TimestampMs(now_ms), exclude=exclude
    )


def test_a_block_is_built_oldest_first_without_what_is_excluded() -> None:
    held = pool()
    batches = [world.batch(1, [number], sequence=number) for number in range(6)]
    for at, one in enumerate(batches):
        assert held.add(one, mono_us=at) is Added.NEW
    assert held.add(batches[0], mono_us=9) is Added.HELD
    digests, over_half = held.build(ask(frozenset({batches[1].digest})))
    assert digests == tuple(batches[at].digest for at in (0, 2, 3, 4))
    assert over_half
    assert held.fills_block


def test_cost_bounds_a_block_and_a_check() -> None:
    held = pool(block_cost_max=25)
    batches = [world.batch(1, [number], sequence=number) for number in range(3)]  # each costs 10
    for one in batches:
        held.add(one, mono_us=0)
    assert len(held.build(ask())[0]) == 2
    digests = tuple(one.digest for one in batches)
    assert held.check(world.block(digests)) == (Verdict.INVALID, False)
    assert held.check(world.block(digests[:2])) == (Verdict.VALID, True)


def test_not_yet_is_never_no() -> None:
    held = pool()
    one, two = world.batch(1, [1]), world.batch(2, [2])
    held.add(one, mono_us=0)
    block = world.block((one.digest, two.digest))
    held.refer(block)
    assert held.check(block) is None
    assert held.missing(block) == (two.digest,)
    assert held.free_bytes == 0
    assert (held.held_transactions(), held.held_bytes()) == (1, one.size), "ordered is not final"
    held.add(two, mono_us=1)
    assert held.check(block) == (Verdict.VALID, False)


def test_too_many_digests_are_invalid_even_when_nothing_is_held() -> None:
    digests = tuple(Hash32(bytes((at,)) * 32) for at in range(5))
    assert pool().check(world.block(digests)) == (Verdict.INVALID, False)


def test_a_final_block_takes_its_batches_and_gives_back_an_orphans() -> None:
    held = pool()
    one, two = world.batch(1, [1]), world.batch(2, [2])
    for batch in (one, two):
        held.add(batch, mono_us=0)
    orphan, final = world.block((two.digest,), view=1), world.block((one.digest,), view=2)
    held.refer(orphan)
    held.refer(final)
    assert held.free_digests(9) == ()
    done = held.finalise(final)
    assert done.batches == (one,)
    assert done.orphans == (orphan,)
    assert held.free_digests(9) == (two.digest,)
    assert held.add(one, mono_us=1) is Added.FINAL
    assert held.is_recent(one.digest)
    assert held.pending
    held.finalise(world.block((two.digest,), view=3, height=2, parent=final))
    assert not held.pending
    assert held.free_bytes == held.held_transactions() == held.held_bytes() == 0


def test_the_window_forgets_digests() -> None:
    held = pool(digest_window_ms=15)
    held.restore([RecentDigest(digest=Hash32(bytes(32)), timestamp_ms=world.START_MS)])
    one = world.batch(1, [1])
    held.add(one, mono_us=0)
    held.finalise(world.block((one.digest,), view=1))  # at +10 ms
    assert held.is_recent(Hash32(bytes(32)))
    held.finalise(world.block((), view=2, height=2))  # at +20 ms: 0 is out, 10 is in
    assert not held.is_recent(Hash32(bytes(32)))
    assert held.is_recent(one.digest)


def test_expiry_spares_what_a_held_block_orders() -> None:
    held = pool()
    free = world.batch(1, [1], valid_until_ms=world.START_MS + 5)
    ordered = world.batch(2, [2], valid_until_ms=world.START_MS + 5)
    lasting = world.batch(3, [3])
    for batch in (free, ordered, lasting):
        held.add(batch, mono_us=0)
    block = world.block((ordered.digest,))
    held.refer(block)
    assert held.expire(world.START_MS + 6) == (free,)
    assert held.get(ordered.digest) is ordered
    # A block whose time lies behind a batch's last moment leaves the batch out.
    assert held.build(ask(now_ms=world.START_MS + 6))[0] == (lasting.digest,)


def test_an_author_over_its_quota_is_heard_only_for_what_a_block_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second, third = (world.batch(1, [n], sequence=n) for n in range(3))
    other = world.batch(2, [9])
    monkeypatch.setattr(module, "AUTHOR_QUOTA_BYTES", first.size + 10)
    held = pool()
    assert held.add(first, mono_us=0) is Added.NEW
    assert held.add(second, mono_us=0) is Added.OVER_QUOTA
    assert held.add(other, mono_us=0) is Added.NEW  # its own quota
    held.refer(world.block((third.digest,)))
    assert held.is_wanted(third.digest)
    assert held.add(third, mono_us=0) is Added.NEW
    assert held.used_bytes(ValidatorIndex(1)) == first.size


def test_old_batches_are_offered_once_a_view() -> None:
    held = pool()
    one, two = world.batch(1, [1]), world.batch(2, [2])
    held.add(one, mono_us=100)
    held.add(two, mono_us=200)
    assert held.offer_to_leader(view=View(3), before_us=150, at_most=8) == (one.digest,)
    assert held.offer_to_leader(view=View(3), before_us=150, at_most=8) == ()
    assert held.offer_to_leader(view=View(4), before_us=250, at_most=8) == (one.digest, two.digest)

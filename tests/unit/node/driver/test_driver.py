"""Whole nodes in one loop: submit, finality, restart, proofs, the virtual clock, a dead disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from licet import proof
from licet.codec import decode_transaction, encode_transaction
from licet.encoding import Tag
from licet.entities import CASH, balance_key
from licet.genesis import Genesis
from licet.receipts import read_receipt
from licet.transactions import KeySignature
from licet.types import Hash32, Height, TimestampMs

from node.core.submit import Admitted, Expired, Finalized, Pending, Refused, Stopping
from node.ledger import indexes
from node.storage.errors import StorageDead
from node.storage.files import RealFile
from tests.unit.node.core import world
from tests.unit.node.driver.world import Member, members


def soon(genesis: Genesis) -> int:
    base = genesis.time_ms if genesis.parameters.manual_clock else time.time_ns() // 1_000_000
    return int(base) + 60_000


def deposits(genesis: Genesis, numbers: range) -> list[bytes]:
    return [world.transaction(n, chain=genesis, valid_until_ms=soon(genesis)) for n in numbers]


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[Member]:
    (member,) = members(world.genesis(1), tmp_path)
    await member.start()
    yield member
    await member.stop()


@pytest.fixture
async def four(tmp_path: Path) -> AsyncIterator[list[Member]]:
    made = members(world.genesis(4), tmp_path)
    for member in made:
        await member.start()
    yield made
    for member in made:
        await member.stop()


def signed_by_a_stranger(raw: bytes) -> bytes:
    """The same body under the signature of somebody without authority."""
    body = decode_transaction(raw).raw_body
    key = world.key("stranger")
    return encode_transaction(
        body, (KeySignature(public_key=key.public_key, signature=key.sign(Tag.TRANSACTION, body)),)
    )


async def test_a_strangers_copy_that_comes_first_is_no_answer_to_the_owner(alone: Member) -> None:
    (raw,) = deposits(alone.genesis, range(1))
    forged = signed_by_a_stranger(raw)
    outcomes = await alone.driver.submit([forged, raw, forged, raw])
    receipts = []
    for outcome in outcomes:
        assert isinstance(outcome, Finalized)
        receipts.append(read_receipt(outcome.receipt))
    assert [one.refusal.code if one.refusal else "" for one in receipts] == ["NO_AUTHORITY", ""] * 2
    stored = indexes.receipt_of(alone.driver.node.storage, outcomes[0].hash or Hash32(b""))
    assert stored is not None
    assert stored.read().committed


async def test_a_transaction_is_final_on_one_node(alone: Member) -> None:
    (raw,) = deposits(alone.genesis, range(1))
    (outcome,) = await alone.driver.submit([raw])
    assert isinstance(outcome, Finalized)
    receipt = read_receipt(outcome.receipt)
    assert receipt.committed
    assert receipt.height == outcome.height
    # The same bytes again: the first receipt, and no second deposit.
    assert await alone.driver.submit([raw]) == [outcome]


async def test_one_call_carries_many_and_each_has_its_outcome(alone: Member) -> None:
    good = deposits(alone.genesis, range(10, 13))
    late = world.transaction(20, chain=alone.genesis, valid_until_ms=world.START_MS - 1)
    foreign = deposits(world.genesis(4), range(1))[0]
    found = await alone.driver.submit([good[0], late, b"junk", good[1], foreign, good[2], good[0]])
    kinds = [type(one) for one in found]
    assert kinds == [Finalized, Refused, Refused, Finalized, Refused, Finalized, Finalized]
    assert found[0] == found[6]
    assert isinstance(found[1], Refused)
    assert isinstance(found[1].error, Expired)
    heights = {one.height for one in found if isinstance(one, Finalized)}
    assert len(heights) == 1, "transactions of one turn are one batch"


async def test_without_waiting_a_call_ends_at_admission(alone: Member) -> None:
    raws = deposits(alone.genesis, range(3))
    outcomes = await alone.driver.submit(raws, wait=False)
    assert [type(one) for one in outcomes] == [Admitted] * 3
    again = await alone.driver.submit(raws)
    assert [type(one) for one in again] == [Finalized] * 3


def verified_claim(shown: proof.ProofFile, chain: Genesis) -> proof.VerifiedClaim:
    """What a client gets: the bytes, read and verified."""
    return proof.verify(proof.read_proof(shown.encode()), chain)


async def test_four_nodes_reach_equal_roots_and_anchor_them(four: list[Member]) -> None:
    chain = four[0].genesis
    calls = [
        member.driver.submit(deposits(chain, range(100 * at, 100 * at + 50)))
        for at, member in enumerate(four)
    ]
    for outcomes in await asyncio.gather(*calls):
        assert all(isinstance(one, Finalized) for one in outcomes)
    await settle(four)
    assert len({member.driver.node.state.root for member in four}) == 1
    assert len({member.driver.node.log.root for member in four}) == 1
    node = four[2].driver.node
    key = balance_key("ada", CASH, "bank", "EUR")
    verified = verified_claim(node.proofs.state(key), chain)
    assert len(verified.signers) >= 3
    assert verified.record is not None
    absent = verified_claim(node.proofs.state(b"agreement/none"), chain)
    assert absent.kind == "absence"
    (stored,) = [one for one in indexes.receipts_backwards(node.storage) if one.log_index == 7]
    shown = verified_claim(node.proofs.receipt(stored), chain)
    assert shown.log_index == 7
    assert shown.record == stored.read()


def anchored_leaves(member: Member) -> int:
    anchor = member.driver.node.proofs.anchor()
    return -1 if anchor is None else anchor.header.executed.log_size


async def settle(running: list[Member]) -> None:
    """Until everyone executed the same height and a final header carries its last change."""
    for _ in range(20):
        target = max(member.driver.status().committed_height for member in running)
        for member in running:
            assert await member.driver.wait_for_height(target, timeout_s=10)
        if all(anchored_leaves(member) == member.driver.node.log.size for member in running):
            return
        await running[0].driver.wait_for_height(Height(target + 1), timeout_s=1)
    raise AssertionError([member.driver.status().sentence for member in running])


async def test_a_stopped_node_comes_back_with_everything_and_catches_up(four: list[Member]) -> None:
    chain = four[0].genesis
    await four[0].driver.submit(deposits(chain, range(20)))
    await four[3].stop()
    raws = deposits(chain, range(20, 60))
    outcomes = await four[1].driver.submit(raws)
    assert all(isinstance(one, Finalized) for one in outcomes)
    await four[3].start()
    target = four[0].driver.node.executor.height
    assert await four[3].driver.wait_for_height(target, timeout_s=10)
    (again,) = await four[3].driver.submit(raws[1:2])
    assert again == outcomes[1]
    await settle(four)


async def test_everything_acknowledged_is_there_after_all_stop(four: list[Member]) -> None:
    chain = four[0].genesis
    raws = deposits(chain, range(200))
    outcomes = await four[0].driver.submit(raws)
    for member in four:
        await member.stop()
    for member in four:
        await member.start()
    assert await four[2].driver.submit(raws) == outcomes
    assert await four[2].driver.wait_for_height(Height(1), timeout_s=5)


async def test_the_virtual_clock_moves_all_nodes_and_is_answered_at_finality(tmp_path: Path) -> None:
    chain = world.genesis(4, manual_clock=True)
    made = members(chain, tmp_path)
    for member in made:
        await member.start()
    try:
        target = TimestampMs(chain.time_ms + 90 * 86_400_000)
        assert await made[1].driver.advance(target, timeout_s=10) >= target
        assert made[1].driver.node.core.final_ms >= target
        for member in made:
            assert member.driver.clock.now_ms() >= target
        await made[3].stop()
        driver = await made[3].start()
        assert driver.clock.now_ms() >= target, "a starting node takes its clock from its highest final block"
        raw = world.transaction(1, chain=chain, valid_until_ms=driver.clock.now_ms() + 1_000)
        (outcome,) = await driver.submit([raw])
        assert isinstance(outcome, Finalized)
    finally:
        for member in made:
            await member.stop()


async def test_without_a_quorum_a_call_ends_as_pending_and_is_final_later(four: list[Member]) -> None:
    chain = four[0].genesis
    await four[2].stop()
    await four[3].stop()
    raws = deposits(chain, range(5))
    outcomes = await four[0].driver.submit(raws, timeout_s=0.2)
    assert [type(one) for one in outcomes] == [Pending] * 5
    assert "waiting" in four[0].driver.status().sentence
    assert four[0].driver.status().pending_transactions == 5, "operators alert on it while nothing is final"
    await four[2].start()
    later = await four[0].driver.submit(raws, timeout_s=20)
    assert [type(one) for one in later] == [Finalized] * 5
    assert four[0].driver.status().pending_transactions == 0


async def test_a_failed_write_ends_the_node_and_loses_nothing(
    four: list[Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = four[0].genesis
    raws = deposits(chain, range(5))
    before = await four[0].driver.submit(raws)
    victim = four[0].driver
    real = RealFile.append

    def full(self: RealFile, data: bytes) -> None:
        if self in (victim.node.payload._file, victim.node.votes._file):  # type: ignore[union-attr]
            raise OSError(28, "No space left on device")
        real(self, data)

    monkeypatch.setattr(RealFile, "append", full)
    with pytest.raises(Stopping):
        await victim.submit(deposits(chain, range(50, 55)), timeout_s=5)
    with pytest.raises(StorageDead):
        await asyncio.wait_for(victim.failed, 5)
    monkeypatch.undo()
    await four[0].stop()
    await four[0].start()
    assert await four[0].driver.submit(raws) == before


async def test_a_node_without_its_signing_record_follows_and_does_not_vote(four: list[Member]) -> None:
    chain = four[0].genesis
    await four[0].driver.submit(deposits(chain, range(5)))
    await four[3].stop()
    (four[3].folder / "votes").unlink()
    driver = await four[3].start()
    outcomes = await four[0].driver.submit(deposits(chain, range(5, 10)))
    assert await driver.wait_for_height(outcomes[0].height, timeout_s=10)  # type: ignore[union-attr]
    status = driver.status()
    assert not status.voting
    assert not (four[3].folder / "votes").exists(), "a signing record is created by init alone"

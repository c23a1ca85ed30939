"""Behind the validity window a transaction's own receipt answers it, never "expired, build it again"."""

from __future__ import annotations

from dataclasses import replace

import pytest
from licet import transactions as t
from licet.client_commands import Submission
from licet.doubt import HELD_FACT
from licet.outcomes import Conflict
from licet.v1 import admin_pb2
from licet.v1 import ledger_pb2 as pb

from node.core.submit import Expired
from tests.unit.node.api.conftest import Running

DAY_MS = 86_400_000
GIFT = t.Deposit(to="studio", amount=t.Money(currency="EUR", minor=7_000_000))


async def advance(running: Running, by_ms: int = DAY_MS) -> None:
    await running.admin.AdvanceClock(admin_pb2.AdvanceClockRequest(by_ms=by_ms))


async def test_the_same_bytes_behind_the_window_give_the_first_receipt(running: Running) -> None:
    bank = running.acting("bank")
    tx = await bank.prepare(GIFT)
    done = await bank.send(tx)
    await advance(running)
    assert await bank.send(tx) == done
    for validate_only in (False, True):
        request = pb.SubmitRequest(transaction=tx.raw, wait=pb.WAIT_FINAL, validate_only=validate_only)
        result = (await running.stub.Submit(request)).result
        assert (result.receipt.committed, result.receipt.height) == (True, done.height)


async def test_what_never_took_effect_is_told_to_ask_before_it_is_built_again(running: Running) -> None:
    bank = running.acting("bank")
    tx = await bank.prepare(GIFT)
    await advance(running)
    refused = (await running.stub.Submit(pb.SubmitRequest(transaction=tx.raw, wait=pb.WAIT_FINAL))).result
    assert refused.refusal.code == "TX_EXPIRED"
    assert refused.refusal.remedy.startswith("Ask for its receipt.")


async def test_a_copy_that_a_late_block_refuses_is_answered_with_the_first_receipt(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another node may have admitted it in time: here the block refuses it as expired."""
    bank = running.acting("bank")
    tx = await bank.prepare(GIFT)
    done = await bank.send(tx)
    await advance(running)
    admission = running.app.driver._admission
    monkeypatch.setattr(admission, "_receipt", lambda _: None)
    verifier = running.app.driver.node.verifier
    monkeypatch.setattr(type(verifier), "admit", lambda self, transaction, now_ms: self._checked(transaction))
    await bank.status()
    young = await bank.prepare(GIFT)  # in one batch with it, so that a block takes both
    request = pb.SubmitBatchRequest(transactions=[tx.raw, young.raw], wait=pb.WAIT_FINAL)
    old_one, young_one = (await running.stub.SubmitBatch(request)).results
    assert young_one.receipt.committed
    assert young_one.receipt.height > done.height
    assert (old_one.receipt.committed, old_one.receipt.height) == (True, done.height)


async def test_a_repeat_under_a_chosen_id_pays_once_on_either_side_of_the_window(running: Running) -> None:
    bank = running.acting("bank")
    how = Submission(id=bytes(range(16)), look_first=True)
    before = [str(one) async for one in bank.list_balances("studio")]
    first = await bank.submit(GIFT, how=how)
    paid = [str(one) async for one in bank.list_balances("studio")]
    assert paid != before
    await advance(running, 60_000)
    assert await bank.submit(GIFT, how=how) == first
    assert await bank.submit(GIFT, how=replace(how, look_first=False)) == first
    await advance(running)
    with pytest.raises(Conflict) as refused:
        await bank.submit(GIFT, how=how)
    assert refused.value.code == "ID_USED_BEFORE"
    assert [str(one) async for one in bank.list_balances("studio")] == paid


def test_a_transaction_that_was_held_and_dropped_is_told_so() -> None:
    held = Expired(valid_until_ms=1, now_ms=2, admitted=True)
    assert HELD_FACT in held.facts
    assert "held by this node" in held.message
    assert HELD_FACT not in Expired(valid_until_ms=1, now_ms=2).facts

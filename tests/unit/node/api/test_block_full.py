"""A block without room decides nothing: the same bytes are admitted, executed and answered again."""

from __future__ import annotations

from typing import Any

import pytest
from licet import transactions as t
from licet.client_commands import Submission
from licet.types import Hash32
from licet.v1 import ledger_pb2 as pb

from licensing_vm.domain.context import Context
from node.ledger import indexes
from tests.unit.node.api.conftest import Running
from tests.unit.node.api.test_main_job import fund, offer_a_photo


def fill_blocks(monkeypatch: pytest.MonkeyPatch, count: int) -> list[int]:
    """Let the next blocks have no room for work; the list grows by the height of each."""
    heights: list[int] = []
    open_block = Context.open_block

    def full(context: Context, height: int, now_ms: int, *block: Any) -> None:
        open_block(context, height, now_ms, *block)
        if height in heights or len(heights) < count:
            context.work_left = 0
            heights.append(height)

    monkeypatch.setattr(Context, "open_block", full)
    return heights


async def test_the_same_bytes_succeed_later_and_their_receipt_takes_the_place(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fund(running)
    await offer_a_photo(running)
    buyer = running.acting("advertiser")
    tx = await buyer.prepare(t.AcceptOffer(agreement="deal1", offer="photo1-flat"), how=Submission())
    request = pb.SubmitRequest(transaction=tx.raw, wait=pb.WAIT_FINAL)
    fill_blocks(monkeypatch, 2)
    for _ in range(2):
        refused = (await running.stub.Submit(request)).result.receipt
        assert (refused.committed, refused.refusal.code) == (False, "BLOCK_FULL")
        assert refused.refusal.fault == "machine"
        storage = running.app.driver.node.storage
        assert not indexes.is_settled(storage, Hash32(tx.hash))
    done = (await running.stub.Submit(request)).result.receipt
    assert done.committed
    assert done.height > refused.height
    assert indexes.is_settled(storage, Hash32(tx.hash))
    again = (await running.stub.Submit(request)).result.receipt
    assert (again.height, again.index) == (done.height, done.index)
    for question in (
        pb.GetReceiptRequest(transaction_hash=tx.hash),
        pb.GetReceiptRequest(sender="advertiser", id=tx.id),
    ):
        assert (await running.stub.GetReceipt(question)).receipt.height == done.height


async def test_the_client_waits_for_room_by_itself(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    await fund(running)
    await offer_a_photo(running)
    heights = fill_blocks(monkeypatch, 3)
    done = await running.acting("advertiser").accept_offer("photo1-flat", agreement="deal1")
    assert len(heights) == 3
    assert done.height > max(heights)
    assert (await running.client.get_agreement("deal1")).state == "active"

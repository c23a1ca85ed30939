"""Where one attempt went unanswered and a later one was refused, a client does nothing that pays twice."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from licet import repeats
from licet import transactions as t
from licet.client import Client
from licet.client_commands import Submission
from licet.connection import ClientOptions
from licet.crypto import SigningKey
from licet.doubt import HELD_FACT
from licet.errors import LicetError
from licet.outcomes import Conflict, OutcomeUnknown, RefusedAtAdmission, RefusedInBlock
from licet.retry import RetryPolicy
from licet.status_details import ErrorInfo
from licet.v1 import ledger_pb2 as pb

from tests.unit.sdk.node import Node, abort_with, committed, refusal, serving

KEY = SigningKey(bytes([78]) * 32)
PAY = t.Pay(agreement="a", amount=t.Money(currency="EUR", minor=5))
ID = bytes(range(16))
WINDOW_MS = 300_000
DAY_MS = 86_400_000


async def connect(target: str, *, deadline_s: float = 30.0) -> Client:
    policy = RetryPolicy(
        deadline_s=deadline_s, attempt_s=min(10.0, deadline_s), first_delay_s=0.01, delay_s_max=0.02
    )
    return await Client.connect(
        target, sender="acme", key=KEY, options=ClientOptions(connect=policy, retry=policy, seed=1)
    )


class Ledger:
    """The part of a ledger that matters here: what was executed, by hash and by id, and the time."""

    def __init__(self, node: Node, *, loses: int = 1, executes_lost: bool = True) -> None:
        self.node = node
        self.executed: dict[bytes, pb.Receipt] = {}
        self.ids: dict[tuple[str, bytes], pb.Receipt] = {}
        self.loses = loses
        self.executes_lost = executes_lost
        self.jump_ms = DAY_MS  # of the clock, when an answer is lost
        node.answer = self.answer
        node.replies["GetReceipt"] = self.receipt

    def tell_first(self, tx: t.Transaction) -> None:
        """Execute it."""
        receipt = pb.Receipt(
            transaction_hash=tx.hash, height=7, committed=True, timestamp_ms=self.node.now_ms
        )
        self.executed[tx.hash] = self.ids[(tx.body.sender, tx.body.id)] = receipt

    async def answer(self, tx: t.Transaction) -> pb.SubmitResult:
        node = self.node
        if self.loses:
            self.loses -= 1
            if self.executes_lost:
                self.tell_first(tx)
            node.now_ms += self.jump_ms
            raise RuntimeError("the answer is lost")
        if tx.body.valid_until_ms < node.now_ms:
            return refusal(tx, "TX_EXPIRED")
        used = self.ids.get((tx.body.sender, tx.body.id))
        if used is not None and node.now_ms <= used.timestamp_ms + WINDOW_MS:
            return refusal(tx, "ID_REUSED", in_block=True)
        self.tell_first(tx)
        return pb.SubmitResult(transaction_hash=tx.hash, receipt=self.executed[tx.hash])

    def receipt(self, request: pb.GetReceiptRequest) -> pb.GetReceiptResponse:
        key = request.transaction_hash
        found = self.executed.get(key) if key else self.ids.get((request.sender, request.id))
        if found is None:
            raise KeyError(key)
        return pb.GetReceiptResponse(receipt=found)


class LookingNode(Node):
    """Answers NOT_FOUND as the API does, where the ledger has no receipt."""

    async def GetReceipt(self, request: Any, context: Any) -> pb.GetReceiptResponse:
        try:
            reply = self.replies["GetReceipt"](request)
        except KeyError:
            info = ErrorInfo(reason="NOT_FOUND", metadata={"fault": "sender"})
            await abort_with(context, grpc.StatusCode.NOT_FOUND, "There is no receipt.", info)
            raise AssertionError("unreachable") from None
        assert isinstance(reply, pb.GetReceiptResponse)
        return reply

    def __getattribute__(self, name: str) -> Any:
        return object.__getattribute__(self, name)


def looking_node() -> LookingNode:
    from tests.unit.sdk import world

    return LookingNode(world.genesis())


async def test_a_lost_answer_and_a_clock_that_jumped_do_not_pay_twice() -> None:
    async with serving(looking_node()) as (node, target), await connect(target) as client:
        ledger = Ledger(node)
        node.final_ms = node.now_ms + DAY_MS  # the clock jumped, and a block with that time is final
        done = await client.submit(PAY)
        assert done.transaction_hash == node.seen[0].hash
        assert len(ledger.executed) == 1
        assert {tx.hash for tx in node.seen} == {done.transaction_hash}, "nothing was signed a second time"


async def test_it_is_signed_anew_where_a_later_block_proves_that_it_never_took_effect() -> None:
    async with serving(looking_node()) as (node, target), await connect(target) as client:
        ledger = Ledger(node, executes_lost=False)
        node.final_ms = node.now_ms + DAY_MS
        done = await client.submit(PAY)
        assert list(ledger.executed) == [done.transaction_hash]
        assert done.transaction_hash != node.seen[0].hash
        assert {tx.body.id for tx in node.seen} == {node.seen[0].body.id}


async def test_it_stays_unknown_while_no_block_is_later_than_its_last_moment() -> None:
    """The node's clock is past it and the ledger's is not: an old block may still become final."""
    async with serving(looking_node()) as (node, target), await connect(target, deadline_s=1.0) as client:
        Ledger(node, executes_lost=False)
        with pytest.raises(OutcomeUnknown) as open_still:
            await client.submit(PAY)
        assert len({tx.hash for tx in node.seen}) == 1
        told = open_still.value
        assert "Ask for its receipt first" in told.remedy
        assert told.facts["valid_until_ms"] == str(node.seen[0].body.valid_until_ms)
        assert isinstance(told.__cause__, RefusedAtAdmission)


async def test_a_transaction_that_its_node_held_and_dropped_is_in_doubt_too() -> None:
    async with serving(looking_node()) as (node, target), await connect(target, deadline_s=1.0) as client:
        ledger = Ledger(node, loses=0)

        async def dropped(tx: t.Transaction) -> pb.SubmitResult:
            result = refusal(tx, "TX_EXPIRED")
            result.refusal.facts[HELD_FACT] = "yes"
            return result

        node.answer = dropped
        with pytest.raises(OutcomeUnknown):
            await client.submit(PAY)
        assert len({tx.hash for tx in node.seen}) == 1
        node.final_ms = node.now_ms + DAY_MS  # now it is certain
        with pytest.raises(RefusedAtAdmission) as refused:
            await client.submit(PAY)
        assert refused.value.code == "TX_EXPIRED"
        assert not ledger.executed


async def test_a_prepared_transaction_is_not_told_refused_while_it_may_have_taken_effect() -> None:
    async with serving(looking_node()) as (node, target), await connect(target) as client:
        ledger = Ledger(node)
        prepared = await client.prepare(PAY)
        done = await client.send(prepared)
        assert list(ledger.executed) == [done.transaction_hash] == [prepared.hash]


async def test_a_refused_receipt_of_the_first_attempt_is_what_is_raised() -> None:
    async with serving(looking_node()) as (node, target), await connect(target) as client:
        ledger = Ledger(node, executes_lost=False)

        async def refuse_first(tx: t.Transaction) -> pb.SubmitResult:
            ledger.executed[tx.hash] = refusal(tx, "BALANCE_SHORT", in_block=True).receipt
            return await ledger.answer(tx)

        node.answer = refuse_first
        with pytest.raises(RefusedInBlock) as refused:
            await client.submit(PAY)
        assert refused.value.code == "BALANCE_SHORT"


async def test_an_error_of_the_node_s_own_leaves_the_outcome_open() -> None:
    async with serving(looking_node()) as (node, target), await connect(target, deadline_s=1.0) as client:
        Ledger(node, loses=0)
        node.fail = lambda rpc: (grpc.StatusCode.INTERNAL, "a bug") if rpc == "Submit" else None
        with pytest.raises(OutcomeUnknown):
            await client.submit(PAY)


async def test_ordered_too_early_it_is_not_signed_anew() -> None:
    """The same bytes could be ordered again in time, when the id of the second is forgotten."""
    async with serving(looking_node()) as (node, target), await connect(target) as client:

        async def early(tx: t.Transaction) -> pb.SubmitResult:
            return refusal(tx, "TX_TOO_FAR_AHEAD", in_block=True)

        node.answer = early
        with pytest.raises(RefusedInBlock):
            await client.submit(PAY)
        assert len(node.seen) == 1


# --- ids of the caller's own


async def test_the_same_commands_under_the_same_id_give_the_first_result() -> None:
    async with serving(looking_node()) as (node, target), await connect(target) as client:
        ledger = Ledger(node, loses=0)
        how = Submission(id=ID)
        first = await client.submit(PAY, how=how)
        node.now_ms += WINDOW_MS // 2
        await client.status()
        again = await client.submit(PAY, how=how)
        assert again == first
        assert len(ledger.executed) == 1
        assert len({tx.raw_body for tx in node.seen}) == 2, "these are other bytes, with a later last moment"
        assert await client.submit(PAY, how=Submission(id=ID, look_first=True)) == first


async def test_another_payment_under_the_same_id_is_a_conflict() -> None:
    async with serving(looking_node()) as (node, target), await connect(target) as client:
        ledger = Ledger(node, loses=0)
        first = await client.submit(PAY, how=Submission(id=ID))
        other = t.Pay(agreement="a", amount=t.Money(currency="EUR", minor=6))
        for look_first in (False, True):
            with pytest.raises(Conflict) as conflict:
                await client.submit(other, how=Submission(id=ID, look_first=look_first))
            assert conflict.value.code == "ID_REUSED"
            assert conflict.value.facts["transaction_hash"] == first.transaction_hash.hex()
        assert len(ledger.executed) == 1


async def test_a_repeat_behind_the_window_is_refused_before_it_is_signed() -> None:
    async with serving(looking_node()) as (node, target), await connect(target) as client:
        ledger = Ledger(node, loses=0)
        how = Submission(id=ID, look_first=True)
        await client.submit(PAY, how=how)
        node.now_ms += WINDOW_MS + 60_000
        with pytest.raises(Conflict) as conflict:
            await client.submit(PAY, how=how)
        assert conflict.value.code == "ID_USED_BEFORE"
        assert len(ledger.executed) == len(node.seen) == 1


async def test_a_license_under_an_id_of_the_caller_s_own_has_one_name() -> None:
    async with serving(looking_node()) as (node, target), await connect(target) as client:
        Ledger(node, loses=0)
        first = await client.license("offer-1", how=Submission(id=ID))
        assert await client.license("offer-1", how=Submission(id=ID)) == first
        other = await client.license("offer-1")
        assert other.names["agreement"] != first.names["agreement"]


def test_a_window_holds_few_marks() -> None:
    for window_ms in (1, 31, 32, 1000, WINDOW_MS):
        for moment_ms in (0, 1, 999, 1_767_225_600_001):
            mark = repeats.mark_ms(moment_ms, window_ms)
            assert moment_ms <= mark <= moment_ms + max(0, window_ms // repeats.MARKS_PER_WINDOW)


async def test_a_commitment_is_no_doubt() -> None:
    async with serving(looking_node()) as (node, target), await connect(target) as client:
        node.answer = _commit
        await client.submit(PAY)
        with pytest.raises(LicetError):
            await client.receipt(bytes(32))


async def _commit(tx: t.Transaction) -> pb.SubmitResult:
    return committed(tx)

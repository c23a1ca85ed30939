"""Bad transactions and requests at the door: each has its code, none harms its neighbours, none is lost."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import grpc
import pytest
from licet.codec import encode_body, encode_transaction
from licet.crypto import SigningKey
from licet.encoding import Tag
from licet.proof import KEY_BYTES_MAX, StateClaim, read_proof
from licet.status_details import METADATA_KEY, decode_status
from licet.transactions import (
    BODY_BYTES_MAX,
    TRANSACTION_BYTES_MAX,
    Command,
    KeySignature,
    Money,
    TransactionBody,
    Transfer,
)
from licet.types import ChainId, Signature
from licet.v1 import ledger_pb2 as pb

from node.core.submit import SUBMIT_TRANSACTIONS_MAX, Busy, Outcome, Stopping
from node.operations.keyfiles import development_key
from tests.unit.node.api.conftest import Running


def signed(body: TransactionBody, key: SigningKey | None = None) -> bytes:
    raw = encode_body(body)
    key = key or development_key(body.sender)
    signature = KeySignature(public_key=key.public_key, signature=key.sign(Tag.TRANSACTION, raw))
    return encode_transaction(raw, [signature])


async def body(running: Running, commands: Sequence[Command] = (), sender: str = "studio") -> TransactionBody:
    status = await running.client.status()
    money = Money(currency="EUR", minor=5)
    return TransactionBody(
        chain_id=running.app.identity.chain_id,
        id=secrets.token_bytes(16),
        sender=sender,
        valid_until_ms=status.now_ms + 60_000,
        commands=tuple(commands) or (Transfer(to="agency", amount=money),),
    )


async def submit(running: Running, raw: bytes) -> pb.SubmitResult:
    return (await running.stub.Submit(pb.SubmitRequest(transaction=raw))).result


async def fund(running: Running) -> None:
    await running.acting("bank").deposit("studio", "EUR 1.00")


async def test_bytes_that_are_no_transaction(running: Running) -> None:
    good = signed(await body(running))
    for raw in (b"", b"\xff" * 40, good[:-10], good + b"\x98\x06\x01", bytes(BODY_BYTES_MAX + 5000)):
        result = await submit(running, raw)
        assert result.refusal.code in {"TX_MALFORMED", "TX_TOO_LARGE"}, result
        assert result.refusal.fault == "sender"
        assert result.refusal.remedy


async def test_refusals_before_ordering_leave_no_trace(running: Running) -> None:
    await fund(running)
    made = await body(running)
    now_ms = made.valid_until_ms - 60_000
    raw_body = encode_body(made)
    key = development_key("studio")
    forged = KeySignature(public_key=key.public_key, signature=Signature(bytes(64)))
    cases = {
        "TX_WRONG_CHAIN": signed(replace(made, chain_id=ChainId(bytes(32)))),
        "TX_EXPIRED": signed(replace(made, valid_until_ms=now_ms - 1)),
        "TX_TOO_FAR_AHEAD": signed(replace(made, valid_until_ms=now_ms + 10**9)),
        "INVALID_SIGNATURE": encode_transaction(raw_body, [forged]),
    }
    for code, raw in cases.items():
        result = await submit(running, raw)
        assert result.refusal.code == code, (code, result)
    with pytest.raises(grpc.RpcError) as missing:
        await running.stub.GetReceipt(pb.GetReceiptRequest(sender="studio", id=made.id))
    assert missing.value.code() == grpc.StatusCode.NOT_FOUND
    assert (await submit(running, signed(made))).receipt.committed


async def test_refusals_in_a_block_have_a_receipt(running: Running) -> None:
    poor = await submit(running, signed(await body(running, sender="agency")))
    assert not poor.receipt.committed
    assert poor.receipt.refusal.code == "INSUFFICIENT_FUNDS"
    stranger = await submit(running, signed(await body(running), SigningKey(b"s" * 32)))
    assert not stranger.receipt.committed
    assert stranger.receipt.height > 0
    unknown = await submit(running, signed(await body(running, sender="nobody"), SigningKey(b"s" * 32)))
    assert not unknown.receipt.committed


async def test_the_same_transaction_twice_executes_once(running: Running) -> None:
    await fund(running)
    made = await body(running)
    raw = signed(made)
    first, second = await submit(running, raw), await submit(running, raw)
    assert first.receipt == second.receipt
    other = replace(made, commands=(Transfer(to="agency", amount=Money(currency="EUR", minor=6)),))
    reused = await submit(running, signed(other))
    assert reused.receipt.refusal.code == "ID_REUSED"
    together = await running.stub.SubmitBatch(pb.SubmitBatchRequest(transactions=[raw, raw, raw]))
    assert all(one.receipt == first.receipt for one in together.results)
    balances = [one.amount.minor async for one in running.client.list_balances("agency")]
    assert balances == [5]


async def test_one_bad_transaction_harms_no_neighbour(running: Running) -> None:
    await fund(running)
    good = [signed(await body(running)) for _ in range(3)]
    answer = await running.stub.SubmitBatch(
        pb.SubmitBatchRequest(transactions=[good[0], b"nonsense", good[1], b"", good[2]])
    )
    outcomes = [one.WhichOneof("outcome") for one in answer.results]
    assert outcomes == ["receipt", "refusal", "receipt", "refusal", "receipt"]


async def test_a_stream_answers_each_request_and_refuses_a_bad_one(running: Running) -> None:
    await fund(running)
    call = running.stub.SubmitStream()
    for sequence in range(5):
        await call.write(
            pb.SubmitStreamRequest(sequence=sequence, transactions=[signed(await body(running))])
        )
    answered = sorted([(await call.read()).sequence for _ in range(5)])
    assert answered == list(range(5))
    await call.write(pb.SubmitStreamRequest(sequence=9))
    with pytest.raises(grpc.RpcError) as refused:
        await call.read()
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert facts_of(refused.value)["sequence"] == "9"


async def test_what_came_before_a_bad_request_of_a_stream_is_answered(running: Running) -> None:
    await fund(running)
    call = running.stub.SubmitStream()
    for sequence in range(3):
        await call.write(
            pb.SubmitStreamRequest(sequence=sequence, transactions=[signed(await body(running))])
        )
    await call.write(pb.SubmitStreamRequest(sequence=3, transactions=[b"x"], wait=7))
    await call.write(pb.SubmitStreamRequest(sequence=4, transactions=[signed(await body(running))]))
    answers = [await call.read() for _ in range(3)]
    assert sorted(one.sequence for one in answers) == [0, 1, 2]
    assert all(one.results[0].receipt.committed for one in answers)
    with pytest.raises(grpc.RpcError, match="Request 3 of the stream") as refused:
        await call.read()
    assert facts_of(refused.value)["sequence"] == "3"


async def test_a_full_node_is_an_answer_to_one_request_and_the_stream_goes_on(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fund(running)
    call = running.stub.SubmitStream()
    submit, full = running.app.driver.submit, [True]

    async def once_full(raws: Sequence[bytes], **more: Any) -> list[Outcome]:
        if full.pop() if full else False:
            raise Busy(held_bytes=2, limit_bytes=1, retry_ms=5)
        return await submit(raws, **more)

    monkeypatch.setattr(running.app.driver, "submit", once_full)
    raw = signed(await body(running))
    await call.write(pb.SubmitStreamRequest(sequence=1, transactions=[raw, raw]))
    refused = await call.read()
    assert [one.refusal.code for one in refused.results] == ["RESOURCE_EXHAUSTED"] * 2
    await call.write(pb.SubmitStreamRequest(sequence=2, transactions=[raw]))
    assert (await call.read()).results[0].receipt.committed


async def test_a_node_that_goes_down_ends_a_stream_that_is_silent(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stopping(raws: Sequence[bytes], **more: Any) -> list[Outcome]:
        raise Stopping

    monkeypatch.setattr(running.app.driver, "submit", stopping)
    call = running.stub.SubmitStream()
    await call.write(pb.SubmitStreamRequest(sequence=1, transactions=[b"x"]))
    with pytest.raises(grpc.RpcError) as ended:
        await asyncio.wait_for(call.read(), 10)  # without another request that would wake the node
    assert ended.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_what_is_too_large_is_told_with_the_limit_that_it_passes(running: Running) -> None:
    transaction = (await running.stub.Submit(pb.SubmitRequest(transaction=bytes(3 << 20)))).result.refusal
    assert transaction.code == "TX_TOO_LARGE"
    assert dict(transaction.facts) == {"size": str(3 << 20), "limit": str(TRANSACTION_BYTES_MAX)}
    with pytest.raises(grpc.RpcError) as refused:
        await running.stub.GetProof(pb.GetProofRequest(key=bytes(17 << 20)))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert facts_of(refused.value)["limit"] == str(16 << 20)


async def test_a_key_may_have_as_many_bytes_as_a_proof_holds(running: Running) -> None:
    await fund(running)
    await running.client.wait_anchored(1)
    answer = await running.stub.GetProof(pb.GetProofRequest(key=bytes(KEY_BYTES_MAX)))
    claim = read_proof(answer.proof).claim
    assert isinstance(claim, StateClaim)
    assert claim.value is None
    with pytest.raises(grpc.RpcError, match="not 1 to 1024"):
        await running.stub.GetProof(pb.GetProofRequest(key=bytes(KEY_BYTES_MAX + 1)))


async def test_a_party_that_is_not_there_has_no_statement_and_no_balances(running: Running) -> None:
    stub = running.stub
    for call, request in (
        (stub.GetStatement, pb.GetStatementRequest(party="nobody")),
        (stub.ListBalances, pb.ListBalancesRequest(party="nobody")),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            await call(request)
        assert refused.value.code() == grpc.StatusCode.NOT_FOUND
    assert not (await stub.ListBalances(pb.ListBalancesRequest(party="contributor1"))).balances


def facts_of(error: grpc.RpcError) -> dict[str, str]:
    info = decode_status(bytes(dict(error.trailing_metadata())[METADATA_KEY]))
    assert info is not None
    return dict(info.metadata)


@pytest.mark.parametrize("wait", [pb.WAIT_ADMITTED, pb.WAIT_FINAL])
async def test_what_is_waited_for(running: Running, wait: int) -> None:
    await fund(running)
    request = pb.SubmitRequest(transaction=signed(await body(running)), wait=wait)
    outcome = (await running.stub.Submit(request)).result.WhichOneof("outcome")
    assert outcome == ("admitted" if wait == pb.WAIT_ADMITTED else "receipt")


async def test_requests_beyond_a_limit(running: Running) -> None:
    stub = running.stub
    cases = [
        (stub.SubmitBatch, pb.SubmitBatchRequest()),
        (stub.SubmitBatch, pb.SubmitBatchRequest(transactions=[b"x"] * (SUBMIT_TRANSACTIONS_MAX + 1))),
        (stub.Submit, pb.SubmitRequest(transaction=b"x", wait=7)),
        (stub.GetReceipt, pb.GetReceiptRequest(transaction_hash=b"short")),
        (stub.GetReceipt, pb.GetReceiptRequest(sender="studio", id=b"short")),
        (stub.GetParty, pb.GetPartyRequest(party="No/Id")),
        (stub.GetParty, pb.GetPartyRequest()),
        (stub.GetProof, pb.GetProofRequest()),
        (stub.GetObligation, pb.GetObligationRequest(obligation="a/1")),
        (stub.ListAssets, pb.ListAssetsRequest(registrant="x/y")),
        (stub.GetTemplate, pb.GetTemplateRequest(program_hash=b"short")),
        (stub.Authorize, pb.AuthorizeRequest(party="studio", asset="x", territories=["DE"] * 300)),
    ]
    for method, request in cases:
        with pytest.raises(grpc.RpcError) as refused:
            await method(request)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT, request

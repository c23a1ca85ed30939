"""Bad transactions and requests at the door: each has its code, none harms its neighbours, none is lost."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace

import grpc
import pytest
from licet.codec import encode_body, encode_transaction
from licet.crypto import SigningKey
from licet.encoding import Tag
from licet.transactions import BODY_BYTES_MAX, Command, KeySignature, Money, TransactionBody, Transfer
from licet.types import ChainId, Signature
from licet.v1 import ledger_pb2 as pb

from node.core.submit import SUBMIT_TRANSACTIONS_MAX
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

"""What is told when no node answers, what is tried again, and what is never sent."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from licet import endpoints
from licet import transactions as t
from licet.batching import MESSAGE_BYTES_MAX, TRANSACTION_BYTES_MAX, Batcher, _Item
from licet.client import Client
from licet.connection import MEETING, ClientOptions
from licet.errors import LicetError
from licet.outcomes import OutcomeUnknown, RefusedAtAdmission, Unavailable, unavailable
from licet.retry import Attempt, Failure, Retrier, RetryPolicy, failure_of
from licet.testing import PATIENT
from licet.v1 import ledger_pb2 as pb

from tests.unit.sdk.node import committed, refusal, serving
from tests.unit.sdk.test_client import BRIEF, FAST, PAY, closed_port, connect

README = Path(__file__).resolve().parents[3] / "sdk" / "README.md"


def broken(text: str, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details=text)


REFUSED = broken("failed to connect to all addresses; last error: connect: Connection refused (111)")
SILENT = broken("failed to connect to all addresses; last error: Timeout occurred: FD Shutdown")


# --- nobody there


async def test_a_refused_connection_is_told_in_a_moment() -> None:
    loop = asyncio.get_running_loop()
    begin = loop.time()
    port = closed_port()
    with pytest.raises(Unavailable) as told:
        await Client.connect(f"127.0.0.1:{port}")
    assert loop.time() - begin < 8, (
        "1.5 s on a free machine; never the deadline of a client that is connected"
    )
    assert told.value.message == (
        f"No node answers at 127.0.0.1:{port}: nothing listens there, the connection is refused."
    )
    assert "python -m node devnet" in told.value.remedy
    assert told.value.facts["targets"] == f"127.0.0.1:{port}"


async def test_several_addresses_are_all_named() -> None:
    targets = [f"127.0.0.1:{closed_port()}", f"127.0.0.1:{closed_port()}"]
    with pytest.raises(Unavailable, match=rf"at any of {targets[0]}, {targets[1]}: nothing listens"):
        await Client.connect(targets)


async def test_silence_is_told_within_its_own_bound() -> None:
    """A port whose connections are taken and never served, as behind a firewall or a node that hangs."""
    meeting = RetryPolicy(deadline_s=0.6, attempt_s=0.3, first_delay_s=0.01, delay_s_max=0.02)
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(16)
        target = f"127.0.0.1:{hole.getsockname()[1]}"
        with pytest.raises(
            Unavailable, match=f"No node answers at {target}: it does not answer, in 0"
        ) as told:
            await Client.connect(target, options=ClientOptions(connect=meeting))
    assert "--wait SECONDS or LICET_WAIT" in told.value.remedy


async def tries(policy: RetryPolicy, errors: list[grpc.aio.AioRpcError]) -> int:
    """How many attempts fail before one succeeds; the error that ends it is raised."""
    left = list(errors)

    async def operation(_: Attempt) -> int:
        if left:
            raise left.pop(0)
        return len(errors)

    def give_up(failure: Failure, reached: bool, waited_s: float) -> LicetError:
        return unavailable(failure.why, retry_after_s=1.0, facts={"left": str(len(left))})

    return await Retrier(policy).run(operation, on_failure=lambda _: None, give_up=give_up)


async def test_a_client_that_met_its_network_waits_for_a_node_that_restarts() -> None:
    slow = RetryPolicy(first_delay_s=0.001, delay_s_max=0.001)
    hasty = replace(slow, refused_s=1e-9)
    assert await tries(slow, [REFUSED] * 50) == 50
    with pytest.raises(Unavailable) as told:
        await tries(hasty, [REFUSED] * 50)
    assert told.value.facts["left"] == "49"
    # Where one address refuses and another is silent, the silent one may still come.
    assert await tries(hasty, [SILENT, *[REFUSED] * 20]) == 21
    async with serving() as (_, target), await connect(target) as client:
        assert client._connection._retrier.policy is FAST.retry
    assert FAST.retry.refused_s is None
    assert PATIENT.connect == RetryPolicy()


def test_the_bounds_are_as_documented() -> None:
    text = " ".join(README.read_text(encoding="utf-8").split())
    assert (MEETING.refused_s, MEETING.deadline_s, RetryPolicy().deadline_s) == (1.5, 10.0, 30.0)
    assert "a refused connection is told after 1.5 s, silence after 10 s" in text
    assert "for 30 s" in text
    with pytest.raises(ValueError, match="more than 0 s"):
        RetryPolicy(refused_s=0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("errors resolving no.such:7: [lookup failed for no.such:7: Domain name not found]", "name is not"),
        ("DNS resolution failed for no.such:7", "name is not"),
        ("failed to connect to all addresses; last error: connect: No route to host (113)", "no way"),
        ("failed to connect to all addresses; last error: No such file or directory", "the socket"),
    ],
)
def test_an_address_that_leads_nowhere_is_nobody_s(text: str, said: str) -> None:
    failure = failure_of(broken(text))
    assert failure is not None
    assert (failure.nobody, failure.reached) == (True, False)
    assert said in failure.why


async def test_another_port_is_told_from_a_node() -> None:
    """As when the port for peers is named: a gRPC server, and not the one for clients."""
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    with pytest.raises(LicetError) as told:
        await Client.connect(f"127.0.0.1:{port}")
    await server.stop(grace=None)
    assert (told.value.code, told.value.fault) == ("NOT_A_NODE", "operator")
    assert "api.listen" in told.value.remedy


# --- not taken now


async def test_one_refused_for_want_of_room_among_many_is_sent_again() -> None:
    async with serving() as (node, target), await connect(target) as client:
        full: set[bytes] = set()

        async def every_second_waits(tx: t.Transaction) -> pb.SubmitResult:
            if len(node.seen) % 2 and tx.hash not in full:
                full.add(tx.hash)
                return refusal(tx, "RESOURCE_EXHAUSTED")
            return committed(tx)

        node.answer = every_second_waits
        outcomes = await client.submit_all([[PAY]] * 40)
        assert [type(outcome).__name__ for outcome in outcomes] == ["Committed"] * 40
        assert full
        assert len({tx.hash for tx in node.seen}) == 40 < len(node.seen), "the same bytes again"
        assert node.messages, "they travelled on a stream"


@pytest.mark.parametrize("code", ["QUOTA_EXCEEDED", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "STORAGE_DEAD"])
async def test_what_stays_refused_for_the_node_s_state_keeps_its_type(code: str) -> None:
    async with serving() as (node, target), await connect(target, options=BRIEF) as client:

        async def never_now(tx: t.Transaction) -> pb.SubmitResult:
            return refusal(tx, code)

        node.answer = never_now
        with pytest.raises(RefusedAtAdmission) as told:
            await client.submit(PAY)
        assert told.value.code == code
        assert told.value.transaction_hash == node.seen[0].hash
        assert len({tx.hash for tx in node.seen}) == 1 < len(node.seen)


async def test_a_node_that_drains_is_left_for_another() -> None:
    async with serving() as (drains, first), serving() as (takes, second):

        async def not_here(tx: t.Transaction) -> pb.SubmitResult:
            return refusal(tx, "UNAVAILABLE")

        drains.answer = not_here
        async with await connect([first, second]) as client:
            await client.submit(PAY)
            assert client.target == second
        assert [tx.hash for tx in drains.seen] == [tx.hash for tx in takes.seen]


async def test_a_refusal_after_a_lost_answer_leaves_the_outcome_unknown() -> None:
    """The first copy may still be ordered: that the node is full now says nothing about it."""
    async with serving() as (node, target), await connect(target, options=BRIEF) as client:

        async def lost_then_full(tx: t.Transaction) -> pb.SubmitResult:
            if len(node.seen) == 1:
                raise RuntimeError("the answer is lost")
            return refusal(tx, "RESOURCE_EXHAUSTED")

        node.answer = lost_then_full
        with pytest.raises(OutcomeUnknown):
            await client.submit(PAY)
        assert len(node.seen) > 1


# --- never sent


async def test_a_transaction_of_too_many_bytes_is_never_sent() -> None:
    async with serving() as (node, target), await connect(target) as client:
        fine = await client.prepare(PAY)
        large = replace(fine, raw=bytes(TRANSACTION_BYTES_MAX + 1))
        with pytest.raises(RefusedAtAdmission) as told:
            await client.send(large)
        assert (told.value.code, told.value.facts["limit"]) == ("TX_TOO_LARGE", str(TRANSACTION_BYTES_MAX))
        assert (node.unary, node.seen) == (0, [])
        with pytest.raises(LicetError) as told_too:
            await client.submit(t.PublishTemplate(source="x" * (t.SOURCE_BYTES_MAX + 1)))
        assert told_too.value.fault == "sender"
        assert node.seen == []


async def test_a_question_of_too_many_bytes_is_never_sent() -> None:
    asked: list[Any] = []

    def quote(request: Any) -> pb.QuoteResponse:
        asked.append(request)
        return pb.QuoteResponse()

    replies = {"Quote": quote}
    async with serving(replies=replies) as (_, target), await connect(target) as client:
        with pytest.raises(LicetError) as told:
            await client.quote("offer", buyer="a" * (endpoints.MESSAGE_BYTES_MAX + 1))
        assert (told.value.code, told.value.fault) == ("MESSAGE_TOO_LARGE", "sender")
    assert asked == []


async def test_an_answer_of_too_many_bytes_is_told_at_once_and_not_asked_for_again() -> None:
    asked: list[Any] = []

    def huge(request: Any) -> pb.GetTemplateResponse:
        asked.append(request)
        source = "x" * (endpoints.MESSAGE_BYTES_MAX + 1)
        return pb.GetTemplateResponse(template=pb.Template(source=source))

    async with serving(replies={"GetTemplate": huge}) as (_, target), await connect(target) as client:
        with pytest.raises(LicetError) as told:
            await client.get_template("large")
    assert told.value.code == "MESSAGE_TOO_LARGE"
    assert len(asked) == 1


async def test_messages_are_divided_by_bytes_as_well_as_by_count() -> None:
    batcher = Batcher(endpoints.Endpoints(["127.0.0.1:1"]))
    loop = asyncio.get_running_loop()
    sizes = [TRANSACTION_BYTES_MAX, 1, 700_000, MESSAGE_BYTES_MAX // 2, *[300] * 1200, MESSAGE_BYTES_MAX]
    for size in sizes:
        batcher._queue.append(_Item(bytes(size), pb.WAIT_FINAL, loop.create_future()))
        batcher._queued_bytes += size
    messages: list[list[int]] = []
    while batcher._queue:
        items, _ = batcher._take()
        messages.append([len(item.raw) for item in items])
    assert [size for message in messages for size in message] == sizes
    assert all(sum(message) <= MESSAGE_BYTES_MAX for message in messages)
    assert all(len(message) <= 512 for message in messages)
    assert len(messages) < 8
    assert batcher._queued_bytes == 0

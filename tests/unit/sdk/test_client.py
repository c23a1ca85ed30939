"""The client against a scripted node over real gRPC: outcomes, repeats, failover, batches, clocks."""

from __future__ import annotations

import asyncio
import pickle
import socket
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from licet import transactions as t
from licet.client import Client
from licet.client_commands import Submission
from licet.connection import ClientOptions
from licet.crypto import SigningKey
from licet.errors import LicetError
from licet.outcomes import (
    Committed,
    Conflict,
    OutcomeUnknown,
    RefusedAtAdmission,
    RefusedInBlock,
    Unavailable,
)
from licet.retry import RetryPolicy
from licet.status_details import ErrorInfo
from licet.v1 import ledger_pb2 as pb

from tests.unit.sdk import world
from tests.unit.sdk.node import Node, abort_with, committed, refusal, serving

KEY = SigningKey(bytes([77]) * 32)
FAST = ClientOptions(
    retry=RetryPolicy(deadline_s=30.0, attempt_s=10.0, first_delay_s=0.01, delay_s_max=0.05), seed=1
)
BRIEF = ClientOptions(
    retry=RetryPolicy(deadline_s=1.5, attempt_s=1.0, first_delay_s=0.01, delay_s_max=0.02), seed=1
)
PAY = t.Pay(agreement="a", amount=t.Money(currency="EUR", minor=5))


async def connect(target: str | list[str], *, options: ClientOptions = FAST, **more: Any) -> Client:
    return await Client.connect(target, sender="acme", key=KEY, options=options, **more)


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_commitment_is_returned_with_its_place() -> None:
    async with serving() as (node, target), await connect(target) as client:
        done = await client.pay("a", "EUR 0.000005")
        assert (done.height, done.timestamp_ms, done.sender) == (5, 77, "acme")
        assert done.transaction_hash == node.seen[0].hash
        assert node.seen[0].body.commands == (PAY,)
        assert node.unary == 1
        assert node.messages == []


async def test_each_refusal_is_a_type_with_its_facts() -> None:
    async with serving() as (node, target), await connect(target) as client:

        async def at_admission(tx: t.Transaction) -> pb.SubmitResult:
            return refusal(tx, "TX_MALFORMED")

        async def in_block(tx: t.Transaction) -> pb.SubmitResult:
            return refusal(tx, "BALANCE_SHORT", clause="P1", in_block=True)

        async def conflict(tx: t.Transaction) -> pb.SubmitResult:
            return refusal(tx, "ID_REUSED")

        node.answer = at_admission
        with pytest.raises(RefusedAtAdmission) as first:
            await client.submit(PAY)
        assert first.value.transaction_hash == node.seen[0].hash
        node.answer = in_block
        with pytest.raises(RefusedInBlock) as second:
            await client.submit(PAY)
        error = second.value
        assert (error.clause, error.height, error.index, error.facts["limit"]) == ("P1", 6, 2, "3")
        node.answer = conflict
        with pytest.raises(Conflict):
            await client.submit(PAY)
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), again.clause, again.height, again.facts) == (
            RefusedInBlock,
            "P1",
            6,
            error.facts,
        )
        assert str(again) == str(error)
        assert len(node.seen) == 3  # what was decided is never asked again


async def test_a_lost_answer_is_asked_for_again_with_the_same_bytes() -> None:
    """The node takes the transaction and dies before it answers: the repeat is byte for byte the same."""
    async with serving() as (node, target), await connect(target) as client:
        calls = 0

        async def lose_two(tx: t.Transaction) -> pb.SubmitResult:
            nonlocal calls
            calls += 1
            if calls < 3:
                raise RuntimeError("the answer is lost")
            return committed(tx)

        node.answer = lose_two
        await client.submit(PAY)
        assert len(node.seen) == 3
        assert len({tx.raw_body for tx in node.seen}) == 1
        assert len({tx.signatures for tx in node.seen}) == 1


async def test_an_outcome_that_stays_unknown_names_the_id() -> None:
    async with serving() as (node, target), await connect(target, options=BRIEF) as client:
        never = asyncio.Event()

        async def hang(tx: t.Transaction) -> pb.SubmitResult:
            await never.wait()
            return committed(tx)

        node.answer = hang
        chosen = bytes(range(16))
        with pytest.raises(OutcomeUnknown) as lost:
            await client.submit(PAY, how=Submission(id=chosen))
        assert lost.value.tx_id == chosen
        assert lost.value.facts["id"] == chosen.hex()
        never.set()


async def test_no_node_at_all_is_unavailable_and_never_unknown() -> None:
    async with serving() as (node, target):
        client = await connect(target, options=BRIEF)
        transaction = await client.prepare(PAY)
    # The node is gone now.
    with pytest.raises(Unavailable) as down:
        await client.send(transaction)
    assert down.value.retry_after_s >= 1.0
    assert down.value.transaction_hash == transaction.hash
    assert node.seen == []
    await client.close()


async def test_connecting_to_nothing_is_one_sentence_within_the_deadline() -> None:
    with pytest.raises(Unavailable, match=r"No node answers at .*: nothing listens there"):
        await connect(f"127.0.0.1:{closed_port()}", options=BRIEF)


async def test_a_full_node_says_how_long_to_wait() -> None:
    async with serving() as (node, _):
        loop = asyncio.get_running_loop()
        moments: list[float] = []
        take = node.answer

        async def full_once(request: Any, context: Any) -> Any:
            moments.append(loop.time())
            if len(moments) == 1:
                info = ErrorInfo(reason="RESOURCE_EXHAUSTED", metadata={"retry_ms": "120", "fault": "sender"})
                await abort_with(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "full", info)
            return pb.SubmitResponse(result=await take(node._take(request.transaction)))

        node.Submit = full_once  # type: ignore[method-assign]
        # Handlers are bound when the server starts, so a second server shows the replaced one.
        async with serving(node) as (_, second), await connect(second) as other:
            await other.submit(PAY)
        assert len(moments) == 2
        assert moments[1] - moments[0] >= 0.12


async def test_a_refused_call_carries_code_fault_and_remedy() -> None:
    async with serving() as (node, _):

        async def missing(request: Any, context: Any) -> None:
            info = ErrorInfo(
                reason="NOT_FOUND",
                metadata={"fault": "sender", "remedy": "Look elsewhere.", "party": "nobody"},
            )
            await abort_with(context, grpc.StatusCode.NOT_FOUND, "There is no party nobody.", info)

        node.GetParty = missing  # type: ignore[assignment,method-assign]
        async with serving(node) as (_, target), await connect(target) as client:
            with pytest.raises(LicetError) as refused:
                await client.get_party("nobody")
    error = refused.value
    assert (error.code, error.fault, error.remedy) == ("NOT_FOUND", "sender", "Look elsewhere.")
    assert error.facts == {"party": "nobody"}
    assert error.message == "There is no party nobody."


async def test_a_second_node_takes_over() -> None:
    dead = f"127.0.0.1:{closed_port()}"
    async with serving() as (node, target), await connect([dead, target]) as client:
        await client.submit(PAY)
        assert client.target == target
        assert len(node.seen) == 1


async def test_a_node_that_dies_under_way_is_left_with_the_same_bytes() -> None:
    async with serving() as (alive, second):
        async with serving() as (dying, first):
            client = await connect([first, second])

            async def hang(tx: t.Transaction) -> pb.SubmitResult:
                await asyncio.Event().wait()
                return committed(tx)

            dying.answer = hang
            pending = asyncio.create_task(client.submit(PAY))
            await dying.arrived(1)
        done = await pending
        assert done.height == 5
        assert [tx.raw_body for tx in alive.seen] == [tx.raw_body for tx in dying.seen]
        await client.close()


async def test_overlapping_calls_become_batches_and_a_quiet_one_goes_alone() -> None:
    async with serving() as (node, target), await connect(target) as client:
        held = asyncio.Event()

        async def hold(tx: t.Transaction) -> pb.SubmitResult:
            await held.wait()
            return committed(tx)

        node.answer = hold
        jobs = [asyncio.create_task(client.submit(PAY)) for _ in range(400)]
        await node.arrived(400)
        held.set()
        outcomes = await asyncio.gather(*jobs)
        assert {outcome.transaction_hash for outcome in outcomes} == {tx.hash for tx in node.seen}
        assert node.unary == 1
        assert sum(node.messages) == 399
        assert len(node.messages) <= 20, "no call per transaction"
        await client.submit(PAY)
        assert node.unary == 2


async def test_a_full_block_is_answered_with_the_same_bytes_again() -> None:
    async with serving() as (node, target), await connect(target) as client:

        async def full_twice(tx: t.Transaction) -> pb.SubmitResult:
            return refusal(tx, "BLOCK_FULL", in_block=True) if len(node.seen) < 3 else committed(tx)

        node.answer = full_twice
        done = await client.submit(PAY)
        assert [tx.hash for tx in node.seen] == [done.transaction_hash] * 3


async def test_blocks_that_stay_full_are_told_when_the_deadline_has_passed() -> None:
    async with serving() as (node, target), await connect(target, options=BRIEF) as client:

        async def full(tx: t.Transaction) -> pb.SubmitResult:
            return refusal(tx, "BLOCK_FULL", in_block=True)

        node.answer = full
        with pytest.raises(RefusedInBlock) as told:
            await client.submit(PAY)
        assert told.value.code == "BLOCK_FULL"
        assert len({tx.hash for tx in node.seen}) == 1 < len(node.seen)


async def test_batches_keep_each_transaction_s_own_outcome() -> None:
    async with serving() as (node, target), await connect(target) as client:

        async def every_third(tx: t.Transaction) -> pb.SubmitResult:
            command = tx.body.commands[0]
            assert isinstance(command, t.Pay)
            if command.amount.minor % 3 == 0:
                return refusal(tx, "BALANCE_SHORT", in_block=True)
            return committed(tx, height=command.amount.minor)

        node.answer = every_third
        amounts = range(1, 61)
        outcomes = await client.submit_all(
            [[t.Pay(agreement="a", amount=t.Money(currency="EUR", minor=minor))] for minor in amounts]
        )
        for minor, outcome in zip(amounts, outcomes, strict=True):
            if minor % 3 == 0:
                assert isinstance(outcome, RefusedInBlock)
            else:
                assert isinstance(outcome, Committed)
                assert outcome.height == minor


async def test_a_stream_that_breaks_loses_nothing_and_doubles_nothing() -> None:
    async with serving() as (node, target), await connect(target) as client:
        broken = 0

        def break_twice(rpc: str) -> tuple[grpc.StatusCode, str] | None:
            nonlocal broken
            if rpc == "SubmitStream.message" and broken < 2:
                broken += 1
                return grpc.StatusCode.UNAVAILABLE, "going away"
            return None

        node.fail = break_twice
        outcomes = await client.submit_all([[PAY]] * 100)
        assert broken == 2
        assert all(isinstance(outcome, Committed) for outcome in outcomes)
        assert len({tx.body.id for tx in node.seen}) == 100


async def test_valid_until_comes_from_the_node_s_clock() -> None:
    async with serving() as (node, target), await connect(target) as client:
        await client.submit(PAY)
        until = node.seen[0].body.valid_until_ms
        assert node.now_ms < until <= node.now_ms + 300_000
        assert until - world.START_MS < 300_000, "this machine's clock, years away, plays no part"


async def test_a_clock_that_moved_is_read_again_and_the_id_stays() -> None:
    async with serving() as (node, target), await connect(target) as client:

        async def by_the_clock(tx: t.Transaction) -> pb.SubmitResult:
            return committed(tx) if tx.body.valid_until_ms >= node.now_ms else refusal(tx, "TX_EXPIRED")

        node.answer = by_the_clock
        node.now_ms += 90 * 86_400_000  # an operator advanced three months
        await client.submit(PAY)
        assert [tx.body.id for tx in node.seen] == [node.seen[0].body.id] * 2
        assert node.seen[1].body.valid_until_ms >= node.now_ms


async def test_one_question_about_the_clock_serves_a_crowd() -> None:
    async with serving() as (node, target), await connect(target) as client:
        before = node.status_calls
        await client.submit_all([[PAY]] * 50)
        assert node.status_calls == before


async def test_validate_only_asks_and_submits_nothing() -> None:
    async with serving() as (node, target), await connect(target) as client:
        seen = await client.submit(PAY, how=Submission(validate_only=True))
        assert seen.preview
        assert (node.validated, node.unary) == (1, 0)


async def test_another_network_is_refused_before_anything_is_signed() -> None:
    async with serving() as (_, target):
        with pytest.raises(LicetError, match="belongs to network") as refused:
            await connect(target, expect_chain=bytes(32))
        assert refused.value.code == "WRONG_CHAIN"
        with pytest.raises(LicetError, match="belongs to network"):
            await connect(target, genesis=world.genesis(nonce=9))


async def test_a_malformed_command_never_leaves() -> None:
    async with serving() as (node, target), await connect(target) as client:
        with pytest.raises(LicetError, match="is no id"):
            await client.pay("No Such Name", "EUR 1")
        with pytest.raises(LicetError, match="has 6 decimals"):
            await client.pay("a", "EUR 0.0000001")
        with pytest.raises(LicetError, match="not on this ledger"):
            await client.pay("a", "GBP 1")
        assert node.seen == []


async def test_without_a_sender_or_a_key_it_says_what_to_do() -> None:
    async with serving() as (_, target), await Client.connect(target, options=FAST) as reader:
        with pytest.raises(LicetError, match="acts for no party"):
            await reader.submit(PAY)
        with pytest.raises(LicetError, match="0 signatures"):
            await reader.submit(PAY, how=Submission(sender="acme"))
        acting = reader.acting("acme", KEY)
        await acting.submit(PAY)
        await acting.close()
        await reader.status()  # the connection is the reader's


async def test_lists_follow_their_pages() -> None:
    pages = {"": (["a", "b"], "p2"), "p2": (["c"], "p3"), "p3": ([], "")}

    def page(request: Any) -> pb.ListPartiesResponse:
        names, following = pages[request.page_token]
        return pb.ListPartiesResponse(
            parties=[pb.Party(party=name) for name in names], next_page_token=following
        )

    async with serving(replies={"ListParties": page}) as (_, target), await connect(target) as client:
        assert [party.party async for party in client.list_parties()] == ["a", "b", "c"]


async def test_a_node_that_repeats_a_page_is_caught() -> None:
    def page(request: Any) -> pb.ListPartiesResponse:
        return pb.ListPartiesResponse(parties=[pb.Party(party="a")], next_page_token="again")

    async with serving(replies={"ListParties": page}) as (_, target), await connect(target) as client:
        with pytest.raises(LicetError, match="same page for ever"):
            [party async for party in client.list_parties()]


async def test_events_resume_after_a_break_from_their_cursor() -> None:
    asked: list[str] = []

    async def stream(request: Any, context: Any) -> AsyncIterator[pb.StreamEventsResponse]:
        asked.append(request.after)
        first = int(request.after or 0) + 1
        for number in (first, first + 1):
            yield pb.StreamEventsResponse(
                events=[pb.EventRecord(cursor=str(number), event=pb.Event(kind="party.registered"))],
                cursor=str(number),
            )
        if len(asked) < 3:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "going away")

    async with serving(replies={"StreamEvents": stream}) as (_, target), await connect(target) as client:
        got = [event.cursor async for event in client.events(until_now=True)]
    assert got == ["1", "2", "3", "4", "5", "6"]
    assert asked == ["", "2", "4"]


async def test_events_wait_for_a_node_that_is_behind_the_one_before() -> None:
    """The cursor came from a node that is further on; one that a caller gave is refused at once."""
    calls = 0

    async def stream(request: Any, context: Any) -> AsyncIterator[pb.StreamEventsResponse]:
        nonlocal calls
        calls += 1
        if calls == 2 or request.after == "mine":
            info = ErrorInfo(reason="CURSOR_INVALID", metadata={"fault": "sender"})
            await abort_with(context, grpc.StatusCode.INVALID_ARGUMENT, "The cursor is of height 9.", info)
        if calls == 1:
            yield pb.StreamEventsResponse(events=[pb.EventRecord(cursor="1")], cursor="1")
            await context.abort(grpc.StatusCode.UNAVAILABLE, "going down")
        yield pb.StreamEventsResponse(events=[pb.EventRecord(cursor="2")], cursor="2")

    async with serving(replies={"StreamEvents": stream}) as (_, target), await connect(target) as client:
        assert [event.cursor async for event in client.events(until_now=True)] == ["1", "2"]
        assert calls == 3
        with pytest.raises(LicetError) as refused:
            await anext(client.events(after="mine"))
        assert refused.value.code == "CURSOR_INVALID"
        assert calls == 4


async def test_another_loop_is_a_sentence() -> None:
    async with serving() as (_, target), await connect(target) as client:

        def elsewhere() -> str:
            async def use() -> None:
                await client.status()

            with pytest.raises(LicetError, match="another event loop") as refused:
                asyncio.run(use())
            return refused.value.code

        assert await asyncio.to_thread(elsewhere) == "WRONG_LOOP"


async def test_a_fork_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as (_, target), await connect(target) as client:
        with monkeypatch.context() as forked:
            forked.setattr("os.getpid", lambda: -1)
            with pytest.raises(LicetError, match="after a fork"):
                await client.status()


async def test_a_closed_client_is_a_sentence() -> None:
    async with serving() as (_, target):
        client = await connect(target)
        await client.close()
        await client.close()
        with pytest.raises(LicetError, match="is closed"):
            await client.submit(PAY)


async def test_closing_wakes_whoever_waits() -> None:
    async with serving() as (node, target):
        client = await connect(target)

        async def hang(tx: t.Transaction) -> pb.SubmitResult:
            await asyncio.Event().wait()
            return committed(tx)

        node.answer = hang
        jobs = [asyncio.create_task(client.submit(PAY)) for _ in range(5)]
        await node.arrived(5)
        await client.close()
        outcomes = await asyncio.wait_for(asyncio.gather(*jobs, return_exceptions=True), 5)
        assert [type(outcome) for outcome in outcomes] == [OutcomeUnknown] * 5


async def test_a_node_that_answers_for_another_transaction_is_caught() -> None:
    async with serving() as (node, target), await connect(target) as client:

        async def other(tx: t.Transaction) -> pb.SubmitResult:
            return pb.SubmitResult(transaction_hash=bytes(32), receipt=pb.Receipt(committed=True))

        node.answer = other
        with pytest.raises(LicetError, match="another transaction"):
            await client.submit(PAY)


def test_the_node_of_these_tests_checks_signatures() -> None:
    from licet.builder import build_transaction

    other = build_transaction(
        chain_id=world.genesis(nonce=1).chain_id(),
        sender="acme",
        commands=[PAY],
        valid_until_ms=1,
        keys=[KEY],
    )
    with pytest.raises(AssertionError):
        Node(world.genesis())._take(other.raw)


async def test_an_empty_statement_is_a_registered_party_s_or_an_error() -> None:
    replies = {
        "GetStatement": pb.GetStatementResponse(party="ines", height=4),
        "GetParty": pb.GetPartyResponse(party=pb.Party(party="ines")),
        "GetAgreement": pb.GetAgreementResponse(),
    }
    async with serving(replies=replies) as (node, target), await connect(target) as client:
        assert (await client.statement("ines")).to_text() == (
            "No entries.\n\nBalances of ines after height 4:\nnone"
        )
        missing = "GetAgreement"

        def fail(rpc: str) -> tuple[grpc.StatusCode, str] | None:
            return (grpc.StatusCode.NOT_FOUND, f"nothing for {rpc}") if rpc == missing else None

        node.fail = fail
        with pytest.raises(LicetError, match="nothing for GetAgreement"):
            await client.statement("ines", agreement="a-1")
        missing = "GetParty"
        with pytest.raises(LicetError, match="nothing for GetParty"):
            await client.statement("nobody")

"""The synchronous client: the same names, a loop of its own, sentences where it cannot work."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import pytest
from licet.client import Client
from licet.connection import ClientOptions
from licet.crypto import SigningKey
from licet.errors import LicetError
from licet.outcomes import Committed, RefusedInBlock
from licet.retry import RetryPolicy
from licet.sync_client import SyncClient
from licet.v1 import ledger_pb2 as pb

from tests.unit.sdk.node import Node, refusal, serving

KEY = SigningKey(bytes([78]) * 32)
FAST = ClientOptions(retry=RetryPolicy(deadline_s=30.0, attempt_s=10.0, first_delay_s=0.01, delay_s_max=0.05))


@contextmanager
def scripted(**replies: Any) -> Iterator[tuple[Node, str]]:
    """A scripted node in a thread of its own: here the test itself runs no loop."""
    ready: Future[tuple[Node, str]] = Future()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with serving(replies=replies) as served:
            ready.set_result(served)
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        yield ready.result(timeout=10)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def public(cls: type) -> set[str]:
    return {name for name in dir(cls) if not name.startswith("_")}


def test_both_clients_have_the_same_names() -> None:
    assert public(SyncClient) == public(Client)


def test_both_clients_take_the_same_arguments() -> None:
    for name in sorted(public(Client)):
        one, other = inspect.getattr_static(Client, name), inspect.getattr_static(SyncClient, name)
        if isinstance(one, property):
            assert isinstance(other, property), name
            continue
        if isinstance(one, classmethod):
            one, other = one.__func__, other.__func__
        ours = list(inspect.signature(one).parameters.values())
        theirs = list(inspect.signature(other).parameters.values())
        assert [(p.name, p.kind, p.default) for p in ours] == [(p.name, p.kind, p.default) for p in theirs], (
            name
        )


def test_it_submits_lists_and_raises_what_the_other_does() -> None:
    def page(request: Any) -> pb.ListPartiesResponse:
        following = {"": "2", "2": ""}[request.page_token]
        return pb.ListPartiesResponse(
            parties=[pb.Party(party=f"p{request.page_token}")], next_page_token=following
        )

    async def refuse(tx: Any) -> Any:
        return refusal(tx, "BALANCE_SHORT", clause="P1", in_block=True)

    with (
        scripted(ListParties=page) as (node, target),
        SyncClient.connect(target, sender="acme", key=KEY, options=FAST) as client,
    ):
        assert isinstance(client.pay("a", "EUR 1"), Committed)
        assert [party.party for party in client.list_parties()] == ["p", "p2"]
        for party in client.list_parties():
            assert party.party == "p"
            break  # a list left early is closed
        node.answer = refuse
        with pytest.raises(RefusedInBlock):
            client.pay("a", "EUR 1")


def test_a_list_that_outlives_its_client_ends_in_silence() -> None:
    """As when the reader of `licet asset list | head -1` has gone: the generator is collected last."""
    reply = pb.ListPartiesResponse(parties=[pb.Party(party="a"), pb.Party(party="b")])
    with scripted(ListParties=reply) as (_, target), SyncClient.connect(target, options=FAST) as client:
        parties = client.list_parties()
        assert next(iter(parties)).party == "a"
    parties.close()  # type: ignore[attr-defined]


async def test_it_works_where_a_loop_runs_already() -> None:
    """As in a notebook."""

    def use() -> int:
        with scripted() as (_, target), SyncClient.connect(target, options=FAST) as client:
            return client.status().height

    assert use() == 9


def test_many_threads_share_one() -> None:
    with (
        scripted() as (node, target),
        SyncClient.connect(target, sender="acme", key=KEY, options=FAST) as client,
    ):
        threads = [threading.Thread(target=client.pay, args=("a", "EUR 1")) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({tx.body.id for tx in node.seen}) == 16


def test_a_fork_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted() as (_, target), SyncClient.connect(target, options=FAST) as client:
        monkeypatch.setattr("os.getpid", lambda: -1)
        with pytest.raises(LicetError, match="after a fork"):
            client.status()
        monkeypatch.undo()


def test_its_own_thread_is_a_sentence() -> None:
    with scripted() as (_, target), SyncClient.connect(target, options=FAST) as client:

        async def inside() -> str:
            with pytest.raises(LicetError, match="inside the thread") as refused:
                client.status()
            return refused.value.code

        assert client._loop.run(inside()) == "WRONG_THREAD"


def test_closed_twice_is_fine_and_used_after_is_a_sentence() -> None:
    with scripted() as (_, target):
        client = SyncClient.connect(target, options=FAST)
        acting = client.acting("acme", KEY)
        acting.close()
        client.status()
        client.close()
        client.close()
        with pytest.raises(LicetError, match="is closed"):
            client.status()
    names = {thread.name for thread in threading.enumerate()}
    assert "licet-sync-client" not in names


def test_a_failed_connection_leaves_no_thread() -> None:
    brief = ClientOptions(
        retry=RetryPolicy(deadline_s=0.2, attempt_s=0.1, first_delay_s=0.01, delay_s_max=0.01)
    )
    with pytest.raises(LicetError):
        SyncClient.connect("127.0.0.1:1", options=brief)
    assert "licet-sync-client" not in {thread.name for thread in threading.enumerate()}

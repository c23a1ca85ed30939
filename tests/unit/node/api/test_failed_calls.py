"""A call that fails leaves nothing behind: no cycle holds it and what its client sent.

A node's collector rarely looks at what has lived for a second, so such a cycle would stay.
"""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator

import grpc
import pytest
from licet.v1 import ledger_pb2 as pb

from tests.unit.node.api.conftest import Running

CALLS = 5


async def fails(call: object) -> None:
    try:
        async for _ in call:  # type: ignore[attr-defined]
            pass
    except grpc.aio.AioRpcError:
        return
    raise AssertionError("it was answered")


async def bad_stream() -> AsyncIterator[pb.SubmitStreamRequest]:
    yield pb.SubmitStreamRequest(sequence=1, transactions=[b"no transaction"])
    yield pb.SubmitStreamRequest(sequence=2, transactions=[bytes(100_000)], wait=9)


async def in_vain(running: Running) -> None:
    """One failing call of each form."""
    with pytest.raises(grpc.aio.AioRpcError, match="nobody"):
        await running.stub.GetParty(pb.GetPartyRequest(party="nobody"))
    await fails(running.stub.StreamEvents(pb.StreamEventsRequest(after="nowhere")))
    await fails(running.stub.SubmitStream(bad_stream()))


def calls_held() -> int:
    """Calls that the server's side still has, collected or not."""
    return sum(type(one).__name__ == "_ServicerContext" for one in gc.get_objects())


async def test_no_cycle_holds_a_failed_call(running: Running) -> None:
    await in_vain(running)
    gc.collect()
    before = calls_held()
    gc.disable()
    try:
        for _ in range(CALLS):
            await in_vain(running)
        assert calls_held() - before <= 3, "at most those that are ending"
    finally:
        gc.enable()

"""Connections above a door's bound are closed, and who came before feels nothing."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from licet.v1 import ledger_pb2

from node.operations import descriptors
from tests.unit.node.api.conftest import Running


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Doors of six clients and three readers of metrics."""
    monkeypatch.setattr(descriptors, "CLIENTS_MAX", 6)
    monkeypatch.setattr(descriptors, "METRICS_MAX", 3)


async def test_a_connection_above_the_bound_is_closed_and_the_others_go_on(
    narrow: None, running: Running
) -> None:
    assert (await running.stub.GetStatus(ledger_pb2.GetStatusRequest(), timeout=10)).node == "n1"
    for port, bound in ((running.app.api_port, 6), (running.app.metrics_port, 3)):
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3 * bound)]
        reads = [asyncio.create_task(_closed(reader)) for reader, _ in opened]
        enough = 2 * bound
        async with asyncio.timeout(20):
            while sum(task.done() for task in reads) < enough:
                await asyncio.wait([task for task in reads if not task.done()], return_when="FIRST_COMPLETED")
        assert (await running.stub.GetStatus(ledger_pb2.GetStatusRequest(), timeout=10)).node == "n1"
        for task in reads:
            task.cancel()
        for _, writer in opened:
            writer.close()
    with pytest.raises(grpc.RpcError) as refused:
        await running.stub.GetAsset(ledger_pb2.GetAssetRequest(asset="nothing"), timeout=10)
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND


async def _closed(reader: asyncio.StreamReader) -> None:
    """Return when the other side has closed the connection, whatever it said before."""
    try:
        while await reader.read(4096):
            pass
    except ConnectionError:
        pass

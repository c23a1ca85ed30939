"""The doors beside the ledger service: admin socket, health, reflection, metrics, quotas, error details."""

from __future__ import annotations

import asyncio
import stat

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from licet.errors import Fault, LicetError
from licet.status_details import METADATA_KEY, decode_status
from licet.v1 import admin_pb2, ledger_pb2

from node.api.errors import STATUS_BY_CODE, details_of, status_of
from node.api.quotas import SHARE_MIN, QuotaExceeded, Quotas
from tests.unit.node.api.conftest import Running


async def test_the_admin_socket_is_its_owners_alone(running: Running) -> None:
    path = running.app.config.admin_socket
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    status = await running.admin.GetNodeStatus(admin_pb2.GetNodeStatusRequest())
    assert status.voting
    assert status.public.node == "n1"
    peers = await running.admin.ListPeers(admin_pb2.ListPeersRequest())
    assert not peers.peers
    level = await running.admin.SetLogLevel(admin_pb2.SetLogLevelRequest(level="warning"))
    assert level.level == "warning"
    stats = await running.admin.GetStorageStats(admin_pb2.GetStorageStatsRequest())
    assert {"state", "block"} <= {kind.kind for kind in stats.kinds}


async def test_the_clock_moves_by_command_and_only_forward(running: Running) -> None:
    before = (await running.client.status()).now_ms
    moved = await running.admin.AdvanceClock(admin_pb2.AdvanceClockRequest(by_ms=86_400_000))
    assert moved.now_ms >= before + 86_400_000
    status = await running.client.status()
    assert status.timestamp_ms >= before + 86_400_000
    for wrong in (
        admin_pb2.AdvanceClockRequest(to_ms=before),
        admin_pb2.AdvanceClockRequest(),
        admin_pb2.AdvanceClockRequest(by_ms=1, to_ms=before + 2 * 86_400_000),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            await running.admin.AdvanceClock(wrong)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_the_admin_service_is_not_on_the_clients_port(running: Running) -> None:
    from licet.v1.admin_pb2_grpc import AdminServiceStub

    with pytest.raises(grpc.RpcError) as refused:
        await AdminServiceStub(running.channel).GetNodeStatus(admin_pb2.GetNodeStatusRequest())
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_health_and_reflection_are_served(running: Running) -> None:
    answer = await health_pb2_grpc.HealthStub(running.channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    stub = reflection_pb2_grpc.ServerReflectionStub(running.channel)
    call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    names = {service.name async for one in call for service in one.list_services_response.service}
    assert {"licet.v1.LedgerService", "grpc.health.v1.Health"} <= names


async def test_metrics_are_served(running: Running) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.app.metrics_port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    text = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    assert text.startswith("HTTP/1.1 200 OK")
    for name in ("licet_committed_height", "licet_view", "licet_transactions_total", "licet_pool_bytes"):
        assert f"\n{name} " in text
    assert 'licet_stage_cpu_seconds_total{stage="execute"}' in text


async def test_an_error_carries_code_facts_fault_and_remedy(running: Running) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        await running.stub.GetAsset(ledger_pb2.GetAssetRequest(asset="nothing"))
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND
    details = dict(refused.value.trailing_metadata())[METADATA_KEY]
    info = decode_status(details)
    assert info is not None
    assert info.reason == "NOT_FOUND"
    assert info.metadata["id"] == "nothing"
    assert info.metadata["fault"] == "sender"
    assert info.metadata["remedy"]


@pytest.mark.parametrize("fault", list(Fault))
def test_every_fault_has_a_status(fault: Fault) -> None:
    error = LicetError("SOME_CODE", "Something.", fault=fault, remedy="Do it.", facts={"a": "b"})
    assert status_of(error) is not grpc.StatusCode.OK
    info = decode_status(details_of(error))
    assert info is not None
    assert info.metadata == {"a": "b", "fault": fault.value, "remedy": "Do it."}


def test_the_table_of_statuses_is_upper_case_codes() -> None:
    assert all(code == code.upper() for code in STATUS_BY_CODE)


async def test_a_flood_is_refused_and_others_feel_nothing() -> None:
    quotas = Quotas(connection_max=10_000, total_max=12_000)
    with quotas.take("flood", 10_000):
        with pytest.raises(QuotaExceeded) as refused, quotas.take("flood", 1):
            pass
        assert refused.value.facts["retry_ms"]
        with quotas.take("other", 1_000):
            assert quotas.waiting == 11_000
            assert quotas.limit("flood") == 6_000  # an equal share, while the pool is over half full
    assert quotas.waiting == 0
    assert quotas.limit("flood") == 10_000
    assert SHARE_MIN <= 6_000


async def test_a_stream_waits_for_room() -> None:
    quotas = Quotas(connection_max=100, total_max=1_000)
    await quotas.wait("one", 100)
    waiting = asyncio.create_task(quotas.wait("one", 50))
    await asyncio.sleep(0)
    assert not waiting.done()
    quotas.give_back("one", 100)
    await asyncio.wait_for(waiting, 5)
    quotas.give_back("one", 50)
    assert quotas.waiting == 0


async def test_a_long_question_is_refused_in_few_words_and_the_connection_goes_on(running: Running) -> None:
    """A status beyond a client's bound for trailers ends its whole connection."""
    for long in ("x" * 100_000, "\u00e4" * 100_000):
        question = ledger_pb2.AuthorizeRequest(party="studio", asset="photo1", action=long)
        with pytest.raises(grpc.RpcError) as refused:
            await running.stub.Authorize(question, timeout=10)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        trailers = refused.value.trailing_metadata()
        info = decode_status(next(value for key, value in trailers if key == METADATA_KEY))
        assert info is not None
        assert info.reason == "INVALID_QUESTION"
        assert info.metadata["fault"] == "sender"
        assert sum(len(value) for _, value in trailers) < 8192
    assert (await running.stub.GetStatus(ledger_pb2.GetStatusRequest(), timeout=10)).node == "n1"

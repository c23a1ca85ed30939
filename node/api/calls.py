"""What operators' commands and the devnet ask of running nodes: status, health, one submission, the clock.

The client's side of the API for programs of this room; users have the SDK.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from licet.v1 import admin_pb2, ledger_pb2
from licet.v1.admin_pb2_grpc import AdminServiceStub
from licet.v1.ledger_pb2_grpc import LedgerServiceStub

CHANNEL_OPTIONS: Final = [
    ("grpc.initial_reconnect_backoff_ms", 20),
    ("grpc.min_reconnect_backoff_ms", 20),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.use_local_subchannel_pool", 1),
]


class CallFailed(Exception):
    """A node refused or did not answer; the text is its sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a node says of itself."""

    sentence: str
    now_ms: int
    window_ms: int


def _channel(target: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)


def _why(error: grpc.RpcError) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return error.details() or error.code().name
    return str(error)


async def standing(target: str, *, timeout_s: float, patient: bool = False) -> Standing:
    """A node's status; `patient`: wait until it can be reached."""
    async with _channel(target) as channel:
        stub: Any = LedgerServiceStub(channel)
        try:
            status = await stub.GetStatus(
                ledger_pb2.GetStatusRequest(), timeout=timeout_s, wait_for_ready=patient
            )
        except grpc.RpcError as error:
            raise CallFailed(_why(error)) from error
    return Standing(sentence=status.sentence, now_ms=status.now_ms, window_ms=status.window_ms)


async def takes_part(socket_path: str, *, timeout_s: float) -> str:
    """Empty where a node votes, by its own word over its admin socket; else why it does not."""
    async with _channel(f"unix:{socket_path}") as channel:
        stub: Any = AdminServiceStub(channel)
        try:
            status = await stub.GetNodeStatus(admin_pb2.GetNodeStatusRequest(), timeout=timeout_s)
        except grpc.RpcError as error:
            raise CallFailed(_why(error)) from error
    return "" if status.voting else str(status.not_voting_reason) or "does not vote"


async def submit(target: str, transaction: bytes, *, timeout_s: float) -> str:
    """Submit one transaction and wait for finality: empty where it was committed, else why not."""
    async with _channel(target) as channel:
        stub: Any = LedgerServiceStub(channel)
        try:
            request = ledger_pb2.SubmitRequest(transaction=transaction)
            result = (await stub.Submit(request, timeout=timeout_s)).result
        except grpc.RpcError as error:
            raise CallFailed(_why(error)) from error
    if result.HasField("receipt") and result.receipt.committed:
        return ""
    refusal = result.receipt.refusal if result.HasField("receipt") else result.refusal
    return str(refusal.message) or "it was not final in time"


async def advance(socket_path: str, to_ms: int, *, timeout_s: float) -> int:
    """Move the virtual clock over a node's admin socket; the time that is final then."""
    async with _channel(f"unix:{socket_path}") as channel:
        stub: Any = AdminServiceStub(channel)
        try:
            answer = await stub.AdvanceClock(admin_pb2.AdvanceClockRequest(to_ms=to_ms), timeout=timeout_s)
        except grpc.RpcError as error:
            raise CallFailed(_why(error)) from error
    return int(answer.now_ms)


async def serves(target: str, *, timeout_s: float) -> tuple[bool, str]:
    """Whether a node serves by its health service, and its sentence or why not."""
    async with _channel(target) as channel:
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=timeout_s
            )
        except grpc.RpcError as error:
            code = error.code().name if isinstance(error, grpc.aio.AioRpcError) else "no answer"
            return False, f"no node answers at {target} ({code})"
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        return False, f"the node at {target} is not serving"
    try:
        return True, (await standing(target, timeout_s=timeout_s)).sentence
    except CallFailed as error:
        return False, f"the node at {target} says no status: {error}"

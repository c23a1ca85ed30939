"""AdminService: the operators' RPCs, served on the data folder's Unix socket and nowhere else."""

from __future__ import annotations

from typing import Any

from licet.errors import Fault, LicetError
from licet.types import TimestampMs
from licet.usage import format_time_ms
from licet.v1 import admin_pb2 as pb
from licet.v1.admin_pb2_grpc import AdminServiceServicer

from node.api.errors import RequestInvalid
from node.api.isolation import isolation_message
from node.api.ledger_service import answering
from node.api.pages import page_size
from node.api.status import StatusView
from node.config import LOG_LEVELS
from node.net.peers import PeerTable
from node.operations import logs
from node.operations.health import WHY_NOT
from node.runtime.driver import Driver

ADVANCE_S = 30.0
ADVANCE_MS_MAX = 20 * 366 * 86_400_000


class ClockNotManual(LicetError):
    """This network's time is the world's."""

    def __init__(self) -> None:
        super().__init__(
            "CLOCK_NOT_MANUAL",
            "This network's genesis does not say manual_clock, so its time cannot be moved.",
            fault=Fault.OPERATOR,
            remedy="Start a development network with `python -m node devnet --clock manual`.",
        )


class AdvanceNotFinal(LicetError):
    """No block with the new time was final in time."""

    def __init__(self, *, now_ms: int, final_ms: int) -> None:
        super().__init__(
            "NOT_FINAL_IN_TIME",
            f"This node's clock was moved to {format_time_ms(now_ms)}, and the last final block is of"
            f" {format_time_ms(final_ms)}: none with the new time is final yet.",
            fault=Fault.MACHINE,
            remedy=(
                "Look at the status: the network may lack a quorum. Once it has one, a block with the new"
                " time follows by itself; the clock need not be moved again."
            ),
            facts={"now_ms": str(now_ms), "final_ms": str(final_ms)},
        )


class AdminService(AdminServiceServicer):
    """The operators' service."""

    def __init__(self, *, driver: Driver, status: StatusView, peers: PeerTable) -> None:
        self._driver = driver
        self._status = status
        self._peers = peers

    @answering
    async def GetNodeStatus(self, request: Any, context: Any) -> pb.GetNodeStatusResponse:
        public = self._status.public()
        status = self._driver.status()
        ordering = self._driver.node.core.ordering
        names = [validator.name for validator in self._driver.node.genesis.validators]
        engine = ordering.status(self._driver.clock.mono_us())
        return pb.GetNodeStatusResponse(
            sentence=public.sentence,
            public=public,
            view=status.view,
            leader=public.leader,
            voting=status.voting,
            not_voting_reason=engine.not_voting_why,
            pending_transactions=status.pending_transactions,
            evidence=[
                f"{names[one.voter]} contradicts itself in view {one.view}" for one in ordering.evidence()
            ],
            isolation=isolation_message(status.isolation, tuple(names)),
        )

    @answering
    async def ListPeers(self, request: Any, context: Any) -> pb.ListPeersResponse:
        size = page_size(request.page_size)
        try:
            first = int(request.page_token) if request.page_token else 0
        except ValueError:
            raise RequestInvalid("page_token", "is of another list", code="PAGE_TOKEN_INVALID") from None
        peers = [peer for peer in self._peers if peer.index >= first]
        return pb.ListPeersResponse(
            peers=[
                pb.Peer(
                    name=peer.name,
                    address="" if peer.address is None else str(peer.address),
                    connected=peer.connected,
                    last_seen_ms_ago=peer.seen_ms_ago or 0,
                    protocol_version=peer.protocol_version,
                    last_fault=peer.last_fault,
                    frames_dropped=peer.frames_dropped,
                    not_voting_reason=WHY_NOT.get(peer.participation, ""),
                )
                for peer in peers[:size]
            ],
            next_page_token=str(peers[size].index) if len(peers) > size else "",
        )

    @answering
    async def GetStorageStats(self, request: Any, context: Any) -> pb.GetStorageStatsResponse:
        stats = self._driver.node.storage.stats()
        return pb.GetStorageStatsResponse(
            kinds=[
                pb.StorageKind(kind=kind.name.lower(), keys=one.records_written, bytes=one.bytes_written)
                for kind, one in stats.items()
            ],
            transactions=self._driver.node.log.size,
        )

    @answering
    async def AdvanceClock(self, request: Any, context: Any) -> pb.AdvanceClockResponse:
        if not self._driver.clock.manual:
            raise ClockNotManual
        if bool(request.by_ms) == bool(request.to_ms):
            raise RequestInvalid("by_ms", "and to_ms are both set, or neither is")
        now_ms = self._driver.clock.now_ms()
        to_ms = now_ms + request.by_ms if request.by_ms else request.to_ms
        if not now_ms < to_ms <= now_ms + ADVANCE_MS_MAX:
            raise RequestInvalid("to_ms", f"is {to_ms}, not within 20 years after {now_ms}")
        reached = await self._driver.advance(TimestampMs(to_ms), timeout_s=ADVANCE_S)
        final_ms = self._driver.node.core.final_ms
        if final_ms < to_ms:
            raise AdvanceNotFinal(now_ms=reached, final_ms=final_ms)
        return pb.AdvanceClockResponse(now_ms=reached)

    @answering
    async def SetLogLevel(self, request: Any, context: Any) -> pb.SetLogLevelResponse:
        if request.level not in LOG_LEVELS:
            raise RequestInvalid("level", f"is {request.level!r}, not one of {', '.join(LOG_LEVELS)}")
        logs.set_level(request.level)
        return pb.SetLogLevelResponse(level=logs.level())

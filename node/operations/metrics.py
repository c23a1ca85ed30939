"""Prometheus metrics of a running node, served on the node's own loop.

Values are read when asked for; nothing is counted per transaction. The address is separate from the
API's, off unless configured, and answers GET only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from node.config import Address
from node.net.ports import PortInUse, require_free
from node.operations import descriptors, health

if TYPE_CHECKING:
    from node.api.quotas import Quotas
    from node.net.peers import PeerTable
    from node.runtime.driver import Driver

REQUEST_BYTES_MAX: Final = 8192
REQUEST_S: Final = 5.0
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class NodeCollector(Collector):
    """The node's figures at the moment of the scrape."""

    def __init__(self, driver: Driver, peers: PeerTable, quotas: Quotas) -> None:
        self._driver = driver
        self._peers = peers
        self._quotas = quotas

    def collect(self) -> Iterable[Metric]:
        driver = self._driver
        status = driver.status()
        gauges = {
            "licet_committed_height": ("Highest final height.", status.committed_height),
            "licet_executed_height": ("Highest executed and durable height.", status.executed_height),
            "licet_anchored_height": ("Height at which proofs are served.", status.anchored_height),
            "licet_view": ("Current consensus view.", status.view),
            "licet_delta_seconds": ("Measured network delay bound.", status.delta_ms / 1000),
            "licet_validators_up": (
                "Validators that take part in consensus, this one included.",
                health.count_up(self._peers, own=status.participation, silent=status.silent),
            ),
            "licet_voting": ("1 where this node votes.", int(status.voting)),
            "licet_isolated": ("1 where a quorum signed other roots.", int(status.isolated)),
            "licet_pool_transactions": ("Transactions that are not final.", status.pending_transactions),
            "licet_pool_bytes": ("Bytes of transactions that are not final.", status.pending_bytes),
            "licet_clients_waiting": ("Transactions whose clients wait.", self._quotas.waiting),
            "licet_peers_connected": ("Validators with an open stream.", len(status.peers_connected)),
        }
        for name, (meaning, value) in gauges.items():
            yield GaugeMetricFamily(name, meaning, value=value)
        yield CounterMetricFamily(
            "licet_transactions", "Transactions executed since start.", value=driver.executed_transactions
        )
        yield CounterMetricFamily(
            "licet_usage_rows", "Usage rows accepted since start.", value=driver.executed_rows
        )
        stages = CounterMetricFamily("licet_stage_cpu_seconds", "Thread CPU time by stage.", labels=["stage"])
        for stage, nanoseconds in driver.stages.nanoseconds.items():
            stages.add_metric([stage.value], nanoseconds / 1e9)
        yield stages
        yield from self._of_peers()

    def _of_peers(self) -> Iterable[Metric]:
        received = CounterMetricFamily("licet_peer_bytes_received", "Bytes from a peer.", labels=["peer"])
        sent = CounterMetricFamily("licet_peer_bytes_sent", "Bytes to a peer.", labels=["peer"])
        dropped = CounterMetricFamily(
            "licet_peer_frames_dropped", "Frames dropped for a slow peer.", labels=["peer"]
        )
        for peer in self._peers:
            received.add_metric([peer.name], peer.bytes_in)
            sent.add_metric([peer.name], peer.bytes_out)
            dropped.add_metric([peer.name], peer.frames_dropped)
        return received, sent, dropped


class MetricsServer:
    """A minimal HTTP server for one page."""

    def __init__(self, collector: Collector, *, connections_max: int = descriptors.METRICS_MAX) -> None:
        self._connections_max = connections_max
        self._connections = 0
        self._registry = CollectorRegistry()
        self._registry.register(collector)
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, address: Address) -> None:
        require_free(address, "metrics")
        try:
            self._server = await asyncio.start_server(
                self._serve, address.host, address.port, limit=REQUEST_BYTES_MAX
            )
        except OSError:
            raise PortInUse(str(address), "metrics") from None
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._connections >= self._connections_max:
            writer.close()
            return
        self._connections += 1
        try:
            async with asyncio.timeout(REQUEST_S):
                request = await reader.readuntil(b"\r\n\r\n")
            if request.startswith((b"GET /metrics ", b"GET / ")):
                body, status = generate_latest(self._registry), "200 OK"
            else:
                body, status = b"GET /metrics\n", "404 Not Found"
            head = f"HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE}\r\n"
            head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass
        finally:
            self._connections -= 1
            writer.close()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

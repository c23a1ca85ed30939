"""The gRPC servers: one on TCP for clients, one on a Unix socket for operators.

Binding comes before anything is served, so that a taken port is refused with a sentence and nothing has
happened. Health checking and reflection are the standard packages' services.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, Final

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from licet.errors import Fault, LicetError
from licet.v1 import admin_pb2, ledger_pb2
from licet.v1.admin_pb2_grpc import add_AdminServiceServicer_to_server
from licet.v1.ledger_pb2_grpc import add_LedgerServiceServicer_to_server

from node.api.admin_service import AdminService
from node.api.ledger_service import LedgerService
from node.config import Address
from node.net.ports import PortInUse, require_free
from node.operations import descriptors

SOCKET_PATH_BYTES_MAX: Final = 100
SOCKET_MODE: Final = 0o600
GRACE_S: Final = 1.0
RPCS_MAX: Final = 4_096  # of all clients; a call beyond is refused with RESOURCE_EXHAUSTED

LEDGER_NAME: Final = ledger_pb2.DESCRIPTOR.services_by_name["LedgerService"].full_name
ADMIN_NAME: Final = admin_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name


class SocketPathTooLong(LicetError):
    """A Unix socket's path has a limit of the operating system's."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            "SOCKET_PATH_TOO_LONG",
            f"The path of the admin socket {path} is longer than {SOCKET_PATH_BYTES_MAX} bytes.",
            fault=Fault.OPERATOR,
            remedy="Choose a data folder with a shorter path.",
            facts={"path": str(path)},
        )


class ApiServer:
    """The clients' server, with health and reflection."""

    def __init__(
        self, address: Address, *, message_bytes_max: int, connections_max: int = descriptors.CLIENTS_MAX
    ) -> None:
        require_free(address, "clients")
        self._server = grpc.aio.server(
            maximum_concurrent_rpcs=RPCS_MAX,
            options=[
                # Above the node's own limit: what is a little too large is refused with a sentence.
                ("grpc.max_receive_message_length", 2 * message_bytes_max),
                ("grpc.max_send_message_length", max(message_bytes_max, 16 << 20)),
                ("grpc.so_reuseport", 0),
                ("grpc.max_connection_age_grace_ms", 1000),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
                *descriptors.server_options(connections_max),
            ],
        )
        try:
            self.port = self._server.add_insecure_port(str(address))
        except RuntimeError:
            raise PortInUse(str(address), "clients") from None
        self._health = health.aio.HealthServicer()

    async def start(self, service: LedgerService) -> None:
        """Serve. The health service says SERVING from here on."""
        add_LedgerServiceServicer_to_server(service, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        _reflect(self._server, LEDGER_NAME, health.SERVICE_NAME)
        await self._server.start()
        await self._say(health_pb2.HealthCheckResponse.SERVING)

    async def _say(self, status: Any) -> None:
        for name in ("", LEDGER_NAME):
            await self._health.set(name, status)

    async def stop(self) -> None:
        """Say NOT_SERVING, let calls end for a moment, close."""
        await self._say(health_pb2.HealthCheckResponse.NOT_SERVING)
        await self._server.stop(GRACE_S)


class AdminServer:
    """The operators' server, readable and writable for the owner of the data folder only."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        if len(os.fsencode(self._path)) > SOCKET_PATH_BYTES_MAX:
            raise SocketPathTooLong(self._path)
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()  # left by a node that was killed; the folder's lock says that it is gone
        self._server = grpc.aio.server()
        mask = os.umask(0o177)  # the socket is never open to others, not even for an instant
        try:
            self._server.add_insecure_port(f"unix:{self._path}")
        finally:
            os.umask(mask)
        self._path.chmod(SOCKET_MODE)

    async def start(self, service: AdminService) -> None:
        add_AdminServiceServicer_to_server(service, self._server)
        _reflect(self._server, ADMIN_NAME)
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(GRACE_S)
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()


def _reflect(server: Any, *names: str) -> None:
    from grpc_reflection.v1alpha import reflection

    reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], server)

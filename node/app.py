"""The composition root: the one place where a running node is put together and taken apart.

Opens in an order in which every refusal comes before anything is changed or served: genesis, key, data
folder, store, ports. A signal ends the turn at hand, closes the doors, then the store. After a failed
write nothing is closed cleanly: the process says why and ends (dead-handle rule).
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from licet import __version__
from licet.crypto import SigningKey
from licet.errors import Fault, LicetError
from licet.genesis import Genesis, parse_genesis
from licet.keys import load_key
from licet.types import ChainId, ValidatorIndex

from node.api.admin_service import AdminService
from node.api.cursors import Cursors
from node.api.decisions import Decisions
from node.api.ledger_service import LedgerService
from node.api.queries import Queries
from node.api.quotas import Quotas
from node.api.server import AdminServer, ApiServer
from node.api.status import StatusView
from node.api.submissions import Submissions
from node.config import Config, check_peers, peers_without_address
from node.ledger.assembly import Node, assemble, chain_config, create_signing_record
from node.net.grpc_transport import GrpcTransport, TransportConfig
from node.net.peers import PeerTable
from node.operations import descriptors, logs
from node.operations.keyfiles import refuse_development_keys
from node.operations.status import at_start
from node.runtime.clock import Clock, VirtualClock, WallClock
from node.runtime.driver import Driver
from node.storage.errors import StorageError
from node.storage.folder import DataFolder
from node.storage.leveldb import LevelDBOptions, LevelDBStorage
from node.storage.schema import LEDGER_FOLDER, VOTES_FILE

EXIT_STOPPED: Final = 0
EXIT_REFUSED: Final = 1  # it did not start
EXIT_FAILED: Final = 3  # it ran and had to end: the disk, or a bug
WATCH_S: Final = 1.0

log = logs.logger("node")


class NotInitialised(LicetError):
    """A data folder that `init` has not made."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            "NOT_INITIALISED",
            f"The data folder {folder} was not made by init.",
            fault=Fault.OPERATOR,
            remedy="Run `python -m node init` with this configuration once, or name the right folder.",
            facts={"folder": str(folder)},
        )


class AlreadyInitialised(LicetError):
    """A second `init` would forget what this validator has signed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            "ALREADY_INITIALISED",
            f"The data folder {folder} was made by init before.",
            fault=Fault.OPERATOR,
            remedy="Start it. Never make a second signing record for one key: it could sign twice.",
            facts={"folder": str(folder)},
        )


class GenesisUnreadable(LicetError):
    """The genesis file cannot be opened."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            "GENESIS_UNREADABLE",
            f"The genesis file {path} cannot be read: {why}.",
            fault=Fault.OPERATOR,
            remedy="Copy genesis.json from the network that you mean to join, and name it in `genesis`.",
            facts={"path": str(path), "why": why},
        )


class NoValidator(LicetError):
    """A key that genesis does not name."""

    def __init__(self, public_key: bytes) -> None:
        super().__init__(
            "NO_VALIDATOR",
            f"The key {public_key.hex()} is no validator's of this network.",
            fault=Fault.OPERATOR,
            remedy="Name the key file whose public half stands in genesis.",
            facts={"public_key": public_key.hex()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose node this is, on which chain."""

    genesis: Genesis
    chain_id: ChainId
    key: SigningKey
    index: ValidatorIndex

    @property
    def name(self) -> str:
        return self.genesis.validators[self.index].name


def read_genesis(path: Path) -> str:
    """A genesis file's text."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GenesisUnreadable(path, getattr(error, "strerror", None) or str(error)) from error


def identify(config: Config) -> Identity:
    """Read genesis and key; refuse what does not fit together."""
    genesis = parse_genesis(read_genesis(config.genesis))
    refuse_development_keys(genesis)
    key = load_key(config.key, passphrase=os.environ.get("LICET_PASSPHRASE") or None)
    index = chain_config(genesis, key.public_key).index
    if index is None:
        raise NoValidator(key.public_key)
    return Identity(genesis=genesis, chain_id=genesis.chain_id(), key=key, index=index)


def initialise(config: Config) -> Identity:
    """What `init` does: an empty store of this chain and the signing record, once (C-10)."""
    identity = identify(config)
    if (config.data / VOTES_FILE).exists() or (config.data / LEDGER_FOLDER).exists():
        raise AlreadyInitialised(config.data)
    folder = DataFolder(config.data)
    try:
        chain = chain_config(identity.genesis, identity.key.public_key)
        create_signing_record(folder.files, chain=chain, public_key=identity.key.public_key)
    finally:
        folder.close()
    return identity


class App:
    """One running node with its doors."""

    def __init__(self, config: Config, identity: Identity) -> None:
        self.config = config
        self.identity = identity
        names = [validator.name for validator in identity.genesis.validators]
        check_peers(config, names)
        if identity.index is not None:
            for missing in peers_without_address(config, names, identity.index):
                log.warning(missing)
        if not (config.data / VOTES_FILE).exists() and not (config.data / LEDGER_FOLDER).exists():
            raise NotInitialised(config.data)
        self.bounds = descriptors.doors(descriptors.raise_limit())
        self._folder = DataFolder(config.data)
        try:
            self.node = self._open()
        except BaseException:
            self._folder.close()
            raise
        self.peers = PeerTable(names, identity.index, config.peers)
        self._transport = self._channels()
        self.driver = Driver(self.node, clock=self._clock(), transport=self._transport)
        self._transport.announce(at_start(self.node.recovered.votes_problem))  # before the first hello
        self._rows_before = 0
        self.status: StatusView
        self.api_port = 0  # the bound ones, once serving
        self.metrics_port = 0
        self.serving = asyncio.Event()

    def _open(self) -> Node:
        options = LevelDBOptions(
            cache_values_bytes=self.config.storage_cache_mib << 20,
            accept_loss=self.config.storage_accept_loss,
        )
        storage = LevelDBStorage(self._folder, chain_id=self.identity.chain_id, options=options)
        try:
            return assemble(
                self.identity.genesis, storage=storage, files=self._folder.files, key=self.identity.key
            )
        except BaseException:
            storage.close()
            raise

    def _clock(self) -> Clock:
        if self.identity.genesis.parameters.manual_clock:
            return VirtualClock(self.node.first_time_ms())
        return WallClock()

    def _announce(self) -> None:
        """Peers are told what part this node takes: whoever only follows must not be counted as up."""
        self._transport.announce(self.driver.status().participation)

    def _channels(self) -> GrpcTransport:
        return GrpcTransport(
            TransportConfig(
                chain_id=self.identity.chain_id,
                validators=self.node.chain.validators,
                index=self.identity.index,
                key=self.identity.key,
                listen=self.config.peer_listen,
                software=__version__,
                queue_bytes_max=self.config.peer_queue_bytes_max,
                connections_max=self.bounds.peers,
            ),
            self.peers,
        )

    def _services(self) -> tuple[LedgerService, AdminService, Quotas]:
        config, node, driver = self.config, self.node, self.driver
        genesis = self.identity.genesis
        quotas = Quotas(connection_max=config.api_connection_inflight_max, total_max=config.api_inflight_max)
        queries = Queries(
            storage=node.storage,
            proofs=node.proofs,
            machine=node.machine,
            genesis_time_ms=genesis.time_ms,
            cursors=Cursors(self.identity.chain_id),
        )
        self._rows_before = queries.usage_rows()
        self.status = status = StatusView(
            genesis=genesis,
            chain_id=self.identity.chain_id,
            validators=node.chain.validators,
            ledger=driver,
            queries=queries,
            peers=self.peers,
            usage_rows=lambda: self._rows_before + driver.executed_rows,
        )
        service = LedgerService(
            genesis=genesis,
            ledger=driver,
            queries=queries,
            submissions=Submissions(
                ledger=driver,
                machine=node.machine,
                verifier=node.verifier,
                quotas=quotas,
                receipt=queries.receipt,
            ),
            decisions=Decisions(
                chain_id=self.identity.chain_id,
                key=self.identity.key,
                machine=node.machine,
                queries=queries,
                now_ms=driver.clock.now_ms,
                rows_under_way=node.executor.rows_under_way,
            ),
            status=status,
            message_bytes_max=config.api_message_bytes_max,
        )
        return service, AdminService(driver=driver, status=status, peers=self.peers), quotas

    async def run(self, stopping: asyncio.Event) -> int:
        """Serve until told to stop, or until the node fails. Returns the exit code."""
        doors: list[Callable[[], Awaitable[None]]] = []  # how to close what is open, the last first
        try:
            await self._open_doors(doors)
            return await self._until(stopping)
        finally:
            for close in reversed(doors):
                await close()
            self.node.close()
            self._folder.close()

    async def _open_doors(self, doors: list[Callable[[], Awaitable[None]]]) -> None:
        """Bind, then start ordering, then serve. Closing goes the other way: clients, then the rest."""
        config = self.config
        admin = AdminServer(config.admin_socket)
        api = ApiServer(
            config.api_listen,
            message_bytes_max=config.api_message_bytes_max,
            connections_max=self.bounds.clients,
        )
        service, admin_service, quotas = self._services()
        if config.metrics_listen is not None:
            from node.operations.metrics import MetricsServer, NodeCollector

            collector = NodeCollector(self.driver, self.peers, quotas)
            metrics = MetricsServer(collector, connections_max=self.bounds.metrics)
            await metrics.start(config.metrics_listen)
            self.metrics_port = metrics.port
            doors.append(metrics.close)
        doors.append(admin.stop)
        doors.append(self.driver.stop)
        await self.driver.start()
        await admin.start(admin_service)
        doors.append(api.stop)
        await api.start(service)
        self.api_port = api.port
        self._say_ready(api.port)
        self.serving.set()
        watch = asyncio.create_task(self._watch())
        doors.append(lambda: _cancel(watch))

    async def _watch(self) -> None:
        """Look at the node once a second: since when it stands still, and whether it still votes."""
        while True:
            self.status.observe()
            self._announce()
            await asyncio.sleep(WATCH_S)

    def _say_ready(self, port: int) -> None:
        recovered = self.driver.status()
        log.info(
            "serving",
            extra={
                "node": self.identity.name,
                "chain": self.identity.chain_id.hex()[:16],
                "api": f"{self.config.api_listen.host}:{port}",
                "height": recovered.committed_height,
            },
        )
        if not recovered.voting:
            log.warning(recovered.sentence)

    async def _until(self, stopping: asyncio.Event) -> int:
        stop = asyncio.create_task(stopping.wait())
        try:
            ends: list[asyncio.Future[Any]] = [stop, self.driver.failed]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
        if not self.driver.failed.done():
            log.info("stopping")
            return EXIT_STOPPED
        error = self.driver.failed.exception()
        if isinstance(error, StorageError):
            # Nothing that this process still holds can be trusted: end at once, without another write.
            log.critical(str(error), extra=logs.error_fields(error))
            os._exit(EXIT_FAILED)
        log.critical("the node ended by a bug", exc_info=error)
        return EXIT_FAILED


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def serve(config: Config) -> int:
    """Run a node until SIGTERM or SIGINT. Raises `LicetError` where it cannot start."""
    logs.set_up(level=config.log_level, style=config.log_format)
    identity = identify(config)
    app = App(config, identity)

    async def main() -> int:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        return await app.run(stopping)

    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())

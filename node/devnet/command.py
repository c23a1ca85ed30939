"""`python -m node devnet`: make or reopen a network, run it in the foreground, end it cleanly."""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from licet.errors import Fault, LicetError

from node.devnet import network as networks
from node.devnet.processes import ROOT, fork
from node.devnet.profiles import write_profiles

if TYPE_CHECKING:
    from node.devnet.supervisor import Supervisor

DEFAULT_FOLDER: Final = Path("build/devnet")
DEFAULT_PORT: Final = 7400
WORLDS: Final = ("stock",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--nodes", type=int, default=4, help="how many nodes (1: a sequencer that orders alone)")
    add("--port", type=int, default=DEFAULT_PORT, help="base of the ports; 0 picks free ones")
    add("--data", type=Path, default=DEFAULT_FOLDER, help="folder of the network")
    add("--keep", action="store_true", help="go on with the network that stands in the folder")
    add("--ready-file", type=Path, help="write the facts as JSON here, once the network is ready")
    add("--clock", choices=("real", "manual"), default="real", help="manual: time moves by `advance 3mo`")
    add("--with", dest="world", choices=WORLDS, help="load a world of examples after the start")
    add("--quiet", action="store_true", help="print nothing at the start")


def _network(arguments: argparse.Namespace) -> networks.NetworkFolder:
    folder: Path = arguments.data
    if arguments.keep and (folder / networks.MARK).exists():
        networks.refuse_running(folder)
        network = networks.load(folder)
        networks.check_ports([place.ports for place in network.nodes])
        write_profiles(network)
        return network
    ports = networks.pick_ports(arguments.nodes, arguments.port)  # before anything is removed
    networks.clear(folder)
    network = networks.create(
        folder,
        name="devnet",
        nodes=arguments.nodes,
        ports=ports,
        dev=True,
        manual_clock=arguments.clock == "manual",
        parties=networks.demo_parties(),
    )
    write_profiles(network)
    return network


def _initialise(network: networks.NetworkFolder) -> None:
    """`init` of every node, in this process: a devnet's folders are made by the one who runs them."""
    from node import app, config
    from node.storage.schema import LEDGER_FOLDER, VOTES_FILE

    for place in network.nodes:
        # A node that has a ledger and no signing record is left alone: it may never get a second one (C-10).
        if not any((place.data / name).exists() for name in (VOTES_FILE, LEDGER_FOLDER)):
            app.initialise(config.load(place.config, {}))


class WorldFailed(LicetError):
    """The world could not be loaded."""

    def __init__(self, world: str, code: int) -> None:
        super().__init__(
            "WORLD_FAILED",
            f"Loading the world {world} ended with code {code}.",
            fault=Fault.US,
            remedy="Its messages stand above; the network itself runs.",
        )


def run(arguments: argparse.Namespace) -> int:
    """The command. Raises `LicetError` for what cannot start."""
    began = time.monotonic()
    if not 1 <= arguments.nodes <= networks.NODES_MAX:
        print(f"devnet: --nodes is {arguments.nodes}, not 1 to {networks.NODES_MAX}.", file=sys.stderr)
        return 2
    if arguments.ready_file is not None:
        arguments.ready_file.unlink(missing_ok=True)  # an older network's facts are nobody's
    network = _network(arguments)
    _initialise(network)
    _import_before_fork()
    pids = [fork(place) for place in network.nodes]
    return asyncio.run(_run(arguments, network, pids, began))


def _import_before_fork() -> None:
    """What every node imports later than its start: once, here."""
    import grpc_reflection.v1alpha.reflection
    import uvloop

    import node.devnet.console
    import node.operations.metrics

    assert all((grpc_reflection, uvloop, node.devnet.console, node.operations.metrics))
    gc.collect()
    gc.freeze()  # pages that stay shared between the nodes


async def _run(
    arguments: argparse.Namespace, network: networks.NetworkFolder, pids: Sequence[int], began: float
) -> int:
    from node.devnet.console import Console, banner
    from node.devnet.supervisor import Supervisor

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopping.set)
    supervisor = Supervisor(network)
    try:
        starting = asyncio.create_task(supervisor.start(pids, began))
        stop = asyncio.create_task(stopping.wait())
        await asyncio.wait([starting, stop], return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            return 130
        starting.result()
        if arguments.ready_file is not None and arguments.world is None:
            supervisor.write_ready_file(arguments.ready_file)
        if not arguments.quiet:
            text = await banner(supervisor, ready_file=arguments.ready_file, stays=arguments.keep)
            print(text, flush=True)
        if arguments.world is not None:
            await _load_world(arguments.world, supervisor, quiet=arguments.quiet)
            if arguments.ready_file is not None:
                supervisor.write_ready_file(arguments.ready_file)
        console = Console(supervisor, stopping)
        tasks = [asyncio.create_task(console.run()), asyncio.create_task(console.notices())]
        await stop
        console.end()
        for task in tasks:
            task.cancel()
    finally:
        await supervisor.stop()
    return 0


async def _load_world(world: str, supervisor: Supervisor, *, quiet: bool) -> None:
    """Load a world of `examples` through the SDK, in a process of its own."""
    facts = supervisor.network.folder / "world.json"
    supervisor.write_ready_file(facts)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "examples.worlds",
        world,
        "--ready-file",
        str(facts),
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL if quiet else None,
    )
    code = await process.wait()
    if code != 0:
        raise WorldFailed(world, code)

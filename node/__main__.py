"""The node's command line: `python -m node COMMAND`. Every refusal is one sentence and exit code 1.

    init      make this validator's data folder and signing record, once
    start     run the node in the foreground (also: run)
    health    ask whether the node answers; for a container's health check
    status    say in a sentence how node and network are
    settings  print every setting with its default and meaning, as a configuration file
    keygen    make a validator's key file
    genesis   make a network's genesis from its members' public keys, or check one
    network   make genesis, keys and configurations of a new network
    devnet    run a whole network on this machine

Exit codes: 0 fine, 1 refused, 2 misuse, 3 the node ran and had to end.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any, Final

EXIT_REFUSED: Final = 1
GRPC_ENVIRONMENT: Final = {
    "GRPC_VERBOSITY": "ERROR",  # its notices of ordinary partings are no errors of ours
    # Its older loop of readiness, without a pool of threads behind every socket: a message from peer to peer
    # and back takes 150 µs instead of 210, and a third less CPU (grpcio 1.85, two cores).
    "GRPC_EXPERIMENTS": "-event_engine_client,-event_engine_listener",
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m node", description="A node of a Licet network.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str, *, aliases: tuple[str, ...] = ()) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text, aliases=list(aliases))
        return made

    for name, text, aliases in (
        ("init", "make this validator's data folder and signing record, once", ()),
        ("start", "run the node in the foreground", ("run",)),
        ("health", "ask whether the node answers", ()),
        ("status", "say in a sentence how node and network are", ()),
    ):
        one = add(name, text, aliases=aliases)
        one.add_argument(
            "--config", type=Path, help="configuration file (default: LICET_NODE_CONFIG or node.toml)"
        )
        one.add_argument("--data", help="data folder, over the configuration's")
        one.add_argument("--genesis", help="genesis file, over the configuration's")
        one.add_argument("--key", help="key file, over the configuration's")
        one.add_argument("--api", help="address for clients, over the configuration's")
        if name == "start":
            one.add_argument("--die-with-parent", type=int, metavar="PID", help="end when this parent ends")
        if name in ("health", "status"):
            one.add_argument("--timeout", type=float, default=3.0, help="seconds to wait for an answer")
    add("settings", "print every setting with its default and meaning, as a configuration file")
    keygen = add("keygen", "make a validator's key file")
    keygen.add_argument("file", type=Path)
    keygen.add_argument(
        "--seal", action="store_true", help="seal it by a passphrase (LICET_PASSPHRASE, or asked)"
    )
    _genesis_arguments(add("genesis", "make a network's genesis from its members' public keys, or check one"))
    network = add("network", "make genesis, keys and configurations of a new network in a folder")
    network.add_argument("folder", type=Path)
    network.add_argument("--name", required=True, help="name of the network")
    network.add_argument("--nodes", type=int, default=4)
    network.add_argument("--port", type=int, default=7400, help="base of the ports on loopback")
    network.add_argument(
        "--parties",
        type=Path,
        help="JSON list of the first parties: party, name, kind, public_key, roles (issuer:EUR, registrar)",
    )
    network.add_argument("--dev", action="store_true", help="a development network with well-known keys")
    devnet = add("devnet", "run a whole network on this machine")
    if len(sys.argv) > 1 and sys.argv[1] == "devnet":
        from node.devnet.command import add_arguments

        add_arguments(devnet)
    return parser


def _genesis_arguments(genesis: argparse.ArgumentParser) -> None:
    genesis.add_argument(
        "--check", type=Path, metavar="FILE", help="recompute and print what a genesis states"
    )
    genesis.add_argument("--name", help="name of the new network")
    genesis.add_argument(
        "--validator",
        action="append",
        default=[],
        metavar="NAME=KEY",
        help="a member's validator and its public key, in order; with --check: must stand in it",
    )
    genesis.add_argument("--parties", type=Path, help="JSON list of the first parties, as for `network`")
    genesis.add_argument(
        "--currency", action="append", default=[], metavar="CODE:SCALE", help="default: EUR:6 and USD:6"
    )
    genesis.add_argument(
        "--registrars-only", action="store_true", help="new parties need a registrar's signature"
    )
    genesis.add_argument("--out", type=Path, help="the new file")


def _refuse_environment() -> str | None:
    """Why no node may run in this interpreter, if so."""
    if not __debug__:
        return (
            "Python runs with -O (or PYTHONOPTIMIZE), which removes the assertions that guard the ledger. "
            "Start it without."
        )
    from node.api import protobuf

    found = protobuf.implementation()
    if found != protobuf.REQUIRED:
        return (
            f"Protobuf's implementation is {found!r}, and only {protobuf.REQUIRED!r} decodes "
            "as all validators do. "
            "Unset PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION, and install protobuf's binary wheel."
        )
    return None


def _config(arguments: argparse.Namespace) -> Any:
    from node import config

    path: Path | None = arguments.config
    if path is None and os.environ.get("LICET_NODE_CONFIG"):
        path = Path(os.environ["LICET_NODE_CONFIG"])
    if path is None and Path(config.CONFIG_FILE).exists():
        path = Path(config.CONFIG_FILE)
    overrides = {
        "data": arguments.data,
        "genesis": arguments.genesis,
        "key": arguments.key,
        "api.listen": arguments.api,
    }
    return config.load(path, os.environ, overrides)


def _init(arguments: argparse.Namespace) -> int:
    from node import app

    config = _config(arguments)
    identity = app.initialise(config)
    named = f" --config {arguments.config}" if arguments.config else ""
    print(f"validator  {identity.name} of {identity.genesis.name}")
    print(f"chain      {identity.chain_id.hex()}")
    print(f"data       {config.data}")
    print(f"next       python -m node start{named}")
    return 0


def _start(arguments: argparse.Namespace) -> int:
    if arguments.die_with_parent is not None:
        from node.devnet.processes import die_with_parent

        die_with_parent(arguments.die_with_parent)
    from node import app

    return app.serve(_config(arguments))


def _ask(arguments: argparse.Namespace) -> int:
    import asyncio

    from node.api import calls

    address = _config(arguments).api_listen
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(address.host, address.host)
    well, text = asyncio.run(calls.serves(f"{host}:{address.port}", timeout_s=arguments.timeout))
    print(text)
    return 0 if well else EXIT_REFUSED


def _settings(arguments: argparse.Namespace) -> int:
    from node import config

    print(config.render({}), end="")
    return 0


def _keygen(arguments: argparse.Namespace) -> int:
    from licet.keys import generate_key, save_key

    key = generate_key()
    save_key(arguments.file, key, passphrase=_new_passphrase() if arguments.seal else None)
    print(f"key file    {arguments.file}{', sealed' if arguments.seal else ''}")
    print(f"public key  {key.public_key.hex()}")
    print("next        give the public key to whoever makes genesis; keep the file to yourself")
    return 0


def _new_passphrase() -> str:
    if "LICET_PASSPHRASE" in os.environ:
        return os.environ["LICET_PASSPHRASE"]
    import getpass

    while True:
        first = getpass.getpass("Passphrase: ")
        if first and first == getpass.getpass("Again: "):
            return first
        print("Empty, or typed in two ways.", file=sys.stderr)


def _genesis(arguments: argparse.Namespace) -> int:
    from node import app
    from node.devnet.network import DEV_CURRENCIES
    from node.operations import founding

    validators = [founding.parse_validator(text) for text in arguments.validator]
    making = arguments.name is not None or arguments.out is not None
    if making == (arguments.check is not None) or (
        making and not (arguments.name and arguments.out and validators)
    ):
        print("genesis: give --name, --validator for each and --out; or --check FILE.", file=sys.stderr)
        return 2
    if making:
        genesis = founding.found(
            arguments.name,
            validators,
            parties=() if arguments.parties is None else founding.read_parties(arguments.parties),
            currencies=[founding.parse_currency(text) for text in arguments.currency] or DEV_CURRENCIES,
            open_registration=not arguments.registrars_only,
        )
        founding.write(arguments.out, genesis)
        last = f"send {arguments.out} to every member: python -m node genesis --check {arguments.out.name}"
    else:
        genesis = founding.check(app.read_genesis(arguments.check), validators)
        last = "compare the chain with the other members' by another way; then python -m node init"
    for what, text in founding.describe(genesis):
        print(f"{what:<11} {text}")
    print(f"{'next':<11} {last}")
    return 0


def _network(arguments: argparse.Namespace) -> int:
    from node.devnet import network
    from node.operations import founding

    if not 1 <= arguments.nodes <= network.NODES_MAX:
        print(f"network: --nodes is {arguments.nodes}, not 1 to {network.NODES_MAX}.", file=sys.stderr)
        return 2
    network.require_empty(arguments.folder)  # it may hold keys: nothing is ever removed here
    parties = network.demo_parties() if arguments.dev else ()
    if arguments.parties is not None:
        parties = (*parties, *founding.read_parties(arguments.parties))
    made = network.create(
        arguments.folder,
        name=arguments.name,
        nodes=arguments.nodes,
        ports=network.pick_ports(arguments.nodes, arguments.port),
        dev=arguments.dev,
        parties=parties,
    )
    print(f"network  {arguments.name}, chain {made.genesis.chain_id().hex()}")
    print(f"folder   {arguments.folder}: genesis.json and a folder for each of {len(made.nodes)} validators")
    print(f"next     python -m node init --config {made.nodes[0].config}")
    return 0


def _devnet(arguments: argparse.Namespace) -> int:
    from node.devnet.command import run

    return run(arguments)


COMMANDS: Final = {
    "init": _init,
    "start": _start,
    "run": _start,
    "health": _ask,
    "status": _ask,
    "settings": _settings,
    "keygen": _keygen,
    "genesis": _genesis,
    "network": _network,
    "devnet": _devnet,
}


def main() -> int:
    """Run a command; a refusal is one sentence on standard error."""
    for variable, value in GRPC_ENVIRONMENT.items():  # read once, when grpc is first imported
        os.environ.setdefault(variable, value)
    arguments = _parser().parse_args()
    why = _refuse_environment()
    if why is not None:
        print(f"node: {why}", file=sys.stderr)
        return EXIT_REFUSED
    from licet.errors import LicetError

    try:
        return COMMANDS[arguments.command](arguments)
    except LicetError as error:
        print(f"node: {error}", file=sys.stderr)
        return EXIT_REFUSED


if __name__ == "__main__":
    sys.exit(main())

"""Makes a network: genesis, keys and one configuration per node, in one folder.

    FOLDER/network.json   what stands here (format, kind, ports), and the mark that the folder is ours
    FOLDER/genesis.json
    FOLDER/n1/            node.toml, validator.key, data/ (made by `init`), node.log

A development network has keys that everybody knows; a real one gets fresh keys, which the members then
take to machines of their own. The genesis itself is made by `node.operations.founding`.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from licet.crypto import SigningKey
from licet.documents import read_json
from licet.errors import Fault, LicetError
from licet.genesis import Currency, Genesis, GenesisParty, Parameters, Validator, parse_genesis
from licet.keys import generate_key, save_key

from node.config import Address, render
from node.net.ports import require_free
from node.operations import founding
from node.operations.keyfiles import development_key
from node.storage.errors import DataFolderInUse
from node.storage.schema import LOCK_FILE

MARK: Final = "network.json"
FORMAT: Final = 1
HOST: Final = "127.0.0.1"
PORT_STEP: Final = 10
PORT_MAX: Final = 65_535
NODES_MAX: Final = 31
MANUAL_START_MS: Final = 1_767_225_600_000  # 2026-01-01T00:00Z
DEV_CURRENCIES: Final = (Currency(code="EUR", scale=6), Currency(code="USD", scale=6))


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoParty:
    """A party that a development network begins with."""

    label: str  # how the ready file names it
    party: str
    name: str
    kind: str
    roles: tuple[str, ...] = ()
    funds_minor: int = 0  # EUR at scale 6, deposited by the issuer at the start


DEMO_PARTIES: Final = (
    DemoParty(
        label="issuer",
        party="bank",
        name="First Demo Bank",
        kind="organisation",
        roles=("issuer:EUR", "issuer:USD", "registrar"),
    ),
    DemoParty(
        label="studio", party="studio", name="Demo Studio", kind="organisation", funds_minor=10_000_000_000
    ),
    DemoParty(
        label="agency", party="agency", name="Demo Agency", kind="organisation", funds_minor=10_000_000_000
    ),
    DemoParty(
        label="advertiser",
        party="advertiser",
        name="Demo Advertiser",
        kind="organisation",
        funds_minor=1_000_000_000_000,
    ),
    DemoParty(label="contributor1", party="contributor1", name="Contributor One", kind="person"),
    DemoParty(label="contributor2", party="contributor2", name="Contributor Two", kind="person"),
)


class FolderNotOurs(LicetError):
    """A folder with contents that may not be removed."""

    def __init__(self, folder: Path) -> None:
        what = "holds something already" if folder.is_dir() else "is a file"
        super().__init__(
            "FOLDER_NOT_OURS",
            f"{folder} {what}, which is not removed.",
            fault=Fault.OPERATOR,
            remedy="Name an empty or new folder.",
            facts={"folder": str(folder)},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where one node listens."""

    api: Address
    peer: Address
    metrics: Address

    def all(self) -> tuple[tuple[str, Address], ...]:
        return (("clients", self.api), ("peers", self.peer), ("metrics", self.metrics))


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFolder:
    """One node's place in the network's folder."""

    name: str
    folder: Path
    ports: Ports

    @property
    def config(self) -> Path:
        return self.folder / "node.toml"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "node.log"

    @property
    def admin(self) -> Path:
        return self.data / "admin.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFolder:
    """A network that stands in a folder."""

    folder: Path
    genesis: Genesis
    nodes: tuple[NodeFolder, ...]
    fresh: bool

    @property
    def genesis_file(self) -> Path:
        return self.folder / "genesis.json"


def pick_ports(count: int, base: int) -> list[Ports]:
    """Fixed offsets from a base, or free ports for base 0. Raises `PortInUse` for a taken one."""
    highest = base + PORT_STEP * (count - 1) + 2
    if base < 0 or highest > PORT_MAX:
        raise LicetError(
            "PORT_INVALID",
            f"{count} nodes from port {base} on would need port {highest}.",
            fault=Fault.OPERATOR,
            remedy=f"Name a port from 1 to {PORT_MAX - PORT_STEP * (count - 1) - 2}, or 0 for free ones.",
            facts={"port": str(base)},
        )
    if base == 0:
        free = _free_ports(3 * count)
        groups = [free[at : at + 3] for at in range(0, 3 * count, 3)]
    else:
        groups = [[base + PORT_STEP * at + offset for offset in range(3)] for at in range(count)]
    found = [
        Ports(
            api=Address(host=HOST, port=api),
            peer=Address(host=HOST, port=peer),
            metrics=Address(host=HOST, port=metrics),
        )
        for api, peer, metrics in groups
    ]
    if base:
        check_ports(found)
    return found


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def make_genesis(
    name: str,
    validators: Sequence[tuple[str, SigningKey]],
    *,
    dev: bool,
    manual_clock: bool,
    parties: Sequence[GenesisParty],
    currencies: Sequence[Currency],
) -> Genesis:
    """A genesis with its initial state's root. One validator orders alone."""
    return founding.make_genesis(
        name,
        [Validator(name=one, public_key=key.public_key) for one, key in validators],
        dev=dev,
        parameters=Parameters(manual_clock=manual_clock),
        parties=parties,
        currencies=currencies,
        time_ms=MANUAL_START_MS if manual_clock else None,
    )


def demo_parties() -> tuple[GenesisParty, ...]:
    return tuple(
        GenesisParty(
            party=one.party,
            name=one.name,
            kind=one.kind,
            public_key=development_key(one.party).public_key,
            roles=one.roles,
        )
        for one in DEMO_PARTIES
    )


def require_empty(folder: Path) -> None:
    """Raise `FolderNotOurs` for a folder that holds anything, or that is a file."""
    if folder.exists() and not folder.is_dir():
        raise FolderNotOurs(folder)
    if folder.exists() and any(folder.iterdir()):
        raise FolderNotOurs(folder)


def clear(folder: Path) -> None:
    """Remove an earlier network; refuse a folder that is not one, or whose nodes run."""
    if folder.exists() and not folder.is_dir():
        raise FolderNotOurs(folder)
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / MARK).is_file():
        raise FolderNotOurs(folder)
    refuse_running(folder)
    shutil.rmtree(folder)


def refuse_running(folder: Path) -> None:
    """Raise `DataFolderInUse` if a node of this network runs."""
    for lock in sorted(folder.glob(f"*/data/{LOCK_FILE}")):
        with lock.open() as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DataFolderInUse(str(lock.parent)) from None


def check_ports(ports: Sequence[Ports]) -> None:
    """Raise `PortInUse` for a port that is taken."""
    for index, own in enumerate(ports):
        for what, address in own.all():
            require_free(address, f"{what} of n{index + 1}")


def create(
    folder: Path,
    *,
    name: str,
    nodes: int,
    ports: Sequence[Ports],
    dev: bool,
    manual_clock: bool = False,
    parties: Sequence[GenesisParty] = (),
    currencies: Sequence[Currency] = DEV_CURRENCIES,
) -> NetworkFolder:
    """Write a network into an empty folder. Data folders are made by each node's `init`."""
    names = [f"n{index + 1}" for index in range(nodes)]
    keys = [(one, development_key(one) if dev else generate_key()) for one in names]
    genesis = make_genesis(
        name, keys, dev=dev, manual_clock=manual_clock, parties=parties, currencies=currencies
    )
    folder.mkdir(parents=True, exist_ok=True)
    mark = {
        "format": FORMAT,
        "name": name,
        "ports": [[p.api.port, p.peer.port, p.metrics.port] for p in ports],
    }
    (folder / MARK).write_text(json.dumps(mark, indent=2) + "\n")
    (folder / "genesis.json").write_text(genesis.to_json())
    for (one, key), own in zip(keys, ports, strict=True):
        place = NodeFolder(name=one, folder=folder / one, ports=own)
        place.folder.mkdir(mode=0o700)
        save_key(place.folder / "validator.key", key)
        peers = {other: str(p.peer) for other, p in zip(names, ports, strict=True) if other != one}
        settings: dict[str, Any] = {
            "data": "data",
            "genesis": "../genesis.json",
            "key": "validator.key",
            "api.listen": own.api,
            "peer.listen": own.peer,
            "metrics.listen": own.metrics,
            "peers": peers,
        }
        place.config.write_text(render(settings))
    return load(folder, fresh=True)


def load(folder: Path, *, fresh: bool = False) -> NetworkFolder:
    """The network that stands in a folder."""
    try:
        mark = read_json((folder / MARK).read_text())
        ports = [[Address(host=HOST, port=int(port)) for port in group] for group in mark["ports"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise FolderNotOurs(folder) from None
    return NetworkFolder(
        folder=folder,
        genesis=parse_genesis((folder / "genesis.json").read_text()),
        nodes=tuple(
            NodeFolder(
                name=f"n{index + 1}",
                folder=folder / f"n{index + 1}",
                ports=Ports(api=api, peer=peer, metrics=metrics),
            )
            for index, (api, peer, metrics) in enumerate(ports)
        ),
        fresh=fresh,
    )

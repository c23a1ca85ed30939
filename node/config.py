"""A node's configuration: one table of settings, read from TOML and then the environment.

Every setting stands once in `SETTINGS`, with its type, range, default and meaning; the file's
key, the environment variable and the error sentences are derived from it. An unknown key is
refused by a sentence with the nearest known one. Nothing binds beyond loopback unless the
setting `remote` of its section says so. Reading opens no other file and binds nothing.
"""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from licet.documents import read_toml
from licet.errors import Fault, LicetError

# Not plain LICET_: that prefix is the client's, and a shell may hold both.
ENVIRONMENT_PREFIX: Final = "LICET_NODE_"
CONFIG_FILE: Final = "node.toml"
MIB: Final = 1 << 20
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
LOG_FORMATS: Final = ("text", "json")
# Variables with our prefix that are no settings: where the SDK's tests find the node, and the file itself.
FOREIGN_VARIABLES: Final = frozenset({"LICET_NODE_ROOT", "LICET_NODE_CONFIG"})


class InvalidConfig(LicetError):
    """A configuration that cannot be used; the facts name the setting and where it was read."""

    def __init__(self, setting: str, why: str, *, remedy: str, source: str) -> None:
        super().__init__(
            "CONFIG_INVALID",
            f"The setting {setting} ({source}) {why}.",
            fault=Fault.OPERATOR,
            remedy=remedy,
            facts={"setting": setting, "source": source},
        )


class ConfigFileUnreadable(LicetError):
    """The configuration file is missing or is no TOML."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            "CONFIG_UNREADABLE",
            f"The configuration file {path} cannot be read: {why}.",
            fault=Fault.OPERATOR,
            remedy="Check the path and the syntax, or make one with `python -m node init`.",
            facts={"path": str(path), "why": why},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A host and a port, as it is listened on or dialled."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_address(text: str) -> Address:
    """`host:port` or `[v6]:port`; `ValueError` with the reason otherwise."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host:
        raise ValueError(f"is {text!r}, not host:port")
    if not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise ValueError(f"has the port {port!r}, not 0 to 65535")
    return Address(host=host, port=int(port))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"is {value!r}, not a text in quotes")
    return value


def _path(value: object) -> Path:
    text = _text(value)
    if not text:
        raise ValueError("is empty, not a path")
    return Path(text)


def _address(value: object) -> Address:
    return parse_address(_text(value))


def _address_or_none(value: object) -> Address | None:
    return None if value == "" else _address(value)


def _bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false", "1", "0"}:
        return value.lower() in {"true", "1"}
    raise ValueError(f"is {value!r}, not true or false")


def _integer(low: int, high: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"is {value!r}, not a whole number")
        if not low <= value <= high:
            raise ValueError(f"is {value}, not {low} to {high}")
        return value

    return read


def _one_of(*names: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        text = _text(value).lower()
        if text not in names:
            raise ValueError(f"is {value!r}, not one of {', '.join(names)}")
        return text

    return read


def _peers(value: object) -> Mapping[str, Address]:
    if isinstance(value, str):  # from the environment: n2=host:port,n3=host:port
        pairs = [item.partition("=") for item in value.split(",") if item.strip()]
        if any(not equals for _, equals, _ in pairs):
            raise ValueError(f"is {value!r}, not name=host:port, separated by commas")
        value = {name.strip(): address.strip() for name, _, address in pairs}
    if not isinstance(value, dict):
        raise ValueError(f"is {value!r}, not a table of name = address")
    return {name: parse_address(_text(address)) for name, address in value.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting: the file's dotted key, how a value is read, its default and its meaning."""

    key: str
    read: Callable[[object], Any]
    default: object
    meaning: str

    @property
    def name(self) -> str:
        """The field of `Config`."""
        return self.key.replace(".", "_")

    @property
    def variable(self) -> str:
        return ENVIRONMENT_PREFIX + self.name.upper()


SETTINGS: Final = (
    Setting(key="data", read=_path, default=Path("data"), meaning="folder of ledger, votes and socket"),
    Setting(key="genesis", read=_path, default=Path("genesis.json"), meaning="the network's genesis file"),
    Setting(key="key", read=_path, default=Path("validator.key"), meaning="this validator's key file"),
    Setting(
        key="api.listen",
        read=_address,
        default=Address(host="127.0.0.1", port=7400),
        meaning="address for clients",
    ),
    Setting(key="api.remote", read=_bool, default=False, meaning="allow api.listen beyond loopback"),
    Setting(
        key="api.connection_inflight_max",
        read=_integer(1, 1_000_000),
        default=50_000,
        meaning="transactions of one connection that may wait for their result",
    ),
    Setting(
        key="api.inflight_max",
        read=_integer(1, 10_000_000),
        default=200_000,
        meaning="transactions of all connections that may wait for their result",
    ),
    Setting(
        key="api.message_bytes_max",
        read=_integer(1 << 16, 64 * MIB),
        default=16 * MIB,
        meaning="largest request",
    ),
    Setting(
        key="peer.listen",
        read=_address,
        default=Address(host="127.0.0.1", port=7401),
        meaning="address for other validators",
    ),
    Setting(key="peer.remote", read=_bool, default=False, meaning="allow peer.listen beyond loopback"),
    Setting(
        key="peer.queue_bytes_max",
        read=_integer(MIB, 1024 * MIB),
        default=32 * MIB,
        meaning="bytes waiting for one slow peer before its traffic is dropped",
    ),
    Setting(key="peers", read=_peers, default={}, meaning="addresses of the other validators by name"),
    Setting(
        key="metrics.listen", read=_address_or_none, default=None, meaning="address of Prometheus metrics"
    ),
    Setting(key="metrics.remote", read=_bool, default=False, meaning="allow metrics.listen beyond loopback"),
    Setting(
        key="log.level", read=_one_of(*LOG_LEVELS), default="info", meaning="least level that is written"
    ),
    Setting(key="log.format", read=_one_of(*LOG_FORMATS), default="text", meaning="text or json"),
    Setting(
        key="storage.cache_mib",
        read=_integer(1, 65_536),
        default=64,
        meaning="memory for hot state values",
    ),
    Setting(
        key="storage.accept_loss",
        read=_bool,
        default=False,
        meaning="start although the disk lost heights that it had acknowledged",
    ),
)

BY_KEY: Final = {setting.key: setting for setting in SETTINGS}
BY_VARIABLE: Final = {setting.variable: setting for setting in SETTINGS}
SECTIONS: Final = frozenset(key.partition(".")[0] for key in BY_KEY if "." in key)
assert len(BY_VARIABLE) == len(SETTINGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A node's settings, checked. Fields are named as in `SETTINGS`, dots as underscores."""

    data: Path
    genesis: Path
    key: Path
    api_listen: Address
    api_remote: bool
    api_connection_inflight_max: int
    api_inflight_max: int
    api_message_bytes_max: int
    peer_listen: Address
    peer_remote: bool
    peer_queue_bytes_max: int
    peers: Mapping[str, Address] = field(default_factory=dict)
    metrics_listen: Address | None
    metrics_remote: bool
    log_level: str
    log_format: str
    storage_cache_mib: int
    storage_accept_loss: bool

    @property
    def admin_socket(self) -> Path:
        """The operators' door: in the data folder, for its owner only."""
        return self.data / "admin.sock"


def load(
    path: Path | None, environment: Mapping[str, str], overrides: Mapping[str, object] | None = None
) -> Config:
    """The file's settings, over them the environment's, over them the command line's.

    Relative paths in a file are taken from the file's folder.
    """
    values: dict[str, Any] = {setting.name: setting.default for setting in SETTINGS}
    if path is not None:
        for key, value in _flatten(_parse_file(path), path).items():
            read = _read(BY_KEY[key], value, source=str(path))
            values[BY_KEY[key].name] = path.parent / read if isinstance(read, Path) else read
    for variable, text in environment.items():
        if variable.startswith(ENVIRONMENT_PREFIX) and variable not in FOREIGN_VARIABLES:
            setting = BY_VARIABLE.get(variable)
            if setting is None:
                raise _unknown(variable, BY_VARIABLE, source="environment")
            values[setting.name] = _read(setting, text, source="environment")
    for key, value in (overrides or {}).items():
        if value is not None:
            values[BY_KEY[key].name] = _read(BY_KEY[key], value, source="command line")
    config = Config(**values)
    _check_binding(config)
    return config


def _parse_file(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigFileUnreadable(path, error.strerror or str(error)) from error
    except ValueError as error:
        raise ConfigFileUnreadable(path, str(error)) from error


def _flatten(document: Mapping[str, Any], path: Path) -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in document.items():
        if name in SECTIONS and isinstance(value, dict):
            flat.update({f"{name}.{key}": item for key, item in value.items()})
        else:
            flat[name] = value
    for key in flat:
        if key not in BY_KEY:
            raise _unknown(key, BY_KEY, source=str(path))
    return flat


def _unknown(key: str, known: Mapping[str, Setting], *, source: str) -> InvalidConfig:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if not near:  # a key under the wrong section, or without one
        last = key.rpartition(".")[2]
        near = [name for name in known if name.rpartition(".")[2] == last][:1]
    remedy = f"Did you mean {near[0]}?" if near else f"Known are: {', '.join(known)}."
    return InvalidConfig(key, "is unknown", remedy=remedy, source=source)


def _read(setting: Setting, value: object, *, source: str) -> Any:
    try:
        return setting.read(value)
    except ValueError as why:
        remedy = f"It is the {setting.meaning}; the default is {setting.default}."
        raise InvalidConfig(setting.key, str(why), remedy=remedy, source=source) from None


def _check_binding(config: Config) -> None:
    for section, address, remote in (
        ("api", config.api_listen, config.api_remote),
        ("peer", config.peer_listen, config.peer_remote),
        ("metrics", config.metrics_listen, config.metrics_remote),
    ):
        if address is not None and not address.loopback and not remote:
            raise InvalidConfig(
                f"{section}.listen",
                f"is {address}, which other machines can reach",
                remedy=f"Set {section}.remote = true if that is meant, or listen on 127.0.0.1.",
                source="network",
            )


def check_peers(config: Config, names: Sequence[str]) -> None:
    """Refuse an address for somebody whom genesis does not name: most likely a name misspelt."""
    for name in config.peers:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
            remedy = f"Did you mean {near[0]}?" if near else f"Genesis names: {', '.join(names)}."
            raise InvalidConfig(
                f"peers.{name}", "names no validator of genesis", remedy=remedy, source="peers"
            )


def peers_without_address(config: Config, names: Sequence[str], own: int) -> list[str]:
    """What follows where `[peers]` lacks a validator: one sentence each. The lower index is dialled."""
    said = []
    for index, name in enumerate(names):
        if index == own or name in config.peers:
            continue
        meaning = "this node never connects to it" if index > own else "this node waits for it to connect"
        said.append(f"[peers] of the configuration has no address of {name}: {meaning}")
    return said


def render(values: Mapping[str, object]) -> str:
    """A node.toml with these settings, by dotted key; unset ones stand as comments with their default."""
    top: list[str] = []
    sections: dict[str, list[str]] = {}
    for setting in SETTINGS:
        if setting.key == "peers":
            continue
        section, dot, name = setting.key.rpartition(".")
        given = setting.key in values
        value = values[setting.key] if given else setting.default
        line = f"{'' if given else '# '}{name} = {_toml(value)}"
        text = f"{line:<50} # {setting.meaning}"
        (sections.setdefault(section, []) if dot else top).append(text)
    lines = ["# A Licet node. Environment variables (LICET_NODE_API_LISTEN, …) stand above this file.", *top]
    for section, entries in sections.items():
        lines += ["", f"[{section}]", *entries]
    peers = values.get("peers", {})
    assert isinstance(peers, Mapping)
    lines += ["", "[peers]", *(f"{name} = {_toml(address)}" for name, address in peers.items())]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    text = "" if value is None else str(value)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

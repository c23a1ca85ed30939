"""Settings: flags before environment before profile before nothing.

The profile file is TOML, at $LICET_CONFIG or ~/.config/licet/config.toml:

    [profile.default]
    target = "127.0.0.1:7101"
    sender = "acme"
    key = "~/keys/acme.key"
    genesis = "genesis.json"
    expect_chain = "…64 hex digits…"
    wait = "30"

Environment: LICET_TARGET, LICET_SENDER, LICET_KEY, LICET_GENESIS, LICET_EXPECT_CHAIN, LICET_WAIT,
LICET_PROFILE, LICET_PASSPHRASE. `wait` is how many seconds a command asks for a node that does not answer.
Without it, a refused connection is told in 1.5 s and silence in 10 s, and a node that was met is waited
for 30 s. Relative paths in the file are relative to the file. A name that means nothing is an
error that names its neighbour: a typo must not sign on the wrong network.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from licet.documents import read_toml
from licet.errors import Fault, LicetError

SETTINGS: Final = ("target", "sender", "key", "genesis", "expect_chain", "wait")
_WAIT: Final = re.compile(r"\d{1,4}(\.\d{1,3})?", re.ASCII)
_PATHS: Final = frozenset({"key", "genesis"})


class ConfigError(LicetError):
    """A setting that is wrong."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__("CONFIG_INVALID", message, fault=Fault.OPERATOR, remedy=remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a command runs with; empty where nothing says."""

    target: str = ""
    sender: str = ""
    key: str = ""
    genesis: str = ""
    expect_chain: str = ""
    wait: str = ""  # seconds
    passphrase: str = ""
    source: str = ""  # the profile file that was read, for doctor


def config_path(environ: Mapping[str, str]) -> Path:
    """Where the profile file is looked for."""
    if environ.get("LICET_CONFIG"):
        return Path(environ["LICET_CONFIG"]).expanduser()
    home = environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME", "~"), ".config")
    return Path(home).expanduser() / "licet" / "config.toml"


def _near(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Known are {', '.join(sorted(known))}."


def _profile(path: Path, name: str, *, asked: bool) -> dict[str, str]:
    try:
        document = read_toml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if asked:
            raise ConfigError(
                f"There is no profile {name!r}: the file {path} does not exist.",
                "Write it, or leave it away.",
            ) from None
        return {}
    except (OSError, ValueError) as why:
        raise ConfigError(f"The profile file {path} cannot be read: {why}.", "Correct it.") from None
    unknown = [key for key in document if key != "profile"]
    if unknown:
        raise ConfigError(
            f"{path} has the unknown table {unknown[0]!r}.", "Write [profile.NAME] tables only."
        )
    profiles = document.get("profile", {})
    if not isinstance(profiles, dict) or not all(isinstance(item, dict) for item in profiles.values()):
        raise ConfigError(f"{path} has no [profile.NAME] tables.", "Write [profile.NAME] tables only.")
    if name not in profiles:
        if asked:
            raise ConfigError(f"There is no profile {name!r} in {path}.", _near(name, profiles))
        return {}
    found: dict[str, str] = {}
    for key, value in profiles[name].items():
        if key not in SETTINGS:
            raise ConfigError(f"{path} sets {key!r} in profile {name!r}.", _near(key, SETTINGS))
        if not isinstance(value, str):
            raise ConfigError(f"{path} sets {key} in profile {name!r} to no text.", "Write it in quotes.")
        found[key] = str(path.parent / Path(value).expanduser()) if key in _PATHS else value
    return found


def read_settings(flags: Mapping[str, str | None], environ: Mapping[str, str]) -> Settings:
    """Put together what flags, environment and profile say."""
    name = flags.get("profile") or environ.get("LICET_PROFILE") or "default"
    asked = bool(flags.get("profile") or environ.get("LICET_PROFILE"))
    path = config_path(environ)
    profile = _profile(path, name, asked=asked)
    chosen = {
        setting: flags.get(setting) or environ.get(f"LICET_{setting.upper()}") or profile.get(setting, "")
        for setting in SETTINGS
    }
    if chosen["expect_chain"] and not _is_chain(chosen["expect_chain"]):
        raise ConfigError(
            f"The expected chain {chosen['expect_chain']!r} is no chain id.",
            "Give the 64 hex digits of genesis.json's chain_id.",
        )
    if chosen["wait"] and not (_WAIT.fullmatch(chosen["wait"]) and float(chosen["wait"]) > 0):
        raise ConfigError(
            f"The time to wait {chosen['wait']!r} is no number of seconds.",
            'Give seconds up to 9999, such as "30" or "2.5".',
        )
    return Settings(
        **chosen,
        passphrase=environ.get("LICET_PASSPHRASE", ""),
        source=str(path) if profile else "",
    )


def _is_chain(text: str) -> bool:
    return len(text) == 64 and all(digit in "0123456789abcdef" for digit in text)


def stray_variables(environ: Mapping[str, str]) -> list[str]:
    """LICET_ variables that mean nothing here, with the neighbour that may have been meant."""
    known = {f"LICET_{name.upper()}" for name in SETTINGS}
    known |= {"LICET_CONFIG", "LICET_PROFILE", "LICET_PASSPHRASE", "LICET_NODE_ROOT"}
    return [
        f"{name}: {_near(name, known)}"
        for name in sorted(environ)
        if name.startswith("LICET_") and name not in known and not name.startswith("LICET_NODE_")
    ]

"""The validator's key on disk: 64 hexadecimal digits in a file that only its owner may read.

A node must be able to start unattended, so its key stands unencrypted behind the file's mode (a
passphrase protects the keys of people; see the SDK). A development network's keys are derived from
public names; every network that is not marked as one refuses them.
"""

from __future__ import annotations

import os
import secrets
import stat
from hashlib import sha256
from pathlib import Path
from typing import Final

from licet.crypto import SEED_BYTES, SigningKey
from licet.errors import Fault, LicetError
from licet.types import PublicKey

FILE_MODE: Final = 0o600
# Names whose keys a development network may use: well known, so that anyone can sign with them there.
DEV_NODES: Final = tuple(f"n{index}" for index in range(1, 32))
DEV_PARTIES: Final = ("bank", "studio", "agency", "advertiser", "contributor1", "contributor2", "platform")


class KeyFileUnusable(LicetError):
    """A key file that is missing, malformed, or open to others."""

    def __init__(self, path: Path, why: str, *, remedy: str) -> None:
        super().__init__(
            "KEY_FILE_UNUSABLE",
            f"The key file {path} cannot be used: {why}.",
            fault=Fault.OPERATOR,
            remedy=remedy,
            facts={"path": str(path), "why": why},
        )


class DevelopmentKey(LicetError):
    """A publicly known key on a network that is not marked as a development network."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "DEVELOPMENT_KEY",
            f"The key of {name} is a development key that everybody knows, and this network is a real one.",
            fault=Fault.OPERATOR,
            remedy="Make a key with `python -m node keygen FILE` and put its public half into genesis.",
            facts={"name": name},
        )


def development_key(name: str) -> SigningKey:
    """The key of a name on every development network. It protects nothing."""
    return SigningKey(sha256(b"licet development key, worth nothing: " + name.encode()).digest())


def refuse_development_keys(keys: dict[str, PublicKey]) -> None:
    """Raise `DevelopmentKey` when one of a real network's keys is publicly known."""
    known = {development_key(name).public_key for name in (*DEV_NODES, *DEV_PARTIES)}
    for name, key in keys.items():
        if key in known or key == development_key(name).public_key:
            raise DevelopmentKey(name)


def write_key(path: Path, key: SigningKey) -> None:
    """Create the file, never over an existing one, readable by its owner only and durable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    except FileExistsError:
        raise KeyFileUnusable(
            path, "it is there already", remedy="Keys are never overwritten: name another file."
        ) from None
    with os.fdopen(handle, "w") as file:
        file.write(key.seed.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())


def new_key() -> SigningKey:
    """A key of the system's randomness."""
    return SigningKey(secrets.token_bytes(SEED_BYTES))


def read_key(path: Path) -> SigningKey:
    """The key in a file, or `KeyFileUnusable`."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise KeyFileUnusable(
            path,
            error.strerror or str(error),
            remedy="Name the file in `key`, or make one with `python -m node keygen FILE`.",
        ) from error
    except UnicodeDecodeError:
        text, mode = "", stat.S_IFREG
    if stat.S_IMODE(mode) & 0o077:
        raise KeyFileUnusable(
            path, f"others may read it (mode {stat.S_IMODE(mode):03o})", remedy=f"Run: chmod 600 {path}"
        )
    try:
        return SigningKey(bytes.fromhex(text))
    except ValueError:
        raise KeyFileUnusable(
            path,
            f"it is not {2 * SEED_BYTES} hexadecimal digits",
            remedy="Restore it from your backup; a key cannot be repaired.",
        ) from None

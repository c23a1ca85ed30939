"""Key files: one Ed25519 key, readable by its owner alone, sealed by a passphrase on request.

Format `licet-key-1`, a JSON object:

    format      "licet-key-1"
    public_key  64 hex digits
    seed        64 hex digits; or, in its place, where there is a passphrase:
    sealed      {"kdf": "argon2id", "ops": n, "mem": bytes, "salt": 32 hex, "box": hex}

The box is libsodium's secret box (nonce first) over the tag "licet.keyfile" and the seed, under
argon2id (version 1.3) of the passphrase in UTF-8. `ops` and `mem` are bounded on reading, so that a
file cannot make its reader spend hours or gigabytes.

A file that group or others may read is refused, never repaired: its secret may be known already.
Errors name the file and never show a secret.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any, Final

import nacl.exceptions
import nacl.pwhash
import nacl.secret
import nacl.utils

from licet.crypto import SEED_BYTES, SigningKey
from licet.documents import read_json
from licet.encoding import Tag
from licet.errors import Fault, LicetError

KEY_FORMAT: Final = "licet-key-1"
KEY_MODE: Final = 0o600
KEY_FILE_BYTES_MAX: Final = 8192
# libsodium's "interactive" limits: about 0.1 s and 64 MiB on a laptop.
OPS: Final = nacl.pwhash.argon2id.OPSLIMIT_INTERACTIVE
MEM: Final = nacl.pwhash.argon2id.MEMLIMIT_INTERACTIVE
OPS_MAX: Final = 16
MEM_MAX: Final = 1 << 30

assert OPS <= OPS_MAX
assert MEM <= MEM_MAX


class KeyFileError(LicetError):
    """A key file that is missing, exposed, damaged or locked."""

    def __init__(self, code: str, path: Path, message: str, remedy: str) -> None:
        super().__init__(code, message, fault=Fault.OPERATOR, remedy=remedy, facts={"file": str(path)})


def generate_key() -> SigningKey:
    """A new key from the operating system's randomness."""
    return SigningKey(nacl.utils.random(SEED_BYTES))


def save_key(path: str | os.PathLike[str], key: SigningKey, *, passphrase: str | None = None) -> Path:
    """Write a key file with mode 0600; refuse to replace one that exists."""
    target = Path(path)
    document: dict[str, Any] = {"format": KEY_FORMAT, "public_key": key.public_key.hex()}
    if passphrase is None:
        document["seed"] = key.seed.hex()
    else:
        document["sealed"] = _seal(target, key.seed, passphrase)
    data = (json.dumps(document, indent=2) + "\n").encode()
    try:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, KEY_MODE)
    except FileExistsError:
        raise KeyFileError(
            "KEY_EXISTS",
            target,
            f"The key file {target} exists already.",
            "Choose another name; a key that is overwritten is lost for ever.",
        ) from None
    except OSError as why:
        raise KeyFileError(
            "KEY_UNWRITABLE",
            target,
            f"The key file {target} cannot be written: {why.strerror}.",
            "Name a folder that exists and that you may write to.",
        ) from None
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), KEY_MODE)  # whatever the umask says
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as why:
        target.unlink(missing_ok=True)  # ours, and half a key is none
        raise KeyFileError(
            "KEY_UNWRITABLE",
            target,
            f"The key file {target} cannot be written: {why.strerror}.",
            "Make room, or name another folder.",
        ) from None
    return target


def load_key(path: str | os.PathLike[str], *, passphrase: str | None = None) -> SigningKey:
    """Read a key file; raise `KeyFileError` saying what is wrong and what to do."""
    target = Path(path)
    document = _document(target, _read(target))
    seed = _seed(target, document, passphrase)
    key = SigningKey(seed)
    if key.public_key.hex() != document.get("public_key"):
        raise _damaged(target, "its public key is not that of its seed")
    return key


def is_sealed(path: str | os.PathLike[str]) -> bool:
    """Whether a passphrase is needed to read the key file."""
    target = Path(path)
    return "sealed" in _document(target, _read(target))


def _read(target: Path) -> bytes:
    try:
        handle = os.open(target, os.O_RDONLY | os.O_NONBLOCK)  # a pipe must not block the reader
    except FileNotFoundError:
        raise KeyFileError(
            "KEY_MISSING",
            target,
            f"There is no key file {target}.",
            "Name an existing one, or make one with `licet party new-key FILE`.",
        ) from None
    except OSError as why:
        raise KeyFileError(
            "KEY_UNREADABLE",
            target,
            f"The key file {target} cannot be read: {why.strerror}.",
            "Name a regular file that you own.",
        ) from None
    try:
        # The open file is what is judged: a path may point elsewhere a moment later.
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise KeyFileError(
                "KEY_UNREADABLE", target, f"{target} is no regular file.", "Name a regular file that you own."
            )
        if os.name == "posix" and status.st_mode & 0o077:
            raise KeyFileError(
                "KEY_EXPOSED",
                target,
                f"The key file {target} has mode {stat.S_IMODE(status.st_mode):04o}: others may read it.",
                f"If nobody did, run `chmod 600 {target}`; otherwise replace the key.",
            )
        return os.read(handle, KEY_FILE_BYTES_MAX + 1)
    finally:
        os.close(handle)


def _damaged(target: Path, why: str) -> KeyFileError:
    return KeyFileError(
        "KEY_DAMAGED",
        target,
        f"The key file {target} is damaged: {why}.",
        "Restore it from your backup.",
    )


def _document(target: Path, data: bytes) -> dict[str, Any]:
    if len(data) > KEY_FILE_BYTES_MAX:
        raise _damaged(target, f"it is longer than {KEY_FILE_BYTES_MAX} bytes")
    try:
        document = read_json(data)
    except ValueError:
        raise _damaged(target, "it is no JSON") from None
    if not isinstance(document, dict):
        raise _damaged(target, "it is no JSON object")
    if document.get("format") != KEY_FORMAT:
        raise _damaged(target, f"its format is not {KEY_FORMAT}")
    unknown = sorted(set(document) - {"format", "public_key", "seed", "sealed"})
    if unknown or ("seed" in document) == ("sealed" in document):
        raise _damaged(target, "it has not exactly the fields of its format")
    return document


def _hex(target: Path, value: object, length: int, name: str) -> bytes:
    try:
        raw = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        raw = b""
    if len(raw) != length:
        raise _damaged(target, f"its {name} is not {length} bytes in hex")
    return raw


def _seed(target: Path, document: dict[str, Any], passphrase: str | None) -> bytes:
    if "seed" in document:
        if passphrase is not None:
            raise KeyFileError(
                "KEY_NOT_SEALED",
                target,
                f"The key file {target} has no passphrase, and one was given.",
                "Leave the passphrase away, or seal the key again.",
            )
        return _hex(target, document["seed"], SEED_BYTES, "seed")
    if passphrase is None:
        raise KeyFileError(
            "KEY_SEALED",
            target,
            f"The key file {target} is sealed by a passphrase.",
            "Give the passphrase (the command line asks for it, or reads LICET_PASSPHRASE).",
        )
    return _unseal(target, document["sealed"], passphrase)


def _stretch(passphrase: str, salt: bytes, ops: int, mem: int) -> bytes:
    return nacl.pwhash.argon2id.kdf(
        nacl.secret.SecretBox.KEY_SIZE, passphrase.encode(), salt, opslimit=ops, memlimit=mem
    )


def _must_be_text(target: Path, passphrase: str) -> None:
    """The environment may hold bytes that are no UTF-8; Python hands them on as lone surrogates."""
    try:
        passphrase.encode()
    except UnicodeEncodeError:
        raise KeyFileError(
            "KEY_PASSPHRASE_NOT_TEXT",
            target,
            "The passphrase is no UTF-8 text.",
            "Give it in UTF-8, as a terminal does that is set to it.",
        ) from None


def _seal(target: Path, seed: bytes, passphrase: str) -> dict[str, Any]:
    if not passphrase:
        raise KeyFileError(
            "KEY_PASSPHRASE_EMPTY", target, "The passphrase is empty.", "Choose one, or seal without one."
        )
    _must_be_text(target, passphrase)
    salt = nacl.utils.random(nacl.pwhash.argon2id.SALTBYTES)
    box = nacl.secret.SecretBox(_stretch(passphrase, salt, OPS, MEM))
    return {
        "kdf": "argon2id",
        "ops": OPS,
        "mem": MEM,
        "salt": salt.hex(),
        "box": bytes(box.encrypt(Tag.KEY_FILE.bytes16 + seed)).hex(),
    }


def _unseal(target: Path, sealed: object, passphrase: str) -> bytes:
    _must_be_text(target, passphrase)
    if not isinstance(sealed, dict) or set(sealed) != {"kdf", "ops", "mem", "salt", "box"}:
        raise _damaged(target, "its sealed part has not exactly the fields of its format")
    ops, mem = sealed["ops"], sealed["mem"]
    if (
        sealed["kdf"] != "argon2id"
        or type(ops) is not int
        or type(mem) is not int
        or not nacl.pwhash.argon2id.OPSLIMIT_MIN <= ops <= OPS_MAX
        or not nacl.pwhash.argon2id.MEMLIMIT_MIN <= mem <= MEM_MAX
    ):
        raise _damaged(target, "its key derivation is not argon2id within this version's bounds")
    salt = _hex(target, sealed["salt"], nacl.pwhash.argon2id.SALTBYTES, "salt")
    plain_bytes = len(Tag.KEY_FILE.bytes16) + SEED_BYTES
    size = nacl.secret.SecretBox.NONCE_SIZE + nacl.secret.SecretBox.MACBYTES + plain_bytes
    box = _hex(target, sealed["box"], size, "box")
    try:
        opened = nacl.secret.SecretBox(_stretch(passphrase, salt, ops, mem)).decrypt(box)
    except nacl.exceptions.CryptoError:
        raise KeyFileError(
            "KEY_PASSPHRASE_WRONG",
            target,
            f"The passphrase does not open the key file {target}.",
            "Try again; nobody can recover a key whose passphrase is lost.",
        ) from None
    if opened[: len(Tag.KEY_FILE.bytes16)] != Tag.KEY_FILE.bytes16:
        raise _damaged(target, "its box holds something other than a key")
    return bytes(opened[len(Tag.KEY_FILE.bytes16) :])

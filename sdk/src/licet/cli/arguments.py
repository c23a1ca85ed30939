"""Arguments as people type them: pairs, percentages, times, files to hash. Errors name the argument."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from licet.errors import Fault, LicetError

if TYPE_CHECKING:
    from licet.cli.session import Session
    from licet.client_commands import Submission
    from licet.statement import Certificate

STDIN: Final = "-"

_PERCENT = re.compile(r"(\d{1,3})(?:\.(\d{1,9}))? ?%?", re.ASCII)


class ArgumentInvalid(LicetError):
    """An argument that is not what it should be."""

    def __init__(self, text: str, why: str, remedy: str) -> None:
        super().__init__("ARGUMENT_INVALID", f"{text!r} {why}.", fault=Fault.OPERATOR, remedy=remedy)


def pairs(items: Iterable[str]) -> dict[str, str]:
    """NAME=VALUE arguments, each name once."""
    found: dict[str, str] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not name or name in found:
            raise ArgumentInvalid(item, "is no NAME=VALUE, or names one twice", "Write NAME=VALUE.")
        found[name] = value
    return found


def slots(items: Iterable[str]) -> dict[str, list[str]]:
    """SLOT=ASSET arguments; a slot may have several."""
    found: dict[str, list[str]] = {}
    for item in items:
        slot, equals, asset = item.partition("=")
        if not equals or not slot:
            raise ArgumentInvalid(item, "is no SLOT=ASSET", "Write SLOT=ASSET, such as work=w-17.")
        found.setdefault(slot, []).append(asset)
    return found


def percent(text: str, *, of: int) -> int:
    """A percentage as a share of `of`, exact or refused."""
    match = _PERCENT.fullmatch(text.strip())
    if match is None:
        raise ArgumentInvalid(text, "is no percentage", 'Write it as "12.5%".')
    fraction = match.group(2) or ""
    parts: int = 10 ** len(fraction)
    share, rest = divmod(int(match.group(1) + fraction) * of, 100 * parts)
    if rest or not 0 < share <= of:
        raise ArgumentInvalid(text, "is no percentage above 0 and up to 100 of so many decimals", "Round it.")
    return share


def time_ms(text: str) -> int:
    """A time in UTC, a date for its first instant, or 0 for nothing."""
    from licet.usage import parse_time_ms

    if not text:
        return 0
    try:
        return parse_time_ms(text if len(text) != 10 else f"{text}Z")
    except ValueError as why:
        raise ArgumentInvalid(
            text, f"is no time: {why}", "Write 2026-01-15 or 2026-01-15T12:30:00Z."
        ) from None


def file_hash(path: str) -> bytes:
    """SHA-256 of a file's content."""
    digest = sha256()
    try:
        with Path(path).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as why:
        raise ArgumentInvalid(path, f"cannot be read: {why.strerror}", "Name a file that exists.") from None
    return digest.digest()


def file_bytes(path: str) -> bytes:
    """A file's content, or what comes from standard input where it is called "-"."""
    try:
        return sys.stdin.buffer.read() if path == STDIN else Path(path).read_bytes()
    except OSError as why:
        raise ArgumentInvalid(path, f"cannot be read: {why.strerror}", "Name a file that exists.") from None


def file_text(path: str) -> str:
    """A text file's content as UTF-8, without the byte order mark that some editors write."""
    try:
        return file_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ArgumentInvalid(path, "is not UTF-8 text", "Save it as UTF-8.") from None


def file_to_read(path: str) -> str | BinaryIO:
    """A file that is read later, known to be readable; standard input at once where it is called "-"."""
    if path == STDIN:
        return io.BytesIO(file_bytes(path))
    try:
        with Path(path).open("rb"):
            return path
    except OSError as why:
        raise ArgumentInvalid(path, f"cannot be read: {why.strerror}", "Name a file that exists.") from None


def file_to_write(path: str) -> str:
    """A file that is written once a transaction is final, known to be writable before that is sent."""
    folder = Path(path).parent
    if path == STDIN:
        why = "it stands for standard input"
    elif Path(path).is_dir():
        why = "it is a folder"
    elif not folder.is_dir():
        why = f"there is no folder {folder}"
    elif not os.access(Path(path) if Path(path).exists() else folder, os.W_OK):
        why = "it is not yours to write"
    else:
        return path
    raise ArgumentInvalid(path, f"cannot be written: {why}", "Name a file in a folder of yours.")


def save(certificate: Certificate, path: str) -> Path:
    """Write a proof file."""
    try:
        return certificate.save(path)
    except OSError as why:
        raise ArgumentInvalid(
            path,
            f"cannot be written: {why.strerror}",
            "What it would prove stands on the ledger; save it again elsewhere (`licet license proof`,"
            " `licet receipt --proof`).",
        ) from None


def submission(session: Session, args: Any) -> Submission:
    """How a command's transaction is signed and sent."""
    from licet.client_commands import Submission

    tx_id = None
    if args.tx_id is not None:
        try:
            tx_id = bytes.fromhex(args.tx_id)
        except ValueError:
            tx_id = b""
        if len(tx_id) != 16:
            raise ArgumentInvalid(args.tx_id, "is no id of 16 bytes", "Give 32 hex digits.")
    keys = tuple(session.load_key(path) for path in getattr(args, "co_key", []))
    return Submission(id=tx_id, look_first=tx_id is not None, keys=keys, validate_only=args.validate_only)

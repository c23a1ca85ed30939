"""`licet explain` and `licet doctor`: what an error means, and what is wrong here."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from licet.cli.arguments import ArgumentInvalid
from licet.cli.profile import stray_variables
from licet.cli.session import Session
from licet.errors import LicetError

CLOCK_APART_MS_MAX = 60_000


def explain(session: Session, args: Any) -> int:
    """One code."""
    from licet.glossary import GLOSSARY, nearest

    code = args.code.upper().replace("-", "_")
    found = GLOSSARY.get(code)
    if found is None:
        near = nearest(code)
        raise ArgumentInvalid(
            args.code, "is no error code", f"Did you mean {', '.join(near)}?" if near else "See the message."
        )
    session.show(
        {"code": code, "meaning": found.meaning, "remedy": found.remedy},
        id=code,
        lines=(code, f"  {found.meaning}", f"  {found.remedy}"),
    )
    return 0


class Finding(NamedTuple):
    """One check and what came of it."""

    fine: bool
    text: str
    remedy: str = ""


def _packages() -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError, version

    yield Finding(True, f"Python {platform.python_version()}")
    for package in ("grpcio", "protobuf", "pynacl"):
        try:
            yield Finding(True, f"{package} {version(package)}")
        except PackageNotFoundError:
            yield Finding(False, f"{package} is not installed", f"pip install {package}")


def _settings(session: Session) -> Iterator[Finding]:
    settings = session.settings
    yield Finding(True, f"profile: {settings.source or 'none (flags and environment only)'}")
    for stray in stray_variables(session._environ):
        yield Finding(False, f"a variable means nothing: {stray}", "Correct its name or unset it.")
    if settings.key:
        try:
            from licet.keys import is_sealed

            sealed = "sealed" if is_sealed(settings.key) else "not sealed"
            yield Finding(True, f"key {settings.key}: readable by you alone, {sealed}")
        except LicetError as error:
            yield Finding(False, error.message, error.remedy)
    if settings.genesis:
        try:
            from licet.genesis import parse_genesis

            genesis = parse_genesis(Path(settings.genesis).read_text(encoding="utf-8"))
            yield Finding(
                True, f"genesis {settings.genesis}: {genesis.name}, {genesis.chain_id().hex()[:16]}…"
            )
        except LicetError as error:
            yield Finding(False, error.message, error.remedy)
        except (OSError, UnicodeDecodeError) as why:
            yield Finding(False, f"genesis {settings.genesis} cannot be read: {why}", "Name one that can.")


def _network(session: Session) -> Iterator[Finding]:
    import time

    if not session.settings.target:
        yield Finding(False, "no node is named", "Give --target HOST:PORT or LICET_TARGET.")
        return
    try:
        status = session.client.status()
    except LicetError as error:
        yield Finding(False, error.message, error.remedy)
        return
    yield Finding(True, f"node {status.node} {status.version} at {session.client.target}")
    yield Finding(True, f"network {status.network}, chain {status.chain_id.hex()}")
    yield Finding(True, status.sentence)
    manual = session.client.genesis.parameters.manual_clock
    apart = abs(status.now_ms - time.time_ns() // 1_000_000)
    if manual:
        yield Finding(True, "the network's clock is moved by hand; this machine's plays no part")
    else:
        yield Finding(
            apart <= CLOCK_APART_MS_MAX,
            f"this machine's clock and the node's are {apart / 1000:.1f} s apart",
            "Transactions use the node's clock, so they work; set one of the two right.",
        )
    if session.settings.sender:
        try:
            session.client.get_party(session.settings.sender)
            yield Finding(True, f"party {session.settings.sender} is registered")
        except LicetError as error:
            yield Finding(False, error.message, error.remedy)


def doctor(session: Session, args: Any) -> int:
    """Every check with ✓ or ✗ and the remedy; exit code 1 where one failed."""
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _packages,
        lambda: _settings(session),
        lambda: _network(session),
    )
    findings = [finding for check in checks for finding in check()]
    lines = [
        f"{'✓' if finding.fine else '✗'} {finding.text}"
        + (f"\n  {finding.remedy}" if not finding.fine else "")
        for finding in findings
    ]
    failed = sum(not finding.fine for finding in findings)
    session.show([finding._asdict() for finding in findings], id=str(failed), lines=lines)
    session.hint("licet status" if not failed else "licet explain CODE")
    return 1 if failed else 0

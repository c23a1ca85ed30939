"""The author's command line: check, test, format and explain templates, without a network.

Exit code 0 is fine, 1 is refused, 2 is misuse (a wrong command, a file that
cannot be read or written, output that nobody can take). The last line names the
next useful command. With `-o json` check and test print one object per file and
nothing else. A file is written back whole or left as it was.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from licensing_vm.language.checker import Checked, check
from licensing_vm.language.diagnostics import Report, Stop
from licensing_vm.language.explain import explain
from licensing_vm.language.formatter import format_source
from licensing_vm.money.amounts import money_text
from licensing_vm.program.encoding import program_hash
from licensing_vm.program.limits import SOURCE_BYTES_MAX

FINE: Final = 0
REFUSED: Final = 1
MISUSE: Final = 2
_RUN: Final = "python -m licensing_vm"


class Unreadable(Exception):
    """A file that is no text we can read."""


class Unwritable(Exception):
    """A file that cannot be written back; what it held stands."""


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code."""
    # Printed when all is decided, so that output which nobody takes changes no verdict.
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = _main(arguments)
    if sys.stdout is None:  # closed by whoever called
        return code
    try:
        sys.stdout.write(said.getvalue())
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader has gone (`check … | head`) and wants no more; the verdict stands.
        _silence()
        return code
    except OSError as error:
        _silence()
        print(f"the output cannot be written ({error.strerror or error}).", file=sys.stderr)
        return MISUSE


def _silence() -> None:
    """What is still in the buffer goes nowhere, or the interpreter complains of it when it ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _main(arguments: Sequence[str]) -> int:
    parser = _parser()
    try:
        options = parser.parse_args(arguments)
    except SystemExit as leaving:
        return FINE if leaving.code in (0, None) else MISUSE
    sources: list[tuple[str, str]] = []
    for name in options.files:
        try:
            sources.append((name, _read(name)))
        except Unreadable as why:
            print(f"{name}: {why}", file=sys.stderr)
            return MISUSE
    command: Callable[[list[tuple[str, str]], argparse.Namespace], int] = _COMMANDS[options.command]
    return command(sources, options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_RUN, description="Check, test, format and explain templates of terms."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("check", "say what is wrong with each template, with line, caret, reason and remedy"),
        ("test", "run each template's own tests"),
        ("format", "print the template laid out (or write it back, or only compare)"),
        ("explain", "say in plain words what each clause does"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            "files", nargs="+", metavar="FILE", help="a .terms file, or - for standard input"
        )
        if name in ("check", "test"):
            command.add_argument(
                "-o", "--output", choices=("text", "json"), default="text", help="text or json"
            )
        if name == "format":
            how = command.add_mutually_exclusive_group()
            how.add_argument("-w", "--write", action="store_true", help="write the files back")
            how.add_argument("-c", "--check", action="store_true", help="only say which files would change")
    return parser


def _read(name: str) -> str:
    try:
        raw = sys.stdin.buffer.read(SOURCE_BYTES_MAX + 1) if name == "-" else _bytes(Path(name))
        # A source that is too long is cut anywhere; the checker then says that it is too long.
        return raw.decode("utf-8", "replace" if len(raw) > SOURCE_BYTES_MAX else "strict")
    except OSError as error:
        raise Unreadable(f"cannot be read ({error.strerror or error}).") from None
    except UnicodeDecodeError:
        raise Unreadable("is no UTF-8 text.") from None


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(SOURCE_BYTES_MAX + 1)


def _write(name: str, text: str) -> None:
    """Put `text` in the file's place, whole or not at all: written beside it, on the disk, then renamed."""
    target = Path(os.path.realpath(name))  # of a link, what it points to is replaced, and the link stands
    beside = ""
    try:
        if not os.access(target, os.W_OK):  # renaming would pass over the file's own protection
            raise PermissionError(None, "Permission denied")
        handle, beside = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), target.stat().st_mode & 0o7777)
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    except OSError as error:
        if beside:
            with contextlib.suppress(OSError):
                os.unlink(beside)
        raise Unwritable(f"cannot be written ({error.strerror or error}); it is as it was.") from None


def _next(line: str) -> None:
    print(f"next: {line}")


# --- check -----------------------------------------------------------------------


def _check(sources: list[tuple[str, str]], options: argparse.Namespace) -> int:
    results = [(name, check(source)) for name, source in sources]
    refused = [name for name, checked in results if checked.program is None]
    if options.output == "json":
        for name, checked in results:
            print(json.dumps({"file": name, **_facts(checked), **_diagnostics(checked.report)}))
        return REFUSED if refused else FINE
    for name, checked in results:
        if checked.report.diagnostics:
            print(checked.report.render(name))
        if checked.program is None:
            print(f"{name}: refused, {_count(len(checked.report.errors), 'error')}")
        else:
            warnings = len(checked.report.diagnostics)
            tests = _count(len(checked.trials), "test")
            also = f", {_count(warnings, 'warning')}" if warnings else ""
            print(f"{name}: {checked.program.name} {checked.program.version} is fine ({tests} passed{also})")
    if refused:
        _next(f"correct {refused[0]} and run {_RUN} check {refused[0]}")
    else:
        _next(f"{_RUN} explain {sources[0][0]}")
    return REFUSED if refused else FINE


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _facts(checked: Checked) -> dict[str, Any]:
    program = checked.program
    if program is None:
        return {"ok": False}
    return {
        "ok": True,
        "name": program.name,
        "version": program.version,
        "program_hash": program_hash(program).hex(),
    }


def _diagnostics(report: Report) -> dict[str, Any]:
    return {
        "diagnostics": [
            {
                "code": str(d.code),
                "severity": str(d.severity),
                "line": d.place.line,
                "column": d.place.column,
                "reason": d.reason,
                "remedy": d.remedy,
            }
            for d in report.diagnostics
        ]
    }


# --- test ------------------------------------------------------------------------


def _test(sources: list[tuple[str, str]], options: argparse.Namespace) -> int:
    results = [(name, check(source)) for name, source in sources]
    refused = [name for name, checked in results if checked.program is None]
    for name, checked in results:
        if options.output == "json":
            print(
                json.dumps(
                    {"file": name, **_facts(checked), **_trials(checked), **_diagnostics(checked.report)}
                )
            )
        else:
            _print_trials(name, checked)
    if options.output == "text":
        if refused:
            _next(f"correct {refused[0]} and run {_RUN} test {refused[0]}")
        else:
            _next(f"{_RUN} explain {sources[0][0]}")
    return REFUSED if refused else FINE


def _trials(checked: Checked) -> dict[str, Any]:
    return {
        "tests": [
            {
                "name": trial.name,
                "passed": trial.passed,
                "lines": [
                    {
                        "kind": "paid" if line.paid else "owed",
                        "payee": line.payee,
                        "expected": line.expected,
                        "found": line.found,
                    }
                    for line in trial.lines
                ],
            }
            for trial in checked.trials
        ]
    }


def _print_trials(name: str, checked: Checked) -> None:
    if not checked.trials:
        if checked.report.errors:
            print(checked.report.render(name))
            print(f"{name}: refused before its tests could run")
        else:
            print(f"{name}: has no tests")
        return
    currency = checked.template.currency if checked.template else None
    for trial in checked.trials:
        print(f"{name}: {'pass' if trial.passed else 'FAIL'}  {trial.name}")
        for line in trial.lines:
            if line.expected != line.found and currency is not None:
                code, scale = currency.name.text, currency.scale.digits
                verb = "paid" if line.paid else "owed"
                wanted = money_text(line.expected, code, scale)
                print(f"    {verb} to {line.payee}: {money_text(line.found, code, scale)}, expected {wanted}")
    passed = sum(trial.passed for trial in checked.trials)
    print(f"{name}: {passed} of {_count(len(checked.trials), 'test')} passed")
    if checked.report.errors:
        print(checked.report.render(name))


# --- format, explain -------------------------------------------------------------


def _format(sources: list[tuple[str, str]], options: argparse.Namespace) -> int:
    changed: list[str] = []
    for name, source in sources:
        try:
            text = format_source(source)
        except Stop as stop:
            print(Report(source=source, diagnostics=(stop.diagnostic,)).render(name), file=sys.stderr)
            return REFUSED
        if text != source:
            changed.append(name)
        if options.write and text != source and name != "-":
            try:
                _write(name, text)
            except Unwritable as why:
                print(f"{name}: {why}", file=sys.stderr)
                return MISUSE
        elif not options.write and not options.check:
            print(text, end="")
    if options.check or options.write:
        for name in changed:
            print(f"{name}: {'formatted' if options.write else 'would be formatted'}")
        if options.check and changed:
            _next(f"{_RUN} format --write {' '.join(changed)}")
            return REFUSED
        _next(f"{_RUN} check {sources[0][0]}")
    return FINE


def _explain(sources: list[tuple[str, str]], options: argparse.Namespace) -> int:
    del options
    for name, source in sources:
        checked = check(source)
        if checked.program is None:
            print(checked.report.render(name))
            _next(f"correct {name} and run {_RUN} check {name}")
            return REFUSED
        print(explain(checked.program))
        print()
    _next(f"{_RUN} test {sources[0][0]}")
    return FINE


_COMMANDS: Final[Mapping[str, Callable[[list[tuple[str, str]], argparse.Namespace], int]]] = {
    "check": _check,
    "test": _test,
    "format": _format,
    "explain": _explain,
}

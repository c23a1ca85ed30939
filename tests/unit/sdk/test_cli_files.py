"""Files on the command line: one rule for every command, found before any node is asked."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from licet import cli
from licet.cli.arguments import ArgumentInvalid, file_text, file_to_read, file_to_write
from licet.cli.parser import COMMANDS, Verb, _common
from licet.keys import generate_key, save_key
from licet.usage import read_usage_csv

# A value for each argument that a command cannot do without.
GIVEN = {
    "period": "2026-01",
    "start": "2026-01",
    "amount": "EUR 1",
    "--rate": "5%",
    "--share": "5%",
    "--given": "f=1",
    "--period": "2026-01",
    "public_key": "00" * 32,
    "transaction_hash": "00" * 32,
    "shell": "bash",
}
READ, PIPED, WRITTEN = "FILE", "FILE|-", "NEW_FILE"


def verbs() -> Iterator[tuple[list[str], Verb]]:
    for name, entry in COMMANDS.items():
        if isinstance(entry, Verb):
            yield [name], entry
        else:
            for inner, verb in entry.items():
                yield [name, inner], verb


def command_line(words: list[str], verb: Verb, wanted: str, path: str, right: str) -> list[str]:
    """The shortest valid command, with `path` for the argument `wanted` and `right` for other files."""
    line = list(words)
    for names, options in (*verb.args, *_common(verb)):
        name = names[-1]
        if name == wanted:
            line += [name, path] if name.startswith("-") else [path]
        elif name.startswith("-"):
            if options.get("required"):
                line += [name, GIVEN.get(name, "x")]
        elif options.get("nargs") != "?":
            line.append(right if options.get("metavar") in (READ, PIPED) else GIVEN.get(name, "x"))
    return line


def cases(*kinds: str) -> list[Any]:
    return [
        pytest.param(words, verb, names[-1], id=f"{' '.join(words)} {names[-1]}")
        for words, verb in verbs()
        for names, options in (*verb.args, *_common(verb))
        if options.get("metavar") in kinds
        # Commands without a node take --genesis for uniformity; only `verify` reads it.
        and not (verb.offline and names[-1] == "--genesis" and words != ["verify"])
        and words != ["doctor"]  # what is wrong with the settings is its result: 1, a check failed
    ]


@pytest.fixture(autouse=True)
def acting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings that are right, a key that exists, and a network that must never be asked."""
    for name in list(os.environ):
        if name.startswith("LICET_"):
            monkeypatch.delenv(name)
    save_key(tmp_path / "acme.key", generate_key())
    monkeypatch.setenv("LICET_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("LICET_TARGET", "127.0.0.1:1")
    monkeypatch.setenv("LICET_SENDER", "acme")
    monkeypatch.setenv("LICET_KEY", str(tmp_path / "acme.key"))

    async def never(*_: object, **__: object) -> None:
        raise AssertionError("a node was asked")

    monkeypatch.setattr("licet.connection.Connection.open", never)


def test_every_command_that_takes_a_file_is_in_the_table() -> None:
    """A new argument for a file is found here by its name or its metavar, and must say which kind it is."""
    for words, verb in verbs():
        for names, options in verb.args:
            if "file" in names[-1] or "FILE" in str(options.get("metavar")):
                assert options.get("metavar") in (READ, PIPED, WRITTEN), (words, names)
    assert len(cases(READ, PIPED)) > 40
    assert len(cases(WRITTEN)) == 4


@pytest.mark.parametrize(("words", "verb", "wanted"), cases(READ, PIPED))
def test_a_missing_input_is_misuse_in_every_command(
    words: list[str], verb: Verb, wanted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = tmp_path / "right"
    right.write_text("x")
    missing = str(tmp_path / "missing")
    assert cli.main(command_line(words, verb, wanted, missing, str(right))) == cli.MISUSE
    said = capsys.readouterr().err
    assert missing in said
    assert "No such file or directory" in said or "exist" in said


@pytest.mark.parametrize(("words", "verb", "wanted"), cases(READ, PIPED))
def test_a_folder_is_no_input(words: list[str], verb: Verb, wanted: str, tmp_path: Path) -> None:
    right = tmp_path / "right"
    right.write_text("x")
    assert cli.main(command_line(words, verb, wanted, str(tmp_path), str(right))) == cli.MISUSE


@pytest.mark.parametrize(("words", "verb", "wanted"), cases(WRITTEN))
def test_what_cannot_be_written_is_told_before_anything_is_done(
    words: list[str], verb: Verb, wanted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = str(tmp_path / "no" / "such" / "place")
    assert cli.main(command_line(words, verb, wanted, nowhere, "")) == cli.MISUSE
    assert nowhere in capsys.readouterr().err


def test_a_file_to_write_may_exist_and_may_be_no_folder(tmp_path: Path) -> None:
    assert file_to_write(str(tmp_path / "new")) == str(tmp_path / "new")
    (tmp_path / "old").write_text("")
    assert file_to_write(str(tmp_path / "old"))
    with pytest.raises(ArgumentInvalid, match="stands for standard input"):
        file_to_write("-")
    with pytest.raises(ArgumentInvalid, match="it is a folder"):
        file_to_write(str(tmp_path))


class Piped:
    """Standard input with bytes in it."""

    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Piped(b"\xef\xbb\xbfterms"))
    assert file_text("-") == "terms"
    monkeypatch.setattr("sys.stdin", Piped(b"agreement,at,quantity\r\na-1,2026-01-05T10:00:00Z,3\r\n"))
    rows = read_usage_csv(file_to_read("-"))
    assert [(row.agreement, row.quantity) for row in rows] == [("a-1", 3)]


def test_text_of_another_encoding_is_misuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.terms"
    path.write_bytes("Gebühr".encode("latin-1"))
    assert cli.main(["terms", "publish", str(path)]) == cli.MISUSE
    assert "is not UTF-8 text" in capsys.readouterr().err


def test_output_on_a_full_disk_is_misuse() -> None:
    """1 would mean refused."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "licet.cli", "explain", "NO_TITLE"],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert done.returncode == cli.MISUSE
    assert done.stderr == b"licet: the output cannot be written: No space left on device.\n"

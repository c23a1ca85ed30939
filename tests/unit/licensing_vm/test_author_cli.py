"""`python -m licensing_vm`: exit codes, the last line, json, and nothing but what was asked."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from licensing_vm.cli.author import main

ROOT = Path(__file__).parents[3]
FLAT = ROOT / "examples/terms/stock.image_flat.terms"
SALE = ROOT / "examples/terms/ai.style_sale.terms"
BAD = ROOT / "tests/spec/terms_rejected/later_recoup.terms"


def test_fine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(FLAT), str(SALE)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "stock.image_flat 1.0.0 is fine (2 tests passed)" in lines[0]
    assert lines[-1].startswith("next: python -m licensing_vm explain ")


def test_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(FLAT), str(BAD)]) == 1
    out = capsys.readouterr().out
    assert "error TERMS_LATER_VERSION: `recoup` belongs to a later language version" in out
    assert "^^^^^^" in out
    assert out.splitlines()[-1].startswith("next: correct ")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["check"],
        ["judge", "x.terms"],
        ["check", "--loud", str(FLAT)],
        ["check", "no/such/file.terms"],
        ["check", "."],
    ],
)
def test_misuse(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err


def test_help_is_fine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "explain" in capsys.readouterr().out


def test_no_utf8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.terms").write_bytes(b"template \xff")
    assert main(["check", str(tmp_path / "x.terms")]) == 2
    assert "is no UTF-8 text" in capsys.readouterr().err


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "-o", "json", str(FLAT), str(BAD)]) == 1
    fine, bad = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert fine["ok"]
    assert (fine["name"], fine["version"], len(fine["program_hash"])) == ("stock.image_flat", "1.0.0", 64)
    assert not bad["ok"]
    (found,) = bad["diagnostics"]
    assert (found["code"], found["line"], found["severity"]) == ("TERMS_LATER_VERSION", 25, "error")


def test_test(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", str(SALE)]) == 0
    assert "pass  three ancestors" in capsys.readouterr().out
    assert main(["test", "-o", "json", str(SALE)]) == 0
    (result,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [test["passed"] for test in result["tests"]] == [True, True, True]


def test_failing_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.terms"
    path.write_text(FLAT.read_text(encoding="utf-8").replace("EUR 69.99", "EUR 70.00"), encoding="utf-8")
    assert main(["test", str(path)]) == 1
    out = capsys.readouterr().out
    assert "FAIL  odd cent" in out
    assert "paid to licensor: EUR 69.99, expected EUR 70.00" in out
    assert "1 of 2 tests passed" in out


def test_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    formatted = FLAT.read_text(encoding="utf-8")
    path = tmp_path / "x.terms"
    path.write_text(formatted.replace("\n", "   \n").replace("  given", "given"), encoding="utf-8")
    assert main(["format", str(path)]) == 0
    assert capsys.readouterr().out == formatted
    assert main(["format", "--check", str(path)]) == 1
    assert main(["format", "--write", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == formatted
    assert main(["format", "--check", str(path)]) == 0


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(SALE)]) == 0
    out = capsys.readouterr().out
    assert "licensee pays fee: each ancestor its relative weight, counted once, together at most 40%" in out
    assert "the rest to owner" in out
    assert out.splitlines()[-1].startswith("next: python -m licensing_vm test ")


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(FLAT.read_bytes())))
    assert main(["check", "-"]) == 0
    assert "is fine" in capsys.readouterr().out


def test_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "licensing_vm", "check", str(BAD)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "TERMS_LATER_VERSION" in done.stdout
    assert not done.stderr


def untidy(path: Path) -> str:
    text = FLAT.read_text().replace("  ", "   ")
    path.write_text(text)
    return text


def test_a_file_that_cannot_be_written_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A full disk costs nobody his work: one sentence, exit code 2, and the file as it was."""
    path = tmp_path / "x.terms"
    before = untidy(path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("licensing_vm.cli.author.os.fsync", full)
    assert main(["format", "-w", str(path)]) == 2
    said = capsys.readouterr()
    assert "cannot be written (No space left on device); it is as it was." in said.err
    assert "formatted" not in said.out
    assert path.read_text() == before
    assert [each.name for each in tmp_path.iterdir()] == ["x.terms"]


def test_a_file_that_may_not_be_written_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.terms"
    before = untidy(path)
    monkeypatch.setattr("licensing_vm.cli.author.os.access", lambda *_: False)
    assert main(["format", "-w", str(path)]) == 2
    assert "cannot be written (Permission denied)" in capsys.readouterr().err
    assert path.read_text() == before


def test_writing_keeps_mode_and_link(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, link = tmp_path / "x.terms", tmp_path / "link.terms"
    before = untidy(path)
    path.chmod(0o640)
    link.symlink_to(path)
    assert main(["format", "-w", str(link)]) == 0
    assert link.is_symlink()
    assert path.read_text() != before
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link.terms", "x.terms"]
    assert main(["check", str(path)]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("output", "said", "code"),
    [("closed", b"", 0), ("/dev/full", b"the output cannot be written (No space", 2)],
)
@pytest.mark.parametrize("command", ["check", "explain"])
def test_output_that_nobody_takes_is_no_verdict(command: str, output: str, said: bytes, code: int) -> None:
    """1 means refused; a reader that has gone and a full disk say nothing about the terms."""
    call = [sys.executable, "-m", "licensing_vm", command, str(FLAT)]
    if output == "closed":
        reader, writer = os.pipe()
        os.close(reader)
    else:
        writer = os.open(output, os.O_WRONLY)
    try:
        done = subprocess.run(call, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False)
    finally:
        os.close(writer)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr
    assert done.stderr.startswith(said)
    assert bool(done.stderr) == bool(said)

"""`python -m licensing_vm`: exit codes, the last line, json, and nothing but what was asked."""

from __future__ import annotations

import io
import json
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

"""The Makefile: help first, every target phony and documented, and every helper script sound."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.repo import tree

TEXT = tree.read(Path("Makefile"))
TARGETS = re.findall(r"^([a-z][a-z-]*):(?!=)", TEXT, re.M)
DOCUMENTED = dict(re.findall(r"^([a-z][a-z-]*):.*?## (.+)$", TEXT, re.M))
PHONY = re.findall(r"[a-z-]+", "".join(re.findall(r"^\.PHONY:((?:.*\\\n)*.*)$", TEXT, re.M)))
REQUIRED = [
    "help",
    "setup",
    "demo",
    "test",
    "check",
    "bench",
    "sim",
    "proto",
    "lock",
    "docker-test",
    "fmt",
    "clean",
]
# Steps of other targets, not tasks.
INTERNAL = {"proto-out", "docker-engine"}


def test_help_is_the_first_target() -> None:
    assert TARGETS[0] == "help"


def test_every_task_is_there() -> None:
    assert set(REQUIRED) <= set(TARGETS)


def test_every_target_is_phony_and_documented() -> None:
    assert sorted(PHONY) == sorted(TARGETS)
    assert set(TARGETS) - set(DOCUMENTED) == INTERNAL


def test_help_lists_every_target() -> None:
    shown = subprocess.run(["make", "help"], cwd=tree.ROOT, capture_output=True, text=True, check=True).stdout
    assert [line.split()[1] for line in shown.splitlines()] == list(DOCUMENTED)


def test_hacking_names_every_task() -> None:
    guide = tree.read(Path("docs/HACKING.md"))
    missing = [target for target in DOCUMENTED if f"make {target}" not in guide]
    assert not missing


def test_every_module_that_a_target_runs_is_there() -> None:
    modules = re.findall(r"\$\(PY\) -m ((?:tests|examples|node)[\w.]*)", TEXT)
    assert modules
    present = set(tree.files())
    for module in modules:
        base = Path(*module.split("."))
        assert {base.with_suffix(".py"), base / "__main__.py"} & present, f"no module {module}"


def test_check_contains_the_tests() -> None:
    needs = re.search(r"^check: ([a-z -]+) ##", TEXT, re.M)
    assert needs
    assert {"format", "lint", "types", "imports", "proto-check", "test"} <= set(needs[1].split())
    assert "make check" in tree.read(Path(".ci/run"))


@pytest.mark.parametrize("script", [".ci/run", "requirements/install.sh"])
def test_scripts_stop_at_the_first_error(script: str) -> None:
    text = tree.read(Path(script))
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in text
    assert os.access(tree.ROOT / script, os.X_OK)
    subprocess.run(["bash", "-n", str(tree.ROOT / script)], check=True)


def install_with(path: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Runs the installer in a copy of its folder, with only `path` and the basic tools to be found."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in [
        "bash",
        "cat",
        "cut",
        "dirname",
        "basename",
        "flock",
        "grep",
        "mkdir",
        "pwd",
        "rm",
        "sha256sum",
    ]:
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    shutil.copytree(tree.ROOT / "requirements", tmp_path / "requirements")
    return subprocess.run(
        [shutil.which("bash") or "bash", "requirements/install.sh", ".venv", "requirements/runtime.txt"],
        cwd=tmp_path,
        env={"PATH": f"{path}:{tools}", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def interpreter(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_setup_without_a_fitting_python_names_the_package(tmp_path: Path) -> None:
    # A shim that fails, and a Python too new to fit: both are passed over.
    interpreter(tmp_path / "bin", "python3.11", "echo no such version >&2; exit 127")
    interpreter(tmp_path / "bin", "python3", "cat >/dev/null")
    done = install_with(tmp_path / "bin", tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "setup: no Python 3.11 or 3.12 was found: install the package python3.11-venv or python3.12-venv.\n"
    )
    assert not (tmp_path / ".venv").exists()


def test_setup_without_the_venv_module_names_the_package(tmp_path: Path) -> None:
    interpreter(
        tmp_path / "bin", "python3", 'if [ "$1" = -c ]; then echo 3.12; else cat >/dev/null; echo no-venv; fi'
    )
    done = install_with(tmp_path / "bin", tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        f"setup: {tmp_path}/bin/python3 has no complete venv module: install the package python3.12-venv.\n"
    )

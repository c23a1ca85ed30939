"""The README's tour is executed as printed, and its output compared.

Blocks of ```console hold `$ command` lines and the output that follows each. Blocks of ```console devnet
start the network (`$`), or type at it (`> `). What differs between runs is written in angle brackets:
`<n>` stands for digits, `<hex>` for hex digits, any other name for a piece of text without line breaks.
The tour's folder and ports are moved, so that a network which runs already is not disturbed.
"""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 60.0
TOUR_LINES_MAX = 80
_MASKS = {"n": r"\d+", "hex": r"[0-9a-f]+"}

Step = tuple[str, str, list[str]]  # where it is typed, what is typed, what must come


def steps(text: str) -> list[Step]:
    """Every command of the page with its expected output."""
    found: list[Step] = []
    for info, body in re.findall(r"^```console ?(\w*)\n(.*?)^```$", text, flags=re.M | re.S):
        for line in body.splitlines():
            if line.startswith(("$ ", "> ")):
                where = "typed" if line.startswith("> ") else info or "shell"
                found.append((where, line[2:], []))
            else:
                assert found, "a block begins with output"
                found[-1][2].append(line)
    return found


def pattern(line: str) -> re.Pattern[str]:
    """The regular expression of an expected line. Columns may be wider or narrower by a mask."""
    parts = re.split(r"<(\w+)>", line)
    out = "".join(
        re.sub(r"(\\ ){2,}", " +", re.escape(part)) if at % 2 == 0 else _MASKS.get(part, r"[^\n]+?")
        for at, part in enumerate(parts)
    )
    return re.compile(out)


def assert_output(command: str, expected: list[str], got: list[str]) -> None:
    assert len(got) == len(expected), f"$ {command}\n" + "\n".join(got)
    for want, line in zip(expected, got, strict=True):
        assert pattern(want).fullmatch(line), f"$ {command}\nexpected: {want}\ngot:      {line}"


class Devnet:
    """The network of the tour, typed at through a pipe."""

    def __init__(self, command: str) -> None:
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {command}"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def wait_for(self, line: str) -> None:
        """Wait until a line like `line` comes."""
        want, seen = pattern(line), []
        deadline = time.monotonic() + LIMIT_S
        while (left := deadline - time.monotonic()) > 0:
            try:
                got = self.lines.get(timeout=left)
            except queue.Empty:
                break
            seen.append(got)
            if want.fullmatch(got):
                return
        raise AssertionError(f"never came: {line}\n" + "\n".join(seen))

    def type(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(LIMIT_S)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


@pytest.fixture
def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_tour_is_short(readme: str) -> None:
    begin, end = readme.index("## Five minutes"), readme.index("## The SDK in ten lines")
    assert readme[begin:end].count("\n") <= TOUR_LINES_MAX


@pytest.fixture
def networks() -> Iterator[list[Devnet]]:
    running: list[Devnet] = []
    yield running
    for one in running:
        one.close()


@pytest.mark.cluster
@pytest.mark.timeout(240)
def test_tour(readme: str, tmp_path: Path, networks: list[Devnet]) -> None:
    folder = tmp_path / "devnet"
    exports: dict[str, str] = {}
    for where, command, expected in steps(readme):
        if command == "make setup":  # these tests run in what it made
            continue
        real = command.replace("build/devnet", str(folder)).replace(
            "node devnet", f"node devnet --port 0 --data {folder}"
        )
        if where == "devnet":
            networks.append(Devnet(real.replace(".venv/bin/python", sys.executable)))
            for line in expected:
                networks[-1].wait_for(line)
            networks[-1].wait_for("world stock: <n> works, <rest>")
        elif where == "typed":
            networks[-1].type(command)
            for line in expected:
                networks[-1].wait_for(line)
        elif command.startswith("export "):
            for name, value in (word.split("=", 1) for word in real.split()[1:]):
                exports[name] = value.replace("$PWD", str(ROOT)).replace("$PATH", os.environ["PATH"])
        else:
            exports["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
            done = subprocess.run(
                ["/bin/bash", "-c", real],
                cwd=tmp_path,
                env={**os.environ, **exports},
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # the hint of the next command
                text=True,
                timeout=LIMIT_S,
                check=False,
            )
            assert_output(command, expected, done.stdout.splitlines())
    assert networks[-1].process.wait(LIMIT_S) == 0, "quit ends the network cleanly"


@pytest.mark.cluster
@pytest.mark.timeout(120)
def test_ten_lines_of_sdk(readme: str, tmp_path: Path, networks: list[Devnet]) -> None:
    folder = tmp_path / "devnet"
    networks.append(Devnet(f"{sys.executable} -m node devnet --port 0 --data {folder} --with stock"))
    networks[-1].wait_for("world stock: <n> works, <rest>")
    target = re.search(r'target = "([^,"]+)', (folder / "licet.toml").read_text(encoding="utf-8"))
    assert target is not None
    program = re.search(r"^```python\n(.*?)^```$", readme, flags=re.M | re.S)
    assert program is not None
    assert program[1].strip().count("\n") <= 12
    source = program[1].replace("127.0.0.1:7400", target[1]).replace("build/devnet", str(folder))
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "images-1 ai.style_sale 1.0.0" in done.stdout

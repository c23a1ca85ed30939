"""A real network for tests: `with licet.testing.Network() as network: client = network.client("studio")`.

Starts `python -m node devnet` as a child process from a clone of the repository, named by `node_root=`
or LICET_NODE_ROOT; the client library alone holds no node. The clock is manual by default, so that a
quarter passes in milliseconds. The child is always ended: on leaving the block, on garbage collection,
and (the devnet ends with its standard input) where this process dies.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import weakref
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from licet.client import Client
from licet.connection import ClientOptions
from licet.crypto import SigningKey
from licet.errors import Fault, LicetError
from licet.genesis import Genesis, parse_genesis
from licet.retry import RetryPolicy
from licet.sync_client import SyncClient

START_S: Final = 60.0
ANSWER_S: Final = 60.0
STOP_S: Final = 20.0
_MISSING: Final = re.compile(r"^ModuleNotFoundError: No module named '([^']+)'", re.MULTILINE)
# A node that was just started is waited for: here the address is never what is wrong.
PATIENT: Final = ClientOptions(connect=RetryPolicy())


class NetworkFailed(LicetError):
    """A network that did not come up, or did not do what it was told."""

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(code, message, fault=Fault.MACHINE, remedy=remedy)


def _root(node_root: str | os.PathLike[str] | None) -> Path:
    named = node_root or os.environ.get("LICET_NODE_ROOT", "")
    if not named:
        raise NetworkFailed(
            "NODE_ROOT_MISSING",
            "No folder is named from which a node can be started.",
            "Give node_root=…, or set LICET_NODE_ROOT to a clone of the repository.",
        )
    root = Path(named).resolve()
    if not (root / "node" / "__main__.py").is_file():
        raise NetworkFailed(
            "NODE_ROOT_MISSING",
            f"{root} holds no node: there is no node/__main__.py in it.",
            "Name a clone of the repository.",
        )
    return root


def _interpreter(root: Path, named: str | os.PathLike[str] | None) -> str:
    """What runs the nodes: as named; else the clone's environment; else what runs this program."""
    if named is not None:
        return os.fspath(named)
    own = root / ".venv" / "bin" / "python"
    return str(own) if own.is_file() else sys.executable


def _end(process: subprocess.Popen[str], folder: Path | None) -> None:
    """End the child, and remove its folder where it is ours. Runs once, whoever comes first."""
    if process.stdin is not None and not process.stdin.closed:
        with contextlib.suppress(OSError):
            process.stdin.close()  # a devnet ends with its input
    try:
        process.wait(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        process.terminate()
        try:
            process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


class Network:
    """A development network of one machine, for as long as this object lives."""

    def __init__(
        self,
        *,
        node_root: str | os.PathLike[str] | None = None,
        nodes: int = 4,
        manual_clock: bool = True,
        world: str | None = None,
        folder: str | os.PathLike[str] | None = None,
        python: str | os.PathLike[str] | None = None,
    ) -> None:
        """`folder` keeps the network's data after its end; else they stand in a temporary folder.

        `python` runs the nodes: without it the clone's own environment where it has one (`make setup`).
        """
        root = _root(node_root)
        interpreter = _interpreter(root, python)
        place = Path(tempfile.mkdtemp(prefix="licet-")) if folder is None else Path(folder).resolve()
        place.mkdir(parents=True, exist_ok=True)
        ready = place / "ready.json"
        ready.unlink(missing_ok=True)
        command = [interpreter, "-m", "node", "devnet", "--port", "0", "--nodes", str(nodes), "--quiet"]
        command += ["--data", str(place / "network"), "--ready-file", str(ready)]
        command += ["--clock", "manual" if manual_clock else "real"]
        command += ["--with", world] if world else []
        self._log = place / "devnet.log"
        try:
            with self._log.open("w") as log:
                self._process = subprocess.Popen(
                    command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
                )
        except OSError as why:
            if folder is None:
                shutil.rmtree(place, ignore_errors=True)
            raise NetworkFailed(
                "PYTHON_MISSING",
                f"{interpreter} cannot be run: {why.strerror}.",
                "Give python=… the interpreter of an environment that holds what a node needs.",
            ) from None
        self._command = interpreter
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, name="licet-devnet", daemon=True)
        self._reader.start()
        self._finish = weakref.finalize(self, _end, self._process, place if folder is None else None)
        self._typing = threading.Lock()
        try:
            self.facts: dict[str, Any] = self._await_ready(ready)
        except BaseException:
            self.close()
            raise

    def _read(self) -> None:
        output = self._process.stdout
        assert output is not None
        with contextlib.suppress(ValueError):  # closed while it was read: the network has ended
            for line in output:
                self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def _await_ready(self, ready: Path) -> dict[str, Any]:
        """The ready file appears whole, by a rename, when the network has finalised."""
        waiting = threading.Event()
        waited = 0.0
        while not ready.exists():
            if self._process.poll() is not None or waited >= START_S:
                self._lines.put(None)
                raise self._not_up(self._log.read_text()[-2000:].strip())
            waiting.wait(0.02)
            waited += 0.02
        facts = json.loads(ready.read_text())
        assert isinstance(facts, dict)
        return facts

    def _not_up(self, said: str) -> NetworkFailed:
        missing = _MISSING.search(said)
        if missing is not None:
            return NetworkFailed(
                "NETWORK_FAILED",
                f"{self._command} cannot start a node: it has no package {missing[1]!r}.",
                "Run `make setup-runtime` in the clone, or give python=… an environment that has it.",
            )
        said = said or "it said nothing"
        return NetworkFailed("NETWORK_FAILED", f"The network did not come up: {said}", "Fix that first.")

    # --- what it is

    @property
    def targets(self) -> list[str]:
        """Addresses of the nodes' APIs, in the order of their names."""
        return [str(node["api"]) for node in self.facts["nodes"]]

    @property
    def genesis(self) -> Genesis:
        """The network's genesis, read from its file."""
        return parse_genesis(Path(self.facts["genesis"]).read_text(encoding="utf-8"))

    @property
    def genesis_file(self) -> Path:
        """Where genesis.json stands."""
        return Path(self.facts["genesis"])

    def key(self, party: str) -> SigningKey:
        """The development key of a party that the network began with."""
        for known in self.facts["parties"].values():
            if known["party"] == party:
                return SigningKey(bytes.fromhex(known["seed"]))
        raise KeyError(f"the network began without {party!r}")

    def _target(self, node: int | None) -> list[str]:
        if node is None:
            return self.targets
        return [self.targets[node - 1]]

    def client(
        self, party: str | None = None, *, node: int | None = None, options: ClientOptions | None = None
    ) -> SyncClient:
        """A synchronous client; of one node (from 1), else of all with failover."""
        return SyncClient.connect(
            self._target(node),
            sender=party,
            key=None if party is None else self.key(party),
            genesis=self.genesis,
            options=options or PATIENT,
        )

    async def connect(
        self, party: str | None = None, *, node: int | None = None, options: ClientOptions | None = None
    ) -> Client:
        """An asynchronous client."""
        return await Client.connect(
            self._target(node),
            sender=party,
            key=None if party is None else self.key(party),
            genesis=self.genesis,
            options=options or PATIENT,
        )

    # --- what is done to it

    def _type(self, command: str, *, expect: str) -> str:
        """Type a command and return its answer; lines that report other things pass by."""
        with self._typing:
            assert self._process.stdin is not None
            try:
                self._process.stdin.write(command + "\n")
                self._process.stdin.flush()
            except (OSError, ValueError):
                raise self._gone(command) from None
            while True:
                try:
                    line = self._lines.get(timeout=ANSWER_S)
                except queue.Empty:
                    raise NetworkFailed(
                        "NETWORK_FAILED",
                        f"The network did not answer {command!r} in {ANSWER_S:g} s.",
                        f"Read {self._log}.",
                    ) from None
                if line is None:
                    raise self._gone(command)
                if line.startswith(expect):
                    return line
                if line.startswith(("refused", "there is no", "'")) or "takes other arguments" in line:
                    raise NetworkFailed("NETWORK_FAILED", f"{command!r}: {line}", "Correct the command.")

    def _gone(self, command: str) -> NetworkFailed:
        return NetworkFailed("NETWORK_FAILED", f"The network ended before {command!r}.", f"Read {self._log}.")

    def advance(
        self,
        *,
        years: int = 0,
        months: int = 0,
        days: int = 0,
        hours: int = 0,
        minutes: int = 0,
        seconds: int = 0,
    ) -> str:
        """Move the network's clock; returns when a block with the new time is final."""
        answer = ""
        steps = ((years, "y"), (months, "mo"), (days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s"))
        for count, unit in steps:
            if count:
                answer = self._type(f"advance {count}{unit}", expect="clock:")
        return answer

    def advance_to(self, time: str) -> str:
        """Move the network's clock to a time, such as "2026-02-15"."""
        return self._type(f"advance {time}", expect="clock:")

    def kill(self, node: int) -> str:
        """SIGKILL a node (from 1); returns what that means for the network."""
        return self._type(f"kill n{node}", expect=f"n{node} ")

    def start(self, node: int) -> str:
        """Start a killed node; it catches up by itself."""
        return self._type(f"start n{node}", expect=f"n{node} ")

    def pause(self, node: int) -> str:
        """Make a node hang: its connections stay open."""
        return self._type(f"pause n{node}", expect=f"n{node} ")

    def resume(self, node: int) -> str:
        """Let a paused node go on."""
        return self._type(f"resume n{node}", expect=f"n{node} ")

    def close(self) -> None:
        """End the network and remove its folder. Safe to call twice."""
        self._finish()
        if threading.current_thread() is not self._reader:
            self._reader.join(timeout=STOP_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

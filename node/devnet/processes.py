"""The node processes of a devnet: start, kill, pause, resume, and what became of each.

A node runs in a session of its own, so that ^C at the terminal reaches the supervisor alone, and dies
with the supervisor, however that ends. Its log goes to `node.log` in its folder. At the network's start
the nodes are forked from the supervisor, which has everything imported and no thread and no loop yet:
that saves each of them half a second. A node that is started later is a fresh interpreter.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Final

from licet.errors import LicetError

from node.devnet.network import NodeFolder

ROOT: Final = Path(__file__).resolve().parents[2]
STOP_S: Final = 8.0


class Condition(Enum):
    UP = "running"
    PAUSED = "paused"
    DOWN = "down"


class NodeProcess:
    """One node, whether it runs or not. `adopt` or `start` begins it; both are watched alike."""

    def __init__(self, place: NodeFolder, ended: Callable[[NodeProcess, int], None]) -> None:
        self.place = place
        self._ended = ended
        self.pid: int | None = None
        self._watch: asyncio.Task[None] | None = None
        self._log_from = 0  # where the log of the present process begins
        self._expected = False  # its end was asked for
        self.paused = False

    @property
    def name(self) -> str:
        return self.place.name

    @property
    def condition(self) -> Condition:
        if self.pid is None:
            return Condition.DOWN
        return Condition.PAUSED if self.paused else Condition.UP

    def start(self) -> None:
        """Start a fresh process; it is ready when its API answers."""
        command = [sys.executable, "-m", "node", "start", "--config", str(self.place.config)]
        with self.place.log.open("ab") as log:
            self._log_from = log.tell()
            process = subprocess.Popen(
                [*command, "--die-with-parent", str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                start_new_session=True,
                env=_environment(),
            )
        process.returncode = 0  # we wait for it ourselves: Popen must not
        self.adopt(process.pid)

    def adopt(self, pid: int) -> None:
        """Watch a child process that was begun for this node."""
        assert self.pid is None
        self.pid = pid
        self._expected = False
        self.paused = False
        self._watch = asyncio.create_task(self._wait(pid))

    async def _wait(self, pid: int) -> None:
        code = await _exit_code(pid)
        self.pid = None
        self.paused = False
        if not self._expected:
            self._ended(self, code)

    def signal(self, number: int) -> None:
        if self.pid is not None:
            os.kill(self.pid, number)

    async def kill(self) -> None:
        """SIGKILL, as a machine that loses power."""
        self._expected = True
        self.signal(signal.SIGKILL)
        await self._gone()

    def pause(self) -> None:
        """SIGSTOP, as a machine that hangs."""
        self.signal(signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        self.signal(signal.SIGCONT)
        self.paused = False

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL for one that does not end in time."""
        self._expected = True
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._gone(), STOP_S)
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self._gone()

    async def _gone(self) -> None:
        if self._watch is not None:
            await asyncio.shield(self._watch)

    def last_words(self) -> str:
        """The last line of its log; empty where the process that `start` began wrote none."""
        try:
            with self.place.log.open("rb") as file:
                file.seek(max(self._log_from, os.fstat(file.fileno()).st_size - 2000))
                lines = file.read().decode(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1] if lines else ""


def _environment() -> dict[str, str]:
    """The node's environment: ours without settings that would override its file."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LICET_")}


async def _exit_code(pid: int) -> int:
    """The exit code of a child once it ends; below zero for a signal."""
    if not hasattr(os, "pidfd_open"):  # not Linux
        return os.waitstatus_to_exitcode((await asyncio.to_thread(os.waitpid, pid, 0))[1])
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    handle = os.pidfd_open(pid)
    loop.add_reader(handle, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])  # noqa: ASYNC222 (it has ended)


def fork(place: NodeFolder) -> int:
    """Run a node in a forked child. Call it before any loop, thread or channel exists; returns the pid."""
    assert threading.active_count() == 1
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        _redirect(place.log)
        die_with_parent(parent)
        for name in [name for name in os.environ if name.startswith("LICET_")]:
            del os.environ[name]
        from node import app, config

        code = app.serve(config.load(place.config, os.environ))
    except LicetError as error:
        print(f"node: {error}", file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)  # nothing that the parent registered for its own end runs here


def _redirect(log: Path) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((null, 0), (out, 1), (out, 2)):
        os.dup2(source, target)
    os.close(null)
    os.close(out)


def die_with_parent(parent: int) -> None:
    """Ask the kernel for SIGTERM when the parent ends (Linux; elsewhere the supervisor's stop must do)."""
    if sys.platform != "linux":
        return
    import ctypes

    pr_set_pdeathsig = 1
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(0)  # it ended before the kernel knew

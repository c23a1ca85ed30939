"""The node processes of a devnet: start, kill, pause, resume, and what became of each.

A node runs in a session of its own, so that ^C at the terminal reaches the supervisor alone, and dies
with the supervisor (`--die-with-parent`), however that ends. Its log goes to `node.log` in its folder.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Final

from node.devnet.network import NodeFolder

ROOT: Final = Path(__file__).resolve().parents[2]
STOP_S: Final = 8.0


class Condition(Enum):
    UP = "up"
    PAUSED = "paused"
    DOWN = "down"


class NodeProcess:
    """One node, whether it runs or not."""

    def __init__(self, place: NodeFolder, ended: Callable[[NodeProcess, int], None]) -> None:
        self.place = place
        self._ended = ended
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._expected = False  # its end was asked for
        self.paused = False

    @property
    def name(self) -> str:
        return self.place.name

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def condition(self) -> Condition:
        if self._process is None:
            return Condition.DOWN
        return Condition.PAUSED if self.paused else Condition.UP

    async def start(self) -> None:
        """Start the process; it is ready when its API answers."""
        assert self._process is None
        self._expected = False
        self.paused = False
        with self.place.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "node",
                "start",
                "--config",
                str(self.place.config),
                "--die-with-parent",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                start_new_session=True,
                env=_environment(),
            )
        self._watch = asyncio.create_task(self._wait())

    async def _wait(self) -> None:
        assert self._process is not None
        code = await self._process.wait()
        self._process = None
        self.paused = False
        if not self._expected:
            self._ended(self, code)

    def signal(self, number: int) -> None:
        if self._process is not None:
            os.kill(self._process.pid, number)

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
        """The last line of its log."""
        try:
            with self.place.log.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 2000))
                lines = file.read().decode(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1] if lines else ""


def _environment() -> dict[str, str]:
    """The node's environment: ours without settings that would override its file."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LICET_")}


def die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent ends (Linux; elsewhere the supervisor's stop must do)."""
    if sys.platform != "linux":
        return
    import ctypes

    pr_set_pdeathsig = 1
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGTERM)
    if os.getppid() != parent or parent == 1:
        raise SystemExit(0)  # it ended before the kernel knew

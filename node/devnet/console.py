"""What a person sees of a devnet: a dozen aligned lines, then one line for each command typed at it."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from licet import __version__

from node.api.calls import CallFailed
from node.devnet.durations import target_ms, text_of
from node.devnet.processes import Condition
from node.devnet.profiles import FILE as PROFILES
from node.devnet.supervisor import Supervisor

PATIENCE_S: Final = 3.0  # for `advance`, which takes milliseconds where a quorum is up

HELP: Final = (
    "kill N | start N | pause N | resume N | status | advance 3mo | quit   (N is n1, n2, …; ^C ends it too)"
)


async def banner(supervisor: Supervisor, *, ready_file: Path | None, stays: bool) -> str:
    """The lines at the start, the next command last."""
    network = supervisor.network
    genesis = network.genesis
    nodes, parties = supervisor.nodes, [one["party"] for one in supervisor.facts()["parties"].values()]
    # The clock stands where the last final block left it, which on a network that was kept is not genesis.
    manual = genesis.parameters.manual_clock
    clock = "manual, at " + text_of(await supervisor.now_ms()) if manual else "real"
    first = nodes[0].place.ports
    final = supervisor.first_final_s
    lines = [
        (
            "licet devnet",
            f"{__version__}, chain {genesis.chain_id().hex()[:16]}…, {len(nodes)} nodes, dev keys",
        ),
        ("clients", "  ".join(str(node.place.ports.api) for node in nodes)),
        ("metrics", f"http://{first.metrics}/metrics"),
        ("clock", clock),
        ("genesis", _short(network.genesis_file)),
        ("data", _short(network.folder) + ("" if stays else "  (made anew at each start; --keep goes on)")),
        ("parties", ", ".join(parties) + "  (development keys)"),
    ]
    if ready_file is not None:
        lines.append(("ready file", _short(ready_file)))
    if final is not None:
        lines.append(("first final", f"{final:.2f} s after the command"))
    lines.append(("meaning", await supervisor.outlook()))
    profiles = _short(network.folder / PROFILES)
    lines.append(
        ("next", f"type `kill n2` or `help`; in another shell: LICET_CONFIG={profiles} licet status")
    )
    return "\n".join(f"{name:<13} {text}" for name, text in lines)


def _short(path: Path) -> str:
    """Relative to here where that is shorter."""
    absolute = path.absolute()
    try:
        return str(absolute.relative_to(Path.cwd()))
    except ValueError:
        return str(absolute)


class Console:
    """Reads commands from standard input until `quit`, its end, or a signal."""

    def __init__(self, supervisor: Supervisor, stopping: asyncio.Event) -> None:
        self._supervisor = supervisor
        self._stopping = stopping
        self._behind: set[asyncio.Task[str]] = set()
        self._advancing = False
        self._commands: dict[str, Callable[..., Awaitable[str]]] = {
            "kill": self._kill,
            "start": self._start,
            "pause": self._pause,
            "resume": self._resume,
            "status": self._status,
            "advance": self._advance,
            "help": self._help,
            "quit": self._quit,
            "exit": self._quit,
        }

    async def run(self) -> None:
        """Serve standard input. A terminal or pipe that ends ends the network; /dev/null does not."""
        mode = os.fstat(sys.stdin.fileno()).st_mode
        if not (sys.stdin.isatty() or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
            return
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            text = line.decode(errors="replace").strip()
            if text:
                await self.respond(text)
            if self._stopping.is_set():
                return
        self._stopping.set()

    async def respond(self, text: str) -> None:
        """Print the answer to one line. A clock that waits for a block lets the lines that follow pass."""
        if text.split(maxsplit=1)[0] != "advance":
            print(await self.answer(text), flush=True)
            return
        answering = asyncio.create_task(self.answer(text))
        done, _ = await asyncio.wait([answering], timeout=PATIENCE_S)
        if done:
            print(answering.result(), flush=True)
            return
        print(f"{text} waits for a final block; other commands are taken meanwhile", flush=True)
        self._behind.add(answering)
        answering.add_done_callback(self._late)

    def _late(self, answering: asyncio.Task[str]) -> None:
        self._behind.discard(answering)
        if not answering.cancelled():
            self._supervisor.notices.put_nowait(answering.result())

    def end(self) -> None:
        """Leave what still goes on."""
        for answering in self._behind:
            answering.cancel()

    async def notices(self) -> None:
        """Print what happens by itself."""
        while True:
            print(await self._supervisor.notices.get(), flush=True)

    async def answer(self, text: str) -> str:
        """One line for one command."""
        name, *arguments = text.split()
        command = self._commands.get(name)
        if command is None:
            return f"{name!r} is no command here: {HELP}"
        try:
            return await command(*arguments)
        except ValueError as error:
            return f"{error}."
        except TypeError:
            return f"{name} takes other arguments: {HELP}"
        except CallFailed as error:
            return f"refused: {error}"

    async def _kill(self, name: str) -> str:
        node = self._supervisor.node(name)
        if node.condition is Condition.DOWN:
            return f"{node.name} is down already; {await self._supervisor.outlook()}"
        await node.kill()
        return f"{node.name} killed; {await self._supervisor.outlook()}"

    async def _start(self, name: str) -> str:
        node = self._supervisor.node(name)
        if node.condition is not Condition.DOWN:
            return f"{node.name} is {node.condition.value} already; {await self._supervisor.outlook()}"
        try:
            return await self._supervisor.start_node(node)
        except OSError as error:  # its folder is gone, or no process can be had
            return f"{node.name} cannot be started: {error}; {await self._supervisor.outlook()}"

    async def _pause(self, name: str) -> str:
        node = self._supervisor.node(name)
        if node.condition is not Condition.UP:
            return f"{node.name} is {node.condition.value}; {await self._supervisor.outlook()}"
        node.pause()
        return f"{node.name} paused: it hangs, its connections stay open; {await self._supervisor.outlook()}"

    async def _resume(self, name: str) -> str:
        node = self._supervisor.node(name)
        if node.condition is not Condition.PAUSED:
            return f"{node.name} is {node.condition.value}; {await self._supervisor.outlook()}"
        node.resume()
        return f"{node.name} goes on; {await self._supervisor.outlook()}"

    async def _status(self) -> str:
        lines = []
        for node in self._supervisor.nodes:
            said = ""
            if node.condition is Condition.UP:
                said = ": " + await self._supervisor.sentence(node)
            lines.append(f"{node.name} {node.condition.value}{said}")
        return "\n".join(lines)

    async def _advance(self, by: str) -> str:
        if not self._supervisor.network.genesis.parameters.manual_clock:
            raise ValueError("the clock of this network is the world's: start it with --clock manual")
        if self._advancing:
            raise ValueError("the clock is being moved already: `status` says what the network waits for")
        self._advancing = True
        try:
            to_ms = target_ms(by, await self._supervisor.now_ms())
            now_ms = await self._supervisor.advance(to_ms)
        finally:
            self._advancing = False
        return f"clock: {text_of(now_ms)}; a block with that time is final"

    async def _help(self) -> str:
        return HELP

    async def _quit(self) -> str:
        self._stopping.set()
        return "stopping"

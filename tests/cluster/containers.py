"""Four validators in containers, for `tests.cluster.docker_scenario`: commands, waits, clients.

Image and compose file are those that an operator uses. Waits are for conditions, each with a limit. The
compose project has a name of its own, so that nothing else on the machine is touched.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from licet.client import Client
from licet.connection import ClientOptions
from licet.crypto import SigningKey
from licet.errors import LicetError
from licet.retry import RetryPolicy
from licet.statement import Status

from node.devnet.network import NetworkFolder

ROOT: Final = Path(__file__).resolve().parents[2]
COMPOSE_FILE: Final = ROOT / "docker" / "compose.yaml"
CONFIG: Final = "/etc/licet/node.toml"
PROJECT: Final = "licet-docker-test"
IMAGE: Final = os.environ.get("LICET_IMAGE", "licet-node:latest")
NODES: Final = ("n1", "n2", "n3", "n4")
LIMIT_S: Final = 90.0
POLL_S: Final = 0.1
LOG_LINES: Final = 30


class Failed(Exception):
    """Something that should hold does not."""


def insist(holds: object, what: str) -> None:
    """Raise `Failed` unless it holds; never an assert, which an option of Python removes."""
    if not holds:
        raise Failed(what)


async def run(
    *command: str, environment: Mapping[str, str] | None = None, may_fail: bool = False
) -> tuple[int, str]:
    """A command's exit code and all that it printed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), LIMIT_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise Failed(f"{' '.join(command)}: no end within {LIMIT_S:.0f} s") from None
    text = output.decode(errors="replace").strip()
    insist(may_fail or process.returncode == 0, f"{' '.join(command)}: {text}")
    return process.returncode or 0, text


async def until(
    look: Callable[[], Awaitable[Any]],
    right: Callable[[Any], bool],
    *,
    what: str,
    deadline_s: float = LIMIT_S,
) -> Any:
    """What `look` sees once it is right; its refusals are answers that are not right yet."""
    seen: Any = None
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        try:
            seen = await look()
            if right(seen):
                return seen
        except LicetError as error:
            seen = error
        await asyncio.sleep(POLL_S)
    raise Failed(f"{what}: not within {deadline_s:.0f} s; last seen: {seen}")


async def find_compose() -> tuple[str, ...] | None:
    """The compose plugin, or else the older program, or None."""
    if shutil.which("docker") and (await run("docker", "compose", "version", may_fail=True))[0] == 0:
        return ("docker", "compose")
    return ("docker-compose",) if shutil.which("docker-compose") else None


class Cluster:
    """The compose project: its containers by validator, and clients of their APIs."""

    def __init__(self, compose: Sequence[str], made: NetworkFolder, *, user: int, group: int) -> None:
        self._compose = tuple(compose)
        self._environment = {
            "LICET_IMAGE": IMAGE,
            "LICET_NETWORK": str(made.folder),
            "LICET_UID": str(user),
            "LICET_GID": str(group),
            **{f"LICET_PORT_{at}": str(node.ports.api.port) for at, node in enumerate(made.nodes, start=1)},
        }
        self._api = {node.name: f"127.0.0.1:{node.ports.api.port}" for node in made.nodes}
        self._user = f"{user}:{group}"
        self._ids: dict[str, str] = {}
        self.genesis_file = made.genesis_file

    async def compose(self, *arguments: str, may_fail: bool = False) -> tuple[int, str]:
        command = (*self._compose, "-f", str(COMPOSE_FILE), "-p", PROJECT, *arguments)
        return await run(*command, environment=self._environment, may_fail=may_fail)

    async def once(self, name: str, command: str) -> tuple[int, str]:
        """A node's command in a container of its own, with the validator's volume."""
        return await self.compose("run", "--rm", "-T", name, command, "--config", CONFIG, may_fail=True)

    async def find(self) -> None:
        """Learn the containers' ids; compose no longer lists a stopped one."""
        self._ids = {name: await self._find(name) for name in NODES}

    async def _find(self, name: str) -> str:
        _, text = await self.compose("ps", "-q", name)
        found = re.findall(r"^[0-9a-f]{12,64}$", text, re.M)  # whatever compose warns of besides
        insist(found, f"compose knows no container of {name}: {text}")
        return str(found[-1])

    def id(self, name: str) -> str:
        return self._ids[name]

    async def docker(self, verb: str, name: str, *arguments: str, may_fail: bool = False) -> tuple[int, str]:
        return await run("docker", verb, *arguments, self.id(name), may_fail=may_fail)

    async def inside(self, name: str, *command: str) -> tuple[int, str]:
        return await run("docker", "exec", self.id(name), *command, may_fail=True)

    async def inspect(self, name: str) -> dict[str, Any]:
        _, text = await self.docker("inspect", name)
        found: dict[str, Any] = json.loads(text)[0]
        return found

    async def health(self, name: str) -> str:
        return str((await self.inspect(name))["State"].get("Health", {}).get("Status", "none"))

    async def healthy(self, *names: str) -> dict[str, float]:
        """Wait for Docker to call each healthy: after how many seconds it did."""
        begin = time.monotonic()

        async def one(name: str) -> float:
            await until(
                lambda: self.health(name), lambda status: status == "healthy", what=f"{name} is healthy"
            )
            return time.monotonic() - begin

        return dict(zip(names, await asyncio.gather(*map(one, names)), strict=True))

    async def client(self, name: str, *, sender: str = "", key: SigningKey | None = None) -> Client:
        return await Client.connect(
            self._api[name],
            sender=sender or None,
            key=key,
            genesis=self.genesis_file,
            options=ClientOptions(connect=RetryPolicy()),  # a container that starts is waited for
        )

    async def status(self, name: str) -> Status:
        async with await self.client(name) as client:
            return await client.status()

    async def said(self, name: str, words: str) -> str:
        """Wait until a node's own sentence has these words."""
        status = await until(
            lambda: self.status(name), lambda seen: words in seen.sentence, what=f"{name} says {words!r}"
        )
        return str(status.sentence)

    async def agreed(self, *, at_least: int) -> list[Status]:
        """What each says once all four have executed one height, at least that, with one state root."""

        async def look() -> list[Status]:
            return list(await asyncio.gather(*map(self.status, NODES)))

        def right(seen: list[Status]) -> bool:
            places = {(one.executed_height, one.state_root) for one in seen}
            return len(places) == 1 and seen[0].executed_height >= at_least

        seen: list[Status] = await until(look, right, what=f"equal roots at height {at_least} or above")
        return seen

    async def with_volume(self, name: str, folder: Path, *command: str) -> tuple[int, str]:
        """A command of the image's, as the validator's user, with its volume and a folder of this machine."""
        mounts = ("-v", f"{PROJECT}_{name}:/volume", "-v", f"{folder}:/backup")
        how = ("--rm", "--network", "none", "--user", self._user, *mounts, "--entrypoint", command[0])
        return await run("docker", "run", *how, IMAGE, *command[1:], may_fail=True)

    async def remove(self) -> None:
        await self.compose("down", "-v", "--remove-orphans", may_fail=True)

    async def print_logs(self) -> None:
        for name, container in self._ids.items():
            _, text = await run("docker", "logs", "--tail", str(LOG_LINES), container, may_fail=True)
            print(f"\n--- {name}, the last {LOG_LINES} lines of its log\n{text}")

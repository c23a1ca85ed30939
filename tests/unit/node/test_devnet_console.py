"""What is typed at a devnet is answered, also while the clock waits for a block."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from licet.usage import format_time_ms

from node.api.admin_service import AdvanceNotFinal
from node.api.calls import CallFailed
from node.devnet import console as module
from node.devnet import network as network_folder
from node.devnet.console import Console
from node.devnet.supervisor import Supervisor

START_MS = 1_767_225_600_000
DAY_MS = 86_400_000


class Network:
    """A supervisor whose clock is answered when the test says so."""

    def __init__(self) -> None:
        self.network = SimpleNamespace(genesis=SimpleNamespace(parameters=SimpleNamespace(manual_clock=True)))
        self.notices: asyncio.Queue[str] = asyncio.Queue()
        self.final = asyncio.Event()
        self.nodes: list[Any] = []

    async def now_ms(self) -> int:
        return START_MS

    async def advance(self, to_ms: int) -> int:
        await self.final.wait()
        return to_ms


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def console(network: Network) -> Console:
    typed: Any = network
    return Console(typed, asyncio.Event())


async def test_other_commands_are_taken_while_the_clock_waits(
    network: Network, console: Console, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.01)
    await console.respond("advance 1d")
    await console.respond("help")
    await console.respond("advance 2d")
    waits, helped, again = capsys.readouterr().out.splitlines()
    assert waits.startswith("advance 1d waits for a final block")
    assert helped.startswith("kill N")
    assert again.startswith("the clock is being moved already")
    network.final.set()
    assert await asyncio.wait_for(network.notices.get(), 5) == (
        "clock: 2026-01-02 00:00:00 UTC; a block with that time is final"
    )
    await console.respond("advance 2d")
    assert capsys.readouterr().out.startswith("clock: 2026-01-03")


async def test_what_still_waits_at_the_end_is_left(
    network: Network, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.01)
    await console.respond("advance 1d")
    (waiting,) = console._behind
    console.end()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    assert network.notices.empty()


async def test_without_a_quorum_the_clock_is_not_moved() -> None:
    supervisor: Any = SimpleNamespace(
        _taking_part=lambda: _said({"n1": "", "n2": "", "n3": "does not answer yet"}),
        _validators=SimpleNamespace(n=4, quorum=3),
    )
    with pytest.raises(CallFailed, match=r"2 of 4 up: no progress until 1 more is up.*was not moved"):
        await Supervisor.advance(supervisor, START_MS)


async def _said(words: dict[str, str]) -> dict[str, str]:
    return words


async def test_a_network_that_was_kept_starts_at_the_time_of_its_last_block(tmp_path: Path) -> None:
    made = network_folder.create(
        tmp_path / "net",
        name="test",
        nodes=1,
        ports=network_folder.pick_ports(1, 0),
        dev=True,
        manual_clock=True,
        parties=(),
    )
    supervisor = Supervisor(made)

    async def later() -> int:
        return START_MS + 90 * DAY_MS

    async def outlook() -> str:
        return "this node orders alone"

    supervisor.now_ms, supervisor.outlook = later, outlook  # type: ignore[method-assign]
    lines = (await module.banner(supervisor, ready_file=None, stays=True)).splitlines()
    assert "clock         manual, at 2026-04-01 00:00:00 UTC" in lines


def test_a_clock_that_waits_for_a_block_is_told_in_times() -> None:
    told = str(AdvanceNotFinal(now_ms=START_MS + DAY_MS, final_ms=START_MS))
    assert format_time_ms(START_MS + DAY_MS) in told
    assert format_time_ms(START_MS) in told
    assert str(START_MS) not in told

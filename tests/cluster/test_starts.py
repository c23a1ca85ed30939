"""What `start` answers at a devnet's console where a node does not come up, with real processes."""

from __future__ import annotations

import shutil
import signal
import sys
from pathlib import Path

import pytest

from node.devnet import network
from node.devnet.processes import Condition, NodeProcess
from node.devnet.supervisor import Supervisor
from tests.cluster.network import Devnet

pytestmark = pytest.mark.cluster

MEANING = "what it means"


class Alone(Supervisor):
    """A supervisor whose node answers as soon as it runs, and may end while the others are asked."""

    ends_meanwhile: NodeProcess | None = None

    async def _first_answer(self, node: NodeProcess) -> None:
        assert node.condition is Condition.UP

    async def outlook(self) -> str:
        ending, self.ends_meanwhile = self.ends_meanwhile, None
        if ending is not None:
            ending.signal(signal.SIGTERM)
            await ending._gone()
        return MEANING


@pytest.fixture
def made(tmp_path: Path) -> network.NetworkFolder:
    return network.create(
        tmp_path / "net",
        name="test",
        nodes=1,
        ports=network.pick_ports(1, 0),
        dev=True,
        parties=network.demo_parties(),
    )


def _program(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """What runs in place of the node."""
    file = folder / "program"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(file))


async def test_a_node_that_ends_at_once_is_told_in_the_answer_alone(made: network.NetworkFolder) -> None:
    supervisor = Supervisor(made)  # nobody has run init
    said = await supervisor.start_node(supervisor.nodes[0])
    assert said.startswith("n1 ended by itself (code 1): node: ")
    assert "was not made by init" in said
    assert "0 of 1 up" in said
    assert supervisor.notices.empty()


async def test_a_node_that_ends_while_the_others_are_asked(
    made: network.NetworkFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = Alone(made)
    node = supervisor.ends_meanwhile = supervisor.nodes[0]
    _program(tmp_path, monkeypatch, "exec sleep 600")
    assert await supervisor.start_node(node) == (
        f"n1 ended by itself (code -15): its log says nothing; {MEANING}"
    )
    assert supervisor.notices.empty()
    await supervisor.start_node(node)
    node.signal(signal.SIGTERM)  # and later it is a notice again
    assert (await supervisor.notices.get()).startswith("n1 ended by itself (code -15)")


async def test_words_of_an_earlier_run_are_not_its_last(
    made: network.NetworkFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = Supervisor(made)
    node = supervisor.nodes[0]
    node.place.log.write_text("node: what an earlier run said\n")
    _program(tmp_path, monkeypatch, "exit 7")
    assert "(code 7): its log says nothing; " in await supervisor.start_node(node)
    _program(tmp_path, monkeypatch, "echo 'node: why'; exit 7")
    assert "(code 7): node: why; " in await supervisor.start_node(node)


async def test_a_node_whose_folder_is_gone_and_the_console_goes_on(tmp_path: Path) -> None:
    async with Devnet(tmp_path) as net:
        await net.type("kill n4")
        folder = Path(net.node("n4")["config"]).parent
        aside = folder.with_name("aside")
        shutil.move(folder, aside)
        said = await net.type("start n4")
        assert said.startswith("n4 cannot be started: ")
        assert "No such file or directory" in said
        shutil.move(aside, folder)
        assert (await net.type("start n4")).startswith("n4 runs again")

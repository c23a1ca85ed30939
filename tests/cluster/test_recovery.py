"""What docs/operations/node.md promises after a loss: each way back, with real processes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cluster.network import Devnet, until

pytestmark = pytest.mark.cluster

ALL_UP = "4 of 4 up: progress continues"
ONE_DOWN = "3 of 4 up: progress continues; one more failure stops it"
FOLLOWS = "follows without voting: its signing record is missing"


async def _says(net: Devnet, name: str, words: str) -> None:
    async def look() -> str:
        return (await net.status(name)).sentence

    await until(look, lambda text: words in text, what=f"{name} says {words!r}")


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


async def test_lost_ledger_data_comes_back_from_the_peers_and_it_votes(tmp_path: Path) -> None:
    async with Devnet(tmp_path) as net:
        sent = await net.pay("n1", 30)
        data = Path(net.node("n4")["data"])
        await net.type("kill n4")
        sent += await net.pay("n1", 10)
        shutil.rmtree(data / "ledger")
        said = await net.type("start n4")
        assert said.startswith("n4 ended by itself (code 1): node: ")
        assert "was acknowledged as durable, but the disk holds only height -1" in said
        assert said.endswith(f"; {ONE_DOWN}")
        file = Path(net.node("n4")["config"])
        _replace(file, "# accept_loss = false", "accept_loss = true")
        assert (await net.type("start n4")).startswith("n4 runs again"), "its end was told once"
        await net.agreed(net.names, at_least=2)
        await _says(net, "n1", ALL_UP)
        _replace(file, "accept_loss = true", "# accept_loss = false")
        await net.type("kill n4")  # and again without the permission
        await net.type("start n4")
        await net.agreed(net.names, at_least=2)
        assert await net.has("n4", sent)
        await net.type("kill n3")  # so that n4's vote is needed
        assert await net.pay("n1", 3)


async def test_with_the_signing_record_alone_a_validator_is_whole_again(tmp_path: Path) -> None:
    async with Devnet(tmp_path) as net:
        sent = await net.pay("n1", 30)
        data = Path(net.node("n4")["data"])
        await net.type("kill n4")
        for file in ("payload", "lock"):
            (data / file).unlink()
        shutil.rmtree(data / "ledger")
        await net.type("start n4")
        await net.agreed(net.names, at_least=1)
        await _says(net, "n1", ALL_UP)
        assert await net.has("n4", sent)
        await net.type("kill n3")
        assert await net.pay("n1", 3)


@pytest.mark.parametrize("copied", [True, False], ids=["a copy of another's ledger", "an empty folder"])
async def test_without_its_signing_record_it_follows_and_never_votes(tmp_path: Path, copied: bool) -> None:
    async with Devnet(tmp_path) as net:
        sent = await net.pay("n1", 30)
        lost, other = (Path(net.node(name)["data"]) for name in ("n4", "n3"))
        await net.type("kill n4")
        shutil.rmtree(lost)
        said = await net.type("start n4")
        assert said.startswith("n4 ended by itself (code 1): node: ")
        assert "was not made by init" in said
        if copied:
            await net.type("kill n3")
            shutil.copytree(other, lost, ignore=shutil.ignore_patterns("votes", "admin.sock"))
            await net.type("start n3")
        else:
            (lost / "ledger").mkdir(parents=True)
        said = await net.type("start n4")
        assert said.startswith("n4 runs again")
        assert f"; {ONE_DOWN}; n4 " in said
        assert "signing record" in said
        await net.agreed(net.names, at_least=1)
        assert await net.has("n4", sent)
        await _says(net, "n1", f"{ONE_DOWN}; n4 {FOLLOWS}")
        await _says(net, "n4", f"this node {FOLLOWS}")
        assert await net.pay("n4", 3)
        assert not (lost / "votes").exists()

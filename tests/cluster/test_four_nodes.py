"""Four processes agree, survive the death of one, and of all, and lose nothing they acknowledged."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import grpc
import pytest

from tests.cluster.network import ROOT, Devnet, until

pytestmark = pytest.mark.cluster


async def test_four_nodes_finalise_and_agree(tmp_path: Path) -> None:
    async with Devnet(tmp_path) as net:
        assert net.facts["first_final_s"] < 3.0
        sent = await asyncio.gather(*(net.pay(name, 50) for name in net.names))
        status = await net.agreed(net.names, at_least=1)
        assert status.transactions == 201
        assert status.sentence.startswith(f"height {status.height}; 4 of 4 up: progress continues")
        for name in net.names:
            assert await net.has(name, [one for hashes in sent for one in hashes])


async def test_one_killed_and_returned(tmp_path: Path) -> None:
    async with Devnet(tmp_path) as net:
        before = await net.pay("n1", 20)
        answer = await net.type("kill n2")
        assert answer == "n2 killed; 3 of 4 up: progress continues; one more failure stops it"
        during = [await net.pay(name, 20) for name in ("n1", "n3", "n4", "n1")]
        sentence = (await net.status("n1")).sentence
        assert "3 of 4 up: progress continues; one more failure stops it" in sentence
        height = (await net.status("n1")).height
        await net.type("start n2")
        await net.agreed(net.names, at_least=height)
        assert await net.has("n2", [*before, *(one for hashes in during for one in hashes)])
        assert await net.pay("n2", 5)


async def test_without_a_quorum_it_says_whom_it_waits_for_and_goes_on(tmp_path: Path) -> None:
    async with Devnet(tmp_path) as net:
        await net.type("kill n3")
        assert await net.type("kill n4") == "n4 killed; 2 of 4 up: no progress until 1 more is up"

        async def sentence() -> str:
            return (await net.status("n1")).sentence

        said = await until(sentence, lambda text: "waiting for" in text, what="it says whom it waits for")
        assert "waiting for 1 more of {n3, n4}; n3 last seen" in said
        paying = asyncio.create_task(net.pay("n1", 1))
        await net.type("start n3")
        assert len(await paying) == 1
        await net.agreed(["n1", "n2", "n3"], at_least=2)


async def test_a_validator_without_its_signing_record_is_not_counted_as_up(tmp_path: Path) -> None:
    async with Devnet(tmp_path) as net:
        await net.type("kill n4")
        (Path(net.node("n4")["data"]) / "votes").unlink()
        answer = await net.type("start n4")
        # The console says what Status says: that n4 is a process which runs makes it no voter.
        assert "3 of 4 up: progress continues; one more failure stops it; n4 " in answer
        assert "signing record" in answer
        missing = "follows without voting: its signing record is missing"

        async def sentences() -> list[str]:
            return [(await net.status(name)).sentence for name in net.names]

        said = await until(
            sentences,
            lambda seen: all(missing in one for one in seen),
            what="every node says that n4 follows",
        )
        for one in said:
            assert "3 of 4 up: progress continues; one more failure stops it" in one
        assert all(f"n4 {missing}" in one for one in said[:3])
        assert f"this node {missing}" in said[3]
        await net.pay("n4", 2)
        await net.type("kill n3")

        async def first() -> str:
            return (await net.status("n1")).sentence

        alone = await until(first, lambda text: "waiting for n3; n3" in text, what="it waits for n3 alone")
        assert "2 of 4 up: no progress until 1 more is up" in alone


async def test_progress_is_not_promised_while_a_hung_validator_is_needed(tmp_path: Path) -> None:
    async with Devnet(tmp_path) as net:
        await net.type("kill n4")
        await net.type("pause n3")
        paying = asyncio.create_task(net.pay("n1", 1))

        async def sentence() -> str:
            return (await net.status("n1")).sentence

        hung = "3 of 4 seem up, and yet votes are missing; waiting for 1 more of {n3, n4}"
        await until(sentence, lambda text: hung in text, what="it does not promise progress")
        known = "2 of 4 up: no progress until 1 more is up; waiting for 1 more of {n3, n4}; n3 last seen 1"
        await until(sentence, lambda text: known in text, what="n3 is missed after ten seconds of silence")
        await net.type("resume n3")
        assert len(await paying) == 1


async def test_all_killed_at_once_and_restarted(tmp_path: Path) -> None:
    async with Devnet(tmp_path) as net:
        acknowledged: list[bytes] = []

        async def pay_on(name: str) -> None:
            try:
                while True:
                    acknowledged.extend(await net.pay(name, 10))
            except grpc.RpcError:
                return  # the node is gone: what it did not acknowledge is not promised

        paying = [asyncio.create_task(pay_on(name)) for name in net.names]

        async def count() -> int:
            return len(acknowledged)

        await until(count, lambda n: n >= 100, what="payments are acknowledged")
        for name in net.names:
            await net.type(f"kill {name}")
        await asyncio.gather(*paying)
        height_before = max(json_height(net, name) for name in net.names)
        for name in net.names:
            await net.type(f"start {name}")
        status = await net.agreed(net.names, at_least=height_before)
        assert status.transactions >= len(acknowledged)
        for name in net.names:
            assert await net.has(name, acknowledged)
        assert await net.pay("n3", 3)


def json_height(net: Devnet, name: str) -> int:
    """The height that a killed node had acknowledged, from the note in its data folder."""
    import struct

    number, _ = struct.unpack(">QI", (Path(net.node(name)["data"]) / "lock").read_bytes()[:12])
    return int(number) - 1


async def test_a_paused_node_is_passed_over_and_catches_up(tmp_path: Path) -> None:
    async with Devnet(tmp_path) as net:
        await net.type("pause n2")
        sent = [await net.pay(name, 10) for name in ("n1", "n3", "n4")]
        await net.type("resume n2")
        height = (await net.status("n1")).height
        await net.agreed(net.names, at_least=height)
        assert await net.has("n2", [one for hashes in sent for one in hashes])


async def test_the_clock_of_all_nodes_moves_together(tmp_path: Path) -> None:
    async with Devnet(tmp_path, "--clock", "manual") as net:
        assert (await net.type("advance 3mo")).startswith("clock: 2026-04-01 00:00:00 UTC; a block")
        april = 1_775_001_600_000

        async def clocks_of(*names: str) -> list[int]:
            return [(await net.status(name)).now_ms for name in names]

        async def clocks() -> list[int]:
            return await clocks_of(*net.names)

        await until(clocks, lambda seen: min(seen) >= april, what="every clock has moved")
        await net.type("kill n4")
        assert "2026-04-11" in await net.type("advance 10d")
        await net.type("kill n3")
        refused = await net.type("advance 10d")
        assert refused.startswith("refused: 2 of 4 up: no progress until 1 more is up"), (
            "at once, and in words"
        )
        assert max(await clocks_of("n1", "n2")) < april + 20 * 86_400_000, "no clock was moved"
        await net.type("start n3")
        await net.type("start n4")
        await until(clocks, lambda seen: min(seen) >= april + 10 * 86_400_000, what="n4 took the time over")
        assert await net.pay("n4", 2)


async def test_the_children_die_with_the_supervisor(tmp_path: Path) -> None:
    net = Devnet(tmp_path)
    async with net:
        pids = [one["pid"] for one in net.facts["nodes"]]
        net._process.kill()
        await net._process.wait()

        async def alive() -> list[int]:
            return [pid for pid in pids if _running(pid)]

        await until(alive, lambda seen: not seen, what="every node has ended")


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


async def test_what_stands_in_a_folder_goes_on_with_keep(tmp_path: Path) -> None:
    async with Devnet(tmp_path) as net:
        sent = await net.pay("n1", 5)
        chain = net.facts["chain_id"]
    async with Devnet(tmp_path, "--keep") as net:
        assert net.facts["chain_id"] == chain
        assert await net.has("n2", sent)
        assert json.loads((tmp_path / "ready.json").read_text())["first_final_s"] is None


async def test_a_second_devnet_does_not_remove_the_first(tmp_path: Path) -> None:
    async with Devnet(tmp_path, "--nodes", "1") as net:
        sent = await net.pay("n1", 3)
        for options in ((), ("--keep",)):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "node", "devnet", "--port", "0", "--data", str(tmp_path / "net")),
                *options,
                cwd=ROOT,
                stderr=asyncio.subprocess.PIPE,
            )
            _, said = await process.communicate()
            assert process.returncode == 1
            assert b"is in use by another process" in said
        assert await net.has("n1", sent)
        assert await net.pay("n1", 1)

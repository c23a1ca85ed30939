"""A disk that is full under a running node: it ends with a sentence, and what it acknowledged is there.

The limit on file size of the running process (RLIMIT_FSIZE) plays the full disk; a restarted process
has none. Files are the ledger's own, so the log line that says why is still written.
"""

from __future__ import annotations

import resource
from pathlib import Path

import grpc
import pytest

from tests.cluster.network import Devnet

pytestmark = pytest.mark.cluster


def _largest_file(folder: str) -> int:
    return max(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())


async def _until_it_ends(net: Devnet, name: str) -> list[bytes]:
    """Pay through a node whose files cannot grow; the hashes that it acknowledged before it ended."""
    node = net.node(name)
    limit = _largest_file(node["data"]) + 64 * 1024
    resource.prlimit(node["pid"], resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    acknowledged: list[bytes] = []
    for _ in range(10_000):
        try:
            acknowledged += await net.pay(name, 20)
        except grpc.RpcError:
            return acknowledged
    raise AssertionError("the disk never filled")


async def test_a_single_node_ends_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    async with Devnet(tmp_path, "--nodes", "1") as net:
        acknowledged = await net.pay("n1", 10)
        acknowledged += await _until_it_ends(net, "n1")
        said = await net.line()
        assert said.startswith("n1 ended by itself (code 3)")
        assert "Free space on the disk" in said
        await net.type("start n1")
        assert await net.has("n1", acknowledged)
        assert await net.pay("n1", 5)


async def test_four_nodes_go_on_without_the_one_and_it_returns(tmp_path: Path) -> None:
    async with Devnet(tmp_path) as net:
        acknowledged = await _until_it_ends(net, "n2")
        said = await net.line()
        assert said.startswith("n2 ended by itself (code 3)")
        assert said.endswith("3 of 4 up: progress continues; one more failure stops it")
        acknowledged += await net.pay("n1", 10)
        await net.type("start n2")
        height = (await net.status("n1")).height
        await net.agreed(net.names, at_least=height)
        assert await net.has("n2", acknowledged)

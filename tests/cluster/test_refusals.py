"""What a node refuses at its start: one sentence, exit code 1, and nothing changed."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import shutil
import socket
import sys
from pathlib import Path

import plyvel
import pytest
from licet.keys import generate_key

from node import config
from node.devnet import network
from node.storage.schema import LEDGER_FOLDER, META_SCHEMA, Kind
from tests.cluster.network import LIMIT_S, ROOT

pytestmark = pytest.mark.cluster


async def node(
    *arguments: str, environment: dict[str, str] | None = None, flags: tuple[str, ...] = ()
) -> tuple[int, str]:
    """Run a node's command to its end: exit code and standard error (or output, if there is none)."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LICET_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *flags, "-m", "node", *arguments),
        cwd=ROOT,
        env={**kept, **(environment or {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await asyncio.wait_for(process.communicate(), LIMIT_S)
    assert process.returncode is not None
    return process.returncode, (error or out).decode()


def refused(answer: tuple[int, str], pattern: str) -> None:
    """One line on standard error that says it, and exit code 1."""
    code, text = answer
    assert code == 1, text
    last = text.strip().splitlines()[-1]
    assert "Traceback" not in text
    assert last.startswith("node: ")
    assert re.search(pattern, last), last


@pytest.fixture
def net(tmp_path: Path) -> network.NetworkFolder:
    """A single-node development network on free ports, not initialised."""
    return make(tmp_path / "net")


def make(folder: Path, *, dev: bool = True) -> network.NetworkFolder:
    return network.create(
        folder,
        name="test",
        nodes=1,
        ports=network.pick_ports(1, 0),
        dev=dev,
        parties=network.demo_parties() if dev else (),
    )


def at(made: network.NetworkFolder) -> tuple[str, str]:
    return ("--config", str(made.nodes[0].config))


async def init(made: network.NetworkFolder) -> None:
    code, text = await node("init", *at(made))
    assert code == 0, text
    assert text.splitlines()[-1].startswith("next       python -m node start --config ")


async def test_a_key_misspelt_in_the_configuration(net: network.NetworkFolder) -> None:
    file = net.nodes[0].config
    file.write_text(file.read_text().replace("[log]", "[log]\nlevle = 'debug'"))
    refused(await node("start", *at(net)), r"log\.levle .* is unknown\. Did you mean log\.level\?")


async def test_a_value_out_of_range_or_from_a_misspelt_variable(net: network.NetworkFolder) -> None:
    refused(
        await node("start", *at(net), environment={"LICET_NODE_STORAGE_CACHE_MIB": "0"}), "not 1 to 65536"
    )
    refused(
        await node("start", *at(net), environment={"LICET_NODE_API_LISTEM": "x"}),
        "Did you mean LICET_NODE_API_LISTEN",
    )


async def test_a_peer_that_genesis_does_not_name(net: network.NetworkFolder) -> None:
    answer = await node("start", *at(net), environment={"LICET_NODE_PEERS": "n11=127.0.0.1:1"})
    refused(answer, r"peers\.n11 .*names no validator of genesis\. Did you mean n1\?")


async def test_binding_beyond_loopback_needs_a_word(net: network.NetworkFolder) -> None:
    answer = await node("start", *at(net), environment={"LICET_NODE_API_LISTEN": "0.0.0.0:7400"})
    refused(answer, r"other machines can reach.*api\.remote = true")


async def test_a_folder_that_init_has_not_made(net: network.NetworkFolder) -> None:
    refused(await node("start", *at(net)), "was not made by init")


async def test_a_second_init(net: network.NetworkFolder) -> None:
    await init(net)
    refused(await node("init", *at(net)), "Never make a second signing record")


@pytest.mark.parametrize("which", ["api", "peer", "metrics"])
async def test_a_taken_port(net: network.NetworkFolder, which: str) -> None:
    await init(net)
    address = getattr(net.nodes[0].ports, which)
    with socket.create_server((address.host, address.port)):
        refused(await node("start", *at(net)), f"{address} for .* cannot be bound")


async def test_a_taken_port_of_a_devnet(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        base = taken.getsockname()[1]
        answer = await node("devnet", "--port", str(base), "--data", str(tmp_path / "net"))
        refused(answer, f"127.0.0.1:{base} for clients of n1 cannot be bound")


async def test_a_folder_in_use(net: network.NetworkFolder) -> None:
    await init(net)
    with (net.nodes[0].data / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        refused(await node("start", *at(net)), "in use by another process")


async def test_a_folder_of_another_chain(tmp_path: Path, net: network.NetworkFolder) -> None:
    other = make(tmp_path / "other")
    await _ran_once(net)
    shutil.copy(net.genesis_file, tmp_path / "kept.json")
    shutil.copy(other.genesis_file, net.genesis_file)
    refused(await node("start", *at(net)), "belongs to (another )?chain")


async def test_a_folder_of_a_newer_schema(net: network.NetworkFolder) -> None:
    await _ran_once(net)
    store = plyvel.DB(str(net.nodes[0].data / LEDGER_FOLDER))
    key = Kind.META.value + META_SCHEMA
    known = store.get(key)
    store.put(key, (int.from_bytes(known, "big") + 1).to_bytes(len(known), "big"))
    store.close()
    refused(await node("start", *at(net)), r"storage schema \d+; this program knows up to")


async def _ran_once(made: network.NetworkFolder) -> None:
    """Initialise, start, wait until it serves, stop."""
    await init(made)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "node", "start", *at(made)), cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    async with asyncio.timeout(LIMIT_S):
        while b"serving" not in await process.stderr.readline():
            assert process.returncode is None
        code, text = await node("health", *at(made))
        assert code == 0
        assert text.startswith("height 0; this node orders alone")
        process.terminate()
        await process.communicate()
    assert process.returncode == 0


async def test_another_implementation_of_protobuf(net: network.NetworkFolder) -> None:
    environment = {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}
    refused(await node("start", *at(net), environment=environment), "'python', and only 'upb'")


async def test_an_interpreter_without_assertions(net: network.NetworkFolder) -> None:
    refused(await node("start", *at(net), flags=("-O",)), "removes the assertions")


async def test_development_keys_on_a_real_network(tmp_path: Path) -> None:
    made = make(tmp_path / "real")
    text = made.genesis_file.read_text()
    from dataclasses import replace

    made.genesis_file.write_text(replace(made.genesis, dev=False).to_json())
    assert text != made.genesis_file.read_text()
    refused(await node("init", *at(made)), "development key that everybody knows")


async def test_a_real_network_has_keys_of_its_own(tmp_path: Path) -> None:
    await init(make(tmp_path / "real", dev=False))


async def test_a_key_that_others_may_read(net: network.NetworkFolder) -> None:
    (net.nodes[0].folder / "validator.key").chmod(0o644)
    refused(await node("init", *at(net)), "others may read it")


async def test_a_key_that_genesis_does_not_name(tmp_path: Path, net: network.NetworkFolder) -> None:
    code, _ = await node("keygen", str(tmp_path / "other.key"))
    assert code == 0
    refused(await node("init", *at(net), "--key", str(tmp_path / "other.key")), "no validator's")


async def test_no_genesis_and_a_changed_one(net: network.NetworkFolder) -> None:
    net.genesis_file.write_text(net.genesis_file.read_text().replace('"name": "test"', '"name": "tset"'))
    refused(await node("init", *at(net)), "does not hash to the chain id")
    net.genesis_file.unlink()
    refused(await node("init", *at(net)), "genesis file .* cannot be read")


async def test_a_lost_signing_record_starts_and_does_not_vote(net: network.NetworkFolder) -> None:
    await _ran_once(net)
    (net.nodes[0].data / "votes").unlink()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "node", "start", *at(net)), cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    async with asyncio.timeout(LIMIT_S):
        said = ""
        while "does not vote" not in said:
            said = (await process.stderr.readline()).decode()
            assert said, "it ended"
        process.terminate()
        await process.communicate()
    assert "signing record" in said


async def test_a_folder_that_is_no_network_is_not_cleared(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    for command in (("devnet", "--port", "0", "--data"), ("network", "--name", "x")):
        refused(await node(*command, str(tmp_path)), "holds something already, which is not removed")
    assert (tmp_path / "precious").read_text() == "mine"


async def test_health_of_nobody(net: network.NetworkFolder) -> None:
    code, text = await node("health", *at(net), "--timeout", "2")
    assert code == 1
    assert text.startswith("no node answers at")


async def test_misuse_is_exit_code_two() -> None:
    code, text = await node("strat")
    assert code == 2
    assert "invalid choice" in text
    assert config.CONFIG_FILE == "node.toml"


async def test_a_network_of_ones_own(tmp_path: Path) -> None:
    code, text = await node("network", str(tmp_path / "own"), "--name", "own", "--nodes", "4", "--port", "0")
    assert code == 0, text
    made = network.load(tmp_path / "own")
    assert not made.genesis.dev
    assert len({validator.public_key for validator in made.genesis.validators}) == 4
    await init(made)
    again = await node("network", str(tmp_path / "own"), "--name", "own", "--port", "0")
    refused(again, "holds something already")


async def test_the_first_parties_of_a_network(tmp_path: Path) -> None:
    file = tmp_path / "parties.json"
    bank = {"party": "bank", "name": "A Bank", "kind": "organisation", "roles": ["issuer:EUR"]}
    bank["public_key"] = generate_key().public_key.hex()
    file.write_text(json.dumps([bank]))
    command = ("network", "--name", "own", "--port", "0", "--parties", str(file))
    code, text = await node(*command, str(tmp_path / "own"))
    assert code == 0, text
    assert network.load(tmp_path / "own").genesis.parties[0].roles == ("issuer:EUR",)
    for wrong, why in (
        ({**bank, "public_key": "00"}, "public key"),
        ({**bank, "roles": ["issuer:XXX"]}, "currency that genesis does not list"),
        ({"party": "bank"}, "an entry lacks 'name'"),
    ):
        file.write_text(json.dumps([wrong]))
        refused(await node(*command, str(tmp_path / "wrong")), why)

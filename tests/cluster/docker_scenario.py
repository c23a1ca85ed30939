"""`make docker-test`: four validators in containers do the main job, lose one, and get it back.

Every line printed is something that was seen; every wait is for a condition and has a limit. Exit code 0
where all held, 1 where something did not (the containers' last log lines follow), 2 without Docker.
Containers, volumes and network are removed before and after.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

from licet.certificate import Certificate, Header, ValidatorSet, check_certificate, check_linked
from licet.client import Submission
from licet.crypto import SigningKey
from licet.errors import LicetError
from licet.genesis import Genesis, GenesisParty
from licet.keys import generate_key, save_key
from licet.money import format_money

from node.devnet import network
from tests.cluster.containers import (
    IMAGE,
    NODES,
    PROJECT,
    ROOT,
    Cluster,
    Failed,
    find_compose,
    insist,
    run,
    until,
)

FOLDER: Final = ROOT / "build" / "docker" / "network"
TERMS: Final = ROOT / "examples" / "terms" / "stock.image_flat.terms"
NOBODY_SPECIAL: Final = 10001  # the image's own user, where this runs as root
QUORUM: Final = 3
FEE: Final = "EUR 49.99"
EXIT_FAILED: Final = 1
EXIT_NO_DOCKER: Final = 2

STARTED: Final = time.monotonic()


def say(step: str, text: str) -> None:
    """One aligned line, as it happens."""
    print(f"{time.monotonic() - STARTED:6.1f} s  {step:<10} {text}", flush=True)


class Market:
    """The parties, the work, the offer; and what was bought."""

    def __init__(self, cluster: Cluster, bank: SigningKey) -> None:
        self._cluster = cluster
        self._bank = bank
        self._keys = {name: generate_key() for name in ("photographer", "agency", "magazine")}
        self.sold: list[str] = []
        self.height = 0

    async def open(self, name: str) -> None:
        """Publish the terms, register parties and work, fund the buyer, make the offer."""
        keys = self._keys
        async with await self._cluster.client(name, sender="bank", key=self._bank) as bank:
            for party, key in keys.items():
                await bank.register_party(party, name=party.title(), key=key)
            await bank.deposit("magazine", "EUR 5000.00", reference="docker scenario")
            seller = bank.acting("photographer", keys["photographer"])
            await seller.publish_template(TERMS.read_text(encoding="utf-8"))
            await seller.register_asset("harbour", kind="image", title="Harbour at dawn")
            await seller.create_offer(
                "harbour-flat",
                template="stock.image_flat",
                roles={"licensor": "photographer", "agency": "agency"},
                params={"fee": FEE},
                assets={"work": "harbour"},
                how=Submission(keys=(keys["agency"],)),
            )
        say(
            "market",
            f"terms, three parties, one photograph, EUR 5000.00 and an offer of {FEE}, through {name}",
        )

    async def buy(self, name: str, *, count: int = 1) -> float:
        """Buy licenses one after the other through a node: the slowest one's seconds to finality."""
        slowest = 0.0
        async with await self._cluster.client(name, sender="magazine", key=self._keys["magazine"]) as buyer:
            for _ in range(count):
                begin = time.monotonic()
                sale = await buyer.license("harbour-flat", agreement=f"license-{len(self.sold) + 1}")
                slowest = max(slowest, time.monotonic() - begin)
                self.sold.append(sale.names["agreement"])
                self.height = sale.height
        return slowest

    async def read(self, name: str, agreement: str) -> None:
        """Insist that a node holds an agreement and that its grant is the buyer's."""

        async def look() -> dict[str, str]:
            async with await self._cluster.client(name) as client:
                found = await client.get_agreement(agreement)
            return {role.role: role.party for role in found.roles}

        await until(
            look,
            lambda roles: roles == {"licensor": "photographer", "agency": "agency", "licensee": "magazine"},
            what=f"{name} shows {agreement}",
        )

    async def balances(self, name: str) -> str:
        """Insist that the buyer's loss is the sellers' gain, and the sum of all fees; say it."""
        cash: dict[str, int] = {}
        async with await self._cluster.client(name) as client:
            for party in self._keys:
                cash[party] = sum(
                    [one.amount.minor async for one in client.list_balances(party) if one.account == "cash"]
                )
            scales = client.scales
        scale = 10 ** scales["EUR"]
        spent = 5000 * scale - cash["magazine"]
        insist(
            spent == len(self.sold) * 4999 * scale // 100, f"{len(self.sold)} sales cost {spent} minor units"
        )
        insist(cash["photographer"] + cash["agency"] == spent, f"money was made or lost: {cash}")
        shown = {party: format_money("EUR", minor, scales) for party, minor in cash.items()}
        return (
            f"{len(self.sold)} licenses: {format_money('EUR', spent, scales)} = photographer "
            f"{shown['photographer']} + agency {shown['agency']}; the buyer has {shown['magazine']} left"
        )


# --- the steps ------------------------------------------------------------------------------------


def make_network(user: int, group: int) -> tuple[network.NetworkFolder, SigningKey]:
    """A fresh development network of four with an issuer whose key nobody else knows."""
    network.clear(FOLDER)
    bank = generate_key()
    party = GenesisParty(
        party="bank",
        name="Issuing Bank",
        kind="organisation",
        public_key=bank.public_key,
        roles=("issuer:EUR", "registrar"),
    )
    made = network.create(
        FOLDER,
        name="docker",
        nodes=len(NODES),
        ports=network.pick_ports(len(NODES), 0),
        dev=True,
        parties=(party,),
    )
    save_key(FOLDER / "bank.key", bank)
    made.genesis_file.chmod(0o644)  # whatever the umask says: containers read it as another user
    if os.getuid() == 0:
        for node in made.nodes:
            os.chown(node.folder / "validator.key", user, group)
    say("network", f"chain {made.genesis.chain_id().hex()[:16]}, four validators, a fresh issuer key")
    return made, bank


async def say_where(compose: Sequence[str]) -> None:
    """What this runs on, and the image."""
    _, server = await run(
        "docker", "version", "--format", "{{.Server.Version}} on {{.Server.Os}}/{{.Server.Arch}}"
    )
    _, version = await run(*compose, "version", "--short")
    say(
        "machine",
        f"Docker {server}, {' '.join(Path(part).name for part in compose)} {version}, {os.cpu_count()} cores",
    )
    _, size = await run("docker", "image", "inspect", "--format", "{{.Size}}", IMAGE)
    say("image", f"{IMAGE}, {int(size) / 1e6:.0f} MB")


async def initialise(cluster: Cluster) -> None:
    """`init` in each volume, once; `run` never does it (C-10)."""
    code, text = await cluster.once("n1", "run")
    insist(code == 1 and "was not made by init" in text, f"a start without init: exit {code}, {text}")
    for name in NODES:
        code, text = await cluster.once(name, "init")
        insist(code == 0 and f"validator  {name} of docker" in text, f"init of {name}: exit {code}, {text}")
    code, text = await cluster.once("n1", "init")
    insist(code == 1 and "was made by init before" in text, f"a second init: exit {code}, {text}")
    say("init", "a start without init is refused; four volumes initialised; a second init is refused")


async def bring_up(cluster: Cluster) -> None:
    """Start all four, wait for Docker to call them healthy, and look at how they are confined."""
    begin = time.monotonic()
    await cluster.compose("up", "-d")
    await cluster.find()
    await cluster.agreed(at_least=0)
    say("up", f"four APIs answer {time.monotonic() - begin:.1f} s after compose up began")
    await cluster.healthy(*NODES)
    say(
        "healthy",
        f"all four by Docker's health check, {time.monotonic() - begin:.1f} s after compose up began",
    )
    for name in NODES:
        await check_confinement(cluster, name)
    say(
        "confined",
        "all four: not root, read-only root, no capabilities, no new privileges, data and /tmp writable",
    )


async def check_confinement(cluster: Cluster, name: str) -> None:
    """As Docker states it and as a process inside finds it."""
    host = (await cluster.inspect(name))["HostConfig"]
    insist(host["ReadonlyRootfs"] and not host["Privileged"], f"{name}'s root is writable")
    insist(host["CapDrop"] == ["ALL"] and not host["CapAdd"], f"{name} has capabilities")
    insist("no-new-privileges:true" in host["SecurityOpt"], f"{name} may gain privileges")
    _, user = await cluster.inside(name, "id", "-u")
    insist(user.isdecimal() and user != "0", f"{name} runs as user {user!r}")
    _, process = await cluster.inside(name, "cat", "/proc/1/status")
    facts = dict(line.split(":\t", 1) for line in process.splitlines() if ":\t" in line)
    insist(facts["Uid"].split() == [user] * 4, f"{name}'s node runs as {facts['Uid']}")
    insist(int(facts["CapEff"], 16) == 0 and int(facts["CapBnd"], 16) == 0, f"{name} holds capabilities")
    insist(facts["NoNewPrivs"] == "1", f"{name} may gain privileges")
    for path, writable in (
        ("/licet/app/x", False),
        ("/etc/x", False),
        ("/tmp/x", True),
        ("/var/lib/licet/x", True),
    ):
        code, text = await cluster.inside(name, "touch", path)
        insist((code == 0) is writable, f"{name}: touch {path} ended with {code} {text}")
        insist(
            writable or "Read-only file system" in text,
            f"{name}: {path} is refused for another reason: {text}",
        )


async def prove(cluster: Cluster, market: Market, name: str) -> None:
    """Read a license with proof from another node; check the file where there is no network at all."""
    agreement = market.sold[0]
    await market.read(name, agreement)
    async with await cluster.client(name) as client:
        certificate = await client.certificate(agreement)
    say("proof", f"read from {name}: {certificate.claim.sentence()}")
    insist(len(set(certificate.claim.signers)) >= QUORUM, f"signed by {certificate.claim.signers}")
    folder = FOLDER / "proofs"
    folder.mkdir()
    certificate.save(folder / "license.licet")
    forged = bytearray(certificate.data)
    forged[len(forged) // 2] ^= 1
    (folder / "forged.licet").write_bytes(forged)
    folder.chmod(0o755)  # proofs are public, whatever the umask says
    for file in folder.iterdir():
        file.chmod(0o644)
    code, text = await verify_offline(cluster, folder, "license.licet")
    insist(code == 0 and agreement in text, f"the proof does not hold offline: {text}")
    code, refusal = await verify_offline(cluster, folder, "forged.licet")
    insist(code == 1, f"a forged proof passes offline: exit {code}, {refusal}")
    say(
        "offline",
        f"{len(certificate.data)} bytes hold in a container without a network; one bit flipped, refused",
    )


async def verify_offline(cluster: Cluster, folder: Path, file: str) -> tuple[int, str]:
    mounts = ("-v", f"{folder}:/proofs:ro", "-v", f"{cluster.genesis_file}:/genesis.json:ro")
    command = ("--entrypoint", "python", IMAGE, "-m", "licet.cli", "verify", f"/proofs/{file}")
    return await run(
        *("docker", "run", "--rm", "--network", "none", "--read-only", *mounts, *command),
        *("--genesis", "/genesis.json"),
        may_fail=True,
    )


async def kill_and_return(cluster: Cluster, market: Market, name: str) -> None:
    """SIGKILL, licensing goes on, start, catch up."""
    await cluster.docker("kill", name, "-s", "KILL")
    state = (await cluster.inspect(name))["State"]
    insist(
        not state["Running"] and state["ExitCode"] == 137,
        f"{name} is {state['Status']} ({state['ExitCode']})",
    )
    sentence = await cluster.said("n1", "3 of 4 up")
    say("kill", f"{name} by SIGKILL; n1 says: {sentence}")
    slowest = await market.buy("n1", count=5)
    for other in NODES:
        if other != name:
            await market.read(other, market.sold[-1])
    say("goes on", f"five licenses bought without {name}, the slowest final after {slowest:.2f} s")
    await returned(cluster, market, name, cluster.docker("start", name), "started")


async def pause_and_return(cluster: Cluster, market: Market, name: str) -> None:
    """Frozen with its connections open: the others find out by silence."""
    await cluster.docker("pause", name)
    insist((await cluster.inspect(name))["State"]["Paused"], f"{name} is not paused")
    begin = time.monotonic()
    slowest = await market.buy("n1", count=5)
    await cluster.said("n1", "3 of 4 up")
    lasted = f"{time.monotonic() - begin:.1f} s"
    say(
        "pause",
        f"{name}, until n1 missed it after {lasted}; five licenses bought, the slowest {slowest:.2f} s",
    )
    await returned(cluster, market, name, cluster.docker("unpause", name), "unpaused")


async def cut_off_and_return(cluster: Cluster, market: Market, name: str) -> None:
    """Without a network, and back in it."""
    ledger = f"{PROJECT}_ledger"
    await run("docker", "network", "disconnect", ledger, cluster.id(name))
    begin = time.monotonic()
    slowest = await market.buy("n1", count=5)
    await cluster.said("n1", "3 of 4 up")

    async def own_words() -> str:
        return (await cluster.inside(name, "python", "-m", "node", "status"))[1]

    await until(
        own_words, lambda text: "no progress until 2 more are up" in text, what=f"{name} says it is alone"
    )
    lasted = f"{time.monotonic() - begin:.1f} s"
    say(
        "cut off",
        f"{name}, until both sides said so after {lasted}; five licenses, the slowest {slowest:.2f} s",
    )
    joining = run("docker", "network", "connect", "--alias", name, ledger, cluster.id(name))
    await returned(cluster, market, name, joining, "reconnected")


async def recreate(cluster: Cluster, market: Market, name: str, backup: Path) -> None:
    """What an upgrade does: a clean stop, a new container, the same volume. While it is stopped, a copy."""
    await cluster.compose("stop", name)
    state = (await cluster.inspect(name))["State"]
    insist(state["ExitCode"] == 0, f"{name} ended with {state['ExitCode']} when it was asked to stop")
    pack = ("tar", "-C", "/volume", "--exclude=data/votes", "-cf", "/backup/ledger.tar", "data")
    code, text = await cluster.with_volume(name, backup, *pack)
    insist(code == 0, f"the backup of {name}: {text}")
    before = cluster.id(name)
    await market.buy("n1", count=2)
    again = cluster.compose("up", "-d", "--force-recreate", "--no-deps", name)
    await returned(cluster, market, name, again, "recreated")
    insist(cluster.id(name) != before, f"{name} has its old container")


async def restore(cluster: Cluster, market: Market, name: str, backup: Path) -> None:
    """A lost data folder, filled from another validator's older copy: it follows and never votes (C-11)."""
    await cluster.compose("stop", name)
    before = (await cluster.status("n1")).height  # what is above it is ordered without it
    code, text = await cluster.with_volume(name, backup, "rm", "-rf", "/volume/data")
    insist(code == 0, f"the loss of {name}'s data: {text}")
    code, text = await cluster.once(name, "run")
    insist(code == 1 and "was not made by init" in text, f"a start without data: exit {code}, {text}")
    code, text = await cluster.with_volume(name, backup, "tar", "-C", "/volume", "-xf", "/backup/ledger.tar")
    insist(code == 0, f"the restoring of {name}: {text}")
    verb = "restored from an older copy of n3"
    await returned(cluster, market, name, cluster.compose("start", name), verb, up="3 of 4 up")
    await cluster.said(name, "this node follows without voting: its signing record is missing")
    await cluster.said("n1", f"{name} follows without voting: its signing record is missing")
    slowest = await market.buy("n1", count=5)
    signed = 0
    async with await cluster.client("n1") as client:
        async for record in client.list_headers(from_height=before + 1):
            voters = Certificate.decode(record.finality).voters() if record.finality else ()
            insist(
                NODES.index(name) not in voters, f"{name} has signed height {record.height} without a record"
            )
            signed += bool(voters)
    insist(signed, "no certificate was made since the copy was put in place")
    none = f"none of {signed} newer certificates has its vote"
    say("restored", f"{name} follows, {none}; five licenses bought, the slowest {slowest:.2f} s")


async def returned(
    cluster: Cluster,
    market: Market,
    name: str,
    returning: Coroutine[Any, Any, object],
    verb: str,
    *,
    up: str = "4 of 4 up",
) -> None:
    """Let a validator come back: it catches up to an equal root, holds the newest license, is healthy."""
    begin = time.monotonic()
    await returning
    await cluster.find()
    height = (await cluster.agreed(at_least=market.height))[0].executed_height
    caught_up_s = time.monotonic() - begin
    await market.read(name, market.sold[-1])
    await cluster.said(name, up)
    await cluster.healthy(name)
    times = f"in {caught_up_s:.1f} s, healthy in {time.monotonic() - begin:.1f} s"
    say("returns", f"{name} {verb}: caught up to height {height}, equal root, {times}")


async def compare(cluster: Cluster, market: Market, genesis: Genesis) -> None:
    """All four: one root at one height, one header at each height, every certificate a real quorum's."""
    for name, status in zip(NODES, await cluster.agreed(at_least=market.height), strict=True):
        say("root", f"{name}  height {status.executed_height}  {status.state_root.hex()}")
    validators = ValidatorSet(keys=tuple(one.public_key for one in genesis.validators))
    chains: dict[str, list[bytes]] = {}
    fewest, seen = len(NODES), 0
    for name in NODES:
        async with await cluster.client(name) as client:
            records = [record async for record in client.list_headers()]
        chains[name] = [record.header for record in records]
        headers = [Header.decode(header) for header in chains[name]]
        insist([header.height for header in headers] == list(range(1, len(headers) + 1)), f"{name} has gaps")
        check_linked(headers)
        insist(records[-1].finality, f"{name} shows no certificate of its highest block")
        for record, header in zip(records, headers, strict=True):
            if record.finality:
                certificate = Certificate.decode(record.finality)
                insist(
                    certificate.digest == header.id, f"{name}: another block's certificate at {record.height}"
                )
                check_certificate(certificate, validators, chain_id=genesis.chain_id())
                fewest, seen = min(fewest, len(set(certificate.voters()))), seen + 1
    insist(len({tuple(chain) for chain in chains.values()}) == 1, "the chains of headers differ")
    insist(fewest >= QUORUM, f"a certificate has {fewest} distinct signers")
    checked = f"{seen} finality certificates verified, each of {fewest} or more distinct signers"
    say("finality", f"{len(chains['n1'])} equal headers on all four; {checked}")


async def stop_cleanly(cluster: Cluster) -> None:
    await cluster.compose("stop")
    codes = {name: (await cluster.inspect(name))["State"]["ExitCode"] for name in NODES}
    insist(not any(codes.values()), f"exit codes after a clean stop: {codes}")
    say("stop", "all four ended with exit code 0")


async def scenario(cluster: Cluster, genesis: Genesis, bank: SigningKey, backup: Path) -> None:
    """Everything, in order."""
    await initialise(cluster)
    await bring_up(cluster)
    market = Market(cluster, bank)
    await market.open("n1")
    say("buy", f"{FEE} through n1, final after {await market.buy('n1'):.2f} s")
    await prove(cluster, market, "n3")
    await kill_and_return(cluster, market, "n2")
    await pause_and_return(cluster, market, "n4")
    await cut_off_and_return(cluster, market, "n4")
    await recreate(cluster, market, "n3", backup)
    await restore(cluster, market, "n4", backup)
    say("buy", f"{FEE} through n2, final after {await market.buy('n2'):.2f} s")
    await compare(cluster, market, genesis)
    for name in NODES:
        money = await market.balances(name)
    say("money", money)
    await stop_cleanly(cluster)


async def main() -> int:
    compose = await find_compose()
    if compose is None or (await run("docker", "info", may_fail=True))[0] != 0:
        print("docker: no Docker engine with compose answers here; install and start one.", file=sys.stderr)
        return EXIT_NO_DOCKER
    root = os.getuid() == 0
    user, group = (NOBODY_SPECIAL, NOBODY_SPECIAL) if root else (os.getuid(), os.getgid())
    await say_where(compose)
    made, bank = make_network(user, group)
    backup = FOLDER / "backup"
    backup.mkdir()
    if root:
        os.chown(backup, user, group)
    cluster = Cluster(compose, made, user=user, group=group)
    await cluster.remove()
    try:
        await scenario(cluster, made.genesis, bank, backup)
    except (Failed, LicetError) as failure:
        say("FAILED", str(failure))
        await cluster.print_logs()
        return EXIT_FAILED
    finally:
        await cluster.remove()
    say("down", "containers, volumes and network removed; everything held")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

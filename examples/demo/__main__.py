"""`python -m examples.demo`: exit code 0 where everything held, 1 where something did not.

Leaves under build/demo/: certificate.licet, genesis.json, summary.json, the parties' keys, and the
network's data with its logs.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from licet import __version__
from licet.client import Client
from licet.errors import LicetError
from licet.testing import Network

from examples.demo import story as tale
from examples.demo.checks import Broken
from examples.demo.screen import Screen
from examples.loading import Cast

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "build" / "demo"
LEFT: Final = ("certificate.licet", "forged.licet", "genesis.json", "summary.json")


def _clean(folder: Path) -> None:
    """Remove what an earlier run left, and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in LEFT:
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "keys", ignore_errors=True)


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


async def _play(network: Network, screen: Screen, folder: Path) -> None:
    known = {item["party"]: network.key(item["party"]) for item in network.facts["parties"].values()}
    (folder / "genesis.json").write_bytes(network.genesis_file.read_bytes())
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(await network.connect())
        clients = {
            node["name"]: await stack.enter_async_context(
                await Client.connect(node["api"], genesis=network.genesis)
            )
            for node in network.facts["nodes"]
        }
        screen.watch(client)
        cast = Cast(client, known, folder / "keys")
        story = tale.Story(network=network, client=client, cast=cast, screen=screen, folder=folder)
        for step in (tale.load, tale.offer, tale.fund, tale.sell, tale.report, tale.close):
            await step(story)
        for step in (tale.explain, tale.flow, tale.prove):
            await step(story)
        await tale.survive(story, clients)
        summary = await tale.settle(story, clients)
    tale.write_summary(folder, summary)
    proof, genesis = _short(folder / "certificate.licet"), _short(folder / "genesis.json")
    screen.say(f"\nEverything held, in {summary['wall_s']} s. Summary: {_short(folder / 'summary.json')}")
    screen.say("Next:")
    screen.say(f"    .venv/bin/licet verify {proof} --genesis {genesis}")
    screen.say("    .venv/bin/python -m node devnet --with stock     # a stocked network of your own")
    screen.say("    .venv/bin/python -m licensing_vm explain examples/terms/ads.per_use.terms")


def main() -> int:
    """Run the demo."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where results are left")
    folder: Path = parser.parse_args().folder.resolve()
    _clean(folder)
    screen = Screen()
    screen.say(f"Licet {__version__}: four nodes on this machine, LevelDB under {_short(folder)}/network")
    try:
        with Network(node_root=ROOT, folder=folder) as network:
            first = network.facts.get("first_final_s")
            nodes = ", ".join(f"{node['name']} {node['api']}" for node in network.facts["nodes"])
            screen.say(f"    {nodes}; first transaction final after {first} s")
            asyncio.run(_play(network, screen, folder))
    except Broken as broken:
        screen.say(f"\nThe demo failed: {broken}")
        return 1
    except LicetError as error:
        screen.say(f"\nThe demo failed: {error} ({error.code})")
        return 1
    except KeyboardInterrupt:
        screen.say("\nInterrupted.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

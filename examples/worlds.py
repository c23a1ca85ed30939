"""Worlds that a development network is loaded with: `python -m node devnet --with stock`.

Reads the network's ready file, loads the world through the SDK, and ends with 0. Parties that the
network did not begin with get keys in `keys/` beside the network's data.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from licet.client import Client
from licet.crypto import SigningKey
from licet.errors import LicetError

from examples.loading import Cast, load_stock


async def stock(facts: dict[str, Any]) -> int:
    """The catalogue, its terms and its offers."""
    known = {item["party"]: SigningKey(bytes.fromhex(item["seed"])) for item in facts["parties"].values()}
    targets = [node["api"] for node in facts["nodes"]]
    async with await Client.connect(targets, genesis=facts["genesis"]) as client:
        cast = Cast(client, known, Path(facts["data"]) / "keys")
        done = 0

        def count(_: object, seconds: float) -> None:
            nonlocal done
            done += 1

        works, _ = await load_stock(cast, known=set(known), report=count)
    print(f"world stock: {len(works)} works, their terms and offers, in {done} transactions")
    return 0


def main() -> int:
    """Load one world."""
    parser = argparse.ArgumentParser(prog="python -m examples.worlds")
    parser.add_argument("world", choices=("stock",))
    parser.add_argument("--ready-file", type=Path, required=True)
    args = parser.parse_args()
    try:
        return asyncio.run(stock(json.loads(args.ready_file.read_text(encoding="utf-8"))))
    except LicetError as error:
        print(f"worlds: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

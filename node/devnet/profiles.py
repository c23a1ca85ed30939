"""What a person at the command line needs of a development network: key files and profiles.

    FOLDER/keys/PARTY.key   the demo parties' keys, mode 0600 (everybody knows them: development only)
    FOLDER/licet.toml       a profile per demo party; `default` is the buyer's

`LICET_CONFIG=FOLDER/licet.toml` is then all that `licet` has to be told.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from licet.keys import save_key

from node.devnet.network import DEMO_PARTIES, NetworkFolder
from node.operations.keyfiles import development_key

FILE: Final = "licet.toml"
DEFAULT_LABEL: Final = "advertiser"


def write_profiles(network: NetworkFolder) -> Path:
    """Write keys that are missing, and the profiles; returns the profile file."""
    keys = network.folder / "keys"
    keys.mkdir(mode=0o700, exist_ok=True)
    target = ",".join(str(node.ports.api) for node in network.nodes)
    chain_id = network.genesis.chain_id().hex()
    lines = ["# Profiles of this development network: export LICET_CONFIG to this file's path."]
    for name, party in _profiles():
        path = keys / f"{party}.key"
        if not path.exists():
            save_key(path, development_key(party))
        lines += [
            "",
            f"[profile.{name}]",
            f'target = "{target}"',
            f'sender = "{party}"',
            f'key = "keys/{party}.key"',
            'genesis = "genesis.json"',
            f'expect_chain = "{chain_id}"',
        ]
    file = network.folder / FILE
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def _profiles() -> list[tuple[str, str]]:
    """Profile names and their parties."""
    named = [(one.party, one.party) for one in DEMO_PARTIES]
    default = next(one.party for one in DEMO_PARTIES if one.label == DEFAULT_LABEL)
    return [("default", default), *named]

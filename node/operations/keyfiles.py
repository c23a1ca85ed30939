"""Development keys: derived from public names, so that anyone can sign with them, and refused elsewhere.

Key files are `licet.keys`'s. A network whose genesis is not marked `dev` refuses every key made here, at
start and before anything is opened.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from licet.crypto import SigningKey
from licet.errors import Fault, LicetError
from licet.genesis import Genesis

# Names whose keys a development network may use: well known, so that anyone can sign with them there.
DEV_NODES: Final = tuple(f"n{index}" for index in range(1, 32))
DEV_PARTIES: Final = ("bank", "studio", "agency", "advertiser", "contributor1", "contributor2")


class DevelopmentKey(LicetError):
    """A publicly known key on a network that is not marked as a development network."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "DEVELOPMENT_KEY",
            f"The key of {name} is a development key that everybody knows, and this network is a real one.",
            fault=Fault.OPERATOR,
            remedy="Make a key with `python -m node keygen FILE` and a genesis with its public half.",
            facts={"name": name},
        )


def development_key(name: str) -> SigningKey:
    """The key of a name on every development network. It protects nothing."""
    return SigningKey(sha256(b"licet development key, worth nothing: " + name.encode()).digest())


def refuse_development_keys(genesis: Genesis) -> None:
    """Raise `DevelopmentKey` when one of a real network's keys is publicly known."""
    if genesis.dev:
        return
    known = {development_key(name).public_key for name in (*DEV_NODES, *DEV_PARTIES)}
    named = [(validator.name, validator.public_key) for validator in genesis.validators]
    named += [(party.party, party.public_key) for party in genesis.parties]
    for name, key in named:
        if key in known or key == development_key(name).public_key:
            raise DevelopmentKey(name)

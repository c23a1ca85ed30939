"""The network that is simulated: four validators, one bank, five parties with money.

Keys come from fixed seeds; a shallow state tree keeps a run cheap. Nothing here
depends on the seed of a run.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from hashlib import sha256
from typing import Final

from licet.certificate import CertificateKind
from licet.crypto import SigningKey
from licet.genesis import Currency, Genesis, GenesisParty, Parameters, Validator
from licet.types import ZERO_HASH, Height

from licensing_vm.transition import initial_entries
from node.storage.state_tree import StateTree

MIDNIGHT_MS: Final = 1_800_057_600_000  # 2027-01-16: a civil day ends in the middle of every run
START_MS: Final = MIDNIGHT_MS - 1_000
VALIDATORS: Final = 4
CURRENCY: Final = "EUR"
BANK: Final = "bank"
PARTIES: Final = ("ada", "ben", "cleo", "dora", "emil")
TREE_DEPTH: Final = 2


def _key(name: str) -> SigningKey:
    return SigningKey(sha256(f"simulator {name}".encode()).digest())


@cache
def validator_key(index: int) -> SigningKey:
    """The key of a validator."""
    return _key(f"validator {index}")


@cache
def party_key(name: str) -> SigningKey:
    """The key of a party that genesis names."""
    return _key(f"party {name}")


@cache
def later_key(name: str, number: int) -> SigningKey:
    """A key that a party makes later; `number` counts them."""
    return _key(f"party {name} {number}")


@cache
def make_genesis() -> Genesis:
    """The genesis of every run."""
    parties = [
        GenesisParty(
            party=BANK,
            name="Bank",
            kind="organization",
            public_key=party_key(BANK).public_key,
            roles=(f"issuer:{CURRENCY}",),
        )
    ]
    parties += [
        GenesisParty(party=name, name=name.title(), kind="person", public_key=party_key(name).public_key)
        for name in PARTIES
    ]
    genesis = Genesis(
        name="simulated",
        dev=True,
        time_ms=START_MS,
        nonce=bytes(16),
        certificate_kind=CertificateKind.SIMPLEX,
        validators=tuple(
            Validator(name=f"n{index + 1}", public_key=validator_key(index).public_key)
            for index in range(VALIDATORS)
        ),
        parameters=Parameters(tree_depth=TREE_DEPTH),
        currencies=(Currency(code=CURRENCY, scale=6),),
        parties=tuple(parties),
        initial_state_root=ZERO_HASH,
    )
    tree = StateTree(depth=TREE_DEPTH)
    update = tree.apply(Height(0), dict(initial_entries(genesis)))
    return replace(genesis, initial_state_root=update.root)

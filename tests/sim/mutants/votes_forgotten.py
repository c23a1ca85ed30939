"""Every start begins a new signing record, as if nothing had been voted before (C-10)."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from licet.types import PublicKey

from consensus import votelog
from consensus.config import ChainConfig
from node.ledger import assembly, recovery
from node.ledger.recovery import OpenedVotes
from node.storage.files import Files
from node.storage.schema import VOTES_FILE
from tests.sim.mutants.mutant import Mutant


def _patches() -> AbstractContextManager[Any]:
    honest = recovery.open_votes

    def open_votes(files: Files, *, chain: ChainConfig, public_key: PublicKey | None) -> OpenedVotes:
        assert public_key is not None
        files.remove(VOTES_FILE)
        file = files.create(VOTES_FILE)
        file.append(votelog.initial_file(chain.chain_id, public_key))
        file.sync()
        return honest(files, chain=chain, public_key=public_key)

    return patch.object(assembly, "open_votes", open_votes)


MUTANT = Mutant(
    name="votes_forgotten",
    breaks="the replica rebuilds its own votes from the guard's record at a restart",
    caught_by=("no_double_vote", "agreement"),
    patches=_patches,
    plan="everything",
)

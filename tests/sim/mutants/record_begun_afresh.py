"""A start without a signing record makes a new one, instead of following without a vote (C-10, C-11)."""

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
from node.storage.wal import VotesFile
from tests.sim.mutants.mutant import Mutant


def _patches() -> AbstractContextManager[Any]:
    honest = recovery.open_votes

    def open_votes(files: Files, *, chain: ChainConfig, public_key: PublicKey | None) -> OpenedVotes:
        opened = honest(files, chain=chain, public_key=public_key)
        if opened.record is not None or public_key is None:
            return opened
        files.remove(VOTES_FILE)
        VotesFile.create(files, votelog.initial_file(chain.chain_id, public_key)).close()
        return honest(files, chain=chain, public_key=public_key)

    return patch.object(assembly, "open_votes", open_votes)


MUTANT = Mutant(
    name="record_begun_afresh",
    breaks="a signing record is created by init alone, never by start",
    caught_by=("no_vote_without_record", "no_double_vote"),
    patches=_patches,
    plan="record_lost",
)

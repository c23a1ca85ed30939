"""A start takes what a killed process appended and never synced for durable, and sends it again."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from node.storage.files import Files
from node.storage.schema import VOTES_FILE
from node.storage.wal import VotesFile
from tests.sim.mutants.mutant import Mutant


def _patches() -> AbstractContextManager[Any]:
    def opened(files: Files, *, name: str = VOTES_FILE) -> VotesFile:
        return VotesFile(files, name, files.open(name))

    return patch.object(VotesFile, "open", opened)


MUTANT = Mutant(
    name="read_back_unsynced",
    breaks="durable before the message that depends on it leaves the process",
    caught_by=("durable_before_sent",),
    patches=_patches,
    plan="rolling_restarts",
)

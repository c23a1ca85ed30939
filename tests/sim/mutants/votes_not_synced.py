"""Votes leave before the signing record is synced (durable before send)."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from node.storage.wal import VotesFile
from tests.sim.mutants.mutant import Mutant


def _patches() -> AbstractContextManager[Any]:
    return patch.object(VotesFile, "sync", lambda self: None)


MUTANT = Mutant(
    name="votes_not_synced",
    breaks="durable before the message that depends on it leaves the process",
    caught_by=("durable_before_sent",),
    patches=_patches,
    plan="power_loss",
)

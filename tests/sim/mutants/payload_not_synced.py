"""A notarize leaves before its block and batches are synced (C-14)."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from node.storage.wal import PayloadFile
from tests.sim.mutants.mutant import Mutant


def _patches() -> AbstractContextManager[Any]:
    return patch.object(PayloadFile, "sync", lambda self: None)


MUTANT = Mutant(
    name="payload_not_synced",
    breaks="held means durable",
    caught_by=("durable_before_sent",),
    patches=_patches,
    plan="power_loss",
)

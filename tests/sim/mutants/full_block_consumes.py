"""A transaction that found its block full has used up its id, and takes effect no more."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from licensing_vm import transition
from tests.sim.mutants.mutant import Mutant


def _patches() -> AbstractContextManager[Any]:
    return patch.object(transition, "BLOCK_FULL", "")


MUTANT = Mutant(
    name="full_block_consumes",
    breaks="a full block refuses without using up the id",
    caught_by=("outcomes",),
    patches=_patches,
    plan="calm",
)

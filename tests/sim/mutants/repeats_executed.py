"""The index of used ids answers nothing: a transaction submitted twice takes effect twice."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from licensing_vm.recent import RecentIds
from tests.sim.mutants.mutant import Mutant


def _patches() -> AbstractContextManager[Any]:
    return patch.object(RecentIds, "find", lambda self, sender, id_: None)


MUTANT = Mutant(
    name="repeats_executed",
    breaks="exactly-once is by transaction id at execution",
    caught_by=("exactly_once", "money_conserved"),
    patches=_patches,
    plan="calm",
)

"""Every split begins from nothing: what was ever split under it is forgotten."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from licensing_vm.state import State
from tests.sim.mutants.mutant import Mutant


def _patches() -> AbstractContextManager[Any]:
    return patch.object(State, "total", lambda self, key: 0)


MUTANT = Mutant(
    name="split_forgets",
    breaks="a split keeps one integer, all money ever split under it (L-5)",
    caught_by=("money_conserved",),
    patches=_patches,
    plan="calm",
)

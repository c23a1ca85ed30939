"""Use of a day that has closed is taken, and nobody will ever owe for it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from licensing_vm.domain import usage
from tests.sim.mutants.mutant import Mutant


def _patches() -> AbstractContextManager[Any]:
    return patch.object(usage, "_open_for_use", lambda *_: None)


MUTANT = Mutant(
    name="late_use_counts",
    breaks="a report after its close is refused",
    caught_by=("outcomes",),
    patches=_patches,
    plan="calm",
)

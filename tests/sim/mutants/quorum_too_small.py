"""Two of four signatures make a certificate."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import PropertyMock, patch

from licet.certificate import ValidatorSet

from tests.sim.mutants.mutant import Mutant


def _patches() -> AbstractContextManager[Any]:
    return patch.object(ValidatorSet, "quorum", PropertyMock(return_value=2))


MUTANT = Mutant(
    name="quorum_too_small",
    breaks="q = n − f",
    caught_by=("chain_validity",),
    patches=_patches,
    plan="partitions",
)

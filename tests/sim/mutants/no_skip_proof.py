"""Nobody asks for nullifications of the views that a proposal skips (C-3)."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from consensus.core import Core
from tests.sim.mutants.mutant import Mutant


def _patches() -> AbstractContextManager[Any]:
    return patch.object(Core, "unjustified_skip", lambda self, first, last: None)


MUTANT = Mutant(
    name="no_skip_proof",
    breaks="every later proposal must show a nullification for each view it skips",
    caught_by=("agreement",),
    patches=_patches,
    plan="calm",
    adversary="stale_proposer",
)

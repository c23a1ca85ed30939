"""A key that was revoked goes on signing for its party."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from licet.transactions import RevokeKey

from licensing_vm.domain.table import COMMANDS, Rule
from tests.sim.mutants.mutant import Mutant


def _patches() -> AbstractContextManager[Any]:
    honest = COMMANDS[RevokeKey]
    deaf = Rule(honest.scope, lambda context, command: None, honest.cost)
    return patch("licensing_vm.transition.COMMANDS", {**COMMANDS, RevokeKey: deaf})


MUTANT = Mutant(
    name="revoked_key_signs",
    breaks="authority of keys is that of the block's time",
    caught_by=("outcomes",),
    patches=_patches,
    plan="calm",
)

"""A replica that times out nullifies the view before as well, whatever it voted there (C-4, C-10)."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import Any
from unittest.mock import patch

from licet.certificate import VoteKind
from licet.types import ZERO_HASH, Hash32, View

from consensus import voting
from consensus.core import Core
from consensus.guard import SignerGuard
from tests.sim.mutants.mutant import Mutant


def _patches() -> AbstractContextManager[Any]:
    honest_may, honest_nullify = SignerGuard.may, voting.nullify

    def may(self: SignerGuard, view: View, kind: VoteKind, digest: Hash32) -> str:
        why = honest_may(self, view, kind, digest)
        return "" if kind is VoteKind.NULLIFY and why == "it was voted final" else why

    def nullify(core: Core, why: str) -> bool:
        before = View(core.view - 1)
        done = honest_nullify(core, why)
        if done and before > core.finalized_view and core.own_vote(before, VoteKind.NULLIFY) is None:
            voting._cast(core, VoteKind.NULLIFY, before, ZERO_HASH)
        return done

    stack = ExitStack()
    stack.enter_context(patch.object(SignerGuard, "may", may))
    stack.enter_context(patch.object(voting, "nullify", nullify))
    return stack


MUTANT = Mutant(
    name="nullify_after_finalize",
    breaks="no honest replica sends both nullify(v) and finalize(·, v)",
    caught_by=("no_double_vote", "agreement"),
    patches=_patches,
    plan="everything",
)

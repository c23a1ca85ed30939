"""The guard signs finalize in a view that it nullified (C-5, C-10)."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from licet.certificate import VoteKind
from licet.types import Hash32, View

from consensus.guard import SignerGuard
from tests.sim.mutants.mutant import Mutant


def _patches() -> AbstractContextManager[Any]:
    honest = SignerGuard.may

    def may(self: SignerGuard, view: View, kind: VoteKind, digest: Hash32) -> str:
        why = honest(self, view, kind, digest)
        return "" if kind is VoteKind.FINALIZE and why == "it was nullified" else why

    return patch.object(SignerGuard, "may", may)


MUTANT = Mutant(
    name="finalize_after_nullify",
    breaks="no honest replica sends both nullify(v) and finalize(·, v)",
    caught_by=("no_double_vote", "agreement"),
    patches=_patches,
    plan="slow_links",
)

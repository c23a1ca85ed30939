"""The guard forgets its notarize when the leader sends another proposal (C-3, C-10)."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import Any
from unittest.mock import patch

from licet.certificate import VoteKind
from licet.types import ValidatorIndex

from consensus import voting
from consensus.core import Core
from consensus.intake import Intake
from consensus.messages import Message, Proposal
from tests.sim.mutants.mutant import Mutant


def _patches() -> AbstractContextManager[Any]:
    take, wants = voting.take_proposal, Intake._proposal

    def take_proposal(core: Core, proposal: Proposal, peer: ValidatorIndex) -> None:
        state = core.views.get(proposal.block.view)
        if state is not None and state.proposal is not None and state.proposal.id != proposal.block.id:
            state.proposal = None
            if core.guard is not None:
                core.guard._votes.get(proposal.block.view, {}).pop(VoteKind.NOTARIZE, None)
        take(core, proposal, peer)

    def wants_proposal(self: Intake, proposal: Proposal) -> Message | None:
        wanted = wants(self, proposal)
        return proposal if wanted is proposal.vote else wanted

    stack = ExitStack()
    stack.enter_context(patch.object(voting, "take_proposal", take_proposal))
    stack.enter_context(patch.object(Intake, "_proposal", wants_proposal))
    return stack


MUTANT = Mutant(
    name="double_notarize",
    breaks="none sends two different notarizes in one view",
    caught_by=("no_double_vote", "agreement"),
    patches=_patches,
    plan="calm",
    adversary="equivocator",
)

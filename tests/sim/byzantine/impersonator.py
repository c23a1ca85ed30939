"""Votes and proposes in other members' names, with its own key: the only one it has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from licet.certificate import Vote

from consensus.messages import Proposal, Resync
from node.core.effects import CoreSend
from tests.sim.byzantine.adversary import Adversary, Outgoing
from tests.sim.byzantine.equivocator import twin_of


class Impersonator(Adversary):
    """Repeats each of its votes as everybody else's."""

    name: ClassVar[str] = "impersonator"

    def rewrite(self, send: CoreSend) -> Iterable[Outgoing]:
        message = send.message
        yield from self.plain(message, send.to)
        if isinstance(message, Vote):
            for other in self.peers:
                yield from self.plain(replace(message, voter=other), send.to)
        elif isinstance(message, Resync) and message.votes:
            votes = tuple(replace(vote, voter=other) for other in self.peers for vote in message.votes[:8])
            yield from self.plain(replace(message, votes=votes), send.to)
        elif isinstance(message, Proposal):
            header = message.block.header
            later = replace(header, view=header.view + 1, proposer=(header.proposer + 1) % 4)
            block = twin_of(replace(message.block, header=later))
            vote = replace(message.vote, view=block.view, digest=block.id, voter=later.proposer)
            yield from self.plain(Proposal(block=block, vote=vote, justification=()), None)

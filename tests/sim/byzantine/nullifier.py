"""Nullifies every view, those to come as well, beside whatever else it votes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from licet.certificate import Vote, VoteKind

from consensus.messages import Proposal
from node.core.effects import CoreSend
from tests.sim.byzantine.adversary import Adversary, Outgoing


class Nullifier(Adversary):
    """One nullify is never enough for a certificate; three with two slow honest ones are."""

    name: ClassVar[str] = "nullifier"

    def rewrite(self, send: CoreSend) -> Iterable[Outgoing]:
        message = send.message
        if isinstance(message, Vote | Proposal):
            view = message.view if isinstance(message, Vote) else message.block.view
            for ahead in range(3):
                yield from self.plain(self.sign(view + ahead, VoteKind.NULLIFY), None)
        yield from self.plain(message, send.to)

"""Is slow on purpose: everything it says comes just before, or just after, the others' patience ends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from consensus.messages import Proposal
from node.core.effects import CoreSend
from tests.sim.byzantine.adversary import Adversary, Outgoing
from tests.sim.world import MS


class Delayer(Adversary):
    """Holds its proposals for most of t_leader, or every message, by the seed's choice."""

    name: ClassVar[str] = "delayer"

    def begin(self) -> None:
        self._all = self.world.chance(50)
        self._late_us = self.world.between(120, 205) * MS

    def rewrite(self, send: CoreSend) -> Iterable[Outgoing]:
        late = self._late_us if self._all or isinstance(send.message, Proposal) else 0
        return self.plain(send.message, send.to, late_us=late)

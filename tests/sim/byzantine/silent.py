"""Says nothing, or nothing from some moment on: a member that is just not there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from node.core.effects import CoreSend
from tests.sim.byzantine.adversary import Adversary, Outgoing
from tests.sim.world import MS


class Silent(Adversary):
    """Falls silent at a moment of the seed's choice, at once in half of them."""

    name: ClassVar[str] = "silent"

    def begin(self) -> None:
        self._silent_from = 0 if self.world.chance(50) else self.world.between(0, 1_500) * MS

    def rewrite(self, send: CoreSend) -> Iterable[Outgoing]:
        if self.world.now_us >= self._silent_from:
            return ()
        return self.plain(send.message, send.to)

"""Comes back again and again with a new, empty signing record, as if it had never voted."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from node.ledger import assembly
from node.storage.schema import VOTES_FILE
from tests.sim.byzantine.adversary import Adversary
from tests.sim.genesis import make_genesis
from tests.sim.world import MS


class Amnesiac(Adversary):
    """An operator who 'repairs' a node by `init`, every few hundred milliseconds."""

    name: ClassVar[str] = "amnesiac"

    def begin(self) -> None:
        at = 200 * MS
        while at < 2_500 * MS:
            at += self.world.between(50, 400) * MS
            self.world.at(at, partial(self._forget))

    def _forget(self) -> None:
        node = self.node
        node.crash(power=False, why="forgets")
        node.disk.remove(VOTES_FILE)
        chain = assembly.chain_config(make_genesis(), node.key.public_key)
        assembly.create_signing_record(node.disk, chain=chain, public_key=node.key.public_key)
        self.cluster.start(node)

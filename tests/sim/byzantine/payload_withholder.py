"""Orders batches that hardly anybody holds: it gossips its own to one peer at most and answers no request."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import ClassVar

from licet.builder import build_transaction
from licet.transactions import Money, Transfer

from node.core.effects import CoreSend
from node.net.peer_messages import Batches, BatchesMissing, BatchOffer
from tests.sim.byzantine.adversary import Adversary, Outgoing
from tests.sim.genesis import CURRENCY, PARTIES, make_genesis, party_key
from tests.sim.world import MS


class PayloadWithholder(Adversary):
    """Has clients of its own, so that it has batches to withhold."""

    name: ClassVar[str] = "payload_withholder"

    def begin(self) -> None:
        self._told = self.world.between(0, 2)  # how many peers get a batch
        for _ in range(6):
            self.world.at(self.world.between(100, 1_500) * MS, partial(self._own_client))

    def _own_client(self) -> None:
        if not self.node.up:
            return
        sender, receiver = self.world.random.sample(PARTIES, 2)
        signed = build_transaction(
            chain_id=make_genesis().chain_id(),
            sender=sender,
            commands=(Transfer(to=receiver, amount=Money(currency=CURRENCY, minor=1)),),
            valid_until_ms=self.node.ledger_now_ms() + 60_000,
            keys=(party_key(sender),),
            id=self.world.random.randbytes(16),
        )
        self.node.submit(signed.raw)

    def rewrite(self, send: CoreSend) -> Iterable[Outgoing]:
        message = send.message
        if isinstance(message, BatchOffer | BatchesMissing):
            return ()
        if isinstance(message, Batches):
            if send.to is not None:
                return ()
            lucky = self.world.random.sample(self.peers, self._told)
            return [Outgoing(to=peer, message=message) for peer in lucky]
        return self.plain(message, send.to)

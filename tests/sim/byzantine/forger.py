"""Forges certificates: too few signers, one signer many times, signatures of other votes, of nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from licet.certificate import FIRST_EPOCH, Certificate, CertificateKind, Vote, VoteKind
from licet.types import ZERO_HASH, Hash32, Signature, ValidatorIndex, View

from node.core.effects import CoreSend
from tests.sim.byzantine.adversary import Adversary, Outgoing
from tests.sim.genesis import VALIDATORS


class Forger(Adversary):
    """Sends a forgery with every vote."""

    name: ClassVar[str] = "forger"

    def rewrite(self, send: CoreSend) -> Iterable[Outgoing]:
        yield from self.plain(send.message, send.to)
        if isinstance(send.message, Vote):
            yield from self.plain(self._forgery(send.message), None)

    def _forgery(self, vote: Vote) -> Certificate:
        kind = self.world.random.choice(list(VoteKind))
        digest = ZERO_HASH if kind is VoteKind.NULLIFY else Hash32(self.world.random.randbytes(32))
        own = self.sign(vote.view, kind, digest).signature
        way = self.world.between(0, 3)
        claimed: dict[ValidatorIndex, Signature] = {
            ValidatorIndex(index): {
                0: own,  # one signature in everybody's name
                1: vote.signature,  # of another vote
                2: Signature(self.world.random.randbytes(64)),
                3: own,
            }[way]
            for index in range(VALIDATORS)
        }
        if way == 3:  # its own alone
            claimed = {self.index: own}
        return Certificate.build(
            scheme=CertificateKind.SEQUENCER if self.world.chance(20) else CertificateKind.SIMPLEX,
            kind=kind,
            epoch=FIRST_EPOCH,
            view=View(vote.view + self.world.between(0, 2)),
            digest=digest,
            signatures=claimed,
            n=VALIDATORS,
        )

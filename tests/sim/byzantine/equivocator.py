"""Proposes two blocks in one view, votes for both, and both nullifies and finalises whatever it can."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from licet.certificate import Header, Vote, VoteKind, payload_root
from licet.types import TimestampMs

from consensus.messages import Proposal
from consensus.types import Block
from node.core.effects import CoreSend
from tests.sim.byzantine.adversary import Adversary, Outgoing


class Equivocator(Adversary):
    """Never says one thing where it could say two."""

    name: ClassVar[str] = "equivocator"

    def rewrite(self, send: CoreSend) -> Iterable[Outgoing]:
        message = send.message
        if isinstance(message, Proposal):
            yield from self._two_proposals(message)
            return
        yield from self.plain(message, send.to)
        if isinstance(message, Vote) and message.kind is not VoteKind.NOTARIZE:
            yield from self._the_opposite(message)

    def _two_proposals(self, one: Proposal) -> Iterable[Outgoing]:
        other = replace(one, block=twin_of(one.block), vote=one.vote)
        other = replace(other, vote=self.sign(one.block.view, VoteKind.NOTARIZE, other.block.id))
        way = self.world.between(0, 2)
        for number, peer in enumerate(self.world.random.sample(self.peers, len(self.peers))):
            first, second = (one, other) if number % 2 else (other, one)
            yield Outgoing(to=peer, message=first)
            if way == 1:  # everybody gets both, in different order
                yield Outgoing(to=peer, message=second, late_us=self.world.between(0, 3_000))
            elif way == 2:  # and votes for the other, so that both may gather a quorum
                yield Outgoing(to=peer, message=second.vote)
        for block in (one.block, other.block):
            yield from self.plain(self.sign(block.view, VoteKind.FINALIZE, block.id), None, late_us=4_000)

    def _the_opposite(self, vote: Vote) -> Iterable[Outgoing]:
        if vote.kind is VoteKind.FINALIZE:
            return self.plain(self.sign(vote.view, VoteKind.NULLIFY), None)
        proposal = self.node.parts.core.ordering.status(self.node.clock.mono_us())
        digest = self.world.random.randbytes(32) if proposal.view == vote.view else bytes(31) + b"\1"
        return self.plain(self.sign(vote.view, VoteKind.FINALIZE, digest), None)


def twin_of(block: Block) -> Block:
    """Another block that is as valid: a moment later, and empty."""
    header: Header = block.header
    later = TimestampMs(header.timestamp_ms + 1)
    return Block(header=replace(header, timestamp_ms=later, payload_root=payload_root(())), digests=())

"""A real driver that lacks a proposed batch: what it asks whom, and what two answers cost it (C-14)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from licet.certificate import VoteKind, sign_vote
from licet.types import Epoch, ValidatorIndex

from consensus import codec
from consensus.messages import Proposal
from node.core.batches import BatchForm
from node.core.verifier import BatchWork, Verifier
from node.net.peer_messages import Batches, BatchRequest, ConsensusMessage, PeerMessage
from tests.unit.node.core import world
from tests.unit.node.driver.world import members

LEADER, AUTHOR, OTHER = ValidatorIndex(1), ValidatorIndex(2), ValidatorIndex(3)


@dataclass
class Peer:
    """A validator that notes what it is told."""

    heard: list[PeerMessage] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def connected(self, peer: ValidatorIndex) -> None:
        pass

    def lost(self, peer: ValidatorIndex) -> None:
        pass

    def misbehaved(self, peer: ValidatorIndex, why: str) -> None:
        pass

    async def room(self, peer: ValidatorIndex) -> None:
        pass

    def received(self, peer: ValidatorIndex, messages: Sequence[PeerMessage], size: int) -> None:
        self.heard += messages
        self.news.set()

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not done():
                self.news.clear()
                await self.news.wait()

    def asked(self) -> list[PeerMessage]:
        return [one for one in self.heard if isinstance(one, BatchRequest)]


async def test_leader_and_author_are_asked_and_the_second_answer_is_not_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = members(world.genesis(4), tmp_path)[0]
    peers = {index: Peer() for index in (LEADER, AUTHOR, OTHER)}
    driver = await me.start()
    for index, peer in peers.items():
        me.hub.join(index, peer)
    batch, last = world.batch(AUTHOR, [1]), world.batch(OTHER, [2])
    block = world.block((batch.digest,))
    vote = sign_vote(
        world.key(f"v{LEADER}"),
        kind=VoteKind.NOTARIZE,
        chain_id=me.genesis.chain_id(),
        epoch=Epoch(0),
        view=block.view,
        digest=block.id,
        voter=LEADER,
    )
    proposal = codec.encode(Proposal(block=block, justification=(), vote=vote))
    verified: list[bytes] = []
    all_seen = asyncio.Event()
    verify = Verifier.batch

    def counted(self: Verifier, form: BatchForm, *, trusted: bool = False) -> BatchWork:
        verified.append(form.raw)
        if form.author == OTHER:
            all_seen.set()
        return verify(self, form, trusted=trusted)

    monkeypatch.setattr(Verifier, "batch", counted)
    try:
        driver.received(LEADER, [ConsensusMessage(data=proposal, authors=(AUTHOR,))], 0)
        for index in (LEADER, AUTHOR):
            await peers[index].until(lambda peer=peers[index]: bool(peer.asked()))
            assert peers[index].asked() == [BatchRequest(digests=(batch.digest,))]
        assert peers[OTHER].asked() == []
        answer = Batches(batches=(batch.raw,))
        for index in (LEADER, AUTHOR):
            driver.received(index, [answer], 0)
        # Once the last is looked at, so were all the copies before it.
        driver.received(OTHER, [Batches(batches=(batch.raw, last.raw))], 0)
        async with asyncio.timeout(10):
            await all_seen.wait()
        assert verified == [batch.raw, last.raw]
        assert driver.node.core.pool.get(batch.digest) is not None
    finally:
        await me.stop()

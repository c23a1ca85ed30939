"""Random schedules: whatever the network, the disks and one liar do, no fork; and life after healing.

A failing seed is replayed by `run(seed)`; it stays in `SEEDS` for good.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from licet.certificate import FIRST_EPOCH, Header, Vote, VoteKind, payload_root, sign_vote
from licet.types import ZERO_HASH, Hash32, TimestampMs, ValidatorIndex, View

from consensus.effects import Send
from consensus.messages import Proposal
from consensus.types import Block
from tests.unit.consensus.harness import CHAIN, KEYS, Node, World, digest

TROUBLE_US = 2_000_000
HEAL_US = 8_000_000  # virtual time after which everything must be ordered


def _sign(node: Node, kind: VoteKind, view: View, what: Hash32) -> Vote:
    return sign_vote(
        KEYS[node.index],
        kind=kind,
        chain_id=CHAIN,
        epoch=FIRST_EPOCH,
        view=view,
        digest=what,
        voter=ValidatorIndex(node.index),
    )


def equivocate(node: Node, send: Send) -> Iterable[Send]:
    """Two proposals in a view, one for each half; and every vote that helps either."""
    world = node.world
    message = send.message
    others = [other.index for other in world.nodes if other is not node]
    if isinstance(message, Proposal):
        header = message.block.header
        twin_header = Header(
            chain_id=header.chain_id,
            epoch=header.epoch,
            view=header.view,
            height=header.height,
            parent_id=header.parent_id,
            parent_view=header.parent_view,
            timestamp_ms=TimestampMs(header.timestamp_ms + 1),
            proposer=header.proposer,
            payload_root=payload_root(()),
            executed=header.executed,
        )
        twin = Block(header=twin_header, digests=())
        second = Proposal(
            block=twin,
            justification=message.justification,
            vote=_sign(node, VoteKind.NOTARIZE, header.view, twin.id),
        )
        half = world.random.randint(0, len(others))
        for other in others[:half]:
            yield Send(message=message, to=other)
            yield Send(message=second.vote, to=other)
        for other in others[half:]:
            yield Send(message=second, to=other)
            yield Send(message=message.vote, to=other)
        for other in others:
            yield Send(message=_sign(node, VoteKind.FINALIZE, header.view, twin.id), to=other)
            yield Send(message=_sign(node, VoteKind.NULLIFY, header.view, ZERO_HASH), to=other)
        return
    yield send
    if isinstance(message, Vote) and message.kind is VoteKind.NOTARIZE:
        yield Send(message=_sign(node, VoteKind.FINALIZE, message.view, message.digest), to=send.to)
        yield Send(message=_sign(node, VoteKind.NULLIFY, message.view, ZERO_HASH), to=send.to)


def _crash_and_restart(world: World, node: Node) -> None:
    """A crash at a random persistence point, or at once; a restart some time later."""
    if node.replica is None:
        return
    if world.random.random() < 0.7:
        node.crash_at = world.random.randint(0, 12)
    else:
        node.crash()

    def restart() -> None:
        if node.replica is not None:
            node.crash()
        node.crash_at = None
        node.start()

    world.at(world.now_us + world.random.randint(10_000, 600_000), restart)


def _power_loss(world: World) -> None:
    for node in world.nodes:
        if node.replica is not None:
            node.crash()
    for node in world.nodes:
        world.at(world.now_us + world.random.randint(1_000, 300_000), lambda node=node: _start(node))


def _start(node: Node) -> None:
    if node.replica is None:
        node.crash_at = None
        node.start()


def _partition(world: World) -> None:
    cut = world.random.randint(1, world.n - 1)
    links = {(a, b) for a in range(world.n) for b in range(world.n) if (a < cut) != (b < cut)}
    if world.random.random() < 0.3:  # one direction only
        links = {(a, b) for a, b in links if a < b}
    world.blocked |= links
    world.at(
        world.now_us + world.random.randint(50_000, 700_000), lambda: world.blocked.difference_update(links)
    )


def run(seed: int, *, liar: bool = False) -> World:
    """One schedule: trouble for a while, then healing, then everything is ordered."""
    world = World(seed=seed, delay_us=(100, 100 + (seed % 7) * 1500))
    rng = world.random
    world.loss = rng.choice((0.0, 0.0, 0.05, 0.2))
    world.duplicate = rng.choice((0.0, 0.1))
    if liar:
        world.rewrite[rng.randrange(world.n)] = equivocate
    world.start()
    for number in range(rng.randint(3, 12)):
        world.at(rng.randint(0, TROUBLE_US), lambda number=number: world.submit(number))
    honest = [node for node in world.nodes if node.index not in world.rewrite]
    for _ in range(rng.randint(0, 4)):
        trouble = rng.choice(("crash", "crash", "partition", "power"))
        when = rng.randint(0, TROUBLE_US)
        if trouble == "crash":
            node = rng.choice(honest)
            world.at(when, lambda node=node: _crash_and_restart(world, node))
        elif trouble == "partition":
            world.at(when, lambda: _partition(world))
        else:
            world.at(when, lambda: _power_loss(world))

    def heal() -> None:
        world.loss = world.duplicate = 0.0
        world.blocked.clear()
        for node in honest:
            node.crash_at = None

    world.at(TROUBLE_US + 800_000, heal)
    world.run(TROUBLE_US + 800_001)
    world.submit("last")
    ordered = world.run(world.now_us + HEAL_US, lambda: world.all_ordered(honest))
    assert ordered, f"seed {seed}: heights {[node.height for node in world.nodes]}"
    return world


@pytest.mark.parametrize("block", range(10))
def test_no_fork_and_life_after_healing(block: int) -> None:
    for seed in range(block * 10, block * 10 + 10):
        run(seed)


@pytest.mark.parametrize("block", range(10))
def test_one_equivocating_leader(block: int) -> None:
    for seed in range(1000 + block * 10, 1000 + block * 10 + 10):
        run(seed, liar=True)


def test_evidence_of_the_liar_is_kept() -> None:
    world = run(1001, liar=True)
    (liar,) = world.rewrite
    kept = [
        one for node in world.nodes if node.index != liar and node.replica for one in node.replica.evidence()
    ]
    assert kept
    assert {one.voter for one in kept} == {liar}


def test_the_same_seed_is_the_same_schedule() -> None:
    assert run(7).trace.hexdigest() == run(7).trace.hexdigest()
    assert digest(1) != digest(2)

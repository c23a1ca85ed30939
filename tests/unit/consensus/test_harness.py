"""A suite that catches no mutant proves nothing: the harness sees broken guards and forgotten votes."""

from __future__ import annotations

import pytest
from licet.certificate import VoteKind
from licet.types import Hash32, PublicKey, View

from consensus import votelog
from consensus.guard import SignerGuard
from tests.unit.consensus.harness import CHAIN, KEYS, Node, World
from tests.unit.consensus.test_schedules import run

SEEDS = range(40)


def caught(*, liar: bool = False) -> int:
    """In how many schedules a checker, or the replica's own assertion, spoke up."""
    count = 0
    for seed in SEEDS:
        try:
            run(seed, liar=liar)
        except AssertionError:
            count += 1
    return count


def test_finalize_after_nullify_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = SignerGuard.may

    def may(self: SignerGuard, view: View, kind: VoteKind, digest: Hash32) -> str:
        why = honest(self, view, kind, digest)
        return "" if why == "it was nullified" and kind is VoteKind.FINALIZE else why

    monkeypatch.setattr(SignerGuard, "may", may)
    assert caught()


def test_votes_forgotten_at_a_restart_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    start = Node.start

    def forgetful(self: Node) -> None:
        self.disk.votes = votelog.initial_file(CHAIN, PublicKey(KEYS[self.index].public_key))
        start(self)

    monkeypatch.setattr(Node, "start", forgetful)
    assert caught()


def power_loss_at(after_us: int) -> bool:
    """All four lose power at one moment of ordering a batch; whether they order it after the restart."""
    world = World(delay_us=(100, 100))
    world.start()
    world.run(50_000)
    world.submit(1)
    world.run(world.now_us + after_us)
    for node in world.nodes:
        node.crash()
    for node in world.nodes:
        node.start()
    world.submit(2)
    return world.run(world.now_us + 5_000_000, world.all_ordered)


def test_c14_all_nodes_losing_power_at_once_lose_nothing() -> None:
    assert all(power_loss_at(after_us) for after_us in range(0, 1_600, 50))


def test_a_payload_file_that_forgets_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks lost with the power that votes depended on: nobody can supply them any more."""
    start = Node.start

    def forgetful(self: Node) -> None:
        self.disk.payload = {}
        start(self)

    monkeypatch.setattr(Node, "start", forgetful)
    assert not all(power_loss_at(after_us) for after_us in range(0, 1_600, 50))


def test_nothing_is_caught_of_the_honest_code() -> None:
    assert not caught()

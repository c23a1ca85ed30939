"""C-13 to its end: a node that executed differently finds out where, from its peers, and says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from licet.entities import CASH, balance_key
from licet.types import Hash32

from node.api.isolation import isolation_message
from node.core.comparing import Difference
from node.core.isolation import IsolationReport, Verdict
from node.limits import WRITES_SILENCE_US
from node.net.peer_messages import PeerMessage, WritesPage
from node.operations.isolation import isolation_fields
from tests.sim.genesis import BANK, CURRENCY, PARTIES
from tests.sim.memo import memoised
from tests.sim.run import Run
from tests.sim.shell import SimNode
from tests.sim.test_outages import begun
from tests.sim.world import MS, SECOND

NAMES = ("n1", "n2", "n3", "n4")


def flip(node: SimNode) -> dict[bytes, int]:
    """A bit of memory flips at every balance that the node holds; what stood there."""
    live = node.parts.machine._state._live
    keys = [balance_key(party, CASH, BANK, CURRENCY) for party in PARTIES]
    before = {key: live[key] for key in keys if type(live.get(key)) is int}
    live.update({key: value + 1_024 for key, value in before.items()})
    assert before
    return before


def first_writer(node: SimNode, height: int, keys: set[bytes]) -> tuple[int, int, bytes]:
    """Height, position and key of the first write to one of these keys above a height."""
    while True:
        height += 1
        block = node.parts.core._writes._source.at(height)  # type: ignore[arg-type]
        assert block is not None
        while not block.prepare():
            pass
        for row in block.rows(0, 1_000):
            if row.key in keys:
                return height, row.position, row.key


def report_of(node: SimNode) -> IsolationReport:
    report = node.parts.core.isolation
    assert report is not None
    return report


def spoiled(memo: object, *, after_s: int = 3) -> tuple[Run, SimNode, tuple[int, int, bytes]]:
    """A run in which node 1 computes wrongly from a height on; where that shows first."""
    run = begun(2, memo)
    victim, witness = run.cluster.nodes[1], run.cluster.nodes[0]
    height = victim.height
    keys = set(flip(victim))
    run.workload.transfers(6, run.world.now_us + 1, run.world.now_us + 400 * MS)
    run.world.run_until(run.world.now_us + after_s * SECOND)
    assert [node for node, _ in run.cluster.history.isolated] == [victim.index]
    return run, victim, first_writer(witness, height, keys)


def test_the_first_key_and_the_transaction_that_wrote_it_are_named() -> None:
    with memoised() as memo:
        run, victim, (height, position, key) = spoiled(memo)
        main = report_of(victim).main
        assert main is not None
        found = main.verdict
        assert isinstance(found, Difference)
        assert (found.height, found.position, found.key) == (height, position, key)
        block = run.cluster.nodes[0].parts.core._writes._source.at(found.height)
        assert block is not None
        theirs = next(row for row in block.rows(0, 1_000) if (row.position, row.key) == (position, key))
        assert (found.transaction, found.theirs) == (theirs.transaction, theirs.value)
        own = next(
            row
            for row in victim.parts.core._divergence._own[found.height].rows(0, 1_000)
            if (row.position, row.key) == (position, key)
        )
        assert found.ours == own.value != found.theirs
        assert (main.peers, main.attested) == ((0, 2, 3), True)
        sentence = report_of(victim).sentence(NAMES)
        assert f"key {key.decode()}" in sentence
        assert found.transaction.hex() in sentence
        assert sentence.endswith("attested by n1, n3, n4")
        fields = isolation_fields(report_of(victim), NAMES)
        assert fields["key"] == f"key {key.decode()}"
        message = isolation_message(report_of(victim), NAMES)
        assert message is not None
        assert message.findings[0].transaction_hash == found.transaction
        assert list(message.findings[0].peers) == ["n1", "n3", "n4"]


def test_a_peer_that_lies_about_it_is_outvoted_by_two_that_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = SimNode._message_events

    def told(node: SimNode, peer: Any, message: PeerMessage) -> Any:
        if isinstance(message, WritesPage) and peer == 3 and message.rows:
            first = message.rows[0]._replace(value=Hash32(b"\7" * 32))
            message = replace(message, rows=(first, *message.rows[1:]))
        return honest(node, peer, message)

    monkeypatch.setattr(SimNode, "_message_events", told)
    with memoised() as memo:
        _, victim, (height, position, key) = spoiled(memo)
        main = report_of(victim).main
        assert main is not None
        assert isinstance(main.verdict, Difference)
        assert (main.verdict.height, main.verdict.position, main.verdict.key) == (height, position, key)
        assert (main.peers, main.attested) == ((0, 2), True)
        assert sorted(one.peers for one in report_of(victim).findings) == [(0, 2), (3,)]


def test_where_only_the_tree_differs_that_is_what_it_says() -> None:
    with memoised() as memo:
        run = begun(2, memo)
        victim = run.cluster.nodes[1]
        executor = victim.parts.executor
        apply = executor._state.apply

        def damaged(*args: Any, **kwargs: Any) -> Any:
            return replace(apply(*args, **kwargs), root=Hash32(b"\5" * 32))

        executor._state.apply = damaged  # type: ignore[method-assign]
        run.workload.transfers(4, run.world.now_us + 1, run.world.now_us + 400 * MS)
        run.world.run_until(run.world.now_us + 3 * SECOND)
        main = report_of(victim).main
        assert main is not None
        assert (main.verdict, main.peers, main.attested) == (Verdict.TREE, (0, 2, 3), True)


def test_a_restart_stays_isolated_and_says_that_its_writes_are_gone() -> None:
    with memoised() as memo:
        run, victim, _ = spoiled(memo)
        victim.crash(power=False, why="its operator restarts it")
        run.world.run_until(run.world.now_us + 100 * MS)
        run.cluster.start(victim)
        votes = len([vote for vote in run.cluster.history.votes if vote.voter == victim.index])
        run.workload.transfers(3, run.world.now_us + 1, run.world.now_us + 400 * MS)
        run.world.run_until(run.world.now_us + 3 * SECOND)
        status = victim.parts.core.ordering.status(victim.clock.mono_us())
        assert status.isolated
        assert not status.voting
        assert report_of(victim).own_lost
        cast = [vote for vote in run.cluster.history.votes if vote.voter == victim.index]
        assert len(cast) <= votes + 2, "at most a nullify before it heard of it again"


def test_an_isolated_node_without_peers_says_so_and_asks_them_when_they_come_back() -> None:
    with memoised() as memo:
        run = begun(2, memo)
        victim = run.cluster.nodes[1]
        flip(victim)
        run.workload.transfers(6, run.world.now_us + 1, run.world.now_us + 400 * MS)
        assert run.world.run_until(run.world.now_us + 3 * SECOND, lambda: bool(run.cluster.history.isolated))
        run.cluster.partition(((0, 2, 3), (1,)), told=True)
        run.world.run_until(run.world.now_us + WRITES_SILENCE_US + SECOND)
        assert report_of(victim).silent
        assert report_of(victim).main is None
        run.cluster.heal()
        run.world.run_until(run.world.now_us + 3 * SECOND)
        main = report_of(victim).main
        assert main is not None
        assert main.attested

"""C-13 to its end: a node that executed differently finds out where, from its peers, and says so."""

from __future__ import annotations

from collections.abc import Callable

from licet.entities import CASH, balance_key

from node.core.comparing import Difference
from node.core.isolation import IsolationReport
from tests.sim.genesis import BANK, CURRENCY, PARTIES
from tests.sim.memo import memoised
from tests.sim.run import Run
from tests.sim.shell import SimNode
from tests.sim.test_outages import begun
from tests.sim.world import MS, SECOND

NAMES = ("n1", "n2", "n3", "n4")
Spoil = Callable[[SimNode], None]


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

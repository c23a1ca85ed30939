"""Clocks that are set back stop neither the chain nor its transactions (C-3)."""

from __future__ import annotations

from functools import partial

from licet.types import Height

from node.ledger.indexes import receipts_after
from tests.sim.checkers import check_all
from tests.sim.cluster import Cluster
from tests.sim.genesis import START_MS
from tests.sim.run import run_plan
from tests.sim.trouble import START_US
from tests.sim.world import MS

HOUR_MS = 3_600_000


def set_back(cluster: Cluster, heal_us: int) -> None:
    """Everybody's time of day falls back an hour, within forty milliseconds."""
    for number, node in enumerate(cluster.nodes):
        cluster.world.at(START_US + number * 10 * MS, partial(node.clock.step, -HOUR_MS))


def one_ahead(cluster: Cluster, heal_us: int) -> None:
    """One member's clock runs an hour ahead: its proposals are refused, and nothing else happens."""
    cluster.world.at(START_US, partial(cluster.nodes[2].clock.step, HOUR_MS))


def test_an_hour_back() -> None:
    run = run_plan(21, set_back)
    assert not check_all(run.cluster.history), run.outcome().failures
    store = run.cluster.nodes[0].storage
    late = [one.read() for one in receipts_after(store, Height(10), -1)]
    assert late, "transactions after the step are ordered"
    assert all(receipt.refusal is None or receipt.refusal.code != "TX_EXPIRED" for receipt in late)
    assert all(receipt.timestamp_ms >= START_MS for receipt in late), "block time never falls"


def test_one_clock_ahead() -> None:
    run = run_plan(22, one_ahead)
    history = run.cluster.history
    assert not check_all(history), run.outcome().failures
    ahead = START_MS + HOUR_MS // 2
    assert not [seen for seen in history.blocks if seen.block.header.timestamp_ms > ahead]

"""Turned away with the id unused: the same bytes, or the same body under another key, take effect once."""

from __future__ import annotations

from collections import Counter

from licet.types import Height

from node.ledger.indexes import receipts_after
from tests.sim.checkers import check_all
from tests.sim.checkers.replay import replay
from tests.sim.cluster import Cluster
from tests.sim.load import load_of
from tests.sim.run import Run, run_plan


def calm(cluster: Cluster, heal_us: int) -> None:
    """No other trouble."""


def lossy(cluster: Cluster, heal_us: int) -> None:
    """A fifth of all frames is lost."""
    for link in cluster.network.links():
        link.loss_percent = 20


def _once(run: Run, code: str) -> int:
    """How many transactions were turned away for this reason; each used up its id once."""
    history = run.cluster.history
    assert not check_all(history), run.outcome().failures
    turned = {one.transaction for one in history.turned if one.code == code}
    store = run.cluster.nodes[0].storage
    used = Counter(
        receipt.transaction_hash
        for stored in receipts_after(store, Height(0), -1)
        if (receipt := stored.read()).consumed
    )
    assert all(used[one] == 1 for one in turned)
    return len(turned)


def test_what_found_the_block_full_is_ordered_once() -> None:
    """Sent again to one or to several at once (C-16)."""
    assert load_of(4).block_workers
    run = run_plan(4, calm)
    assert _once(run, "BLOCK_FULL") >= 3
    assert replay(run.cluster.nodes[0].storage).full >= 3
    assert _once(run_plan(4, lossy), "BLOCK_FULL") >= 3


def test_what_a_revoked_key_signed_is_signed_again() -> None:
    """One hash, two sets of signatures, both on their way."""
    assert load_of(4).keys
    run = run_plan(4, calm)
    assert _once(run, "NO_AUTHORITY") >= 3


def test_every_part_of_the_load_is_met() -> None:
    """The seeds that every test run plays draw each kind of load, and all of them together."""
    loads = [load_of(seed) for seed in range(200)]
    for met in (
        lambda load: load.shop,
        lambda load: load.meters and load.keys and load.block_workers,
        lambda load: load.meters and not load.block_workers,
        lambda load: load == type(load)(),
    ):
        assert sum(bool(met(load)) for load in loads) >= 5

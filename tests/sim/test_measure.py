"""The idle network: a few milliseconds to finality, one empty block that anchors it, then silence (C-9)."""

from __future__ import annotations

from tests.sim.measure import measure_idle
from tests.sim.world import MS


def test_idle_finality() -> None:
    idle = measure_idle(transactions=60)
    assert idle.percentile(50) < 4.5, idle.latencies_us
    assert idle.percentile(99) < 8, idle.latencies_us
    assert set(idle.blocks) == {2}, "the transaction's block, and one that anchors it"
    assert set(idle.empty) == {1}
    assert max(idle.anchored_us) < 50 * MS, "pacing (25 ms), then three hops"
    assert all(idle.silent)


def test_with_one_dead() -> None:
    idle = measure_idle(transactions=60, dead=2)
    assert idle.percentile(50) < 6, idle.latencies_us
    assert idle.percentile(99) < 30, idle.latencies_us
    assert all(idle.silent)

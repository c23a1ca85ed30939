"""Whoever executes a height gets the same roots, and the stores hold the same state."""

from __future__ import annotations

from tests.sim.history import History


def check(history: History) -> list[str]:
    """Roots by height over all lives; balances of stores at one height, record by record."""
    problems: list[str] = []
    seen: dict[int, tuple[object, int]] = {}
    for one in history.blocks:
        if one.node not in history.honest:
            continue
        first = seen.setdefault(one.roots.height, (one.roots, one.node))
        if first[0] != one.roots:
            problems.append(
                f"height {one.roots.height}: other roots at node {first[1]} than at node {one.node}"
            )
        if one.roots.height != one.block.height:
            problems.append(f"node {one.node} reports roots of {one.roots.height} for {one.block.height}")
    states: dict[int, tuple[list[tuple[bytes, bytes]], int]] = {}
    for node, store in history.stores.items():
        entries = store.scan(b"", limit=100_000)
        first_state = states.setdefault(store.height or 0, (entries, node))
        if first_state[0] != entries:
            problems.append(f"nodes {first_state[1]} and {node} differ in state at height {store.height}")
    return problems

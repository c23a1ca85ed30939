"""Honest processes end only for their disk's sake, meet no bug, and never disagree with a quorum on roots."""

from __future__ import annotations

from tests.sim.history import History


def check(history: History) -> list[str]:
    """Assertions that failed, and nodes that isolated themselves."""
    problems = [
        f"node {panic.node} ended at {panic.tick_us}: {panic.why}"
        for panic in history.panics
        if not panic.expected and panic.node not in history.byzantine
    ]
    problems += [
        f"node {node} contained a bug of ours: {text}"
        for node, text in history.faults
        if node not in history.byzantine
    ]
    problems += [
        f"node {node} isolated itself at height {height}"
        for node, height in history.isolated
        if node not in history.byzantine
    ]
    return problems

"""No two honest nodes ever call different blocks final at one height, nor one node over time."""

from __future__ import annotations

from tests.sim.history import History


def check(history: History) -> list[str]:
    """Commits of the ordering engines and executed blocks, all heights, all lives."""
    seen: dict[int, tuple[bytes, int]] = {}
    problems: list[str] = []
    honest = set(history.honest)
    finals = [(one.node, one.height, one.block_id) for one in history.commits]
    finals += [(one.node, one.block.height, one.block.id) for one in history.blocks]
    for node, height, block_id in finals:
        if node not in honest:
            continue
        first = seen.setdefault(height, (block_id, node))
        if first[0] != block_id:
            problems.append(
                f"height {height}: {first[0].hex()[:12]} at node {first[1]}, "
                f"{block_id.hex()[:12]} at node {node}"
            )
    return problems

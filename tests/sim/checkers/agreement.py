"""No two blocks beside each other are ever final: at honest nodes over all their lives, and on the wire.

On the wire a block is final as soon as a quorum has signed finalize for it,
whether or not any node has put the votes together: a fork that makes the nodes
stop in time is still a fork.
"""

from __future__ import annotations

from itertools import pairwise

from tests.sim.checkers.arithmetic import quorum, signed
from tests.sim.genesis import make_genesis
from tests.sim.history import History


def check(history: History) -> list[str]:
    """What nodes called final, then what signatures make final."""
    return _at_nodes(history) + _on_the_wire(history)


def _at_nodes(history: History) -> list[str]:
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


def _on_the_wire(history: History) -> list[str]:
    keys = [validator.public_key for validator in make_genesis().validators]
    final = sorted(
        (view, digest)
        for (view, digest), claims in history.finalizes.items()
        if len(claims) >= quorum(history.n)
        and sum(
            any(signed(keys[voter], one, 3, view, digest) for one in signatures)
            for voter, signatures in claims.items()
        )
        >= quorum(history.n)
    )
    return [
        f"a quorum signed {lower.hex()[:12]} of view {low} and {upper.hex()[:12]} of view {high}, "
        "which does not descend from it"
        for (low, lower), (high, upper) in pairwise(final)
        if not _descends(history, upper, lower, low)
    ]


def _descends(history: History, upper: bytes, lower: bytes, lower_view: int) -> bool:
    at = upper
    while at != lower:
        block = history.blocks_heard.get(at)
        if block is None or block.header.view <= lower_view:
            return False
        at = block.header.parent_id
    return True

"""Where a node stands, in fields and in a sentence for people."""

from __future__ import annotations

from collections.abc import Iterable

from licet.types import TimestampMs, ValidatorIndex

from node.assembly import Node
from node.clock import Clock
from node.submit import NodeStatus


def describe(
    node: Node, *, now_ms: TimestampMs, mono_us: int, connected: Iterable[ValidatorIndex], clock: Clock
) -> NodeStatus:
    """The status of a running node."""
    ordering = node.core.ordering.status(mono_us)
    names = tuple(one.name for one in node.genesis.validators)
    sentence = ordering.sentence(names)
    if node.core.waiting_for_batches:
        sentence += f"; {node.core.waiting_for_batches} final blocks wait for their batches from peers"
    return NodeStatus(
        sentence=sentence,
        validator=node.chain.index,
        now_ms=now_ms,
        manual_clock=clock.manual,
        view=ordering.view,
        leader=ordering.leader,
        committed_height=ordering.committed_height,
        executed_height=node.executor.height,
        anchored_height=node.proofs.anchored_height(),
        state_root=node.state.root,
        log_size=node.log.size,
        voting=ordering.voting,
        isolated=ordering.isolated,
        delta_ms=ordering.delta_ms,
        peers_connected=tuple(sorted(connected)),
        unordered_transactions=node.core.pool.free_transactions(),
        unordered_bytes=node.core.pool.free_bytes,
    )

"""Where a node stands, in fields and in a sentence for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from licet.types import TimestampMs, ValidatorIndex

from consensus.errors import SigningRecordMissing
from consensus.status import Status
from node.core.submit import NodeStatus
from node.ledger.assembly import Node
from node.net.peer_messages import Participation
from node.runtime.clock import Clock


def participation(ordering: Status) -> Participation:
    """What part a node takes in consensus, from what its engine says of itself."""
    if ordering.isolated:
        return Participation.ISOLATED
    return Participation.VOTES if ordering.voting else at_start(ordering.not_voting_why)


def at_start(problem: str) -> Participation:
    """The same before the engine has started, from what is wrong with the signing record."""
    if not problem:
        return Participation.VOTES
    missing = problem == str(SigningRecordMissing())
    return Participation.RECORD_MISSING if missing else Participation.RECORD_UNUSABLE


def describe(
    node: Node, *, now_ms: TimestampMs, mono_us: int, connected: Iterable[ValidatorIndex], clock: Clock
) -> NodeStatus:
    """The status of a running node."""
    ordering = node.core.ordering.status(mono_us)
    names = tuple(one.name for one in node.genesis.validators)
    sentence, activity = ordering.sentence(names), replace(ordering, voting=True).sentence(names)
    if node.core.waiting_for_batches:
        wanted = f"; {node.core.waiting_for_batches} final blocks wait for their batches from peers"
        sentence, activity = sentence + wanted, activity + wanted
    report = node.core.isolation
    if report is not None:
        why = f"; {report.sentence(names)}"
        sentence, activity = sentence + why, activity + why
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
        isolation=report,
        delta_ms=ordering.delta_ms,
        peers_connected=tuple(sorted(connected)),
        participation=participation(ordering),
        activity=activity,
        silent=tuple(peer.validator for peer in ordering.peers if peer.silent),
        pending_transactions=node.core.pool.held_transactions(),
        pending_bytes=node.core.pool.held_bytes(),
    )

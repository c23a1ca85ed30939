"""What an ordering engine asks of its shell. The order is the type.

A driver collects the effects of one turn (several events) with `merge` and
then does, in this order and never another:

1. append `persist_payload` to the payload file (after the batch bytes that came
   in during the turn) and sync it;
2. replace the votes file by `votes_file` if that is set (write aside, sync,
   rename, sync the folder), then append `persist_votes` to it; sync it if
   `sync_votes` is set, and if anything is sent while something of it is unsynced;
3. send `send_after_persist`, all of a turn's messages to one peer in one frame;
4. queue `commits` for execution, act on `requests`;
5. wake the engine by `Tick` at `wake_at_us` (one timer; the newest replaces any
   older one; None: no timer).

If 1 or 2 fails, the process stops: nothing of this turn may be sent (dead-handle
rule). A crash between any two steps is safe.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from licet.certificate import ExecutedRoots, Header
from licet.types import Hash32, Height, TimestampMs, ValidatorIndex, View

from consensus.evidence import Evidence
from consensus.messages import Message
from consensus.trace import TraceEntry
from consensus.types import Block, CommittedBlock


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """A message to one validator, or to every other one when `to` is None."""

    message: Message
    to: ValidatorIndex | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildProposal:
    """Answer with `ProposalBuilt` (now or soon) for this view and parent.

    Leave out every digest in `exclude` (unfinalised ancestors) and every digest
    that a final block of the digest window ordered.
    """

    view: View
    parent_id: Hash32
    timestamp_ms: TimestampMs  # the least time the block will have
    exclude: frozenset[Hash32]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPayload:
    """Answer with `PayloadChecked` once every batch is held; fetch from `source` first (C-14)."""

    block: Block
    source: ValidatorIndex | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeFinalized:
    """Send `peer` a `FinalizedResponse` out of the block store (`catch_up.build_response`)."""

    peer: ValidatorIndex
    from_height: Height
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolate:
    """A quorum signed other roots than ours at a height we executed (C-13). The engine votes no more."""

    header: Header
    ours: ExecutedRoots
    theirs: ExecutedRoots


Request = BuildProposal | CheckPayload | ServeFinalized | Isolate


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """The whole output of one event, or of a merged turn."""

    persist_payload: tuple[Block, ...] = ()
    votes_file: bytes | None = None
    persist_votes: tuple[bytes, ...] = ()
    sync_votes: bool = False
    send_after_persist: tuple[Send, ...] = ()
    commits: tuple[CommittedBlock, ...] = ()
    requests: tuple[Request, ...] = ()
    wake_at_us: int | None = None
    evidence: tuple[Evidence, ...] = ()
    trace: tuple[TraceEntry, ...] = ()


def merge(turn: Iterable[Effects]) -> Effects:
    """The effects of several events in a row as one."""
    payload: list[Block] = []
    votes_file: bytes | None = None
    votes: list[bytes] = []
    sync_votes = False
    sends: list[Send] = []
    commits: list[CommittedBlock] = []
    requests: list[Request] = []
    wake: int | None = None
    evidence: list[Evidence] = []
    trace: list[TraceEntry] = []
    for effects in turn:
        payload += effects.persist_payload
        if effects.votes_file is not None:  # it contains all that came before it
            votes_file = effects.votes_file
            votes.clear()
        votes += effects.persist_votes
        sync_votes = sync_votes or effects.sync_votes
        sends += effects.send_after_persist
        commits += effects.commits
        requests += effects.requests
        wake = effects.wake_at_us
        evidence += effects.evidence
        trace += effects.trace
    return Effects(
        persist_payload=tuple(payload),
        votes_file=votes_file,
        persist_votes=tuple(votes),
        sync_votes=sync_votes,
        send_after_persist=tuple(sends),
        commits=tuple(commits),
        requests=tuple(requests),
        wake_at_us=wake,
        evidence=tuple(evidence),
        trace=tuple(trace),
    )

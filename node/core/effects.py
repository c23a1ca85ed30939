"""What the core asks of its shell. The order is the type, as in `consensus.effects`.

A shell merges the effects of one turn and then does, in this order:

1. append `append_batches` and then `append_blocks` to the payload file; if
   `sync_payload`, sync it: a notarize of this turn depends on everything that
   was appended since the last sync (C-14, "held means durable");
2. replace the votes file by `votes_file` if set, append `append_votes`; sync it if
   `sync_votes`, and if `sends` holds anything while something of it is unsynced;
3. send `sends`, all of one peer's in one frame;
4. queue `execute` for the executor, in order; tell the waiting clients of
   `dropped` batches; forget `forget_payload` in the payload file (its bytes
   leave the disk with the next trim);
5. wake the core by `Tick` at `wake_at_us`.

If 1 or 2 fails the process stops: nothing of the turn may be sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from licet.certificate import Certificate
from licet.types import Hash32, ValidatorIndex

from consensus.effects import Isolate
from consensus.evidence import Evidence
from consensus.messages import Message
from consensus.trace import TraceEntry
from consensus.types import Block
from node.core.batches import Batch
from node.core.isolation import IsolationReport
from node.net.peer_messages import (
    Batches,
    BatchesMissing,
    BatchOffer,
    BatchRequest,
    ClockMoved,
    WritesPage,
    WritesRequest,
)

CoreMessage = (
    Message | Batches | BatchRequest | BatchesMissing | BatchOffer | ClockMoved | WritesRequest | WritesPage
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreSend:
    """A message to one validator, or to every other one when `to` is None.

    `authors` goes beside a proposal: who made each batch of its block, in order (C-14).
    """

    message: CoreMessage
    to: ValidatorIndex | None = None
    authors: tuple[ValidatorIndex, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyBlock:
    """A final block with all its batches: what the executor takes, in order of height, each once."""

    block: Block
    finalization: Certificate | None
    batches: tuple[Batch, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreEffects:
    """The whole output of one event, or of a merged turn."""

    append_batches: tuple[Batch, ...] = ()
    append_blocks: tuple[Block, ...] = ()
    sync_payload: bool = False
    votes_file: bytes | None = None
    append_votes: tuple[bytes, ...] = ()
    sync_votes: bool = False
    sends: tuple[CoreSend, ...] = ()
    execute: tuple[ReadyBlock, ...] = ()
    dropped: tuple[Batch, ...] = ()
    forget_payload: tuple[Hash32, ...] = ()
    wake_at_us: int | None = None
    isolate: Isolate | None = None
    report: IsolationReport | None = None  # why it is isolated, as far as it is known: newly so
    evidence: tuple[Evidence, ...] = ()
    trace: tuple[TraceEntry, ...] = ()


def merge_turn(turn: Sequence[CoreEffects]) -> CoreEffects:
    """The effects of several events in a row as one."""
    if len(turn) == 1:
        return turn[0]
    batches: list[Batch] = []
    blocks: list[Block] = []
    sync = False
    votes_file: bytes | None = None
    votes: list[bytes] = []
    sync_votes = False
    sends: list[CoreSend] = []
    execute: list[ReadyBlock] = []
    dropped: list[Batch] = []
    forget: list[Hash32] = []
    wake: int | None = None
    isolate: Isolate | None = None
    report: IsolationReport | None = None
    evidence: list[Evidence] = []
    trace: list[TraceEntry] = []
    for effects in turn:
        batches += effects.append_batches
        blocks += effects.append_blocks
        sync = sync or effects.sync_payload
        if effects.votes_file is not None:  # the whole file holds what was appended before
            votes_file = effects.votes_file
            votes.clear()
        votes += effects.append_votes
        sync_votes = sync_votes or effects.sync_votes
        sends += effects.sends
        execute += effects.execute
        dropped += effects.dropped
        forget += effects.forget_payload
        wake = effects.wake_at_us
        isolate = isolate or effects.isolate
        report = effects.report or report
        evidence += effects.evidence
        trace += effects.trace
    return CoreEffects(
        append_batches=tuple(batches),
        append_blocks=tuple(blocks),
        sync_payload=sync,
        votes_file=votes_file,
        append_votes=tuple(votes),
        sync_votes=sync_votes,
        sends=tuple(sends),
        execute=tuple(execute),
        dropped=tuple(dropped),
        forget_payload=tuple(forget),
        wake_at_us=wake,
        isolate=isolate,
        report=report,
        evidence=tuple(evidence),
        trace=tuple(trace),
    )

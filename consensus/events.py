"""Everything that can happen to an ordering engine.

Each event carries the time: `now_ms` is the block clock (wall or virtual, C-2
and C-3 only), `mono_us` a monotonic clock (timers, Δ, ages). The engine reads
no other clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from licet.certificate import ExecutedRoots
from licet.crypto import Verified
from licet.types import Hash32, TimestampMs, ValidatorIndex, View

from consensus.messages import Message
from consensus.types import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base: when it happened, on both clocks."""

    now_ms: TimestampMs
    mono_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Received(Event):
    """A peer's message whose signatures were checked. `peer` is the authenticated sender."""

    peer: ValidatorIndex
    message: Verified[Message]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick(Event):
    """The time of the last `Effects.wake_at_us` has come. Extra ticks are harmless."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerConnected(Event):
    """A channel to a validator stands (again): it is owed a re-send (C-4)."""

    peer: ValidatorIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerLost(Event):
    """The channel to a validator is gone."""

    peer: ValidatorIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalBuilt(Event):
    """The answer to `BuildProposal`: digests to order, perhaps none. The batches are durable."""

    view: View
    parent_id: Hash32
    digests: tuple[Hash32, ...]
    over_half_full: bool  # C-9 pacing: the block uses more than half of a limit


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadChecked(Event):
    """The answer to `CheckPayload`, given only once every batch is held (never "no" for "not yet")."""

    block_id: Hash32
    verdict: Verdict
    over_half_full: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed(Event):
    """A committed block was executed and its results are durable. In order of height."""

    roots: ExecutedRoots


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkChanged(Event):
    """The mempool's view of C-9: transactions that no block on the way to finality orders.

    Send it when either flag changes; repeating it is harmless. A leader whose
    question was answered with no digest asks again every `ASK_AGAIN_US` while
    `pending` holds, or at once on this event. A virtual clock that was advanced
    counts as pending until a block with that time is final.
    """

    pending: bool
    fills_block: bool  # the waiting batches fill a whole block


AnyEvent = (
    Received | Tick | PeerConnected | PeerLost | ProposalBuilt | PayloadChecked | Executed | WorkChanged
)

"""The door of the room: what every ordering engine offers its shell.

Implemented by `consensus.replica.Replica` (Simplex) and
`consensus.sequencer.Sequencer` (one node that orders alone). The node and the
simulator hold an `Ordering` and never look behind it.

How a shell drives one:

* Build it from a `ChainConfig` and a `SignerGuard` (or None for a non-voter),
  call `start` once with what the disk holds, then `handle` for every event.
* A peer's message goes: decode (`consensus.codec`), `wants(peer, message)` (None:
  drop it unverified; else verify what it returns, which may be a part), then
  `consensus.verify.verify`, then `Received`. Never verify before `wants`.
* Apply effects as `consensus.effects` orders them.
* Answer every `BuildProposal` and `CheckPayload`; report every executed block.
"""

from __future__ import annotations

from typing import Protocol

from licet.certificate import Vote
from licet.types import TimestampMs, ValidatorIndex

from consensus.effects import Effects
from consensus.events import AnyEvent
from consensus.evidence import Evidence
from consensus.messages import Message
from consensus.status import Status
from consensus.types import Recovered


class Ordering(Protocol):
    """An ordering engine: events in, effects out."""

    def start(self, recovered: Recovered, *, now_ms: TimestampMs, mono_us: int) -> Effects:
        """Take up what the disk holds. Called once, before any event."""

    def handle(self, event: AnyEvent) -> Effects:
        """Take one event. Never raises for a peer's fault."""

    def wants(self, peer: ValidatorIndex, message: Message) -> Message | None:
        """The part of a peer's message worth verifying, or None (C-16). Changes nothing."""

    def knows(self, vote: Vote) -> bool:
        """Whether these very signature bytes were verified before (for `verify`)."""

    def status(self, mono_us: int) -> Status:
        """Where the engine stands, for the operator's sentence."""

    def evidence(self) -> tuple[Evidence, ...]:
        """Every contradiction seen so far (C-7)."""

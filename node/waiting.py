"""Submissions that wait: one future per call, one list entry per transaction.

A call is resolved when each of its transactions has an outcome. Transactions
of this node's clients stand in one table by hash until they are final or
dropped, so that a second submission of the same bytes joins the first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from licet.types import Hash32

from node.batches import Batch
from node.submit import Admitted, Expired, Outcome, Overloaded, Pending, Refused


@dataclass(slots=True, kw_only=True)
class Call:
    """One `submit`."""

    wait: bool
    outcomes: list[Outcome | None]
    hashes: list[Hash32 | None]
    missing: int
    done: asyncio.Future[None]
    abandoned: bool = False  # its time is over: what was not looked at yet never is

    def settle(self, position: int, outcome: Outcome) -> None:
        """Set one outcome; the last one resolves the call."""
        if self.outcomes[position] is not None:
            return
        self.outcomes[position] = outcome
        self.missing -= 1
        if self.missing == 0 and not self.done.done():
            self.done.set_result(None)

    def result(self, retry_ms: int) -> list[Outcome]:
        """The outcomes. Without one: `Pending` if admitted, else refused, and nobody looks at it any more."""
        self.abandoned = True
        return [
            self._late(position, retry_ms) if outcome is None else outcome
            for position, outcome in enumerate(self.outcomes)
        ]

    def _late(self, position: int, retry_ms: int) -> Outcome:
        transaction = self.hashes[position]
        if transaction is None:
            return Refused(hash=None, error=Overloaded(retry_ms=retry_ms))
        return Pending(hash=transaction)


@dataclass(slots=True)
class Waiting:
    """The table of transactions that have no outcome yet."""

    _calls: dict[Hash32, list[tuple[Call, int]]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._calls)

    def __contains__(self, transaction: Hash32) -> bool:
        return transaction in self._calls

    def add(self, transaction: Hash32, call: Call, position: int) -> bool:
        """Note an admitted transaction; False when it is waiting already."""
        call.hashes[position] = transaction
        known = self._calls.get(transaction)
        if known is None:
            self._calls[transaction] = [(call, position)] if call.wait else []
        elif call.wait:
            known.append((call, position))
        if not call.wait:
            call.settle(position, Admitted(hash=transaction))
        return known is None

    def resolve(self, transaction: Hash32, outcome: Outcome) -> None:
        """The transaction has an outcome: tell everyone who waits."""
        for call, position in self._calls.pop(transaction, ()):
            call.settle(position, outcome)

    def dropped(self, batches: Sequence[Batch], *, now_ms: int, retry_ms: int) -> None:
        """These batches expired before a block ordered them, or there was no room for them."""
        for batch in batches:
            for transaction in batch.transactions:
                if transaction.hash in self._calls:
                    until_ms = transaction.body.valid_until_ms
                    error = (
                        Expired(valid_until_ms=until_ms, now_ms=now_ms)
                        if until_ms < now_ms
                        else Overloaded(retry_ms=retry_ms)
                    )
                    self.resolve(transaction.hash, Refused(hash=transaction.hash, error=error))

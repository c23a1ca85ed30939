"""Submissions that wait: one future per call, one list entry per transaction.

A call is resolved when each of its transactions has an outcome. Transactions
of this node's clients stand in one table by hash until they are final or
dropped, so that a second submission of the same bytes joins the first. The
hash is the body's: a copy that others signed is another copy, and what is
said of it alone (its signers have no authority) is no answer to the owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from licet.transactions import KeySignature, Transaction
from licet.types import Hash32

from node.core.batches import Batch
from node.core.submit import Admitted, Expired, Outcome, Overloaded, Pending, Refused


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


@dataclass(slots=True, kw_only=True)
class _Copy:
    """One body with one set of signatures, and who waits for it."""

    signatures: tuple[KeySignature, ...]
    calls: list[tuple[Call, int]] = field(default_factory=list)

    def settle(self, outcome: Outcome) -> None:
        for call, position in self.calls:
            call.settle(position, outcome)


@dataclass(slots=True)
class Waiting:
    """The table of transactions that have no outcome yet."""

    _copies: dict[Hash32, list[_Copy]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._copies)

    def __contains__(self, transaction: Hash32) -> bool:
        return transaction in self._copies

    def holds(self, transaction: Transaction) -> bool:
        """Whether this very copy is waiting."""
        return self._copy(transaction) is not None

    def add(self, transaction: Transaction, call: Call, position: int) -> None:
        """Note an admitted transaction."""
        call.hashes[position] = transaction.hash
        copy = self._copy(transaction)
        if copy is None:
            copy = _Copy(signatures=transaction.signatures)
            self._copies.setdefault(transaction.hash, []).append(copy)
        if call.wait:
            copy.calls.append((call, position))
        else:
            call.settle(position, Admitted(hash=transaction.hash))

    def resolve(self, transaction: Hash32, outcome: Outcome) -> None:
        """The body has an outcome: tell everyone who waits for any copy."""
        for copy in self._copies.pop(transaction, ()):
            copy.settle(outcome)

    def resolve_copy(self, transaction: Transaction, outcome: Outcome) -> None:
        """This copy has an outcome that says nothing of others."""
        copy = self._copy(transaction)
        if copy is None:
            return
        copies = self._copies[transaction.hash]
        copies.remove(copy)
        if not copies:
            del self._copies[transaction.hash]
        copy.settle(outcome)

    def _copy(self, transaction: Transaction) -> _Copy | None:
        for copy in self._copies.get(transaction.hash, ()):
            if copy.signatures == transaction.signatures:
                return copy
        return None

    def dropped(self, batches: Sequence[Batch], *, now_ms: int, retry_ms: int) -> None:
        """These batches expired before a block ordered them, or there was no room for them."""
        for batch in batches:
            for transaction in batch.transactions:
                if transaction.hash in self._copies:
                    until_ms = transaction.body.valid_until_ms
                    error = (
                        Expired(valid_until_ms=until_ms, now_ms=now_ms, admitted=True)
                        if until_ms < now_ms
                        else Overloaded(retry_ms=retry_ms)
                    )
                    self.resolve_copy(transaction, Refused(hash=transaction.hash, error=error))

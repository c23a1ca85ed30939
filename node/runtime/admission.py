"""Clients' transactions on their way into batches (C-14, C-16).

Verified in slices, gathered into one batch per turn of the loop when traffic is
light, and under load until a batch is full or a few milliseconds have passed. A
node whose share of a block is waiting already makes no more small batches.
Nothing here is per transaction but the check itself and one table entry.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from licet.crypto import Verified, mark_verified
from licet.errors import LicetError
from licet.genesis import Parameters
from licet.transactions import Transaction
from licet.types import SIGNATURE_BYTES, Hash32, TimestampMs

from licensing_vm.foresight import Room
from licensing_vm.transition import Machine
from node.core.batches import BATCH_HEAD_BYTES
from node.core.events import AdmittedTransactions
from node.core.submit import Finalized, Refused
from node.core.verifier import Verifier
from node.limits import ADMISSION_LINGER_US, ADMISSION_PATIENCE_US, BATCH_TRANSACTIONS_TARGET
from node.runtime.waiting import Call, Waiting

_OVERHEAD: int = BATCH_HEAD_BYTES + SIGNATURE_BYTES


@dataclass(slots=True, kw_only=True)
class _Gathering:
    """The batch being filled."""

    room: Room
    raws: list[bytes] = field(default_factory=list)
    transactions: list[Transaction] = field(default_factory=list)
    cost: int = 0
    size: int = _OVERHEAD


class Admission:
    """The queue of submitted transactions and the batch they are gathered into."""

    def __init__(
        self,
        *,
        verifier: Verifier,
        machine: Machine,
        parameters: Parameters,
        waiting: Waiting,
        receipt: Callable[[Hash32], Finalized | None],
    ) -> None:
        self._verifier = verifier
        self._machine = machine
        self._parameters = parameters
        self._waiting = waiting
        self._receipt = receipt
        self._queue: deque[tuple[Call, int, bytes]] = deque()
        self._gathering = _Gathering(room=machine.foresight.room())
        self._full: deque[AdmittedTransactions] = deque()
        self._flushed_us = -ADMISSION_PATIENCE_US
        self._crowded = False
        self.queued_bytes = 0

    def submit(self, call: Call, position: int, raw: bytes) -> None:
        """Queue a transaction."""
        self._queue.append((call, position, raw))
        self.queued_bytes += len(raw)

    @property
    def busy(self) -> bool:
        """Whether something waits for verification."""
        return bool(self._queue)

    @property
    def held_bytes(self) -> int:
        """Bytes queued or gathered, not in a batch yet."""
        return self.queued_bytes + self._gathering.size - _OVERHEAD

    def step(self, now_ms: TimestampMs) -> None:
        """Take one transaction from the queue."""
        call, position, raw = self._queue.popleft()
        self.queued_bytes -= len(raw)
        if call.abandoned:
            return
        try:
            transaction = self._verifier.admit_form(raw)
        except LicetError as error:
            call.settle(position, Refused(hash=None, error=error))
            return
        body = transaction.body
        if self._waiting.holds(transaction):
            self._waiting.add(transaction, call, position)
            return
        used = self._machine.find(body.sender, body.id)
        # Behind the window its id is forgotten; its receipt stands, and "expired" would be no answer.
        if body.valid_until_ms < now_ms or (used is not None and used[0] == transaction.hash):
            known = self._receipt(transaction.hash)
            if known is not None:  # else its block is being written: it is answered like any other
                call.settle(position, known)
                return
        try:
            cost = self._verifier.admit(transaction, now_ms=now_ms)
        except LicetError as error:
            call.settle(position, Refused(hash=transaction.hash, error=error))
            return
        self._waiting.add(transaction, call, position)
        self._gather(raw, transaction, cost)

    def _gather(self, raw: bytes, transaction: Transaction, cost: int) -> None:
        batch = self._gathering
        if batch.raws and (
            batch.size + len(raw) + 4 > self._parameters.batch_bytes_max
            or batch.cost + cost > self._parameters.block_cost_max
            or not batch.room.takes((transaction,), cost)
        ):
            self._close()
            batch = self._gathering
        if not batch.raws:
            batch.room.takes((transaction,), cost, whatever=True)
        batch.raws.append(raw)
        batch.transactions.append(transaction)
        batch.cost += cost
        batch.size += len(raw) + 4
        if len(batch.raws) >= BATCH_TRANSACTIONS_TARGET:
            self._close()

    def _close(self) -> None:
        batch, self._gathering = self._gathering, _Gathering(room=self._machine.foresight.room())
        self._full.append(
            AdmittedTransactions(
                raws=tuple(batch.raws), transactions=tuple(batch.transactions), cost=batch.cost
            )
        )

    def take(self, mono_us: int, *, crowded: bool) -> list[Verified[AdmittedTransactions]]:
        """Batches to submit now: the full ones, and the one being filled when its time has come.

        `crowded`: this node has its share of a block waiting already. Small batches more
        would fill blocks with digests instead of transactions, so this one grows on.
        """
        self._crowded = crowded
        due_us = self.flush_at_us()
        if self._gathering.raws and (self._full or (due_us is not None and mono_us >= due_us)):
            self._close()
        if not self._full:
            return []
        self._flushed_us = mono_us
        taken = [mark_verified(one) for one in self._full]
        self._full.clear()
        return taken

    def flush_at_us(self) -> int | None:
        """When the batch being filled must go."""
        if not self._gathering.raws:
            return None
        return self._flushed_us + (ADMISSION_PATIENCE_US if self._crowded else ADMISSION_LINGER_US)

"""Who waits for what, and what they are told when a block is durable.

Submissions wait for outcomes (`node.runtime.waiting`), others for a height. A node that ends tells all of
them that it does.
"""

from __future__ import annotations

import asyncio

from licet.types import Hash32, Height

from node.core.submit import Finalized, Stopping
from node.ledger import indexes
from node.ledger.executor import Prepared
from node.runtime.waiting import Call, Waiting
from node.storage.port import Storage


class Replies:
    """Everyone who waits at one node."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.waiting = Waiting()
        self._calls: dict[int, Call] = {}  # admitted or still in the queue
        self._heights: list[tuple[Height, asyncio.Future[None]]] = []

    async def call(self, call: Call, *, timeout_s: float) -> None:
        """Return when the call has its outcomes or its time is over."""
        self._calls[id(call)] = call
        try:
            await asyncio.wait_for(call.done, timeout_s)
        except TimeoutError:
            pass
        finally:
            call.abandoned = True
            del self._calls[id(call)]

    async def height(self, height: Height, *, timeout_s: float) -> bool:
        """Whether that height became durable in time. Raises `Stopping` where the node ends."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._heights.append((height, future))
        try:
            await asyncio.wait_for(future, timeout_s)
        except TimeoutError:
            return False
        finally:
            if future.cancelled():  # nobody waits any more, and that height may never come
                self._heights = [one for one in self._heights if one[1] is not future]
        return True

    def stop(self) -> None:
        """The node ends: nobody waits in vain."""
        for call in self._calls.values():
            if not call.done.done():
                call.done.set_exception(Stopping())
        for _, future in self._heights:
            if not future.done():
                future.set_exception(Stopping())

    def settle(self, prepared: Prepared) -> None:
        """A block is durable."""
        height = prepared.roots.height
        if self.waiting:
            self._transactions(prepared, height)
        if self._heights:
            reached = [future for at, future in self._heights if at <= height]
            self._heights = [one for one in self._heights if one[0] > height]
            for future in reached:
                if not future.done():
                    future.set_result(None)

    def _transactions(self, prepared: Prepared, height: Height) -> None:
        waiting = self.waiting
        transactions = (one for batch in prepared.ready.batches for one in batch.transactions)
        for transaction, done in zip(transactions, prepared.result.executed, strict=True):
            if done.hash not in waiting:
                continue
            if not indexes.consumed(done):  # its signers or its time: another copy may still take effect
                outcome = Finalized(hash=done.hash, height=height, receipt=done.receipt)
                first = self.receipt(done.hash)
                if first is not None and first.height < height:  # it did, longer ago than ids are remembered
                    outcome = first
                waiting.resolve_copy(transaction, outcome)
            elif done.receipt:
                outcome = Finalized(hash=done.hash, height=height, receipt=done.receipt)
                waiting.resolve(done.hash, outcome)
            elif (known := self.receipt(done.hash)) is not None:
                waiting.resolve(done.hash, known)

    def receipt(self, transaction: Hash32) -> Finalized | None:
        """What became of a transaction earlier, if a receipt is stored that consumed its id."""
        found = indexes.receipt_of(self._storage, transaction)
        if found is None or not found.read().consumed:
            return None
        return Finalized(hash=transaction, height=found.height, receipt=found.data)

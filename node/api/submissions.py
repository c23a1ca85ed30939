"""Submit, SubmitBatch and SubmitStream: raw transactions to the driver, outcomes back.

One call to the driver per request, however many transactions it holds; on a stream one task per request
and none per transaction. A refusal of one transaction is a result; a refusal of the request is an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, Final

import grpc
import grpc.aio
from licet.errors import Fault, LicetError
from licet.receipts import Receipt, read_receipt
from licet.transactions import Transaction
from licet.types import Hash32
from licet.v1 import ledger_pb2 as pb

from licensing_vm.transition import Machine
from node.api import mapping
from node.api.brief import brief_receipt
from node.api.errors import NotFound, RequestInvalid, status_of
from node.api.quotas import Quotas
from node.core.submit import (
    SUBMIT_BYTES_MAX,
    SUBMIT_TRANSACTIONS_MAX,
    Admitted,
    Busy,
    Finalized,
    Ledger,
    Outcome,
    Pending,
    Refused,
)
from node.core.verifier import Verifier
from node.ledger.indexes import StoredReceipt

WAIT_S: Final = 60.0  # at most; a client's own deadline ends the call before
# Refusals for the node's own state, not the transaction's: the same bytes may be sent again.
_OF_THE_NODE: Final = frozenset({grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE})
STREAM_REQUESTS_MAX: Final = 256  # of one stream that wait for their results


class NotFinalInTime(LicetError):
    """The wait ended before the block was final. The transaction may still become final."""

    def __init__(self, transaction: Hash32) -> None:
        super().__init__(
            "NOT_FINAL_IN_TIME",
            f"Transaction {transaction.hex()} is held by this node and was not final in time.",
            fault=Fault.MACHINE,
            remedy=(
                "Ask for its receipt; until its valid_until the same bytes may be submitted again. Build it"
                " anew only where there is no receipt once the last final block's time is past valid_until."
            ),
            facts={"transaction": transaction.hex()},
        )


class StreamRequestInvalid(LicetError):
    """A request of a stream that no state could answer; every earlier one is answered before it is told."""

    def __init__(self, sequence: int, why: RequestInvalid) -> None:
        super().__init__(
            why.code,
            f"Request {sequence} of the stream: {why.message[0].lower()}{why.message[1:]}",
            fault=why.fault,
            remedy=f"{why.remedy} Requests before it are answered; it and those behind it were not taken.",
            facts={**why.facts, "sequence": str(sequence)},
        )


def _result(outcome: Outcome, pending: Callable[[], int], *, brief: bool) -> pb.SubmitResult:
    match outcome:
        case Finalized():
            raw = outcome.receipt
            receipt = brief_receipt(raw) if brief else mapping.receipt(read_receipt(raw))
            return pb.SubmitResult(transaction_hash=outcome.hash, receipt=receipt)
        case Admitted():
            return pb.SubmitResult(transaction_hash=outcome.hash, admitted=pb.Admitted(pending=pending()))
        case Refused():
            refusal = mapping.refusal_of_error(outcome.error)
            return pb.SubmitResult(transaction_hash=outcome.hash or b"", refusal=refusal)
        case Pending():
            return pb.SubmitResult(transaction_hash=outcome.hash, admitted=pb.Admitted(pending=pending()))


def _waits(wait: int) -> bool:
    if wait not in (pb.WAIT_UNSPECIFIED, pb.WAIT_ADMITTED, pb.WAIT_FINAL):
        raise RequestInvalid("wait", f"is {wait}, which this version does not know")
    return wait != pb.WAIT_ADMITTED


def _time_left(context: Any) -> float:
    """Seconds to wait: less than the client's deadline, so that it hears an answer."""
    left = context.time_remaining()
    return WAIT_S if left is None else max(0.05, min(WAIT_S, left - 0.1))


class Submissions:
    """The submitting half of the ledger service."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        machine: Machine,
        verifier: Verifier,
        quotas: Quotas,
        receipt: Callable[[Hash32], StoredReceipt],
    ) -> None:
        self._ledger = ledger
        self._receipt = receipt
        self._machine = machine
        self._verifier = verifier
        self._quotas = quotas

    async def one(self, request: pb.SubmitRequest, context: Any) -> pb.SubmitResponse:
        if request.validate_only:
            return pb.SubmitResponse(result=self._validate(request.transaction))
        wait = _waits(request.wait)
        with self._quotas.take(context.peer(), 1):
            outcomes = await self._ledger.submit(
                [request.transaction], wait=wait, timeout_s=_time_left(context)
            )
        outcome = outcomes[0]
        if isinstance(outcome, Pending):
            raise NotFinalInTime(outcome.hash)
        _raise_if_overall(outcomes)
        return pb.SubmitResponse(result=_result(outcome, self._pending, brief=False))

    async def batch(self, request: pb.SubmitBatchRequest, context: Any) -> pb.SubmitBatchResponse:
        raws = _checked(request.transactions)
        if request.validate_only:
            return pb.SubmitBatchResponse(results=[self._validate(raw) for raw in raws])
        wait = _waits(request.wait)
        with self._quotas.take(context.peer(), len(raws)):
            outcomes = await self._ledger.submit(raws, wait=wait, timeout_s=_time_left(context))
        _raise_if_overall(outcomes)
        pending = cache(self._pending)  # the pool is looked over once, not for each transaction
        results = [_result(one, pending, brief=False) for one in outcomes]
        return pb.SubmitBatchResponse(results=results)

    async def stream(self, context: Any) -> LicetError | None:
        """Answer requests as their results come, until the client has sent its last or a bad one.

        Returns what ends the stream for its client; raised here it would hold this frame, and that the rest.

        A bad request ends the stream, once every one before it is answered. That this node is full is an
        answer to the one request; that it goes down ends them all, for what it took may yet be final.
        """
        connection = context.peer()
        writing = asyncio.Lock()  # a stream takes one write at a time
        slots = asyncio.Semaphore(STREAM_REQUESTS_MAX)
        tasks: set[asyncio.Task[None]] = set()
        failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

        async def answer(request: pb.SubmitStreamRequest, raws: Sequence[bytes], wait: bool) -> None:
            try:
                outcomes = await self._outcomes(raws, wait)
                pending = cache(self._pending)
                results = [_result(one, pending, brief=request.brief) for one in outcomes]
                async with writing:
                    await context.write(pb.SubmitStreamResponse(sequence=request.sequence, results=results))
            except (LicetError, grpc.aio.BaseError, grpc.RpcError) as error:
                if not failed.done():
                    failed.set_result(error)

        def ended(count: int, task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            self._quotas.give_back(connection, count)
            slots.release()

        refused: LicetError | None = None
        try:
            while (request := await _next(context, failed)) is not None:
                try:
                    raws, wait = _checked(request.transactions), _waits(request.wait)
                except RequestInvalid as invalid:
                    refused = StreamRequestInvalid(request.sequence, invalid)
                    break
                await slots.acquire()
                await self._quotas.wait(connection, len(raws))
                task = asyncio.create_task(answer(request, raws, wait))
                tasks.add(task)
                # By a callback: a task that is cancelled before it begins runs no `finally`.
                task.add_done_callback(partial(ended, len(raws)))
            if tasks:
                await asyncio.wait(tasks)
        finally:
            for task in tasks:
                task.cancel()
        error = failed.result() if failed.done() else refused
        return error if isinstance(error, LicetError) else None  # else the client is gone, or has all answers

    async def _outcomes(self, raws: Sequence[bytes], wait: bool) -> Sequence[Outcome]:
        try:
            return await self._ledger.submit(raws, wait=wait, timeout_s=WAIT_S)
        except Busy as busy:
            return [Refused(hash=None, error=busy)] * len(raws)

    def _validate(self, raw: bytes) -> pb.SubmitResult:
        """What submitting it now would answer, executed against the current state without submitting."""
        now_ms = self._ledger.status().now_ms
        try:
            transaction = self._verifier.admit_form(raw)
        except LicetError as error:
            return pb.SubmitResult(refusal=mapping.refusal_of_error(error))
        if (first := self._first_receipt(transaction)) is not None:
            return pb.SubmitResult(transaction_hash=transaction.hash, receipt=mapping.receipt(first))
        try:
            self._verifier.admit(transaction, now_ms=now_ms)
        except LicetError as error:
            refusal = mapping.refusal_of_error(error)
            return pb.SubmitResult(transaction_hash=transaction.hash, refusal=refusal)
        receipt: Receipt = self._machine.dry_run(transaction, now_ms)
        if receipt.refusal is not None:
            refusal = mapping.refusal(receipt.refusal)
            return pb.SubmitResult(transaction_hash=transaction.hash, refusal=refusal)
        return pb.SubmitResult(transaction_hash=transaction.hash, receipt=mapping.receipt(receipt))

    def _first_receipt(self, transaction: Transaction) -> Receipt | None:
        """The receipt of a transaction whose id it used itself; None while its block is being written.

        Behind the window the machine has forgotten the id, and the receipt still stands.
        """
        used = self._machine.find(transaction.body.sender, transaction.body.id)
        expired = transaction.body.valid_until_ms < self._ledger.status().now_ms
        if (used is None or used[0] != transaction.hash) and not expired:
            return None
        try:
            first = self._receipt(transaction.hash).read()
        except NotFound:
            return None
        return first if first.consumed else None

    def _pending(self) -> int:
        return self._ledger.status().pending_transactions


async def _next(context: Any, failed: asyncio.Future[Exception]) -> pb.SubmitStreamRequest | None:
    """The stream's next request; None at its end, or once an answer has failed."""
    if failed.done():
        return None
    reading = asyncio.ensure_future(context.read())
    try:
        await asyncio.wait((reading, failed), return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        reading.cancel()
        raise
    if failed.done():
        reading.cancel()
        return None
    request = reading.result()
    return None if request is grpc.aio.EOF else request


def _checked(transactions: Sequence[bytes]) -> list[bytes]:
    """The transactions of a request within the limits of one submission."""
    if not 1 <= len(transactions) <= SUBMIT_TRANSACTIONS_MAX:
        why = f"has {len(transactions)} items, not 1 to {SUBMIT_TRANSACTIONS_MAX}"
        raise RequestInvalid("transactions", why)
    raws = list(transactions)
    size = sum(map(len, raws))
    if size > SUBMIT_BYTES_MAX:
        raise RequestInvalid("transactions", f"have {size} bytes together, more than {SUBMIT_BYTES_MAX}")
    return raws


def _raise_if_overall(outcomes: Sequence[Outcome]) -> None:
    """What refuses every transaction alike, for the node's own state, is the call's error."""
    errors = [one.error for one in outcomes if isinstance(one, Refused)]
    if len(errors) == len(outcomes) and all(status_of(error) in _OF_THE_NODE for error in errors):
        raise errors[0]

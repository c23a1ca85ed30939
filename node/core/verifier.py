"""Checks what comes from outside, by its bytes alone: transactions at admission, batches from peers.

What is checked of a transaction in a batch is a property of its bytes (C-14):
form, chain, every signature; at admission also that it can still become valid.
Work comes in generators that yield between transactions, so that the driver
can serve votes and timers every few milliseconds (C-16). Signature checks run
inline: beside a busy loop a thread would take a hundred times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeAlias

from licet.certificate import ValidatorSet
from licet.codec import decode_transaction
from licet.crypto import Verified, mark_verified, signature_valid
from licet.encoding import Tag
from licet.errors import Fault, InvalidEncoding, InvalidSignature, LicetError
from licet.genesis import Parameters
from licet.transactions import TRANSACTION_BYTES_MAX, Transaction
from licet.types import SIGNATURE_BYTES, ChainId, TimestampMs

from node.core.batches import BATCH_HEAD_BYTES, Batch, BatchForm, batch_digest, parse_batch
from node.core.submit import Expired, TooFarAhead, WrongChainTransaction

Cost: TypeAlias = Callable[[Transaction], int]
SignatureCheck: TypeAlias = Callable[[bytes, bytes, Tag, bytes], bool]
BatchWork: TypeAlias = Generator[None, None, Verified[Batch]]


class TooCostly(LicetError):
    """No block has room for this transaction."""

    def __init__(self, *, cost: int, limit: int) -> None:
        super().__init__(
            "TX_TOO_COSTLY",
            f"The transaction's declared cost is {cost}, and a block holds {limit}.",
            fault=Fault.SENDER,
            remedy="Split it into several transactions.",
            facts={"cost": str(cost), "limit": str(limit)},
        )


class TooLarge(LicetError):
    """A transaction of more bytes than any valid one has, or than a batch of this network holds."""

    def __init__(self, *, size: int, limit: int) -> None:
        super().__init__(
            "TX_TOO_LARGE",
            f"The transaction has {size} bytes, of at most {limit} with its signatures.",
            fault=Fault.SENDER,
            remedy="Split it into several transactions.",
            facts={"size": str(size), "limit": str(limit)},
        )


class InvalidBatch(LicetError):
    """A payload batch that is not valid by its bytes."""

    def __init__(self, why: str) -> None:
        super().__init__(
            "BATCH_INVALID",
            f"The payload batch is not valid: {why}.",
            fault=Fault.PEER,
            remedy="Ask its author's operator to look at that node.",
            facts={"why": why},
        )


class Verifier:
    """The checks of one chain."""

    def __init__(
        self,
        *,
        chain_id: ChainId,
        validators: ValidatorSet,
        parameters: Parameters,
        cost: Cost,
        signature_check: SignatureCheck = signature_valid,
    ) -> None:
        self._chain_id = chain_id
        self._validators = validators
        self._parameters = parameters
        self._cost = cost
        self._signed = signature_check
        in_a_batch = parameters.batch_bytes_max - BATCH_HEAD_BYTES - SIGNATURE_BYTES - 4
        self._bytes_max = min(TRANSACTION_BYTES_MAX, in_a_batch)

    def admit_form(self, raw: bytes) -> Transaction:
        """A client's transaction, well-formed and for this chain, or the error that refuses it."""
        if len(raw) > self._bytes_max:
            raise TooLarge(size=len(raw), limit=self._bytes_max)
        transaction = decode_transaction(raw)
        if transaction.body.chain_id != self._chain_id:
            raise WrongChainTransaction(found=transaction.body.chain_id, expected=self._chain_id)
        return transaction

    def admit(self, transaction: Transaction, *, now_ms: TimestampMs) -> int:
        """The declared cost of a transaction that can become valid and is signed; else the error."""
        valid_until_ms = transaction.body.valid_until_ms
        if valid_until_ms < now_ms:
            raise Expired(valid_until_ms=valid_until_ms, now_ms=now_ms)
        latest_ms = now_ms + self._parameters.window_ms
        if valid_until_ms > latest_ms + self._parameters.drift_ms:
            raise TooFarAhead(valid_until_ms=valid_until_ms, latest_ms=latest_ms)
        return self._checked(transaction)

    def _checked(self, transaction: Transaction) -> int:
        """The cost of a transaction whose cost fits and whose signatures verify."""
        cost = self._cost(transaction)
        if cost > self._parameters.block_cost_max:
            raise TooCostly(cost=cost, limit=self._parameters.block_cost_max)
        for one in transaction.signatures:
            if not self._signed(one.public_key, one.signature, Tag.TRANSACTION, transaction.raw_body):
                raise InvalidSignature("a transaction", "it does not verify under the key that is named")
        return cost

    def form(self, raw: bytes) -> BatchForm:
        """A batch's form, or `InvalidEncoding`."""
        return parse_batch(raw, chain_id=self._chain_id, bytes_max=self._parameters.batch_bytes_max)

    def batch(self, form: BatchForm, *, trusted: bool = False) -> BatchWork:
        """Verify a batch in steps; raises `InvalidBatch`.

        `trusted`: a quorum held it to be valid, or our own disk holds it after we did: it
        is decoded and nothing more (C-15).
        """
        if not trusted and not form.author_signed(self._validators):
            raise InvalidBatch("its author did not sign it")
        transactions: list[Transaction] = []
        cost = valid_until_ms = 0
        for raw in form.transactions:
            try:
                transaction = decode_transaction(raw)
                if transaction.body.chain_id != self._chain_id:
                    raise InvalidBatch("a transaction belongs to another chain")
                cost += self._cost(transaction) if trusted else self._checked(transaction)
            except LicetError as error:
                raise InvalidBatch(error.message) from error
            valid_until_ms = max(valid_until_ms, transaction.body.valid_until_ms)
            transactions.append(transaction)
            yield
        if cost > self._parameters.block_cost_max:
            raise InvalidBatch(f"its cost of {cost} fits no block")
        return mark_verified(
            Batch(
                digest=form.digest,
                raw=form.raw,
                author=form.author,
                transactions=tuple(transactions),
                valid_until_ms=valid_until_ms,
                cost=cost,
            )
        )

    def batch_now(self, raw: bytes, *, trusted: bool = False) -> Verified[Batch]:
        """Verify a batch in one go: at a start, and in the simulator."""
        try:
            work = self.batch(self.form(raw), trusted=trusted)
        except InvalidEncoding as error:
            raise InvalidBatch(error.message) from error
        while True:
            try:
                next(work)
            except StopIteration as done:
                verified: Verified[Batch] = done.value
                return verified


__all__ = ["BatchWork", "InvalidBatch", "TooCostly", "Verifier", "batch_digest"]

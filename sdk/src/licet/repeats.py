"""A transaction whose id its caller chose, issued a second time: the first result, or a clear no.

The ledger knows an id for as long as its validity window lasts, and there takes the same bytes as a
repeat. Commands issued again are other bytes, because their last moment is another. So that a repeat can
be told from a reuse, a transaction with a chosen id ends on a mark (`mark_ms`), of which a window holds
few: with each of them tried as its last moment, the commands at hand give the first transaction's hash or
do not. Nothing is taken on a node's word but that the receipt with this hash is the id's.

Behind the window the ledger has forgotten the id and would execute it again: whoever asks for an id's
earlier use, however old (`Submission.look_first`), is refused instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from licet import codec
from licet.errors import Fault
from licet.outcomes import Conflict
from licet.transactions import Command, TransactionBody, transaction_hash
from licet.types import ChainId
from licet.v1 import ledger_pb2 as pb

MARKS_PER_WINDOW: Final = 32


def mark_ms(valid_until_ms: int, window_ms: int) -> int:
    """The first mark at or behind a moment: at most a thirty-second part of the window later."""
    step = max(1, window_ms // MARKS_PER_WINDOW)
    return -(-valid_until_ms // step) * step


def is_repeat(
    commands: Sequence[Command],
    receipt: pb.Receipt,
    *,
    chain_id: ChainId,
    sender: str,
    id: bytes,
    window_ms: int,
) -> bool:
    """Whether these commands under this id are the transaction of that receipt."""
    step = max(1, window_ms // MARKS_PER_WINDOW)
    first = mark_ms(receipt.timestamp_ms, window_ms)
    for valid_until_ms in range(first, receipt.timestamp_ms + window_ms + 1, step):
        body = TransactionBody(
            chain_id=chain_id, id=id, sender=sender, valid_until_ms=valid_until_ms, commands=tuple(commands)
        )
        if transaction_hash(codec.encode_body(body)) == receipt.transaction_hash:
            return True
    return False


def reused(receipt: pb.Receipt, *, sender: str, id: bytes) -> Conflict:
    """The error for an id that another transaction has."""
    return _conflict(
        "ID_REUSED",
        f"The id {id.hex()} is that of another transaction of {sender!r}, at height {receipt.height}; these"
        " commands are not its own, or it was not built to be repeated.",
        "Ask for its receipt: what it did is done. Only what is to happen besides it gets another id.",
        receipt,
        id,
    )


def used_before(receipt: pb.Receipt, *, sender: str, id: bytes) -> Conflict:
    """The error for a repeat that the ledger would take for a new transaction."""
    return _conflict(
        "ID_USED_BEFORE",
        f"{sender!r} issued this with the id {id.hex()} before, at height {receipt.height}, longer ago than"
        " the ledger remembers ids: sent again, it would take effect a second time. Nothing was signed.",
        "Ask for its receipt: what it did is done. To do it once more, give another id or none.",
        receipt,
        id,
    )


def _conflict(code: str, message: str, remedy: str, receipt: pb.Receipt, id: bytes) -> Conflict:
    facts = {
        "id": id.hex(),
        "transaction_hash": receipt.transaction_hash.hex(),
        "height": str(receipt.height),
        "timestamp_ms": str(receipt.timestamp_ms),
    }
    error = Conflict(code, message, fault=Fault.SENDER, remedy=remedy, facts=facts)
    error.naming(transaction_hash=receipt.transaction_hash, id=id)
    return error

"""What became of a transaction of which one attempt went unanswered and a later one was refused.

The refusal is about the later attempt alone: the first may have been ordered meanwhile, or wait at a node
and be ordered later. Two things are certain, and nothing else is:

* its receipt, which every node finds by the transaction's hash;
* that it never took effect and never will: a node executed a final block whose time is past the
  transaction's `valid_until`, and has no receipt of it *after* that. Blocks are final and their times
  rise, so every later block refuses it as expired.

Only then may a client sign the same commands again: inside the validity window the id protects it, and
behind the window nothing does. Both answers are taken from one node, the caller's own, which is trusted
for them as it is for every read without a proof; a target names one node, or nodes that are all trusted.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import grpc

from licet.errors import LicetError
from licet.outcomes import Committed, Conflict, RefusedInBlock, committed_of, unknown
from licet.retry import failure_of
from licet.v1 import ledger_pb2 as pb

if TYPE_CHECKING:
    from licet.builder import SignedTransaction
    from licet.connection import Connection

# Refusals in a block that consume no id: the same bytes in another batch may still take effect.
CONSUMES_NO_ID: Final = frozenset(
    {"WRONG_CHAIN", "TX_EXPIRED", "TX_TOO_FAR_AHEAD", "NO_AUTHORITY", "ID_REUSED", "BLOCK_FULL"}
)
# Refused for the bytes themselves: no attempt with them can have done better.
_BY_BYTES: Final = frozenset(
    {
        "TX_MALFORMED",
        "TX_WRONG_CHAIN",
        "TX_TOO_LARGE",
        "TX_TOO_COSTLY",
        "INVALID_SIGNATURE",
        "INVALID_ENCODING",
    }
)
HELD_FACT: Final = "admitted"  # of a refusal: the node had held and gossiped the transaction before it
POLL_S: Final = 0.5  # a network that is idle finalises a block every ten seconds


def may_have_arrived(error: grpc.RpcError) -> bool:
    """Whether a call that failed so may have been taken by a node."""
    failure = failure_of(error)
    if failure is not None:
        return failure.reached
    return error.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS)


def leaves_open(error: LicetError) -> bool:
    """Whether an earlier attempt with the same bytes may have done better than this one."""
    if isinstance(error, RefusedInBlock):
        return error.code in CONSUMES_NO_ID
    return not isinstance(error, Conflict) and error.code not in _BY_BYTES


async def settle(
    connection: Connection, tx: SignedTransaction, refusal: LicetError, *, until: float
) -> Committed:
    """Return or raise what is certain of `tx`; `OutcomeUnknown` where nothing is.

    Raises `refusal` where it is certain that no attempt took effect. `until` is loop time; the ledger is
    asked once at least.
    """
    loop = asyncio.get_running_loop()
    policy = connection.options.retry
    why = refusal.message.rstrip(".")
    started = until - policy.deadline_s
    try:
        async with asyncio.timeout_at(max(until, loop.time() + policy.attempt_s)):
            while True:
                try:
                    found, never = await _look(connection, tx)
                except LicetError as error:
                    why = f"{why}; then: {error.message.rstrip('.')}"
                    break
                if found is not None:
                    return committed_of(found, id=tx.id, sender=tx.sender)
                if never:
                    raise refusal
                delay_s = min(POLL_S, policy.delay_s_max)
                if refusal.code != "TX_EXPIRED" or loop.time() + delay_s >= until:
                    break  # its last moment is far off, or no later block comes
                await asyncio.sleep(delay_s)
    except TimeoutError:
        why = f"{why}; and it does not answer any more"
    open_still = unknown(
        tx.hash,
        tx.id,
        waited_s=loop.time() - started,
        why=f"an attempt went unanswered, and a later one was refused: {why}",
        valid_until_ms=tx.valid_until_ms,
    )
    raise open_still from refusal


async def _look(connection: Connection, tx: SignedTransaction) -> tuple[pb.Receipt | None, bool]:
    """The receipt that settles it, and whether none ever will. The time is read before the receipt."""
    generation = connection.endpoints.generation
    past = (await connection.status()).timestamp_ms > tx.valid_until_ms
    try:
        response = await connection.ask("GetReceipt", pb.GetReceiptRequest(transaction_hash=tx.hash))
    except LicetError as error:
        if error.code != "NOT_FOUND":
            raise
        return None, past and connection.endpoints.generation == generation
    receipt: pb.Receipt = response.receipt
    if receipt.committed or receipt.refusal.code not in CONSUMES_NO_ID:
        return receipt, False
    # A receipt that used no id never hides one that did: so far, nothing took effect.
    return None, past and connection.endpoints.generation == generation

"""Transactions, built once and signed: the bytes made here are sent, hashed and kept as they are.

The id is chosen before anything is sent, so that every repeat is the same transaction. `valid_until`
comes from the node's clock, never from this machine's: on a network with a manual clock the two differ
by years, and a laptop's clock is anybody's guess.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from licet import codec
from licet.crypto import SigningKey
from licet.encoding import Tag
from licet.errors import Fault, LicetError
from licet.transactions import (
    ID_BYTES,
    SIGNATURES_MAX,
    Command,
    KeySignature,
    TransactionBody,
    transaction_hash,
)
from licet.types import ChainId, Hash32

REFRESH_S: Final = 5.0  # older news of the node's clock is asked for again


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTransaction:
    """What travels: `raw` is the serialized SignedTransaction around the body's bytes."""

    raw: bytes
    hash: Hash32
    id: bytes
    sender: str
    valid_until_ms: int
    body: bytes


def new_id() -> bytes:
    """A fresh idempotency id: 16 bytes from the operating system."""
    return os.urandom(ID_BYTES)


def new_name(prefix: str) -> str:
    """A fresh id of an entity, where the caller does not care for a telling one."""
    return f"{prefix}-{os.urandom(8).hex()}"


def build_transaction(
    *,
    chain_id: ChainId,
    sender: str,
    commands: Sequence[Command],
    valid_until_ms: int,
    keys: Sequence[SigningKey],
    id: bytes | None = None,
) -> SignedTransaction:
    """Build, check by the ledger's own rules of form, and sign."""
    signers = list({key.public_key: key for key in keys}.values())
    if not 1 <= len(signers) <= SIGNATURES_MAX:
        raise LicetError(
            "NO_KEY",
            f"The transaction would carry {len(signers)} signatures, not 1 to {SIGNATURES_MAX}.",
            fault=Fault.SENDER,
            remedy="Connect with key=…, or name the keys that sign in Submission(keys=…).",
        )
    tx_id = new_id() if id is None else id
    raw_body = codec.encode_body(
        TransactionBody(
            chain_id=chain_id,
            id=tx_id,
            sender=sender,
            valid_until_ms=valid_until_ms,
            commands=tuple(commands),
        )
    )
    codec.decode_body(raw_body)  # what every node would refuse is refused here, before it is signed
    signatures = [
        KeySignature(public_key=key.public_key, signature=key.sign(Tag.TRANSACTION, raw_body))
        for key in signers
    ]
    return SignedTransaction(
        raw=codec.encode_transaction(raw_body, signatures),
        hash=transaction_hash(raw_body),
        id=tx_id,
        sender=sender,
        valid_until_ms=valid_until_ms,
        body=raw_body,
    )


class NodeClock:
    """The node's clock as last heard, carried forward by elapsed time where that clock runs by itself.

    `elapsed_s` is a monotonic clock; it measures how old the news is and is never taken for the time.
    """

    def __init__(self, elapsed_s: Callable[[], float], *, manual: bool) -> None:
        self._elapsed_s = elapsed_s
        self._manual = manual
        self._heard_ms: int | None = None
        self._heard_at = 0.0
        self._window_ms = 0

    def heard(self, now_ms: int, window_ms: int) -> None:
        """Take what GetStatus said."""
        self._heard_ms, self._window_ms = now_ms, window_ms
        self._heard_at = self._elapsed_s()

    @property
    def window_ms(self) -> int:
        """How far ahead a last moment may lie."""
        return self._window_ms

    @property
    def stale(self) -> bool:
        """Whether the node has to be asked again before a transaction is built."""
        return self._heard_ms is None or self._elapsed_s() - self._heard_at > REFRESH_S

    def now_ms(self) -> int:
        """The node's time now."""
        assert self._heard_ms is not None, "the clock is used after the first GetStatus"
        if self._manual:
            return self._heard_ms
        return self._heard_ms + int(1000 * (self._elapsed_s() - self._heard_at))

    def valid_until_ms(self, valid_for_ms: int | None = None) -> int:
        """A last moment: half the window ahead, so that neither a slow nor a fast node refuses it."""
        ahead = self._window_ms // 2 if valid_for_ms is None else min(valid_for_ms, self._window_ms)
        return self.now_ms() + max(1, ahead)

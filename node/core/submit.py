"""What the API asks of a running node to have transactions ordered, and the answers.

`Ledger` is implemented by `node.runtime.driver.Driver`. One call carries many
transactions and costs one future: nothing here is per transaction but its
outcome (performance.md, decision 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from licet.errors import Fault, LicetError
from licet.types import Hash32, Height, TimestampMs, ValidatorIndex

from node.core.isolation import IsolationReport
from node.net.peer_messages import Participation

# C-16: one submission, and what all of this node's clients may have waiting together.
SUBMIT_TRANSACTIONS_MAX: Final = 4096
SUBMIT_BYTES_MAX: Final = 8 << 20


class Busy(LicetError):
    """This node holds as many unordered transactions as it may."""

    def __init__(self, *, held_bytes: int, limit_bytes: int, retry_ms: int) -> None:
        super().__init__(
            "RESOURCE_EXHAUSTED",
            f"This node holds {held_bytes} bytes of transactions that wait for a block, of {limit_bytes}.",
            fault=Fault.SENDER,
            remedy=f"Submit again in {retry_ms} ms.",
            facts={"held": str(held_bytes), "limit": str(limit_bytes), "retry_ms": str(retry_ms)},
        )
        self.retry_ms = retry_ms


class Overloaded(LicetError):
    """The node did not come to look at the transaction in time, or had no room for it."""

    def __init__(self, *, retry_ms: int) -> None:
        super().__init__(
            "RESOURCE_EXHAUSTED",
            "This node has more transactions to check than it can hold; this one was not admitted.",
            fault=Fault.SENDER,
            remedy=f"Submit again in {retry_ms} ms.",
            facts={"retry_ms": str(retry_ms)},
        )


class Expired(LicetError):
    """The transaction's last moment has passed.

    `admitted`: this node had taken and gossiped it, and a block that it has not seen may hold it.
    """

    def __init__(self, *, valid_until_ms: int, now_ms: int, admitted: bool = False) -> None:
        what = "was held by this node, is in no final block here, and " if admitted else ""
        facts = {"valid_until_ms": str(valid_until_ms), "now_ms": str(now_ms)}
        super().__init__(
            "TX_EXPIRED",
            f"The transaction {what}was valid until {valid_until_ms}; this node's time is {now_ms}.",
            fault=Fault.SENDER,
            remedy=(
                "Ask for its receipt. Where there is none, and the time of the last final block in Status is"
                " past valid_until, it never takes effect: then build it again with a later one."
            ),
            facts=facts | ({"admitted": "yes"} if admitted else {}),
        )


class TooFarAhead(LicetError):
    """The transaction's last moment lies beyond the validity window."""

    def __init__(self, *, valid_until_ms: int, latest_ms: int) -> None:
        super().__init__(
            "TX_TOO_FAR_AHEAD",
            f"The transaction is valid until {valid_until_ms}; the latest allowed now is {latest_ms}.",
            fault=Fault.SENDER,
            remedy="Build it again with an earlier valid_until.",
            facts={"valid_until_ms": str(valid_until_ms), "latest_ms": str(latest_ms)},
        )


class WrongChainTransaction(LicetError):
    """The transaction was made for another network."""

    def __init__(self, *, found: bytes, expected: bytes) -> None:
        super().__init__(
            "TX_WRONG_CHAIN",
            f"The transaction is for chain {found.hex()}, and this is {expected.hex()}.",
            fault=Fault.SENDER,
            remedy="Build it with this network's genesis.",
            facts={"found": found.hex(), "expected": expected.hex()},
        )


class Stopping(LicetError):
    """The node is going down or drains."""

    def __init__(self) -> None:
        super().__init__(
            "UNAVAILABLE",
            "This node takes no transactions at the moment.",
            fault=Fault.MACHINE,
            remedy="Submit it to another node.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Not admitted, or expired before a block ordered it: nothing happened on the ledger.

    `hash` is None when the bytes are no transaction.
    """

    hash: Hash32 | None
    error: LicetError


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """Held by this node and gossiped. No promise yet: only `Finalized` is one."""

    hash: Hash32


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalized:
    """In a final block, executed, durable. `receipt` is the canonical receipt, committed or refused."""

    hash: Hash32
    height: Height
    receipt: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """The wait ended first. The transaction may still become final: ask for its receipt."""

    hash: Hash32


Outcome = Refused | Admitted | Finalized | Pending


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """Where this node stands. `sentence` is for people."""

    sentence: str
    validator: ValidatorIndex | None
    now_ms: TimestampMs  # the block clock: clients build valid_until from it
    manual_clock: bool
    view: int
    leader: ValidatorIndex
    committed_height: Height
    executed_height: Height
    anchored_height: Height  # proofs are served at it
    state_root: Hash32
    log_size: int
    voting: bool
    isolated: bool
    isolation: IsolationReport | None  # why, as far as it is known (C-13)
    delta_ms: int
    peers_connected: tuple[ValidatorIndex, ...]
    participation: Participation
    activity: str  # what ordering does or waits for, for people; says nothing of whether this node votes
    silent: tuple[ValidatorIndex, ...]  # C-8: no signature of theirs in the last views
    pending_transactions: int  # that are not final: unordered, or in a block that is not final
    pending_bytes: int  # of their batches


class Ledger(Protocol):
    """A running node, as its API sees it. All of it is called from the event loop's thread."""

    async def submit(
        self, raws: Sequence[bytes], *, wait: bool = True, timeout_s: float = 30.0
    ) -> list[Outcome]:
        """Admit serialized SignedTransactions; with `wait`, return at finality or after `timeout_s`.

        One outcome for each, in order. A repeat of a transaction that is final
        returns its first receipt. Raises `Stopping` when the node goes down.
        """
        ...

    def status(self) -> NodeStatus:
        """Where this node stands."""
        ...

    async def wait_for_height(self, height: Height, *, timeout_s: float = 30.0) -> bool:
        """Return True once `height` is executed and durable here, False when the time is over."""
        ...

    async def advance(self, to_ms: TimestampMs, *, timeout_s: float = 30.0) -> TimestampMs:
        """Move the virtual clock of the network and return when a block with that time is final."""
        ...

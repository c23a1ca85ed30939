"""What a block did with a transaction: receipts, events, journal entries and postings.

A receipt's canonical bytes are one leaf of the log, so everything a statement, a certificate or an
auditor needs of a transaction's effect stands in it. Each journal entry is of one currency (and for
cash of one issuer) and its postings sum to zero, always (L-1 … L-4).

Never decides anything; `licensing_vm` writes receipts, everybody else reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from licet.entities import CASH, ISSUED, PAYABLE, RECEIVABLE, NamedValue
from licet.errors import Fault
from licet.records import decode, encode, record

# Kinds of journal entries; on a statement, a sale's leg that pays an ancestor is told apart.
LINEAGE: Final = "lineage"
SALE: Final = "sale"
ACCRUAL: Final = "accrual"
PAYMENT: Final = "payment"
TRANSFER: Final = "transfer"
DEPOSIT: Final = "deposit"
WITHDRAWAL: Final = "withdrawal"


@record(40)
@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened: "agreement.activated" and its attributes."""

    kind: str
    attributes: tuple[NamedValue, ...]


@record(41)
@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """A change of one account. `asset` is the ancestor that a lineage leg pays, else empty."""

    party: str
    account: int  # licet.entities.CASH, RECEIVABLE, PAYABLE, ISSUED
    asset: str
    change: int  # minor units at the ledger's scale


@record(42)
@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """Balanced postings with their cause. A leg whose share is zero this time stands with a zero."""

    kind: str
    clause: str  # empty where a command alone caused it
    program_hash: bytes  # empty likewise
    agreement: str  # empty where none
    currency: str
    issuer: str  # whose claim moves, for cash
    facts: tuple[NamedValue, ...]
    postings: tuple[Posting, ...]


@record(43)
@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a transaction changed nothing. `clause` is the terms' clause that refused, if one did."""

    code: str
    message: str
    fault: str
    remedy: str
    facts: tuple[NamedValue, ...]
    clause: str

    @property
    def owner(self) -> Fault:
        return Fault(self.fault)


@record(44)
@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The outcome of one transaction. `refusal` is None where its commands took effect.

    `consumed` tells whether (sender, id) is used up: not where the signer had no authority for the
    sender or the time was outside the window.
    """

    transaction_hash: bytes
    sender: str
    id: bytes
    height: int
    index: int
    timestamp_ms: int
    consumed: bool
    refusal: Refusal | None
    events: tuple[Event, ...]
    entries: tuple[JournalEntry, ...]

    @property
    def committed(self) -> bool:
        return self.refusal is None

    def encode(self) -> bytes:
        """The canonical bytes: the log's leaf."""
        return encode(self)


def read_receipt(data: bytes, *, fault: Fault = Fault.MACHINE) -> Receipt:
    """Read a receipt; raise `InvalidEncoding` for anything but one."""
    return decode(Receipt, data, fault=fault)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """One posting of a party and its cause, with the other side where there is exactly one."""

    height: int
    index: int
    timestamp_ms: int
    transaction_hash: bytes
    kind: str
    agreement: str
    clause: str
    program_hash: bytes
    account: int
    currency: str
    issuer: str
    change: int
    counterparty: str
    asset: str
    facts: tuple[NamedValue, ...]


def statement_lines(receipt: Receipt, party: str) -> tuple[StatementLine, ...]:
    """The lines that a receipt adds to a party's statement; a share of zero adds none."""
    lines: list[StatementLine] = []
    for entry in receipt.entries:
        for posting in entry.postings:
            if posting.party != party or not posting.change:
                continue
            lines.append(
                StatementLine(
                    height=receipt.height,
                    index=receipt.index,
                    timestamp_ms=receipt.timestamp_ms,
                    transaction_hash=receipt.transaction_hash,
                    kind=LINEAGE if posting.asset and entry.kind == SALE else entry.kind,
                    agreement=entry.agreement,
                    clause=entry.clause,
                    program_hash=entry.program_hash,
                    account=posting.account,
                    currency=entry.currency,
                    issuer=entry.issuer,
                    change=posting.change,
                    counterparty=_other_side(entry, posting),
                    asset=posting.asset,
                    facts=entry.facts,
                )
            )
    return tuple(lines)


# Which accounts stand against an account in one entry.
_AGAINST: Final = {
    CASH: (CASH, ISSUED),
    ISSUED: (CASH,),
    RECEIVABLE: (PAYABLE,),
    PAYABLE: (RECEIVABLE,),
}


def _other_side(entry: JournalEntry, posting: Posting) -> str:
    """The only other party that moved the other way in the accounts against this one, or nothing."""
    against = _AGAINST[posting.account]
    others = {
        other.party
        for other in entry.postings
        if other.account in against and other.change * posting.change < 0 and other.party != posting.party
    }
    return others.pop() if len(others) == 1 else ""

"""What became of a transaction, as types.

`Committed` is returned; everything else is raised, because money that did not move must not pass for
money that did. Each says what is certain:

    RefusedAtAdmission  never ordered; leaves no trace; may be corrected and sent again
    RefusedInBlock      ordered and refused; changes nothing; its id is spent (not by BLOCK_FULL, which the
                        client answers by sending the same bytes again until its deadline)
    Conflict            another transaction of this sender already has this id
    OutcomeUnknown      sent, and not answered in time: ask for its receipt; never build it again before the
                        ledger's time is past its last moment and there is still none
    Unavailable         nothing was ordered for want of a node that answers; try after `retry_after_s`
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from licet.errors import Fault, LicetError
from licet.transactions import Money
from licet.v1 import ledger_pb2 as pb
from licet.views import html_table, plain

# Another body under an id that is taken (design/ledger.md, "Transactions").
CONFLICT_CODES: Final = frozenset({"ID_REUSED"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened."""

    kind: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """A change of one account; `asset` names the ancestor that a lineage leg pays."""

    party: str
    account: str
    change: Money
    asset: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A balanced journal entry with its cause."""

    clause: str
    program_hash: bytes
    agreement: str
    kind: str
    facts: Mapping[str, str]
    postings: tuple[Posting, ...]

    def sums(self) -> dict[str, int]:
        """Minor units per currency over all postings: zero, or the ledger is broken."""
        totals: dict[str, int] = {}
        for posting in self.postings:
            totals[posting.change.currency] = totals.get(posting.change.currency, 0) + posting.change.minor
        return totals


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """The receipt of a transaction that took effect in a final block."""

    transaction_hash: bytes
    id: bytes
    sender: str
    height: int
    index: int
    timestamp_ms: int
    events: tuple[Event, ...] = ()
    entries: tuple[Entry, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)  # ids by what they name, such as "agreement"
    preview: bool = False  # True where it was validated only and nothing happened

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        document = plain(self)
        assert isinstance(document, dict)
        return document

    def _repr_html_(self) -> str:
        return html_table(
            f"Committed at height {self.height}, {self.transaction_hash.hex()[:16]}",
            ("event", "attributes"),
            (
                (event.kind, ", ".join(f"{k}={v}" for k, v in event.attributes.items()))
                for event in self.events
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEvent:
    """An event with its place. `cursor` is its id: following resumes after it."""

    cursor: str
    height: int
    timestamp_ms: int
    transaction_hash: bytes
    kind: str
    attributes: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        document = plain(self)
        assert isinstance(document, dict)
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """Admitted and durable on one node; its receipt follows."""

    transaction_hash: bytes
    id: bytes
    sender: str
    pending: int


class TransactionError(LicetError):
    """Base of the outcomes that are no commitment."""

    transaction_hash: bytes = b""
    id: bytes = b""
    clause: str = ""

    def naming(self, *, transaction_hash: bytes, id: bytes, **more: Any) -> TransactionError:
        """Say which transaction it is about."""
        self.transaction_hash = transaction_hash
        self.id = id
        for name, value in more.items():
            setattr(self, name, value)
        return self

    def __reduce__(self) -> tuple[object, ...]:
        state = {
            name: value
            for name, value in self.__dict__.items()
            if name not in ("code", "message", "fault", "remedy", "facts")
        }
        return (*super().__reduce__(), state)


class RefusedAtAdmission(TransactionError):
    """Refused by a node before ordering."""


class RefusedInBlock(TransactionError):
    """Refused by the ledger; `clause` names the clause that refused, where one did."""

    height: int = 0
    index: int = 0


class Conflict(TransactionError):
    """The id is taken by another transaction of this sender."""


class OutcomeUnknown(TransactionError):
    """Sent, and not answered in time. The same bytes may be sent again: they take effect at most once.

    Commands that are signed anew are another transaction. Its id protects it inside the validity window
    alone: ask for the receipt of this one first (`licet.doubt` says when its absence is final).
    """

    @property
    def tx_id(self) -> bytes:
        """The idempotency id to ask for."""
        return self.id


class Unavailable(TransactionError):
    """No node answered, or this one is flooded; nothing was ordered by this call."""

    retry_after_s: float = 1.0


def unknown(
    transaction_hash: bytes, id: bytes, *, waited_s: float, why: str, valid_until_ms: int = 0
) -> OutcomeUnknown:
    """The error for a deadline that passed after the bytes had left."""
    facts = {"transaction_hash": transaction_hash.hex(), "id": id.hex()}
    if valid_until_ms:
        facts["valid_until_ms"] = str(valid_until_ms)
    error = OutcomeUnknown(
        "OUTCOME_UNKNOWN",
        f"No node said in {waited_s:.3g} s what became of transaction {transaction_hash.hex()[:16]}: {why}.",
        fault=Fault.MACHINE,
        remedy=(
            f"Ask for its receipt first: `licet receipt {transaction_hash.hex()}`. Issue it anew only where"
            " there is none when the ledger's time is past its last moment: it could take effect twice."
        ),
        facts=facts,
    )
    error.naming(transaction_hash=transaction_hash, id=id)
    return error


def unavailable(
    why: str, *, retry_after_s: float, remedy: str = "", facts: Mapping[str, str] | None = None
) -> Unavailable:
    """The error for a request that no node took."""
    error = Unavailable(
        "UNAVAILABLE",
        f"{why}.",
        fault=Fault.MACHINE,
        remedy=remedy or f"Try again in {retry_after_s:g} s, or name another node.",
        facts=facts,
    )
    error.retry_after_s = retry_after_s
    return error


def _fault(name: str) -> Fault:
    return Fault(name) if name in set(Fault) else Fault.US


def refusal_error(refusal: pb.Refusal, kind: type[TransactionError]) -> TransactionError:
    """A refusal as an error of `kind`, or as a `Conflict`."""
    cls = Conflict if refusal.code in CONFLICT_CODES else kind
    error = cls(
        refusal.code,
        refusal.message,
        fault=_fault(refusal.fault),
        remedy=refusal.remedy,
        facts=dict(refusal.facts),
    )
    error.clause = refusal.clause
    return error


def money_of(message: Any) -> Money:
    """An amount of the contract as a value."""
    return Money(currency=message.currency, minor=message.minor)


def entry_of(message: pb.JournalEntry) -> Entry:
    """A journal entry of the contract as a value."""
    return Entry(
        clause=message.clause,
        program_hash=message.program_hash,
        agreement=message.agreement,
        kind=message.kind,
        facts=dict(message.facts),
        postings=tuple(
            Posting(
                party=posting.party,
                account=posting.account,
                change=money_of(posting.change),
                asset=posting.asset,
            )
            for posting in message.postings
        ),
    )


def committed_of(receipt: pb.Receipt, *, id: bytes, sender: str) -> Committed:
    """A receipt of the contract as a value, or the refusal that it records, raised."""
    if not receipt.committed:
        error = refusal_error(receipt.refusal, RefusedInBlock)
        raise error.naming(
            transaction_hash=receipt.transaction_hash, id=id, height=receipt.height, index=receipt.index
        )
    return Committed(
        transaction_hash=receipt.transaction_hash,
        id=id,
        sender=sender,
        height=receipt.height,
        index=receipt.index,
        timestamp_ms=receipt.timestamp_ms,
        events=tuple(Event(kind=event.kind, attributes=dict(event.attributes)) for event in receipt.events),
        entries=tuple(entry_of(entry) for entry in receipt.entries),
    )


def outcome_of(
    result: pb.SubmitResult, *, transaction_hash: bytes, id: bytes, sender: str
) -> Committed | Accepted:
    """What a node said, as a value; raises what is no commitment."""
    said = result.WhichOneof("outcome")
    if said is not None and result.transaction_hash not in (b"", transaction_hash):
        raise LicetError(
            "NODE_CONFUSED",
            "The node answered for another transaction than the one that was sent.",
            fault=Fault.PEER,
            remedy="Use another node, and report this one to its operator.",
            facts={"sent": transaction_hash.hex(), "answered": result.transaction_hash.hex()},
        )
    if said == "receipt":
        return committed_of(result.receipt, id=id, sender=sender)
    if said == "admitted":
        return Accepted(
            transaction_hash=transaction_hash, id=id, sender=sender, pending=result.admitted.pending
        )
    if said == "refusal":
        error = refusal_error(result.refusal, RefusedAtAdmission)
        raise error.naming(transaction_hash=transaction_hash, id=id)
    raise unknown(transaction_hash, id, waited_s=0, why="the node's answer says nothing")

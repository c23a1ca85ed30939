"""A signed decision: what a node answered to "may I use X for Y in Z until D?", checkable later.

    decision = format u8 | chain_id 32 | height u64 | timestamp_ms u64 | allowed u8
             | party | asset | action | territories | media | from_ms u64 | until_ms u64
             | reason | clauses | agreements
    signed   = Tag.DECISION ‖ decision, by the validator's key

Texts are u32 length and UTF-8, lists a u16 count and texts, integers big-endian. `check_decision`
binds every field of the answer to the signed bytes: a node cannot say one thing and sign another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from licet.crypto import signature_valid
from licet.encoding import Reader, Tag
from licet.errors import Fault, InvalidSignature
from licet.genesis import Genesis

DECISION_FORMAT: Final = 1
TEXT_BYTES_MAX: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What was asked, as it is signed."""

    party: str
    asset: str
    action: str
    territories: tuple[str, ...]
    media: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDecision:
    """What was signed."""

    chain_id: bytes
    height: int
    timestamp_ms: int
    allowed: bool
    question: Question
    from_ms: int
    until_ms: int
    reason: str
    clauses: tuple[str, ...]
    agreements: tuple[str, ...]


def _texts(reader: Reader) -> tuple[str, ...]:
    return tuple(reader.text(at_most=TEXT_BYTES_MAX) for _ in range(reader.u16()))


def read_decision(data: bytes) -> SignedDecision:
    """Read the signed bytes; raise `InvalidEncoding` for anything else."""
    reader = Reader(data, what="decision", fault=Fault.PEER)
    if (format_ := reader.u8()) != DECISION_FORMAT:
        raise reader.refuse(f"it has format {format_}, and this version reads {DECISION_FORMAT}")
    chain_id, height, timestamp_ms = reader.fixed(32), reader.u64(), reader.u64()
    if (allowed := reader.u8()) > 1:
        raise reader.refuse("its answer is neither yes nor no")

    def text() -> str:
        return reader.text(at_most=TEXT_BYTES_MAX)

    question = Question(
        party=text(), asset=text(), action=text(), territories=_texts(reader), media=_texts(reader)
    )
    decision = SignedDecision(
        chain_id=chain_id,
        height=height,
        timestamp_ms=timestamp_ms,
        allowed=allowed == 1,
        question=question,
        from_ms=reader.u64(),
        until_ms=reader.u64(),
        reason=text(),
        clauses=_texts(reader),
        agreements=_texts(reader),
    )
    reader.end()
    return decision


def check_decision(
    data: bytes, *, public_key: bytes, signature: bytes, genesis: Genesis
) -> tuple[SignedDecision, str]:
    """The decision and the validator that signed it; raises unless the signature is one's of genesis."""
    signer = next((v for v in genesis.validators if v.public_key == public_key), None)
    if signer is None:
        raise InvalidSignature("the decision", "its key is no validator's of genesis", fault=Fault.PEER)
    if not signature_valid(public_key, signature, Tag.DECISION, data):
        raise InvalidSignature("the decision", "it does not verify", fault=Fault.PEER)
    decision = read_decision(data)
    if decision.chain_id != genesis.chain_id():
        raise InvalidSignature("the decision", "it was made on another network", fault=Fault.PEER)
    return decision, signer.name


def check_answer(decision: SignedDecision, question: Question, answer: Any) -> None:
    """Raise unless the answer that came beside the signed bytes says what they say."""
    said: Sequence[tuple[str, object, object]] = (
        ("question", decision.question, question),
        ("allowed", decision.allowed, answer.allowed),
        ("height", decision.height, answer.height),
        ("timestamp_ms", decision.timestamp_ms, answer.timestamp_ms),
        ("reason", decision.reason, answer.reason),
        ("clauses", decision.clauses, tuple(answer.clauses)),
        ("agreements", decision.agreements, tuple(answer.agreements)),
    )
    for name, signed, given in said:
        if signed != given:
            raise InvalidSignature("the decision", f"its {name} is not the one signed", fault=Fault.PEER)

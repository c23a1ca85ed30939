"""Authorize, Quote and Simulate: what the VM says of things that have not happened.

A decision is signed by this node over canonical bytes, which hold the question, the answer and the state
that gave it: whoever asked can show later what was said. It reserves nothing.

    decision = format u8 | chain_id 32 | height u64 | timestamp_ms u64 | allowed u8
             | party | asset | action | territories | media | from_ms u64 | until_ms u64
             | reason | clauses | agreements
    signed   = Tag.DECISION ‖ decision, by the validator's key

Texts are u32 length and UTF-8, lists a u16 count and texts (`licet.encoding`), integers big-endian.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any, Final

from licet import entities as e
from licet.crypto import SigningKey
from licet.encoding import Tag, Writer
from licet.receipts import Receipt
from licet.transactions import (
    ID_BYTES,
    AcceptOffer,
    AssetBinding,
    Transaction,
    TransactionBody,
)
from licet.types import HASH_BYTES, ZERO_HASH, ChainId
from licet.v1 import ledger_pb2 as pb
from licet.v1 import transaction_pb2 as tx

from licensing_vm.domain.authorise import Answer, OfferQuote, Question, authorise
from licensing_vm.transition import Machine
from node.api import mapping
from node.api.errors import RequestInvalid
from node.api.queries import Queries

DECISION_FORMAT: Final = 1
CODES_MAX: Final = 256  # territories or media in one question
FACTS_MAX: Final = 64
AGREEMENTS_MAX: Final = 1_000  # candidates that one question looks at
OFFERS_MAX: Final = 50


class Decisions:
    """The deciding third of the ledger service. `now_ms` is the block clock."""

    def __init__(
        self,
        *,
        chain_id: ChainId,
        key: SigningKey,
        machine: Machine,
        queries: Queries,
        now_ms: Callable[[], int],
        rows_under_way: Callable[[bytes], Iterable[bytes]],
    ) -> None:
        self._chain_id = chain_id
        self._key = key
        self._machine = machine
        self._queries = queries
        self._now_ms = now_ms
        self._rows_under_way = rows_under_way

    # --- Authorize ------------------------------------------------------------------------------

    def authorize(self, request: Any) -> pb.AuthorizeResponse:
        """The decision, signed."""
        question = _question(request)
        now_ms = self._now_ms()
        answer = authorise(
            self._machine,
            question,
            self._candidates(f"grant/{question.party}/{question.asset}/", AGREEMENTS_MAX),
            self._candidates(f"offer/asset/{question.asset}/", OFFERS_MAX),
            now_ms,
        )
        height = self._machine.height  # final and executed; perhaps not written yet
        decision = decision_bytes(self._chain_id, height, now_ms, question, answer)
        return pb.AuthorizeResponse(
            allowed=answer.allowed,
            reason=answer.reason,
            clauses=answer.clauses,
            agreements=answer.agreements,
            offers=map(_offer_quote, answer.offers),
            height=height,
            timestamp_ms=now_ms,
            signature=tx.Signature(
                public_key=self._key.public_key, signature=self._key.sign(Tag.DECISION, decision)
            ),
            decision=decision,
        )

    def _candidates(self, row: str, at_most: int) -> Iterator[str]:
        prefix = row.encode()
        found = chain(self._rows_under_way(prefix), self._queries.rows(prefix))
        return (row[len(prefix) :].decode() for row in islice(found, at_most))

    # --- Quote and Simulate ---------------------------------------------------------------------

    def quote(self, request: Any) -> pb.QuoteResponse:
        """What accepting an offer now would post, without doing it and without the money for it."""
        offer = self._queries.get(e.offer_key(request.offer), e.Offer, what="offer").record
        receipt = self._dry(
            request.buyer,
            AcceptOffer(
                agreement=f"quote-{secrets.token_hex(16)}",
                offer=request.offer,
                assets=tuple(AssetBinding(slot=item.slot, asset=item.asset) for item in request.assets),
            ),
        )
        if receipt.refusal is not None:
            return pb.QuoteResponse(refusal=mapping.refusal(receipt.refusal))
        total, currency = 0, ""
        for entry in receipt.entries:
            currency = currency or entry.currency
            for posting in entry.postings:
                if posting.party == request.buyer and posting.account == e.CASH:
                    total -= posting.change
        if not currency:
            currency = self._queries.currency_of(offer.program_hash)
        return pb.QuoteResponse(
            total=mapping.money(currency, total), entries=mapping.entries(receipt.entries)
        )

    def _dry(self, sender: str, command: AcceptOffer) -> Receipt:
        now_ms = self._now_ms()
        body = TransactionBody(
            chain_id=self._chain_id,
            id=secrets.token_bytes(ID_BYTES),
            sender=sender,
            valid_until_ms=now_ms,
            commands=(command,),
        )
        transaction = Transaction(hash=ZERO_HASH, raw_body=b"", body=body, signatures=())
        return self._machine.dry_run(transaction, now_ms, trusted=True, unfunded=True)

    def simulate(self, request: Any) -> pb.SimulateResponse:
        """What the close of the agreement's open period would post under these facts."""
        if len(request.facts) > FACTS_MAX:
            raise RequestInvalid("facts", f"has {len(request.facts)} items, more than {FACTS_MAX}")
        self._queries.get(e.agreement_key(request.agreement), e.Agreement, what="agreement")
        entries = self._machine.simulate(
            request.agreement, request.period, dict(request.facts), self._now_ms()
        )
        return pb.SimulateResponse(entries=mapping.entries(entries))


def _question(request: Any) -> Question:
    for field in ("territories", "media"):
        if len(getattr(request, field)) > CODES_MAX:
            raise RequestInvalid(field, f"has {len(getattr(request, field))} items, more than {CODES_MAX}")
    return Question(
        party=request.party,
        asset=request.asset,
        action=request.action,
        territories=tuple(request.territories),
        media=tuple(request.media),
        from_ms=request.from_ms,
        until_ms=request.until_ms,
    )


def _offer_quote(quote: OfferQuote) -> pb.OfferQuote:
    return pb.OfferQuote(
        offer=quote.offer,
        template=quote.template,
        price=None if quote.price is None else mapping.money(quote.currency, quote.price),
        price_text=quote.price_text,
    )


def decision_bytes(
    chain_id: ChainId, height: int, timestamp_ms: int, question: Question, answer: Answer
) -> bytes:
    """The canonical bytes that are signed."""
    out = Writer().u8(DECISION_FORMAT).fixed(chain_id, HASH_BYTES).u64(height).u64(timestamp_ms)
    out.u8(answer.allowed).text(question.party).text(question.asset).text(question.action)
    _texts(out, question.territories)
    _texts(out, question.media)
    out.u64(question.from_ms).u64(question.until_ms).text(answer.reason)
    _texts(out, answer.clauses)
    _texts(out, answer.agreements)
    return out.done()


def _texts(out: Writer, items: Iterable[str]) -> None:
    texts = tuple(items)
    out.u16(len(texts))
    for text in texts:
        out.text(text)

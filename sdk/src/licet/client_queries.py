"""What anybody may ask: entities and pages of them, statements, decisions, events, proofs.

Entities come as the contract's own messages (`licet.v1.ledger_pb2`); what people read comes as the
views of `licet.statement`. A proof is verified against genesis before it is returned.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final

import grpc

from licet.connection import Connection
from licet.decision import Question, check_answer, check_decision
from licet.entities import agreement_key
from licet.errors import Fault, InvalidProof, LicetError
from licet.outcomes import (
    Committed,
    LedgerEvent,
    RefusedAtAdmission,
    committed_of,
    entry_of,
    money_of,
    refusal_error,
)
from licet.proof import verify_proof
from licet.retry import Failure, failure_of, refused_by_node
from licet.statement import (
    Ancestor,
    Balance,
    Certificate,
    Decision,
    Edge,
    Lineage,
    OfferQuote,
    Quote,
    Statement,
    StatementLine,
    Status,
)
from licet.transactions import Money
from licet.v1 import ledger_pb2 as pb
from licet.v1 import transaction_pb2 as tx

ANCHOR_POLL_S: Final = 0.05
LINEAGE_GENERATIONS_MAX: Final = 8  # L-13


def _bindings(assets: Mapping[str, str] | None) -> list[tx.AssetBinding]:
    return [tx.AssetBinding(slot=slot, asset=asset) for slot, asset in (assets or {}).items()]


class QueryMethods:
    """The queries of `Client`."""

    _connection: Connection

    async def _ask(self, rpc: str, request: Any) -> Any:
        return await self._connection.ask(rpc, request)

    async def _pages(self, rpc: str, request: Any, field: str) -> AsyncIterator[Any]:
        request.page_size = self._connection.options.page_size
        while True:
            response = await self._ask(rpc, request)
            for item in getattr(response, field):
                yield item
            if not response.next_page_token:
                return
            if response.next_page_token == request.page_token:
                raise LicetError(
                    "NODE_CONFUSED",
                    "The node sends the same page for ever.",
                    fault=Fault.PEER,
                    remedy="Use another node, and report this one to its operator.",
                )
            request.page_token = response.next_page_token

    # --- the network

    async def status(self) -> Status:
        """The public state of the node and of its network."""
        return await self._connection.status()

    async def receipt(self, transaction_hash: bytes = b"", *, sender: str = "", id: bytes = b"") -> Committed:
        """What became of a transaction, by its hash or by sender and id; raises its refusal."""
        request = pb.GetReceiptRequest(transaction_hash=transaction_hash, sender=sender, id=id)
        response = await self._ask("GetReceipt", request)
        return committed_of(response.receipt, id=id, sender=sender)

    async def list_headers(self, *, from_height: int = 1) -> AsyncIterator[pb.FinalHeader]:
        """Final headers with their finality certificates."""
        request = pb.ListHeadersRequest(from_height=from_height)
        async for header in self._pages("ListHeaders", request, "headers"):
            yield header

    # --- entities

    async def get_party(self, party: str) -> pb.Party:
        """One party."""
        response = await self._ask("GetParty", pb.GetPartyRequest(party=party))
        found: pb.Party = response.party
        return found

    async def list_parties(self) -> AsyncIterator[pb.Party]:
        """Every party."""
        async for party in self._pages("ListParties", pb.ListPartiesRequest(), "parties"):
            yield party

    async def get_asset(self, asset: str) -> pb.Asset:
        """One asset."""
        response = await self._ask("GetAsset", pb.GetAssetRequest(asset=asset))
        found: pb.Asset = response.asset
        return found

    async def list_assets(self, *, registrant: str = "") -> AsyncIterator[pb.Asset]:
        """Assets, of one registrant where one is named."""
        request = pb.ListAssetsRequest(registrant=registrant)
        async for asset in self._pages("ListAssets", request, "assets"):
            yield asset

    async def get_claim(self, claim: str) -> pb.Claim:
        """One claim."""
        response = await self._ask("GetClaim", pb.GetClaimRequest(claim=claim))
        found: pb.Claim = response.claim
        return found

    async def list_claims(self, *, asset: str = "") -> AsyncIterator[pb.Claim]:
        """Claims, on one asset where one is named."""
        async for claim in self._pages("ListClaims", pb.ListClaimsRequest(asset=asset), "claims"):
            yield claim

    async def get_template(
        self, name: str = "", *, version: str = "", program_hash: bytes = b""
    ) -> pb.Template:
        """One template by name and version (the newest by default), or by its program's hash."""
        request = pb.GetTemplateRequest(program_hash=program_hash, name=name, version=version)
        response = await self._ask("GetTemplate", request)
        found: pb.Template = response.template
        return found

    async def list_templates(self, *, name: str = "") -> AsyncIterator[pb.Template]:
        """Templates, of one name where one is given."""
        request = pb.ListTemplatesRequest(name=name)
        async for template in self._pages("ListTemplates", request, "templates"):
            yield template

    async def get_offer(self, offer: str) -> pb.Offer:
        """One standing offer."""
        response = await self._ask("GetOffer", pb.GetOfferRequest(offer=offer))
        found: pb.Offer = response.offer
        return found

    async def list_offers(self, *, party: str = "", asset: str = "") -> AsyncIterator[pb.Offer]:
        """Standing offers that bind a party or cover an asset."""
        request = pb.ListOffersRequest(party=party, asset=asset)
        async for offer in self._pages("ListOffers", request, "offers"):
            yield offer

    async def get_agreement(self, agreement: str) -> pb.Agreement:
        """One agreement with the rights that it grants."""
        response = await self._ask("GetAgreement", pb.GetAgreementRequest(agreement=agreement))
        found: pb.Agreement = response.agreement
        return found

    async def list_agreements(self, *, party: str = "", asset: str = "") -> AsyncIterator[pb.Agreement]:
        """Agreements that bind a party or are on an asset."""
        request = pb.ListAgreementsRequest(party=party, asset=asset)
        async for agreement in self._pages("ListAgreements", request, "agreements"):
            yield agreement

    async def get_obligation(self, obligation: str) -> pb.Obligation:
        """One obligation."""
        response = await self._ask("GetObligation", pb.GetObligationRequest(obligation=obligation))
        found: pb.Obligation = response.obligation
        return found

    async def list_obligations(self, *, party: str = "", agreement: str = "") -> AsyncIterator[pb.Obligation]:
        """Obligations of a party on either side, or of an agreement."""
        request = pb.ListObligationsRequest(party=party, agreement=agreement)
        async for obligation in self._pages("ListObligations", request, "obligations"):
            yield obligation

    async def get_usage_report(self, reporter: str, report: str) -> pb.UsageReport:
        """One usage report."""
        response = await self._ask(
            "GetUsageReport", pb.GetUsageReportRequest(reporter=reporter, report=report)
        )
        found: pb.UsageReport = response.usage_report
        return found

    async def list_usage_reports(
        self, *, reporter: str = "", agreement: str = ""
    ) -> AsyncIterator[pb.UsageReport]:
        """Usage reports of a party or on an agreement."""
        request = pb.ListUsageReportsRequest(reporter=reporter, agreement=agreement)
        async for report in self._pages("ListUsageReports", request, "usage_reports"):
            yield report

    async def list_balances(self, party: str) -> AsyncIterator[pb.Balance]:
        """A party's balances."""
        async for balance in self._pages("ListBalances", pb.ListBalancesRequest(party=party), "balances"):
            yield balance

    # --- what people read

    async def lineage(self, asset: str) -> Lineage:
        """Where an asset comes from, generation by generation, and who is paid upstream."""
        first = await self.get_asset(asset)
        known: dict[str, pb.Asset] = {asset: first}
        wanted = [edge.parent for edge in first.parents]
        for _ in range(LINEAGE_GENERATIONS_MAX):
            names = [name for name in dict.fromkeys(wanted) if name not in known]
            found = await asyncio.gather(*(self.get_asset(name) for name in names))
            known.update(zip(names, found, strict=True))
            wanted = [edge.parent for item in found for edge in item.parents]
            if not wanted:
                break
        return Lineage(
            asset=asset,
            edges=tuple(
                Edge(child=edge.child, parent=edge.parent, relation=edge.relation, rate_e9=edge.rate_e9)
                for item in known.values()
                for edge in item.parents
            ),
            ancestors=tuple(
                Ancestor(**{name: getattr(ancestor, name) for name in Ancestor.__slots__})
                for ancestor in first.ancestors
            ),
        )

    async def statement(
        self, party: str, *, from_ms: int = 0, until_ms: int = 0, agreement: str = ""
    ) -> Statement:
        """What a party earned, was paid and is owed, line by line with the clause behind each."""
        request = pb.GetStatementRequest(
            party=party,
            from_ms=from_ms,
            until_ms=until_ms,
            agreement=agreement,
            page_size=self._connection.options.page_size,
        )
        lines: list[pb.StatementLine] = []
        while True:
            response = await self._ask("GetStatement", request)
            lines.extend(response.lines)
            if not response.next_page_token:
                break
            request.page_token = response.next_page_token
        if not lines and not response.balances:
            await self.get_party(party)  # an empty statement is a registered party's; else this says why
        if not lines and agreement:
            await self.get_agreement(agreement)
        return Statement(
            party=party,
            lines=tuple(_line(line) for line in lines),
            balances=tuple(
                Balance(party=b.party, account=b.account, issuer=b.issuer, amount=money_of(b.amount))
                for b in response.balances
            ),
            height=response.height,
            scales=dict(self._connection.scales),
        )

    async def authorize(
        self,
        party: str,
        asset: str,
        action: str,
        *,
        territories: Iterable[str] = (),
        media: Iterable[str] = (),
        from_ms: int = 0,
        until_ms: int = 0,
    ) -> Decision:
        """May a party use an asset for an action there and then, and what would it cost?"""
        request = pb.AuthorizeRequest(
            party=party,
            asset=asset,
            action=action,
            territories=list(territories),
            media=list(media),
            from_ms=from_ms,
            until_ms=until_ms,
        )
        response = await self._ask("Authorize", request)
        question = Question(
            party=party,
            asset=asset,
            action=action,
            territories=tuple(request.territories),
            media=tuple(request.media),
        )
        signed, signer = check_decision(
            response.decision,
            public_key=response.signature.public_key,
            signature=response.signature.signature,
            genesis=self._connection.genesis,
        )
        check_answer(signed, question, response)
        return Decision(
            allowed=response.allowed,
            reason=response.reason,
            clauses=tuple(response.clauses),
            agreements=tuple(response.agreements),
            offers=tuple(
                OfferQuote(
                    offer=offer.offer,
                    template=offer.template,
                    price=money_of(offer.price) if offer.HasField("price") else None,
                    price_text=offer.price_text,
                )
                for offer in response.offers
            ),
            height=response.height,
            timestamp_ms=response.timestamp_ms,
            signed_by=signer,
            decision=response.decision,
            signature=response.signature.signature,
        )

    async def quote(self, offer: str, *, buyer: str, assets: Mapping[str, str] | None = None) -> Quote:
        """What accepting an offer would cost and pay to whom, without doing it."""
        request = pb.QuoteRequest(offer=offer, buyer=buyer, assets=_bindings(assets))
        response = await self._ask("Quote", request)
        if response.HasField("refusal"):
            raise refusal_error(response.refusal, RefusedAtAdmission)
        return Quote(
            total=money_of(response.total), entries=tuple(entry_of(entry) for entry in response.entries)
        )

    async def simulate(self, agreement: str, *, period: str, facts: Mapping[str, int]) -> Quote:
        """What would be owed at the close of a period under given facts; `total` sums what is owed."""
        request = pb.SimulateRequest(agreement=agreement, period=period, facts=dict(facts))
        response = await self._ask("Simulate", request)
        entries = tuple(entry_of(entry) for entry in response.entries)
        owed = [posting.change for entry in entries for posting in entry.postings if posting.change.minor > 0]
        currency = owed[0].currency if owed else ""
        total = sum(change.minor for change in owed if change.currency == currency)
        return Quote(total=Money(currency=currency, minor=total), entries=entries)

    # --- following

    async def events(
        self,
        *,
        after: str = "",
        kinds: Iterable[str] = (),
        party: str = "",
        until_now: bool = False,
    ) -> AsyncIterator[LedgerEvent]:
        """Events from a cursor on, at least once each; resumes by itself when a node goes away."""
        cursor, wanted = after, list(kinds)
        loop = asyncio.get_running_loop()
        policy = self._connection.options.retry
        failing_since: float | None = None
        while True:
            self._connection.check_place()
            endpoints = self._connection.endpoints
            generation = endpoints.generation
            request = pb.StreamEventsRequest(after=cursor, kinds=wanted, party=party, until_now=until_now)
            call = endpoints.stub.StreamEvents(request)
            try:
                async for response in call:
                    failing_since = None
                    for record in response.events:
                        yield _event(record)
                        cursor = record.cursor
                    cursor = response.cursor or cursor
                if until_now:
                    return
                failure = Failure(why="the node ended the stream", retry_after_s=0.0, reached=True)
            except grpc.RpcError as error:
                found = failure_of(error)
                if found is None:
                    refused = refused_by_node(error)
                    if refused.code != "CURSOR_INVALID" or cursor == after:
                        raise refused from None
                    # Given by the node before, which is further on than this one.
                    found = Failure(why=refused.message.rstrip("."), retry_after_s=0.0, reached=True)
                failure = found
            finally:
                call.cancel()
            failing_since = failing_since if failing_since is not None else loop.time()
            if loop.time() - failing_since > policy.deadline_s:
                raise self._connection.gave_up(failure, loop.time() - failing_since)
            endpoints.turn(away_from=generation)
            await asyncio.sleep(policy.first_delay_s)

    async def wait_anchored(self, height: int, *, timeout_s: float = 30.0) -> int:
        """Wait until a final header carries the roots of `height`; return the anchored height."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        while True:
            status = await self.status()
            if status.anchored_height >= height:
                return status.anchored_height
            if loop.time() >= end:
                raise LicetError(
                    "NOT_ANCHORED",
                    f"After {timeout_s:g} s, height {status.anchored_height} is anchored and not {height}.",
                    fault=Fault.PEER,
                    remedy="Ask for the network's status: it says why no new header is final.",
                    facts={"height": str(height), "anchored_height": str(status.anchored_height)},
                )
            await asyncio.sleep(ANCHOR_POLL_S)

    # --- proofs

    async def proof(self, key: str | bytes) -> Certificate:
        """The proof file of a key of the state tree, present or absent, verified against genesis."""
        raw_key = key.encode() if isinstance(key, str) else key
        response = await self._ask("GetProof", pb.GetProofRequest(key=raw_key))
        claim = verify_proof(response.proof, self._connection.genesis)
        if claim.kind == "log" or claim.key.encode() != raw_key:
            raise InvalidProof(f"it proves {claim.key or 'a log entry'}, and {key!r} was asked for")
        return Certificate(data=response.proof, claim=claim)

    async def certificate(self, agreement: str, *, timeout_s: float = 30.0) -> Certificate:
        """The proof file of a license: waits until the agreement's height is anchored."""
        found = await self.get_agreement(agreement)
        await self.wait_anchored(found.height, timeout_s=timeout_s)
        certificate = await self.proof(agreement_key(agreement))
        if certificate.claim.kind != "state":
            raise InvalidProof(f"it shows no agreement {agreement}, though the node said there is one")
        return certificate

    async def receipt_certificate(self, transaction_hash: bytes, *, timeout_s: float = 30.0) -> Certificate:
        """The proof file of a receipt in the log: what a transaction did, with every journal entry."""
        first = await self._ask("GetReceipt", pb.GetReceiptRequest(transaction_hash=transaction_hash))
        await self.wait_anchored(first.receipt.height, timeout_s=timeout_s)
        request = pb.GetReceiptRequest(transaction_hash=transaction_hash, with_proof=True)
        response = await self._ask("GetReceipt", request)
        claim = verify_proof(response.proof, self._connection.genesis)
        shown = getattr(claim.record, "transaction_hash", b"")
        if claim.kind != "log" or shown != transaction_hash:
            raise InvalidProof("it proves another entry of the log than this transaction's receipt")
        return Certificate(data=response.proof, claim=claim)


def _line(line: pb.StatementLine) -> StatementLine:
    fields = {name: getattr(line, name) for name in StatementLine.__slots__}
    return StatementLine(**{**fields, "change": money_of(line.change), "facts": dict(line.facts)})


def _event(record: pb.EventRecord) -> LedgerEvent:
    return LedgerEvent(
        cursor=record.cursor,
        height=record.height,
        timestamp_ms=record.timestamp_ms,
        transaction_hash=record.transaction_hash,
        kind=record.event.kind,
        attributes=dict(record.event.attributes),
    )

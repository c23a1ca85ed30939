"""LedgerService: every RPC of `ledger.proto`, each a few lines over submissions, queries and decisions.

A handler reads its request, asks one of the rooms' functions and maps the answer; an error of any of
them becomes a google.rpc.Status at one place (`answering`). Nothing here holds state of its own.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeVar

from google.protobuf.message import Message
from licet import entities as e
from licet.genesis import Genesis
from licet.proof import LogClaim
from licet.receipts import read_receipt
from licet.transactions import ID_BYTES, valid_name
from licet.types import HASH_BYTES, Hash32, Height
from licet.v1 import ledger_pb2 as pb
from licet.v1.ledger_pb2_grpc import LedgerServiceServicer

from node.api import cursors, mapping
from node.api.decisions import Decisions
from node.api.errors import MessageTooLarge, NotFound, RequestInvalid, ended
from node.api.pages import key_of, page_size, token_of
from node.api.queries import Queries
from node.api.status import StatusView
from node.api.submissions import Submissions
from node.api.turns import Turns
from node.core.submit import Ledger

R = TypeVar("R")

EVENTS_PER_RESPONSE: Final = 200
EVENTS_SCAN: Final = 100  # receipts looked at before the loop is given back (C-16)
CURSOR_WAIT_S: Final = 5.0  # for a node that is a little behind the one that gave the cursor
EVENTS_WAIT_S: Final = 15.0  # a quiet stream tells its cursor this often, so that a dead client is noticed


def answering(
    call: Callable[[Any, Any, Any], Awaitable[R]],
) -> Callable[[Any, Any, Any], Awaitable[R]]:
    """Turn what a handler raises into a gRPC status with details."""

    @functools.wraps(call)
    async def answer(self: Any, request: Any, context: Any) -> R:
        try:
            limit: int | None = getattr(self, "message_bytes_max", None)
            if limit is not None and isinstance(request, Message) and request.ByteSize() > limit:
                raise MessageTooLarge(request.ByteSize(), limit)
            return await call(self, request, context)
        except Exception as error:
            why = await ended(context, error, what=call.__name__)
        del self, request, context
        try:
            raise why
        finally:
            del why

    return answer


def in_turn(call: Callable[[Any, Any, Any], Awaitable[R]]) -> Callable[[Any, Any, Any], Awaitable[R]]:
    """Make a handler one of the readings that run one after another."""

    @functools.wraps(call)
    async def wait_and_call(self: Any, request: Any, context: Any) -> R:
        async with self._turns.take(context.peer()):
            return await call(self, request, context)

    return wait_and_call


def _name(field: str, value: str) -> str:
    """A required id of the request."""
    if not valid_name(value):
        raise RequestInvalid(field, f"is {value[:70]!r}, which is no id")
    return value


def _optional(field: str, value: str) -> str:
    return _name(field, value) if value else ""


def _hash(field: str, value: bytes) -> Hash32:
    if len(value) != HASH_BYTES:
        raise RequestInvalid(field, f"has {len(value)} bytes, not {HASH_BYTES}")
    return Hash32(value)


class LedgerService(LedgerServiceServicer):
    """The clients' service."""

    def __init__(
        self,
        *,
        genesis: Genesis,
        ledger: Ledger,
        queries: Queries,
        submissions: Submissions,
        decisions: Decisions,
        status: StatusView,
        message_bytes_max: int,
    ) -> None:
        self.message_bytes_max = message_bytes_max
        self._genesis_json = genesis.to_json()
        self._ledger = ledger
        self._queries = queries
        self._submissions = submissions
        self._decisions = decisions
        self._status = status
        self._turns = Turns()

    # --- submitting -----------------------------------------------------------------------------

    @answering
    async def Submit(self, request: Any, context: Any) -> pb.SubmitResponse:
        return await self._submissions.one(request, context)

    @answering
    async def SubmitBatch(self, request: Any, context: Any) -> pb.SubmitBatchResponse:
        return await self._submissions.batch(request, context)

    @answering
    async def SubmitStream(self, request: Any, context: Any) -> None:  # type: ignore[override]
        error = await self._submissions.stream(context)
        if error is not None:
            try:
                raise error
            finally:
                del error

    @answering
    async def GetReceipt(self, request: Any, context: Any) -> pb.GetReceiptResponse:
        if request.transaction_hash:
            stored = self._queries.receipt(_hash("transaction_hash", request.transaction_hash))
        else:
            if len(request.id) != ID_BYTES:
                raise RequestInvalid("id", f"has {len(request.id)} bytes, not {ID_BYTES}")
            sender = _name("sender", request.sender)
            async with self._turns.take(context.peer()):
                stored = await self._queries.receipt_by_id(sender, request.id)
        if not request.with_proof:
            return pb.GetReceiptResponse(receipt=mapping.receipt(stored.read()))
        proof = self._queries.receipt_proof(stored)
        assert isinstance(proof.claim, LogClaim)
        receipt = mapping.receipt(read_receipt(proof.claim.entry))
        return pb.GetReceiptResponse(receipt=receipt, proof=proof.encode())

    # --- status ---------------------------------------------------------------------------------

    @answering
    async def GetStatus(self, request: Any, context: Any) -> pb.GetStatusResponse:
        return self._status.public()

    @answering
    async def GetGenesis(self, request: Any, context: Any) -> pb.GetGenesisResponse:
        return pb.GetGenesisResponse(json=self._genesis_json)

    # --- parties --------------------------------------------------------------------------------

    @answering
    async def GetParty(self, request: Any, context: Any) -> pb.GetPartyResponse:
        key = e.party_key(_name("party", request.party))
        found = self._queries.get(key, e.Party, what="party", with_proof=request.with_proof)
        return pb.GetPartyResponse(party=mapping.party(found.record), proof=found.proof, height=found.height)

    @answering
    @in_turn
    async def ListParties(self, request: Any, context: Any) -> pb.ListPartiesResponse:
        page = self._queries.list_kind(b"party/", e.Party, request)
        return pb.ListPartiesResponse(
            parties=map(mapping.party, page.items),
            next_page_token=page.next_token,
            height=self._queries.height,
        )

    # --- assets and claims ----------------------------------------------------------------------

    @answering
    async def GetAsset(self, request: Any, context: Any) -> pb.GetAssetResponse:
        key = e.asset_key(_name("asset", request.asset))
        found = self._queries.get(key, e.Asset, what="asset", with_proof=request.with_proof)
        return pb.GetAssetResponse(asset=mapping.asset(found.record), proof=found.proof, height=found.height)

    @answering
    @in_turn
    async def ListAssets(self, request: Any, context: Any) -> pb.ListAssetsResponse:
        if request.registrant:
            row = f"asset/registrant/{_name('registrant', request.registrant)}/"
            page = self._queries.list_rows(row, e.asset_key, e.Asset, request)
        else:
            page = self._queries.list_kind(b"asset/", e.Asset, request)
        return pb.ListAssetsResponse(
            assets=map(mapping.asset, page.items),
            next_page_token=page.next_token,
            height=self._queries.height,
        )

    @answering
    async def GetClaim(self, request: Any, context: Any) -> pb.GetClaimResponse:
        key = e.claim_key(_name("claim", request.claim))
        found = self._queries.get(key, e.Claim, what="claim", with_proof=request.with_proof)
        return pb.GetClaimResponse(claim=mapping.claim(found.record), proof=found.proof, height=found.height)

    @answering
    @in_turn
    async def ListClaims(self, request: Any, context: Any) -> pb.ListClaimsResponse:
        if request.asset:
            row = f"claim/asset/{_name('asset', request.asset)}/"
            page = self._queries.list_rows(row, e.claim_key, e.Claim, request)
        else:
            page = self._queries.list_kind(b"claim/", e.Claim, request)
        return pb.ListClaimsResponse(
            claims=map(mapping.claim, page.items),
            next_page_token=page.next_token,
            height=self._queries.height,
        )

    # --- templates and offers -------------------------------------------------------------------

    @answering
    async def GetTemplate(self, request: Any, context: Any) -> pb.GetTemplateResponse:
        if request.program_hash:
            program = bytes(_hash("program_hash", request.program_hash))
        else:
            program = self._queries.template_named(_name("name", request.name), request.version)
        key = e.template_key(program)
        found = self._queries.get(key, e.Template, what="template", with_proof=request.with_proof)
        return pb.GetTemplateResponse(
            template=mapping.template(found.record, with_source=True),
            proof=found.proof,
            height=found.height,
        )

    @answering
    @in_turn
    async def ListTemplates(self, request: Any, context: Any) -> pb.ListTemplatesResponse:
        if request.name:
            row = f"template/name/{_name('name', request.name)}/"
            page = self._queries.list_rows(
                row, lambda rest: b"template/" + rest.rpartition("/")[2].encode(), e.Template, request
            )
        else:
            page = self._queries.list_kind(b"template/", e.Template, request)
        return pb.ListTemplatesResponse(
            templates=[mapping.template(one, with_source=False) for one in page.items],
            next_page_token=page.next_token,
            height=self._queries.height,
        )

    @answering
    async def GetOffer(self, request: Any, context: Any) -> pb.GetOfferResponse:
        key = e.offer_key(_name("offer", request.offer))
        found = self._queries.get(key, e.Offer, what="offer", with_proof=request.with_proof)
        return pb.GetOfferResponse(offer=mapping.offer(found.record), proof=found.proof, height=found.height)

    @answering
    @in_turn
    async def ListOffers(self, request: Any, context: Any) -> pb.ListOffersResponse:
        party, asset = _optional("party", request.party), _optional("asset", request.asset)

        def keep(offer: e.Offer) -> bool:
            return not asset or any(item.value == asset for item in offer.assets)

        if party or asset:
            row = f"offer/party/{party}/" if party else f"offer/asset/{asset}/"
            page = self._queries.list_rows(row, e.offer_key, e.Offer, request, keep)
        else:
            page = self._queries.list_kind(b"offer/", e.Offer, request)
        return pb.ListOffersResponse(
            offers=map(mapping.offer, page.items),
            next_page_token=page.next_token,
            height=self._queries.height,
        )

    # --- agreements, obligations, usage ---------------------------------------------------------

    @answering
    async def GetAgreement(self, request: Any, context: Any) -> pb.GetAgreementResponse:
        key = e.agreement_key(_name("agreement", request.agreement))
        found = self._queries.get(key, e.Agreement, what="agreement", with_proof=request.with_proof)
        return pb.GetAgreementResponse(
            agreement=mapping.agreement(found.record, self._queries.now_ms),
            proof=found.proof,
            height=found.height,
        )

    @answering
    @in_turn
    async def ListAgreements(self, request: Any, context: Any) -> pb.ListAgreementsResponse:
        party, asset = _optional("party", request.party), _optional("asset", request.asset)

        def keep(agreement: e.Agreement) -> bool:
            return not asset or any(item.value == asset for item in agreement.assets)

        if party or asset:
            row = f"agreement/party/{party}/" if party else f"agreement/asset/{asset}/"
            page = self._queries.list_rows(row, e.agreement_key, e.Agreement, request, keep)
        else:
            page = self._queries.list_kind(b"agreement/", e.Agreement, request)
        now_ms = self._queries.now_ms
        return pb.ListAgreementsResponse(
            agreements=[mapping.agreement(one, now_ms) for one in page.items],
            next_page_token=page.next_token,
            height=self._queries.height,
        )

    @answering
    async def GetObligation(self, request: Any, context: Any) -> pb.GetObligationResponse:
        agreement, slash, number = request.obligation.partition("/")
        if not (slash and valid_name(agreement) and number.isdecimal() and len(number) == 8):
            raise RequestInvalid("obligation", f"is {request.obligation[:70]!r}, not AGREEMENT/8 digits")
        key = e.obligation_key(agreement, int(number))
        found = self._queries.get(key, e.Obligation, what="obligation", with_proof=request.with_proof)
        return pb.GetObligationResponse(
            obligation=mapping.obligation(found.record, self._queries.now_ms),
            proof=found.proof,
            height=found.height,
        )

    @answering
    @in_turn
    async def ListObligations(self, request: Any, context: Any) -> pb.ListObligationsResponse:
        party, agreement = _optional("party", request.party), _optional("agreement", request.agreement)

        def keep(obligation: e.Obligation) -> bool:
            return not party or party in (obligation.debtor, obligation.creditor)

        if agreement:
            prefix = b"obligation/" + agreement.encode() + b"/"
            page = self._queries.list_kind(prefix, e.Obligation, request, keep)
        elif party:
            row = f"obligation/party/{party}/"
            page = self._queries.list_rows(
                row, lambda rest: b"obligation/" + rest.encode(), e.Obligation, request
            )
        else:
            page = self._queries.list_kind(b"obligation/", e.Obligation, request)
        now_ms = self._queries.now_ms
        return pb.ListObligationsResponse(
            obligations=[mapping.obligation(one, now_ms) for one in page.items],
            next_page_token=page.next_token,
            height=self._queries.height,
        )

    @answering
    async def GetUsageReport(self, request: Any, context: Any) -> pb.GetUsageReportResponse:
        key = e.report_key(_name("reporter", request.reporter), _name("report", request.report))
        found = self._queries.get(key, e.UsageReport, what="usage report", with_proof=request.with_proof)
        return pb.GetUsageReportResponse(
            usage_report=mapping.usage_report(found.record), proof=found.proof, height=found.height
        )

    @answering
    @in_turn
    async def ListUsageReports(self, request: Any, context: Any) -> pb.ListUsageReportsResponse:
        reporter, agreement = (
            _optional("reporter", request.reporter),
            _optional("agreement", request.agreement),
        )

        def keep(report: e.UsageReport) -> bool:
            return not agreement or agreement in report.agreements

        if reporter or not agreement:
            prefix = f"report/{reporter}/".encode() if reporter else b"report/"
            page = self._queries.list_kind(prefix, e.UsageReport, request, keep)
        else:
            row = f"report/agreement/{agreement}/"
            page = self._queries.list_rows(
                row, lambda rest: b"report/" + rest.encode(), e.UsageReport, request
            )
        return pb.ListUsageReportsResponse(
            usage_reports=map(mapping.usage_report, page.items),
            next_page_token=page.next_token,
            height=self._queries.height,
        )

    @answering
    @in_turn
    async def ListBalances(self, request: Any, context: Any) -> pb.ListBalancesResponse:
        party = _name("party", request.party)
        self._queries.require_party(party)
        prefix = b"balance/" + party.encode() + b"/"
        page = self._queries.list_state(prefix, e.Balance, request)
        return pb.ListBalancesResponse(
            balances=[mapping.balance(key, record) for key, record in page.items],
            next_page_token=page.next_token,
            height=self._queries.height,
        )

    @answering
    async def GetProof(self, request: Any, context: Any) -> pb.GetProofResponse:
        found = self._queries.proof(request.key)
        return pb.GetProofResponse(proof=found.proof, height=found.height)

    # --- decisions ------------------------------------------------------------------------------

    @answering
    async def Authorize(self, request: Any, context: Any) -> pb.AuthorizeResponse:
        _name("party", request.party)
        _name("asset", request.asset)
        return self._decisions.authorize(request)

    @answering
    async def Quote(self, request: Any, context: Any) -> pb.QuoteResponse:
        _name("offer", request.offer)
        _name("buyer", request.buyer)
        return self._decisions.quote(request)

    @answering
    async def Simulate(self, request: Any, context: Any) -> pb.SimulateResponse:
        _name("agreement", request.agreement)
        return self._decisions.simulate(request)

    @answering
    @in_turn
    async def GetStatement(self, request: Any, context: Any) -> pb.GetStatementResponse:
        party = _name("party", request.party)
        self._queries.require_party(party)
        page = await self._queries.statement(
            party,
            from_ms=request.from_ms,
            until_ms=request.until_ms,
            agreement=_optional("agreement", request.agreement),
            size=request.page_size,
            token=request.page_token,
        )
        return pb.GetStatementResponse(
            party=party,
            lines=[
                mapping.statement_line(line, self._queries.heading(line.program_hash, line.clause))
                for line in page.items
            ],
            next_page_token=page.next_token,
            balances=[mapping.balance(key, record) for key, record in self._queries.balances(party)],
            height=self._queries.height,
        )

    # --- following ------------------------------------------------------------------------------

    async def StreamEvents(self, request: Any, context: Any) -> AsyncIterator[pb.StreamEventsResponse]:
        """Events behind the cursor; a quiet stream repeats its cursor from time to time."""
        try:
            async for response in self._events(request, context.peer()):
                yield response
            return
        except Exception as error:
            why = await ended(context, error, what="StreamEvents")
        del self, request, context
        try:
            raise why
        finally:
            del why

    async def _events(self, request: Any, connection: str) -> AsyncIterator[pb.StreamEventsResponse]:
        party = _optional("party", request.party)
        kinds = tuple(request.kinds)
        cursor: str = request.after
        await self._reach(cursor)
        while True:
            height = self._queries.height
            async with self._turns.take(connection, patient=True):
                events, cursor, full = self._next_events(cursor, party, kinds)
            if events or full:
                yield pb.StreamEventsResponse(events=events, cursor=cursor, height=height)
            if full:
                continue
            if request.until_now:
                if not events:
                    yield pb.StreamEventsResponse(cursor=cursor, height=height)
                return
            if not await self._ledger.wait_for_height(Height(height + 1), timeout_s=EVENTS_WAIT_S):
                yield pb.StreamEventsResponse(cursor=cursor, height=height)

    async def _reach(self, cursor: str) -> None:
        """Wait a moment for a height that other nodes have already; else it is of no ledger that is known."""
        place = self._queries.cursors.parse(cursor)
        if place.height > self._queries.height:
            await self._ledger.wait_for_height(Height(place.height), timeout_s=CURSOR_WAIT_S)
        if place.height > self._queries.height:
            raise cursors.beyond(place, self._queries.height)

    def _next_events(
        self, cursor: str, party: str, kinds: tuple[str, ...]
    ) -> tuple[list[pb.EventRecord], str, bool]:
        """Events behind a cursor, the cursor behind them, and whether there may be more at once."""
        events: list[pb.EventRecord] = []
        queries = self._queries
        height = queries.height  # nothing becomes final while this looks
        place = queries.cursors.parse(cursor)
        for seen, (at, receipt, numbers) in enumerate(queries.events_after(place, party=party)):
            for number in numbers:
                if _of_kind(receipt.events[number].kind, kinds):
                    own = queries.cursors.event(receipt.height, receipt.index, number)
                    events.append(mapping.event_record(receipt, number, own))
            if len(events) >= EVENTS_PER_RESPONSE or seen >= EVENTS_SCAN:
                return events, at, True
        return events, queries.cursors.block(height), False

    @answering
    @in_turn
    async def ListHeaders(self, request: Any, context: Any) -> pb.ListHeadersResponse:
        after = key_of(request.page_token, b"header/")
        first = max(1, request.from_height) if after is None else int(after[len(b"header/") :]) + 1
        size = page_size(request.page_size)
        last = min(first + size - 1, self._queries.height)
        headers = []
        for height in range(first, last + 1):
            committed = self._queries.blocks.final_block(Height(height))
            if committed is None:
                raise NotFound("header of height", str(height))
            headers.append(mapping.final_header(committed.block, committed.finalization))
        more = last < self._queries.height and headers
        return pb.ListHeadersResponse(
            headers=headers, next_page_token=token_of(b"header/%d" % last) if more else ""
        )


def _of_kind(kind: str, wanted: tuple[str, ...]) -> bool:
    return not wanted or any(kind == one or kind.startswith(one + ".") for one in wanted)

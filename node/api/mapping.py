"""The frozen records of the ledger as protobuf: the API's one door to generated code.

Only this way round: what clients send is read by `licet.codec` (transactions) and by the services
(requests of plain fields). Amounts, times and ids pass unchanged; states that follow from the time
(expired, overdue) are derived here for the time of the state that answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from licet import entities as e
from licet import receipts as r
from licet.certificate import Certificate
from licet.errors import LicetError
from licet.v1 import ledger_pb2 as pb
from licet.v1 import transaction_pb2 as tx

from consensus.types import Block

_MINOR_MAX = (1 << 63) - 1


def money(currency: str, minor: int) -> tx.Money:
    """An amount; one that does not fit 64 bits is shown as the nearest that does. Only sums of what many
    debtors owe can be so large: single amounts and cash are bounded, and the record itself is exact."""
    return tx.Money(currency=currency, minor=max(-_MINOR_MAX, min(minor, _MINOR_MAX)))


def party(record: e.Party) -> pb.Party:
    return pb.Party(
        party=record.party,
        name=record.name,
        kind=record.kind,
        keys=[
            tx.Key(public_key=key.public_key, scopes=key.scopes, expires_ms=key.expires_ms)
            for key in record.keys
        ],
        roles=record.roles,
    )


def asset(record: e.Asset) -> pb.Asset:
    return pb.Asset(
        asset=record.asset,
        kind=record.kind,
        title=record.title,
        registrant=record.registrant,
        version=record.version,
        content_hashes=record.content_hashes,
        external_ids=[tx.ExternalId(scheme=x.name, value=x.value) for x in record.external_ids],
        payout=[tx.PayoutLeg(party=leg.party, share_ppm=leg.share_ppm) for leg in record.payout],
        ancestors=[
            pb.Ancestor(
                asset=one.asset,
                version=one.version,
                relative_once_e12=one.relative_once,
                relative_every_path_e12=one.relative_every_path,
                absolute_once_e12=one.absolute_once,
                absolute_every_path_e12=one.absolute_every_path,
            )
            for one in record.ancestors
        ],
        parents=[
            pb.LineageEdge(
                child=record.asset,
                parent=edge.parent,
                relation=edge.relation,
                rate_e9=edge.rate_e9,
                evidence_hash=edge.evidence_hash,
            )
            for edge in record.parents
        ],
    )


def claim(record: e.Claim) -> pb.Claim:
    return pb.Claim(
        claim=record.claim,
        asset=record.asset,
        holder=record.holder,
        right=record.right,
        territory=record.territory,
        share_ppm=record.share_ppm,
        from_ms=record.from_ms,
        until_ms=record.until_ms,
        state=record.state,
    )


def template(record: e.Template, *, with_source: bool) -> pb.Template:
    return pb.Template(
        program_hash=record.program_hash,
        name=record.name,
        version=record.version,
        title=record.title,
        publisher=record.publisher,
        source=record.source if with_source else "",
        deprecated=record.deprecated,
        published_height=record.published_height,
    )


def _roles(items: Iterable[e.NamedValue]) -> list[tx.RoleBinding]:
    return [tx.RoleBinding(role=item.name, party=item.value) for item in items]


def _params(items: Iterable[e.NamedValue]) -> list[tx.ParamBinding]:
    return [tx.ParamBinding(name=item.name, value=item.value) for item in items]


def _assets(items: Iterable[e.NamedValue]) -> list[tx.AssetBinding]:
    return [tx.AssetBinding(slot=item.name, asset=item.value) for item in items]


def offer(record: e.Offer) -> pb.Offer:
    return pb.Offer(
        offer=record.offer,
        program_hash=record.program_hash,
        template=record.template,
        roles=_roles(record.roles),
        open_role=record.open_role,
        params=_params(record.params),
        assets=_assets(record.assets),
        expires_ms=record.expires_ms,
        withdrawn=record.withdrawn,
    )


def grant(record: e.GrantInterval) -> pb.GrantInterval:
    return pb.GrantInterval(
        grant=record.grant,
        from_ms=record.from_ms,
        until_ms=record.until_ms,
        actions=record.actions,
        territories=record.territories,
        media=record.media,
        exclusive=record.exclusive,
        asset=record.asset,
        grantee=record.grantee,
    )


def agreement(record: e.Agreement, now_ms: int) -> pb.Agreement:
    return pb.Agreement(
        agreement=record.agreement,
        offer=record.offer,
        program_hash=record.program_hash,
        template=record.template,
        roles=_roles(record.roles),
        params=_params(record.params),
        assets=_assets(record.assets),
        effective_ms=record.effective_ms,
        signed_ms=record.signed_ms,
        state=e.agreement_state(record, now_ms),
        grants=[grant(one) for one in record.grants],
        height=record.height,
    )


def obligation(record: e.Obligation, now_ms: int) -> pb.Obligation:
    return pb.Obligation(
        obligation=e.obligation_id(record.agreement, record.number),
        agreement=record.agreement,
        debtor=record.debtor,
        creditor=record.creditor,
        clause=record.clause,
        period=record.period,
        amount=money(record.currency, record.amount),
        paid=money(record.currency, record.paid),
        due_ms=record.due_ms,
        state=e.obligation_state(record, now_ms),
    )


def usage_report(record: e.UsageReport) -> pb.UsageReport:
    return pb.UsageReport(
        reporter=record.reporter,
        report=record.report,
        fact=record.fact,
        period_start_ms=record.period_start_ms,
        agreements=record.agreements,
        totals=record.totals,
        rows=record.rows,
        transaction_hash=record.transaction_hash,
        height=record.height,
    )


def balance(key: bytes, record: e.Balance) -> pb.Balance:
    """A balance from its key, which says whose and what it is."""
    _, owner, account, issuer, currency = key.decode().split("/")
    return pb.Balance(party=owner, account=account, issuer=issuer, amount=money(currency, record.amount))


# --- receipts -----------------------------------------------------------------------------------


def refusal_of_error(error: LicetError, clause: str = "") -> pb.Refusal:
    return pb.Refusal(
        code=error.code,
        message=error.message,
        fault=error.fault.value,
        remedy=error.remedy,
        facts=dict(error.facts),
        clause=clause,
    )


def refusal(record: r.Refusal) -> pb.Refusal:
    return pb.Refusal(
        code=record.code,
        message=record.message,
        fault=record.fault,
        remedy=record.remedy,
        facts={fact.name: fact.value for fact in record.facts},
        clause=record.clause,
    )


def event(record: r.Event) -> pb.Event:
    return pb.Event(kind=record.kind, attributes={one.name: one.value for one in record.attributes})


def entry(record: r.JournalEntry) -> pb.JournalEntry:
    return pb.JournalEntry(
        clause=record.clause,
        program_hash=record.program_hash,
        agreement=record.agreement,
        kind=record.kind,
        facts={fact.name: fact.value for fact in record.facts},
        postings=[
            pb.Posting(
                party=one.party,
                account=e.ACCOUNT_NAMES[one.account],
                change=money(record.currency, one.change),
                asset=one.asset,
            )
            for one in record.postings
        ],
    )


def entries(records: Sequence[r.JournalEntry]) -> list[pb.JournalEntry]:
    return [entry(record) for record in records]


def receipt(record: r.Receipt) -> pb.Receipt:
    return pb.Receipt(
        transaction_hash=record.transaction_hash,
        height=record.height,
        index=record.index,
        timestamp_ms=record.timestamp_ms,
        committed=record.committed,
        refusal=None if record.refusal is None else refusal(record.refusal),
        events=[event(one) for one in record.events],
        entries=entries(record.entries),
    )


def brief_receipt(record: r.Receipt) -> pb.Receipt:
    """Outcome, height and index only."""
    return pb.Receipt(
        transaction_hash=record.transaction_hash,
        height=record.height,
        index=record.index,
        timestamp_ms=record.timestamp_ms,
        committed=record.committed,
        refusal=None if record.refusal is None else refusal(record.refusal),
    )


def statement_line(record: r.StatementLine, heading: str) -> pb.StatementLine:
    return pb.StatementLine(
        height=record.height,
        index=record.index,
        timestamp_ms=record.timestamp_ms,
        transaction_hash=record.transaction_hash,
        kind=record.kind,
        agreement=record.agreement,
        clause=record.clause,
        clause_heading=heading,
        account=e.ACCOUNT_NAMES[record.account],
        change=money(record.currency, record.change),
        counterparty=record.counterparty,
        asset=record.asset,
        facts={fact.name: fact.value for fact in record.facts},
    )


def event_record(receipt_: r.Receipt, number: int, cursor: str) -> pb.EventRecord:
    """One event of a receipt with its place."""
    return pb.EventRecord(
        cursor=cursor,
        height=receipt_.height,
        timestamp_ms=receipt_.timestamp_ms,
        transaction_hash=receipt_.transaction_hash,
        event=event(receipt_.events[number]),
    )


def final_header(block: Block, finality: Certificate | None) -> pb.FinalHeader:
    return pb.FinalHeader(
        height=block.height,
        header=block.header.encoded,
        finality=b"" if finality is None else finality.encode(),
    )

"""What a party does: one method for each command of the ledger, and `license` for the common case.

Every method takes `how`: extra keys that sign, an id of your own, or `validate_only`. Amounts may be
written as text ("EUR 250.00"), templates by name, roles and parameters as mappings.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from licet import transactions as t
from licet.builder import new_name
from licet.connection import Connection
from licet.crypto import SigningKey
from licet.money import parse_money
from licet.outcomes import Committed
from licet.types import HASH_BYTES, Hash32, PublicKey
from licet.usage import ROWS_PER_REPORT, UsageRow, read_usage_csv, row_check, to_reports
from licet.v1 import ledger_pb2 as pb


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """How one transaction is signed and sent."""

    id: bytes | None = None  # 16 bytes; inside the validity window the same id executes at most once
    look_first: bool = (
        False  # True to look for an earlier use of `id`, however old, before anything is signed
    )
    keys: tuple[SigningKey, ...] = ()  # that sign besides the client's own
    only_these_keys: bool = False  # True to leave the client's own keys out
    sender: str | None = None  # None for the client's
    valid_for_ms: int | None = None  # on the node's clock; None for half the network's window
    validate_only: bool = False  # True to learn the outcome without submitting


def _name(prefix: str, how: Submission | None) -> str:
    """A fresh id of an entity; under an id of the caller's always the same, so that a repeat is one."""
    if how is None or how.id is None:
        return new_name(prefix)
    return f"{prefix}-{sha256(prefix.encode() + how.id).hexdigest()[:16]}"


def _hash(value: bytes | str) -> bytes:
    return value if isinstance(value, bytes) else bytes.fromhex(value)


def _roles(roles: Mapping[str, str]) -> tuple[t.RoleBinding, ...]:
    return tuple(t.RoleBinding(role=role, party=party) for role, party in roles.items())


def _params(params: Mapping[str, str] | None) -> tuple[t.ParamBinding, ...]:
    return tuple(t.ParamBinding(name=name, value=value) for name, value in (params or {}).items())


def _assets(assets: Mapping[str, str | Sequence[str]] | None) -> tuple[t.AssetBinding, ...]:
    return tuple(
        t.AssetBinding(slot=slot, asset=asset)
        for slot, chosen in (assets or {}).items()
        for asset in ([chosen] if isinstance(chosen, str) else chosen)
    )


class CommandMethods:
    """The commands of `Client`."""

    _connection: Connection

    async def submit(self, *commands: t.Command, how: Submission | None = None) -> Committed:
        """Implemented by `Client`."""
        raise NotImplementedError

    async def _template(self, template: str | bytes) -> Hash32:
        """The program hash of a template given as its hash, its hash in hex, "name" or "name@version"."""
        if isinstance(template, bytes):
            return Hash32(template)
        if len(template) == 2 * HASH_BYTES and all(digit in "0123456789abcdef" for digit in template):
            return Hash32(bytes.fromhex(template))
        name, _, version = template.partition("@")
        request = pb.GetTemplateRequest(name=name, version=version)
        response = await self._connection.call(lambda s, timeout: s.GetTemplate(request, timeout=timeout))
        return Hash32(response.template.program_hash)

    def _money(self, amount: t.Money | str) -> t.Money:
        return amount if isinstance(amount, t.Money) else parse_money(amount, self._connection.scales)

    async def _named(self, names: dict[str, str], command: t.Command, how: Submission | None) -> Committed:
        return replace(await self.submit(command, how=how), names=names)

    # --- parties and keys

    async def register_party(
        self,
        party: str,
        *,
        name: str,
        key: SigningKey,
        kind: str = "organisation",
        scopes: Sequence[str] = ("all",),
        how: Submission | None = None,
    ) -> Committed:
        """Register a party with its first key, which signs; so does this client where a registrar must."""
        how = how or Submission()
        command = t.RegisterParty(
            name=name, kind=kind, keys=(t.Key(public_key=key.public_key, scopes=tuple(scopes)),)
        )
        how = replace(
            how,
            sender=party,
            keys=(key, *how.keys),
            only_these_keys=self._connection.genesis.parameters.open_registration,
        )
        return await self._named({"party": party}, command, how)

    async def add_key(
        self,
        public_key: bytes,
        *,
        scopes: Sequence[str],
        expires_ms: int = 0,
        how: Submission | None = None,
    ) -> Committed:
        """Add a key to the sender."""
        key = t.Key(public_key=PublicKey(public_key), scopes=tuple(scopes), expires_ms=expires_ms)
        return await self.submit(t.AddKey(key=key), how=how)

    async def revoke_key(self, public_key: bytes, *, how: Submission | None = None) -> Committed:
        """Revoke a key of the sender."""
        return await self.submit(t.RevokeKey(public_key=PublicKey(public_key)), how=how)

    # --- assets, claims, lineage

    async def register_asset(
        self,
        asset: str,
        *,
        kind: str,
        title: str,
        content_hashes: Iterable[bytes | str] = (),
        external_ids: Mapping[str, str] | None = None,
        evidence_hash: bytes | str = b"",
        how: Submission | None = None,
    ) -> Committed:
        """Register an asset; the sender becomes its registrant."""
        command = t.RegisterAsset(
            asset=asset,
            kind=kind,
            title=title,
            content_hashes=tuple(_hash(value) for value in content_hashes),
            external_ids=tuple(
                t.ExternalId(scheme=scheme, value=value) for scheme, value in (external_ids or {}).items()
            ),
            evidence_hash=_hash(evidence_hash),
        )
        return await self._named({"asset": asset}, command, how)

    async def add_asset_version(
        self,
        asset: str,
        *,
        content_hashes: Iterable[bytes | str],
        evidence_hash: bytes | str = b"",
        how: Submission | None = None,
    ) -> Committed:
        """Add a version to an asset."""
        command = t.AddAssetVersion(
            asset=asset,
            content_hashes=tuple(_hash(value) for value in content_hashes),
            evidence_hash=_hash(evidence_hash),
        )
        return await self.submit(command, how=how)

    async def register_claim(
        self,
        asset: str,
        *,
        holder: str,
        share_ppm: int,
        claim: str | None = None,
        right: str = "any",
        territory: str = "WORLD",
        from_ms: int = 0,
        until_ms: int = 0,
        how: Submission | None = None,
    ) -> Committed:
        """Record who holds which share of a right; signed by the asset's registrant."""
        claim = claim or _name("claim", how)
        command = t.RegisterClaim(
            claim=claim,
            asset=asset,
            holder=holder,
            right=right,
            territory=territory,
            share_ppm=share_ppm,
            from_ms=from_ms,
            until_ms=until_ms,
        )
        return await self._named({"claim": claim}, command, how)

    async def link_lineage(
        self,
        child: str,
        parent: str,
        *,
        relation: str,
        rate_e9: int,
        evidence_hash: bytes | str = b"",
        how: Submission | None = None,
    ) -> Committed:
        """Record that one asset derives from another; all who own either sign: the registrants of both and
        every holder of a claim on them (`how.keys` for those who are not the sender)."""
        command = t.LinkLineage(
            child=child, parent=parent, relation=relation, rate_e9=rate_e9, evidence_hash=_hash(evidence_hash)
        )
        return await self.submit(command, how=how)

    async def set_payout_sheet(
        self, asset: str, legs: Mapping[str, int], *, how: Submission | None = None
    ) -> Committed:
        """Replace who receives what is paid to an asset; shares in parts per million."""
        command = t.SetPayoutSheet(
            asset=asset,
            legs=tuple(t.PayoutLeg(party=party, share_ppm=share) for party, share in legs.items()),
        )
        return await self.submit(command, how=how)

    # --- terms, offers, agreements

    async def publish_template(self, source: str, *, how: Submission | None = None) -> Committed:
        """Publish a terms template; every validator checks and compiles it."""
        return await self.submit(t.PublishTemplate(source=source), how=how)

    async def deprecate_template(self, template: str | bytes, *, how: Submission | None = None) -> Committed:
        """Stop new agreements under a template."""
        return await self.submit(t.DeprecateTemplate(program_hash=await self._template(template)), how=how)

    async def create_offer(
        self,
        offer: str | None = None,
        *,
        template: str | bytes,
        roles: Mapping[str, str],
        assets: Mapping[str, str | Sequence[str]],
        params: Mapping[str, str] | None = None,
        expires_ms: int = 0,
        how: Submission | None = None,
    ) -> Committed:
        """Publish a standing offer: every role but the buyer's bound, every parameter bound."""
        offer = offer or _name("offer", how)
        command = t.CreateOffer(
            offer=offer,
            program_hash=await self._template(template),
            roles=_roles(roles),
            params=_params(params),
            assets=_assets(assets),
            expires_ms=expires_ms,
        )
        return await self._named({"offer": offer}, command, how)

    async def withdraw_offer(self, offer: str, *, how: Submission | None = None) -> Committed:
        """Withdraw a standing offer; agreements made under it go on."""
        return await self.submit(t.WithdrawOffer(offer=offer), how=how)

    async def accept_offer(
        self,
        offer: str,
        *,
        agreement: str | None = None,
        assets: Mapping[str, str | Sequence[str]] | None = None,
        effective_ms: int = 0,
        how: Submission | None = None,
    ) -> Committed:
        """Accept a standing offer; the sender becomes its buyer. `names["agreement"]` is the license."""
        agreement = agreement or _name("agreement", how)
        command = t.AcceptOffer(
            agreement=agreement, offer=offer, assets=_assets(assets), effective_ms=effective_ms
        )
        return await self._named({"agreement": agreement}, command, how)

    license = accept_offer  # what a licensee calls it

    async def create_agreement(
        self,
        agreement: str | None = None,
        *,
        template: str | bytes,
        roles: Mapping[str, str],
        assets: Mapping[str, str | Sequence[str]],
        params: Mapping[str, str] | None = None,
        effective_ms: int = 0,
        how: Submission | None = None,
    ) -> Committed:
        """Make a negotiated agreement; every bound party signs (`how.keys`)."""
        agreement = agreement or _name("agreement", how)
        command = t.CreateAgreement(
            agreement=agreement,
            program_hash=await self._template(template),
            roles=_roles(roles),
            params=_params(params),
            assets=_assets(assets),
            effective_ms=effective_ms,
        )
        return await self._named({"agreement": agreement}, command, how)

    # --- use and periods

    async def report_usage(
        self,
        rows: Iterable[UsageRow] | str | os.PathLike[str],
        *,
        fact: str,
        period_start_ms: int,
        period_end_ms: int | None = None,
        report: str | None = None,
        rows_per_report: int = ROWS_PER_REPORT,
        how: Submission | None = None,
    ) -> list[Committed]:
        """Report rows, or a CSV of them, as one or several signed reports in order.

        Every row is checked before anything is signed, and where there are several reports the ledger
        is asked about each (`validate_only`) before the first is sent.
        """
        check = row_check(start_ms=period_start_ms, end_ms=period_end_ms)
        if isinstance(rows, str | os.PathLike):
            rows = read_usage_csv(rows, check=check)
        reports = to_reports(
            rows,
            report=report or _name("report", how),
            fact=fact,
            period_start_ms=period_start_ms,
            period_end_ms=period_end_ms,
            rows_per_report=rows_per_report,
        )
        how = how or Submission()
        if how.id is not None and len(reports) > 1:
            raise ValueError("an id names one transaction, and these rows need several")
        if len(reports) > 1:
            for packed in reports:
                await self.submit(packed, how=replace(how, validate_only=True))
        return [await self._named({"report": packed.report}, packed, how) for packed in reports]

    async def close_period(
        self, agreement: str, *, period: str, period_start_ms: int, how: Submission | None = None
    ) -> Committed:
        """Close a period of an agreement once it is due."""
        command = t.ClosePeriod(agreement=agreement, period=period, period_start_ms=period_start_ms)
        return await self.submit(command, how=how)

    # --- money

    async def deposit(
        self, to: str, amount: t.Money | str, *, reference: str = "", how: Submission | None = None
    ) -> Committed:
        """Credit a party with money that the sender, an issuer, received."""
        return await self.submit(t.Deposit(to=to, amount=self._money(amount), reference=reference), how=how)

    async def withdraw(
        self, party: str, amount: t.Money | str, *, reference: str = "", how: Submission | None = None
    ) -> Committed:
        """Debit a party for money that the sender, an issuer, paid out; the party signs too."""
        return await self.submit(
            t.Withdraw(from_=party, amount=self._money(amount), reference=reference), how=how
        )

    async def transfer(
        self,
        to: str,
        amount: t.Money | str,
        *,
        issuer: str = "",
        reference: str = "",
        how: Submission | None = None,
    ) -> Committed:
        """Move cash to another party."""
        command = t.Transfer(to=to, amount=self._money(amount), issuer=issuer, reference=reference)
        return await self.submit(command, how=how)

    async def pay(self, agreement: str, amount: t.Money | str, *, how: Submission | None = None) -> Committed:
        """Pay what the sender owes under an agreement, the oldest due date first."""
        return await self.submit(t.Pay(agreement=agreement, amount=self._money(amount)), how=how)

"""Assets, their versions, their claims and their payout sheets.

A claim is recognised at registration if the asset's registrant signs it and the shares of one right,
territory and instant stay at or below 100 %; anything else is contested and refused. An asset pays its
payout sheet: the shares of the whole and unlimited claims with the rest to the registrant, unless a
sheet was stated by the registrant and every holder (L-13).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from licet.entities import (
    Asset,
    AssetVersion,
    Claim,
    ClaimList,
    NamedValue,
    PayoutShare,
    asset_key,
    asset_version_key,
    claim_key,
    claims_key,
)
from licet.transactions import AddAssetVersion, RegisterAsset, RegisterClaim, SetPayoutSheet

from licensing_vm.codelists import ACTIONS, KINDS, TERRITORIES
from licensing_vm.domain.context import Context
from licensing_vm.domain.reach import DERIVED_HASHES_MAX, MET_FREE, MET_ITEM
from licensing_vm.domain.title import ANY, WHOLE_PPM, overlaps_beyond_whole
from licensing_vm.errors import Refused
from licensing_vm.program.limits import ANCESTORS_MAX

CLAIMS_MAX: Final = 256
TITLE_BYTES_MAX: Final = 256
VERSIONS_MAX: Final = 1_000_000
PAYOUT_LEGS_MAX: Final = 64
assert PAYOUT_LEGS_MAX * ANCESTORS_MAX <= 1 << 14, "the postings of one sale are bounded"


def register_asset(context: Context, command: RegisterAsset) -> None:
    context.must_be_new(asset_key(command.asset), "an asset", command.asset)
    if command.kind not in KINDS:
        raise Refused("INVALID_ASSET", f"There is no kind of asset {command.kind!r}.", {"kind": command.kind})
    if len(command.title.encode()) > TITLE_BYTES_MAX:
        raise Refused("INVALID_ASSET", f"A title has at most {TITLE_BYTES_MAX} bytes.")
    registrant = context.sender
    context.state.define(
        asset_key(command.asset),
        Asset(
            asset=command.asset,
            kind=command.kind,
            title=command.title,
            registrant=registrant,
            version=1,
            content_hashes=command.content_hashes,
            external_ids=tuple(NamedValue(name=x.scheme, value=x.value) for x in command.external_ids),
            evidence_hash=command.evidence_hash,
            parents=(),
            ancestors=(),
            lineage_version=0,
            children=0,
            payout=(PayoutShare(party=registrant, share_ppm=WHOLE_PPM),),
            payout_version=1,
            payout_stated=False,
        ),
    )
    _note_version(context, command.asset, 1, command.content_hashes, command.evidence_hash)
    context.index.append(f"asset/registrant/{registrant}/{command.asset}".encode())
    context.event(
        "asset.registered", {"asset": command.asset, "kind": command.kind, "registrant": registrant}
    )


def _note_version(
    context: Context, asset: str, version: int, content_hashes: tuple[bytes, ...], evidence_hash: bytes
) -> None:
    context.state.put(
        asset_version_key(asset, version),
        AssetVersion(
            asset=asset,
            version=version,
            content_hashes=content_hashes,
            evidence_hash=evidence_hash,
            height=context.height,
        ),
    )


def claims_work(listed: ClaimList) -> int:
    """The work of reading an asset's claims."""
    return MET_ITEM * (len(listed.claims) - MET_FREE)


def own_asset(context: Context, name: str) -> Asset:
    """An asset of which the sender is the registrant."""
    asset = context.asset(name)
    if asset.registrant != context.sender:
        raise Refused(
            "NOT_REGISTRANT",
            f"{context.sender} did not register {name}.",
            {"asset": name, "registrant": asset.registrant},
        )
    return asset


def add_asset_version(context: Context, command: AddAssetVersion) -> None:
    asset = own_asset(context, command.asset)
    if asset.version >= VERSIONS_MAX:
        raise Refused("TOO_MANY", f"An asset has at most {VERSIONS_MAX} versions.")
    hashes = len(command.content_hashes)
    if asset.children and hashes > max(DERIVED_HASHES_MAX, len(asset.content_hashes)):
        raise Refused(  # every sale of what derives from it reads its record (C-16)
            "TOO_MANY",
            f"Works derive from {command.asset}: a version of it has at most {DERIVED_HASHES_MAX} hashes.",
            {"asset": command.asset, "hashes": str(hashes), "most": str(DERIVED_HASHES_MAX)},
        )
    version = asset.version + 1
    context.write_asset(
        replace(
            asset,
            version=version,
            content_hashes=command.content_hashes,
            evidence_hash=command.evidence_hash,
        )
    )
    _note_version(context, command.asset, version, command.content_hashes, command.evidence_hash)
    context.event("asset.version_added", {"asset": command.asset, "version": str(version)})


def _checked_claim(context: Context, command: RegisterClaim) -> Claim:
    if command.right != ANY and command.right not in ACTIONS:
        raise Refused("INVALID_CLAIM", f"There is no action {command.right!r}.", {"right": command.right})
    if command.territory not in TERRITORIES:
        raise Refused(
            "INVALID_CLAIM", f"There is no territory {command.territory!r}.", {"territory": command.territory}
        )
    if not 0 < command.share_ppm <= WHOLE_PPM:
        raise Refused("INVALID_CLAIM", f"A share is between 1 and {WHOLE_PPM} parts per million.")
    if command.until_ms and command.until_ms <= command.from_ms:
        raise Refused("INVALID_CLAIM", "A claim ends after it begins.")
    return Claim(
        claim=command.claim,
        asset=command.asset,
        holder=command.holder,
        right=command.right,
        territory=command.territory,
        share_ppm=command.share_ppm,
        from_ms=command.from_ms,
        until_ms=command.until_ms,
        state="recognised",
    )


def register_claim(context: Context, command: RegisterClaim) -> None:
    context.must_be_new(claim_key(command.claim), "a claim", command.claim)
    asset = context.asset(command.asset)
    context.must_exist(command.holder)
    claim = _checked_claim(context, command)
    context.must_sign((asset.registrant,), "license", "A claim is recognised when the registrant signs it")
    listed = context.meet(claims_key(command.asset), ClaimList, claims_work) or ClaimList(claims=())
    if len(listed.claims) >= CLAIMS_MAX:
        raise Refused("TOO_MANY", f"An asset has at most {CLAIMS_MAX} claims.")
    contested = overlaps_beyond_whole(claim, listed.claims)
    if contested:
        raise Refused(
            "CLAIM_CONTESTED",
            f"With this claim the shares in {command.asset} would be {contested} parts per million.",
            {"asset": command.asset, "shares_ppm": str(contested)},
        )
    claims = (*listed.claims, claim)
    context.state.define(claim_key(command.claim), claim)
    context.state.define(claims_key(command.asset), ClaimList(claims=claims))
    if not asset.payout_stated:
        payout = _payout_of_claims(asset.registrant, claims)
        if payout != asset.payout:
            _set_payout(context, asset, payout, stated=False)
    context.index.append(f"claim/asset/{command.asset}/{command.claim}".encode())
    context.event(
        "claim.recognised",
        {
            "claim": command.claim,
            "asset": command.asset,
            "holder": command.holder,
            "share_ppm": str(command.share_ppm),
        },
        (command.holder,),
    )


def _payout_of_claims(registrant: str, claims: Iterable[Claim]) -> tuple[PayoutShare, ...]:
    """The sheet that follows from the claims: those to everything, everywhere, always; the rest to the
    registrant. Holders stand in the order in which they claimed."""
    shares: dict[str, int] = {}
    for claim in claims:
        if claim.right == ANY and claim.territory == "WORLD" and not claim.from_ms and not claim.until_ms:
            shares[claim.holder] = shares.get(claim.holder, 0) + claim.share_ppm
    rest = WHOLE_PPM - sum(shares.values())
    if rest:
        shares[registrant] = shares.get(registrant, 0) + rest
    return tuple(PayoutShare(party=party, share_ppm=share) for party, share in shares.items())


def _too_many_payees() -> Refused:
    return Refused("TOO_MANY", f"A payout sheet has at most {PAYOUT_LEGS_MAX} payees.")


def _set_payout(context: Context, asset: Asset, payout: tuple[PayoutShare, ...], *, stated: bool) -> None:
    """A new version of the sheet; its T begins at zero (L-5)."""
    if len(payout) > PAYOUT_LEGS_MAX:
        raise _too_many_payees()
    version = asset.payout_version + 1
    context.state.define(
        asset_key(asset.asset),
        replace(asset, payout=payout, payout_version=version, payout_stated=stated),
    )
    context.event(
        "asset.payout_set",
        {"asset": asset.asset, "version": str(version)},
        [leg.party for leg in payout],
    )


def owners_of(context: Context, asset: Asset) -> list[str]:
    """Who owns a work (L-13): its registrant and everybody who holds a recognised claim on it."""
    listed = context.meet(claims_key(asset.asset), ClaimList, claims_work) or ClaimList(claims=())
    return [asset.registrant, *(claim.holder for claim in listed.claims)]


def set_payout_sheet(context: Context, command: SetPayoutSheet) -> None:
    if len(command.legs) > PAYOUT_LEGS_MAX:
        raise _too_many_payees()
    asset = context.asset(command.asset)
    owners = owners_of(context, asset)
    context.must_sign(owners, "license", "A payout sheet is set by the registrant and every claim's holder")
    parties = [leg.party for leg in command.legs]
    if len(set(parties)) != len(parties) or any(leg.share_ppm <= 0 for leg in command.legs):
        raise Refused("INVALID_PAYOUT", "A payout sheet names each payee once, with a share above zero.")
    if sum(leg.share_ppm for leg in command.legs) != WHOLE_PPM:
        raise Refused("INVALID_PAYOUT", f"The shares of a payout sheet add up to {WHOLE_PPM}.")
    for party in parties:
        context.must_exist(party)
    payout = tuple(PayoutShare(party=leg.party, share_ppm=leg.share_ppm) for leg in command.legs)
    _set_payout(context, asset, payout, stated=True)

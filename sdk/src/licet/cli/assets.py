"""`licet asset`: works, models, data, claims and lineage."""

from __future__ import annotations

from typing import Any

from licet.cli.arguments import file_hash, pairs, percent, submission
from licet.cli.session import Session, message_dict


def register(session: Session, args: Any) -> int:
    """Register an asset; contents and evidence are hashed here and never sent."""
    contents = [file_hash(path) for path in args.content]
    evidence = file_hash(args.evidence) if args.evidence else b""
    external, how = pairs(args.external), submission(session, args)
    outcome = session.acting.register_asset(
        args.asset,
        kind=args.kind,
        title=args.title,
        content_hashes=contents,
        external_ids=external,
        evidence_hash=evidence,
        how=how,
    )
    session.done(f"Registered {args.asset}", outcome)
    session.hint(f"licet asset claim {args.asset} --holder {session.sender} --share 100%")
    return 0


def link(session: Session, args: Any) -> int:
    """Record an edge of lineage."""
    rate, how = percent(args.rate, of=10**9), submission(session, args)
    outcome = session.acting.link_lineage(
        args.child, args.parent, relation=args.relation, rate_e9=rate, how=how
    )
    session.done(f"Linked {args.child} to {args.parent}", outcome, id=args.child)
    session.hint(f"licet asset show {args.child}")
    return 0


def claim(session: Session, args: Any) -> int:
    """Record who holds which share."""
    share, how = percent(args.share, of=10**6), submission(session, args)
    outcome = session.acting.register_claim(
        args.asset,
        holder=args.holder,
        share_ppm=share,
        right=args.right,
        territory=args.territory,
        how=how,
    )
    session.done(f"{args.holder} holds {args.share} of {args.asset}", outcome)
    session.hint(f"licet asset show {args.asset}")
    return 0


def show(session: Session, args: Any) -> int:
    """One asset and where it comes from."""
    from licet.statement import percent_text

    asset = session.client.get_asset(args.asset)
    lineage = session.client.lineage(args.asset)
    lines = [
        f"{asset.asset}  {asset.kind}, version {asset.version}: {asset.title}",
        f"registered by {asset.registrant}",
        *(f"pays {leg.party} {percent_text(leg.share_ppm, 10**6)}" for leg in asset.payout),
        *(f"content {item.hex()}" for item in asset.content_hashes),
        "",
        lineage.to_text(),
    ]
    session.show({**message_dict(asset), "lineage": lineage.to_dict()}, id=asset.asset, lines=lines)
    session.hint(f"licet offer list --on {args.asset}")
    return 0


def list_all(session: Session, args: Any) -> int:
    """Assets."""
    session.show_all(
        session.client.list_assets(registrant=args.registrant),
        id=lambda asset: str(asset.asset),
        headings=("asset", "kind", "registrant", "parents", "title"),
        row=lambda asset: (asset.asset, asset.kind, asset.registrant, len(asset.parents), asset.title),
        party=args.registrant,
    )
    return 0

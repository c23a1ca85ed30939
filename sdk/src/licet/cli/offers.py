"""`licet offer`: standing offers."""

from __future__ import annotations

from typing import Any

from licet.cli.arguments import pairs, slots, submission
from licet.cli.session import Session


def create(session: Session, args: Any) -> int:
    """Publish a standing offer."""
    roles, params, assets = pairs(args.role), pairs(args.param), slots(args.asset)
    how = submission(session, args)
    outcome = session.acting.create_offer(
        args.offer, template=args.template, roles=roles, params=params, assets=assets, how=how
    )
    session.done(f"Offered {args.offer}", outcome)
    session.hint(f"licet offer quote {args.offer} --buyer PARTY")
    return 0


def withdraw(session: Session, args: Any) -> int:
    """Withdraw one."""
    how = submission(session, args)
    outcome = session.acting.withdraw_offer(args.offer, how=how)
    session.done(f"Withdrew {args.offer}", outcome, id=args.offer)
    return 0


def quote(session: Session, args: Any) -> int:
    """What accepting would cost and pay to whom."""
    chosen = {slot: assets[0] for slot, assets in slots(args.asset).items()}
    quoted = session.client.quote(args.offer, buyer=args.buyer or session.sender, assets=chosen)
    total = session.money(quoted.total.currency, quoted.total.minor) if quoted.total.currency else "nothing"
    lines = [f"{args.offer} costs {total} at once."]
    for entry in quoted.entries:
        lines += [
            f"  {entry.clause or entry.kind}: {posting.party} {posting.account} "
            + session.money(posting.change.currency, posting.change.minor)
            + (f" for {posting.asset}" if posting.asset else "")
            for posting in entry.postings
            if posting.change.minor
        ]
    session.show(quoted, id=args.offer, lines=lines)
    session.hint(f"licet license buy {args.offer}")
    return 0


def show(session: Session, args: Any) -> int:
    """One offer."""
    offer = session.client.get_offer(args.offer)
    session.show_message(
        offer,
        id=offer.offer,
        fields=(
            ("offer", offer.offer),
            ("template", offer.template),
            ("open role", offer.open_role),
            *(("role", f"{item.role} = {item.party}") for item in offer.roles),
            *(("param", f"{item.name} = {item.value}") for item in offer.params),
            *(("asset", f"{item.slot} = {item.asset}") for item in offer.assets),
            ("withdrawn", "yes" if offer.withdrawn else ""),
        ),
    )
    session.hint(f"licet offer quote {args.offer} --buyer PARTY")
    return 0


def list_all(session: Session, args: Any) -> int:
    """Standing offers."""
    session.show_all(
        session.client.list_offers(party=args.party, asset=args.on),
        id=lambda offer: str(offer.offer),
        headings=("offer", "template", "open role", "assets", "state"),
        row=lambda offer: (
            offer.offer,
            offer.template,
            offer.open_role,
            len(offer.assets),
            "withdrawn" if offer.withdrawn else "open",
        ),
        party=args.party,
    )
    return 0

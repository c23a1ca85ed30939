"""`licet license`: buy a right, show it, prove it."""

from __future__ import annotations

from typing import Any

from licet.cli.arguments import file_to_write, save, slots, submission
from licet.cli.session import Session


def buy(session: Session, args: Any) -> int:
    """Accept a standing offer."""
    assets, how = slots(args.asset), submission(session, args)
    if args.proof:
        file_to_write(args.proof)
    outcome = session.acting.license(args.offer, agreement=args.agreement, assets=assets, how=how)
    agreement = outcome.names["agreement"]
    session.done(f"Licensed as {agreement}", outcome, id=agreement)
    if outcome.preview:
        return 0
    if args.proof:
        save(session.client.certificate(agreement), args.proof)
        session.hint(f"licet verify {args.proof} --genesis genesis.json")
    else:
        session.hint(f"licet license proof {agreement} {agreement}.licet")
    return 0


def proof(session: Session, args: Any) -> int:
    """Save a license's proof file, verified before it is saved."""
    file_to_write(args.file)
    certificate = session.client.certificate(args.agreement)
    path = save(certificate, args.file)
    session.show(
        {"file": str(path), **certificate.claim.to_dict()},
        id=str(path),
        lines=(f"{path}: {certificate.claim.sentence()}",),
    )
    session.hint(f"licet verify {path} --genesis genesis.json")
    return 0


def show(session: Session, args: Any) -> int:
    """One agreement and the rights that it gives."""
    from licet.usage import format_time_ms

    found = session.client.get_agreement(args.agreement)
    session.show_message(
        found,
        id=found.agreement,
        fields=(
            ("agreement", f"{found.agreement}, {found.state}"),
            ("template", found.template),
            ("offer", found.offer),
            ("effective", format_time_ms(found.effective_ms)),
            *(("role", f"{item.role} = {item.party}") for item in found.roles),
            *(("param", f"{item.name} = {item.value}") for item in found.params),
            *(
                (
                    f"grant {grant.grant}",
                    f"{grant.grantee} may {', '.join(grant.actions)} {grant.asset}"
                    f" in {', '.join(grant.territories) or 'WORLD'}"
                    f" by {', '.join(grant.media) or 'any medium'}"
                    f" until {format_time_ms(grant.until_ms)}, exclusive {grant.exclusive}",
                )
                for grant in found.grants
            ),
        ),
    )
    session.hint(f"licet license proof {args.agreement} {args.agreement}.licet")
    return 0


def list_all(session: Session, args: Any) -> int:
    """Agreements."""
    session.show_all(
        session.client.list_agreements(party=args.party, asset=args.on),
        id=lambda agreement: str(agreement.agreement),
        headings=("agreement", "template", "assets", "state", "height"),
        row=lambda agreement: (
            agreement.agreement,
            agreement.template,
            ", ".join(item.asset for item in agreement.assets),
            agreement.state,
            agreement.height,
        ),
        party=args.party,
    )
    return 0

"""`licet party`: keys and parties."""

from __future__ import annotations

import getpass
import sys
from typing import Any

from licet.cli.arguments import ArgumentInvalid, submission
from licet.cli.session import Session


def new_key(session: Session, args: Any) -> int:
    """Make a key file."""
    from licet.keys import generate_key, save_key

    passphrase = None
    if args.seal:
        passphrase = session.settings.passphrase
        if not passphrase:
            if not sys.stdin.isatty():
                raise ArgumentInvalid("--seal", "asks for a passphrase", "Set LICET_PASSPHRASE.")
            passphrase = getpass.getpass("Passphrase: ")
            if getpass.getpass("Again: ") != passphrase:
                raise ArgumentInvalid("the passphrase", "was typed in two ways", "Run the command again.")
    key = generate_key()
    path = save_key(args.file, key, passphrase=passphrase)
    public = key.public_key.hex()
    session.show(
        {"file": str(path), "public_key": public}, id=public, lines=(f"{path}: key {public}, mode 0600.",)
    )
    session.hint(f"licet party register PARTY --name NAME --key {path}")
    return 0


def register(session: Session, args: Any) -> int:
    """Register a party."""
    key, how = session.signing_key(), submission(session, args)
    outcome = session.client.register_party(args.party, name=args.name, kind=args.kind, key=key, how=how)
    session.done(f"Registered {args.party}", outcome)
    session.hint(f"licet asset register ASSET --kind image --title TITLE --sender {args.party}")
    return 0


def add_key(session: Session, args: Any) -> int:
    """Add a key to the sender."""
    public, how = _public(args.public_key), submission(session, args)
    outcome = session.acting.add_key(public, scopes=args.scope, how=how)
    session.done(f"Added a key to {session.sender}", outcome, id=args.public_key)
    return 0


def revoke_key(session: Session, args: Any) -> int:
    """Revoke a key of the sender."""
    public, how = _public(args.public_key), submission(session, args)
    outcome = session.acting.revoke_key(public, how=how)
    session.done(f"Revoked a key of {session.sender}", outcome, id=args.public_key)
    return 0


def _public(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ArgumentInvalid(text, "is no public key", "Give 64 hex digits.") from None


def show(session: Session, args: Any) -> int:
    """One party."""
    party = session.client.get_party(args.party)
    balances = list(session.client.list_balances(args.party))
    fields: list[tuple[str, object]] = [
        ("party", party.party),
        ("name", party.name),
        ("kind", party.kind),
        ("roles", ", ".join(party.roles)),
    ]
    fields += [("key", f"{key.public_key.hex()} ({', '.join(key.scopes)})") for key in party.keys]
    fields += [(b.account, session.money(b.amount.currency, b.amount.minor)) for b in balances]
    session.show_message(party, id=party.party, fields=fields)
    session.hint(f"licet statement {args.party}")
    return 0


def list_all(session: Session, args: Any) -> int:
    """Every party."""
    session.show_all(
        session.client.list_parties(),
        id=lambda party: str(party.party),
        headings=("party", "kind", "name", "roles"),
        row=lambda party: (party.party, party.kind, party.name, ", ".join(party.roles)),
    )
    return 0

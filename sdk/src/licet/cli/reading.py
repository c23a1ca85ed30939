"""`licet statement`, `authorize`, `watch`, `status`."""

from __future__ import annotations

import json
from typing import Any

from licet.cli.arguments import ArgumentInvalid, file_to_write, save, time_ms
from licet.cli.session import Session


def statement(session: Session, args: Any) -> int:
    """A party's statement."""
    party = args.party or session.sender
    found = session.client.statement(
        party, from_ms=time_ms(args.from_), until_ms=time_ms(args.until), agreement=args.agreement
    )
    session.show(found.to_dict(), id=party, lines=(found.to_text(),))
    agreement = next((line.agreement for line in found.lines if line.agreement), "")
    session.hint(f"licet license show {agreement}" if agreement else f"licet party show {party}")
    return 0


def receipt(session: Session, args: Any) -> int:
    """What a transaction did: events and entries, each with its clause."""
    try:
        wanted = bytes.fromhex(args.transaction_hash)
    except ValueError:
        wanted = b""
    if len(wanted) != 32:
        raise ArgumentInvalid(args.transaction_hash, "is no transaction's hash", "Give its 64 hex digits.")
    if args.proof:
        file_to_write(args.proof)
    found = session.client.receipt(wanted)
    lines = [f"Committed at height {found.height}, position {found.index}."]
    lines += [
        f"  {event.kind} " + " ".join(f"{name}={value}" for name, value in sorted(event.attributes.items()))
        for event in found.events
    ]
    lines += [
        f"  {entry.kind} {entry.clause} {posting.party} {posting.account} "
        + session.money(posting.change.currency, posting.change.minor)
        + (f" for {posting.asset}" if posting.asset else "")
        for entry in found.entries
        for posting in entry.postings
        if posting.change.minor
    ]
    if args.proof:
        save(session.client.receipt_certificate(wanted), args.proof)
    session.show(found, id=wanted.hex(), lines=lines)
    if args.proof:
        session.hint(f"licet verify {args.proof} --genesis genesis.json")
    else:
        session.hint(f"licet receipt {wanted.hex()} --proof receipt.licet")
    return 0


def authorize(session: Session, args: Any) -> int:
    """Whether a use is permitted: exit code 0 for yes, 1 for no."""
    decision = session.client.authorize(
        args.party,
        args.asset,
        args.action,
        territories=args.territory,
        media=args.medium,
        from_ms=time_ms(args.from_),
        until_ms=time_ms(args.until),
    )
    lines = [f"{'yes' if decision.allowed else 'no'}: {decision.reason}"]
    lines += [f"  by {clause}" for clause in decision.clauses]
    lines += [f"  offer {offer.offer} ({offer.template}): {offer.price_text}" for offer in decision.offers]
    lines += [f"  signed by {decision.signed_by} over the state of height {decision.height}"]
    session.show(decision.to_dict(), id="yes" if decision.allowed else "no", lines=lines)
    if decision.agreements:
        session.hint(f"licet license proof {decision.agreements[0]} FILE.licet")
    elif decision.offers:
        session.hint(f"licet license buy {decision.offers[0].offer} --sender {args.party}")
    return 0 if decision.allowed else 1


def watch(session: Session, args: Any) -> int:
    """Follow events; each line is flushed, so that it can be piped."""
    from licet.usage import format_time_ms

    if args.party:
        session.client.get_party(args.party)  # else a typing error is followed for ever
    for event in session.client.events(
        after=args.after, kinds=args.kind, party=args.party, until_now=args.until_now
    ):
        if session.output == "json":
            text = json.dumps(event.to_dict(), ensure_ascii=False)
        elif session.output == "id":
            text = event.cursor
        else:
            said = " ".join(f"{name}={value}" for name, value in sorted(event.attributes.items()))
            text = f"{event.height:>6}  {format_time_ms(event.timestamp_ms)}  {event.kind:<24} {said}"
        print(text, flush=True)
    return 0


def status(session: Session, args: Any) -> int:
    """The network in a sentence, and in fields."""
    from licet.usage import format_time_ms

    found = session.client.status()
    lines = [
        found.sentence,
        f"network      {found.network}{' (development)' if found.dev else ''}, {found.chain_id.hex()}",
        f"node         {found.node} {found.version} at {session.client.target}, leader {found.leader}",
        f"height       {found.height} final, {found.executed_height} executed,"
        f" {found.anchored_height} anchored",
        f"state root   {found.state_root.hex()}",
        f"ledger time  {format_time_ms(found.now_ms)}",
        f"so far       {found.transactions} transactions, {found.usage_rows} usage rows",
    ]
    session.show(found.to_dict(), id=found.chain_id.hex(), lines=lines)
    session.hint("licet watch")
    return 0

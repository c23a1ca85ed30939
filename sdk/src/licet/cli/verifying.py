"""`licet verify`: a proof file against genesis, without a network and without protobuf."""

from __future__ import annotations

from typing import Any

from licet.cli.arguments import file_bytes, file_text
from licet.cli.profile import ConfigError
from licet.cli.session import Session


def verify(session: Session, args: Any) -> int:
    """Exit code 0 where the file proves what it says, 1 with the reason where it does not."""
    from licet.genesis import parse_genesis
    from licet.proof import verify_proof

    data = file_bytes(args.file)
    genesis_file = args.genesis or session.settings.genesis
    if not genesis_file:
        raise ConfigError(
            "No genesis file is named.", "Give --genesis FILE: the one your consortium handed out."
        )
    genesis = parse_genesis(file_text(genesis_file))
    claim = verify_proof(data, genesis)
    document = claim.to_dict()
    lines = [f"Valid: {claim.sentence()}"]
    if isinstance(document["record"], dict):
        lines += [
            f"  {name:<14} {_text(value)}"
            for name, value in document["record"].items()
            if value not in ("", [])
        ]
    session.show(document, id=claim.key or claim.value.hex(), lines=lines)
    if claim.key.startswith("agreement/"):
        session.hint(f"licet license show {claim.key.removeprefix('agreement/')}")
    return 0


def _text(value: Any) -> str:
    """A record's field as people read it: names with their values, lists with commas."""
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, dict):
        if set(value) == {"name", "value"}:
            return f"{value['name']} = {value['value']}"
        return "; ".join(f"{name} {_text(item)}" for name, item in value.items())
    return str(value)

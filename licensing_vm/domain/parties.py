"""Parties and their keys: register, add a key, revoke a key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from licet.crypto import check_public_key
from licet.entities import SCOPES, KeyRecord, Party, RoleHolders, party_key, role_key
from licet.errors import InvalidSignature
from licet.transactions import AddKey, Key, RegisterParty, RevokeKey

from licensing_vm.domain.context import Context
from licensing_vm.domain.genesis import REGISTRAR
from licensing_vm.errors import Refused

KINDS: Final = ("organisation", "person", "agent")
KEYS_MAX: Final = 16
NAME_BYTES_MAX: Final = 128
_MASTER: Final = frozenset({"all", "govern"})


def _key(key: Key) -> KeyRecord:
    if not key.scopes or not set(key.scopes) <= set(SCOPES):
        raise Refused(
            "INVALID_KEY",
            f"A key has the scopes {', '.join(key.scopes) or 'none'}.",
            {"known": ", ".join(SCOPES)},
        )
    try:
        check_public_key(key.public_key)
    except InvalidSignature as why:
        raise Refused("INVALID_KEY", why.message) from None
    scopes = tuple(scope for scope in SCOPES if scope in key.scopes)
    return KeyRecord(public_key=key.public_key, scopes=scopes, expires_ms=key.expires_ms)


def _needs_master(keys: Sequence[KeyRecord]) -> bool:
    """Whether no key is left that could ever rotate the others."""
    return not any(_MASTER & set(key.scopes) and not key.expires_ms for key in keys)


def register_party(context: Context, command: RegisterParty) -> None:
    party = context.sender
    context.must_be_new(party_key(party), "a party", party)
    if command.kind not in KINDS:
        raise Refused("INVALID_PARTY", f"A party is one of {', '.join(KINDS)}.", {"kind": command.kind})
    if not 0 < len(command.name.encode()) <= NAME_BYTES_MAX:
        raise Refused("INVALID_PARTY", f"A party's name has 1 to {NAME_BYTES_MAX} bytes.")
    if not 0 < len(command.keys) <= KEYS_MAX:
        raise Refused("INVALID_KEY", f"A party has 1 to {KEYS_MAX} different keys.")
    keys = tuple(_key(key) for key in command.keys)
    if len({key.public_key for key in keys}) != len(keys):
        raise Refused("INVALID_KEY", f"A party has 1 to {KEYS_MAX} different keys.")
    if _needs_master(keys):
        raise Refused("LAST_KEY", "A party needs a key of scope 'all' or 'govern' that does not expire.")
    if not context.open_registration:
        holders = context.state.get(role_key(REGISTRAR), RoleHolders)
        if holders is None or not any(context.signed_by(holder, "govern") for holder in holders.parties):
            raise Refused("NOT_SIGNED", "Registration is not open on this network: no registrar signed.")
    context.state.define(
        party_key(party), Party(party=party, name=command.name, kind=command.kind, keys=keys, roles=())
    )
    context.event("party.registered", {"party": party, "kind": command.kind})


def add_key(context: Context, command: AddKey) -> None:
    party = context.party(context.sender)
    key = _key(command.key)
    if len(party.keys) >= KEYS_MAX or any(key.public_key == other.public_key for other in party.keys):
        raise Refused("INVALID_KEY", f"The key is there already, or there are {KEYS_MAX}.")
    context.state.define(party_key(party.party), replace(party, keys=(*party.keys, key)))
    context.event("party.key_added", {"party": party.party, "public_key": key.public_key.hex()})


def revoke_key(context: Context, command: RevokeKey) -> None:
    party = context.party(context.sender)
    keys = tuple(key for key in party.keys if key.public_key != command.public_key)
    if len(keys) == len(party.keys):
        raise Refused("INVALID_KEY", "The party has no such key.", {"public_key": command.public_key.hex()})
    if _needs_master(keys):
        raise Refused("LAST_KEY", "The last key of scope 'all' or 'govern' cannot be revoked.")
    context.state.define(party_key(party.party), replace(party, keys=keys))
    context.event("party.key_revoked", {"party": party.party, "public_key": command.public_key.hex()})

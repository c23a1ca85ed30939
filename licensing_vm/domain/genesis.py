"""The state that a network begins with: currencies with their issuers, and the parties of genesis."""

from __future__ import annotations

from typing import Final

from licet.entities import CurrencyEntry, KeyRecord, Party, RoleHolders, currency_key, party_key, role_key
from licet.genesis import Genesis
from licet.records import encode
from licet.transactions import valid_name

from licensing_vm.program.limits import SCALE_MAX

_ISSUER: Final = "issuer:"
REGISTRAR: Final = "registrar"


def initial_entries(genesis: Genesis) -> dict[bytes, bytes]:
    """The entries whose root goes into genesis. Raises ValueError for what no ledger can begin with."""
    entries: dict[bytes, bytes] = {}
    issuers: dict[str, list[str]] = {currency.code: [] for currency in genesis.currencies}
    if len(issuers) != len(genesis.currencies):
        raise ValueError("a currency stands twice")
    for party in genesis.parties:
        if not valid_name(party.party) or party_key(party.party) in entries:
            raise ValueError(f"the party {party.party!r} has no valid id or stands twice")
        for role in party.roles:
            if role.startswith(_ISSUER):
                if role[len(_ISSUER) :] not in issuers:
                    raise ValueError(f"{party.party} issues a currency that genesis does not list: {role}")
                issuers[role[len(_ISSUER) :]].append(party.party)
            elif role != REGISTRAR:
                raise ValueError(f"{party.party} has an unknown role: {role}")
        key = KeyRecord(public_key=party.public_key, scopes=("all",), expires_ms=0)
        entries[party_key(party.party)] = encode(
            Party(party=party.party, name=party.name, kind=party.kind, keys=(key,), roles=party.roles)
        )
    registrars = tuple(party.party for party in genesis.parties if REGISTRAR in party.roles)
    entries[role_key(REGISTRAR)] = encode(RoleHolders(parties=registrars))
    for currency in genesis.currencies:
        if not 0 <= currency.scale <= SCALE_MAX:
            raise ValueError(f"{currency.code} has the scale {currency.scale}, not 0 to {SCALE_MAX}")
        entries[currency_key(currency.code)] = encode(
            CurrencyEntry(code=currency.code, scale=currency.scale, issuers=tuple(issuers[currency.code]))
        )
    return entries

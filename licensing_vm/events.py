"""The events of the ledger: every kind with its attributes, in one table.

An event says that something happened, for whoever follows the ledger; amounts and causes stand in the
journal entries beside it. Attributes appear in the table's order, so an event has one encoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from licet.entities import NamedValue
from licet.receipts import Event
from licet.records import varint

from licensing_vm.mould import text_bytes

EVENTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "party.registered": ("party", "kind"),
        "party.key_added": ("party", "public_key"),
        "party.key_revoked": ("party", "public_key"),
        "asset.registered": ("asset", "kind", "registrant"),
        "asset.version_added": ("asset", "version"),
        "asset.payout_set": ("asset", "version"),
        "claim.recognised": ("claim", "asset", "holder", "share_ppm"),
        "lineage.linked": ("child", "parent", "relation", "rate_e9"),
        "template.published": ("template", "version", "program_hash", "publisher"),
        "template.deprecated": ("template", "version", "program_hash"),
        "offer.created": ("offer", "template", "open_role"),
        "offer.withdrawn": ("offer",),
        "agreement.activated": ("agreement", "offer", "template", "licensee"),
        "agreement.closed": ("agreement",),
        "usage.reported": ("reporter", "report", "fact", "rows"),
        "period.closed": ("agreement", "period", "start"),
        "obligation.due": ("obligation", "debtor", "creditor", "amount", "due_ms"),
        "obligation.paid": ("obligation", "debtor", "creditor"),
        "money.deposited": ("party", "issuer", "reference"),
        "money.withdrawn": ("party", "issuer", "reference"),
        "money.transferred": ("from", "to", "reference"),
    }
)


def event_bytes(kind: str, attributes: Mapping[str, str]) -> bytes:
    """The encoding of `event_record(kind, attributes)`, as receipts hold it: without its tag."""
    form, names = _FORMS[kind]
    assert len(attributes) == len(names), (kind, attributes)
    return form % tuple([text_bytes(attributes[name]) for name in names])


def _form(kind: str, names: tuple[str, ...]) -> tuple[bytes, tuple[str, ...]]:
    """The event with a hole for each attribute's encoding."""
    head = text_bytes(kind) + varint(len(names))
    fields = b"".join(text_bytes(name) + b"%b" for name in names)
    form = head + fields
    assert form.count(b"%") == len(names), "no percent sign but the holes'"
    return form, names


_FORMS: Final = {kind: _form(kind, names) for kind, names in EVENTS.items()}


def event_record(kind: str, attributes: Mapping[str, str]) -> Event:
    """The record of an event; it must give exactly the attributes of its kind."""
    names = EVENTS[kind]
    assert len(attributes) == len(names), (kind, attributes)
    return Event(kind=kind, attributes=tuple(NamedValue(name=name, value=attributes[name]) for name in names))

"""Protobuf ↔ the frozen types of `licet.transactions`: the SDK's one door to generated code.

Decoding is a ledger rule: what is refused here is refused by its bytes, on every node alike, at
admission and in a batch (C-14). So it depends on nothing but the bytes: limits of form, ids'
alphabet, UTF-8, no unknown field at any depth. Who may do what is the VM's question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from google.protobuf.message import DecodeError

from licet import transactions as t
from licet.errors import Fault, LicetError
from licet.frozen import maker
from licet.types import HASH_BYTES, PUBLIC_KEY_BYTES, SIGNATURE_BYTES, ChainId, Hash32, PublicKey, Signature
from licet.v1 import transaction_pb2 as pb

# What nearly every transaction of a busy ledger is made of.
_make_transaction: Final = maker(t.Transaction)
_make_body: Final = maker(t.TransactionBody)
_make_key_signature: Final = maker(t.KeySignature)
_make_money: Final = maker(t.Money)
_make_accept_offer: Final = maker(t.AcceptOffer)
_make_report_usage: Final = maker(t.ReportUsage)
_make_transfer: Final = maker(t.Transfer)


class MalformedTransaction(LicetError):
    """A transaction refused for its form; `facts["field"]` names where."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(
            "TX_MALFORMED",
            f"The transaction is malformed: {field} {why}.",
            fault=Fault.SENDER,
            remedy="Build it with the SDK, or follow the limits in proto/licet/v1/transaction.proto.",
            facts={"field": field},
        )


def _name(field: str, value: str) -> str:
    if not t.valid_name(value):
        raise MalformedTransaction(field, f"{value[:70]!r} is no id (1 to 64 of a-z 0-9 _ . -)")
    return value


def _optional_name(field: str, value: str) -> str:
    return _name(field, value) if value else value


def _text(field: str, value: str, at_most: int = t.TEXT_BYTES_MAX) -> str:
    # A character has at most four bytes: short texts need no encoding to be measured.
    if len(value) * 4 > at_most and len(value.encode()) > at_most:
        raise MalformedTransaction(field, f"is longer than {at_most} bytes")
    if "\0" in value:
        raise MalformedTransaction(field, "holds a zero character")
    return value


def _hash(field: str, value: bytes) -> Hash32:
    if len(value) != HASH_BYTES:
        raise MalformedTransaction(field, f"has {len(value)} bytes, not {HASH_BYTES}")
    return Hash32(value)


def _unsigned(field: str, value: int) -> int:
    """An integer of 63 bits. Beyond, a parser may have dropped upper bits of what the bytes say."""
    if value >> 63:
        raise MalformedTransaction(field, f"is {value}, beyond 63 bits")
    return value


def _column(field: str, values: list[int]) -> list[int]:
    """The same of each in a column: what the sum shows of nearly all, in a third of the time."""
    if sum(values) >> 63:
        for value in values:
            _unsigned(field, value)
    return values


def _optional_hash(field: str, value: bytes) -> bytes:
    return _hash(field, value) if value else b""


def _count(field: str, items: Any, at_most: int = t.LIST_ITEMS_MAX, at_least: int = 0) -> None:
    if not at_least <= len(items) <= at_most:
        raise MalformedTransaction(field, f"has {len(items)} items, not {at_least} to {at_most}")


def _money(field: str, message: pb.Money) -> t.Money:
    minor = message.minor
    if not 0 < minor <= t.AMOUNT_MINOR_MAX:
        raise MalformedTransaction(field, f"is {minor} minor units, not 1 to {t.AMOUNT_MINOR_MAX}")
    return _make_money(currency=_text(field, message.currency, 8), minor=minor)


def _key(field: str, message: pb.Key) -> t.Key:
    if len(message.public_key) != PUBLIC_KEY_BYTES:
        raise MalformedTransaction(
            field, f"has a key of {len(message.public_key)} bytes, not {PUBLIC_KEY_BYTES}"
        )
    _count(field + ".scopes", message.scopes, 16, 1)
    return t.Key(
        public_key=PublicKey(message.public_key),
        scopes=tuple(_name(field + ".scopes", scope) for scope in message.scopes),
        expires_ms=_unsigned("keys.expires_ms", message.expires_ms),
    )


def _hashes(field: str, values: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(_hash(field, value) for value in values)


def _roles(items: Iterable[pb.RoleBinding]) -> tuple[t.RoleBinding, ...]:
    return tuple(
        t.RoleBinding(
            role=_text("roles.role", item.role, t.NAME_BYTES_MAX), party=_name("roles.party", item.party)
        )
        for item in items
    )


def _params(items: Iterable[pb.ParamBinding]) -> tuple[t.ParamBinding, ...]:
    return tuple(
        t.ParamBinding(
            name=_text("params.name", item.name, t.NAME_BYTES_MAX),
            value=_text("params.value", item.value, 4096),
        )
        for item in items
    )


def _assets(items: Iterable[pb.AssetBinding]) -> tuple[t.AssetBinding, ...]:
    return tuple(
        t.AssetBinding(
            slot=_text("assets.slot", item.slot, t.NAME_BYTES_MAX), asset=_name("assets.asset", item.asset)
        )
        for item in items
    )


def _register_party(m: pb.RegisterParty) -> t.RegisterParty:
    _count("register_party.keys", m.keys, 16, 1)
    return t.RegisterParty(
        name=_text("register_party.name", m.name, 128),
        kind=_name("register_party.kind", m.kind),
        keys=tuple(_key("register_party.keys", key) for key in m.keys),
    )


def _add_key(m: pb.AddKey) -> t.AddKey:
    return t.AddKey(key=_key("add_key.key", m.key))


def _revoke_key(m: pb.RevokeKey) -> t.RevokeKey:
    return t.RevokeKey(public_key=PublicKey(_hash("revoke_key.public_key", m.public_key)))


def _register_asset(m: pb.RegisterAsset) -> t.RegisterAsset:
    _count("register_asset.content_hashes", m.content_hashes)
    _count("register_asset.external_ids", m.external_ids)
    return t.RegisterAsset(
        asset=_name("register_asset.asset", m.asset),
        kind=_name("register_asset.kind", m.kind),
        title=_text("register_asset.title", m.title),
        content_hashes=_hashes("register_asset.content_hashes", m.content_hashes),
        external_ids=tuple(
            t.ExternalId(
                scheme=_name("register_asset.external_ids.scheme", item.scheme),
                value=_text("register_asset.external_ids.value", item.value),
            )
            for item in m.external_ids
        ),
        evidence_hash=_optional_hash("register_asset.evidence_hash", m.evidence_hash),
    )


def _add_asset_version(m: pb.AddAssetVersion) -> t.AddAssetVersion:
    _count("add_asset_version.content_hashes", m.content_hashes)
    return t.AddAssetVersion(
        asset=_name("add_asset_version.asset", m.asset),
        content_hashes=_hashes("add_asset_version.content_hashes", m.content_hashes),
        evidence_hash=_optional_hash("add_asset_version.evidence_hash", m.evidence_hash),
    )


def _register_claim(m: pb.RegisterClaim) -> t.RegisterClaim:
    return t.RegisterClaim(
        claim=_name("register_claim.claim", m.claim),
        asset=_name("register_claim.asset", m.asset),
        holder=_name("register_claim.holder", m.holder),
        right=_text("register_claim.right", m.right, t.NAME_BYTES_MAX),
        territory=_text("register_claim.territory", m.territory, t.NAME_BYTES_MAX),
        share_ppm=m.share_ppm,
        from_ms=_unsigned("register_claim.from_ms", m.from_ms),
        until_ms=_unsigned("register_claim.until_ms", m.until_ms),
    )


def _link_lineage(m: pb.LinkLineage) -> t.LinkLineage:
    return t.LinkLineage(
        child=_name("link_lineage.child", m.child),
        parent=_name("link_lineage.parent", m.parent),
        relation=_name("link_lineage.relation", m.relation),
        rate_e9=_unsigned("link_lineage.rate_e9", m.rate_e9),
        evidence_hash=_optional_hash("link_lineage.evidence_hash", m.evidence_hash),
    )


def _set_payout_sheet(m: pb.SetPayoutSheet) -> t.SetPayoutSheet:
    _count("set_payout_sheet.legs", m.legs, 512, 1)
    return t.SetPayoutSheet(
        asset=_name("set_payout_sheet.asset", m.asset),
        legs=tuple(
            t.PayoutLeg(party=_name("set_payout_sheet.legs.party", leg.party), share_ppm=leg.share_ppm)
            for leg in m.legs
        ),
    )


def _publish_template(m: pb.PublishTemplate) -> t.PublishTemplate:
    if not 0 < len(m.source) <= t.SOURCE_BYTES_MAX or len(m.source.encode()) > t.SOURCE_BYTES_MAX:
        raise MalformedTransaction(
            "publish_template.source", f"is empty or longer than {t.SOURCE_BYTES_MAX} bytes"
        )
    return t.PublishTemplate(source=m.source)


def _deprecate_template(m: pb.DeprecateTemplate) -> t.DeprecateTemplate:
    return t.DeprecateTemplate(program_hash=_hash("deprecate_template.program_hash", m.program_hash))


def _create_offer(m: pb.CreateOffer) -> t.CreateOffer:
    _count("create_offer.roles", m.roles)
    _count("create_offer.params", m.params)
    _count("create_offer.assets", m.assets)
    return t.CreateOffer(
        offer=_name("create_offer.offer", m.offer),
        program_hash=_hash("create_offer.program_hash", m.program_hash),
        roles=_roles(m.roles),
        params=_params(m.params),
        assets=_assets(m.assets),
        expires_ms=_unsigned("create_offer.expires_ms", m.expires_ms),
    )


def _withdraw_offer(m: pb.WithdrawOffer) -> t.WithdrawOffer:
    return t.WithdrawOffer(offer=_name("withdraw_offer.offer", m.offer))


def _accept_offer(m: pb.AcceptOffer) -> t.AcceptOffer:
    assets = m.assets
    if len(assets) > 64:
        _count("accept_offer.assets", assets, 64)
    return _make_accept_offer(
        agreement=_name("accept_offer.agreement", m.agreement),
        offer=_name("accept_offer.offer", m.offer),
        assets=_assets(assets) if len(assets) else (),
        effective_ms=_unsigned("accept_offer.effective_ms", m.effective_ms),
    )


def _create_agreement(m: pb.CreateAgreement) -> t.CreateAgreement:
    _count("create_agreement.roles", m.roles)
    _count("create_agreement.params", m.params)
    _count("create_agreement.assets", m.assets)
    return t.CreateAgreement(
        agreement=_name("create_agreement.agreement", m.agreement),
        program_hash=_hash("create_agreement.program_hash", m.program_hash),
        roles=_roles(m.roles),
        params=_params(m.params),
        assets=_assets(m.assets),
        effective_ms=_unsigned("create_agreement.effective_ms", m.effective_ms),
    )


def _report_usage(m: pb.ReportUsage) -> t.ReportUsage:
    quantity, offset_ms, agreement_index = m.quantity, m.offset_ms, m.agreement_index
    rows = len(quantity)  # known before a row is read
    if not 0 < rows <= t.REPORT_ROWS_MAX:
        raise MalformedTransaction("report_usage", f"has {rows} rows, not 1 to {t.REPORT_ROWS_MAX}")
    if len(agreement_index) != rows or len(offset_ms) != rows:
        raise MalformedTransaction("report_usage", "has columns of different lengths")
    _count("report_usage.agreements", m.agreements, t.REPORT_AGREEMENTS_MAX, 1)
    places = agreement_index[:]
    if max(places) >= len(m.agreements):
        raise MalformedTransaction(
            "report_usage.agreement_index", f"names agreement {max(places)} of {len(m.agreements)}"
        )
    return _make_report_usage(
        report=_name("report_usage.report", m.report),
        fact=_text("report_usage.fact", m.fact, t.NAME_BYTES_MAX),
        period_start_ms=_unsigned("report_usage.period_start_ms", m.period_start_ms),
        agreements=tuple(_name("report_usage.agreements", item) for item in m.agreements),
        agreement_index=places,
        offset_ms=_column("report_usage.offset_ms", offset_ms[:]),
        quantity=_column("report_usage.quantity", quantity[:]),
    )


def _close_period(m: pb.ClosePeriod) -> t.ClosePeriod:
    return t.ClosePeriod(
        agreement=_name("close_period.agreement", m.agreement),
        period=_text("close_period.period", m.period, t.NAME_BYTES_MAX),
        period_start_ms=_unsigned("close_period.period_start_ms", m.period_start_ms),
    )


def _deposit(m: pb.Deposit) -> t.Deposit:
    return t.Deposit(
        to=_name("deposit.to", m.to),
        amount=_money("deposit.amount", m.amount),
        reference=_text("deposit.reference", m.reference, 64),
    )


def _withdraw(m: pb.Withdraw) -> t.Withdraw:
    return t.Withdraw(
        from_=_name("withdraw.from", getattr(m, "from")),
        amount=_money("withdraw.amount", m.amount),
        reference=_text("withdraw.reference", m.reference, 64),
    )


def _transfer(m: pb.Transfer) -> t.Transfer:
    return _make_transfer(
        to=_name("transfer.to", m.to),
        amount=_money("transfer.amount", m.amount),
        issuer=_optional_name("transfer.issuer", m.issuer),
        reference=_text("transfer.reference", m.reference, 64),
    )


def _pay(m: pb.Pay) -> t.Pay:
    return t.Pay(agreement=_name("pay.agreement", m.agreement), amount=_money("pay.amount", m.amount))


_FROM_PROTO: Final[dict[str, Callable[[Any], t.Command]]] = {
    "register_party": _register_party,
    "add_key": _add_key,
    "revoke_key": _revoke_key,
    "register_asset": _register_asset,
    "add_asset_version": _add_asset_version,
    "register_claim": _register_claim,
    "link_lineage": _link_lineage,
    "set_payout_sheet": _set_payout_sheet,
    "publish_template": _publish_template,
    "deprecate_template": _deprecate_template,
    "create_offer": _create_offer,
    "withdraw_offer": _withdraw_offer,
    "accept_offer": _accept_offer,
    "create_agreement": _create_agreement,
    "report_usage": _report_usage,
    "close_period": _close_period,
    "deposit": _deposit,
    "withdraw": _withdraw,
    "transfer": _transfer,
    "pay": _pay,
}


def _command(message: pb.Command) -> t.Command:
    kind = message.WhichOneof("command")
    if kind is None:
        raise MalformedTransaction("commands", "holds a command that says nothing")
    return _FROM_PROTO[kind](getattr(message, kind))


def refuse_unknown_fields(message: Any, what: str, size: int) -> None:
    """Raise where `message`, read from `size` bytes, holds an unknown field or a byte it does not need.

    Discarding recurses in C and changes the size exactly when something was discarded. What needs more
    bytes than its meaning (a longer varint, a field given twice, an unpacked column) is refused, because
    versions of protobuf differ there: 5.26 reads a length of six bytes, 7.36 does not.
    """
    if message.ByteSize() != size:
        raise MalformedTransaction(what, "is not in its shortest form")
    message.DiscardUnknownFields()
    if message.ByteSize() != size:
        raise MalformedTransaction(what, "holds a field that this version does not know")


def decode_body(raw: bytes) -> t.TransactionBody:
    """Read a transaction body; raise `MalformedTransaction` for anything that is none."""
    if len(raw) > t.BODY_BYTES_MAX:
        raise MalformedTransaction("body", f"has {len(raw)} bytes, more than {t.BODY_BYTES_MAX}")
    try:
        message = pb.TransactionBody.FromString(raw)
    except DecodeError:
        raise MalformedTransaction("body", "is no serialized TransactionBody") from None
    refuse_unknown_fields(message, "body", len(raw))
    chain_id, id_, commands = message.chain_id, message.id, message.commands
    if len(id_) != t.ID_BYTES:
        raise MalformedTransaction("id", f"has {len(id_)} bytes, not {t.ID_BYTES}")
    if len(chain_id) != HASH_BYTES:
        raise MalformedTransaction("chain_id", f"has {len(chain_id)} bytes, not {HASH_BYTES}")
    if not 1 <= len(commands) <= t.COMMANDS_MAX:
        raise MalformedTransaction("commands", f"has {len(commands)} items, not 1 to {t.COMMANDS_MAX}")
    return _make_body(
        chain_id=ChainId(chain_id),
        id=id_,
        sender=_name("sender", message.sender),
        valid_until_ms=_unsigned("valid_until_ms", message.valid_until_ms),
        commands=tuple([_command(command) for command in commands]),
    )


# What one signature takes in the wrapper: its own tag and length, then a key and a signature with theirs.
_SIGNATURE_WIRE_BYTES: Final = 2 + (2 + PUBLIC_KEY_BYTES) + (2 + SIGNATURE_BYTES)


def _wrapper_bytes(body_bytes: int, signatures: int) -> int:
    """The length of the shortest SignedTransaction with a body and so many signatures."""
    length = (max(1, body_bytes.bit_length()) + 6) // 7  # of the body's length as a varint
    return (1 + length + body_bytes if body_bytes else 0) + signatures * _SIGNATURE_WIRE_BYTES


def decode_transaction(raw: bytes) -> t.Transaction:
    """Read a serialized SignedTransaction. Signatures are of the right form but not yet verified."""
    try:
        message = pb.SignedTransaction.FromString(raw)
    except DecodeError:
        raise MalformedTransaction("transaction", "is no serialized SignedTransaction") from None
    signatures, raw_body = message.signatures, message.body
    # Every byte is accounted for, or there is a longer form or an unknown field: then say which.
    if len(raw) != _wrapper_bytes(len(raw_body), len(signatures)):
        refuse_unknown_fields(message, "transaction", len(raw))
    if not 1 <= len(signatures) <= t.SIGNATURES_MAX:
        raise MalformedTransaction("signatures", f"has {len(signatures)} items, not 1 to {t.SIGNATURES_MAX}")
    signed = []
    for item in signatures:
        public_key, signature = item.public_key, item.signature
        if len(public_key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
            raise MalformedTransaction("signatures", "holds a key or signature of the wrong length")
        signed.append(_make_key_signature(public_key=PublicKey(public_key), signature=Signature(signature)))
    if len(signed) > 1 and len({item.public_key for item in signed}) != len(signed):
        raise MalformedTransaction("signatures", "names one key twice")
    return _make_transaction(
        hash=t.transaction_hash(raw_body),
        raw_body=raw_body,
        body=decode_body(raw_body),
        signatures=tuple(signed),
    )


def _fill(message: Any, value: Any) -> Any:
    """Copy a frozen value into the message of the same field names."""
    for name in value.__slots__:
        item = getattr(value, name)
        field = name.rstrip("_")
        if isinstance(item, tuple | list) and item and hasattr(item[0], "__slots__"):
            target = getattr(message, field)
            for entry in item:
                _fill(target.add(), entry)
        elif hasattr(item, "__slots__"):
            _fill(getattr(message, field), item)
        elif isinstance(item, str | bytes | int):
            if item:
                setattr(message, field, item)
        else:
            getattr(message, field).extend(item)
    return message


_TO_PROTO: Final[dict[type[Any], str]] = {
    getattr(t, "".join(part.title() for part in kind.split("_"))): kind for kind in _FROM_PROTO
}


def encode_body(body: t.TransactionBody) -> bytes:
    """Serialize a body once; the bytes are then signed, sent and kept as they are."""
    message = pb.TransactionBody(
        chain_id=body.chain_id, id=body.id, sender=body.sender, valid_until_ms=body.valid_until_ms
    )
    for command in body.commands:
        kind = _TO_PROTO[type(command)]
        entry = message.commands.add()
        target = getattr(entry, kind)
        target.SetInParent()
        _fill(target, command)
    return message.SerializeToString(deterministic=True)


def encode_transaction(raw_body: bytes, signatures: Iterable[t.KeySignature]) -> bytes:
    """Serialize a signed transaction around the body's bytes."""
    message = pb.SignedTransaction(body=raw_body)
    for item in signatures:
        message.signatures.add(public_key=item.public_key, signature=item.signature)
    return message.SerializeToString(deterministic=True)


__all__ = [
    "MalformedTransaction",
    "decode_body",
    "decode_transaction",
    "encode_body",
    "encode_transaction",
    "refuse_unknown_fields",
]

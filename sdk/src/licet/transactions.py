"""Transactions and commands as frozen values, and the limits that bind them.

These types mirror `proto/licet/v1/transaction.proto`; `licet.codec` maps between the two. A field
means here what it means there. Commands are plain data: who may do what is decided by the VM.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from licet.encoding import Tag
from licet.types import ChainId, Hash32, PublicKey, Signature

# Limits of form: a transaction beyond them is refused by its bytes alone, at admission, in a batch
# and at execution alike. They are part of the ledger's rules; changing one is a protocol version.
BODY_BYTES_MAX: Final = 512 * 1024
SIGNATURES_MAX: Final = 16
# No transaction has more: its body, and room for as many signatures as one may carry.
TRANSACTION_BYTES_MAX: Final = BODY_BYTES_MAX + 256 * SIGNATURES_MAX
COMMANDS_MAX: Final = 256
ID_BYTES: Final = 16
NAME_BYTES_MAX: Final = 64
TEXT_BYTES_MAX: Final = 256
SOURCE_BYTES_MAX: Final = 128 * 1024
LIST_ITEMS_MAX: Final = 1024
REPORT_ROWS_MAX: Final = 20_000
REPORT_AGREEMENTS_MAX: Final = 1024
AMOUNT_MINOR_MAX: Final = 10**18

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.\-]{0,63}")


def valid_name(name: str) -> bool:
    """Whether `name` may be an id: 1 … 64 of a-z 0-9 _ . - and beginning with a letter or digit."""
    return _NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An amount in minor units at the ledger's scale of the currency."""

    currency: str
    minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    public_key: PublicKey
    scopes: tuple[str, ...]
    expires_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalId:
    scheme: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleBinding:
    role: str
    party: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamBinding:
    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetBinding:
    slot: str
    asset: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutLeg:
    party: str
    share_ppm: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterParty:
    name: str
    kind: str
    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddKey:
    key: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeKey:
    public_key: PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterAsset:
    asset: str
    kind: str
    title: str
    content_hashes: tuple[bytes, ...] = ()
    external_ids: tuple[ExternalId, ...] = ()
    evidence_hash: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddAssetVersion:
    asset: str
    content_hashes: tuple[bytes, ...] = ()
    evidence_hash: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterClaim:
    claim: str
    asset: str
    holder: str
    right: str = "any"
    territory: str = "WORLD"
    share_ppm: int
    from_ms: int = 0
    until_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLineage:
    child: str
    parent: str
    relation: str
    rate_e9: int
    evidence_hash: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPayoutSheet:
    asset: str
    legs: tuple[PayoutLeg, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishTemplate:
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeprecateTemplate:
    program_hash: Hash32


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateOffer:
    offer: str
    program_hash: Hash32
    roles: tuple[RoleBinding, ...]
    params: tuple[ParamBinding, ...] = ()
    assets: tuple[AssetBinding, ...]
    expires_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawOffer:
    offer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptOffer:
    agreement: str
    offer: str
    assets: tuple[AssetBinding, ...] = ()
    effective_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateAgreement:
    agreement: str
    program_hash: Hash32
    roles: tuple[RoleBinding, ...]
    params: tuple[ParamBinding, ...] = ()
    assets: tuple[AssetBinding, ...]
    effective_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportUsage:
    """Columns are of equal length; any sequence of ints will do and none is copied."""

    report: str
    fact: str
    period_start_ms: int
    agreements: tuple[str, ...]
    agreement_index: Sequence[int]
    offset_ms: Sequence[int]
    quantity: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosePeriod:
    agreement: str
    period: str
    period_start_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    to: str
    amount: Money
    reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
    from_: str
    amount: Money
    reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    to: str
    amount: Money
    issuer: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pay:
    agreement: str
    amount: Money


Command = (
    RegisterParty
    | AddKey
    | RevokeKey
    | RegisterAsset
    | AddAssetVersion
    | RegisterClaim
    | LinkLineage
    | SetPayoutSheet
    | PublishTemplate
    | DeprecateTemplate
    | CreateOffer
    | WithdrawOffer
    | AcceptOffer
    | CreateAgreement
    | ReportUsage
    | ClosePeriod
    | Deposit
    | Withdraw
    | Transfer
    | Pay
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionBody:
    chain_id: ChainId
    id: bytes
    sender: str
    valid_until_ms: int
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySignature:
    public_key: PublicKey
    signature: Signature


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A decoded transaction. `raw_body` are the bytes that were signed and hashed, never re-made."""

    hash: Hash32
    raw_body: bytes
    body: TransactionBody
    signatures: tuple[KeySignature, ...]


_TAG: Final = Tag.TRANSACTION.bytes16


def transaction_hash(raw_body: bytes) -> Hash32:
    """H(tag ‖ body) over the body's bytes as sent."""
    return Hash32(sha256(_TAG + raw_body).digest())

"""The records of the ledger's state: one frozen type per kind of key, and how the keys are built.

A state key is `kind/id` in ASCII, a value is the record's canonical bytes (`licet.records`). The
functions below are the only place where keys are put together, for validators, proof files and
clients alike; ids hold no `/`, so no two keys meet.

    party/P  role/R  currency/C  asset/A  asset-version/A/N  lineage/A/N  claim/ID  claims/A  rights/A
    template/H  template-name/PUBLISHER/NAME/VERSION  program/H  offer/ID  agreement/ID  course/ID
    usage/AGREEMENT/FACT/PERIOD/START  report/REPORTER/ID  obligation/AGREEMENT/N
    split/SCOPE/ID/CLAUSE/N/ASSET/VERSION.LINEAGE  sheet/A/VERSION/C
    balance/PARTY/ACCOUNT/ISSUER/CURRENCY

Money is in minor units at the ledger's scale unless said otherwise. Never decides anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from licet.records import record

# The accounts a party can have (L-1, ledger design: Money). Postings name them by number.
CASH: Final = 1
RECEIVABLE: Final = 2
PAYABLE: Final = 3  # what is owed; its balance is zero or below
ISSUED: Final = 4  # an issuer's own account; its balance is minus what it has issued
ACCOUNT_NAMES: Final = ("", "cash", "receivable", "payable", "issued")

# Key scopes; "all" stands for each of them.
SCOPES: Final = ("license", "pay", "report", "govern", "all")

# States of an agreement. `expired` is derived from the time (`agreement_state`), never stored.
ACTIVE: Final = "active"
EXPIRED: Final = "expired"
CLOSED: Final = "closed"

NEVER_MS: Final = 1 << 62


@record(1)
@dataclass(frozen=True, slots=True, kw_only=True)
class NamedValue:
    """A name and its value as text: a role's party, a parameter's literal, a slot's asset, a fact."""

    name: str
    value: str


@record(2)
@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    public_key: bytes
    scopes: tuple[str, ...]
    expires_ms: int


@record(3)
@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    party: str
    name: str
    kind: str
    keys: tuple[KeyRecord, ...]
    roles: tuple[str, ...]  # "issuer:EUR", "registrar"


@record(4)
@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencyEntry:
    """A currency of the ledger: its scale and who may issue it, in the order of genesis."""

    code: str
    scale: int
    issuers: tuple[str, ...]


@record(5)
@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """An edge to a direct parent (L-13)."""

    parent: str
    relation: str
    rate_e9: int
    evidence_hash: bytes


@record(6)
@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestor:
    """An ancestor within eight generations with its four weights of twelve decimals (L-13)."""

    asset: str
    version: int  # current when it was linked
    relative_once: int
    relative_every_path: int
    absolute_once: int
    absolute_every_path: int


@record(7)
@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutShare:
    party: str
    share_ppm: int


@record(8)
@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """An asset at its current version.

    `lineage_version` counts its links: with `version` it is the version of every split's legs (L-5). The
    ancestors are those of the last link; what each link made of them stays in an `AssetLineage`.
    `payout` is its sheet; `payout_stated` tells whether it was set or follows from the claims.
    """

    asset: str
    kind: str
    title: str
    registrant: str
    version: int
    content_hashes: tuple[bytes, ...]
    external_ids: tuple[NamedValue, ...]
    evidence_hash: bytes
    parents: tuple[Edge, ...]
    ancestors: tuple[Ancestor, ...]
    lineage_version: int
    children: int
    payout: tuple[PayoutShare, ...]
    payout_version: int
    payout_stated: bool


@record(9)
@dataclass(frozen=True, slots=True, kw_only=True)
class AssetVersion:
    asset: str
    version: int
    content_hashes: tuple[bytes, ...]
    evidence_hash: bytes
    height: int


@record(32)
@dataclass(frozen=True, slots=True, kw_only=True)
class AssetLineage:
    """The ancestors of an asset as one link made them. Never changes; agreements name it by its version."""

    asset: str
    version: int
    ancestors: tuple[Ancestor, ...]
    height: int


@record(10)
@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    claim: str
    asset: str
    holder: str
    right: str
    territory: str
    share_ppm: int
    from_ms: int
    until_ms: int  # 0 for ever
    state: str  # "recognised"


@record(11)
@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimList:
    """Every recognised claim on one asset."""

    claims: tuple[Claim, ...]


@record(12)
@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    program_hash: bytes
    name: str
    version: str
    title: str
    publisher: str
    source: str
    deprecated: bool
    published_height: int


@record(13)
@dataclass(frozen=True, slots=True, kw_only=True)
class StoredProgram:
    """The compiled program's bytes: what agreements pin (L-12)."""

    code: bytes


@record(14)
@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateName:
    program_hash: bytes


@record(15)
@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A standing offer. `signatories` signed its creation: their claims must carry its grants (L-15)."""

    offer: str
    program_hash: bytes
    template: str  # "name version"
    roles: tuple[NamedValue, ...]
    open_role: str
    params: tuple[NamedValue, ...]  # all of them, as literals
    assets: tuple[NamedValue, ...]  # a slot may occur several times
    expires_ms: int  # 0 for never
    withdrawn: bool
    signatories: tuple[str, ...]
    height: int


@record(16)
@dataclass(frozen=True, slots=True, kw_only=True)
class GrantInterval:
    """A right granted: [from_ms, until_ms). Empty territories or media mean no limit."""

    grant: str
    asset: str
    grantee: str
    actions: tuple[str, ...]
    territories: tuple[str, ...]
    media: tuple[str, ...]
    exclusive: str  # "no", "sole" or "yes"
    from_ms: int
    until_ms: int


@record(17)
@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """An agreement: what a license's proof file proves. `offer` is empty where it was negotiated."""

    agreement: str
    height: int
    signed_ms: int
    effective_ms: int
    state: str  # active or closed
    offer: str
    program_hash: bytes
    template: str
    codelists: int
    roles: tuple[NamedValue, ...]
    params: tuple[NamedValue, ...]
    assets: tuple[NamedValue, ...]
    versions: tuple[int, ...]  # of the assets, in the same order
    lineages: tuple[int, ...]  # versions of the assets' lineages, in the same order
    grants: tuple[GrantInterval, ...]


@record(18)
@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What was reported of one fact of an agreement for one period."""

    total: int
    rows: int
    reports: int


@record(19)
@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    reporter: str
    report: str
    fact: str
    period_start_ms: int
    agreements: tuple[str, ...]
    totals: tuple[int, ...]
    rows: int
    transaction_hash: bytes
    height: int


@record(20)
@dataclass(frozen=True, slots=True, kw_only=True)
class OpenItem:
    """An obligation that is not yet paid, as `Pay` sees it (L-1)."""

    number: int
    due_ms: int
    debtor: str
    creditor: str
    outstanding: int


@record(21)
@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodCourse:
    """How far a period has closed: `next_start_ms` begins the first that is open."""

    period: str
    next_start_ms: int
    closed: int


@record(22)
@dataclass(frozen=True, slots=True, kw_only=True)
class FactCourse:
    """A fact's values in its closed periods, newest last, as far back as `else mean n` looks."""

    fact: str
    values: tuple[int, ...]


@record(23)
@dataclass(frozen=True, slots=True, kw_only=True)
class RateCourse:
    """What a rate has rated at closes within its running span (L-6)."""

    rate: str
    span_start_ms: int
    total: int


@record(24)
@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What has happened under an agreement since it was signed. Absent until something has."""

    next_number: int
    open: tuple[OpenItem, ...]
    periods: tuple[PeriodCourse, ...]
    facts: tuple[FactCourse, ...]
    rates: tuple[RateCourse, ...]


@record(25)
@dataclass(frozen=True, slots=True, kw_only=True)
class Obligation:
    """What a debtor owes one creditor under a clause; its state follows from it and the time
    (`obligation_state`)."""

    agreement: str
    number: int
    debtor: str
    creditor: str
    clause: str
    period: str  # "month 2026-01-01", empty where the clause has none
    currency: str
    amount: int
    paid: int
    due_ms: int
    asset: str  # for a lineage leg: the ancestor paid
    height: int


@record(26)
@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    amount: int


@record(27)
@dataclass(frozen=True, slots=True, kw_only=True)
class SplitTotal:
    """T of one split (L-5): in the template's grain, of a payout sheet in the ledger's minor units."""

    total: int


@record(28)
@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """An exclusive grant: [from_ms, until_ms) is reserved for `licensee` (L-15)."""

    agreement: str
    grant: str
    licensee: str
    sole: bool
    actions: tuple[str, ...]
    territories: tuple[str, ...]
    media: tuple[str, ...]
    from_ms: int
    until_ms: int


@record(29)
@dataclass(frozen=True, slots=True, kw_only=True)
class SharedRight:
    """Non-exclusive grants of one extent: until when at the latest any of them lives.

    The end is rounded up to a whole UTC day, so that a thousand sales a second write it once a day.
    """

    actions: tuple[str, ...]
    territories: tuple[str, ...]
    media: tuple[str, ...]
    latest_end_ms: int


@record(30)
@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """Everything reserved or granted in one asset: the key that proves "no exclusive grant overlaps"."""

    exclusive: tuple[Reservation, ...]
    shared: tuple[SharedRight, ...]


@record(31)
@dataclass(frozen=True, slots=True, kw_only=True)
class RoleHolders:
    """Who holds a role of the network itself, e.g. "registrar"."""

    parties: tuple[str, ...]


def agreement_end(agreement: Agreement) -> int:
    """When its last right ends; never, if it grants none."""
    return max((grant.until_ms for grant in agreement.grants), default=NEVER_MS)


def agreement_state(agreement: Agreement, now_ms: int) -> str:
    """active, expired or closed as of `now_ms` (L-9): closed is stored, expiry follows from the time."""
    if agreement.state == ACTIVE and agreement_end(agreement) <= now_ms:
        return EXPIRED
    return agreement.state


def obligation_state(obligation: Obligation, now_ms: int) -> str:
    """due, part_paid, paid or overdue as of `now_ms`."""
    if obligation.paid >= obligation.amount:
        return "paid"
    if obligation.due_ms <= now_ms:
        return "overdue"
    return "part_paid" if obligation.paid else "due"


def party_key(party: str) -> bytes:
    return b"party/" + party.encode()


def role_key(role: str) -> bytes:
    return b"role/" + role.encode()


def currency_key(code: str) -> bytes:
    return b"currency/" + code.encode()


def asset_key(asset: str) -> bytes:
    return b"asset/" + asset.encode()


def asset_version_key(asset: str, version: int) -> bytes:
    return f"asset-version/{asset}/{version}".encode()


def lineage_key(asset: str, version: int) -> bytes:
    return f"lineage/{asset}/{version}".encode()


def claim_key(claim: str) -> bytes:
    return b"claim/" + claim.encode()


def claims_key(asset: str) -> bytes:
    return b"claims/" + asset.encode()


def rights_key(asset: str) -> bytes:
    return b"rights/" + asset.encode()


def template_key(program_hash: bytes) -> bytes:
    return b"template/" + program_hash.hex().encode()


def template_name_key(publisher: str, name: str, version: str) -> bytes:
    return f"template-name/{publisher}/{name}/{version}".encode()


def program_key(program_hash: bytes) -> bytes:
    return b"program/" + program_hash.hex().encode()


def offer_key(offer: str) -> bytes:
    return b"offer/" + offer.encode()


def agreement_key(agreement: str) -> bytes:
    return b"agreement/" + agreement.encode()


def course_key(agreement: str) -> bytes:
    return b"course/" + agreement.encode()


def usage_key(agreement: str, fact: str, period: str, start_ms: int) -> bytes:
    """`period` is empty and `start_ms` 0 for the whole term."""
    return f"usage/{agreement}/{fact}/{period}/{start_ms}".encode()


def report_key(reporter: str, report: str) -> bytes:
    return f"report/{reporter}/{report}".encode()


def obligation_key(agreement: str, number: int) -> bytes:
    return f"obligation/{agreement}/{number:08d}".encode()


def obligation_id(agreement: str, number: int) -> str:
    """The id that the API and statements show: the key without its kind."""
    return f"{agreement}/{number:08d}"


def split_key(scope: str, owner: str, clause: str, split: int, asset: str, legs: str) -> bytes:
    """T of a split; `scope` is "offer" or "agreement" and `owner` its id (L-5)."""
    return f"split/{scope}/{owner}/{clause}/{split}/{asset}/{legs}".encode()


def sheet_key(asset: str, payout_version: int, currency: str) -> bytes:
    """T of an asset's payout sheet (L-13)."""
    return f"sheet/{asset}/{payout_version}/{currency}".encode()


def balance_key(party: str, account: int, issuer: str, currency: str) -> bytes:
    """`issuer` is empty but for cash and issued."""
    return f"balance/{party}/{ACCOUNT_NAMES[account]}/{issuer}/{currency}".encode()

"""The cases behind the vector files. `python -m tests.vectors.cases` writes files that are missing.

A file that exists is never rewritten: its bytes are a promise (see README.md beside this file).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from licet import entities as e
from licet import receipts as r
from licet import records
from licet import transactions as t
from licet.builder import build_transaction
from licet.crypto import SigningKey
from licet.encoding import Tag, hash_tagged
from licet.types import ChainId, Hash32
from licet.views import plain

HERE = Path(__file__).resolve().parent
CHAIN = ChainId(bytes(range(32)))
SEED = bytes(range(32))


def signing() -> list[dict[str, Any]]:
    """Every tag, over messages of several lengths."""
    cases = []
    for number, tag in enumerate(Tag):
        message = bytes((number + at) % 256 for at in range(37 * number))
        key = SigningKey(bytes([number + 1]) * 32)
        cases.append(
            {
                "name": tag.name.lower(),
                "seed": key.seed.hex(),
                "tag": tag.value,
                "message": message.hex(),
                "public_key": key.public_key.hex(),
                "signature": key.sign(tag, message).hex(),
                "hash": hash_tagged(tag, message).hex(),
            }
        )
    return cases


def receipt_values(named: e.NamedValue) -> dict[str, Any]:
    """Receipts of both outcomes, with an entry that balances."""
    posting = r.Posting(party="ada.okafor", account=e.CASH, asset="", change=-69_990_000)
    entry = r.JournalEntry(
        kind=r.SALE,
        clause="P1",
        program_hash=bytes(range(32)),
        agreement="a-1",
        currency="EUR",
        issuer="bank",
        facts=(named,),
        postings=(posting, r.Posting(party="agency", account=e.CASH, asset="pool-001", change=69_990_000)),
    )
    receipt = {
        "transaction_hash": bytes([7]) * 32,
        "sender": "publisher",
        "id": bytes(range(16)),
        "height": 41,
        "index": 3,
        "timestamp_ms": 1_767_225_600_041,
        "consumed": True,
    }
    return {
        "receipt_committed": r.Receipt(
            **receipt,
            refusal=None,
            events=(r.Event(kind="agreement.activated", attributes=(named,)),),
            entries=(entry,),
        ),
        "receipt_refused": r.Receipt(
            **receipt,
            refusal=r.Refusal(
                code="INSUFFICIENT_FUNDS",
                message="The balance is short.",
                fault="sender",
                remedy="Deposit first, or pay less.",
                facts=(named,),
                clause="P1",
            ),
            events=(),
            entries=(),
        ),
    }


def record_values() -> dict[str, Any]:
    """Records that hold every kind of field: integers of all lengths, options, lists, nested records."""
    named = e.NamedValue(name="impressions", value="2500000")
    grant = e.GrantInterval(
        grant="G1",
        asset="photo-001",
        grantee="publisher",
        actions=("display", "reproduce"),
        territories=("EEA",),
        media=("print", "social", "web"),
        exclusive="no",
        from_ms=1_767_225_600_000,
        until_ms=1_830_297_600_000,
    )
    return {
        "balance_zero": e.Balance(amount=0),
        "balance_below_zero": e.Balance(amount=-1),
        "balance_64": e.Balance(amount=64),
        "balance_large": e.Balance(amount=10**18),
        "balance_largest": e.Balance(amount=2**127 - 1),
        "named_value": named,
        "named_value_utf8": e.NamedValue(name="título", value="Elif Aydın"),
        "party": e.Party(
            party="ada.okafor",
            name="Ada Okafor",
            kind="person",
            keys=(e.KeyRecord(public_key=bytes(range(32)), scopes=("all",), expires_ms=0),),
            roles=(),
        ),
        "agreement": e.Agreement(
            agreement="a-1",
            height=41,
            signed_ms=1_767_225_600_041,
            effective_ms=1_767_225_600_041,
            state=e.ACTIVE,
            offer="photos-ada.okafor",
            program_hash=bytes(range(32)),
            template="stock.image_flat 1.0.0",
            codelists=1,
            roles=(e.NamedValue(name="licensee", value="publisher"),),
            params=(e.NamedValue(name="fee", value="EUR 99.99"),),
            assets=(e.NamedValue(name="work", value="photo-001"),),
            versions=(1,),
            lineages=(2,),
            grants=(grant,),
        ),
        **receipt_values(named),
    }


def record_cases() -> list[dict[str, Any]]:
    """The canonical bytes of each."""
    return [
        {
            "name": name,
            "record": type(value).__name__,
            "fields": plain(value),
            "bytes": records.encode(value).hex(),
        }
        for name, value in record_values().items()
    ]


def refused_records() -> list[dict[str, Any]]:
    """Bytes that differ from a canonical encoding in one way each."""
    balance = records.encode(e.Balance(amount=64))
    named = records.encode(e.NamedValue(name="n", value="v"))
    assert balance == bytes([26]) + b"\x80\x01"
    cases = [
        ("longer integer", "Balance", b"\x1a\x80\x81\x00", "an integer is not minimal"),
        ("padded zero", "Balance", b"\x1a\x80\x00", "an integer is not minimal"),
        ("endless integer", "Balance", b"\x1a" + b"\xff" * 20, "an integer is too long"),
        ("empty", "Balance", b"", "does not begin with tag"),
        ("tag alone", "Balance", b"\x1a", "it ends early"),
        ("another tag", "Balance", b"\x1b\x80\x01", "does not begin with tag"),
        ("a byte behind", "Balance", balance + b"\0", "1 bytes follow its end"),
        ("text ends early", "NamedValue", named[:-1], "it ends early"),
        ("not UTF-8", "NamedValue", b"\x01\x01\xff\x01v", "a text is not UTF-8"),
        ("surrogate", "NamedValue", b"\x01\x03\xed\xa0\x80\x01v", "a text is not UTF-8"),
        ("list longer than its bytes", "ClaimList", b"\x0b\xff\x7f", "a list is longer than its bytes"),
    ]
    return [
        {"name": name, "record": record, "bytes": data.hex(), "why": why} for name, record, data, why in cases
    ]


CONTENT = (bytes([6]) * 32, bytes([7]) * 32)
PROGRAM = Hash32(bytes([5]) * 32)
KEY = t.Key(public_key=SigningKey(SEED).public_key, scopes=("license", "pay"), expires_ms=9)


def party_and_asset_commands() -> dict[str, t.Command]:
    """Parties, keys, assets, claims, lineage: one of each kind, every field set."""
    return {
        "register_party": t.RegisterParty(name="Ada Okafor", kind="person", keys=(KEY,)),
        "add_key": t.AddKey(key=KEY),
        "revoke_key": t.RevokeKey(public_key=KEY.public_key),
        "register_asset": t.RegisterAsset(
            asset="photo-001",
            kind="photo",
            title="Harbour at dawn",
            content_hashes=CONTENT,
            external_ids=(t.ExternalId(scheme="iscc", value="ISCC:KACYPXW445FTYNJ3"),),
            evidence_hash=bytes([8]) * 32,
        ),
        "add_asset_version": t.AddAssetVersion(
            asset="photo-001", content_hashes=CONTENT, evidence_hash=bytes([8]) * 32
        ),
        "register_claim": t.RegisterClaim(
            claim="photo-001.1",
            asset="photo-001",
            holder="ada.okafor",
            right="any",
            territory="WORLD",
            share_ppm=600_000,
            from_ms=1,
            until_ms=2**48,
        ),
        "link_lineage": t.LinkLineage(
            child="image-001",
            parent="style-001",
            relation="style_of",
            rate_e9=125_000_000,
            evidence_hash=bytes([9]) * 32,
        ),
        "set_payout_sheet": t.SetPayoutSheet(
            asset="photo-001",
            legs=(
                t.PayoutLeg(party="ada.okafor", share_ppm=600_000),
                t.PayoutLeg(party="agency", share_ppm=400_000),
            ),
        ),
    }


def terms_and_money_commands() -> dict[str, t.Command]:
    """Terms, agreements, usage, money: one of each kind, every field set."""
    money = t.Money(currency="EUR", minor=99_990_000)
    roles = (t.RoleBinding(role="licensor", party="ada.okafor"),)
    params = (t.ParamBinding(name="fee", value="EUR 99.99"),)
    assets = (t.AssetBinding(slot="work", asset="photo-001"),)
    return {
        "publish_template": t.PublishTemplate(source='template x version 1.0.0 "Ünïcode" { }'),
        "deprecate_template": t.DeprecateTemplate(program_hash=PROGRAM),
        "create_offer": t.CreateOffer(
            offer="photos", program_hash=PROGRAM, roles=roles, params=params, assets=assets, expires_ms=77
        ),
        "withdraw_offer": t.WithdrawOffer(offer="photos"),
        "accept_offer": t.AcceptOffer(agreement="a-1", offer="photos", assets=assets, effective_ms=78),
        "create_agreement": t.CreateAgreement(
            agreement="a-2", program_hash=PROGRAM, roles=roles, params=params, assets=assets, effective_ms=79
        ),
        "report_usage": t.ReportUsage(
            report="jan.1",
            fact="impressions",
            period_start_ms=1_767_225_600_000,
            agreements=("ad-001", "ad-002"),
            agreement_index=[0, 1, 0],
            offset_ms=[0, 2**40, 5],
            quantity=[1, 0, 2**62],
        ),
        "close_period": t.ClosePeriod(agreement="ad-001", period="month", period_start_ms=1_767_225_600_000),
        "deposit": t.Deposit(to="advertiser", amount=money, reference="wire 1001"),
        "withdraw": t.Withdraw(from_="advertiser", amount=money, reference="wire 1002"),
        "transfer": t.Transfer(to="studio", amount=money, issuer="bank", reference="thanks"),
        "pay": t.Pay(agreement="ad-001", amount=money),
    }


def commands() -> dict[str, t.Command]:
    """One of each kind."""
    return {**party_and_asset_commands(), **terms_and_money_commands()}


def transactions() -> list[dict[str, Any]]:
    """Each command in a transaction of its own, and all in one."""
    given = commands()
    key = SigningKey(SEED)
    cases = []
    for number, (kind, members) in enumerate(
        [*((kind, [command]) for kind, command in given.items()), ("all", list(given.values()))]
    ):
        built = build_transaction(
            chain_id=CHAIN,
            sender="ada.okafor",
            commands=members,
            valid_until_ms=1_767_225_750_000,
            keys=[key],
            id=bytes([number]) * 16,
        )
        cases.append(
            {
                "name": kind,
                "kind": kind,
                "seed": SEED.hex(),
                "body": built.body.hex(),
                "hash": built.hash.hex(),
                "transaction": built.raw.hex(),
            }
        )
    return cases


def proofs() -> list[dict[str, Any]]:
    """A state claim, an absence and a log entry on the paper network of the proof tests."""
    from licet.proof import verify_proof

    from tests.unit.sdk import test_proof as paper

    files = {
        "state": paper.state_file(),
        "absence": paper.state_file(b"agreement/none", None),
        "log": paper.log_file(),
    }
    cases = []
    for name, data in files.items():
        claim = verify_proof(data, paper.GENESIS)
        cases.append(
            {
                "name": name,
                "genesis": paper.GENESIS.to_json(),
                "file": data.hex(),
                "chain_id": claim.chain_id.hex(),
                "kind": claim.kind,
                "key": claim.key,
                "value": claim.value.hex(),
                "height": claim.height,
                "anchor_height": claim.anchor_height,
                "final_height": claim.final_height,
                "signers": list(claim.signers),
            }
        )
    return cases


FILES = {
    "signing.json": ("Domain-separated Ed25519 signatures and tagged hashes.", signing),
    "records.json": ("Canonical records of state and log.", record_cases),
    "refused_records.json": ("Bytes that no reader of records may accept.", refused_records),
    "transactions.json": ("Transactions as they are signed and sent.", transactions),
    "proofs.json": ("Proof files with the genesis that they hold under.", proofs),
}


def main() -> None:
    """Write what is missing."""
    for name, (about, make) in FILES.items():
        path = HERE / name
        if path.exists():
            print(f"{name}: stands")
            continue
        document = {"about": about, "format": 1, "cases": make()}
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"{name}: {len(document['cases'])} cases written")


if __name__ == "__main__":
    main()

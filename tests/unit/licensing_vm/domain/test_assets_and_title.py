"""Assets, claims, lineage and title (L-13, L-15)."""

from __future__ import annotations

import pytest
from licet.entities import Agreement, Asset, AssetVersion, Claim, PayoutShare, Rights, SplitTotal
from licet.transactions import (
    AcceptOffer,
    AddAssetVersion,
    AssetBinding,
    CreateAgreement,
    DeprecateTemplate,
    LinkLineage,
    ParamBinding,
    PayoutLeg,
    PublishTemplate,
    RegisterAsset,
    RegisterClaim,
    SetPayoutSheet,
    WithdrawOffer,
)
from licet.types import Hash32

from licensing_vm.calendar import DAY_MS
from tests.unit.licensing_vm.domain.kit import EUR, TERMS, Ledger, offer_of, publish, roles_of

WHOLE = 1_000_000

EXCLUSIVE = """
template test.exclusive version 1.0.0 "Exclusive" {
  parties { owner: one; buyer: one; }
  assets { work: image; }
  currency EUR scale 2 round half_even;
  params { fee: money in EUR 1.00 .. EUR 100.00; where_ok: territory in WORLD; }
  grant G1 "Exclusive use" {
    permit display of work to buyer where territory in where_ok and medium in {web}
    during 1 month from effective exclusive yes sublicense no transfer no
  }
  pay P1 "Fee" on activated { buyer pays fee; split fee { rest -> owner; } }
  test "fee" { given fee = EUR 1.00; given where_ok = EEA; expect paid to owner = EUR 1.00; }
}
"""


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger()
    ledger.party("studio", "agency", "writer", "heir", "buyer", "rival")
    for party in ("buyer", "rival"):
        ledger.fund(party, 1_000 * EUR)
    ledger.asset("studio", "picture", "song")
    return ledger


def claim(id_: str, holder: str, share: int, asset: str = "picture", **more: object) -> RegisterClaim:
    return RegisterClaim(claim=id_, asset=asset, holder=holder, share_ppm=share, **more)  # type: ignore[arg-type]


def test_claims_are_recognised_up_to_the_whole_and_contested_beyond(ledger: Ledger) -> None:
    ledger.run("studio", claim("c1", "writer", 600_000))
    assert ledger.refused("writer", claim("c2", "writer", 1)) == "NOT_SIGNED"
    assert ledger.refused("studio", claim("c2", "heir", 400_001)) == "CLAIM_CONTESTED"
    ledger.run("writer", claim("c2", "heir", 400_000), signers=["studio"])
    assert ledger.refused("studio", claim("c3", "heir", 1)) == "CLAIM_CONTESTED"
    assert ledger.refused("studio", claim("c2", "heir", 1)) == "NAME_TAKEN"
    assert ledger.read(b"claim/c2", Claim).state == "recognised"
    assert ledger.read(b"asset/picture", Asset).payout == (
        PayoutShare(party="writer", share_ppm=600_000),
        PayoutShare(party="heir", share_ppm=400_000),
    )


def test_claims_meet_only_where_right_territory_and_time_overlap(ledger: Ledger) -> None:
    ledger.run("studio", claim("c1", "writer", WHOLE, right="display", territory="EU"))
    ledger.run("studio", claim("c2", "writer", WHOLE, right="reproduce", territory="EU"))
    ledger.run("studio", claim("c3", "heir", WHOLE, right="display", territory="US", until_ms=1_000))
    ledger.run("studio", claim("c4", "heir", WHOLE, right="display", territory="US", from_ms=1_000))
    for n, (right, territory) in enumerate(
        [("display", "DE"), ("use", "FR"), ("any", "WORLD"), ("copy", "EEA"), ("display", "NORTH_AMERICA")]
    ):
        code = ledger.refused("studio", claim(f"x{n}", "heir", 1, right=right, territory=territory))
        assert code == "CLAIM_CONTESTED", (right, territory)
    ledger.run("studio", claim("c5", "heir", WHOLE, right="display", territory="JP"))
    ledger.run("studio", claim("c6", "heir", WHOLE, right="perform", territory="WORLD"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"right": "steal"}, "INVALID_CLAIM"),
        ({"territory": "XX"}, "INVALID_CLAIM"),
        ({"from_ms": 5, "until_ms": 5}, "INVALID_CLAIM"),
        ({"asset": "nothing"}, "UNKNOWN_ASSET"),
    ],
)
def test_wrong_claims_are_refused(ledger: Ledger, change: dict[str, object], code: str) -> None:
    assert ledger.refused("studio", claim("c1", "writer", 1, **change)) == code  # type: ignore[arg-type]
    assert ledger.refused("studio", claim("c1", "nobody", 1)) == "UNKNOWN_PARTY"
    assert ledger.refused("studio", claim("c1", "writer", WHOLE + 1)) == "INVALID_CLAIM"


def test_payout_sheets_are_set_by_the_registrant_and_every_holder(ledger: Ledger) -> None:
    ledger.run("studio", claim("c1", "writer", 600_000))
    legs = (PayoutLeg(party="agency", share_ppm=WHOLE),)
    assert ledger.refused("studio", SetPayoutSheet(asset="picture", legs=legs)) == "NOT_SIGNED"
    ledger.run("studio", SetPayoutSheet(asset="picture", legs=legs), signers=["writer"])
    ledger.run("studio", claim("c2", "heir", 400_000))
    assert ledger.read(b"asset/picture", Asset).payout == (PayoutShare(party="agency", share_ppm=WHOLE),)
    short = (PayoutLeg(party="agency", share_ppm=WHOLE - 1),)
    assert ledger.refused("studio", SetPayoutSheet(asset="song", legs=short)) == "INVALID_PAYOUT"


def test_assets_have_kinds_versions_and_one_registrant(ledger: Ledger) -> None:
    assert ledger.refused("studio", RegisterAsset(asset="picture", kind="image", title="x")) == "NAME_TAKEN"
    assert ledger.refused("studio", RegisterAsset(asset="x", kind="dream", title="x")) == "INVALID_ASSET"
    assert ledger.refused("writer", AddAssetVersion(asset="picture")) == "NOT_REGISTRANT"
    ledger.run("studio", AddAssetVersion(asset="picture", content_hashes=(b"h" * 32,)))
    assert ledger.read(b"asset/picture", Asset).version == 2
    assert ledger.read(b"asset-version/picture/1", AssetVersion).content_hashes == ()
    assert ledger.read(b"asset-version/picture/2", AssetVersion).content_hashes == (b"h" * 32,)


def test_l13_lineage_is_acyclic_and_fixed_once_something_derives(ledger: Ledger) -> None:
    ledger.asset("writer", "a", "b", "c", "d")

    def link(child: str, parent: str, rate: int = 10**8, relation: str = "derived") -> LinkLineage:
        return LinkLineage(child=child, parent=parent, relation=relation, rate_e9=rate)

    ledger.run("writer", link("b", "a"))
    ledger.run("writer", link("c", "b"))
    assert ledger.refused("writer", link("a", "c")) == "LINEAGE_FIXED"
    assert ledger.refused("writer", link("b", "d")) == "LINEAGE_FIXED"
    assert ledger.refused("writer", link("d", "d")) == "LINEAGE_CYCLE"
    assert ledger.refused("writer", link("c", "b")) == "LINEAGE_REFUSED"
    assert ledger.refused("writer", link("d", "c", 0)) == "LINEAGE_REFUSED"
    assert ledger.refused("writer", link("d", "c", 10**9 + 1)) == "LINEAGE_REFUSED"
    assert ledger.refused("writer", link("d", "c", relation="copied")) == "LINEAGE_REFUSED"
    assert ledger.refused("writer", link("d", "picture")) == "NOT_SIGNED"
    ledger.run("writer", link("d", "picture"), signers=["studio"])
    assert [row.asset for row in ledger.read(b"asset/c", Asset).ancestors] == ["a", "b"]


def flat(ledger: Ledger, offer: str = "flat", **signing: object) -> None:
    terms = publish(ledger, "stock.image_flat")
    roles = {"licensor": "studio", "agency": "agency"}
    ledger.run("studio", offer_of(offer, terms, roles, {"fee": "EUR 9.00"}, {"work": "picture"}), **signing)  # type: ignore[arg-type]


def test_l15_a_grant_needs_title_from_its_signatories(ledger: Ledger) -> None:
    terms = publish(ledger, "stock.image_flat")
    by_agency = offer_of(
        "o1", terms, {"licensor": "agency", "agency": "agency"}, {"fee": "EUR 9.00"}, {"work": "picture"}
    )
    assert ledger.refused("agency", by_agency) == "NO_TITLE"
    ledger.run("agency", by_agency, signers=["studio"])
    # Once there are claims, they count and the registrant alone does not.
    ledger.run("studio", claim("c1", "writer", 600_000, asset="song"))
    roles = {"licensor": "studio", "agency": "agency"}
    song = offer_of("o2", terms, roles, {"fee": "EUR 9.00"}, {"work": "song"})
    assert ledger.refused("studio", song) == "NO_TITLE"
    assert ledger.refused("studio", song, signers=["writer"]) == "NO_TITLE"
    ledger.run("studio", claim("c2", "heir", 400_000, asset="song"))
    ledger.run("studio", song, signers=["writer", "heir"])
    ledger.run("buyer", AcceptOffer(agreement="a1", offer="o2"))


def test_l15_title_must_last_as_long_as_the_grant_and_is_asked_at_signing(ledger: Ledger) -> None:
    terms = publish(ledger, "stock.image_flat")
    roles = {"licensor": "studio", "agency": "agency"}
    end = ledger.now + 800 * DAY_MS
    ledger.run("studio", claim("c1", "studio", WHOLE, until_ms=end))
    ledger.run("studio", offer_of("o", terms, roles, {"fee": "EUR 9.00"}, {"work": "picture"}))
    ledger.run("buyer", AcceptOffer(agreement="a1", offer="o"))
    ledger.now += 100 * DAY_MS
    assert ledger.refused("buyer", AcceptOffer(agreement="a2", offer="o")) == "NO_TITLE"


def test_l15_a_claim_made_later_ends_the_title_of_an_offer(ledger: Ledger) -> None:
    flat(ledger)
    ledger.run("buyer", AcceptOffer(agreement="a1", offer="flat"))
    ledger.run("studio", claim("c1", "writer", WHOLE))
    assert ledger.refused("buyer", AcceptOffer(agreement="a2", offer="flat")) == "NO_TITLE"


def exclusive(
    ledger: Ledger, name: str, buyer: str, where: str, terms: bytes, effective: int = 0
) -> CreateAgreement:
    return CreateAgreement(
        agreement=name,
        program_hash=Hash32(terms),
        roles=roles_of(owner="studio", buyer=buyer),
        params=(ParamBinding(name="fee", value="EUR 5.00"), ParamBinding(name="where_ok", value=where)),
        assets=(AssetBinding(slot="work", asset="picture"),),
        effective_ms=effective,
    )


def test_l15_no_two_exclusives_overlap(ledger: Ledger) -> None:
    terms = publish(ledger, EXCLUSIVE)
    ledger.run("studio", exclusive(ledger, "e1", "buyer", "EU", terms), signers=["buyer"])
    for where in ("DE", "WORLD", "{JP, FR}"):
        code = ledger.refused("studio", exclusive(ledger, "e2", "rival", where, terms), signers=["rival"])
        assert code == "EXCLUSIVE_OVERLAP", where
    ledger.run("studio", exclusive(ledger, "e2", "rival", "US", terms), signers=["rival"])
    later = ledger.now + 40 * DAY_MS
    ledger.run("studio", exclusive(ledger, "e3", "rival", "DE", terms, later), signers=["rival"])
    assert len(ledger.read(b"rights/picture", Rights).exclusive) == 3
    assert ledger.refused("studio", exclusive(ledger, "e4", "rival", "CA", terms)) == "NOT_SIGNED"
    past = exclusive(ledger, "e4", "rival", "CA", terms, ledger.now)
    assert ledger.refused("studio", past, signers=["rival"]) == "EFFECTIVE_IN_PAST"


def test_l15_a_non_exclusive_gives_way_to_anothers_exclusive_and_bars_a_new_one(ledger: Ledger) -> None:
    flat(ledger)
    terms = publish(ledger, EXCLUSIVE)
    ledger.run("studio", exclusive(ledger, "e1", "buyer", "EU", terms), signers=["buyer"])
    assert ledger.refused("rival", AcceptOffer(agreement="a1", offer="flat")) == "EXCLUSIVE_OVERLAP"
    ledger.run("buyer", AcceptOffer(agreement="a1", offer="flat"))
    ledger.now += 32 * DAY_MS
    ledger.run("rival", AcceptOffer(agreement="a2", offer="flat"))
    assert (
        ledger.refused("studio", exclusive(ledger, "e2", "buyer", "DE", terms), signers=["buyer"])
        == "EXCLUSIVE_OVERLAP"
    )
    ledger.run("studio", exclusive(ledger, "e2", "buyer", "US", terms), signers=["buyer"])
    ledger.now += 731 * DAY_MS
    ledger.run("studio", exclusive(ledger, "e3", "buyer", "DE", terms), signers=["buyer"])


def test_l15_sole_excludes_everybody_but_the_licensor(ledger: Ledger) -> None:
    flat(ledger)
    terms = publish(ledger, EXCLUSIVE, replaced={"exclusive yes": "exclusive sole"})
    ledger.run("studio", exclusive(ledger, "e1", "buyer", "EU", terms), signers=["buyer"])
    [reservation] = ledger.read(b"rights/picture", Rights).exclusive
    assert (reservation.sole, reservation.licensee) == (True, "buyer")
    assert ledger.refused("rival", AcceptOffer(agreement="a1", offer="flat")) == "EXCLUSIVE_OVERLAP"


def test_a_negotiated_agreement_has_a_t_of_its_own(ledger: Ledger) -> None:
    terms = publish(ledger, "stock.image_flat")
    roles = roles_of(licensor="studio", agency="agency", licensee="buyer")
    for name in ("n1", "n2"):
        agreement = CreateAgreement(
            agreement=name,
            program_hash=Hash32(terms),
            roles=roles,
            params=(ParamBinding(name="fee", value="EUR 99.99"),),
            assets=(AssetBinding(slot="work", asset="picture"),),
        )
        assert ledger.refused("studio", agreement, signers=["agency"]) == "NOT_SIGNED"
        ledger.run("studio", agreement, signers=["agency", "buyer"])
        assert ledger.read(f"split/agreement/{name}/P1/0/picture/1".encode(), SplitTotal).total == 9_999
    assert ledger.balance("studio") == 2 * 69_990_000
    assert ledger.read(b"agreement/n1", Agreement).offer == ""


def test_bindings_are_checked_one_by_one(ledger: Ledger) -> None:
    terms = publish(ledger, "stock.image_flat")
    good = {"licensor": "studio", "agency": "agency"}
    fee, work = {"fee": "EUR 9.00"}, {"work": "picture"}
    ledger.asset("studio", "tune", kind="musical_work")
    for roles, params, assets, code in (
        ({"licensor": "studio"}, fee, work, "INVALID_BINDING"),
        ({**good, "licensee": "buyer"}, fee, work, "INVALID_BINDING"),
        ({**good, "king": "buyer"}, fee, work, "INVALID_BINDING"),
        ({**good, "agency": "nobody"}, fee, work, "UNKNOWN_PARTY"),
        (good, {}, work, "BINDING_REFUSED"),
        (good, {"fee": "EUR 4.99"}, work, "BINDING_REFUSED"),
        (good, {"fee": "EUR 9.001"}, work, "INVALID_BINDING"),
        (good, {"fee": "USD 9.00"}, work, "INVALID_BINDING"),
        (good, {"fee": "9.00"}, work, "INVALID_BINDING"),
        (good, {**fee, "where_ok": "US"}, work, "BINDING_REFUSED"),
        (good, {**fee, "shoe": "1"}, work, "INVALID_BINDING"),
        (good, fee, {"work": "tune"}, "INVALID_BINDING"),
        (good, fee, {"work": "nothing"}, "UNKNOWN_ASSET"),
        (good, fee, {}, "INVALID_BINDING"),
        (good, fee, {"work": "picture", "play": "tune"}, "INVALID_BINDING"),
    ):
        assert ledger.refused("studio", offer_of("o", terms, roles, params, assets)) == code, (
            roles,
            params,
            assets,
        )
    assert ledger.refused("studio", offer_of("o", bytes(32), good, fee, work)) == "UNKNOWN_TEMPLATE"
    assert (
        ledger.refused("rival", offer_of("o", terms, good, fee, work), signers=["studio"])
        == "INVALID_BINDING"
    )


def test_offers_end_by_withdrawal_expiry_or_deprecation(ledger: Ledger) -> None:
    terms = publish(ledger, "stock.image_flat")
    roles, fee, work = {"licensor": "studio", "agency": "agency"}, {"fee": "EUR 9.00"}, {"work": "picture"}
    for offer in ("o1", "o2", "o3"):
        expires = ledger.now + 50_000 if offer == "o2" else 0
        ledger.run("studio", offer_of(offer, terms, roles, fee, work, expires))
    assert ledger.refused("agency", WithdrawOffer(offer="o1")) == "NOT_SIGNED"
    ledger.run("studio", WithdrawOffer(offer="o1"))
    assert ledger.refused("buyer", AcceptOffer(agreement="a", offer="o1")) == "OFFER_CLOSED"
    ledger.run("buyer", AcceptOffer(agreement="a2", offer="o2"))
    ledger.now += 60_000
    assert ledger.refused("buyer", AcceptOffer(agreement="a", offer="o2")) == "OFFER_CLOSED"
    assert ledger.refused("buyer", AcceptOffer(agreement="a2", offer="o3")) == "NAME_TAKEN"
    assert ledger.refused("agency", DeprecateTemplate(program_hash=Hash32(terms))) == "NOT_PUBLISHER"
    ledger.run("studio", DeprecateTemplate(program_hash=Hash32(terms)))
    assert ledger.refused("buyer", AcceptOffer(agreement="a", offer="o3")) == "TEMPLATE_DEPRECATED"
    assert ledger.refused("buyer", AcceptOffer(agreement="a", offer="o9")) == "UNKNOWN_OFFER"


def test_l12_templates_are_compiled_once_and_unique_to_their_publisher(ledger: Ledger) -> None:
    source = (TERMS / "stock.image_flat.terms").read_text()
    ledger.run("studio", PublishTemplate(source=source))
    assert ledger.refused("studio", PublishTemplate(source=source)) == "TEMPLATE_EXISTS"
    changed = source.replace("EUR 5_000.00", "EUR 6_000.00")
    assert ledger.refused("studio", PublishTemplate(source=changed)) == "TEMPLATE_EXISTS"
    ledger.run("agency", PublishTemplate(source=changed))
    ledger.run("studio", PublishTemplate(source=changed.replace("version 1.0.0", "version 1.0.1")))


def test_a_refused_template_is_refused_in_the_checkers_words(ledger: Ledger) -> None:
    source = (TERMS / "stock.image_flat.terms").read_text().replace("70% -> licensor", "170% -> licensor")
    assert ledger.refused("studio", PublishTemplate(source=source)) == "TERMS_REFUSED"
    refusal = ledger.receipts[-1].refusal
    assert refusal is not None
    assert refusal.message.startswith("Line ")


TWO_GRANTS = """template two.grants version 1.0.0 "Two" {
  parties { owner: one; one_: one; two_: one; }
  assets { work: image; }
  currency EUR scale 2 round half_even;
  params { here: territory in WORLD; there: territory in WORLD; }
  grant G1 "One" { permit display of work to one_ where territory in here
    during 1 year from effective exclusive FIRST }
  grant G2 "Two" { permit display of work to WHOM where territory in there
    during 2 years from effective exclusive SECOND }
}"""


@pytest.mark.parametrize(
    ("whom", "first", "second", "roles", "there", "code"),
    [
        ("two_", "yes", "yes", {"one_": "agency"}, "DE", "EXCLUSIVE_OVERLAP"),
        ("two_", "yes", "yes", {"one_": "agency"}, "FR", ""),
        ("one_", "yes", "sole", {"two_": "agency"}, "DACH", "EXCLUSIVE_OVERLAP"),
        ("two_", "no", "yes", {"one_": "agency"}, "DE", ""),  # the agency may take the open role too
        ("owner", "no", "yes", {"one_": "agency"}, "DE", "EXCLUSIVE_OVERLAP"),
        ("owner", "yes", "no", {"one_": "agency"}, "DE", "EXCLUSIVE_OVERLAP"),
        ("one_", "no", "yes", {"two_": "agency"}, "DE", ""),
        ("one_", "yes", "no", {"two_": "agency"}, "DE", ""),
    ],
)
def test_l15_an_offer_that_contradicts_itself_is_refused(
    ledger: Ledger, whom: str, first: str, second: str, roles: dict[str, str], there: str, code: str
) -> None:
    """What nobody could accept is not offered; and what one licensee is granted besides what is reserved for
    him can be accepted, in whichever order the text has it."""
    # A party that appears nowhere is refused, so the others are granted something too.
    source = TWO_GRANTS.replace("WHOM", whom).replace("FIRST", first).replace("SECOND", second)
    named = {"two_", "owner"} - {whom}
    extra = "".join(
        f'  grant X{n} "Archive" {{ permit archive of work to {role} during 1 year from effective }}\n'
        for n, role in enumerate(sorted(named))
    )
    terms = publish(ledger, source.replace("\n}", f"\n{extra}}}"))
    offer = offer_of(
        "o", terms, {"owner": "studio", **roles}, {"here": "DE", "there": there}, {"work": "picture"}
    )
    if code:
        assert ledger.refused("studio", offer, signers=["agency"]) == code
        return
    ledger.run("studio", offer, signers=["agency"])
    if there == "FR" or whom == "one_":
        ledger.run("buyer", AcceptOffer(agreement="a", offer="o"))
    else:
        assert ledger.refused("buyer", AcceptOffer(agreement="a", offer="o")) == "EXCLUSIVE_OVERLAP"
        ledger.run("agency", AcceptOffer(agreement="a", offer="o"))

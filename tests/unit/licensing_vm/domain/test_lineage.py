"""Who may link works, and which agreements a link reaches (L-12, L-13)."""

from __future__ import annotations

import pytest
from licet.entities import Agreement, Asset, AssetLineage, Balance, SplitTotal, asset_key
from licet.transactions import (
    AcceptOffer,
    AddAssetVersion,
    AssetBinding,
    ClosePeriod,
    CreateAgreement,
    LinkLineage,
    RegisterClaim,
    ReportUsage,
)
from licet.types import Hash32

from licensing_vm.calendar import DAY_MS as DAY
from licensing_vm.transition import Machine
from tests.unit.licensing_vm.domain.kit import START_MS, Ledger, offer_of, publish, roles_of

EUR = 10**6
LATER = """template later.use version 1.0.0 "Use, month by month" {
  parties { owner: one; agency: one; licensee: one; }
  assets { work: generated_image; base: style; }
  currency EUR scale 4 round half_even;
  period month monthly close after 1 day;
  facts { n: count<click> in 0 .. 1000 from licensee per month else zero; }
  grant G1 "Any" { permit reproduce of work to licensee during 5 years from effective }
  lineage up { mode relative; depth 8; stack max 40%; count once; }
  lineage of_base of base { mode absolute; depth 8; stack max 40%; count every path; }
  pay P1 "Use" at close of month {
    let u = n * EUR 1.0000 per click;
    licensee owes u due in 1 day;
    split u { lineage LEG; 10% -> owner; rest -> agency; }
  }
}"""


@pytest.fixture
def ledger() -> Ledger:
    found = Ledger()
    found.party("studio", "ann", "bob", "carl", "agency", "buyer")
    found.fund("buyer", 10**9 * EUR)
    found.asset("ann", "work", kind="generated_image")
    found.asset("carl", "base", "style", "other", kind="style")
    return found


def link(child: str, parent: str, rate_e9: int = 10**9) -> LinkLineage:
    return LinkLineage(child=child, parent=parent, relation="derived", rate_e9=rate_e9)


def claim(name: str, asset: str, holder: str, share_ppm: int = 10**6, right: str = "any") -> RegisterClaim:
    return RegisterClaim(claim=name, asset=asset, holder=holder, share_ppm=share_ppm, right=right)


# --- who signs -----------------------------------------------------------------------


def test_l13_a_registrant_who_owns_nothing_diverts_no_sale(ledger: Ledger) -> None:
    """Who registered a work and gave it all away does not decide to whom its sales pay."""
    ledger.asset("ann", "shell", kind="generated_image")
    ledger.run("ann", claim("c", "work", "bob"))
    terms = publish(ledger, "ai.style_sale")
    ledger.run("bob", offer_of("o", terms, {"owner": "bob"}, {"fee": "EUR 100.0000"}, {"work": "work"}))
    assert ledger.refused("ann", link("work", "shell")) == "NOT_SIGNED"
    assert ledger.receipts[-1].refusal is not None
    assert "bob" in ledger.receipts[-1].refusal.message
    ledger.run("buyer", AcceptOffer(agreement="s1", offer="o"))
    assert (ledger.balance("ann"), ledger.balance("bob")) == (0, 100 * EUR)
    # Whose money it is may give it away.
    ledger.run("ann", link("work", "shell"), signers=["bob"])
    ledger.run("buyer", AcceptOffer(agreement="s2", offer="o"))
    assert (ledger.balance("ann"), ledger.balance("bob")) == (40 * EUR, 160 * EUR)


def test_l13_every_owner_of_child_and_parent_signs(ledger: Ledger) -> None:
    ledger.run("ann", claim("c1", "work", "bob", 10_000, "display"))
    ledger.run("carl", claim("c2", "style", "agency", 1))
    owners = ["ann", "bob", "carl", "agency"]
    for missing in owners:
        signers = [owner for owner in owners if owner != missing]
        refused = ledger.refused(signers[0], link("work", "style"), signers=signers[1:])
        assert refused == "NOT_SIGNED", missing
    receipt = ledger.run("buyer", link("work", "style"), signers=owners)
    assert [event.kind for event in receipt.events] == ["lineage.linked"]
    assert ledger.read(asset_key("work"), Asset).lineage_version == 1


# --- which agreements a link reaches -------------------------------------------------


def report(ledger: Ledger, agreement: str, month_start: int, quantity: int) -> None:
    use = ReportUsage(
        report=f"{agreement}-{month_start}",
        fact="n",
        period_start_ms=month_start,
        agreements=(agreement,),
        agreement_index=[0],
        offset_ms=[1],
        quantity=[quantity],
    )
    ledger.run("buyer", use)
    ledger.run("agency", ClosePeriod(agreement=agreement, period="month", period_start_ms=month_start))


def receivable(ledger: Ledger) -> dict[str, float]:
    return {name: ledger.balance(name, "receivable") / EUR for name in ("ann", "agency", "carl")}


JANUARY, FEBRUARY = START_MS, START_MS + 31 * DAY


@pytest.mark.parametrize("leg", ["up", "of_base"])
def test_l12_an_agreement_pays_by_the_lineage_it_was_signed_with(ledger: Ledger, leg: str) -> None:
    """A link made since, by whomever, is none of its affair; who agrees afterwards agrees to it."""
    child = "work" if leg == "up" else "base"
    ledger.link(child, "other", 200_000_000)
    terms = Hash32(publish(ledger, LATER.replace("LEG", leg)))

    def agree(name: str) -> None:
        made = CreateAgreement(
            agreement=name,
            program_hash=terms,
            roles=roles_of(owner="ann", agency="agency", licensee="buyer"),
            assets=(AssetBinding(slot="work", asset="work"), AssetBinding(slot="base", asset="base")),
        )
        ledger.run("buyer", made, signers=["ann", "agency"])

    agree("before")
    ledger.link(child, "style", 200_000_000)
    ledger.run("ann", AddAssetVersion(asset="work"))
    agree("after")
    lineages = {
        name: ledger.read(f"agreement/{name}".encode(), Agreement).lineages for name in ("before", "after")
    }
    assert lineages == (
        {"before": (1, 0), "after": (2, 0)} if leg == "up" else {"before": (0, 1), "after": (0, 2)}
    )
    ledger.now = START_MS + 40 * DAY
    report(ledger, "before", JANUARY, 100)
    assert receivable(ledger) == {"ann": 10, "agency": 70, "carl": 20}
    report(ledger, "after", JANUARY, 100)
    assert receivable(ledger) == {"ann": 20, "agency": 120, "carl": 60}
    # A machine that begins anew from what is stored says the same.
    ledger.machine = Machine(ledger.state, ledger.genesis, height=ledger.height)
    ledger.now = START_MS + 75 * DAY
    report(ledger, "before", FEBRUARY, 100)
    assert receivable(ledger) == {"ann": 30, "agency": 190, "carl": 80}
    totals = {
        key.decode(): ledger.read(key, SplitTotal).total for key in ledger.state if key[:6] == b"split/"
    }
    legs = {"up": ("1.1", "2.2"), "of_base": ("1.base@1", "2.base@2")}[leg]
    assert totals == {
        f"split/agreement/before/P1/0/work/{legs[0]}": 200 * 10**4,
        f"split/agreement/after/P1/0/work/{legs[1]}": 100 * 10**4,
    }


def test_l12_an_agreement_signed_before_any_link_pays_no_ancestor(ledger: Ledger) -> None:
    terms = Hash32(publish(ledger, LATER.replace("LEG", "up")))
    ledger.run(
        "ann",
        offer_of("o", terms, {"owner": "ann", "agency": "agency"}, {}, {"work": "work", "base": "base"}),
    )
    ledger.run("buyer", AcceptOffer(agreement="before", offer="o"))
    ledger.link("work", "style", 300_000_000)
    ledger.run("buyer", AcceptOffer(agreement="after", offer="o"))
    ledger.now = START_MS + 40 * DAY
    report(ledger, "before", JANUARY, 100)
    assert receivable(ledger) == {"ann": 10, "agency": 90, "carl": 0}
    report(ledger, "after", JANUARY, 100)
    assert receivable(ledger) == {"ann": 20, "agency": 150, "carl": 30}


def test_l13_what_a_link_made_stays_under_its_number(ledger: Ledger) -> None:
    for number, (parent, rate) in enumerate((("style", 100_000_000), ("other", 200_000_000)), 1):
        ledger.link("work", parent, rate)
        now = ledger.read(asset_key("work"), Asset)
        kept = ledger.read(f"lineage/work/{number}".encode(), AssetLineage)
        assert (kept.asset, kept.version, kept.height) == ("work", number, ledger.height)
        assert kept.ancestors == now.ancestors
        assert now.lineage_version == number
    first = ledger.read(b"lineage/work/1", AssetLineage).ancestors
    assert [(row.asset, row.relative_once) for row in first] == [("style", 10**11)]


def test_a_sale_writes_as_many_keys_as_before(ledger: Ledger) -> None:
    """Its own agreement and the buyer's balance; the payees' balances and T are shared by all sales."""
    ledger.link("work", "style", 200_000_000)
    terms = publish(ledger, "ai.style_sale")
    ledger.run("ann", offer_of("o", terms, {"owner": "ann"}, {"fee": "EUR 1.0000"}, {"work": "work"}))
    ledger.run("buyer", AcceptOffer(agreement="s1", offer="o"))
    before = dict(ledger.state)
    ledger.run("buyer", AcceptOffer(agreement="s2", offer="o"))
    changed = {key.decode() for key, value in ledger.state.items() if before.get(key) != value}
    assert changed == {
        "agreement/s2",
        "balance/buyer/cash/bank/EUR",
        "balance/ann/cash/bank/EUR",
        "balance/carl/cash/bank/EUR",
        "split/offer/o/P1/0/work/1.1",
    }
    assert ledger.read(b"balance/carl/cash/bank/EUR", Balance).amount == 400_000

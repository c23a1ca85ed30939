"""The rules of money (L-1, L-3 … L-6, L-13) through real commands, with the numbers of the design."""

from __future__ import annotations

import pytest
from licet.entities import Asset, Course, OpenItem, SplitTotal
from licet.receipts import statement_lines
from licet.transactions import (
    AMOUNT_MINOR_MAX,
    AcceptOffer,
    AddAssetVersion,
    AssetBinding,
    Deposit,
    Money,
    Pay,
    PayoutLeg,
    PublishTemplate,
    SetPayoutSheet,
    Transfer,
    Withdraw,
)

from licensing_vm.domain.payments import allocate
from licensing_vm.transition import Status
from tests.unit.licensing_vm.domain.kit import EUR, Ledger, offer_of, publish

THREE_LEGS = """
template test.three version 1.0.0 "Three legs" {
  parties { a: one; b: one; c: one; buyer: one; }
  assets { work: image; }
  currency EUR scale 2 round half_even;
  params { fee: money in EUR 0.01 .. EUR 1_000.00; }
  grant G1 "Any" {
    permit display of work to buyer
    during 1 year from effective exclusive no sublicense no transfer no
  }
  pay P1 "Fee" on activated { buyer pays fee; split fee { 90.1% -> a; 5% -> b; rest -> c; } }
  test "ten euro" {
    given fee = EUR 10.00;
    expect paid to a = EUR 9.01; expect paid to b = EUR 0.50; expect paid to c = EUR 0.49;
  }
}
"""


def ledger_with(*parties: str, funds: int = 1_000) -> Ledger:
    ledger = Ledger()
    ledger.party("studio", "agency", "buyer", *parties)
    ledger.fund("buyer", funds * EUR)
    return ledger


def flat_offer(ledger: Ledger, fee: str = "EUR 99.99") -> None:
    ledger.asset("studio", "picture")
    terms = publish(ledger, "stock.image_flat")
    roles = {"licensor": "studio", "agency": "agency"}
    ledger.run("studio", offer_of("flat", terms, roles, {"fee": fee}, {"work": "picture"}))


def test_l01_pays_moves_cash_and_the_odd_cent_goes_where_l04_says() -> None:
    ledger = ledger_with()
    flat_offer(ledger)
    receipt = ledger.run("buyer", AcceptOffer(agreement="a1", offer="flat"))
    assert (ledger.balance("studio"), ledger.balance("agency")) == (69_990_000, 30_000_000)
    assert ledger.balance("buyer") == 1_000 * EUR - 99_990_000
    [entry] = receipt.entries
    assert (entry.kind, entry.clause, entry.agreement, entry.issuer) == ("sale", "P1", "a1", "bank")
    assert len(entry.program_hash) == 32


def test_l01_a_short_balance_refuses_the_whole_transaction_with_facts() -> None:
    ledger = ledger_with(funds=99)
    flat_offer(ledger)
    assert ledger.refused("buyer", AcceptOffer(agreement="a1", offer="flat")) == "INSUFFICIENT_FUNDS"
    refusal = ledger.receipts[-1].refusal
    assert refusal is not None
    facts = {fact.name: fact.value for fact in refusal.facts}
    assert facts == {"party": "buyer", "currency": "EUR", "needed": "99990000", "available": "99000000"}
    assert refusal.clause == "P1"


def test_l01_commands_before_the_one_refused_are_rolled_back() -> None:
    ledger = ledger_with(funds=150)
    flat_offer(ledger)
    commands = (
        Transfer(to="agency", amount=Money(currency="EUR", minor=EUR)),
        AcceptOffer(agreement="a1", offer="flat"),
        AcceptOffer(agreement="a2", offer="flat"),
    )
    assert ledger.refused("buyer", *commands) == "INSUFFICIENT_FUNDS"
    ledger.run("buyer", *commands[:2])


def test_l04_a_thousand_payments_of_nine_cents_pay_every_leg_its_share() -> None:
    ledger = ledger_with("a", "b", "c")
    terms = publish(ledger, THREE_LEGS)
    ledger.asset("a", "picture")
    ledger.run(
        "a", offer_of("o", terms, {"a": "a", "b": "b", "c": "c"}, {"fee": "EUR 0.09"}, {"work": "picture"})
    )
    for start in range(0, 1_000, 250):
        ledger.block(
            *(
                ledger.tx("buyer", AcceptOffer(agreement=f"n{n}", offer="o"))
                for n in range(start, start + 250)
            )
        )
    # 1,000 x 0.09 at 90.1 / 5.0 / 4.9: the smallest leg receives 4.41 and not 0.
    assert [ledger.balance(p) for p in "abc"] == [81_090_000, 4_500_000, 4_410_000]


def test_l05_t_lives_per_offer_and_asset_version() -> None:
    ledger = ledger_with("a", "b", "c")
    terms = publish(ledger, THREE_LEGS)
    ledger.asset("a", "one", "two")
    roles, fee = {"a": "a", "b": "b", "c": "c"}, {"fee": "EUR 0.09"}
    for offer, assets in (("o1", ("one", "two")), ("o2", "one")):
        ledger.run("a", offer_of(offer, terms, roles, fee, {"work": assets}))

    def buy(n: int, offer: str, *assets: str) -> None:
        chosen = tuple(AssetBinding(slot="work", asset=asset) for asset in assets)
        ledger.run("buyer", AcceptOffer(agreement=f"n{n}", offer=offer, assets=chosen))

    buy(1, "o1", "one")
    buy(2, "o1", "one")
    buy(3, "o1", "two")
    buy(4, "o2")
    ledger.run("a", AddAssetVersion(asset="one"))
    buy(5, "o1", "one")
    totals = {
        key.decode(): ledger.read(key, SplitTotal).total for key in ledger.state if key.startswith(b"split/")
    }
    assert totals == {
        "split/offer/o1/P1/0/one/1": 18,
        "split/offer/o1/P1/0/two/1": 9,
        "split/offer/o2/P1/0/one/1": 9,
        "split/offer/o1/P1/0/one/2": 9,
    }
    assert ledger.refused("buyer", AcceptOffer(agreement="n9", offer="o1")) == "INVALID_BINDING"


def test_l06_a_template_finer_than_the_ledger_is_refused_at_publication() -> None:
    ledger = ledger_with()
    finer = THREE_LEGS.replace("EUR", "USD").replace("scale 2", "scale 3").replace("0.01 ..", "0.010 ..")
    assert ledger.refused("studio", PublishTemplate(source=finer)) == "TERMS_TOO_FINE"


MODES = {
    ("relative", "once"): {"b": "20.0000", "c": "10.0000", "a": "3.0000", "owner": "67.0000"},
    ("relative", "every path"): {"b": "20.0000", "c": "10.0000", "a": "5.0000", "owner": "65.0000"},
    ("absolute", "once"): {"b": "13.3333", "c": "6.6667", "a": "20.0000", "owner": "60.0000"},
    ("absolute", "every path"): {"b": "11.4286", "c": "5.7143", "a": "22.8571", "owner": "60.0000"},
}


def diamond(ledger: Ledger, mode: str = "relative", count: str = "once") -> None:
    """D derives from B (20 %) and C (10 %); B from A (10 %), C from A (30 %). An offer sells D."""
    for party in "abc":
        ledger.asset(party, f"work_{party}", kind="style")
    ledger.asset("owner", "work_d", kind="generated_image")
    ledger.link("work_b", "work_a", 100_000_000)
    ledger.link("work_c", "work_a", 300_000_000)
    ledger.link("work_d", "work_b", 200_000_000)
    ledger.link("work_d", "work_c", 100_000_000)
    terms = publish(
        ledger, "ai.style_sale", replaced={"mode relative": f"mode {mode}", "count once": f"count {count}"}
    )
    ledger.run(
        "owner", offer_of("sale", terms, {"owner": "owner"}, {"fee": "EUR 100.0000"}, {"work": "work_d"})
    )


@pytest.mark.parametrize(("mode", "count"), sorted(MODES))
def test_l13_the_diamond_in_all_modes(mode: str, count: str) -> None:
    ledger = ledger_with("a", "b", "c", "owner")
    diamond(ledger, mode, count)
    receipt = ledger.run("buyer", AcceptOffer(agreement="d1", offer="sale"))
    paid = {party: ledger.balance(party) for party in ("a", "b", "c", "owner")}
    assert paid == {party: round(float(text) * EUR) for party, text in MODES[mode, count].items()}
    assets = {p.party: p.asset for p in receipt.entries[0].postings if p.change > 0}
    assert assets == {"a": "work_a", "b": "work_b", "c": "work_c", "owner": ""}
    [line] = statement_lines(receipt, "a")
    assert (line.kind, line.asset, line.counterparty, line.clause) == ("lineage", "work_a", "buyer", "P1")
    assert statement_lines(receipt, "owner")[0].kind == "sale"
    assert {line.counterparty for line in statement_lines(receipt, "buyer")} == {""}


def test_l13_an_asset_stores_all_four_weights_of_every_ancestor() -> None:
    ledger = ledger_with("a", "b", "c", "owner")
    diamond(ledger)
    weights = {
        row.asset: (row.relative_once, row.relative_every_path, row.absolute_once, row.absolute_every_path)
        for row in ledger.read(b"asset/work_d", Asset).ancestors
    }
    percent = 10**10
    assert weights == {
        "work_a": (3 * percent, 5 * percent, 30 * percent, 40 * percent),
        "work_b": (20 * percent,) * 4,
        "work_c": (10 * percent,) * 4,
    }


def test_l13_an_ancestor_pays_its_payout_sheet_with_its_own_t() -> None:
    ledger = ledger_with("a", "b", "c", "owner", "x", "y")
    diamond(ledger)
    sheet = (PayoutLeg(party="x", share_ppm=333_333), PayoutLeg(party="y", share_ppm=666_667))
    ledger.run("b", SetPayoutSheet(asset="work_b", legs=sheet))
    for n in range(3):
        ledger.run("buyer", AcceptOffer(agreement=f"d{n}", offer="sale"))
    assert (ledger.balance("x"), ledger.balance("y"), ledger.balance("b")) == (19_999_980, 40_000_020, 0)
    assert ledger.read(b"sheet/work_b/2/EUR", SplitTotal).total == 60 * EUR
    ledger.run("b", SetPayoutSheet(asset="work_b", legs=(PayoutLeg(party="b", share_ppm=1_000_000),)))
    ledger.run("buyer", AcceptOffer(agreement="d9", offer="sale"))
    assert ledger.balance("b") == 20 * EUR


def test_a_hundred_sales_to_one_hot_account_in_a_block_write_its_balance_once() -> None:
    ledger = ledger_with()
    flat_offer(ledger, "EUR 5.00")
    result = ledger.block(
        *(ledger.tx("buyer", AcceptOffer(agreement=f"h{n}", offer="flat")) for n in range(100))
    )
    assert all(done.status is Status.COMMITTED for done in result.executed)
    # 100 agreements; buyer, studio, agency, T and the picture's rights once each.
    assert len(result.writes) == 105
    assert ledger.balance("studio") == 350 * EUR


def test_deposits_and_withdrawals_are_the_issuers_and_the_party_signs_its_withdrawal() -> None:
    ledger = ledger_with()
    ten = Money(currency="EUR", minor=10 * EUR)
    assert ledger.refused("studio", Deposit(to="buyer", amount=ten)) == "NOT_ISSUER"
    assert ledger.refused("mint", Deposit(to="buyer", amount=ten)) == "NOT_ISSUER"
    assert ledger.refused("bank", Withdraw(from_="buyer", amount=ten)) == "NOT_SIGNED"
    assert ledger.refused("bank", Deposit(to="nobody", amount=ten)) == "UNKNOWN_PARTY"
    assert (
        ledger.refused("bank", Deposit(to="buyer", amount=Money(currency="EUR", minor=0))) == "INVALID_AMOUNT"
    )
    assert (
        ledger.refused("bank", Deposit(to="buyer", amount=Money(currency="XXX", minor=1)))
        == "UNKNOWN_CURRENCY"
    )
    ledger.run("bank", Withdraw(from_="buyer", amount=ten), signers=["buyer"])
    assert ledger.balance("bank", "issued") == -990 * EUR
    too_much = Money(currency="EUR", minor=991 * EUR)
    assert (
        ledger.refused("bank", Withdraw(from_="buyer", amount=too_much), signers=["buyer"])
        == "INSUFFICIENT_FUNDS"
    )


def test_claims_on_two_issuers_never_mix() -> None:
    ledger = ledger_with()
    dollars = Money(currency="USD", minor=500)
    ledger.run("bank", Deposit(to="buyer", amount=dollars))
    ledger.run("mint", Deposit(to="buyer", amount=dollars))
    assert (
        ledger.refused("buyer", Transfer(to="studio", amount=Money(currency="USD", minor=700)))
        == "INSUFFICIENT_FUNDS"
    )
    ledger.run("buyer", Transfer(to="studio", amount=dollars, issuer="mint"))
    assert ledger.balance("studio", currency="USD", issuer="mint") == 500
    ledger.run("buyer", Transfer(to="studio", amount=dollars))
    assert ledger.balance("studio", currency="USD", issuer="bank") == 500
    assert ledger.refused("buyer", Transfer(to="studio", amount=dollars, issuer="studio")) == "NOT_ISSUER"


def test_a_transfer_to_oneself_changes_nothing() -> None:
    ledger = ledger_with()
    ledger.run("buyer", Transfer(to="buyer", amount=Money(currency="EUR", minor=EUR)))
    assert ledger.balance("buyer") == 1_000 * EUR


def _item(number: int, due: int, amount: int) -> OpenItem:
    return OpenItem(number=number, due_ms=due, debtor="d", creditor=f"c{number}", outstanding=amount)


def test_l01_a_payment_settles_the_oldest_due_date_first_and_then_pro_rata() -> None:
    items = [_item(1, 5, 700), _item(2, 5, 300), _item(3, 9, 600), _item(4, 9, 400)]
    assert allocate(items, 1_000, 10) == {1: 700, 2: 300}
    assert allocate(items, 500, 10) == {1: 350, 2: 150}
    assert allocate(items, 1_500, 100) == {1: 700, 2: 300, 3: 300, 4: 200}
    assert allocate(items, 2_000, 10) == {1: 700, 2: 300, 3: 600, 4: 400}
    assert sum(allocate(items, 1_001, 1).values()) == 1_001


TWO_PAYMENTS = """
template test.two version 1.0.0 "Two payments, one of them partly back to the buyer" {
  parties { owner: one; agent: one; buyer: one; }
  assets { work: image; }
  currency USD scale 2 round half_even;
  params { fee: money in USD 0.10 .. USD 1_000.00; }
  grant G1 "Any" {
    permit display of work to buyer
    during 1 year from effective exclusive no sublicense no transfer no
  }
  lineage up { mode relative; depth 8; stack max 50%; count once; }
  pay P1 "Fee" on activated { buyer pays fee; split fee { 10% -> buyer; lineage up; rest -> owner; } }
  pay P2 "Agent" on activated { let part = fee * 5%; owner pays part to agent; }
  test "ten" { given fee = USD 10.00; expect paid to buyer = USD 1.00; expect paid to agent = USD 0.50; }
}
"""


def test_the_open_role_may_be_paid_and_a_bound_role_may_pay_in_the_same_sale() -> None:
    ledger = ledger_with("x", "y", "z")
    for issuer in ("mint", "bank"):
        ledger.run(
            issuer, Deposit(to="buyer", amount=Money(currency="USD", minor=1_000 + 500 * (issuer == "mint")))
        )
    ledger.asset("x", "top")
    ledger.asset("x", "work")
    ledger.link("work", "top", 200_000_000)
    halves = (PayoutLeg(party="y", share_ppm=500_000), PayoutLeg(party="z", share_ppm=500_000))
    ledger.run("x", SetPayoutSheet(asset="top", legs=halves))
    terms = publish(ledger, TWO_PAYMENTS)
    offer = offer_of(
        "o", terms, {"owner": "studio", "agent": "agency"}, {"fee": "USD 10.01"}, {"work": "work"}
    )
    assert ledger.refused("studio", offer) == "NO_TITLE"
    assert ledger.refused("agency", offer, signers=["x"]) == "NOT_SIGNED", "the owner is made to pay"
    ledger.run("agency", offer, signers=["studio", "x"])
    # The bank stands first among the issuers and its claims do not cover 10.01; the mint's do.
    receipt = ledger.run("buyer", AcceptOffer(agreement="a1", offer="o"))
    first, second = receipt.entries
    assert (first.issuer, second.issuer) == ("mint", "mint")
    assert [(p.party, p.asset, p.change) for p in first.postings] == [
        ("buyer", "", -1_001),
        ("buyer", "", 100),
        ("y", "top", 100),
        ("z", "top", 100),
        ("studio", "", 701),
    ]
    assert [(p.party, p.change) for p in second.postings] == [("studio", -50), ("agency", 50)]
    assert ledger.balance("buyer", currency="USD", issuer="mint") == 1_500 - 901
    assert ledger.refused("buyer", AcceptOffer(agreement="a2", offer="o")) == "INSUFFICIENT_FUNDS"


def test_l01_owes_on_activation_makes_lineage_payees_creditors() -> None:
    ledger = ledger_with("x", "y", "z")
    ledger.asset("x", "top")
    ledger.asset("studio", "work")
    ledger.link("work", "top", 200_000_000)
    halves = (PayoutLeg(party="y", share_ppm=333_333), PayoutLeg(party="z", share_ppm=666_667))
    ledger.run("x", SetPayoutSheet(asset="top", legs=halves))
    owing = {
        "USD": "EUR",
        "buyer pays fee;": "buyer owes fee due in 30 days;",
        "paid to buyer": "owed to buyer",
    }
    terms = publish(ledger, TWO_PAYMENTS, replaced=owing)
    offer = offer_of(
        "o", terms, {"owner": "studio", "agent": "agency"}, {"fee": "EUR 10.01"}, {"work": "work"}
    )
    ledger.fund("studio", EUR)
    ledger.run("studio", offer)
    ledger.run("buyer", AcceptOffer(agreement="a1", offer="o"))
    course = ledger.read(b"course/a1", Course)
    assert [(item.creditor, item.outstanding) for item in course.open] == [
        ("buyer", 1_000_000),
        ("y", 666_666),
        ("z", 1_333_334),
        ("studio", 7_010_000),
    ]
    ledger.run("buyer", Pay(agreement="a1", amount=Money(currency="EUR", minor=5 * EUR)))
    left = {item.creditor: item.outstanding for item in ledger.read(b"course/a1", Course).open}
    assert sum(left.values()) == 5_010_000
    # The sheet cut finer than a cent, so the pro rata counts the finest common unit: within 1.68 of it.
    for creditor, whole in (("buyer", 1_000_000), ("y", 666_666), ("z", 1_333_334), ("studio", 7_010_000)):
        assert abs((whole - left[creditor]) * 1_001 - whole * 500) < 2 * 2 * 1_001
    ledger.run("buyer", Pay(agreement="a1", amount=Money(currency="EUR", minor=5_010_000)))
    assert (ledger.balance("y"), ledger.balance("z")) == (666_666, 1_333_334)
    assert ledger.read(b"course/a1", Course).open == ()


COARSE = """
template test.coarse version 1.0.0 "Whole euros" {
  parties { a: one; buyer: one; }
  assets { work: image; }
  currency EUR scale 0 round half_even;
  params { fee: money in EUR 1 .. EUR 1_000_000_000_000_000_000; }
  grant G1 "Any" { permit display of work to buyer during 1 year from effective }
  pay P1 "Fee" on activated { buyer owes fee to a due in 1 day; }
}
"""


def test_an_amount_of_coarse_terms_is_bounded_in_the_ledgers_minor_units() -> None:
    ledger = ledger_with("a")
    terms = publish(ledger, COARSE)
    ledger.asset("a", "picture")
    for offer, fee in (("most", "EUR 1_000_000_000_000"), ("more", "EUR 1_000_000_000_001")):
        ledger.run("a", offer_of(offer, terms, {"a": "a"}, {"fee": fee}, {"work": "picture"}))
    ledger.run("buyer", AcceptOffer(agreement="n1", offer="most"))
    assert ledger.balance("a", "receivable") == AMOUNT_MINOR_MAX
    assert ledger.refused("buyer", AcceptOffer(agreement="n2", offer="more")) == "INVALID_AMOUNT"
    refusal = ledger.receipts[-1].refusal
    assert refusal is not None
    assert refusal.clause == "P1"


def test_what_an_issuer_issues_fits_the_balances_that_clients_read() -> None:
    ledger = Ledger()
    ledger.party("buyer")
    for _ in range(9):
        ledger.fund("buyer", AMOUNT_MINOR_MAX)
    one = Deposit(to="buyer", amount=Money(currency="EUR", minor=1))
    assert ledger.refused("bank", one) == "INVALID_AMOUNT"
    back = Withdraw(from_="buyer", amount=Money(currency="EUR", minor=1))
    ledger.run("bank", back, signers=["buyer"])
    ledger.run("bank", one)

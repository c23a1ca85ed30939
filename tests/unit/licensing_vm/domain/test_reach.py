"""What one command may reach, whatever its agreement is called (C-16)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from licet import transactions as t
from licet.entities import Asset, Course, OpenItem, asset_key, course_key
from licet.records import encode
from licet.types import Hash32

from licensing_vm.calendar import DAY_MS, Date, start_of
from licensing_vm.domain import booking, bound, context, payments
from licensing_vm.domain.booking import NO_COURSE
from licensing_vm.domain.reach import MET_FREE, MET_ITEM, OPEN_ITEM, OPEN_MAX, PAID
from licensing_vm.domain.table import COMMANDS
from licensing_vm.state import State
from licensing_vm.transition import BlockInput, Machine
from tests.property.worst import PAYEES, money, offered, roles, template, world
from tests.unit.licensing_vm.domain.kit import EUR, START_MS, Ledger, offer_of, publish, roles_of

FEBRUARY = start_of(Date(2026, 2, 12))


def narrow(monkeypatch: pytest.MonkeyPatch, budget: int) -> None:
    """Blocks with so much room for work, whatever they declare."""
    monkeypatch.setattr(context, "room_beside", lambda declared: budget)


def accept(ledger: Ledger, agreement: str) -> t.Command:
    return t.AcceptOffer(agreement=agreement, offer="o")


def test_an_ordinary_id_sells_500_legs_and_owes_100_creditors() -> None:
    ledger = world()
    offered(ledger, "o", 500)
    ledger.run("buyer", accept(ledger, "a"))
    assert sum(ledger.balance(party) for party in ("seller", *(f"q{n}" for n in range(60)))) == 10 * EUR
    offered(ledger, "p", 101, verb="owes", when="at close of month")
    ledger.run("buyer", t.AcceptOffer(agreement="b", offer="p"))
    ledger.now = FEBRUARY
    ledger.run("seller", t.ClosePeriod(agreement="b", period="month", period_start_ms=START_MS))
    assert ledger.balance("buyer", "payable") == -10 * EUR
    for amount in (3 * EUR, 7 * EUR):  # a part, which is divided, and the rest
        ledger.run("buyer", t.Pay(agreement="b", amount=money(amount)))
    assert ledger.balance("buyer", "payable") == 0


def test_every_leg_there_may_be_can_be_owed_and_paid() -> None:
    ledger = world()
    offered(ledger, "o", 512, verb="owes")
    ledger.run("buyer", accept(ledger, "a"))
    ledger.run("buyer", t.Pay(agreement="a", amount=money(5 * EUR)))
    ledger.run("buyer", t.Pay(agreement="a", amount=money(5 * EUR)))
    assert ledger.balance("buyer", "payable") == 0


def test_terms_that_could_never_be_sold_are_refused_as_an_offer_and_as_an_agreement() -> None:
    ledger = world()
    hash_ = publish(ledger, template("o", 300, verb="owes", clauses=2), "seller")
    refusal = ledger.attempt("seller", offer_of("o", hash_, roles(300), {}, {"w": "w"})).refusal
    assert refusal is not None
    assert (refusal.code, refusal.fault) == ("TOO_WIDE", "sender")
    made = t.CreateAgreement(
        agreement="wide.a",
        program_hash=Hash32(hash_),
        roles=roles_of(buyer="buyer", **roles(300)),
        assets=(t.AssetBinding(slot="w", asset="w"),),
    )
    assert ledger.refused("seller", made, signers=["buyer", *PAYEES]) == "TOO_WIDE"


def test_no_command_declares_by_an_agreements_name() -> None:
    for make in (
        lambda id_: t.AcceptOffer(agreement=id_, offer="o"),
        lambda id_: t.ClosePeriod(agreement=id_, period="month", period_start_ms=0),
        lambda id_: t.Pay(agreement=id_, amount=money(1)),
    ):
        one, other = make("x"), make("wide.x")
        cost = COMMANDS[type(one)].cost
        assert cost(one) == cost(other)


def test_a_sheet_that_outgrows_its_room_refuses_the_close_until_a_narrower_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bound, "COMMAND_MAX", 1_150)
    ledger = world()
    ledger.asset("q0", "up")
    ledger.asset("seller", "down")
    ledger.link("down", "up", 500_000_000)
    source = template("t", 2, verb="owes", when="at close of month")
    source = (
        source.replace("0.1% -> p0;", "lineage up;")
        .replace("p0: one;", "")
        .replace("grant G", "lineage up { mode relative; depth 8; stack max 90%; count once; } grant G")
    )
    hash_ = publish(ledger, source, "seller")
    ledger.run("seller", offer_of("o", hash_, {"seller": "seller"}, {}, {"w": "down"}))
    ledger.run("buyer", accept(ledger, "a"))

    def sheet(payees: int) -> t.Command:
        shares = [1_000_000 // payees] * payees
        shares[0] += 1_000_000 - sum(shares)
        return t.SetPayoutSheet(
            asset="up", legs=tuple(t.PayoutLeg(party=f"q{n}", share_ppm=s) for n, s in enumerate(shares))
        )

    ledger.run("q0", sheet(40))
    ledger.now = FEBRUARY
    close = t.ClosePeriod(agreement="a", period="month", period_start_ms=START_MS)
    assert ledger.refused("seller", close) == "TOO_WIDE"
    ledger.run("q0", sheet(10))
    ledger.run("seller", close)
    assert ledger.balance("buyer", "payable") == -10 * EUR
    assert ledger.read(asset_key("up"), Asset).payout_version == 3


def test_a_payment_touches_so_many_obligations_and_says_what_to_pay_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(payments, "GROUP_MAX", 16)
    ledger = world()
    offered(ledger, "o", 15, verb="owes", when="at close of month")
    ledger.run("buyer", accept(ledger, "a"))
    for month in (1, 2):
        ledger.now = start_of(Date(2026, month + 1, 12))
        start = start_of(Date(2026, month, 1))
        ledger.run("seller", t.ClosePeriod(agreement="a", period="month", period_start_ms=start))
    pay = t.Pay(agreement="a", amount=money(20 * EUR))
    refusal = ledger.attempt("buyer", pay).refusal
    assert refusal is not None
    assert refusal.code == "TOO_MANY"
    first = next(int(fact.value) for fact in refusal.facts if fact.name == "first")
    assert first == 10 * EUR
    for amount in (first, first // 2, first // 2):
        ledger.run("buyer", t.Pay(agreement="a", amount=money(amount)))
    assert ledger.balance("buyer", "payable") == 0


def test_obligations_that_no_payment_could_touch_together_wait_for_the_next_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(booking, "GROUP_MAX", 16)
    ledger = world()
    offered(ledger, "o", 2, verb="owes", when="on used(used)")
    ledger.run("buyer", accept(ledger, "a"))

    def report(n: int) -> t.Transaction:
        return ledger.tx(
            "buyer",
            t.ReportUsage(
                report=f"r{n}",
                fact="used",
                period_start_ms=START_MS,
                agreements=("a",),
                agreement_index=[0],
                offset_ms=[0],
                quantity=[1],
            ),
            valid_for_ms=DAY_MS,
        )

    done = ledger.block(*(report(n) for n in range(9))).executed
    assert [one.code for one in done] == [""] * 8 + ["TOO_MANY"]
    [later] = ledger.block(report(9)).executed
    assert not later.code
    for _ in range(9):
        ledger.run("buyer", t.Pay(agreement="a", amount=money(10 * EUR)))
    assert ledger.balance("buyer", "payable") == 0


def test_a_report_that_fits_into_no_block_is_refused_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = world()
    offered(ledger, "o", 2, verb="owes", when="on used(used)")
    names = ("a", "b", "c")
    for name in names:
        ledger.run("buyer", accept(ledger, name))
    narrow(monkeypatch, 704)

    def report(*agreements: str) -> t.Command:
        return t.ReportUsage(
            report="r",
            fact="used",
            period_start_ms=START_MS,
            agreements=agreements,
            agreement_index=[0],
            offset_ms=[0],
            quantity=[1],
        )

    assert ledger.refused("buyer", report(*names)) == "TOO_WIDE"
    assert ledger.receipts[-1].consumed
    ledger.run("buyer", report(*names[:2]))


def used(ledger: Ledger, agreement: str, n: int = 0) -> t.Transaction:
    report = t.ReportUsage(
        report=f"{agreement}.{n}",
        fact="used",
        period_start_ms=START_MS,
        agreements=(agreement,),
        agreement_index=[0],
        offset_ms=[0],
        quantity=[1],
    )
    return ledger.tx("buyer", report, valid_for_ms=DAY_MS)


def test_the_unpaid_obligations_that_there_are_count_not_those_there_may_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = world()
    offered(ledger, "o", 20, verb="owes")
    for name in ("a", "b"):
        ledger.run("buyer", accept(ledger, name))
    pays = [ledger.tx("buyer", t.Pay(agreement=name, amount=money(10 * EUR))) for name in ("a", "b")]
    alone = Machine(dict(ledger.state), ledger.genesis, height=ledger.height)
    block = BlockInput(height=ledger.height + 1, timestamp_ms=ledger.now + 1, transactions=pays[:1])
    asked = alone.execute(block).work
    assert 20 * (OPEN_ITEM + PAID) <= asked < 20 * (OPEN_ITEM + PAID) + 500, "and the program, once"
    narrow(monkeypatch, asked)
    done = ledger.block(*pays).executed
    assert [(one.code, one.consumed) for one in done] == [("", True), ("BLOCK_FULL", False)]
    assert not ledger.block(pays[1]).executed[0].code


def test_whoever_only_looks_at_a_long_course_pays_for_it_once_in_a_block() -> None:
    ledger = world()
    offered(ledger, "o", 300, verb="owes")
    for name in ("a", "b"):
        ledger.run("buyer", accept(ledger, name))
    reading = (300 - MET_FREE) * MET_ITEM
    reports = [used(ledger, "a"), used(ledger, "b"), used(ledger, "a", 1)]
    cold = Machine(dict(ledger.state), ledger.genesis, height=ledger.height)
    block = BlockInput(height=ledger.height + 1, timestamp_ms=ledger.now + 1, transactions=reports)
    for machine in (cold, ledger.machine):
        works = []
        for count in (1, 2, 3):
            result = machine.execute(replace(block, transactions=reports[:count]))
            machine.discard()
            assert not any(one.code for one in result.executed)
            works.append(result.work)
        assert works[0] >= reading
        assert works[1] >= works[0] + reading
        assert works[2] == works[1], "a report on what was met before"
    early = t.ClosePeriod(agreement="a", period="month", period_start_ms=START_MS)
    [done] = ledger.block(ledger.tx("seller", early)).executed
    assert done.code == "PERIOD_NOT_DUE"
    again = cold.execute(replace(block, transactions=[ledger.tx("seller", early)] * 1))
    assert again.work >= 300 * OPEN_ITEM, "a close that is refused has read it too"


def test_unpaid_obligations_are_counted_without_decoding_them() -> None:
    for numbers in (0, 1, 127, 128, OPEN_MAX):
        item = OpenItem(number=1, due_ms=1, debtor="a", creditor="b", outstanding=3)
        for next_number in (1, 63, 64, 10**6):
            course = replace(NO_COURSE, next_number=next_number, open=(item,) * numbers)
            key = course_key("a")
            state = State({key: encode(course)}.get, 10)
            assert state.open_of(key) == numbers
            assert state.get(key, Course) == course
            assert state.open_of(key) == numbers
    assert state.open_of(course_key("none")) == 0


def test_an_offer_makes_so_many_grants() -> None:
    ledger = world()
    grants = "".join(
        f'grant G{n} "G" {{ permit display of w to buyer during 1 year from effective }} ' for n in range(3)
    )
    source = template("t", 1).replace("pay P0", f"{grants} pay P0")
    hash_ = publish(ledger, source, "seller")
    names = tuple(f"w{n}" for n in range(600))
    ledger.asset("seller", *names[:1])
    ledger.check_books = lambda: None  # type: ignore[method-assign]
    ledger.asset("seller", *names[1:])
    offer = offer_of("o", hash_, {"seller": "seller"}, {}, {"w": names})
    assert ledger.refused("seller", offer) == "TOO_MANY"

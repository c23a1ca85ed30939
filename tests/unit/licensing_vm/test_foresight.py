"""Filling a block with its work in mind: what is remembered of offers, and when nothing more is taken."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from licet.transactions import (
    AcceptOffer,
    AssetBinding,
    ClosePeriod,
    Command,
    Money,
    Pay,
    ReportUsage,
    Transaction,
    TransactionBody,
    Transfer,
    WithdrawOffer,
)
from licet.types import ChainId, Hash32

from licensing_vm import foresight as module
from licensing_vm.domain.reach import ACCOUNT, WORK_PER_BLOCK
from licensing_vm.foresight import UNKNOWN_FIRST, UNKNOWN_PAYMENT, Foresight


def transaction(*commands: Command) -> Transaction:
    body = TransactionBody(
        chain_id=ChainId(bytes(32)), id=bytes(16), sender="ada", valid_until_ms=1, commands=commands
    )
    return Transaction(hash=Hash32(bytes(32)), raw_body=b"", body=body, signatures=())


def sale(offer: str, *assets: str) -> Transaction:
    chosen = tuple(AssetBinding(slot="work", asset=asset) for asset in assets)
    return transaction(AcceptOffer(agreement="a", offer=offer, assets=chosen))


def taken(foresight: Foresight, sales: list[Transaction], *, cost: int = 0) -> int:
    """How many of these a block takes, one by one."""
    room = foresight.room()
    return sum(room.takes((one,), cost) for one in sales)


def test_an_offer_nobody_accepted_yet_is_expected_to_ask_for_its_binding_once() -> None:
    foresight = Foresight()
    different = [sale(f"o{number}") for number in range(1_000)]
    assert (
        WORK_PER_BLOCK // UNKNOWN_FIRST // 2 <= taken(foresight, different) <= WORK_PER_BLOCK // UNKNOWN_FIRST
    )
    assert taken(foresight, [sale("o")] * 1_000) == 1_000


def test_what_acceptances_asked_is_remembered_the_first_in_a_block_apart_from_the_rest() -> None:
    foresight = Foresight()
    foresight.open_block()
    foresight.learn(sale("wide"), 10_000)
    foresight.learn(sale("wide"), 4_000)
    foresight.open_block()
    foresight.learn(sale("wide"), 11_000)
    fits = 1 + (WORK_PER_BLOCK - 11_000) // 4_000
    assert fits * 2 // 3 <= taken(foresight, [sale("wide")] * 10) <= fits


def test_of_an_unknown_offer_is_expected_what_others_asked_lately() -> None:
    foresight = Foresight()
    unknown = [sale(f"u{number}") for number in range(1_000)]
    before = taken(foresight, unknown)
    for number in range(100):
        foresight.open_block()
        foresight.learn(sale(f"o{number}"), 4 * UNKNOWN_FIRST)
    assert taken(foresight, unknown) < before // 2


def test_the_assets_chosen_belong_to_what_is_bound() -> None:
    foresight = Foresight()
    foresight.open_block()
    foresight.learn(sale("o", "x"), WORK_PER_BLOCK)
    assert taken(foresight, [sale("o", "x"), sale("o", "y")]) == 1
    assert taken(foresight, [sale("o", "y")] * 3) == 3


def test_declared_cost_takes_from_the_same_budget() -> None:
    foresight = Foresight()
    different = [sale(f"o{number}") for number in range(1_000)]
    assert taken(foresight, different, cost=20_000) < taken(foresight, different)


def test_the_oldest_is_taken_whatever_it_asks() -> None:
    foresight = Foresight()
    foresight.open_block()
    foresight.learn(sale("huge"), 2 * WORK_PER_BLOCK)
    room = foresight.room()
    assert not room.takes((sale("huge"),), 0)
    assert room.takes((sale("huge"),), 0, whatever=True)
    assert not room.takes((sale("another"),), 0)


def test_other_commands_are_expected_to_need_what_they_declare() -> None:
    foresight = Foresight()
    foresight.learn(transaction(WithdrawOffer(offer="o")), 5_000)
    both = transaction(WithdrawOffer(offer="o"), AcceptOffer(agreement="a", offer="o"))
    foresight.learn(both, 5_000)
    assert taken(foresight, [both] * 100) == 100


def pay(agreement: str = "a") -> Transaction:
    return transaction(Pay(agreement=agreement, amount=Money(currency="EUR", minor=1)))


def close(agreement: str = "a") -> Transaction:
    return transaction(ClosePeriod(agreement=agreement, period="month", period_start_ms=0))


def report(*agreements: str) -> Transaction:
    return transaction(
        ReportUsage(
            report="r",
            fact="used",
            period_start_ms=0,
            agreements=agreements,
            agreement_index=[0],
            offset_ms=[0],
            quantity=[1],
        )
    )


@pytest.mark.parametrize("make", [pay, close, report, sale])
def test_what_was_asked_for_an_agreement_is_expected_for_it_again(make: Callable[[str], Transaction]) -> None:
    foresight = Foresight()
    foresight.open_block()
    foresight.learn(make("a"), 20_000)
    room = foresight.room()
    assert room.takes((make("a"),), 0)
    assert not room.takes((transaction(Transfer(to="x", amount=Money(currency="EUR", minor=1))),), 600_000)
    assert room.takes((make("b"),), 0)
    foresight.learn(make("a"), 15_000)
    assert taken(foresight, [make("a")] * 2) == 1, "what follows in one block is remembered apart"


def test_of_unknown_payments_is_expected_what_others_asked_lately() -> None:
    foresight = Foresight()
    payments = [pay(f"p{n}") for n in range(1_000)]
    fits = WORK_PER_BLOCK // UNKNOWN_PAYMENT
    assert fits // 2 < taken(foresight, payments) < fits
    for number in range(100):
        foresight.open_block()
        foresight.learn(pay(f"q{number}"), 4 * UNKNOWN_PAYMENT)
    assert taken(foresight, payments) < fits // 2


def test_a_refusal_teaches_that_it_asked_for_so_much_at_least() -> None:
    foresight = Foresight()
    foresight.open_block()
    foresight.refused(sale("wide"), 9_000)
    assert taken(foresight, [sale("wide"), pay(), sale("x")], cost=1_000_000) == 1, "a place is kept for it"
    foresight.learn(sale("wide"), 600)
    assert taken(foresight, [sale("wide"), pay(), sale("x")], cost=1_000) == 3, "what it asked is known now"


def test_refused_again_and_again_it_is_expected_to_need_a_whole_block() -> None:
    """However little was known each time of what it asks, a few blocks are enough."""
    foresight = Foresight()
    for _ in range(10):
        foresight.open_block()
        for _ in range(50):  # many in one block teach it no more than one
            foresight.refused(pay(), 1)
    room = foresight.room()
    assert not room.takes((pay(),), 0)
    assert room.takes((pay(),), 0, whatever=True)
    assert not room.takes((pay("other"),), 0)
    fresh = Foresight()
    fresh.open_block()
    for _ in range(50):
        fresh.refused(pay(), 1)
    assert taken(fresh, [pay(f"b{n}") for n in range(5)] + [pay()]) == 6


def test_a_refusal_after_the_first_in_a_block_teaches_of_those_that_follow() -> None:
    foresight = Foresight()
    foresight.open_block()
    foresight.learn(sale("o"), 12_000)
    assert taken(foresight, [sale("o")] * 3) == 3
    foresight.refused(sale("o"), 10_000)
    assert taken(foresight, [sale("o")] * 3) == 2


@pytest.mark.parametrize(
    "of", [(pay(), pay()), (report("a", "b"),), (transaction(WithdrawOffer(offer="o")),)]
)
def test_what_is_no_known_thing_is_remembered_by_its_bytes_until_it_is_executed(
    of: tuple[Transaction, ...],
) -> None:
    one = transaction(*(command for tx in of for command in tx.body.commands))
    foresight = Foresight()
    foresight.open_block()
    foresight.refused(one, 20_000)
    room = foresight.room()
    assert room.takes((one,), 0)
    assert not room.takes((sale("o"),), 600_000)
    foresight.learn(one, 25_000)
    room = foresight.room()
    assert room.takes((one,), 0)
    assert room.takes((sale("o"),), 600_000)


def test_refused_transfers_teach_nothing_because_their_bytes_say_it_all() -> None:
    foresight = Foresight()
    move = transaction(Transfer(to="x", amount=Money(currency="EUR", minor=1)))
    foresight.open_block()
    foresight.refused(move, WORK_PER_BLOCK)
    foresight.learn(move, WORK_PER_BLOCK)
    assert taken(foresight, [move] * 3) == 3
    assert WORK_PER_BLOCK > 2 * ACCOUNT


def test_only_so_much_is_remembered_the_oldest_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "THINGS_KEPT", 2)
    foresight = Foresight()
    foresight.open_block()
    for name in ("a", "b", "c"):
        foresight.learn(pay(name), WORK_PER_BLOCK)
    assert [taken(foresight, [pay(name)]) for name in ("a", "b", "c")] == [1, 0, 0]

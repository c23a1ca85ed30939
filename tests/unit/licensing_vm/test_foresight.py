"""Filling a block with its work in mind: what is remembered of offers, and when nothing more is taken."""

from __future__ import annotations

from licet.transactions import AcceptOffer, AssetBinding, Command, Transaction, TransactionBody, WithdrawOffer
from licet.types import ChainId, Hash32

from licensing_vm.domain.reach import WORK_PER_BLOCK
from licensing_vm.foresight import UNKNOWN_FIRST, Foresight


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

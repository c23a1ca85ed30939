"""C-16: whatever comes in whatever order, a block does no more work than its budget, and what did not fit
fits later, byte for byte the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from licet import transactions as t
from licet.genesis import Parameters

from licensing_vm.domain.reach import ROOM_COST, WORK_MIN, WORK_PER_BLOCK, room_beside
from licensing_vm.transition import BlockInput, Machine, Status
from tests.property.worst import FEBRUARY, accept, money, offered, world
from tests.property.worst_lists import lineage_sales, offers_unsold, programs, reported
from tests.unit.licensing_vm.domain.kit import EUR, START_MS, Ledger
from tests.unit.licensing_vm.domain.test_reach import narrow

LEGS = {"small": (3, "pays"), "broad": (500, "pays"), "owing": (60, "owes")}


@dataclass(frozen=True)
class _World:
    ledger: Ledger
    transactions: tuple[t.Transaction, ...]


@cache
def _world() -> _World:
    """Offers of several widths, agreements with periods to close and debts to pay, and what asks for all."""
    ledger = world()
    for name, (legs, verb) in LEGS.items():
        offered(ledger, name, legs, verb=verb)
    offered(ledger, "monthly", 40, verb="owes", when="at close of month")
    for n in range(6):
        ledger.run("buyer", t.AcceptOffer(agreement=f"m{n}", offer="monthly"))
    ledger.now = FEBRUARY

    def close(n: int) -> t.Command:
        return t.ClosePeriod(agreement=f"m{n}", period="month", period_start_ms=START_MS)

    for n in range(3):
        ledger.run("seller", close(n))
    made = [accept(ledger, name, f"{name}{n}") for name in LEGS for n in range(6)]
    made += [ledger.tx("seller", close(n), valid_for_ms=10**10) for n in range(3, 6)]
    for n in range(3):
        pay = t.Pay(agreement=f"m{n}", amount=money(7 * EUR))
        made.append(ledger.tx("buyer", pay, valid_for_ms=10**10))
    made.append(ledger.tx("buyer", t.AcceptOffer(agreement="nobody", offer="none"), valid_for_ms=10**10))
    return _World(ledger, tuple(made))


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(25)), budget=st.sampled_from((9_000, 12_000, 20_000, WORK_PER_BLOCK)))
def test_no_order_of_transactions_does_more_work_than_the_budget(order: list[int], budget: int) -> None:
    here = _world()
    assert len(here.transactions) == len(order)
    state = dict(here.ledger.state)
    machine = Machine(state, here.ledger.genesis, height=here.ledger.height)
    waiting = [here.transactions[at] for at in order]
    with pytest.MonkeyPatch.context() as patch:
        narrow(patch, budget)
        for n in range(1, 40):
            block = BlockInput(
                height=here.ledger.height + n, timestamp_ms=here.ledger.now + n, transactions=waiting
            )
            result = machine.execute(block)
            # A node that has nothing in its caches says the same, and so does one whose caches are warm.
            fresh = Machine(dict(state), here.ledger.genesis, height=here.ledger.height + n - 1)
            again = fresh.execute(block)
            fresh.discard()
            for other in (again, fresh.execute(block)):
                assert [one.code for one in other.executed] == [one.code for one in result.executed]
                assert other.work == result.work
            assert 0 <= result.work <= budget
            full = {done.hash for done in result.executed if done.code == "BLOCK_FULL"}
            for done in result.executed:
                assert done.consumed == (done.hash not in full)
                assert done.status is Status.COMMITTED or done.code in ("BLOCK_FULL", "UNKNOWN_OFFER")
            for key, value in result.writes.items():
                assert value is not None
                state[key] = value
            machine.commit()
            assert len(full) < len(waiting), "a block does something"
            waiting = [tx for tx in waiting if tx.hash in full]
            if not waiting:
                return
    raise AssertionError("something never fits")


def test_what_did_not_fit_changes_nothing_and_is_executed_later(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = world()
    offered(ledger, "o", 200)
    first, second = accept(ledger, "o", "a"), accept(ledger, "o", "b")
    narrow(monkeypatch, 4_300)  # one sale with its binding, or several without
    done = ledger.block(first, second).executed
    assert [one.code for one in done] == ["", "BLOCK_FULL"]
    refusal = ledger.receipts[-1].refusal
    assert refusal is not None
    assert (refusal.fault, ledger.receipts[-1].consumed) == ("machine", False)
    assert b"agreement/b" not in ledger.state
    again = ledger.block(first, second).executed
    assert [one.status for one in again] == [Status.REPEATED, Status.COMMITTED]
    assert ledger.block(second).executed[0].place == again[1].place, "an exact repeat of it"


def test_a_refused_transaction_does_not_give_its_work_back(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = world()
    offered(ledger, "o", 200)
    narrow(monkeypatch, 4_300)
    twice = ledger.tx(
        "buyer",
        t.AcceptOffer(agreement="a", offer="o"),
        t.AcceptOffer(agreement="a", offer="o"),
    )
    done = ledger.block(twice, accept(ledger, "o", "b")).executed
    assert [one.code for one in done] == ["NAME_TAKEN", "BLOCK_FULL"]


def test_what_is_bound_or_loaded_already_is_charged_like_what_is_not() -> None:
    """The charge follows from the block and the state: cold offers, a lineage and many programs (C-16)."""
    for make in (
        lineage_sales(3, 3, "relative", "once", 6),
        programs(8, 2),
        reported(8, True, 8),
        offers_unsold(60, 1),
    ):
        ledger = world()
        ledger.check_books = lambda: None  # type: ignore[method-assign]
        worst = []
        for phase, tx in make(ledger):
            if phase == "worst":
                worst.append(tx)
            else:
                ledger.block(tx, at_ms=ledger.now + 1)
        block = BlockInput(height=ledger.height + 1, timestamp_ms=ledger.now + 1, transactions=worst[:150])
        cold = Machine(ledger.state, ledger.genesis, height=ledger.height)
        first = cold.execute(block)
        cold.discard()
        for warm in (cold, ledger.machine):
            again = warm.execute(block)
            assert (again.work, again.writes) == (first.work, first.writes)
            assert [one.receipt for one in again.executed] == [one.receipt for one in first.executed]
            warm.discard()


def test_work_never_takes_what_other_transactions_declare() -> None:
    """However wide what stands before it is, a command that declares all it does is executed."""
    ledger = world()
    offered(ledger, "o", 512, verb="owes")
    wide = [accept(ledger, "o", f"a{n}") for n in range(4)]
    plain = ledger.tx("buyer", t.Transfer(to="seller", amount=money(1)))
    done = ledger.block(*wide, plain).executed
    assert [one.code for one in done] == ["", "BLOCK_FULL", "BLOCK_FULL", "BLOCK_FULL", ""]


def test_what_declared_costs_set_aside_is_not_there_for_work() -> None:
    full = room_beside(Parameters().block_cost_max)
    assert room_beside(0) == WORK_PER_BLOCK
    assert room_beside(1) == WORK_PER_BLOCK - 1
    assert full == WORK_PER_BLOCK - Parameters().block_cost_max // ROOM_COST == WORK_MIN
    assert room_beside(10 * Parameters().block_cost_max) == WORK_MIN

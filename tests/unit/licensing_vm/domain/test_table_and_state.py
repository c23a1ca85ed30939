"""The table of commands, declared costs, and the state's overlay."""

from __future__ import annotations

import re
import typing
from pathlib import Path

import pytest
from licet import transactions as t
from licet.entities import Balance, RoleHolders, SplitTotal
from licet.genesis import Parameters
from licet.records import encode

from licensing_vm.domain.table import COMMANDS, PUBLISH_COST_MAX, declared_cost
from licensing_vm.errors import REASONS
from licensing_vm.state import State
from licensing_vm.transition import cost
from tests.unit.licensing_vm.domain.kit import EUR, Ledger


def test_every_command_of_the_contract_stands_in_the_table() -> None:
    assert set(COMMANDS) == set(typing.get_args(t.Command))
    assert {rule.scope for rule in COMMANDS.values()} <= {"license", "pay", "report", "govern"}


def test_costs_are_declared_and_every_command_fits_into_a_block() -> None:
    ledger = Ledger()
    tx = ledger.tx("bank", t.Transfer(to="mint", amount=t.Money(currency="EUR", minor=1)))
    assert cost(tx) == declared_cost(tx.body) == 1_900
    longest = t.PublishTemplate(source="x" * t.SOURCE_BYTES_MAX)
    assert COMMANDS[t.PublishTemplate].cost(longest) == PUBLISH_COST_MAX
    rows = [0] * t.REPORT_ROWS_MAX
    report = t.ReportUsage(
        report="r",
        fact="f",
        period_start_ms=0,
        agreements=("a",) * t.REPORT_AGREEMENTS_MAX,
        agreement_index=rows,
        offset_ms=rows,
        quantity=rows,
    )
    assert declared_cost(ledger.tx("bank", report).body) < Parameters().block_cost_max
    assert declared_cost(ledger.tx("bank", longest).body) < Parameters().block_cost_max


KEY = b"balance/a/cash/b/EUR"


def state_over(**stored: int) -> tuple[State, dict[bytes, bytes]]:
    data = {b"balance/%b/cash/b/EUR" % name.encode(): encode(Balance(amount=n)) for name, n in stored.items()}
    return State(data.get, 10), data


def test_a_rollback_restores_and_writes_nothing() -> None:
    state, _ = state_over(a=5)
    state.begin()
    state.put(KEY, state.balance(KEY) + 7)
    state.put_new(b"role/x", RoleHolders(parties=("p",)))
    state.rollback()
    assert state.balance(KEY) == 5
    assert not state.has(b"role/x")
    assert state.writes() == {}


def test_rollback_reaches_back_to_the_transactions_begin_and_discard_to_the_blocks() -> None:
    state, _ = state_over(a=5)
    state.begin()
    state.add([KEY, KEY], [1, 2])
    state.begin()
    state.add([KEY], [100])
    state.rollback()
    assert state.writes() == {KEY: encode(Balance(amount=8))}
    state.discard()
    assert state.balance(KEY) == 5


def test_a_value_that_comes_back_is_not_written() -> None:
    state, data = state_over(a=5)
    state.begin()
    state.add([KEY, KEY], [1, -1])
    state.put(b"role/x", RoleHolders(parties=()))
    state.commit()
    assert state.writes() == {}
    data[b"role/y"] = encode(RoleHolders(parties=("p",)))
    assert state.has(b"role/y"), "read as bytes, not yet decoded"
    state.put(b"role/y", RoleHolders(parties=("p",)))
    assert state.writes() == {}


@pytest.mark.parametrize("value", [0, 1, -1, 63, 64, -65, 10**18, -(10**30)])
def test_balances_and_totals_are_written_as_their_records(value: int) -> None:
    state = State(lambda key: None, 10)
    state.begin()
    state.put(b"balance/a/cash/b/EUR", value)
    state.put(b"split/offer/o/c/0/x/1", value)
    state.put(b"sheet/x/1/EUR", value)
    total = encode(SplitTotal(total=value))
    assert list(state.writes().values()) == [encode(Balance(amount=value)), total, total]


def test_the_cache_is_bounded_and_never_drops_a_blocks_own_writes() -> None:
    state, data = state_over(**{f"p{n}": n for n in range(50)})
    keys = list(data)
    state.begin()
    state.add(keys, [1] * 50)
    assert len(state.writes()) == 50
    for key, value in state.writes().items():
        assert value is not None
        data[key] = value
    state.commit()
    state.commit()
    assert [state.balance(key) for key in keys] == [n + 1 for n in range(50)]


@pytest.mark.parametrize("amount", [-1, 0, t.AMOUNT_MINOR_MAX + 1])
def test_amounts_are_above_zero_and_bounded(amount: int) -> None:
    ledger = Ledger()
    ledger.fund("mint", EUR)
    move = t.Transfer(to="bank", amount=t.Money(currency="EUR", minor=amount))
    assert ledger.refused("mint", move) == "INVALID_AMOUNT"


def test_every_reason_is_given_somewhere_and_every_refusal_stands_in_the_table() -> None:
    room = Path(__file__).parents[4] / "licensing_vm"
    sources = "\n".join(path.read_text() for path in sorted(room.rglob("*.py")) if path.name != "errors.py")
    given = set(re.findall(r'Refused\(\s*"([A-Z_]+)"', sources))
    elsewhere = (room / "program" / "errors.py").read_text() + sources
    assert given <= set(REASONS)
    assert [code for code in REASONS if code not in given and f'"{code}"' not in elsewhere] == []

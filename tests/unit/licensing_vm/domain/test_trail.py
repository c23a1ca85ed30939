"""What each transaction wrote, told afterwards (C-13), against blocks that end after that transaction."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import pytest
from licet.entities import CASH, balance_key
from licet.transactions import Deposit, Money, Transaction, Transfer

from licensing_vm import trail as module
from licensing_vm.trail import RECEIPT, Row, Trail
from licensing_vm.transition import BlockInput, BlockResult, Status
from tests.unit.licensing_vm.domain.kit import Ledger


def euros(minor: int) -> Money:
    return Money(currency="EUR", minor=minor)


def busy_block(ledger: Ledger) -> list[Transaction]:
    """Several writers of one key, a refusal, an exact repeat, and a balance that comes back."""
    first = ledger.tx("bank", Deposit(to="clerk", amount=euros(50)))
    return [
        first,
        ledger.tx("clerk", Transfer(to="mint", amount=euros(20))),
        ledger.tx("clerk", Transfer(to="mint", amount=euros(1_000_000))),  # refused: it has no such sum
        first,
        ledger.tx("mint", Transfer(to="clerk", amount=euros(20)), Transfer(to="clerk", amount=euros(0))),
        ledger.tx("bank", Deposit(to="mint", amount=euros(7)), Deposit(to="mint", amount=euros(1))),
        ledger.tx("mint", Transfer(to="clerk", amount=euros(8))),
    ]


def prepared(result: BlockResult) -> Trail:
    trail = Trail(result)
    while not trail.prepare():
        pass
    return trail


def digest(data: bytes | None) -> bytes | None:
    return None if data is None else sha256(data).digest()


@pytest.mark.parametrize("step", [1, 1_024])
def test_rows_are_what_a_block_that_ends_there_would_have_written(
    monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setattr(module, "STEP", step)
    whole = Ledger()
    transactions = busy_block(whole)
    start = dict(whole.state)
    result = whole.block(*transactions)
    trail = prepared(result)
    rows = trail.rows(0, 1_000)
    assert len(rows) == trail.total
    assert [done.status for done in result.executed][2:4] == [Status.REFUSED, Status.REPEATED]
    before: Sequence[tuple[bytes, bytes | None]] = ()
    for position in range(len(transactions)):
        ledger = Ledger()
        part = ledger.block(*transactions[: position + 1])
        own = [row for row in rows if row.position == position]
        for row in own:
            assert row.transaction == transactions[position].hash
            if row.key == RECEIPT:
                assert row.value == digest(part.executed[position].receipt)
            else:
                assert row.value == digest(ledger.state.get(row.key))
        changed = {key for key, _ in set(part.writes.items()) ^ set(before)}
        changed = {key for key in changed if dict(before).get(key, start.get(key)) != ledger.state.get(key)}
        assert changed <= {row.key for row in own}
        before = tuple(part.writes.items())


def test_rows_stand_in_order_and_any_page_is_a_piece_of_them() -> None:
    ledger = Ledger()
    trail = prepared(ledger.block(*busy_block(ledger)))
    rows = trail.rows(0, 1_000)
    receipts = {row.position: row for row in rows if row.key == RECEIPT}
    assert rows == sorted(rows, key=lambda row: (row.position, row.key == RECEIPT, row.key))
    assert sorted(receipts) == [0, 1, 2, 4, 5, 6], "a refusal has a receipt and no write; a repeat neither"
    assert [row for row in rows if row.position == 2] == [receipts[2]]
    for first in range(len(rows) + 1):
        for count in (1, 3, 1_000):
            assert trail.rows(first, count) == rows[first : first + count]


def test_a_value_that_another_machine_wrote_shows_at_the_transaction_that_wrote_it() -> None:
    key = balance_key("clerk", CASH, "bank", "EUR")
    found: list[list[Row]] = []
    for flipped in (False, True):
        ledger = Ledger()
        transactions = busy_block(ledger)
        if flipped:
            ledger.machine._state._live[key] = 1  # a damaged cell of memory: there is no such balance
        block = BlockInput(height=1, timestamp_ms=ledger.now + 1, transactions=transactions)
        found.append(prepared(ledger.machine.execute(block)).rows(0, 99))
    one, two = next((a, b) for a, b in zip(*found, strict=True) if a != b)
    assert (one.position, one.key, one.transaction) == (0, key, transactions[0].hash)
    assert (two.position, two.key) == (0, key)
    assert two.value != one.value

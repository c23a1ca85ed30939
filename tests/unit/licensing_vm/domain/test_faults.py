"""A bug of ours that one transaction meets: contained if every machine meets it, else the machine stops."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import MappingProxyType

import pytest
from licet import transactions as t
from licet.errors import Fault, InvalidEncoding, LicetError
from licet.receipts import read_receipt

from licensing_vm import transition
from licensing_vm.domain import context as domain_context
from licensing_vm.domain import table, templates
from licensing_vm.faults import STOPPING
from licensing_vm.transition import BlockInput, Machine, Status
from tests.unit.licensing_vm.domain.kit import EUR, Ledger

MONEY = t.Money(currency="EUR", minor=EUR)


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger()
    ledger.may_fault = True
    ledger.party("a", "b")
    ledger.fund("a", 5 * EUR)
    return ledger


def break_withdraw(monkeypatch: pytest.MonkeyPatch, why: BaseException) -> None:
    """From here on every withdrawal does half its work and then fails."""

    def handler(context: domain_context.Context, command: t.Withdraw) -> None:
        context.state.define(b"party/half-done", b"half done")
        context.events.append(b"half done")
        context.rows += 3
        raise why

    rules = dict(table.COMMANDS)
    rules[t.Withdraw] = rules[t.Withdraw]._replace(handler=handler)
    monkeypatch.setattr(transition, "COMMANDS", MappingProxyType(rules))


CONTAINED = [
    KeyError("x"),
    IndexError("x"),
    TypeError("x"),
    ValueError("x"),
    OverflowError("x"),
    ZeroDivisionError("x"),
    AttributeError("x"),
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "x"),
    StopIteration("x"),
    InvalidEncoding("thing", "it is none"),  # fault of the sender, but no reason of the table
    LicetError("WRONG", "Ours.", fault=Fault.US, remedy="None."),
]
FATAL = [
    AssertionError("money"),
    RecursionError("stack"),
    MemoryError("memory"),
    OSError("disk"),
    ImportError("module"),
    SystemError("interpreter"),
    DeprecationWarning("as error"),
    KeyboardInterrupt(),
    SystemExit(1),
    InvalidEncoding("record", "rotten", fault=Fault.MACHINE),
    LicetError("STORAGE", "Broken.", fault=Fault.MACHINE, remedy="Mend it."),
    LicetError("OPERATOR", "Broken.", fault=Fault.OPERATOR, remedy="Mend it."),
    LicetError("PEER", "Broken.", fault=Fault.PEER, remedy="Mend it."),
]


@pytest.mark.parametrize("why", CONTAINED, ids=lambda why: type(why).__name__)
def test_a_contained_fault_is_a_refusal_that_changes_nothing_else(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, why: Exception
) -> None:
    break_withdraw(monkeypatch, why)
    broken = ledger.tx(
        "a", t.Transfer(to="b", amount=MONEY), t.Withdraw(from_="a", amount=MONEY), signers=["b"]
    )
    good = ledger.tx("a", t.Transfer(to="b", amount=MONEY))
    result = ledger.block(broken, good)
    assert [done.status for done in result.executed] == [Status.REFUSED, Status.COMMITTED]
    assert result.rows == 0
    assert [(fault.hash, fault.command, fault.what) for fault in result.faults] == [
        (broken.hash, "Withdraw", type(why).__name__)
    ]
    assert "handler:" in result.faults[0].where
    receipt = read_receipt(result.executed[0].receipt)
    refusal = receipt.refusal
    assert refusal is not None
    assert (refusal.code, refusal.fault) == ("EXECUTION_FAULT", "us")
    assert [(fact.name, fact.value) for fact in refusal.facts] == [("command", "Withdraw")]
    assert "Report" in refusal.remedy
    assert str(why) not in refusal.message, "texts of errors differ by version"
    assert (receipt.consumed, receipt.events, receipt.entries) == (True, (), ())
    assert b"party/half-done" not in ledger.state
    assert ledger.balance("a") == 4 * EUR
    [again] = ledger.block(broken).executed
    assert again.status is Status.REPEATED


def test_the_receipt_of_a_contained_fault_is_the_same_whatever_the_error_says(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = ledger.tx("a", t.Withdraw(from_="a", amount=MONEY))
    receipts = set()
    for why in (KeyError("x"), TypeError("y at 0x7f00")):
        break_withdraw(monkeypatch, why)
        receipts.add(ledger.machine.dry_run(broken, ledger.now))
    assert len(receipts) == 1


@pytest.mark.parametrize("why", FATAL, ids=lambda why: f"{type(why).__name__}-{getattr(why, 'fault', '')}")
def test_what_machines_could_differ_about_stops_the_machine(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, why: BaseException
) -> None:
    break_withdraw(monkeypatch, why)
    with pytest.raises(type(why)):
        ledger.block(ledger.tx("a", t.Withdraw(from_="a", amount=MONEY)))


def test_every_class_that_stops_is_tried() -> None:
    assert all(any(isinstance(why, kind) for why in FATAL) for kind in STOPPING)


def test_money_that_does_not_balance_stops_the_machine(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from licet.entities import CASH
    from licet.receipts import SALE, JournalEntry, Posting

    def handler(context: domain_context.Context, command: t.Withdraw) -> None:
        posting = Posting(party="a", account=CASH, asset="", change=1)
        context.entry(
            JournalEntry(
                kind=SALE,
                clause="",
                program_hash=b"",
                agreement="",
                currency="EUR",
                issuer="bank",
                facts=(),
                postings=(posting,),
            )
        )

    rules = dict(table.COMMANDS)
    rules[t.Withdraw] = rules[t.Withdraw]._replace(handler=handler)
    monkeypatch.setattr(transition, "COMMANDS", MappingProxyType(rules))
    with pytest.raises(AssertionError):
        ledger.block(ledger.tx("a", t.Withdraw(from_="a", amount=MONEY)))


@pytest.mark.parametrize("why", [KeyError("plyvel"), ValueError("checksum"), OSError("disk")])
def test_a_reader_that_fails_stops_the_machine_by_whatever_name(ledger: Ledger, why: Exception) -> None:
    class Failing:
        broken = False

        def get(self, key: bytes) -> bytes | None:
            if self.broken and key.startswith(b"party/b"):
                raise why
            return ledger.state.get(key)

    reader = Failing()
    machine = Machine(reader, ledger.genesis)
    reader.broken = True
    transfer = ledger.tx("a", t.Transfer(to="b", amount=MONEY))
    with pytest.raises(type(why)):
        machine.dry_run(transfer, ledger.now)
    reader.broken = False
    assert machine.dry_run(transfer, ledger.now).committed, "a failure that has passed is not held against it"
    reader.broken = True
    fresh = Machine(reader, ledger.genesis)
    with pytest.raises(type(why)):
        fresh.execute(BlockInput(height=1, timestamp_ms=ledger.now, transactions=[transfer]))


def test_rotten_stored_bytes_stop_the_machine(ledger: Ledger) -> None:
    key = b"party/b"
    rotten = {**ledger.state, key: ledger.state[key][:-1] + b"\xff"}
    machine = Machine(rotten, ledger.genesis)
    with pytest.raises(LicetError) as caught:
        machine.dry_run(ledger.tx("b", t.Transfer(to="bank", amount=MONEY)), ledger.now)
    assert caught.value.fault is Fault.MACHINE


def test_a_checker_that_fails_costs_the_publication_only(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(source: str, *, warn: bool) -> None:
        raise AssertionError("of the checker")

    monkeypatch.setattr(templates, "check", broken)
    assert ledger.refused("a", t.PublishTemplate(source="template")) == "EXECUTION_FAULT"


def test_prepared_terms_are_made_again_after_a_fault(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ledger.machine._context
    context.prepared["half"] = context.programs[b"half"] = object()
    break_withdraw(monkeypatch, KeyError("x"))
    assert ledger.refused("a", t.Withdraw(from_="a", amount=MONEY)) == "EXECUTION_FAULT"
    assert not context.prepared
    assert not context.programs


@pytest.fixture
def shallow() -> Iterator[Callable[[int], None]]:
    """Sets how many more frames the stack may take from here."""
    before = sys.getrecursionlimit()
    depth = 0
    frame = sys._getframe()
    while frame.f_back is not None:
        depth, frame = depth + 1, frame.f_back
    yield lambda frames: sys.setrecursionlimit(depth + frames)
    sys.setrecursionlimit(before)


DEEP = 250  # frames that any transaction needs, at most; a quarter of Python's usual limit


@pytest.mark.parametrize("kind", ["parentheses", "sum", "product", "tiers", "comments"])
def test_no_source_needs_a_deep_stack(kind: str, ledger: Ledger, shallow: Callable[[int], None]) -> None:
    """RecursionError depends on who calls, so limits have to make it impossible."""
    value = {
        "parentheses": "(" * 24 + "fee" + ")" * 24,
        "sum": "fee" + " + fee" * 64,
        "product": "fee" + " * 2" * 40,
    }.get(kind, "fee")
    tiers = "".join(f"up to {n} -> price;" for n in range(1, 64)) if kind == "tiers" else ""
    source = f"""template deep version 1.0.0 "Deep" {{ {"#x" * 5000 + chr(10) if kind == "comments" else ""}
      parties {{ a: one; b: one; }} assets {{ work: image; }} currency EUR scale 2 round half_even;
      params {{ fee: money in EUR 1.00 .. EUR 2.00; price: money per u in EUR 0.01 .. EUR 0.02; }}
      period month monthly close after 1 day;
      facts {{ f: count<u> in 0 .. 100 from a per month else zero; }}
      rate r on f marginal over month {{ {tiers} above -> price; }}
      pay P "P" on activated {{ let x = {value}; a pays x to b; }}
      pay Q "Q" at close of month {{ a owes r(f) to b due in 1 day; }}
    }}"""
    tx = ledger.tx("a", t.PublishTemplate(source=source))
    shallow(DEEP)
    [done] = ledger.machine.execute(
        BlockInput(height=ledger.height + 1, timestamp_ms=ledger.now + 1, transactions=[tx])
    ).executed
    assert done.status is Status.COMMITTED, done.read().refusal

"""Exactly once, validity and authority: what a transaction may do before any rule of money is asked."""

from __future__ import annotations

import pytest
from licet.records import encode
from licet.transactions import AddKey, Key, Money, RegisterParty, RevokeKey, Transaction, Transfer

from licensing_vm.transition import BlockInput, Machine, Status
from tests.unit.licensing_vm.domain.kit import EUR, Ledger, key_of

CENT = Money(currency="EUR", minor=10_000)


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger()
    ledger.party("payer", "payee")
    ledger.fund("payer", 100 * EUR)
    return ledger


def outcome(ledger: Ledger, *transactions: Transaction) -> list[tuple[Status, str]]:
    return [(done.status, done.code) for done in ledger.block(*transactions).executed]


COMMITTED = (Status.COMMITTED, "")
REPEATED = (Status.REPEATED, "")


def refused(code: str) -> tuple[Status, str]:
    return Status.REFUSED, code


def test_a_replay_leaves_no_receipt_and_names_the_first(ledger: Ledger) -> None:
    tx = ledger.tx("payer", Transfer(to="payee", amount=CENT))
    assert outcome(ledger, tx, tx) == [COMMITTED, REPEATED]
    receipts = len(ledger.receipts)
    result = ledger.block(tx)
    assert result.executed[0].status is Status.REPEATED
    assert result.executed[0].place == (ledger.height - 1, 0)
    assert list(result.leaves) == []
    assert len(ledger.receipts) == receipts
    assert ledger.balance("payee") == 10_000


def test_another_body_under_the_same_id_is_refused(ledger: Ledger) -> None:
    first = ledger.tx("payer", Transfer(to="payee", amount=CENT), id_=b"x" * 16)
    second = ledger.tx("payer", Transfer(to="payee", amount=Money(currency="EUR", minor=1)), id_=b"x" * 16)
    other_sender = ledger.tx("bank", Transfer(to="payee", amount=CENT), id_=b"x" * 16)
    assert outcome(ledger, first, second, other_sender) == [
        COMMITTED,
        refused("ID_REUSED"),
        refused("INSUFFICIENT_FUNDS"),
    ]


def test_a_dry_run_sees_the_ids_a_block_of_its_time_would_see(ledger: Ledger) -> None:
    first = ledger.tx("payer", Transfer(to="payee", amount=CENT), id_=b"x" * 16)
    ledger.block(first)
    other = ledger.tx(
        "payer",
        Transfer(to="payee", amount=Money(currency="EUR", minor=1)),
        id_=b"x" * 16,
        valid_for_ms=400_000,
    )
    within, after = ledger.now + 300_000, ledger.now + 300_001
    for now_ms, code in ((within, "ID_REUSED"), (after, None), (within, "ID_REUSED")):
        refusal = ledger.machine.dry_run(other, now_ms).refusal
        assert (refusal.code if refusal else None) == code
    assert ledger.block(other, at_ms=within).executed[0].code == "ID_REUSED"


def test_a_refusal_consumes_the_id(ledger: Ledger) -> None:
    tx = ledger.tx("payer", Transfer(to="payee", amount=Money(currency="EUR", minor=101 * EUR)))
    assert outcome(ledger, tx, tx) == [refused("INSUFFICIENT_FUNDS"), REPEATED]
    ledger.fund("payer", 100 * EUR)
    assert outcome(ledger, tx) == [REPEATED]
    again = ledger.tx("payer", Transfer(to="payee", amount=CENT), id_=tx.body.id)
    assert outcome(ledger, again) == [refused("ID_REUSED")]


def test_a_signer_without_authority_burns_nobodys_id(ledger: Ledger) -> None:
    body = (Transfer(to="payee", amount=CENT),)
    forged = ledger.tx("payer", *body, id_=b"y" * 16, keys=[key_of("payee")])
    assert outcome(ledger, forged) == [refused("NO_AUTHORITY")]
    assert not ledger.receipts[-1].consumed
    real = ledger.tx("payer", *body, id_=b"y" * 16)
    assert outcome(ledger, real) == [COMMITTED]


def test_times_outside_the_window_consume_nothing(ledger: Ledger) -> None:
    move = Transfer(to="payee", amount=CENT)
    expired = ledger.tx("payer", move, id_=b"z" * 16, valid_for_ms=-1)
    early = ledger.tx("payer", move, id_=b"z" * 16, valid_for_ms=400_000)
    good = ledger.tx("payer", move, id_=b"z" * 16)
    assert outcome(ledger, expired, early, good) == [
        refused("TX_EXPIRED"),
        refused("TX_TOO_FAR_AHEAD"),
        COMMITTED,
    ]


def test_the_window_is_inclusive_at_both_ends(ledger: Ledger) -> None:
    last = ledger.tx("payer", Transfer(to="payee", amount=CENT), valid_for_ms=1_000)
    first = ledger.tx("payer", Transfer(to="payee", amount=CENT), valid_for_ms=301_000)
    assert outcome(ledger, last, first) == [COMMITTED, COMMITTED]


def test_a_repeat_is_found_as_long_as_it_could_execute_and_forgotten_later(ledger: Ledger) -> None:
    tx = ledger.tx("payer", Transfer(to="payee", amount=CENT), valid_for_ms=301_000)
    executed_at = ledger.now + 1_000
    ledger.block(tx, at_ms=executed_at)
    assert [done.status for done in ledger.block(tx, at_ms=executed_at + 300_000).executed] == [
        Status.REPEATED
    ]
    done = ledger.block(tx, at_ms=executed_at + 300_001).executed[0]
    assert (done.status, done.code) == (Status.REFUSED, "TX_EXPIRED")


def test_the_index_is_rebuilt_from_the_last_windows_receipts(ledger: Ledger) -> None:
    spent = ledger.tx("payer", Transfer(to="payee", amount=CENT))
    forged = ledger.tx("payer", Transfer(to="payee", amount=CENT), keys=[key_of("payee")])
    ledger.block(spent, forged)
    again = Machine(ledger.state, ledger.genesis)
    for receipt in ledger.receipts:
        again.remember(receipt)
    block = BlockInput(height=ledger.height + 1, timestamp_ms=ledger.now + 1, transactions=[spent, forged])
    one, other = again.execute(block), ledger.machine.execute(block)
    assert one.executed == other.executed
    assert [done.status for done in one.executed] == [Status.REPEATED, Status.REFUSED]


def test_another_chains_transaction_is_refused(ledger: Ledger) -> None:
    tx = ledger.tx("payer", Transfer(to="payee", amount=CENT), chain_id=b"\1" * 32)
    assert outcome(ledger, tx) == [refused("WRONG_CHAIN")]


def test_a_discarded_block_never_happened(ledger: Ledger) -> None:
    tx = ledger.tx("payer", Transfer(to="payee", amount=CENT))
    block = BlockInput(height=ledger.height + 1, timestamp_ms=ledger.now + 1, transactions=[tx])
    first = ledger.machine.execute(block)
    ledger.machine.discard()
    second = ledger.machine.execute(block)
    ledger.machine.discard()
    assert (first.writes, first.executed) == (second.writes, second.executed)
    assert outcome(ledger, tx) == [COMMITTED]


def test_a_dry_run_tells_the_receipt_and_changes_nothing(ledger: Ledger) -> None:
    tx = ledger.tx("payer", Transfer(to="payee", amount=CENT))
    foreseen = ledger.machine.dry_run(tx, ledger.now + 1_000)
    assert foreseen.committed
    assert ledger.balance("payee") == 0
    assert outcome(ledger, tx) == [COMMITTED]
    assert encode(foreseen) == encode(ledger.receipts[-1])
    poor = ledger.tx("payee", Transfer(to="payer", amount=Money(currency="EUR", minor=EUR)))
    assert not ledger.machine.dry_run(poor, ledger.now).committed
    assert ledger.machine.dry_run(poor, ledger.now, unfunded=True).committed
    nobody = ledger.tx("payer", Transfer(to="payee", amount=CENT), keys=[key_of("payee")])
    assert not ledger.machine.dry_run(nobody, ledger.now).committed
    assert ledger.machine.dry_run(nobody, ledger.now, trusted=True).committed


def test_keys_have_scopes_and_expire(ledger: Ledger) -> None:
    pay = Key(public_key=key_of("pay-key"), scopes=("pay",))
    short = Key(public_key=key_of("short"), scopes=("pay",), expires_ms=ledger.now + 60_000)
    ledger.run("payer", AddKey(key=pay), AddKey(key=short))
    move = Transfer(to="payee", amount=CENT)
    by_pay = ledger.tx("payer", move, keys=[pay.public_key])
    by_short = ledger.tx("payer", move, keys=[short.public_key])
    govern = ledger.tx("payer", RevokeKey(public_key=pay.public_key), keys=[pay.public_key])
    assert outcome(ledger, by_pay, by_short, govern) == [COMMITTED, COMMITTED, refused("NO_AUTHORITY")]
    late = ledger.tx("payer", move, keys=[short.public_key], valid_for_ms=200_000)
    assert [d.code for d in ledger.block(late, at_ms=ledger.now + 120_000).executed] == ["NO_AUTHORITY"]
    ledger.run("payer", RevokeKey(public_key=pay.public_key))
    revoked = ledger.tx("payer", move, keys=[pay.public_key])
    assert outcome(ledger, revoked) == [refused("NO_AUTHORITY")]


def test_parties_keep_a_key_that_can_rotate_the_others(ledger: Ledger) -> None:
    assert ledger.refused("payer", RevokeKey(public_key=key_of("payer"))) == "LAST_KEY"
    assert ledger.refused("payer", RevokeKey(public_key=key_of("other"))) == "INVALID_KEY"
    bad = Key(public_key=bytes(32), scopes=("all",))  # type: ignore[arg-type]
    assert ledger.refused("payer", AddKey(key=bad)) == "INVALID_KEY"
    scope = Key(public_key=key_of("k"), scopes=("everything",))
    assert ledger.refused("payer", AddKey(key=scope)) == "INVALID_KEY"
    assert (
        ledger.refused("payer", AddKey(key=Key(public_key=key_of("payer"), scopes=("all",)))) == "INVALID_KEY"
    )
    only_pay = RegisterParty(name="x", kind="agent", keys=(Key(public_key=key_of("x"), scopes=("pay",)),))
    assert outcome(ledger, ledger.tx("x", only_pay)) == [refused("NO_AUTHORITY")]
    twice = RegisterParty(name="x", kind="agent", keys=(Key(public_key=key_of("payer"), scopes=("all",)),))
    assert ledger.refused("payer", twice) == "NAME_TAKEN"
    assert ledger.refused("nobody", Transfer(to="payee", amount=CENT)) == "NO_AUTHORITY"


def test_a_new_party_may_register_and_act_in_one_transaction(ledger: Ledger) -> None:
    register = RegisterParty(
        name="New", kind="person", keys=(Key(public_key=key_of("new"), scopes=("all",)),)
    )
    ledger.block(
        ledger.tx("new", register, Transfer(to="payee", amount=CENT)),
        ledger.tx("new", register),
    )
    # The first is refused as a whole for lack of funds, so the second registers.
    assert [r.committed for r in ledger.receipts[-2:]] == [False, True]


def test_closed_registration_needs_a_registrar() -> None:
    ledger = Ledger(open_registration=False)
    register = RegisterParty(
        name="New", kind="person", keys=(Key(public_key=key_of("new"), scopes=("all",)),)
    )
    assert ledger.refused("new", register) == "NOT_SIGNED"
    assert ledger.refused("new", register, signers=["bank"]) == "NOT_SIGNED"
    ledger.run("new", register, signers=["clerk"])


def test_a_discarded_later_block_forgets_nothing(ledger: Ledger) -> None:
    """What is known during a block depends on its time alone."""
    tx = ledger.tx("payer", Transfer(to="payee", amount=CENT), valid_for_ms=301_000)
    ledger.block(tx)
    late = BlockInput(height=ledger.height + 1, timestamp_ms=ledger.now + 400_000, transactions=[tx])
    assert ledger.machine.execute(late).executed[0].code == "TX_EXPIRED"
    ledger.machine.discard()
    assert outcome(ledger, tx) == [REPEATED]

"""What a block meets for the first time is charged by the block and the state, never by what a node holds
(C-16): accounts, keys of parties, long assets, searched rights. And state is of the transactions, not of how
they were grouped into blocks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from licet import transactions as t
from licet.entities import KeyRecord, Party, Rights, SharedRight, party_key, rights_key
from licet.records import encode

from licensing_vm import foresight
from licensing_vm.domain import assets, lineage
from licensing_vm.domain.reach import ACCOUNT, KEY, KEYS_FREE
from licensing_vm.foresight import Foresight
from licensing_vm.state import State
from licensing_vm.transition import BlockInput, BlockResult, Machine
from tests.property.worst import accept, money, offered, world
from tests.unit.licensing_vm.domain.kit import EUR, Ledger, key_of
from tests.unit.licensing_vm.domain.test_reach import narrow

CROWD = tuple(f"s{n}" for n in range(40))


def crowded() -> Ledger:
    ledger = Ledger()
    ledger.party(*CROWD)
    for name in CROWD:
        ledger.fund(name, EUR)
    return ledger


def transfers(ledger: Ledger) -> list[t.Transaction]:
    """Each from one stranger to the next."""
    return [
        ledger.tx(name, t.Transfer(to=CROWD[at + 1], amount=money(1))) for at, name in enumerate(CROWD[:-1])
    ]


def test_accounts_that_a_block_has_no_room_for_wait_for_a_later_one(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = crowded()
    moves = transfers(ledger)
    narrow(monkeypatch, 10 * ACCOUNT)
    done = ledger.block(*moves, ledger.tx(CROWD[0], t.Transfer(to=CROWD[1], amount=money(2)))).executed
    assert [one.code for one in done] == [""] * 9 + ["BLOCK_FULL"] * 30 + [""], "who was met is met"
    assert not any(one.consumed for one in done[9:-1])
    assert [one.code for one in ledger.block(*moves[9:18]).executed] == [""] * 9


def test_more_accounts_than_a_block_has_room_for_are_refused_for_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = crowded()
    narrow(monkeypatch, 3 * ACCOUNT)
    many = ledger.tx(CROWD[0], *(t.Transfer(to=name, amount=money(1)) for name in CROWD[1:4]))
    [done] = ledger.block(many).executed
    assert (done.code, done.consumed) == ("TOO_WIDE", True)


def test_wide_terms_never_take_what_transfers_need() -> None:
    ledger = world()
    ledger.party(*CROWD[:2])
    ledger.fund(CROWD[0], EUR)
    offered(ledger, "o", 512, verb="owes")
    wide = [accept(ledger, "o", f"a{n}") for n in range(4)]
    plain = ledger.tx(CROWD[0], t.Transfer(to=CROWD[1], amount=money(1)))
    assert [one.code for one in ledger.block(*wide, plain).executed] == ["", *["BLOCK_FULL"] * 3, ""]


def test_whoever_fills_a_block_counts_the_accounts_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    moves = transfers(crowded())
    monkeypatch.setattr(foresight, "room_beside", lambda declared: 10 * ACCOUNT)
    room = Foresight().room()
    assert room.takes(moves[:5], 1)
    assert room.takes(moves[2:9], 1), "accounts that are named again are met once"
    assert not room.takes(moves[9:10], 1)
    assert room.takes(moves[:9], 1)


def test_keys_are_counted_without_decoding_and_paid_for_once() -> None:
    for keys in (1, 2, 16):
        party = Party(
            party="p" * 64,
            name="ü" * 100,
            kind="person",
            keys=tuple(
                KeyRecord(public_key=bytes([n]) * 32, scopes=("all",), expires_ms=0) for n in range(keys)
            ),
            roles=(),
        )
        key = party_key(party.party)
        state = State({key: encode(party)}.get, 10)
        assert state.keys_of(key) == keys
        assert state.get(key, Party) == party
        assert state.keys_of(key) == keys
    assert state.keys_of(b"party/nobody") == 0

    ledger = Ledger()
    ledger.party("a", "b")
    ledger.fund("a", EUR)
    for n in range(10):
        ledger.run("a", t.AddKey(key=t.Key(public_key=key_of(f"a{n}"), scopes=("all",))))
    move = [ledger.tx("a", t.Transfer(to="b", amount=money(n + 1))) for n in range(2)]
    cold = Machine(dict(ledger.state), ledger.genesis, height=ledger.height)
    block = BlockInput(height=ledger.height + 1, timestamp_ms=ledger.now, transactions=move)
    for machine in (cold, ledger.machine):
        assert machine.execute(block).work == (11 - KEYS_FREE) * KEY + 2 * ACCOUNT
        machine.discard()


def test_searched_rights_cost_the_same_on_a_node_that_remembers_them() -> None:
    ledger = world()
    offered(ledger, "o", 2)
    ledger.run("buyer", t.AcceptOffer(agreement="a0", offer="o"))
    key = rights_key("w")
    [shared] = ledger.read(key, Rights).shared
    more = tuple(replace(shared, media=(medium,)) for medium in ("print", "online"))
    territories = tuple(replace(shared, territories=(code,)) for code in ("DE", "FR", "IT", "ES"))
    extents: tuple[SharedRight, ...] = (*more, *territories, shared)
    ledger.state[key] = encode(Rights(exclusive=(), shared=extents))
    warm = Machine(ledger.state, ledger.genesis, height=ledger.height)
    sales = [accept(ledger, "o", f"b{n}") for n in range(3)]

    def run(machine: Machine) -> BlockResult:
        block = BlockInput(height=machine.height + 1, timestamp_ms=ledger.now + 1, transactions=sales)
        return machine.execute(block)

    first = run(warm)
    warm.discard()
    again = run(warm)
    warm.discard()
    cold = run(Machine(ledger.state, ledger.genesis, height=ledger.height))
    assert first.work == again.work == cold.work
    assert first.writes == again.writes == cold.writes


def test_a_link_that_makes_a_work_too_long_to_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger()
    ledger.party("maker")
    ledger.asset("maker", "root", "left", "right", "child")
    ledger.link("left", "root", 10**6)
    ledger.link("right", "root", 10**6)
    ledger.link("child", "left", 10**6)
    monkeypatch.setattr(lineage, "READING_MAX", 150)
    link = t.LinkLineage(child="child", parent="right", relation="derived", rate_e9=10**6)
    assert ledger.refused("maker", link) == "LINEAGE_REFUSED"
    monkeypatch.undo()
    ledger.run("maker", link)


def test_a_work_that_others_derive_from_keeps_few_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger()
    ledger.party("maker")
    ledger.asset("maker", "root", "child")
    monkeypatch.setattr(assets, "DERIVED_HASHES_MAX", 2)
    hashes = tuple(bytes([n]) * 32 for n in range(3))
    ledger.run("maker", t.AddAssetVersion(asset="root", content_hashes=hashes))
    ledger.link("child", "root", 10**6)
    ledger.run("maker", t.AddAssetVersion(asset="root", content_hashes=hashes))
    more = t.AddAssetVersion(asset="root", content_hashes=(*hashes, bytes(32)))
    assert ledger.refused("maker", more) == "TOO_MANY"
    ledger.run("maker", t.AddAssetVersion(asset="child", content_hashes=(*hashes, bytes(32))))


def test_a_balance_that_comes_and_goes_in_one_block_is_stored_as_zero() -> None:
    """As it is if it goes in a later one: how transactions are grouped does not matter."""
    ends = []
    for together in (True, False):
        ledger = Ledger()
        ledger.party("a", "b")
        ledger.fund("a", EUR)
        there = ledger.tx("a", t.Transfer(to="b", amount=money(5)))
        back = ledger.tx("b", t.Transfer(to="a", amount=money(5)))
        height, at = ledger.height, ledger.now + 1
        for part in [[there, back]] if together else [[there], [back]]:
            ledger.height = height
            assert not any(done.code for done in ledger.block(*part, at_ms=at).executed)
        ends.append(ledger.state)
    assert ends[0] == ends[1]
    assert any(key.startswith(b"balance/b/cash/") for key in ends[0])


def test_a_balance_that_a_refusal_takes_back_is_not_stored() -> None:
    ledger = Ledger()
    ledger.party("a", "b")
    ledger.fund("a", EUR)
    twice = ledger.tx("a", t.Transfer(to="b", amount=money(5)), t.Transfer(to="b", amount=money(2 * EUR)))
    before = dict(ledger.state)
    assert ledger.block(twice).executed[0].code == "INSUFFICIENT_FUNDS"
    assert ledger.state == before


def test_few_clauses_are_translated_in_one_block_and_results_do_not_tell() -> None:
    """Of eight clauses that have run often enough; the others go on being interpreted."""
    ledger = world()
    offered(ledger, "o", 20, clauses=8)
    for n in range(9):
        ledger.run("buyer", t.AcceptOffer(agreement=f"a{n}", offer="o"))
    [terms] = ledger.machine._context.programs.values()

    def translated() -> int:
        return sum(run is not None for run in terms.loaded._run)

    first = translated()
    assert 0 < first < 8
    for n in range(9, 20):
        ledger.run("buyer", t.AcceptOffer(agreement=f"a{n}", offer="o"))
    assert translated() == 8
    fresh = Machine(ledger.state, ledger.genesis, height=ledger.height)
    block = BlockInput(
        height=ledger.height + 1, timestamp_ms=ledger.now + 1, transactions=[accept(ledger, "o", "b")]
    )
    both = [machine.execute(block) for machine in (ledger.machine, fresh)]
    ledger.machine.discard()
    assert both[0].writes == both[1].writes

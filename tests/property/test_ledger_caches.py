"""No cache is a source of truth: a machine that holds ready what others asked it, and one that has just
started from the same state, answer every block with the same bytes and count the same work.

Blocks are made of what is right and of what is almost right, one field away: there a check that stands
only where nothing is cached would be missed. Questions (dry runs) are open to anyone and fill caches, so
they come in between.
"""

from __future__ import annotations

import typing
from dataclasses import fields, replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from licet import transactions as t

from licensing_vm.transition import BlockInput, BlockResult, Machine
from tests.property.test_ledger_hostile import of
from tests.property.test_ledger_sequences import COMMANDS, OFFERS, PARTIES, in_february
from tests.unit.licensing_vm.domain.kit import Ledger, offer_of

SLOTS = {"flat": "work", "style": "work", "use": "creative", "either": "work"}
WORKS = {"flat": ("picture",), "style": ("work",), "use": ("ad",), "either": ("picture", "poster")}


def world() -> Ledger:
    """Besides the offers of one work each, one that lets the buyer choose among two."""
    ledger = in_february()
    ledger.asset("studio", "poster")
    flat = next(
        bytes.fromhex(key.partition(b"/")[2].decode())
        for key, value in ledger.state.items()
        if key.startswith(b"template/") and b"stock.image_flat" in value
    )
    pair = {"licensor": "studio", "agency": "agency"}
    either = offer_of("either", flat, pair, {"fee": "EUR 9.99"}, {"work": "picture"})
    both = (*either.assets, t.AssetBinding(slot="work", asset="poster"))
    ledger.run("studio", replace(either, assets=both))
    return ledger


@st.composite
def acceptances(draw: st.DrawFn) -> t.AcceptOffer:
    offer = draw(st.sampled_from((*OFFERS, "either")))
    chosen = t.AssetBinding(slot=SLOTS[offer], asset=draw(st.sampled_from(WORKS[offer])))
    assets = (chosen,) if offer == "either" or draw(st.booleans()) else ()
    return t.AcceptOffer(agreement=draw(st.sampled_from(("n1", "n2", "n3"))), offer=offer, assets=assets)


@st.composite
def almost(draw: st.DrawFn, value: Any) -> Any:
    """The same, one field away."""
    hints = typing.get_type_hints(type(value))
    name = draw(st.sampled_from([field.name for field in fields(value)]))
    held = getattr(value, name)
    if isinstance(held, tuple) and held and hasattr(held[0], "__slots__"):
        at = draw(st.integers(0, len(held) - 1))
        changed = (*held[:at], draw(almost(held[at])), *held[at + 1 :])
        return replace(value, **{name: changed})
    if isinstance(value, t.ReportUsage) and name in ("agreement_index", "offset_ms", "quantity"):
        return replace(value, **{name: [draw(st.integers(0, 3)) for _ in held]})
    return replace(value, **{name: draw(of(hints[name], name))})


RIGHT = COMMANDS | acceptances() | acceptances()
COMMAND = RIGHT | RIGHT.flatmap(almost)


def executed(machine: Machine, block: BlockInput) -> tuple[BlockResult, list[bytes]]:
    result = machine.execute(block)
    return result, list(result.leaves)


def agree(ledger: Ledger, blocks: list[list[tuple[str, t.Command]]], asked: set[int]) -> None:
    """Execute these blocks on a machine that goes on and on new ones, with questions before some."""
    state = dict(ledger.state)
    warm_state = dict(ledger.state)
    warm = Machine(warm_state, ledger.genesis, height=ledger.height)
    for number, commands in enumerate(blocks):
        txs = [ledger.tx(sender, command, signers=PARTIES) for sender, command in commands]
        height, now = ledger.height + 1 + number, ledger.now + 1 + number
        if number in asked:
            for tx in txs:
                warm.dry_run(tx, now, trusted=True, unfunded=True)
        block = BlockInput(height=height, timestamp_ms=now, transactions=txs)
        cold = Machine(state, ledger.genesis, height=height - 1)
        ours, theirs = executed(warm, block), executed(cold, block)
        assert ours[0].writes == theirs[0].writes
        assert ours[1] == theirs[1]
        assert ours[0].work == theirs[0].work
        warm.commit()
        for key, value in ours[0].writes.items():
            for held in (state, warm_state):
                if value is None:
                    del held[key]
                else:
                    held[key] = value


def chosen(offer: str, slot: str, asset: str, agreement: str = "n1") -> tuple[str, t.Command]:
    assets = (t.AssetBinding(slot=slot, asset=asset),)
    return "buyer", t.AcceptOffer(agreement=agreement, offer=offer, assets=assets)


def test_a_slot_that_the_terms_do_not_have_is_refused_whatever_is_cached() -> None:
    """Two nodes out of four held a sale's terms ready: they committed it, the others refused, and no root
    had a quorum."""
    right, wrong = chosen("either", "work", "poster"), chosen("either", "bogus", "poster", "n2")
    agree(world(), [[right], [wrong]], set())
    agree(world(), [[right, wrong]], {0})
    ledger = world()
    ledger.run(*right)
    assert ledger.refused(*wrong) == "INVALID_BINDING"


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_what_a_machine_remembers_changes_nothing(data: st.DataObject) -> None:
    parties = st.sampled_from((*PARTIES, "bank"))
    blocks = data.draw(
        st.lists(st.lists(st.tuples(parties, COMMAND), min_size=1, max_size=4), min_size=2, max_size=5)
    )
    agree(_base(), blocks, data.draw(st.sets(st.integers(0, 4), max_size=3)))


_BASE: list[Ledger] = []


def _base() -> Ledger:
    """One world for all examples: `agree` leaves it as it was."""
    if not _BASE:
        _BASE.append(world())
    return _BASE[0]

"""Moulds, events and receipts put together from parts equal the canonical encoding of their records."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from licet.entities import NamedValue
from licet.receipts import Event, JournalEntry, Posting
from licet.records import encode

from licensing_vm.events import EVENTS, event_bytes, event_record
from licensing_vm.mould import Hole, Mould, number_bytes, text_bytes

NAMES = st.text("abcxyz019_.-", min_size=1, max_size=12)
NUMBERS = st.integers(-(2**80), 2**80)


def entry(agreement: str, party: str, changes: list[int], payees: list[str], fact: str) -> JournalEntry:
    return JournalEntry(
        kind="sale",
        clause="P1",
        program_hash=b"h" * 32,
        agreement=agreement,
        currency="EUR",
        issuer="bank",
        facts=(NamedValue(name="calls", value=fact),),
        postings=tuple(
            Posting(party=payee or party, account=1, asset="", change=change)
            for payee, change in zip(payees, changes, strict=True)
        ),
    )


@given(NAMES, NAMES, st.lists(st.tuples(NAMES | st.just(""), NUMBERS), max_size=6), NAMES)
def test_a_filled_mould_is_the_records_encoding(
    agreement: str, party: str, legs: list[tuple[str, int]], fact: str
) -> None:
    payees, changes = [leg[0] for leg in legs], [leg[1] for leg in legs]
    holes = [Hole.number(3 + at) for at in range(len(legs))]
    mould = Mould(entry(Hole.text(0), Hole.text(1), holes, payees, Hole.text(2)), 3 + len(legs), tagged=True)
    filled = mould.fill(
        text_bytes(agreement), text_bytes(party), text_bytes(fact), *map(number_bytes, changes)
    )
    assert filled == encode(entry(agreement, party, changes, payees, fact))


@given(st.sampled_from(sorted(EVENTS)), st.data())
def test_an_events_bytes_are_its_records_encoding(kind: str, data: st.DataObject) -> None:
    attributes = {name: data.draw(st.text(max_size=20)) for name in EVENTS[kind]}
    record = event_record(kind, attributes)
    assert isinstance(record, Event)
    assert event_bytes(kind, attributes) == encode(record)[1:]

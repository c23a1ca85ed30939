"""Whatever a well-formed transaction says, the machine answers with a receipt: nothing a sender writes may
stop it, a refusal's code stands in the table, and a machine that has just started says the same of it as one
that has all ready that it ever computed, asked questions before or not."""

from __future__ import annotations

import types
import typing
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from licet import transactions as t

from licensing_vm.errors import REASONS
from licensing_vm.transition import BlockInput, Machine, Status
from tests.property.test_ledger_sequences import PARTIES, in_february
from tests.unit.licensing_vm.domain.kit import Ledger, key_of

_LEDGER: list[Ledger] = []


def ledger() -> Ledger:
    """One world for all examples: what they leave behind makes the next ones stranger."""
    if not _LEDGER:
        _LEDGER.append(in_february())
    return _LEDGER[0]


def hashes() -> list[bytes]:
    found = [key for key in ledger().state if key.startswith(b"template/")]
    return [bytes.fromhex(key.partition(b"/")[2].decode()) for key in found]


# What stands in a field in good faith; besides, anything.
ASSETS = ("model", "work", "picture", "ad", "new-1", "new-2", "new-3")
_PARTY_FIELDS = dict.fromkeys(("to", "from_", "holder", "party"), PARTIES)
_ASSET_FIELDS = dict.fromkeys(("asset", "child", "parent"), ASSETS)
POOLS: dict[str, tuple[str, ...]] = {
    **_PARTY_FIELDS,
    **_ASSET_FIELDS,
    "offer": ("flat", "style", "use", "new-1"),
    "agreement": ("use-0", "new-1", "new-2"),
    "currency": ("EUR", "USD"),
    "issuer": ("bank", "mint", ""),
    "kind": ("organisation", "image", "style", "generated_image", "composite"),
    "relation": ("derived", "style_of"),
    "right": ("any", "display", "ai"),
    "territory": ("WORLD", "EU", "DE"),
    "scopes": ("all", "pay"),
    "role": ("licensor", "agency", "licensee", "owner", "advertiser", "studio", "artist"),
    "slot": ("work", "creative"),
    "name": ("fee", "where_ok", "artist_share"),
    "value": ("EUR 9.00", "EUR 0.0100", "70%", "EEA", "{DE, FR}"),
    "period": ("month",),
    "fact": ("impressions",),
}
NAMES = tuple(dict.fromkeys(name for pool in POOLS.values() for name in pool))
TEXTS = st.sampled_from(NAMES) | st.text(max_size=8)
EXTREMES = (
    0,
    0,
    1,
    2,
    999_999,
    1_000_000,
    10**9,
    2**31,
    2**32 - 1,
    10**15,
    10**18,
    2**63 - 1,
    2**63,
    2**64 - 1,
)
INTEGERS = st.sampled_from(EXTREMES) | st.integers(1_760_000_000_000, 1_800_000_000_000)
SIGNED = st.sampled_from((-(2**63), -1, *EXTREMES[:-2]))


def of(hint: Any, name: str = "") -> st.SearchStrategy[Any]:
    """A value that the codec could have read into a field of this type."""
    origin = typing.get_origin(hint)
    if hint is str:
        usual = st.sampled_from(POOLS.get(name, NAMES))
        return st.integers(0, 9).flatmap(lambda n: usual if n else TEXTS)
    if hint is int:
        return SIGNED if name == "minor" else INTEGERS
    if hint is bytes or getattr(hint, "__supertype__", None) is bytes:
        known = [key_of(party) for party in PARTIES] if name == "public_key" else hashes()
        return st.sampled_from([*known, bytes(32), b"\xff" * 32])
    if origin is tuple:
        return st.lists(of(typing.get_args(hint)[0], name), max_size=3).map(tuple)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([command(kind) for kind in typing.get_args(hint)])
    return command(hint)


def command(kind: type[Any]) -> st.SearchStrategy[Any]:
    if kind is t.ReportUsage:
        return _report()
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{field.name: of(hints[field.name], field.name) for field in fields(kind)})


@st.composite
def _report(draw: st.DrawFn) -> t.ReportUsage:
    rows = draw(st.integers(1, 4))

    def column(values: st.SearchStrategy[int]) -> Sequence[int]:
        return draw(st.lists(values, min_size=rows, max_size=rows))

    return t.ReportUsage(
        report=draw(TEXTS),
        fact=draw(st.just("impressions") | TEXTS),
        period_start_ms=draw(st.just(1_769_904_000_000) | INTEGERS),
        agreements=tuple(draw(st.lists(st.just("use-0") | TEXTS, min_size=1, max_size=2))),
        agreement_index=column(st.integers(0, 2)),
        offset_ms=column(INTEGERS),
        quantity=column(INTEGERS),
    )


COMMANDS = of(t.Command)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_nothing_a_sender_writes_stops_the_machine(data: st.DataObject) -> None:
    world = ledger()
    sender = data.draw(st.sampled_from((*PARTIES, "bank", "nobody")))
    commands = data.draw(st.lists(COMMANDS, min_size=1, max_size=2))
    tx = world.tx(sender, *commands, signers=PARTIES)
    before = dict(world.state)
    cold = Machine(dict(world.state), world.genesis, height=world.height)
    if data.draw(st.booleans()):
        world.machine.dry_run(tx, world.now + 1, trusted=data.draw(st.booleans()))
    block = BlockInput(height=world.height + 1, timestamp_ms=world.now + 1, transactions=[tx])
    fresh = cold.execute(block)
    result = world.block(tx, at_ms=world.now + 1)
    assert result.writes == fresh.writes
    assert list(result.leaves) == list(fresh.leaves)
    assert result.work == fresh.work
    [done] = result.executed
    if done.status is Status.REFUSED:
        assert done.code in REASONS
        assert world.state == before

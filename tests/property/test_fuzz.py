"""A few rounds of `tests.property.fuzz_terms`, and commands with lists as long as they may be.

The ledger of `kit` fails a test whose transaction meets a contained fault, so what is asked here is that
nothing a sender writes reaches one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from licet import transactions as t
from licet.types import Hash32

from tests.property.fuzz_terms import rounds
from tests.property.test_ledger_hostile import hashes
from tests.property.test_ledger_sequences import PARTIES, in_february
from tests.unit.licensing_vm.domain.kit import key_of

MANY = t.LIST_ITEMS_MAX


@pytest.mark.parametrize("seed", [1, 2])
def test_sources_and_agreements_under_them(seed: int) -> None:
    tally = rounds(seed, count=130)
    assert tally["accepted"] >= 5
    assert tally["CreateAgreement committed"] >= 1


def long_lists() -> Iterator[t.Command]:
    """Each list of each command at its longest: all alike, all different, all unknown."""
    terms = Hash32(hashes()[0])
    for names in (("studio",) * MANY, tuple(f"n{n}" for n in range(MANY)), ("é",) * MANY):
        yield t.RegisterParty(
            name="fresh",
            kind="organisation",
            keys=tuple(t.Key(public_key=key_of("studio"), scopes=(name,)) for name in names),
        )
        yield t.RegisterParty(
            name="fresh", kind="person", keys=(t.Key(public_key=key_of("fresh"), scopes=names),)
        )
        yield t.SetPayoutSheet(
            asset="model", legs=tuple(t.PayoutLeg(party=name, share_ppm=976) for name in names)
        )
        yield t.RegisterAsset(asset="long", kind="image", title="Long", content_hashes=(bytes(32),) * MANY)
        offer = t.CreateOffer(
            offer="long",
            program_hash=terms,
            roles=tuple(t.RoleBinding(role=name, party=name) for name in names),
            params=tuple(t.ParamBinding(name=name, value="EUR 1.00") for name in names),
            assets=tuple(t.AssetBinding(slot="work", asset=name) for name in names),
        )
        yield offer
        yield replace(offer, roles=())
        yield replace(offer, roles=(), params=())
        yield t.CreateAgreement(
            agreement="long", program_hash=terms, roles=offer.roles, params=offer.params, assets=offer.assets
        )
        yield t.AcceptOffer(agreement="long", offer="flat", assets=offer.assets)
        yield t.ReportUsage(
            report="long",
            fact="impressions",
            period_start_ms=0,
            agreements=names,
            agreement_index=[0] * t.REPORT_ROWS_MAX,
            offset_ms=[2**64 - 1] * t.REPORT_ROWS_MAX,
            quantity=[2**64 - 1] * t.REPORT_ROWS_MAX,
        )


def test_lists_as_long_as_they_may_be() -> None:
    ledger = in_february()
    for command in long_lists():
        ledger.block(ledger.tx("studio", command, signers=PARTIES))
    many = [t.Transfer(to="studio", amount=t.Money(currency="EUR", minor=1))] * t.COMMANDS_MAX
    ledger.block(ledger.tx("studio", *many))

"""What a machine found out at one time holds at that time and later, never before: questions are asked at the
asked node's own clock, and the next block may well be of an earlier millisecond (its leader's).

The same of names that were taken back, and of machines that are asked at random times between blocks.
"""

from __future__ import annotations

import pytest
from licet import transactions as t

from licensing_vm.calendar import DAY_MS
from licensing_vm.domain import reach
from licensing_vm.errors import Refused
from licensing_vm.transition import BlockInput, Machine
from tests.property.test_ledger_sequences import in_february
from tests.unit.licensing_vm.domain.kit import Ledger, offer_of, publish, roles_of


def test_a_reservation_that_ends_soon_stands_until_then_whatever_was_asked_of_later() -> None:
    """A question about a time behind the reservation's end made a node sell what others refused."""
    ledger = in_february()
    ledger.asset("studio", "poster")
    free = publish(ledger, "stock.image_flat", replaced={"stock.image_flat": "stock.free"})
    reserved = publish(
        ledger,
        "stock.image_flat",
        replaced={"stock.image_flat": "stock.reserved", "exclusive no": "exclusive yes", "2 years": "1 days"},
    )
    pair = {"licensor": "studio", "agency": "agency"}
    ledger.run("studio", offer_of("free", free, pair, {"fee": "EUR 9.99"}, {"work": "poster"}))
    taken = t.CreateAgreement(
        agreement="taken",
        program_hash=reserved,  # type: ignore[arg-type]
        roles=roles_of(**pair, licensee="other"),
        params=(t.ParamBinding(name="fee", value="EUR 9.99"),),
        assets=(t.AssetBinding(slot="work", asset="poster"),),
        effective_ms=0,
    )
    ledger.run("studio", taken, signers=("agency", "other"))
    end = ledger.now + DAY_MS
    ledger.run("buyer", t.AcceptOffer(agreement="later", offer="free", effective_ms=end))

    ledger.now = end - 1_000
    tx = ledger.tx("buyer", t.AcceptOffer(agreement="now", offer="free"))
    assert ledger.machine.dry_run(tx, end + 1).refusal is None
    assert _executed_anew(ledger, tx, end - 10) == "EXCLUSIVE_OVERLAP"
    [done] = ledger.block(tx, at_ms=end - 10).executed
    assert done.code == "EXCLUSIVE_OVERLAP"


def test_what_is_asked_for_in_vain_is_remembered_once() -> None:
    """Each refused acceptance used to add to what its terms rest on, and later looks were longer."""
    ledger = in_february()
    ledger.run("studio", t.RegisterClaim(claim="all", asset="picture", holder="other", share_ppm=1_000_000))
    buy = t.AcceptOffer(agreement="vain", offer="flat")
    assert ledger.refused("buyer", buy) == "NO_TITLE"
    [bound] = [one for one in ledger.machine._context.prepared.values() if one.owner == "flat"]
    rests_on = len(bound.sources)
    for _ in range(3):
        assert ledger.refused("buyer", buy) == "NO_TITLE"
    assert ledger.machine._context.prepared["flat", ()] is bound
    assert len(bound.sources) == rests_on


def test_a_simulation_beyond_what_a_block_may_do_is_refused_by_a_node_that_did_nothing_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """How much room there is was asked of the last transaction: there need not have been one."""
    ledger = in_february()
    machine = Machine(ledger.state, ledger.genesis, height=ledger.height)
    monkeypatch.setattr(reach, "WORK_PER_BLOCK", 100)
    monkeypatch.setattr(reach, "WORK_MIN", 100)
    with pytest.raises(Refused, match="too many") as refused:
        machine.simulate("use-0", "month", {"impressions": 1}, ledger.now)
    assert refused.value.code == "TOO_WIDE"


def _executed_anew(ledger: Ledger, tx: t.Transaction, at_ms: int) -> str:
    """The code that a machine gives which has just started."""
    machine = Machine(ledger.state, ledger.genesis, height=ledger.height)
    block = BlockInput(height=ledger.height + 1, timestamp_ms=at_ms, transactions=[tx])
    [done] = machine.execute(block).executed
    return done.code

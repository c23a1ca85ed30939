"""Every command, warm and cold: a machine that goes on, asked questions of other times in between and made to
discard blocks, one that keeps hardly anything, and one that has just started give the same bytes, codes,
order of writes and work, in blocks with room and in blocks that are full.
"""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from licet import transactions as t
from licet.errors import LicetError
from licet.transactions import Transaction

from licensing_vm.domain import (
    activation,
    agreements,
    assets,
    booking,
    context,
    programs,
    reach,
    rights,
    usage,
)
from licensing_vm.program import codegen
from licensing_vm.transition import BlockInput, BlockResult, Machine, Place
from tests.property.caches_world import STEPS, Maker, forms, world
from tests.unit.licensing_vm.domain.kit import Ledger, offer_of

_BASE: list[Ledger] = []


def _base() -> Ledger:
    """One world for all examples, which leave it as it was."""
    if not _BASE:
        _BASE.append(world())
    return _BASE[0]


class Node:
    """A machine with a state of its own."""

    def __init__(self, ledger: Ledger, **options: Any) -> None:
        self.state = dict(ledger.state)
        self.machine = Machine(self.state, ledger.genesis, height=ledger.height, **options)

    def execute(self, block: BlockInput) -> dict[str, Any]:
        """What all nodes have to agree on, and what they keep of it."""
        result = self.machine.execute(block)
        said = _said(result)
        self.machine.commit()
        for key, value in result.writes.items():
            if value is None:
                del self.state[key]
            else:
                self.state[key] = value
        return said


def _said(result: BlockResult) -> dict[str, Any]:
    return {
        "leaves": list(result.leaves),
        "writes": list(result.writes.items()),
        "executed": [tuple(done) for done in result.executed],
        "work": result.work,
        "rows": result.rows,
        "faults": list(result.faults),
    }


def _ask(machine: Machine, random: Random, txs: list[Transaction], now: int) -> None:
    """Questions, as anybody may ask them of a node whose clock is a little before or behind."""
    for tx in random.sample(txs, min(len(txs), 3)):
        at = max(1, now + random.choice((*STEPS, 86_400_000)))
        machine.dry_run(tx, at, trusted=random.random() < 0.5, unfunded=random.random() < 0.5)
    with suppress(LicetError):
        machine.simulate(random.choice(("n0", "n1", "n2")), "month", {"impressions": 7_000}, now)


def run(seed: int, blocks: int, *, size: int = 5) -> list[str]:
    """Execute random blocks on all nodes and compare; the codes that came of them."""
    random = Random(seed)
    maker, ledger = Maker(random), _base()
    warm, tepid = Node(ledger), Node(ledger, cache_entries=random.choice((0, 20, 60)))
    jumps = (
        *[random.choice((1, 1, 5, 40))] * 12,
        60_000,
        12 * 3_600_000,
        random.choice((1, 30 * 86_400_000)),
    )
    now, codes = ledger.now, list[str]()
    earlier: list[Transaction] = []
    used: list[tuple[str, bytes, bytes, Place, int]] = []
    for height in range(ledger.height + 1, ledger.height + 1 + blocks):
        now += random.choice(jumps)
        maker.now = now
        ledger.now = now  # for the transactions' own times
        txs: list[Transaction] = []
        for _ in range(random.randrange(1, size + 1)):
            if earlier and random.random() < 0.06:
                txs.append(random.choice(earlier))
                continue
            sent = maker.sent()
            txs.append(ledger.tx(sent.sender, *sent.commands, keys=sent.keys))
        earlier = (earlier + txs)[-20:]
        if random.random() < 0.6:
            _ask(warm.machine, random, earlier, now)
        if random.random() < 0.2:  # another block at this height, which does not come to stay
            other = random.sample(earlier, min(len(earlier), 4))
            at = max(1, now + random.choice((-1, 0, 5_000, 86_400_000)))
            warm.machine.execute(BlockInput(height=height, timestamp_ms=at, transactions=other))
            warm.machine.discard()
        block = BlockInput(height=height, timestamp_ms=now, transactions=txs)
        cold = Node(ledger)
        cold.state = dict(warm.state)
        cold.machine = Machine(cold.state, ledger.genesis, height=height - 1)
        for use in used:
            cold.machine.remember_id(*use)
        said = warm.execute(block)
        for other_node in (tepid, cold):
            assert other_node.execute(block) == said, (seed, height)
        assert tepid.state == warm.state == cold.state
        for tx, done in zip(txs, said["executed"], strict=True):
            codes.append(done[4])
            if done[7] and done[3]:
                used.append((tx.body.sender, tx.body.id, tx.hash, done[2], now))
    return codes


def _kept_low(patch: pytest.MonkeyPatch, random: Random) -> None:
    """Now and then no room for much, so that budgets end everywhere; and tables that forget at once."""
    room = random.choice((30_000, 30_000, 700, 1_500, 4_000))
    patch.setattr(reach, "WORK_PER_BLOCK", room)
    patch.setattr(reach, "WORK_MIN", room // 2)
    if random.random() < 0.5:  # as if all records were long
        for module, name in ((rights, "ENTRIES_FREE"), (context, "KEYS_FREE"), (context, "MET_FREE")):
            patch.setattr(module, name, 0)
        for module, name in ((booking, "MET_FREE"), (assets, "MET_FREE"), (context, "PARTIES_FREE")):
            patch.setattr(module, name, 0)
        patch.setattr(rights, "SHARED_MAX", 2)
        patch.setattr(activation, "SALE_FREE", 0)
        patch.setattr(usage, "AGREEMENTS_FREE", 0)
    patch.setattr(codegen, "RUNS_INTERPRETED", random.choice((0, 1, 8)))
    patch.setattr(agreements, "BOUND_KEPT", random.choice((8_192, 1, 3)))
    patch.setattr(programs, "PROGRAMS_KEPT", random.choice((1_024, 1, 3)))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 1 << 32))
def test_every_command_says_the_same_warm_and_cold(seed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        _base()
        _kept_low(patch, Random(seed))
        run(seed, 12)


def test_a_publication_that_is_taken_back_leaves_nothing_to_write() -> None:
    """A program was written unread and rolled back; who looked for it afterwards met it as deleted."""
    ledger, form = _base(), forms()[-1]
    broke = t.Transfer(to="other", amount=t.Money(currency="EUR", minor=10**12))
    taken_back = ledger.tx("studio", t.PublishTemplate(source=form.source), broke)
    params = {"fee": form.fee}
    offer = ledger.tx(
        "studio", offer_of("late", form.digest, dict(form.roles), params, {form.slot: form.kinds[0]})
    )
    block = BlockInput(height=ledger.height + 1, timestamp_ms=ledger.now, transactions=[taken_back, offer])
    cold, warm = Node(ledger), Node(ledger)
    warm.machine.dry_run(offer, ledger.now)
    said = cold.execute(block)
    assert said["writes"] == []
    assert [done[4] for done in said["executed"]] == ["INSUFFICIENT_FUNDS", "UNKNOWN_TEMPLATE"]
    assert warm.execute(block) == said
    again = ledger.tx("studio", t.PublishTemplate(source=form.source))
    block = BlockInput(height=ledger.height + 1, timestamp_ms=ledger.now, transactions=[taken_back, again])
    cold, warm = Node(ledger), Node(ledger)
    warm.machine.dry_run(offer, ledger.now)
    assert warm.execute(block) == cold.execute(block), "in the same order, too"


def _one_by_one(*txs: Transaction) -> list[str]:
    """The codes of transactions in a block each, the same on a machine that goes on and on new ones."""
    ledger = _base()
    warm, cold, codes = Node(ledger), Node(ledger), list[str]()
    for height, tx in enumerate(txs, ledger.height + 1):
        cold.machine = Machine(cold.state, ledger.genesis, height=height - 1)
        block = BlockInput(height=height, timestamp_ms=ledger.now, transactions=[tx])
        said = warm.execute(block)
        assert cold.execute(block) == said
        codes.append(said["executed"][0][4])
    return codes


def test_terms_of_a_publication_that_is_taken_back_are_no_terms() -> None:
    ledger, form = _base(), forms()[-1]
    broke = t.Transfer(to="other", amount=t.Money(currency="EUR", minor=10**12))
    offer = offer_of("late", form.digest, dict(form.roles), {"fee": form.fee}, {form.slot: form.kinds[0]})
    taken_back = ledger.tx("studio", t.PublishTemplate(source=form.source), offer, broke)
    assert _one_by_one(taken_back, ledger.tx("studio", offer)) == ["INSUFFICIENT_FUNDS", "UNKNOWN_TEMPLATE"]


def test_terms_bound_to_a_payout_sheet_that_is_taken_back_pay_by_the_one_that_stands() -> None:
    ledger = _base()
    legs = (t.PayoutLeg(party="artist", share_ppm=400_000), t.PayoutLeg(party="other", share_ppm=600_000))
    buy = t.AcceptOffer(agreement="bought", offer="o1")
    taken_back = ledger.tx("maker", t.SetPayoutSheet(asset="model", legs=legs), buy)
    assert _one_by_one(taken_back, ledger.tx("buyer", buy)) == ["INSUFFICIENT_FUNDS", ""]

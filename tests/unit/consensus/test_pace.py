"""Tests for the rules of consensus/SPEC.md, C-7 to C-9, on one scripted replica.

The replica is validator 0 of 4; view v is led by validator v mod 4.
"""

from __future__ import annotations

import pytest
from licet.certificate import VoteKind
from licet.types import ValidatorIndex, View

from consensus.config import (
    ASK_AGAIN_US,
    DELTA_CAP_US,
    DELTA_FLOOR_US,
    IDLE_MAX_US,
    PACE_US,
    SILENT_VIEWS,
)
from consensus.effects import BuildProposal
from consensus.events import ProposalBuilt
from consensus.messages import (
    Proposal,
)
from consensus.pacemaker import Pacemaker
from tests.unit.consensus.harness import GENESIS_ROOTS, START_MS, World, digest, execute
from tests.unit.consensus.solo import Solo

NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE


# --- C-7 ------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", ["notarize twice", "nullify and finalize", "propose twice"])
def test_c07_contradictions_of_one_key_are_kept_and_exposed(pair: str) -> None:
    solo = Solo()
    one, two = solo.block(1), solo.block(1, ms=START_MS + 9)
    if pair == "notarize twice":
        solo.receive(solo.vote(2, NOTARIZE, 1, one.id))
        effects = solo.receive(solo.vote(2, NOTARIZE, 1, two.id))
    elif pair == "nullify and finalize":
        solo.receive(solo.vote(2, FINALIZE, 1, one.id))
        effects = solo.receive(solo.vote(2, NULLIFY, 1))
    else:
        solo.receive(solo.proposal(one), peer=1)
        effects = solo.receive(solo.proposal(two), peer=1)
    assert effects is not None
    (evidence,) = effects.evidence
    assert solo.replica.evidence() == (evidence,)
    assert evidence.voter == (1 if pair == "propose twice" else 2)
    assert evidence.first.valid(solo.config.validators)
    assert evidence.second.valid(solo.config.validators)


def test_c07_honest_pairs_are_no_evidence() -> None:
    solo = Solo()
    block = solo.block(1)
    votes = [solo.vote(2, NOTARIZE, 1, block.id), solo.vote(2, NULLIFY, 1)]
    for vote in [*votes, solo.vote(2, NOTARIZE, 2, block.id)]:
        solo.receive(vote)
    assert solo.replica.evidence() == ()


# --- C-8 ------------------------------------------------------------------------------


def test_c08_both_timers_run_from_entry_and_a_proposal_ends_the_first() -> None:
    solo = Solo()
    solo.work()
    solo.advance(2 * DELTA_FLOOR_US - 1)
    assert solo.cast() == []
    solo.advance(1)
    assert solo.cast() == [(NULLIFY, 1)]
    other = Solo()
    other.work()
    other.receive(other.proposal(other.block(1)), peer=1)
    other.advance(3 * DELTA_FLOOR_US - 1)
    assert other.cast() == [(NOTARIZE, 1)]
    other.advance(1)
    assert other.cast() == [(NOTARIZE, 1), (NULLIFY, 1)]


def test_c08_delta_grows_by_half_per_own_timeout_once_a_view_and_shrinks_by_a_tenth() -> None:
    pace = Pacemaker(ValidatorIndex(0))
    pace.timed_out(View(1))
    pace.timed_out(View(1))
    assert pace.delta_us == DELTA_FLOOR_US * 3 // 2
    pace.finalized()
    assert pace.delta_us == DELTA_FLOOR_US * 3 // 2 * 9 // 10
    for view in range(2, 60):
        pace.timed_out(View(view))
    assert pace.delta_us == DELTA_CAP_US
    for _ in range(60):
        pace.finalized()
    assert pace.delta_us == DELTA_FLOOR_US


def test_c08_delta_is_never_below_the_longest_of_the_last_eight_measured_times() -> None:
    pace = Pacemaker(ValidatorIndex(0))
    pace.measured(300_000, leading=True)
    assert pace.delta_us == 300_000
    pace.measured(200_000, leading=False)
    assert pace.delta_us == 400_000, "others measure from receipt, doubled"
    for _ in range(8):
        pace.measured(1_000, leading=True)
    assert pace.delta_us == DELTA_FLOOR_US


def test_c08_a_silent_leaders_turn_is_skipped_until_one_vote_of_it() -> None:
    solo = Solo()
    for view in range(1, SILENT_VIEWS + 1):  # validator 3 signs nothing
        solo.receive(solo.nullification(view, voters=(0, 1, 2)))
    solo.receive(solo.nullification(9, voters=(0, 1, 2)))
    solo.receive(solo.nullification(10, voters=(0, 1, 2)))
    assert solo.view == 11
    assert (NULLIFY, 11) in solo.cast(), "timers of 0, also while idle"
    assert solo.replica.delta_us == DELTA_FLOOR_US, "a skipped leader does not raise Δ"
    late = Solo()
    for view in range(1, 11):
        late.receive(late.nullification(view, voters=(0, 1, 2)))
        if view == 10:
            break
        if view == 9:
            assert late.receive(late.vote(3, NULLIFY, 9)) is not None, "wanted as a sign of life"
    assert late.view == 11
    assert (NULLIFY, 11) not in late.cast()


def test_c08_views_jumped_past_do_not_count_and_nobody_skips_itself() -> None:
    pace = Pacemaker(ValidatorIndex(0))
    for view in range(1, 40):
        pace.ended(View(view), jumped=True)
    assert not pace.silent(ValidatorIndex(3))
    for view in range(40, 40 + SILENT_VIEWS):
        pace.ended(View(view), jumped=False)
    assert pace.silent(ValidatorIndex(3))
    assert not pace.silent(ValidatorIndex(0))
    pace.heard(View(40), ValidatorIndex(3))
    assert not pace.silent(ValidatorIndex(3))


# --- C-9 ------------------------------------------------------------------------------


def test_c09_idle_timers_without_pending_work_and_normal_ones_from_its_arrival() -> None:
    solo = Solo()
    solo.advance(IDLE_MAX_US + 2 * DELTA_FLOOR_US - 1)
    assert solo.cast() == []
    solo.work()
    solo.advance(2 * DELTA_FLOOR_US - 1)
    assert solo.cast() == [], "normal timers run from the arrival of work"
    solo.work(pending=False)
    solo.advance(0)
    assert solo.cast() == [(NULLIFY, 1)], "when stopped, the idle timers run again from entry"


def test_c09_an_idle_network_orders_one_transaction_anchors_it_once_and_is_silent() -> None:
    world = World()
    world.keep_messages = True
    world.start()
    world.run(1_000_000)
    world.submit(1)
    started = world.now_us
    assert world.run(started + 1_000_000, world.all_ordered)
    assert world.now_us - started < 5_000, "no timer is waited for"
    world.run(world.now_us + 1_000_000)
    assert [node.height for node in world.nodes] == [2, 2, 2, 2], "exactly one empty block anchors it"
    anchor = world.nodes[0].committed[1].block
    assert anchor.digests == ()
    assert anchor.header.executed == execute(GENESIS_ROOTS, world.nodes[0].committed[0].block)
    quiet = len(world.messages)
    world.run(world.now_us + 5_000_000)
    assert len(world.messages) == quiet


def test_c09_the_leader_waits_until_the_newest_block_with_transactions_is_old_enough() -> None:
    solo = Solo()
    block = solo.block(3, digests=(digest(1),))
    for view in (1, 2):
        solo.receive(solo.nullification(view))
    solo.receive(solo.proposal(block, solo.nullification(1), solo.nullification(2)), peer=3)
    solo.accept(block)
    solo.work()
    solo.receive(solo.notarization(block))
    assert solo.view == 4
    assert not solo.asked(BuildProposal)
    solo.advance(PACE_US - 1)
    assert not solo.asked(BuildProposal)
    solo.advance(1)
    (ask,) = solo.asked(BuildProposal)
    assert isinstance(ask, BuildProposal)
    assert ask.exclude == {digest(1)}, "C-14: batches of unfinalised ancestors are left out"


def test_c09_with_nothing_to_order_an_empty_block_comes_after_delta_while_work_is_pending() -> None:
    solo = Solo()
    solo.work()
    for view in (1, 2, 3):
        solo.receive(solo.nullification(view))
    nothing = {"view": 4, "parent_id": solo.config.genesis_id, "digests": (), "over_half_full": False}
    solo.event(ProposalBuilt, **nothing)
    assert len(solo.asked(BuildProposal)) == 1
    solo.advance(ASK_AGAIN_US)
    assert len(solo.asked(BuildProposal)) == 2, "asked again, for work may have come"
    solo.event(ProposalBuilt, **nothing)
    solo.now_us = DELTA_FLOOR_US - 1
    solo.advance(0)
    solo.event(ProposalBuilt, **nothing)
    assert not solo.sent(Proposal)
    solo.advance(1)
    (sent,) = solo.sent(Proposal)
    assert isinstance(sent.message, Proposal)
    assert sent.message.block.digests == ()


def test_c09_an_idle_leader_proposes_after_idle_max() -> None:
    solo = Solo()
    for view in (1, 2, 3):
        solo.receive(solo.nullification(view))
    solo.advance(IDLE_MAX_US - 1)
    assert not solo.sent(Proposal)
    solo.advance(1)
    assert solo.sent(Proposal)

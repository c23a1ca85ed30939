"""Tests for the rules of consensus/SPEC.md, C-1 to C-6, on one scripted replica.

The replica is validator 0 of 4; view v is led by validator v mod 4.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
from licet.certificate import Certificate, VoteKind
from licet.types import Hash32, Height, ValidatorIndex, View

from consensus.config import (
    ANSWER_EVERY_US,
    DELTA_FLOOR_US,
    IDLE_MAX_US,
    RESEND_US,
)
from consensus.effects import BuildProposal, CheckPayload
from consensus.events import Executed, PayloadChecked, PeerConnected, ProposalBuilt
from consensus.messages import (
    BlockRequest,
    BlockResponse,
    CertificateRequest,
    Proposal,
    Resync,
)
from consensus.rules import check_shape
from consensus.types import Verdict
from tests.unit.consensus.harness import GENESIS_ROOTS, START_MS, digest, execute
from tests.unit.consensus.solo import Solo

NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE


# --- C-1 ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [NULLIFY, FINALIZE])
def test_c01_any_valid_certificate_enters_the_next_view_and_is_broadcast_once(kind: VoteKind) -> None:
    solo = Solo()
    block = solo.block(5)
    certificate = solo.nullification(5) if kind is NULLIFY else solo.finalization(block)
    solo.receive(certificate)
    assert solo.view == 6
    assert [one.to for one in solo.sent(Certificate)] == [None]
    assert solo.receive(certificate) is None, "a certificate already held is not verified again"
    assert solo.view == 6


def test_c01_never_goes_back() -> None:
    solo = Solo()
    solo.receive(solo.nullification(5))
    solo.receive(solo.nullification(3))
    assert solo.view == 6


def test_c01_a_notarization_enters_only_once_certified() -> None:
    solo = Solo()
    block = solo.block(1, digests=(digest(1),))
    solo.receive(solo.notarization(block))
    assert solo.view == 1
    solo.receive(BlockResponse(blocks=(block,)))
    assert solo.view == 1, "C-5: pending while the payload is missing"
    solo.accept(block)
    assert solo.view == 2


def test_c01_an_older_view_is_answered_with_the_certificate_that_lets_it_in() -> None:
    solo = Solo()
    solo.receive(solo.nullification(1))
    stale = Resync(
        view=View(1),
        finalized_view=View(0),
        finalized_height=Height(0),
        certificates=(),
        votes=(),
        answer=False,
    )
    solo.receive(stale, peer=2)
    (answer,) = solo.sent(Resync, last=True)
    assert answer.to == 2
    assert isinstance(answer.message, Resync)
    assert answer.message.certificates == (solo.nullification(1),)
    assert answer.message.answer
    solo.receive(stale, peer=2)
    assert not solo.sent(Resync, last=True), "C-16: answers to a peer are limited in rate"
    solo.advance(ANSWER_EVERY_US)
    solo.receive(stale, peer=2)
    assert solo.sent(Resync, last=True)


# --- C-2 ------------------------------------------------------------------------------


def test_c02_only_the_leader_proposes_once_with_its_vote_and_a_justification() -> None:
    solo = Solo()
    solo.work()
    for view in (1, 2):
        solo.receive(solo.nullification(view))
        assert not solo.asked(BuildProposal)
    solo.receive(solo.nullification(3))
    (ask,) = solo.asked(BuildProposal)
    assert isinstance(ask, BuildProposal)
    answer = {"view": ask.view, "parent_id": ask.parent_id, "over_half_full": False}
    solo.event(ProposalBuilt, digests=(digest(1),), **answer)
    solo.event(ProposalBuilt, digests=(digest(2),), **answer)
    (sent,) = solo.sent(Proposal)
    assert isinstance(sent.message, Proposal)
    header = sent.message.block.header
    assert (header.view, header.parent_view, header.height) == (4, 0, 1)
    assert header.timestamp_ms == START_MS + 1, "max(now, parent + 1)"
    assert {one.view for one in sent.message.justification} == {1, 2, 3}
    assert sent.message.vote.voter == 0
    turn = next(one for one in solo.turns if sent in one.send_after_persist)
    assert turn.persist_payload == (sent.message.block,)
    assert turn.persist_votes, "the proposal is durable in full before it is sent"


def test_c02_takes_the_highest_parent_it_can_justify() -> None:
    solo = Solo()
    block = solo.block(2, parent=None)
    solo.receive(solo.nullification(1))
    solo.receive(solo.proposal(block, solo.nullification(1)), peer=2)
    solo.receive(solo.notarization(block))
    solo.receive(solo.nullification(2))
    solo.receive(solo.nullification(3))
    solo.work()
    (ask,) = solo.asked(BuildProposal)
    assert isinstance(ask, BuildProposal)
    assert ask.parent_id == block.id, "a notarization in a nullified view is no objection"


def test_c02_missing_evidence_is_fetched_first() -> None:
    solo = Solo()
    solo.work()
    solo.receive(solo.nullification(3))
    assert not solo.asked(BuildProposal)
    (request,) = solo.sent(CertificateRequest)
    assert isinstance(request.message, CertificateRequest)
    assert request.message.last_view == 2
    solo.receive(solo.nullification(2))
    solo.receive(solo.nullification(1))
    assert solo.asked(BuildProposal)


def test_c02_after_a_restart_the_leader_resends_that_block_and_never_builds_another() -> None:
    solo = Solo()
    solo.work()
    for view in (1, 2, 3):
        solo.receive(solo.nullification(view))
    (ask,) = solo.asked(BuildProposal)
    assert isinstance(ask, BuildProposal)
    solo.event(ProposalBuilt, view=4, parent_id=ask.parent_id, digests=(digest(1),), over_half_full=False)
    (first,) = solo.sent(Proposal)
    again = solo.restart()
    again.work()
    assert again.sent(Proposal)[0].message == first.message
    assert not again.asked(BuildProposal)
    lost = solo.restart(blocks=())
    lost.work()
    assert not lost.asked(BuildProposal)
    lost.advance(3 * DELTA_FLOOR_US)
    assert lost.cast()[-1] == (NULLIFY, 4), "it re-sends that block or nullifies"


# --- C-3 ------------------------------------------------------------------------------


def test_c03_notarizes_the_first_valid_proposal_once_it_is_held() -> None:
    solo = Solo()
    block = solo.block(1, digests=(digest(1),))
    solo.receive(solo.proposal(block), peer=1)
    assert solo.cast() == []
    assert [one.block for one in solo.asked(CheckPayload)] == [block]  # type: ignore[attr-defined]
    solo.accept(block)
    assert solo.cast() == [(NOTARIZE, 1)]
    assert solo.turns[-1].persist_payload == (block,)
    assert solo.turns[-1].persist_votes


def test_c03_a_second_proposal_gets_no_vote() -> None:
    solo = Solo()
    solo.receive(solo.proposal(solo.block(1)), peer=1)
    solo.receive(solo.proposal(solo.block(1, ms=START_MS + 7)), peer=1)
    assert solo.cast() == [(NOTARIZE, 1)]


def test_c03_never_after_a_nullify_and_only_in_the_current_view() -> None:
    solo = Solo()
    solo.work()
    solo.advance(2 * DELTA_FLOOR_US)
    assert solo.cast() == [(NULLIFY, 1)]
    solo.receive(solo.proposal(solo.block(1)), peer=1)
    solo.receive(solo.proposal(solo.block(2), solo.nullification(1)), peer=2)
    assert solo.cast() == [(NULLIFY, 1), (NOTARIZE, 2)], "the justification let it in"
    solo.receive(solo.proposal(solo.block(7)), peer=3)
    assert solo.cast()[-1] == (NOTARIZE, 2), "view 7 is not current"


def test_c03_stays_pending_and_fetches_without_proof_for_skipped_views() -> None:
    solo = Solo()
    solo.receive(solo.nullification(2))
    block = solo.block(3)
    solo.receive(solo.proposal(block, solo.nullification(2)), peer=3)
    assert solo.cast() == []
    request = solo.sent(CertificateRequest)[-1]
    assert request.to == 3, "the proposer is asked first"
    solo.receive(solo.nullification(1))
    assert solo.cast() == [(NOTARIZE, 3)]


def test_c03_stays_pending_without_the_parents_certificate_or_block() -> None:
    solo = Solo()
    parent = solo.block(1)
    solo.receive(solo.nullification(1))
    child = solo.block(2, parent)
    solo.receive(solo.proposal(child), peer=2)
    assert solo.cast() == []
    solo.receive(solo.notarization(parent))
    assert solo.cast() == []
    assert BlockRequest(block_ids=(parent.id,)) in [one.message for one in solo.sent(BlockRequest)]
    solo.receive(BlockResponse(blocks=(parent,)))
    assert (NOTARIZE, 2) in solo.cast()


@pytest.mark.parametrize(
    ("ahead_ms", "manual", "vote"),
    [(500, False, NOTARIZE), (501, False, NULLIFY), (10_000_000, True, NOTARIZE)],
)
def test_c03_time_is_at_most_drift_ahead_of_receipt(ahead_ms: int, manual: bool, vote: VoteKind) -> None:
    solo = Solo(manual_clock=manual)
    solo.receive(solo.proposal(solo.block(1, ms=START_MS + ahead_ms)), peer=1, now_ms=START_MS)
    assert solo.cast() == [(vote, 1)]


def test_c03_a_clock_set_back_an_hour_does_not_stop_the_chain() -> None:
    solo = Solo()
    solo.receive(solo.proposal(solo.block(1, ms=START_MS + 1)), peer=1, now_ms=START_MS - 3_600_000)
    assert solo.cast() == [(NOTARIZE, 1)], "parent + 1 is always allowed"


def test_c03_time_is_judged_on_receipt_and_never_again() -> None:
    solo = Solo()
    block = solo.block(1, digests=(digest(1),), ms=START_MS + 400)
    solo.receive(solo.proposal(block), peer=1, now_ms=START_MS)
    solo.event(
        PayloadChecked,
        block_id=block.id,
        verdict=Verdict.VALID,
        over_half_full=False,
        now_ms=START_MS - 3_600_000,
    )
    assert solo.cast() == [(NOTARIZE, 1)]


@pytest.mark.parametrize(
    "changes",
    [
        {"proposer": 2},
        {"parent_view": 1},
        {"height": 2},
        {"next_epoch": digest("validators")},
        {"timestamp_ms": START_MS},
    ],
)
def test_c03_an_invalid_proposal_is_nullified(changes: dict[str, object]) -> None:
    solo = Solo()
    block = solo.block(1, **changes)
    vote = solo.vote(1, NOTARIZE, 1, block.id)
    solo.receive(Proposal(block=block, justification=(), vote=vote), peer=1)
    assert solo.cast() == [(NULLIFY, 1)]


def test_c03_a_payload_root_that_is_not_the_digests_is_invalid_even_past_the_codec() -> None:
    solo = Solo()
    assert check_shape(solo.block(1, payload_root=digest("other")), solo.config)


# --- C-4 ------------------------------------------------------------------------------


def test_c04_nullify_is_allowed_after_notarize_and_forbidden_after_finalize() -> None:
    solo = Solo()
    solo.work()
    block = solo.block(1)
    solo.receive(solo.proposal(block), peer=1)
    solo.advance(3 * DELTA_FLOOR_US)
    assert solo.cast() == [(NOTARIZE, 1), (NULLIFY, 1)]
    other = Solo()
    other.receive(other.proposal(block), peer=1)
    other.receive(other.notarization(block))
    assert other.cast() == [(NOTARIZE, 1), (FINALIZE, 1)]
    assert other.guard is not None
    assert other.guard.may(View(1), NULLIFY, Hash32(bytes(32)))


def test_c04_f_plus_one_nullifies_of_others_are_joined_at_once_without_raising_delta() -> None:
    solo = Solo()
    solo.receive(solo.vote(2, NULLIFY, 1), peer=2)
    assert solo.cast() == []
    solo.receive(solo.vote(3, NULLIFY, 1), peer=3)
    assert solo.cast() == [(NULLIFY, 1)]
    assert solo.replica.delta_us == DELTA_FLOOR_US


def test_c04_the_leaders_own_nullify_is_joined_at_once() -> None:
    solo = Solo()
    solo.receive(solo.proposal(solo.block(1)), peer=1)
    solo.receive(solo.vote(1, NULLIFY, 1), peer=1)
    assert solo.cast() == [(NOTARIZE, 1), (NULLIFY, 1)]
    assert solo.replica.delta_us == DELTA_FLOOR_US


def test_c04_resends_votes_and_certificates_above_the_finalization_every_tr() -> None:
    solo = Solo()
    solo.work()
    solo.receive(solo.nullification(1))
    solo.receive(solo.proposal(solo.block(2), solo.nullification(1)), peer=2)
    solo.advance(RESEND_US)
    (again,) = solo.sent(Resync, last=True)
    assert isinstance(again.message, Resync)
    assert again.to is None
    assert again.message.certificates == (solo.nullification(1),)
    assert {(one.kind, one.view) for one in again.message.votes} == {(NOTARIZE, 2), (NULLIFY, 2)}


def test_c04_says_nothing_when_there_is_nothing_but_the_finalization_unless_reconnected() -> None:
    solo = Solo()
    block = solo.block(1)
    solo.receive(solo.proposal(block), peer=1)
    solo.receive(solo.notarization(block))
    solo.receive(solo.finalization(block))
    solo.event(Executed, roots=execute(GENESIS_ROOTS, block))
    solo.advance(RESEND_US)
    assert not solo.sent(Resync, last=True)
    solo.event(PeerConnected, peer=ValidatorIndex(2))
    (again,) = solo.sent(Resync, last=True)
    assert isinstance(again.message, Resync)
    assert again.message.certificates == (solo.finalization(block),)


def test_c04_while_idle_the_resend_period_doubles_up_to_idle_max() -> None:
    solo = Solo()
    solo.receive(solo.nullification(1))
    times = []
    while solo.now_us < 40_000_000:
        solo.now_us = max(solo.wake_us or 0, solo.now_us + 1)
        solo.advance(0)
        if solo.sent(Resync, last=True):
            times.append(solo.now_us)
    gaps = [(later - sooner) // 1_000_000 for sooner, later in pairwise(times)]
    assert gaps[:2] == [2, 4]
    assert max(gaps) == IDLE_MAX_US // 1_000_000


# --- C-5 ------------------------------------------------------------------------------


def test_c05_certifies_finalizes_and_enters_in_one_durable_record() -> None:
    solo = Solo()
    block = solo.block(1)
    solo.receive(solo.proposal(block), peer=1)
    solo.receive(solo.notarization(block))
    assert solo.view == 2
    assert solo.cast() == [(NOTARIZE, 1), (FINALIZE, 1)]
    assert len(solo.turns[-1].persist_votes) == 1
    again = solo.restart()
    assert again.view == 2
    assert again.guard is not None
    assert again.guard.vote(View(1), FINALIZE) is not None


def test_c05_no_finalize_after_nullify_but_the_next_view_is_entered() -> None:
    solo = Solo()
    solo.work()
    block = solo.block(1)
    solo.receive(solo.proposal(block), peer=1)
    solo.advance(3 * DELTA_FLOOR_US)
    solo.receive(solo.notarization(block))
    assert solo.view == 2
    assert solo.cast() == [(NOTARIZE, 1), (NULLIFY, 1)]


def test_c05_finalizes_even_when_later_views_have_begun() -> None:
    solo = Solo()
    block = solo.block(1, digests=(digest(1),))
    solo.receive(solo.proposal(block), peer=1)
    solo.receive(solo.notarization(block))
    assert solo.cast() == [], "pending while the payload is missing, never no for not yet"
    solo.receive(solo.nullification(4))
    solo.accept(block)
    assert solo.view == 5
    assert solo.cast() == [(FINALIZE, 1)]


# --- C-6 ------------------------------------------------------------------------------


def test_c06_a_finalization_commits_the_block_and_its_ancestors_in_order() -> None:
    solo = Solo()
    first = solo.block(1)
    second = solo.block(2, first)
    solo.receive(solo.proposal(first), peer=1)
    solo.receive(solo.notarization(first))
    solo.receive(solo.proposal(second), peer=2)
    solo.receive(solo.finalization(second))
    commits = [one for turn in solo.turns for one in turn.commits]
    assert [one.block for one in commits] == [first, second]
    assert [one.finalization for one in commits] == [None, solo.finalization(second)]
    assert solo.receive(solo.finalization(first)) is None, "nothing below a finalization matters"
    assert solo.height == 2

"""Tests for the rules of consensus/SPEC.md, C-11 (refusal), C-13 to C-16, on one scripted replica.

The replica is validator 0 of 4; view v is led by validator v mod 4.
"""

from __future__ import annotations

from licet.certificate import ExecutedRoots, VoteKind
from licet.types import Height, ValidatorIndex

from consensus.config import (
    ANSWER_EVERY_US,
    DELTA_FLOOR_US,
    VOTE_WINDOW,
)
from consensus.effects import Isolate, ServeFinalized
from consensus.events import Executed
from consensus.messages import (
    BlockResponse,
    FinalizedRequest,
    FinalizedResponse,
)
from consensus.types import Block, Verdict
from tests.unit.consensus.harness import GENESIS_ROOTS, World, digest
from tests.unit.consensus.solo import Solo

NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE


# --- C-11 (refusal), C-13, C-14, C-15, C-16 -------------------------------------------


def test_c11_without_a_signing_record_it_follows_never_votes_and_says_so() -> None:
    solo = Solo()
    again = solo.restart(votes=False)
    block = again.block(1)
    again.work()
    again.receive(again.proposal(block), peer=1)
    again.advance(5 * DELTA_FLOOR_US)
    again.receive(again.notarization(block))
    again.receive(again.finalization(block))
    assert again.cast() == []
    assert again.height == 1
    status = again.replica.status(again.now_us)
    assert not status.voting
    assert "missing" in status.not_voting_why


def _executed(height: int, name: str) -> ExecutedRoots:
    return ExecutedRoots(
        height=Height(height), state_root=digest(name), log_root=digest("log"), log_size=height
    )


def _one_final(solo: Solo) -> Block:
    first = solo.block(1)
    solo.receive(solo.proposal(first), peer=1)
    solo.receive(solo.notarization(first))
    solo.receive(solo.finalization(first))
    return first


def test_c13_a_vote_waits_for_our_own_execution_of_the_anchored_height() -> None:
    solo = Solo()
    first = _one_final(solo)
    roots = _executed(1, "state 1")
    second = solo.block(2, first, executed=roots)
    solo.receive(solo.proposal(second), peer=2)
    assert (NOTARIZE, 2) not in solo.cast()
    solo.event(Executed, roots=roots)
    assert (NOTARIZE, 2) in solo.cast()


def test_c13_other_roots_are_nullified_and_if_a_quorum_signs_them_it_isolates_itself() -> None:
    solo = Solo()
    first = _one_final(solo)
    solo.event(Executed, roots=_executed(1, "state 1"))
    second = solo.block(2, first, executed=_executed(1, "another state"))
    solo.receive(solo.proposal(second), peer=2)
    assert solo.cast()[-1] == (NULLIFY, 2)
    assert not solo.asked(Isolate)
    solo.receive(solo.notarization(second))
    (isolate,) = solo.asked(Isolate)
    assert isinstance(isolate, Isolate)
    assert isolate.ours.state_root == digest("state 1")
    assert isolate.theirs.state_root == digest("another state")
    votes = solo.cast()
    solo.receive(solo.nullification(2))
    solo.work()
    solo.advance(10 * DELTA_FLOOR_US)
    assert solo.cast() == votes, "it votes no more"
    assert "isolated" in solo.replica.status(solo.now_us).sentence(("A", "B", "C", "D"))


def test_c13_a_final_header_claimed_other_roots_before_we_executed() -> None:
    solo = Solo()
    first = _one_final(solo)
    second = solo.block(2, first, executed=_executed(1, "another state"))
    solo.receive(BlockResponse(blocks=(second,)))
    solo.receive(solo.proposal(second), peer=2)
    solo.receive(solo.notarization(second))
    solo.receive(solo.finalization(second))
    assert solo.height == 2
    solo.event(Executed, roots=_executed(1, "state 1"))
    assert solo.asked(Isolate)


def test_c13_a_node_with_wrong_roots_isolates_itself_and_the_others_go_on() -> None:
    world = World(seed=5, delay_us=(100, 900))
    world.nodes[2].corrupt_from = 1
    world.start()
    others = [node for node in world.nodes if node.index != 2]
    for number in range(6):
        world.submit(number)
        assert world.run(world.now_us + 3_000_000, lambda: world.all_ordered(others))
    world.run(world.now_us + 2_000_000)
    assert world.nodes[2].isolated is not None
    assert all(node.isolated is None for node in others)


def test_c13_the_anchor_never_goes_below_the_parents_and_lag_makes_blocks_empty() -> None:
    solo = Solo(anchor_lag=2)
    parent: Block | None = None
    for view in range(1, 3):
        block = solo.block(view, parent)
        solo.receive(solo.proposal(block), peer=view)
        solo.receive(solo.notarization(block))
        parent = block
    full = solo.block(3, parent, digests=(digest(1),))
    solo.receive(solo.proposal(full), peer=3)
    assert solo.cast()[-1] == (NULLIFY, 3), "height 3 anchors 0: more than 2 behind"
    empty = Solo(anchor_lag=2)
    parent = None
    for view in range(1, 4):
        block = empty.block(view, parent)
        empty.receive(empty.proposal(block), peer=view)
        empty.receive(empty.notarization(block))
        parent = block
    assert (NOTARIZE, 3) in empty.cast(), "it is never forbidden"


def test_c14_an_invalid_payload_is_nullified_and_never_finalised() -> None:
    solo = Solo()
    block = solo.block(1, digests=(digest(1),))
    solo.receive(solo.proposal(block), peer=1)
    solo.accept(block, Verdict.INVALID)
    assert solo.cast() == [(NULLIFY, 1)]


def test_c14_a_digest_in_an_ancestor_makes_a_proposal_invalid_inside_the_window_only() -> None:
    window = 1_000
    for later_ms, vote in ((window, NULLIFY), (window + 1, NOTARIZE)):
        solo = Solo(digest_window_ms=window, manual_clock=True)
        first = solo.block(1, digests=(digest(1),))
        solo.receive(solo.proposal(first), peer=1)
        solo.accept(first)
        solo.receive(solo.notarization(first))
        second = solo.block(2, first, (digest(1),), ms=first.header.timestamp_ms + later_ms)
        solo.receive(solo.proposal(second), peer=2)
        solo.accept(second)
        assert solo.cast()[-1] == (vote, 2)


def test_c14_limits_of_a_block_bind_validity() -> None:
    solo = Solo(digests_per_block_max=2)
    block = solo.block(1, digests=(digest(1), digest(2), digest(3)))
    solo.receive(solo.proposal(block), peer=1)
    assert solo.cast() == [(NULLIFY, 1)]
    twice = Solo()
    block = twice.block(1, digests=(digest(1), digest(1)))
    twice.receive(twice.proposal(block), peer=1)
    assert twice.cast() == [(NULLIFY, 1)]


def _final_chain(solo: Solo, length: int) -> list[Block]:
    chain: list[Block] = []
    for view in range(1, length + 1):
        chain.append(solo.block(view, chain[-1] if chain else None))
    return chain


def test_c15_a_lagging_replica_fetches_final_blocks_and_a_lie_costs_a_retry() -> None:
    solo = Solo()
    chain = _final_chain(solo, 40)
    solo.receive(solo.finalization(chain[-1]))
    requests = [one for one in solo.sent(FinalizedRequest) if one.message.from_height == 1]  # type: ignore[union-attr]
    assert len(requests) == 1
    lies = [
        FinalizedResponse(
            from_height=Height(1), blocks=tuple(chain[1:20]), finalizations=(solo.finalization(chain[19]),)
        ),
        FinalizedResponse(from_height=Height(1), blocks=tuple(chain[:20]), finalizations=()),
        FinalizedResponse(
            from_height=Height(1),
            blocks=(*chain[:5], *chain[6:20]),
            finalizations=(solo.finalization(chain[19]),),
        ),
        FinalizedResponse(
            from_height=Height(1), blocks=tuple(chain[:20]), finalizations=(solo.finalization(chain[18]),)
        ),
    ]
    for lie in lies:
        solo.receive(lie)
        assert solo.height == 0
    solo.advance(250_000)
    again = solo.sent(FinalizedRequest, last=True)
    assert again
    assert again[0].to != requests[0].to, "the next peer is asked"
    truth = FinalizedResponse(
        from_height=Height(1), blocks=tuple(chain[:20]), finalizations=(solo.finalization(chain[19]),)
    )
    solo.receive(truth)
    assert solo.height == 20
    assert [one.message.from_height for one in solo.sent(FinalizedRequest, last=True)] == [21]  # type: ignore[union-attr]
    rest = FinalizedResponse(
        from_height=Height(21), blocks=tuple(chain[20:]), finalizations=(solo.finalization(chain[39]),)
    )
    solo.receive(rest)
    commits = [one.block for turn in solo.turns for one in turn.commits]
    assert commits == chain


def test_c15_a_wiped_ledger_with_its_signing_record_is_only_catch_up() -> None:
    world = World(seed=3, delay_us=(100, 900))
    world.start()
    for number in range(30):
        world.submit(number)
        world.run(world.now_us + 60_000)
    victims = world.nodes[1:3]  # the ledger data of 2 of 4
    for node in victims:
        node.crash()
        node.disk.store, node.disk.roots, node.disk.payload = [], [GENESIS_ROOTS], {}
    for node in victims:
        node.start()
    world.submit("after")
    started = world.now_us
    assert world.run(started + 3_000_000, world.all_ordered)


def test_c15_requests_for_final_blocks_are_the_shells_to_serve() -> None:
    solo = Solo()
    solo.receive(FinalizedRequest(from_height=Height(1), count=10), peer=2)
    assert solo.asked(ServeFinalized) == [
        ServeFinalized(peer=ValidatorIndex(2), from_height=Height(1), count=10)
    ]


def test_c16_only_what_can_decide_something_is_verified() -> None:
    solo = Solo()
    block = solo.block(1)
    vote = solo.vote(2, NOTARIZE, 1, block.id)
    assert solo.receive(vote) is not None
    assert solo.receive(vote) is None, "a duplicate"
    assert solo.receive(solo.vote(2, NULLIFY, 1 + VOTE_WINDOW)) is not None
    assert solo.receive(solo.vote(2, NULLIFY, 2 + VOTE_WINDOW)) is None, "beyond the window"
    assert solo.receive(solo.vote(0, NULLIFY, 1)) is None, "our own, which only the guard makes"
    solo.receive(solo.proposal(block), peer=1)
    solo.receive(solo.finalization(block))
    assert solo.receive(solo.vote(3, FINALIZE, 1, block.id)) is None, "decided already"
    assert solo.receive(solo.nullification(1)) is None
    assert solo.receive(BlockResponse(blocks=(solo.block(9),))) is None, "nobody asked"


def test_c16_requests_beyond_the_rate_are_dropped() -> None:
    solo = Solo()
    answered = 0
    for _ in range(200):
        effects = solo.receive(FinalizedRequest(from_height=Height(1), count=1), peer=2)
        answered += bool(effects and effects.requests)
    assert answered == 64
    solo.advance(ANSWER_EVERY_US)
    assert solo.receive(FinalizedRequest(from_height=Height(1), count=1), peer=2).requests  # type: ignore[union-attr]


def test_status_names_who_is_missing() -> None:
    solo = Solo()
    solo.work()
    solo.receive(solo.vote(1, NULLIFY, 1), peer=1)
    solo.advance(42_000_000)
    sentence = solo.replica.status(solo.now_us).sentence(("A", "B", "C", "D"))
    assert sentence == "waiting for 1 more of {C, D} in view 1; C never seen; D never seen"

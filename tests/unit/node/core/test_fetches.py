"""Missing batches: proposer and author at once, then all in turn, for as long as they are needed (C-14)."""

from __future__ import annotations

import pytest
from licet.types import Hash32, ValidatorIndex

from node.core.fetches import Fetches
from node.limits import FETCH_RETRY_US

A, B = Hash32(b"a" * 32), Hash32(b"b" * 32)
P1, P2, P3 = (ValidatorIndex(index) for index in (1, 2, 3))


def fetches(*, connected: bool = False) -> Fetches:
    one = Fetches(others=(P1, P2, P3))
    for peer in (P1, P2, P3) if connected else ():
        one.connected(peer)
    return one


def test_the_source_is_asked_first_then_all_in_turn() -> None:
    one = fetches()
    one.want(A, P2, mono_us=0)
    asked = []
    for round_ in range(4):
        at = round_ * FETCH_RETRY_US
        assert one.next_at() == at
        asked += [peer for peer, digests in one.due(at) if digests == (A,)]
        assert one.due(at) == []
    assert asked == [P2, P3, P1, P2]
    one.done(A)
    assert one.next_at() is None


def test_peers_without_a_channel_are_passed_over() -> None:
    one = fetches()
    one.connected(P3)
    one.want(A, P1, mono_us=0)
    assert one.due(0) == [(P3, (A,))]
    assert one.due(FETCH_RETRY_US) == [(P3, (A,))]
    one.connected(P2)
    assert one.due(2 * FETCH_RETRY_US) == [(P2, (A,))]
    one.lost(P2, mono_us=2 * FETCH_RETRY_US + 5)
    assert one.due(2 * FETCH_RETRY_US + 5) == [(P3, (A,))]


def test_who_is_asked_first_changes_where_nobody_is_named() -> None:
    one = fetches()
    for at in range(3):
        one.want(Hash32(bytes((at,)) * 32), None, mono_us=0)
    assert [peer for peer, _ in one.due(0)] == [P1, P2, P3]


def test_a_refusal_moves_on_at_once_but_not_around_for_ever() -> None:
    one = fetches()
    one.want(A, P1, mono_us=0)
    order = []
    for _ in range(3):
        ((peer, _),) = one.due(5)
        order.append(peer)
        one.not_held(peer, (A,), mono_us=5)
    assert order == [P1, P2, P3]
    assert one.due(5) == []  # a whole round refused: wait for the timer
    assert one.due(5 + FETCH_RETRY_US) == [(P1, (A,))]


def test_a_refusal_by_somebody_who_was_not_asked_changes_nothing() -> None:
    one = fetches()
    one.want(A, P1, mono_us=0)
    one.due(0)
    one.not_held(P3, (A, B), mono_us=1)
    assert one.due(1) == []


def test_requests_to_one_peer_go_together() -> None:
    one = fetches()
    one.want(A, P1, mono_us=0)
    one.want(B, P1, mono_us=0)
    assert one.due(0) == [(P1, (A, B))]


def test_an_offer_is_asked_for_once_unless_a_block_needs_it() -> None:
    one = fetches()
    one.want_offered(A, P3, mono_us=0)
    assert one.due(0) == [(P3, (A,))]
    assert one.due(FETCH_RETRY_US) == []
    assert A not in one
    one.want_offered(B, P3, mono_us=0)
    one.due(0)
    one.want(B, P1, mono_us=1)
    assert one.due(1) == [(P1, (B,))]  # who offers and withholds holds nothing up
    assert one.due(FETCH_RETRY_US) == [(P2, (B,))]
    assert one.due(2 * FETCH_RETRY_US) == [(P1, (B,))]
    assert B in one


def asked(one: Fetches, at_us: int) -> list[ValidatorIndex]:
    return [peer for peer, _ in one.due(at_us)]


def test_proposer_and_author_are_asked_at_once_then_all_others_in_turn() -> None:
    one = fetches(connected=True)
    one.want(A, P2, P1, mono_us=0)
    assert one.due(0) == [(P2, (A,)), (P1, (A,))]
    assert one.next_at() == FETCH_RETRY_US
    assert [asked(one, turn * FETCH_RETRY_US) for turn in range(1, 5)] == [[P3], [P2], [P1], [P3]]


def test_one_request_where_proposer_and_author_are_the_same() -> None:
    one = fetches(connected=True)
    one.want(A, P2, P2, mono_us=0)
    assert one.due(0) == [(P2, (A,))]
    one.want(A, P2, P2, mono_us=1)  # the block is looked at again, as other batches of it come
    assert one.due(1) == []


@pytest.mark.parametrize("wrong", [0, 4, 0xFFFF, 0xFFFFFFFF])
def test_an_author_who_is_oneself_or_nobody_is_not_asked(wrong: int) -> None:
    one = fetches(connected=True)
    one.want(A, P2, ValidatorIndex(wrong), mono_us=0)
    assert one.due(0) == [(P2, (A,))]
    assert asked(one, FETCH_RETRY_US) == [P3]


def test_the_author_is_asked_where_the_proposer_has_no_channel() -> None:
    one = Fetches(others=(P1, P2, P3))
    one.connected(P3)
    one.want(A, P1, P3, mono_us=0)
    assert one.due(0) == [(P3, (A,))]


def test_a_proposer_who_refuses_hands_on_at_once_whoever_was_said_to_be_the_author() -> None:
    one = fetches(connected=True)
    one.want(A, P1, P3, mono_us=0)
    one.due(0)
    one.not_held(P1, (A,), mono_us=1)
    assert one.due(1) == [(P2, (A,))]
    one.not_held(P3, (A,), mono_us=2)
    assert one.due(2) == []
    one.not_held(P2, (A,), mono_us=3)
    assert one.due(3) == []  # everybody refused: wait for the timer
    assert asked(one, 1 + FETCH_RETRY_US) == [P1]


def test_a_wrong_author_who_refuses_or_goes_costs_no_further_request() -> None:
    one = fetches(connected=True)
    one.want(A, P1, P3, mono_us=0)
    one.want(B, P1, P3, mono_us=0)
    one.due(0)
    one.not_held(P3, (A,), mono_us=1)
    one.lost(P3, mono_us=1)
    assert one.due(1) == []


def test_an_author_asked_alone_hands_on_at_once() -> None:
    one = Fetches(others=(P1, P2, P3))
    one.connected(P2)
    one.connected(P3)
    one.want(A, P1, P3, mono_us=0)
    assert asked(one, 0) == [P3]
    one.not_held(P3, (A,), mono_us=1)
    assert asked(one, 1) == [P2]


def test_a_later_name_is_asked_at_once_and_once_and_delays_nobodys_turn() -> None:
    """The first leader named a wrong author and withheld; the second names the right one."""
    one = fetches(connected=True)
    one.want(A, P1, P1, mono_us=0)
    assert asked(one, 0) == [P1]
    one.want(A, P2, P3, mono_us=9)
    assert asked(one, 9) == [P2, P3]
    assert one.next_at() == FETCH_RETRY_US
    for again in range(10, 20):
        one.want(A, P2, P3, mono_us=again)
        one.want(A, P1, P2, mono_us=again)
        assert one.due(again) == []
    assert len(one.due(FETCH_RETRY_US)) == 1


def test_a_batch_from_catch_up_names_nobody_and_a_proposal_adds_its_names() -> None:
    one = fetches(connected=True)
    one.want(A, None, mono_us=0)
    assert asked(one, 0) == [P1]
    one.want(A, P1, P3, mono_us=1)
    assert asked(one, 1) == [P3]


def test_refusals_do_not_go_around_while_somebody_is_away() -> None:
    one = Fetches(others=(P1, P2, P3))
    one.connected(P1)
    one.connected(P2)
    one.want(A, P1, mono_us=0)
    order = []
    for _ in range(9):
        order += (peers := asked(one, 5))
        for peer in peers:
            one.not_held(peer, (A,), mono_us=5)
    assert order == [P1, P2]


def test_alone_there_is_nobody_to_ask() -> None:
    alone = Fetches(others=())
    alone.want(A, None, mono_us=0)
    assert alone.next_at() is None

"""The checkers' own arithmetic says what the terms' own tests and the design's examples say."""

from __future__ import annotations

from tests.sim.checkers import own_terms


def test_an_odd_cent() -> None:
    assert own_terms.shares((70, 30), 9_999) == [6_999, 3_000]


def test_a_thousand_small_payments() -> None:
    """1,000 payments of nine cents at 90.1, 5.0 and 4.9 per cent (L-4)."""
    paid = [0, 0, 0]
    for number in range(1_000):
        for leg, share in enumerate(own_terms.split((901, 50, 49), 9 * number, 9)):
            assert share >= 0
            paid[leg] += share
    assert paid == [8_109, 450, 441]


def test_the_day_of_the_terms() -> None:
    views, prints = own_terms.rated(own_terms.VIEWS, 1_500), own_terms.rated(own_terms.PRINTS, 41)
    assert (views, prints) == (2_900, 548)
    owner, agency, artist = own_terms.split(own_terms.VIEW_LEGS, 0, views)
    of_artist, of_owner = own_terms.split(own_terms.PRINT_LEGS, 0, prints)
    assert (owner + of_owner, agency, artist + of_artist) == (1_637, 551, 1_260)

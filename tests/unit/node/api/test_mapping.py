"""Records to messages: what does not fit a message is shown as the nearest that does, and nothing fails."""

from __future__ import annotations

import pytest

from node.api.mapping import money

MOST = (1 << 63) - 1


@pytest.mark.parametrize(
    ("minor", "shown"), [(0, 0), (-5, -5), (MOST, MOST), (MOST + 1, MOST), (10**24, MOST), (-(10**24), -MOST)]
)
def test_an_amount_beyond_64_bits_is_shown_as_the_bound(minor: int, shown: int) -> None:
    assert money("EUR", minor).minor == shown

"""The second half of the seeds that every test run plays: all plans of trouble, all adversaries."""

from __future__ import annotations

import pytest

from tests.sim.assertions import assert_seeds


@pytest.mark.parametrize("first", range(110, 220, 10))
def test_seeds(first: int) -> None:
    assert_seeds(range(first, first + 10))

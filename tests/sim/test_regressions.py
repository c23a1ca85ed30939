"""Seeds that failed once, for good."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sim.assertions import assert_seeds

SEEDS = [
    int(line.split("#")[0])
    for line in (Path(__file__).parent / "seeds.txt").read_text().splitlines()
    if line.split("#")[0].strip()
]


@pytest.mark.parametrize("seed", SEEDS)
def test_seed(seed: int) -> None:
    assert_seeds([seed])

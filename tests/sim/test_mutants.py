"""The simulator's own acceptance test: every known bug is caught, by the checker that is meant to."""

from __future__ import annotations

import pytest

from tests.sim.mutants.registry import MUTANTS
from tests.sim.run import run_seed

SEEDS = 40


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_mutant_is_caught(name: str) -> None:
    mutant = MUTANTS[name]
    for seed in range(SEEDS):
        found = {checker for checker, _ in run_seed(seed, mutant=name).failures}
        if found & set(mutant.caught_by):
            return
    pytest.fail(f"{name} breaks '{mutant.breaks}' and is not caught in {SEEDS} seeds")


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_the_patch_is_taken_back(name: str) -> None:
    with MUTANTS[name].patches():
        pass
    assert not run_seed(1).failures

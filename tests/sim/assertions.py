"""What the tests of seeds say when one fails: the seed, the command, what each node believed."""

from __future__ import annotations

from collections.abc import Iterable

from tests.sim.run import Outcome, run_seed


def assert_clean(outcome: Outcome) -> None:
    """Raise with everything that is needed to see it again."""
    if outcome.failures:
        lines = [f"seed {outcome.seed} ({outcome.plan} {outcome.adversary})"]
        lines += [f"  {checker}: {text}" for checker, text in outcome.failures[:12]]
        lines += [f"  {belief}" for belief in outcome.beliefs]
        raise AssertionError("\n".join([*lines, f"replay: {outcome.command()}"]))


def assert_seeds(seeds: Iterable[int]) -> None:
    """Run them all."""
    for seed in seeds:
        assert_clean(run_seed(seed))

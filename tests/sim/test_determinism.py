"""One seed is one run: the same digest in two runs, in other processes, under other hash seeds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim.__main__ import main
from tests.sim.mutants.registry import MUTANTS
from tests.sim.run import run_seed

ROOT = Path(__file__).parents[2]


def digest_of(seed: int, hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-m", "tests.sim", "--seed", str(seed)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("seed", [4, 11, 29])
def test_processes_agree(seed: int) -> None:
    digests = {digest_of(seed, hash_seed) for hash_seed in ("0", "1", "4242")}
    assert len(digests) == 1
    assert digests == {run_seed(seed).digest}
    assert len(digests.pop()) == 64


def test_other_seeds_are_other_runs() -> None:
    digests = [run_seed(seed).digest for seed in range(6)]
    assert len(set(digests)) == 6


def test_a_run_does_not_depend_on_what_ran_before() -> None:
    alone = run_seed(9).digest
    run_seed(10, mutant="finalize_after_nullify")
    run_seed(12)
    assert run_seed(9).digest == alone


def test_a_failure_is_told_with_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--first", "3", "--seeds", "2", "--mutant", "quorum_too_small"]) == 1
    told = capsys.readouterr().out
    assert "replay: python -m tests.sim --seed 3 --mutant quorum_too_small" in told
    assert "n1: height" in told
    assert "2 seeds from 3: 2 failed" in told


def test_success_ends_with_zero(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--first", "0", "--seeds", "1"]) == 0
    assert "1 seeds from 0: 0 failed" in capsys.readouterr().out
    assert set(MUTANTS) >= {
        "double_notarize",
        "finalize_after_nullify",
        "nullify_after_finalize",
        "no_skip_proof",
        "votes_forgotten",
    }

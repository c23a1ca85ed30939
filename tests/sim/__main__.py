"""`python -m tests.sim`: replay a seed, or search through many.

--seed N             run one seed; the last line is the digest of its trace
--first N --seeds M  run M seeds from N; a summary; exit 1 if any fails
--mutant NAME        with this known bug in the honest nodes
--trace              print the end of the trace too
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tests.sim.mutants.registry import MUTANTS
from tests.sim.run import Outcome, run_seed


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, report."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description="the deterministic simulator")
    parser.add_argument("--seed", type=int, help="run this seed and print its digest")
    parser.add_argument("--first", type=int, default=0, help="the first of many seeds")
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), default="", help="with this known bug")
    parser.add_argument("--trace", action="store_true", help="print the end of the trace")
    options = parser.parse_args(arguments)
    if options.seed is not None:
        return _one(options.seed, options.mutant, trace=options.trace)
    return _many(options.first, options.seeds, options.mutant)


def _one(seed: int, mutant: str, *, trace: bool) -> int:
    outcome = run_seed(seed, mutant=mutant)
    if trace:
        print("\n".join(outcome.trace_end))
    print(describe(outcome))
    if outcome.failures:
        report(outcome)
    print(outcome.digest)
    return 1 if outcome.failures else 0


def _many(first: int, count: int, mutant: str) -> int:
    failed: list[Outcome] = []
    healed: dict[str, list[int]] = {}  # plan or adversary → times to the first block after healing
    for number, seed in enumerate(range(first, first + count), start=1):
        outcome = run_seed(seed, mutant=mutant)
        healed.setdefault(outcome.adversary or outcome.plan, []).append(outcome.progress_us or 0)
        if outcome.failures:
            failed.append(outcome)
            print(describe(outcome))
            report(outcome)
        if number % 50 == 0:
            print(f"{number} of {count} seeds, {len(failed)} failed", flush=True)
    print("first final block after healing, ms:         seeds   p50   max")
    for kind, times in sorted(healed.items()):
        times.sort()
        print(f"  {kind:<43}{len(times):>5}{times[len(times) // 2] // 1000:>6}{times[-1] // 1000:>6}")
    print(f"{count} seeds from {first}: {len(failed)} failed")
    return 1 if failed else 0


def describe(outcome: Outcome) -> str:
    """A run in a line."""
    who = f", adversary {outcome.adversary}" if outcome.adversary else ""
    healed = "never" if outcome.progress_us is None else f"{outcome.progress_us / 1000:.1f} ms"
    return (
        f"seed {outcome.seed}: {outcome.plan}{who}: height {outcome.height}, "
        f"{outcome.acknowledged} acknowledged, {outcome.events} events, first block after healing {healed}"
    )


def report(outcome: Outcome) -> None:
    """What failed, how to see it again, and what each node believed."""
    for checker, text in outcome.failures[:12]:
        print(f"  {checker}: {text}")
    if len(outcome.failures) > 12:
        print(f"  … and {len(outcome.failures) - 12} more")
    for belief in outcome.beliefs:
        print(f"  {belief}")
    print(f"  replay: {outcome.command()}")


if __name__ == "__main__":
    sys.exit(main())

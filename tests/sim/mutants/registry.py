"""The mutants by name, and how one is put into force for a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.sim.mutants.mutant import Mutant

MUTANTS: Final[dict[str, Mutant]] = {}


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """Change the production code in this way, in this process, while the run lasts."""
    if not name:
        yield
        return
    with MUTANTS[name].patches():
        yield

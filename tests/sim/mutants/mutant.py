"""What a mutant is: a patch of the production code, and the seeds that let it do its harm."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from tests.sim.draw import Drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A known bug. `plan` and `adversary` direct its seeds to where it hurts."""

    name: str
    breaks: str  # the rule, in words
    caught_by: tuple[str, ...]  # the checkers that must speak, at least one of them
    patches: Callable[[], AbstractContextManager[Any]]
    plan: str
    adversary: str = ""

    def drawn(self, seed: int) -> Drawn:
        """What a seed means for this mutant."""
        return Drawn(plan=self.plan, adversary=self.adversary, villain=seed % 4 if self.adversary else -1)

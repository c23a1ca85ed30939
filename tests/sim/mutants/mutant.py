"""What a mutant is: a patch of the production code, and a scenario that lets it do its harm."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """`scenario` is laid over the seed's own trouble; None lets the seeds do it alone."""

    name: str
    breaks: str  # the rule, in words
    caught_by: tuple[str, ...]  # checkers of which one must speak
    patches: Callable[[], AbstractContextManager[Any]]
    scenario: Callable[[Any], None] | None = None

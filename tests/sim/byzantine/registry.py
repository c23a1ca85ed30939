"""The adversaries by name."""

from __future__ import annotations

from typing import Final

from tests.sim.byzantine.adversary import Adversary
from tests.sim.byzantine.silent import Silent

ADVERSARIES: Final[dict[str, type[Adversary]]] = {one.name: one for one in (Silent,)}

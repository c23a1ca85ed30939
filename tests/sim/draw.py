"""What a seed says, by its number: any row of seeds covers all plans, and all adversaries under several."""

from __future__ import annotations

from dataclasses import dataclass

from tests.sim.byzantine.registry import ADVERSARIES
from tests.sim.trouble import PLANS, WITH_ADVERSARY


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What a seed says."""

    plan: str
    adversary: str
    villain: int


def draw(seed: int) -> Drawn:
    """Plan and adversary by the seed's number, so that any row of seeds covers all of them."""
    names = list(ADVERSARIES)
    if seed % 3 == 2:
        turn = seed // 3
        return Drawn(
            plan=WITH_ADVERSARY[(turn // len(names)) % len(WITH_ADVERSARY)],
            adversary=names[turn % len(names)],
            villain=seed % 4,
        )
    plans = list(PLANS)
    return Drawn(plan=plans[(seed - seed // 3) % len(plans)], adversary="", villain=-1)

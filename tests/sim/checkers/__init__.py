"""What must hold after every run, one file each, independent of the code they check.

They read the history and the stores, re-implement the arithmetic they need, and
know no excuse: an adversary's own votes are left out, and nothing else is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.sim.checkers import (
    agreement,
    chain_validity,
    durable_before_sent,
    durable_once_acknowledged,
    equal_roots,
    exactly_once,
    health,
    money_conserved,
    no_double_vote,
    no_vote_without_record,
    outcomes,
    progress,
)
from tests.sim.history import History

Checker = Callable[[History], list[str]]

CHECKERS: Final[dict[str, Checker]] = {
    "agreement": agreement.check,
    "chain_validity": chain_validity.check,
    "equal_roots": equal_roots.check,
    "no_double_vote": no_double_vote.check,
    "no_vote_without_record": no_vote_without_record.check,
    "durable_before_sent": durable_before_sent.check,
    "durable_once_acknowledged": durable_once_acknowledged.check,
    "exactly_once": exactly_once.check,
    "outcomes": outcomes.check,
    "money_conserved": money_conserved.check,
    "progress": progress.check,
    "health": health.check,
}


def check_all(history: History) -> list[tuple[str, str]]:
    """Every violation, under the name of the checker that found it."""
    return [(name, text) for name, check in CHECKERS.items() for text in check(history)]

"""The words of the language: those of version 1, and those that later versions will need.

A word of a later version is refused by name, wherever it stands (never parsed
and ignored), and no name may be one, so that today's templates stay valid.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

# Words that may not be names, because an expression or a split could not tell them apart.
RESERVED: Final = frozenset(
    {
        "activated",
        "above",
        "and",
        "assets",
        "at",
        "because",
        "currency",
        "due",
        "effective",
        "expect",
        "facts",
        "forbid",
        "given",
        "grant",
        "in",
        "let",
        "lineage",
        "of",
        "on",
        "one",
        "owes",
        "params",
        "parties",
        "pay",
        "pays",
        "per",
        "period",
        "permit",
        "rest",
        "split",
        "template",
        "test",
        "term",
        "to",
        "where",
    }
)

# Words of later versions -> what they will be for.
LATER: Final[Mapping[str, str]] = MappingProxyType(
    {
        "account": "accounts",
        "advance": "advances",
        "amended": "amendments",
        "as": "amendments and advances",
        "approve": "mandates",
        "attested": "attestation",
        "audited": "audits",
        "breach": "duties and breaches",
        "budget": "mandates",
        "cap": "caps",
        "collective": "collectives",
        "copies": "limits on copies",
        "deal": "deals",
        "dispute": "disputes",
        "duty": "duties",
        "freeze": "disputes",
        "hold": "reserves",
        "judge": "disputes",
        "leave": "pools",
        "mandate": "mandates",
        "many": "roles with many holders",
        "max": "the larger of several values",
        "mfn": "most favoured nation",
        "min": "the smaller of several values",
        "pool": "pools",
        "pot": "pots",
        "received": "clauses on money received",
        "recoup": "recoupment",
        "release": "reserves",
        "role": "roles without a party",
        "shortfall": "guarantees",
        "story_lap": "other systems' lineage rules",
        "story_lrp": "other systems' lineage rules",
        "subject": "exclusives over live licenses",
        "when": "conditions",
        "window": "windows",
        "yearly": "years",
    }
)
# Not barred as names: parameters and parties are really called so.
LATER_BUT_NAMEABLE: Final = frozenset(
    {"advance", "budget", "cap", "release", "subject", "approve", "leave", "window"}
)

TIME_UNITS: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(  # unit -> (months, days)
    {"day": (0, 1), "week": (0, 7), "month": (1, 0), "quarter": (3, 0), "year": (12, 0)}
)


def time_unit(word: str) -> tuple[int, int] | None:
    """(months, days) of a unit of time, singular or plural."""
    return TIME_UNITS.get(word) or TIME_UNITS.get(word.removesuffix("s"))

"""Every bound of a terms program, in one place, with the relations between them.

Upholds: a program's cost and the size of everything it computes are known
before it runs (L-10, L-12, L-17). Never decides anything by itself.
"""

from __future__ import annotations

from typing import Final

from licet import transactions

LANGUAGE_VERSION: Final = 1

SOURCE_BYTES_MAX: Final = transactions.SOURCE_BYTES_MAX  # what passes `check` fits a transaction
TOKENS_MAX: Final = 10_000
CHECK_WORK_MAX: Final = 31_000  # units of `language.work` for one source, about a microsecond each
NESTING_MAX: Final = 24  # parentheses inside one expression
NAME_CHARS_MAX: Final = 64
TEXT_CHARS_MAX: Final = 2_000

ROLES_MAX: Final = 64
ASSET_SLOTS_MAX: Final = 16
PARAMS_MAX: Final = 128
FACTS_MAX: Final = 64
PERIODS_MAX: Final = 8
RATES_MAX: Final = 64
TIERS_MAX: Final = 64
LINEAGES_MAX: Final = 8
GRANTS_MAX: Final = 64
CLAUSES_MAX: Final = 64
INSTRUCTIONS_MAX: Final = 512  # of one clause
TESTS_MAX: Final = 256
TESTS_COST_MAX: Final = 50_000  # gas of running all of a template's own tests once
TURNS_COST_MAX: Final = 10_000_000  # gas of looking for what no test holds, an author's tool
CODES_MAX: Final = 300  # codes in one list of territories, media, actions

LEGS_MAX: Final = 512  # L-17: exact shares are for at most 512 legs
ANCESTORS_MAX: Final = 256  # of one asset version; linking refuses more
LINKS_WALKED_MAX: Final = 2_048  # from an asset up to its ancestors, each counted at each depth
DIRECT_LEGS_WITH_LINEAGE_MAX: Final = LEGS_MAX - ANCESTORS_MAX
LINEAGE_DEPTH: Final = 8  # L-13: version 1 accepts this depth only

SCALE_MAX: Final = 9  # decimals of a template's currency
PERCENT_DECIMALS: Final = 4
PPM: Final = 10 ** (PERCENT_DECIMALS + 2)  # a percent counts in millionths
WEIGHT_ONE: Final = 10**12  # L-13: lineage weights have twelve decimals
RATE_ONE: Final = 10**9  # L-13: the rate of an edge has nine decimals

FACT_MAX: Final = 10**15  # L-10: a fact without bounds of its own
SPAN_TOTAL_FACTOR: Final = 1_000  # a rate's span holds at most so many periods' facts
AMOUNT_MAX: Final = 10**18  # of one value inside a clause, in the template's grain
EXACT_BITS_MAX: Final = 512  # of a numerator or denominator inside a clause
DAYS_MAX: Final = 36_525  # of any span of time: a hundred years
MONTHS_MAX: Final = 1_200
MEAN_MAX: Final = 24  # periods that `else mean n` looks back

assert AMOUNT_MAX < 2**63
assert FACT_MAX * SPAN_TOTAL_FACTOR <= AMOUNT_MAX
assert DIRECT_LEGS_WITH_LINEAGE_MAX > ROLES_MAX
assert WEIGHT_ONE % PPM == 0

"""What a Program is, what running one of its clauses needs, and what it returns.

A program is a checked template without jumps: parameters, rights, facts,
rates, and clauses of straight-line typed instructions in single-assignment
form. It is named by the hash of its canonical bytes (`encoding.program_hash`)
and holds indexes, never pointers: a role, parameter, fact, period, rate,
lineage or constant is its position in the program's tuple.

Units inside a program (everything is an integer or an exact rational):

* money: the template's grain, 10^-scale of its currency. Turning it into the
  ledger's scale is the domain's work (factor 10^(ledger - template), L-6).
* percent: millionths (`PPM`), so 12.5 % is 125_000.
* count: whole units. duration: a `Span`. territory, medium: sorted codes.

Never computes anything: `interpreter` and `codegen` do, `verifier` judges.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple, Protocol

NONE: Final = -1  # "no such index"


class Span(NamedTuple):
    """A length of civil time. One of both is zero: `2 weeks` is 14 days, `1 year` is 12 months."""

    months: int
    days: int


# What a parameter is bound to, by its kind.
Value = int | tuple[str, ...] | Span


class Kind(IntEnum):
    """The kinds of values. The first four live in registers, the others only in parameters."""

    MONEY = 1
    PERCENT = 2
    COUNT = 3
    PRICE = 4  # money per unit of something counted
    TERRITORY = 5
    MEDIUM = 6
    DURATION = 7


class ValueType(NamedTuple):
    """A kind and, for COUNT and PRICE, what is counted."""

    kind: Kind
    unit: str = ""


class Rounding(IntEnum):
    """How an exact value becomes a whole number of grains (L-6)."""

    HALF_EVEN = 1
    HALF_UP = 2  # a half goes away from zero
    HALF_DOWN = 3  # a half goes towards zero
    UP = 4  # away from zero
    DOWN = 5  # towards zero


class Exclusive(IntEnum):
    NO = 0
    SOLE = 1  # excludes everybody but the licensor
    YES = 2


class Consent(IntEnum):
    """Whether the licensee may sublicense or transfer."""

    NO = 0
    WITH_CONSENT = 1
    YES = 2


class Else(IntEnum):
    """What a fact is at close when nothing was reported (L-10)."""

    HOLD = 1  # the close is refused until the source reports
    LAST = 2  # the value of the last closed period, zero in the first
    ZERO = 3
    MEAN = 4  # the mean of the last n closed periods, floored


class Cadence(IntEnum):
    """Civil UTC periods. Weeks begin on Monday."""

    DAILY = 1
    WEEKLY = 2
    MONTHLY = 3
    QUARTERLY = 4


class Trigger(IntEnum):
    """When a clause runs (L-2). `Clause.subject` is the fact or the period."""

    ACTIVATED = 1
    USED = 2  # once per accepted report of fact `subject`, for the report's total
    CLOSE = 3  # at the close of period `subject`


class LineageMode(IntEnum):
    RELATIVE = 1
    ABSOLUTE = 2


class LineageCount(IntEnum):
    ONCE = 1
    EVERY_PATH = 2


class LegKind(IntEnum):
    SHARE = 1  # a percent, constant or bound parameter, to a role
    REST = 2  # what is left of 100 %, to a role; at most one, exactly one if there is a lineage leg
    LINEAGE = 3  # every ancestor its weight of the amount, capped at the lineage's stack
    BUDGET = 4  # a percent, divided among the ancestors in proportion to their weights


class Op(IntEnum):
    """The instructions. `program.instructions` tells the operands, type rule and cost of each."""

    CONST = 1  # (constant)
    PARAM = 2  # (parameter)
    FACT = 3  # (fact)
    ADD = 4  # (register, register)
    SUB = 5  # (register, register)
    MUL = 6  # (register, register)
    RATE = 7  # (rate): round(R(before + now)) - round(R(before)), L-6
    ROUND = 8  # (register): to the grain, by the template's rule
    PAYS = 9  # (debtor role, register, split of the clause)
    OWES = 10  # (debtor role, register, split of the clause, months, days)


class Instruction(NamedTuple):
    """One instruction. `out` is the register it names, `NONE` for an effect."""

    op: Op
    out: int
    args: tuple[int, ...]


class Constant(NamedTuple):
    """An exact number of a type: money in grains, percent in parts of one, counts in units."""

    type: ValueType
    num: int
    den: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetSlot:
    """A place for an asset. The first slot is the one whose version T and lineage follow (L-5)."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """A parameter. It is a constant if `low == high`; for code lists `high` is what a value must lie in.

    `default` is None if acceptance has to state a value.
    """

    name: str
    type: ValueType
    low: Value
    high: Value
    default: Value | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    name: str
    cadence: Cadence
    close_after: Span  # a close is due when the period's end plus this has passed (L-10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something reported: a COUNT of a unit, or MONEY. The total of a period is within 0 .. high."""

    name: str
    type: ValueType
    source: int  # role
    period: int
    high: int
    otherwise: Else
    mean_of: int  # for Else.MEAN, otherwise 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """Up to (and with) `up_to` units; None is `above`. The price is num/den grains per unit
    (a part of one, if the fact is money) or, if `param` is not NONE, that parameter."""

    up_to: int | None
    num: int
    den: int
    param: int = NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """R(total). Marginal: each tier prices its own units; slab: the tier reached prices them all.

    `over` is the period whose running total of the fact counts, `NONE` for the whole term.
    """

    name: str
    fact: int
    marginal: bool
    over: int
    tiers: tuple[Tier, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Which of the four weights of every ancestor a leg uses (L-13), and the cap of their sum."""

    name: str
    slot: int
    mode: LineageMode
    count: LineageCount
    depth: int
    stack_ppm: int  # 1_000_000 when the template names no stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The codes a right is limited to in one dimension; `param`, if not NONE, holds them instead."""

    dimension: Kind  # TERRITORY or MEDIUM
    codes: tuple[str, ...]
    param: int = NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    name: str
    heading: str
    actions: tuple[str, ...]
    slots: tuple[int, ...]
    to: int  # role
    where: tuple[Where, ...]  # at most one per dimension; a missing one is no limit
    during: Span  # from the agreement's effective time; the end is exclusive (L-14)
    during_param: int  # if not NONE, this parameter holds the span instead
    exclusive: Exclusive
    sublicense: Consent
    transfer: Consent


@dataclass(frozen=True, slots=True, kw_only=True)
class Forbid:
    """Beats this agreement's own permits, but for the grants in `excepted` (L-14)."""

    name: str
    heading: str
    actions: tuple[str, ...]
    slots: tuple[int, ...]
    where: tuple[Where, ...]
    excepted: tuple[int, ...]  # grants


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    kind: LegKind
    target: int  # a role for SHARE and REST, a lineage for LINEAGE and BUDGET
    ppm: int = 0
    param: int = NONE  # if not NONE, a percent parameter instead of `ppm`


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    legs: tuple[Leg, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One `pay` clause. `code` is straight-line; `splits` are those its money goes through, one each.

    `befores` lists the rates for which running it needs the total so far (others start at zero).
    """

    name: str
    heading: str
    because: str
    trigger: Trigger
    subject: int  # fact for USED, period for CLOSE, NONE for ACTIVATED
    splits: tuple[Split, ...]
    code: tuple[Instruction, ...]
    befores: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Legal:
    title: str
    sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    language: int
    codelists: int  # version of the code lists it was checked against (L-12)
    name: str
    version: str
    heading: str
    legal: Legal | None
    currency: str
    scale: int
    rounding: Rounding
    roles: tuple[Role, ...]
    slots: tuple[AssetSlot, ...]
    params: tuple[Param, ...]
    periods: tuple[Period, ...]
    facts: tuple[Fact, ...]
    rates: tuple[Rate, ...]
    lineages: tuple[Lineage, ...]
    grants: tuple[Grant, ...]
    forbids: tuple[Forbid, ...]
    constants: tuple[Constant, ...]
    clauses: tuple[Clause, ...]


# ---------------------------------------------------------------------------
# Running a clause:  LoadedProgram.run(clause, params, facts, befores, tables, totals)
#   (see `program.codegen.load` and `program.interpreter.run`, which are equal on every input)
#
#   params   one bound Value per Program.params                  (`binding.bind` makes and checks them)
#   facts    one int per Program.facts: for USED the report's total of that fact, for CLOSE the
#            period's total (after `else`); 0 for the others
#   befores  one int per Program.rates: the total of the rate's fact within the rate's span (`over`)
#            before this trigger; only those in Clause.befores are read
#   tables   one split table per Clause.splits                   (`binding.split_table` builds them)
#   totals   T of each of the clause's splits so far (L-5), in the same order
#
# It returns a tuple of intents, in text order, and has no other effect.
# ---------------------------------------------------------------------------

# A role's index, or the key of an ancestor asset.
Payee = int | bytes

# (ancestor asset key, weight at 12 decimals), ascending by key, for one mode and count (L-13).
Ancestors = tuple[tuple[bytes, int], ...]


class SplitTable(Protocol):
    """The legs of one split with all weights known: built once per (program, params, asset version)."""

    @property
    def payees(self) -> tuple[Payee, ...]: ...

    def pay(self, total: int, amount: int) -> tuple[int, ...]:
        """What each payee receives of `amount` when `total` was split before (L-4)."""
        ...


class Intent(NamedTuple):
    """Money that a clause moves (`due` is None: pays, at once or the transaction is refused) or owes.

    `shares` run parallel to `payees` and sum exactly to `amount`; zeros occur. `split` is the clause's
    split and `total` its T afterwards: the domain stores it with the effect, or not at all.
    """

    debtor: int  # role
    amount: int  # grains, never negative
    due: Span | None  # None pays now; else owes, due this long after the block's time (L-10)
    split: int
    total: int
    payees: tuple[Payee, ...]
    shares: tuple[int, ...]


Intents = tuple[Intent, ...]

"""The syntax tree of a template: what was written, with its places, and nothing worked out.

Numbers are kept as (digits, decimals), so `0.0020` is (20, 4). Every node is
frozen. `checker` gives it meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from licensing_vm.language.diagnostics import Place


class Name(NamedTuple):
    text: str
    place: Place


class Text(NamedTuple):
    text: str
    place: Place


class Number(NamedTuple):
    digits: int
    decimals: int
    place: Place


# --- values -----------------------------------------------------------------


class Money(NamedTuple):
    currency: Name
    number: Number
    place: Place


class Percent(NamedTuple):
    number: Number
    place: Place


class Duration(NamedTuple):
    number: Number
    unit: Name
    place: Place


class Codes(NamedTuple):
    """One code or parameter (`braced` false) or a list in braces."""

    names: tuple[Name, ...]
    braced: bool
    place: Place


Literal = Number | Money | Percent | Duration | Codes


# --- expressions ------------------------------------------------------------


class Price(NamedTuple):
    """`EUR 0.0020 per impression`"""

    money: Money
    unit: Name
    place: Place


class Ref(NamedTuple):
    name: Name
    place: Place


class Call(NamedTuple):
    """`rate(fact)`"""

    rate: Name
    fact: Name
    place: Place


class Binary(NamedTuple):
    op: str  # + - *
    left: Expr
    right: Expr
    place: Place  # of the operator


Expr = Number | Money | Percent | Price | Ref | Call | Binary


# --- declarations -----------------------------------------------------------


class Legal(NamedTuple):
    title: Text
    sha256: str
    place: Place


class Named(NamedTuple):
    """A party with its cardinality, or an asset with its kind."""

    name: Name
    of: Name


class Currency(NamedTuple):
    name: Name
    scale: Number
    rounding: Name


class TypeRef(NamedTuple):
    """`money`, `money per seat`, `count<impression>`, `percent`, …"""

    name: Name
    unit: Name | None


class Range(NamedTuple):
    """`= v` (high is None), or `in a .. b`, or `in codes` (low is high)."""

    low: Literal
    high: Literal | None
    default: Literal | None
    place: Place


class Param(NamedTuple):
    name: Name
    type: TypeRef
    range: Range | None


class Fact(NamedTuple):
    name: Name
    type: TypeRef
    range: Range | None
    source: Name | None
    period: Name | None
    otherwise: Name | None
    mean_of: Number | None


class Period(NamedTuple):
    name: Name
    cadence: Name
    close_after: Duration


class Tier(NamedTuple):
    up_to: Number | Money | None
    price: Price | Percent | Ref
    place: Place


class Rate(NamedTuple):
    name: Name
    fact: Name
    kind: Name  # marginal, slab
    over: Name
    tiers: tuple[Tier, ...]


class Lineage(NamedTuple):
    name: Name
    slot: Name | None
    mode: Name | None
    depth: Number | None
    stack: Percent | None
    counting: Name | None  # once, every


class Condition(NamedTuple):
    dimension: Name
    codes: Codes


class Grant(NamedTuple):
    name: Name
    heading: Text | None
    actions: tuple[Name, ...]
    slots: tuple[Name, ...]
    to: Name
    where: tuple[Condition, ...]
    during: Duration | Ref | None
    exclusive: Name | None
    sublicense: Name | None
    transfer: Name | None


class Forbid(NamedTuple):
    name: Name
    heading: Text | None
    actions: tuple[Name, ...]
    slots: tuple[Name, ...]
    where: tuple[Condition, ...]
    excepted: tuple[Name, ...]


class Let(NamedTuple):
    name: Name
    value: Expr
    place: Place


class Posting(NamedTuple):
    """`X pays E [to Y]` (due is None) or `X owes E [to Y] due in D`."""

    debtor: Name
    amount: Expr
    to: Name | None
    due: Duration | None
    place: Place  # of `pays` or `owes`


class Leg(NamedTuple):
    """`share -> role`, `rest -> role`, `lineage L`, `share -> lineage L`. `share` None and not `rest`
    means a bare lineage leg."""

    share: Percent | Ref | None
    rest: bool
    lineage: bool
    target: Name
    place: Place


class Split(NamedTuple):
    amount: Expr
    legs: tuple[Leg, ...]
    place: Place


Statement = Let | Posting | Split


class Trigger(NamedTuple):
    kind: str  # activated, used, close
    subject: Name | None
    place: Place


class Pay(NamedTuple):
    name: Name
    heading: Text | None
    trigger: Trigger
    because: Text | None
    body: tuple[Statement, ...]


class GivenLineage(NamedTuple):
    name: Name
    weights: tuple[tuple[Name, Percent], ...]


class Given(NamedTuple):
    name: Name
    before: bool  # `given f before = n`: the fact's total so far in the span of its rates
    value: Literal


class Expect(NamedTuple):
    paid: bool  # else owed
    payee: Name
    amount: Money


class Test(NamedTuple):
    name: Text
    lineages: tuple[GivenLineage, ...]
    givens: tuple[Given, ...]
    expects: tuple[Expect, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    name: Name
    version: Name
    heading: Text
    legal: Legal | None
    parties: tuple[Named, ...]
    assets: tuple[Named, ...]
    currency: Currency | None
    params: tuple[Param, ...]
    facts: tuple[Fact, ...]
    periods: tuple[Period, ...]
    rates: tuple[Rate, ...]
    lineages: tuple[Lineage, ...]
    grants: tuple[Grant, ...]
    forbids: tuple[Forbid, ...]
    pays: tuple[Pay, ...]
    tests: tuple[Test, ...]
    end: Place

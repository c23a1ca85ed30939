"""Random templates that the checker must accept, and random inputs for their clauses.

Made of text, not of programs, so that every property that uses them runs
through the parser, the checker and the compiler as an author's file does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from licensing_vm.money.amounts import decimal_text
from licensing_vm.program.binding import Table, bind, split_table
from licensing_vm.program.model import NONE, Ancestors, Kind, LegKind, Program, Span, Value

_ROUNDINGS = ("half_even", "half_up", "half_down", "up", "down")
_PARTIES = ("alba", "birk", "cora", "dune", "elan", "fjord")
_CURRENCIES = ("EUR", "USD", "JPY", "CHF")
_ACTIONS = ("reproduce", "display", "sell", "stream", "translate", "archive")
_TERRITORIES = ("EEA", "WORLD", "{DE, AT, CH}", "US", "where_ok")
_MEDIA = ("web", "{web, social, print}", "broadcast")


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    currency: str
    scale: int

    def text(self, grains: int) -> str:
        return f"{self.currency} {decimal_text(grains, self.scale)}"


@st.composite
def templates(draw: st.DrawFn) -> str:
    """The source of one valid template of language version 1."""
    money = Money(currency=draw(st.sampled_from(_CURRENCIES)), scale=draw(st.integers(0, 6)))
    parties = list(_PARTIES[: draw(st.integers(2, 6))])
    low = draw(st.integers(0, 10**4))
    high = low + draw(st.integers(1, 10**6))
    grain = draw(st.integers(1, 500))
    cadence = draw(st.sampled_from(("daily", "weekly", "monthly", "quarterly")))
    rounding = draw(st.sampled_from(_ROUNDINGS))
    parts = [
        "parties { " + " ".join(f"{party}: one;" for party in parties) + " }",
        "assets { work: image; other: ml_model; }",
        f"currency {money.currency} scale {money.scale} round {rounding};",
        f"params {{ fee: money in {money.text(low)} .. {money.text(high)};"
        f" unit_fee: money per click in {money.text(0)} .. {money.text(grain)}"
        f" default {money.text(grain)};"
        " share: percent in 0% .. 30% default 12.3456%;"
        " seats: count in 1 .. 50 default 3;"
        " how_long: duration in 1 month .. 5 years default 2 years;"
        " where_ok: territory in WORLD default EEA; }",
        f"period span {cadence} close after 3 days;",
        f"facts {{ clicks: count<click> in 0 .. 1_000_000_000 from {parties[0]} per span else zero;"
        f" sales: money in {money.text(0)} .. {money.text(10**12)} from {parties[0]} per span"
        " else mean 3; }",
        _rate(draw, money, "per_click", "clicks"),
        _rate(draw, money, "of_sales", "sales"),
        _lineage(draw),
        _grant(draw, parties),
        'forbid F1 "No machines" { ai of work, other }',
        _fee_clause(draw, parties),
        _use_clause(draw, parties),
        _close_clause(draw, parties),
    ]
    return 'template made.up version 1.2.3 "Made up" {\n' + "\n".join(parts) + "\n}\n"


def _rate(draw: st.DrawFn, money: Money, name: str, fact: str) -> str:
    thresholds = sorted(draw(st.sets(st.integers(1, 10**6), max_size=4)))
    over = draw(st.sampled_from(("span", "term")))
    tiers: list[str] = []
    price = 1
    kind = draw(st.sampled_from(("marginal", "slab")))
    for threshold in [*thresholds, None]:
        # A slab may not become cheaper; marginal tiers may.
        price = draw(st.integers(0, 9_999)) if kind == "marginal" else price + draw(st.integers(0, 99))
        if fact == "sales":
            of = f"{price // 100}.{price % 100:02d}%"
            limit = money.text(threshold) if threshold else ""
        else:
            of = f"{money.currency} {decimal_text(price, money.scale + 2)} per click"
            limit = f"{threshold:_}" if threshold else ""
        tiers.append(f"up to {limit} -> {of};" if threshold else f"above -> {of};")
    if fact == "clicks" and kind == "marginal" and draw(st.booleans()):
        tiers[-1] = "above -> unit_fee;"
    return f"rate {name} on {fact} {kind} over {over} {{ {' '.join(tiers)} }}"


def _lineage(draw: st.DrawFn) -> str:
    mode = draw(st.sampled_from(("relative", "absolute")))
    count = draw(st.sampled_from(("once", "every path")))
    return f"lineage up {{ mode {mode}; depth 8; stack max {draw(st.integers(0, 40))}.5%; count {count}; }}"


def _grant(draw: st.DrawFn, parties: list[str]) -> str:
    actions = ", ".join(sorted(draw(st.sets(st.sampled_from(_ACTIONS), min_size=1))))
    where = (
        f"territory in {draw(st.sampled_from(_TERRITORIES))} and medium in {draw(st.sampled_from(_MEDIA))}"
    )
    during = draw(st.sampled_from(("how_long", "30 days", "18 months")))
    exclusive = draw(st.sampled_from(("no", "sole", "yes")))
    return (
        f'grant G1 "Use" {{ permit {actions} of work, other to {parties[0]} where {where}'
        f" during {during} from effective exclusive {exclusive} sublicense no transfer with consent }}"
    )


def _split(draw: st.DrawFn, value: str, parties: list[str]) -> str:
    """Every party but the last has a share of at most 4 %, and the last the rest.

    The first one pays anyway; the others' shares are never 0 %, or they could be paid nowhere."""
    legs = [f"{draw(st.integers(min(at, 1), 40_000))}".rjust(5, "0") for at, _ in enumerate(parties[:-1])]
    texts = [f"{leg[:-4]}.{leg[-4:]}% -> {party};" for leg, party in zip(legs, parties, strict=False)]
    lineage = draw(st.sampled_from(("", "lineage up;", "9.5% -> lineage up;", "share -> lineage up;")))
    extra = draw(st.sampled_from(("", f"share -> {parties[-1]};")))
    texts.insert(draw(st.integers(0, len(texts))), lineage)
    return f"split {value} {{ {' '.join(texts)} {extra} rest -> {parties[-1]}; }}"


def _fee_clause(draw: st.DrawFn, parties: list[str]) -> str:
    body = draw(
        st.sampled_from(
            (
                f"{parties[0]} pays fee; {_split(draw, 'fee', parties)}",
                f"let cut = fee * 12.5%; let net = fee - cut; {parties[0]} pays net; "
                f"{_split(draw, 'net', parties)} {parties[1]} owes cut to {parties[0]} due in 2 weeks;",
                f"let all = fee * seats * 33.3333%; {parties[0]} owes all due in 1 month;"
                f" {_split(draw, 'all', parties)}",
                f"{parties[0]} pays fee + fee * seats; {_split(draw, 'fee + fee * seats', parties)}",
            )
        )
    )
    return f'pay P1 "Fee" on activated {{ {body} }}'


def _use_clause(draw: st.DrawFn, parties: list[str]) -> str:
    value = draw(st.sampled_from(("per_click(clicks)", "clicks * unit_fee", "clicks * unit_fee * share")))
    return (
        f'pay P2 "Use" on used(clicks) {{ let due_now = {value}; {parties[0]} owes due_now due in 5 days;'
        f" {_split(draw, 'due_now', parties)} }}"
    )


def _close_clause(draw: st.DrawFn, parties: list[str]) -> str:
    value = draw(
        st.sampled_from(
            (
                "of_sales(sales)",
                "of_sales(sales) + per_click(clicks)",
                "sales * 5% + per_click(clicks)",
                "(sales + fee) * (share + 1.5%)",
            )
        )
    )
    return (
        f'pay P3 "Close" at close of span {{ because "Clause 3."; let royalty = {value};'
        f" {parties[-1]} owes royalty due in 1 quarter; {_split(draw, 'royalty', parties)} }}"
    )


# --- inputs ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    params: tuple[Value, ...]
    facts: tuple[int, ...]
    befores: tuple[int, ...]
    lineages: tuple[Ancestors, ...]
    tables: tuple[tuple[Table, ...], ...]  # per clause
    totals: tuple[tuple[int, ...], ...]


@st.composite
def inputs(draw: st.DrawFn, program: Program) -> Inputs:
    """Everything that running the clauses of a program needs."""
    given: dict[str, Any] = {}
    for param in program.params:
        if param.type.kind in (Kind.MONEY, Kind.PERCENT, Kind.COUNT, Kind.PRICE):
            given[param.name] = draw(st.integers(param.low, param.high))  # type: ignore[arg-type]
        elif param.type.kind is Kind.DURATION:
            given[param.name] = Span(draw(st.integers(1, 60)), 0)
    params = bind(program, given)
    keys = draw(st.lists(st.binary(min_size=1, max_size=4), unique=True, max_size=5))
    weights = tuple((key, draw(st.integers(0, 4 * 10**11))) for key in sorted(keys))
    lineages = tuple(weights for _ in program.lineages)
    amount = st.integers(0, 10**12) | st.integers(0, 2_000)
    return Inputs(
        params=params,
        facts=tuple(min(draw(amount), fact.high) for fact in program.facts),
        befores=tuple(draw(amount) for _ in program.rates),
        lineages=lineages,
        tables=tuple(
            tuple(split_table(split, params, lineages, program) for split in clause.splits)
            for clause in program.clauses
        ),
        totals=tuple(tuple(draw(amount) for _ in clause.splits) for clause in program.clauses),
    )


def has_lineage(program: Program) -> bool:
    kinds = [leg.kind for clause in program.clauses for split in clause.splits for leg in split.legs]
    return LegKind.LINEAGE in kinds or LegKind.BUDGET in kinds


__all__ = ["NONE", "Inputs", "has_lineage", "inputs", "templates"]

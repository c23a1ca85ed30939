"""Fuzzing of the checker and the machine: `python -m tests.property.fuzz_terms --seconds 60 [--seed 1]`.

Sources grow from a grammar of the language's words or are mutations of published templates; each is
checked, and now and then published, offered, sold, reported, closed and paid. Whatever comes, the answer
is a report or a receipt: an error of any other kind, or an EXECUTION_FAULT, ends the run and is printed
with its source. The tests beside it run the same for a fixed number of rounds.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from pathlib import Path

from licet import transactions as t
from licet.types import Hash32

from licensing_vm.calendar import Date, start_of
from licensing_vm.language.checker import Checked, check
from licensing_vm.language.formatter import format_source
from licensing_vm.program.codegen import _function
from licensing_vm.program.encoding import decode, encode
from licensing_vm.transition import Status
from tests.unit.licensing_vm.domain.kit import START_MS, Ledger

ROOT = Path(__file__).parents[2]
CORPUS = tuple(
    path.read_text(encoding="utf-8")
    for folder in ("examples/terms", "tests/spec/terms_accepted", "tests/spec/terms_rejected")
    for path in sorted((ROOT / folder).glob("*.terms"))
)
_TOKEN = re.compile(r'"[^"\n]*"|[A-Za-z][A-Za-z0-9_.]*|[0-9][0-9_.]*|->|\.\.|[^\sA-Za-z0-9]')
WORDS = tuple(sorted({token for source in CORPUS for token in _TOKEN.findall(source)}))
STRANGE = (
    "",
    "\x00",
    "\ufeff",
    "\u202e",
    "é",
    "٣",
    "²",
    "\U0001f3b5",
    '"',
    "#",
    "\r",
    "\t",
    "\\",
    "9" * 39,
    "9" * 41,
    "0" * 40,
    "0.0000",
    "1e9",
    "-1",
    "x" * 64,
    "x" * 65,
    "(" * 30,
    ")" * 30,
    "{",
    "}" * 3,
    "100.0001%",
    "0%",
    "__class__",
    "template",
)


def _piece(pick: random.Random) -> str:
    pieces: tuple[str, ...] = STRANGE if pick.random() < 0.15 else WORDS
    return pick.choice(pieces)


def mutated(pick: random.Random) -> str:
    """A published template with some tokens, lines or characters changed."""
    source: str = pick.choice(CORPUS)
    for _ in range(pick.choice((1, 1, 1, 2, 3, 8))):
        spans = [match.span() for match in _TOKEN.finditer(source)] or [(0, len(source))]
        start, end = pick.choice(spans)
        match pick.randrange(8):
            case 0:
                source = source[:start] + source[end:]
            case 1:
                source = source[:start] + _piece(pick) + source[end:]
            case 2:
                source = source[:end] + " " + _piece(pick) + source[end:]
            case 3:
                begin, until = pick.choice(spans)
                source = source[:start] + source[begin:until] + source[end:]
            case 4:
                rows = source.split("\n")
                at = pick.randrange(len(rows))
                rows[at : at + 1] = [rows[at]] * pick.choice((0, 2, 2, 40))
                source = "\n".join(rows)
            case 5:
                other = pick.choice(CORPUS)
                source = (
                    source[:start] + other[pick.randrange(len(other)) :][: pick.randrange(200)] + source[end:]
                )
            case 6:
                at = pick.randrange(len(source) + 1)
                source = (
                    source[:at]
                    + chr(pick.choice((0, 9, 34, 123, 0x7F, 0x3C0, 0x2028, 0x10FFFF)))
                    + source[at:]
                )
            case _:
                source = source[: pick.randrange(len(source) + 1)]
    return source


def _money(pick: random.Random, known: bool, lets: list[str], depth: int = 0) -> str:
    """An expression of money, mostly of the right types; `known` says that the fact can be read."""
    if pick.random() < 0.02:
        return _piece(pick)
    terms = ["fee", "fee", "EUR 1.00", "EUR 0", *lets, *(("r(f)", "f * price") if known else ())]
    term: str = pick.choice(terms)
    while pick.random() < 0.35:
        term += " * " + pick.choice(
            ("cut", "50%", "0%", "2", "seats", "(cut + 1%)", "1_000_000_000_000_000_000")
        )
    if depth < 4 and pick.random() < 0.4:
        term = f"({_money(pick, known, lets, depth + 1)}) * cut"
    while pick.random() < 0.3:
        term += f" {pick.choice('++-')} {_money(pick, known, lets, depth + 1)}"
    return term


def _clause(pick: random.Random, n: int) -> str:
    when = pick.choice(("on activated", "on activated", "on used(f)", "at close of m"))
    known = when != "on activated"
    lets: list[str] = []
    body: list[str] = []
    for k in range(pick.choice((1, 1, 2, 3, 20))):
        body.append(f"let x{k} = {_money(pick, known, lets)};")
        lets.append(f"x{k}")
    for what in pick.sample(lets, min(len(lets), pick.choice((1, 1, 2)))):
        verb, due = pick.choice((("pays", ""), ("owes", f" due in {pick.choice(('0', '1', '36500'))} days")))
        legs = pick.choice(
            (
                "lineage up; rest -> b;",
                "cut -> b; rest -> c;",
                "50% -> b; 50% -> c;",
                "10% -> lineage up; rest -> b;",
                "0%->b;" * pick.choice((1, 2, 15, 16, 17, 200)) + "rest -> c;",
            )
        )
        body.append(f"a {verb} {what}{due}; split {what} {{ {legs} }}")
    return f'pay P{n} "P" {when} {{ {" ".join(body)} }}'


def grown(pick: random.Random) -> str:
    """A template that is mostly well-formed, with values at their bounds."""
    big = ("1", "10", "1000000", "100000000000", "1000000000000000", "1000000000000000000")
    low, high = sorted((pick.choice(("0", *big[:4])), pick.choice(big[:5])), key=int)
    if pick.random() < 0.02:
        low, high = high, low + "0"
    price = pick.choice(("price", "EUR 0.01 per u", "EUR 1 per u"))
    tiers = "".join(f"up to {n * n + 1} -> {price};" for n in range(pick.choice((0, 1, 5, 63))))
    rounding = pick.choice(("half_even", "half_up", "half_down", "up", "down"))
    rule = pick.choice(("zero", "hold", "last", "mean 3"))
    cadence = pick.choice(("daily", "weekly", "monthly", "quarterly"))
    length = f"{pick.choice((1, 100))} {pick.choice(('day', 'year'))}s"
    return f"""template fuzz.t version 1.0.{pick.randrange(10**6)} "F" {{
      parties {{ a: one; b: one; c: one; }} assets {{ w: image; }}
      currency EUR scale {pick.choice((2, 2, 4, 6, 0, 9))} round {rounding};
      params {{ fee: money in EUR {low} .. EUR {high} default EUR {high};
        cut: percent in 0% .. 100% default 1%; seats: count in 0 .. {high} default {high};
        price: money per u in EUR 0 .. EUR 1 default EUR 1; }}
      period m {cadence} close after {pick.choice((0, 1, 36500))} days;
      facts {{ f: count<u> in 0 .. {pick.choice(big[:5])} from a per m else {rule}; }}
      rate r on f {pick.choice(("slab", "marginal"))} over {pick.choice(("m", "term"))} {{
        {tiers} above -> {price}; }}
      lineage up {{ mode {pick.choice(("relative", "absolute"))}; depth 8; stack max 40%;
        count {pick.choice(("once", "every path"))}; }}
      grant G "G" {{ permit display of w to a during {length} from effective
        exclusive {pick.choice(("no", "no", "sole", "yes"))} }}
      {" ".join(_clause(pick, n) for n in range(pick.randrange(1, 4)))}
      pay Q "Q" on activated {{ a pays fee to c; }} pay R "R" on activated {{ a pays fee to b; }} }}"""


def world() -> Ledger:
    ledger = Ledger(window_ms=10**15)
    ledger.party("a", "b", "c", "d")
    for party in ("a", "b", "c"):
        ledger.fund(party, 10**18)
    ledger.asset("b", "up")
    ledger.run("c", t.RegisterAsset(asset="root", kind="image", title="Root"))
    ledger.link("up", "root", 100_000_000)
    legs = tuple(
        t.PayoutLeg(party=party, share_ppm=share) for party, share in (("c", 333_333), ("d", 666_667))
    )
    ledger.run("c", t.SetPayoutSheet(asset="root", legs=legs), signers=["c"])
    return ledger


def publish_and_use(
    ledger: Ledger, source: str, checked: Checked, pick: random.Random, n: int, tally: dict[str, int]
) -> None:
    """Publish a template and send what an agreement under it meets, in good faith and not."""
    ledger.now = START_MS + n * 10
    [done] = ledger.block(ledger.tx("b", t.PublishTemplate(source=source)), at_ms=ledger.now).executed
    if done.code == "EXECUTION_FAULT":
        raise AssertionError("EXECUTION_FAULT")
    assert (done.status is Status.COMMITTED) <= (checked.program is not None)
    if done.status is not Status.COMMITTED or checked.program is None:
        return
    program = checked.program
    assert decode(encode(program)) == program
    hash_ = next(a.value for a in done.read().events[0].attributes if a.name == "program_hash")
    work = f"w{n}"
    ledger.asset("b", work)
    if pick.random() < 0.7:
        ledger.link(work, pick.choice(("up", "root")), pick.choice((1, 999_999_999)))
    parties = {role.name: pick.choice("abc") for role in program.roles}
    if {"a", "b", "c"} <= parties.keys():
        parties |= {"a": "a", "b": "b"}
    made = t.CreateAgreement(
        agreement=f"x{n}",
        program_hash=Hash32(bytes.fromhex(hash_)),
        roles=tuple(t.RoleBinding(role=role, party=party) for role, party in parties.items()),
        assets=tuple(t.AssetBinding(slot=slot.name, asset=work) for slot in program.slots),
    )
    bound = made.agreement
    starts = (START_MS, start_of(Date(2025, 12, 29)), start_of(Date(2026, 1, 2)), 0, 2**63, 2**64 - 1)
    txs = [ledger.tx("b", made, signers=["a", "b", "c"], valid_for_ms=10**14)]
    for k in range(3):
        report = t.ReportUsage(
            report=f"r{n}-{k}",
            fact=pick.choice([fact.name for fact in program.facts] or ["f"]),
            period_start_ms=pick.choice(starts[:3]) if k else pick.choice(starts),
            agreements=(bound,),
            agreement_index=[0, 0],
            offset_ms=[0, pick.choice((0, 2**32))],
            quantity=[pick.choice((0, 1, 10**15, 2**64 - 1)), pick.randrange(1000)],
        )
        txs.append(ledger.tx("a", report, valid_for_ms=10**14))
    period = pick.choice([period.name for period in program.periods] or ["m"])
    for start in starts:
        close = t.ClosePeriod(agreement=bound, period=period, period_start_ms=start)
        txs.append(ledger.tx("b", close, valid_for_ms=10**14))
    for minor in (1, 1_000_000, 10**18, 7):
        amount = t.Money(currency="EUR", minor=minor)
        txs.append(ledger.tx(pick.choice("abc"), t.Pay(agreement=bound, amount=amount), valid_for_ms=10**14))
    for at, tx in enumerate(txs):
        late = 0 if at < 4 else pick.choice((32, 400, 40_000)) * 86_400_000
        [done] = ledger.block(tx, at_ms=START_MS + n * 10 + 1 + late).executed
        outcome = f"{type(tx.body.commands[0]).__name__} {done.code or 'committed'}"
        tally[outcome] = tally.get(outcome, 0) + 1
        if done.code == "EXECUTION_FAULT":
            raise AssertionError(f"EXECUTION_FAULT {ledger.machine._faults} {tx.body.commands}")


def translated(checked: Checked) -> None:
    """Translating never fails on a program that the checker let through."""
    if checked.program is not None:
        for at in range(len(checked.program.clauses)):
            _function(checked.program, checked.program.clauses[at])


class Found(Exception):
    """A source or a sequence that something went wrong with."""


def rounds(seed: int, *, count: int = 0, seconds: float = 0) -> dict[str, int]:
    """Run so many rounds, or so long; how often what came out."""
    pick = random.Random(seed)
    ledger = world()
    check_books, ledger.check_books = ledger.check_books, lambda: None  # type: ignore[method-assign]
    tally: dict[str, int] = {"rounds": 0, "accepted": 0}
    ends = time.monotonic() + seconds
    while tally["rounds"] < count or time.monotonic() < ends:
        source = pick.choice((mutated, grown))(pick)
        tally["rounds"] += 1
        try:
            checked = check(source, warn=pick.random() < 0.3)
            if checked.program is not None:
                tally["accepted"] += 1
                translated(checked)
                format_source(source)
            checked.report.render("t")
            code = checked.report.errors[0].code if checked.report.errors else "none"
            tally[code] = tally.get(code, 0) + 1
            if checked.program is not None or pick.random() < 0.02:
                source.encode()
                publish_and_use(ledger, source, checked, pick, tally["rounds"], tally)
        except UnicodeEncodeError:
            continue  # no transaction could carry it
        except Exception as why:
            raise Found(f"seed {seed}, round {tally['rounds']}: {source}") from why
    check_books()
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    tally = rounds(given.seed, seconds=given.seconds)
    for code, times in sorted(tally.items(), key=lambda item: -item[1]):
        print(f"{times:8} {code}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The worst that each command's declared cost and a block's budget of work allow (C-16), as blocks.

`python -m tests.property.worst` prints times beside those declared and spent, on the machine it runs on. The
test beside it counts calls instead, which do not depend on the machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from licet import transactions as t
from licet.transactions import SIGNATURES_MAX
from licet.types import Hash32

from licensing_vm.calendar import Date, start_of
from licensing_vm.transition import BlockInput, BlockResult, cost
from tests.unit.licensing_vm.domain.kit import EUR, START_MS, Ledger, offer_of, publish, roles_of

FEBRUARY = start_of(Date(2026, 2, 12))
PAYEES = tuple(f"q{n}" for n in range(60))
UNITS_OF_WORK = 80  # of declared cost: a posting takes 0.8 µs, a unit of declared cost is 10 ns
FILLS = (100, 70, 40, 20, 8)  # per cent of the declared cost that a block may hold
Make = Callable[[Ledger], Iterator[tuple[str, t.Transaction]]]


def template(
    name: str,
    legs: int,
    *,
    clauses: int = 1,
    verb: str = "pays",
    when: str = "on activated",
    payees: int = len(PAYEES),
) -> str:
    """Every clause divides EUR 10.00 among so many legs, of so many parties besides the seller."""
    due = " due in 1 day" if verb == "owes" else ""
    shares = "".join(f"0.1% -> p{n % payees};" for n in range(legs - 1)) + "rest -> seller;"
    pays = "".join(
        f'pay P{n} "P" {when} {{ let x = EUR 5.00 * 2; buyer {verb} x{due}; split x {{ {shares} }} }}'
        for n in range(clauses)
    )
    parties = "".join(f"p{n}: one;" for n in range(min(payees, legs - 1)))
    return f"""template {name} version 1.0.0 "T" {{ parties {{ seller: one; buyer: one; {parties} }}
      assets {{ w: image; }} currency EUR scale 2 round half_even; period month monthly close after 1 day;
      facts {{ used: count<view> in 0 .. 1_000 from buyer per month else zero; }}
      grant G "G" {{ permit display of w to buyer during 1 year from effective }} {pays} }}"""


def roles(legs: int, payees: int = len(PAYEES)) -> dict[str, str]:
    return {"seller": "seller"} | {f"p{n}": PAYEES[n] for n in range(min(payees, legs - 1))}


def world() -> Ledger:
    ledger = Ledger(window_ms=10**11)
    ledger.party("seller", "buyer", *PAYEES)
    ledger.fund("buyer", 10**9 * EUR)
    ledger.asset("seller", "w")
    return ledger


def offered(ledger: Ledger, name: str, legs: int, **how: object) -> bytes:
    hash_ = publish(ledger, template(name, legs, **how), "seller")  # type: ignore[arg-type]
    ledger.run("seller", offer_of(name, hash_, roles(legs), {}, {"w": "w"}))
    return hash_


def accept(ledger: Ledger, offer: str, agreement: str) -> t.Transaction:
    return ledger.tx("buyer", t.AcceptOffer(agreement=agreement, offer=offer), valid_for_ms=10**10)


def money(minor: int) -> t.Money:
    return t.Money(currency="EUR", minor=minor)


def sales(legs: int, verb: str, clauses: int, count: int) -> Make:
    """Sales under one offer that has been sold before (its terms are bound once)."""

    def make(ledger: Ledger) -> Iterator[tuple[str, t.Transaction]]:
        offered(ledger, "o", legs, verb=verb, clauses=clauses)
        for n in range(10):
            yield "before", accept(ledger, "o", f"a{n}")
        for n in range(count):
            yield "worst", accept(ledger, "o", f"b{n}")

    return make


def first_sales(legs: int, count: int, *, made: bool = True) -> Make:
    """Offers sold once each, made in the same block or before: every sale binds its terms anew."""

    def make(ledger: Ledger) -> Iterator[tuple[str, t.Transaction]]:
        hash_ = publish(ledger, template("o", legs), "seller")
        for n in range(count):
            offer = offer_of(f"o{n}", hash_, roles(legs), {}, {"w": "w"})
            yield "worst" if made else "before", ledger.tx("seller", offer)
        for n in range(count):
            yield "worst", accept(ledger, f"o{n}", f"a{n}")

    return make


def negotiated(legs: int, clauses: int, count: int) -> Make:
    """Agreements signed by as many parties as a transaction may have signatures."""
    others = SIGNATURES_MAX - 2  # besides the seller and the buyer

    def make(ledger: Ledger) -> Iterator[tuple[str, t.Transaction]]:
        hash_ = publish(ledger, template("o", legs, clauses=clauses, payees=others), "seller")
        for n in range(count):
            made = t.CreateAgreement(
                agreement=f"n{n}",
                program_hash=Hash32(hash_),
                roles=roles_of(buyer="buyer", **roles(legs, others)),
                assets=(t.AssetBinding(slot="w", asset="w"),),
            )
            yield "worst", ledger.tx("seller", made, signers=["buyer", *PAYEES[:others]])

    return make


def closes_and_pays(legs: int, count: int, *, paying: int) -> Make:
    """Closes that owe to every leg; then payments of all, or of a half, which is divided."""

    def make(ledger: Ledger) -> Iterator[tuple[str, t.Transaction]]:
        offered(ledger, "o", legs, verb="owes", when="at close of month")
        for n in range(count):
            yield "before", accept(ledger, "o", f"a{n}")
        ledger.now = FEBRUARY
        for n in range(count):
            close = t.ClosePeriod(agreement=f"a{n}", period="month", period_start_ms=START_MS)
            yield "before" if paying else "worst", ledger.tx("seller", close)
        for n in range(count if paying else 0):
            pay = t.Pay(agreement=f"a{n}", amount=money(paying * EUR))
            yield "worst", ledger.tx("buyer", pay, valid_for_ms=10**9)

    return make


def reports(legs: int, agreements: int, verb: str) -> Make:
    """One report of many agreements, each with a clause that runs at once."""

    def make(ledger: Ledger) -> Iterator[tuple[str, t.Transaction]]:
        offered(ledger, "o", legs, verb=verb, when="on used(used)")
        names = tuple(f"a{n}" for n in range(agreements))
        for name in names:
            yield "before", accept(ledger, "o", name)
        for n in range(11):
            report = t.ReportUsage(
                report=f"r{n}",
                fact="used",
                period_start_ms=START_MS,
                agreements=names,
                agreement_index=list(range(agreements)),
                offset_ms=[0] * agreements,
                quantity=[1] * agreements,
            )
            yield "worst" if n == 10 else "before", ledger.tx("buyer", report, valid_for_ms=10**9)

    return make


def beside_open(count: int, make_one: Callable[[Ledger, int], t.Transaction]) -> Make:
    """What only looks at agreements that have 512 unpaid obligations each."""

    def make(ledger: Ledger) -> Iterator[tuple[str, t.Transaction]]:
        offered(ledger, "o", 512, verb="owes")
        for n in range(count):
            yield "before", accept(ledger, "o", f"a{n}")
        for n in range(count):
            yield "worst", make_one(ledger, n)

    return make


def report_of_one(ledger: Ledger, n: int) -> t.Transaction:
    report = t.ReportUsage(
        report=f"r{n}",
        fact="used",
        period_start_ms=START_MS,
        agreements=(f"a{n}",),
        agreement_index=[0],
        offset_ms=[0],
        quantity=[1],
    )
    return ledger.tx("buyer", report, valid_for_ms=10**9)


def close_too_early(ledger: Ledger, n: int) -> t.Transaction:
    close = t.ClosePeriod(agreement=f"a{n}", period="month", period_start_ms=START_MS)
    return ledger.tx("seller", close, valid_for_ms=10**9)


def payment_of_a_stranger(ledger: Ledger, n: int) -> t.Transaction:
    return ledger.tx("seller", t.Pay(agreement=f"a{n}", amount=money(1)), valid_for_ms=10**9)


def claims(ledger: Ledger) -> Iterator[tuple[str, t.Transaction]]:
    """Claims that are cut into as many pieces as are added up at all."""
    for n in range(32):
        claim = t.RegisterClaim(
            claim=f"c{n}",
            asset="w",
            holder="seller",
            right=("any", "display", "reproduce")[n % 3],
            territory=("WORLD", "EU", "DE")[n % 3],
            share_ppm=100_000,
            from_ms=10 * n,
            until_ms=10 * n + 95,
        )
        yield "worst", ledger.tx("seller", claim)


def catalogue(ledger: Ledger) -> Iterator[tuple[str, t.Transaction]]:
    hash_ = publish(ledger, template("o", 2), "seller")
    names = tuple(f"w{n}" for n in range(t.LIST_ITEMS_MAX))
    for name in names:
        yield "before", ledger.tx("seller", t.RegisterAsset(asset=name, kind="image", title=name))
    yield "worst", ledger.tx("seller", offer_of("o", hash_, roles(2), {}, {"w": names}))


def moves(ledger: Ledger) -> Iterator[tuple[str, t.Transaction]]:
    for n in range(200):
        yield "worst", ledger.tx("buyer", t.Transfer(to=PAYEES[n % len(PAYEES)], amount=money(n + 1)))


HEAD = """template a version 1.0.0 "T" { parties { a: one; b: one; } assets { w: image; }
 currency EUR scale 2 round half_even;
 params { fee: money in EUR 0.00 .. EUR 9.00; """
_PAIRS = tuple((n, m) for n in range(3) for m in range(3))


def hostile_sources() -> Mapping[str, Sequence[str]]:
    """Head, repeated part and tail of sources that are slow to check for their length."""
    product = "+".join(f"p{n}*q{m}" for n, m in _PAIRS)
    cuts = "".join(f"p{n}:money in EUR 0.00 .. EUR 9.00; q{n}:percent in 0% .. 99%;" for n in range(3))
    tiers = "".join(f"up to {n} -> EUR 0.01 per u;" for n in range(1, 64)) + "above -> EUR 0.01 per u;"
    used = (
        "period month monthly close after 1 day; facts { f: count<u> in 0 .. 9 from a per month else zero; }"
    )
    grant = (
        'grant G{n} "g" { permit display of w to b where territory in {EU, US} during 1 year from effective }'
    )
    return {
        "words": (HEAD + "} ", "a ", "}"),
        "lines": (HEAD + "} ", "#\n", "}"),
        "parties": (HEAD + "} pay P on activated {", "c pays fee to d;", "} }"),
        "values": (
            HEAD + "} ",
            'pay P{n} "p" on activated { let x=fee*1%; let y=x+fee; a pays fee to b; }',
            "}",
        ),
        "products": (
            HEAD + cuts + "} ",
            f'pay P{{n}} "p" on activated {{ let x={product}; a pays x to b; }}',
            "}",
        ),
        "splits": (
            HEAD + "} ",
            'pay P{n} "p" on activated { a pays fee; split fee {' + "0%->b;" * 40 + "rest->b;} }",
            "}",
        ),
        "unmatched": (
            HEAD + '} pay P "p" on activated {' + "a pays fee;" * 300,
            "split fee+fee {rest->b;}",
            "} }",
        ),
        "rates": (
            HEAD + "} " + used + f"rate r on f marginal over month {{ {tiers} }} ",
            'pay P{n} "p" at close of month { let x=r(f); let y=r(f); a owes r(f) to b due in 1 day; }',
            "}",
        ),
        "rights": (
            HEAD + "} ",
            grant + ' forbid F{n} "f" { print of w where territory in {EU, US} } ',
            'pay P "p" on activated { a pays fee to b; } }',
        ),
        "tests": (
            HEAD + '} pay P "p" on activated { a pays fee; split fee {' + "1%->b;" * 60 + "rest->b;} }",
            'test "{n}" { given fee = EUR 1.00; expect paid to b = EUR 1.00; } ',
            "}",
        ),
    }


def source_of(parts: Sequence[str], size: int) -> str:
    head, part, tail = parts
    # Braces are the language's, so only the number is put in.
    count = max(1, (size - len(head) - len(tail)) // len(part))
    return head + "".join(part.replace("{n}", str(n)) for n in range(count)) + tail


def publications(kind: str, size: int) -> Make:
    def make(ledger: Ledger) -> Iterator[tuple[str, t.Transaction]]:
        yield "worst", ledger.tx("seller", t.PublishTemplate(source=source_of(hostile_sources()[kind], size)))

    return make


WORST: Mapping[str, Make] = {
    "transfers": moves,
    "sales, cash to 60": sales(60, "pays", 1, 600),
    "sales, 4 obligations": sales(4, "owes", 1, 600),
    "sales, cash to 600": sales(300, "pays", 2, 600),
    "sales, 120 obligations": sales(120, "owes", 1, 600),
    "sales, 512 obligations": sales(512, "owes", 1, 100),
    "offers and first sales, cash to 60": first_sales(60, 40),
    "offers and first sales, cash to 512": first_sales(512, 40),
    "first sales, cash to 60": first_sales(60, 40, made=False),
    "first sales, cash to 512": first_sales(512, 100, made=False),
    "negotiated, cash to 60": negotiated(60, 1, 30),
    "negotiated, cash to 600": negotiated(300, 2, 30),
    "closes, 15 obligations": closes_and_pays(15, 70, paying=0),
    "closes, 120 obligations": closes_and_pays(120, 70, paying=0),
    "payments of 15 obligations": closes_and_pays(15, 110, paying=10),
    "payments of a part of 15": closes_and_pays(15, 110, paying=5),
    "payments of 120 obligations": closes_and_pays(120, 70, paying=10),
    "payments of a part of 120": closes_and_pays(120, 70, paying=5),
    "payments of a part of 512": closes_and_pays(512, 10, paying=5),
    "reports, 2 obligations each": reports(2, 50, "owes"),
    "reports, cash to 400 each": reports(400, 20, "pays"),
    "reports beside 512 obligations": beside_open(40, report_of_one),
    "closes too early, refused beside 512 obligations": beside_open(40, close_too_early),
    "payments that nobody owes, refused beside 512": beside_open(40, payment_of_a_stranger),
    "claims": claims,
    "an offer of 1,024 assets": catalogue,
    **{
        f"publication of {kind}, {size >> 10} KB": publications(kind, size)
        for kind in hostile_sources()
        for size in (4 << 10, 12 << 10, 40 << 10, 127 << 10)
    },
}


def filled(transactions: Sequence[t.Transaction], limit: int) -> list[t.Transaction]:
    """As many of them, in order, as declare no more; one at least."""
    declared, out = 0, list(transactions[:1])
    for at, tx in enumerate(transactions):
        declared += cost(tx)
        if declared > limit:
            break
        out = list(transactions[: at + 1])
    return out


def run(
    make: Make, watch: Callable[[Callable[[], BlockResult]], BlockResult], fill: int = 100
) -> tuple[int, BlockResult]:
    """Execute what a case prepares, then its worst block under `watch`; its declared cost and result."""
    ledger = world()
    ledger.check_books = lambda: None  # type: ignore[method-assign]
    worst: list[t.Transaction] = []
    for phase, tx in make(ledger):
        if phase == "worst":
            worst.append(tx)
        else:
            [done] = ledger.block(tx, at_ms=ledger.now + 1).executed
            assert not done.code, done.read().refusal
    worst = filled(worst, ledger.genesis.parameters.block_cost_max * fill // 100)
    ledger.height += 1
    ledger.now += 1
    block = BlockInput(height=ledger.height, timestamp_ms=ledger.now, transactions=worst)
    result = watch(lambda: ledger.machine.execute(block))
    return sum(map(cost, worst)), result


def main() -> None:
    for name, make in WORST.items():
        spent: list[int] = []

        def watch(execute: Callable[[], BlockResult], spent: list[int] = spent) -> BlockResult:
            begin = time.thread_time_ns()
            result = execute()
            spent.append((time.thread_time_ns() - begin) // 1000)
            return result

        declared, result = run(make, watch)
        codes = sorted({done.code for done in result.executed})
        n = len(result.executed)
        print(
            f"{name:42} {n:4} tx {spent[0] / 1000:7.1f} ms, declared {declared / 100_000:5.1f} and"
            f" {result.work * UNITS_OF_WORK / 100_000:5.1f} of work:"
            f" x{spent[0] * 100 / (declared + result.work * UNITS_OF_WORK):5.2f} {' '.join(codes)}"
        )


if __name__ == "__main__":
    main()

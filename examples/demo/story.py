"""The story of the demo, one function a step; every number it prints comes from the ledger."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from licet.client import Client
from licet.money import format_money
from licet.outcomes import Committed
from licet.statement import Statement
from licet.testing import Network
from licet.usage import UsageRow, period_bounds_ms, read_usage_csv

from examples.demo import checks
from examples.demo.screen import Screen, percentile
from examples.loading import (
    EXAMPLES,
    FLAT_FEE,
    SALE_FEE,
    Cast,
    Work,
    create_offers,
    publish_terms,
    read_works,
    register_parties,
    register_works,
    together,
)

PERIOD: Final = "2026-01"
USAGE: Final = EXAMPLES / "usage" / "impressions-2026-01.csv"
STYLE_SALES: Final = 600
KILLED: Final = 2  # the node that dies
AFTER_DEATH: Final = 30  # licenses bought while it is dead
SHOWN: Final = ("studio", "agency", "ada.okafor", "daniel.moreau", "hana.sato")


@dataclass(slots=True, kw_only=True)
class Story:
    """What the steps share."""

    network: Network
    client: Client
    cast: Cast
    screen: Screen
    folder: Path
    works: list[Work] = field(default_factory=list)
    offered: dict[str, str] = field(default_factory=dict)
    prices: dict[str, int] = field(default_factory=dict)  # agreement → what its payees must get
    sale: Committed | None = None  # the sale whose lineage is shown
    rows: list[UsageRow] = field(default_factory=list)
    gap_ms: float = 0.0

    def money(self, currency: str, minor: int) -> str:
        """An amount as people read it."""
        return format_money(currency, minor, self.client.scales)

    def kind(self, kind: str) -> list[str]:
        """Assets of one kind."""
        return [work.asset for work in self.works if work.kind == kind]


def _minor(price: str) -> int:
    units, _, fraction = price.removeprefix("EUR ").partition(".")
    return int(units + fraction.ljust(6, "0"))


async def load(story: Story) -> None:
    """The catalogue."""
    catalogue = EXAMPLES / "catalogue"
    known = {item["party"] for item in story.network.facts["parties"].values()}
    story.works = read_works(catalogue)
    async with story.screen.step(f"A catalogue of {len(story.works)} works, from examples/catalogue/*.csv"):
        added = await register_parties(story.cast, catalogue, known, story.screen.count)
        await register_works(story.cast, story.works, story.screen.count)
        kinds: dict[str, int] = {}
        for work in story.works:
            kinds[work.kind] = kinds.get(work.kind, 0) + 1
        edges = sum(len(work.parents) for work in story.works)
        story.screen.say(f"    {added} parties joined; {edges} links of lineage; works by kind:")
        story.screen.say("    " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())))


async def offer(story: Story) -> None:
    """Terms and standing offers."""
    async with story.screen.step("Terms, checked and compiled by every node, and standing offers"):
        programs = await publish_terms(story.cast, "studio", story.screen.count)
        for name, program in programs.items():
            story.screen.say(f"    {name:<17} program {program.hex()[:16]}…")
        story.offered = await create_offers(story.cast, story.works, programs, story.screen.count)
        story.screen.say(f"    {len(set(story.offered.values()))} offers cover {len(story.offered)} works")


async def fund(story: Story) -> None:
    """The issuer credits what the buyers brought."""
    bank = story.cast.acting("bank")
    async with story.screen.step("Money: the issuer credits what it received from the buyers"):
        jobs = [
            bank.deposit("advertiser", "EUR 250_000.00", reference="wire 1001"),
            bank.deposit("publisher", "EUR 50_000.00", reference="wire 1002"),
        ]
        await together(jobs, story.screen.count)
        story.screen.say("    advertiser EUR 250_000.00, publisher EUR 50_000.00")


async def _buy(
    story: Story, buyer: str, asset: str, slot: str, price: int, name: str | None = None
) -> Committed:
    acting = story.cast.acting(buyer)
    outcome = await acting.license(story.offered[asset], agreement=name, assets={slot: asset})
    story.prices[outcome.names["agreement"]] = price
    return outcome


async def sell(story: Story) -> None:
    """Licenses under all three templates."""
    photos, images, creatives = story.kind("photo"), story.kind("generated_image"), story.kind("composite")
    async with story.screen.step("Licenses under three templates, each paid or owed by its own clauses"):
        flat = [_buy(story, "publisher", asset, "work", _minor(FLAT_FEE)) for asset in photos]
        ads = [
            _buy(story, "advertiser", asset, "creative", 0, f"ad-{number:03}")
            for number, asset in enumerate(creatives, 1)
        ]
        await together([*flat, *ads], story.screen.count)
        styles = [
            _buy(story, "advertiser", images[number % len(images)], "work", _minor(SALE_FEE))
            for number in range(STYLE_SALES)
        ]
        sales = await together(styles, story.screen.count)
        story.sale = max(sales, key=lambda sale: sum(p.change.minor > 0 for p in sale.entries[0].postings))
        story.screen.say(f"    {len(flat)} flat fees, {len(ads)} campaigns, {len(sales)} generated images")
    decision = await story.client.authorize(
        "publisher", photos[0], "display", territories=["DE"], media=["web"]
    )
    checks.demand(decision.allowed, f"Authorize says no: {decision.reason}")
    story.screen.say(f"    may publisher display {photos[0]} on the web in DE? yes: {decision.reason}")
    decision = await story.client.authorize("publisher", photos[0], "ai_train")
    checks.demand(not decision.allowed, "Authorize allows what the terms forbid.")
    story.screen.say(f"    may it train a model with it? no: {decision.reason}")


async def report(story: Story) -> None:
    """A month of usage in signed reports."""
    start, end = period_bounds_ms(PERIOD)
    story.rows = read_usage_csv(USAGE)
    async with story.screen.step(
        f"January's usage: {len(story.rows):,} rows of {USAGE.name}, signed in columns"
    ):
        await asyncio.to_thread(story.network.advance_to, "2026-02-01")
        acting = story.cast.acting("advertiser")
        began = time.monotonic()
        outcomes = await acting.report_usage(
            story.rows, fact="impressions", period_start_ms=start, period_end_ms=end, report="jan"
        )
        for outcome in outcomes:
            story.screen.count(outcome, (time.monotonic() - began) / len(outcomes))
        names = ", ".join(outcome.names["report"] for outcome in outcomes)
        story.screen.say(f"    the clock moved to 2026-02-01; reports {names} accepted")
    for agreement, impressions in checks.totals_by_agreement(story.rows).items():
        story.prices[agreement] = checks.royalty_minor(impressions)


async def close(story: Story) -> None:
    """The period closes; the advertiser pays what it then owes."""
    start, _ = period_bounds_ms(PERIOD)
    acting = story.cast.acting("advertiser")
    agreements = sorted(checks.totals_by_agreement(story.rows))
    async with story.screen.step("The month closes by the manual clock; each clause fires once"):
        await asyncio.to_thread(story.network.advance_to, "2026-02-12")
        jobs = [acting.close_period(name, period="month", period_start_ms=start) for name in agreements]
        await together(jobs, story.screen.count)
        owed: dict[str, int] = {}
        creditors: dict[str, int] = {}
        async for item in story.client.list_obligations(party="advertiser"):
            owed[item.agreement] = owed.get(item.agreement, 0) + item.amount.minor
            creditors[item.creditor] = creditors.get(item.creditor, 0) + item.amount.minor
        for name in agreements:
            price = story.prices[name]
            checks.demand(owed.get(name) == price, f"{name} owes {owed.get(name)} minor units, not {price}.")
        story.screen.say(
            f"    owed by the advertiser: {story.money('EUR', sum(owed.values()))}, due in 30 days"
        )
        for creditor, minor in sorted(creditors.items()):
            story.screen.say(f"      to {creditor:<12} {story.money('EUR', minor):>16}  P1 Monthly use")
    async with story.screen.step("The advertiser pays, and only then cash moves"):
        jobs = [acting.pay(name, story.money("EUR", minor)) for name, minor in sorted(owed.items())]
        await together(jobs, story.screen.count)
        left = [
            item.obligation
            async for item in story.client.list_obligations(party="advertiser")
            if item.paid.minor != item.amount.minor
        ]
        checks.demand(not left, f"Still owed: {left}")
        story.screen.say(f"    {len(owed)} campaigns paid in full")


def _statement_rows(story: Story, statement: Statement) -> list[tuple[str, ...]]:
    """Per clause: how often, what was owed, what was paid."""
    sums: dict[tuple[str, str], list[int]] = {}
    for line in statement.lines:
        if not line.clause:
            continue
        what = f"{line.clause} {line.clause_heading}" + (", upstream" if line.asset else "")
        if statement.party in ("advertiser", "publisher"):
            continue
        kind = sums.setdefault((what, line.change.currency), [0, 0, 0])
        kind[0] += 1
        if line.account == "receivable" and line.change.minor > 0:
            kind[1] += line.change.minor
        elif line.account == "cash":
            kind[2] += line.change.minor
    return [
        (
            statement.party,
            what,
            str(count),
            story.money(currency, owed) if owed else "-",
            story.money(currency, paid) if paid else "-",
        )
        for (what, currency), (count, owed, paid) in sorted(sums.items())
    ]


async def explain(story: Story) -> None:
    """Who is owed and was paid what, and by which clause."""
    async with story.screen.step("Who was owed and who was paid what, by which clause"):
        statements = await asyncio.gather(*(story.client.statement(party) for party in SHOWN))
        rows = [row for statement in statements for row in _statement_rows(story, statement)]
        story.screen.table(("party", "clause", "lines", "was owed", "was paid"), rows)


async def flow(story: Story) -> None:
    """One sale, up its lineage."""
    assert story.sale is not None
    entry = story.sale.entries[0]
    agreement = await story.client.get_agreement(story.sale.names["agreement"])
    asset = agreement.assets[0].asset
    async with story.screen.step(f"The lineage flow of one sale: {asset} for {SALE_FEE}"):
        lineage = await story.client.lineage(asset)
        paid: dict[str, list[str]] = {}
        for posting in entry.postings:
            if posting.change.minor > 0:
                text = f"{posting.party} {story.money(posting.change.currency, posting.change.minor)}"
                paid.setdefault(posting.asset or asset, []).append(text)
        seen: set[str] = set()
        for line in lineage.to_text().splitlines():
            name = line.lstrip("│├└─ ").split()[0]
            money = ", ".join(paid.get(name, [])) if name not in seen else "(above)"
            seen.add(name)
            story.screen.say(f"    {line:<52} {money}".rstrip())
        legs = sum(p.change.minor for p in entry.postings if p.change.minor > 0)
        story.screen.say(f"    together {story.money('EUR', legs)}, to the minor unit")


def _verify(story: Story, file: Path) -> tuple[int, str]:
    """`licet verify` in a process of its own, without any network."""
    command = [sys.executable, "-m", "licet.cli", "verify", str(file)]
    command += ["--genesis", str(story.folder / "genesis.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, (done.stdout or done.stderr).splitlines()[0]


async def prove(story: Story) -> None:
    """A license's proof file, checked offline; a forged one, refused."""
    assert story.sale is not None
    agreement = story.sale.names["agreement"]
    async with story.screen.step(f"The proof file of {agreement}, checked offline by `licet verify`"):
        certificate = await story.client.certificate(agreement)
        file = certificate.save(story.folder / "certificate.licet")
        code, said = await asyncio.to_thread(_verify, story, file)
        checks.demand(code == 0, f"The proof file was refused: {said}")
        story.screen.say(f"    {len(certificate.data):,} bytes: {said}")
        # Another licensee, the same length: everything else of the file is genuine.
        forged = certificate.data.replace(b"advertiser", b"adventurer")
        checks.demand(forged != certificate.data, "The proof file names no licensee.")
        copy = story.folder / "forged.licet"
        copy.write_bytes(forged)
        code, said = await asyncio.to_thread(_verify, story, copy)
        checks.demand(code == 1, f"The forged proof file was accepted: {said}")
        story.screen.say(f"    forged for another licensee: {said}")


async def survive(story: Story, clients: dict[str, Client]) -> None:
    """SIGKILL one node, go on licensing, restart it, compare the roots."""
    name = f"n{KILLED}"
    images = story.kind("generated_image")
    async with story.screen.step(f"SIGKILL to {name}; licensing goes on"):
        said = await asyncio.to_thread(story.network.kill, KILLED)
        story.screen.say(f"    {said}")
        began = time.monotonic()
        for number in range(AFTER_DEATH):
            job = _buy(story, "publisher", images[number % len(images)], "work", _minor(SALE_FEE))
            await together([job], story.screen.count)
            if number == 0:
                story.gap_ms = 1000 * (time.monotonic() - began)
        story.screen.say(
            f"    {AFTER_DEATH} licenses with three nodes, the first final after {story.gap_ms:.0f} ms"
        )
    async with story.screen.step(f"{name} starts again and catches up by itself"):
        began = time.monotonic()
        said = await asyncio.to_thread(story.network.start, KILLED)
        story.screen.say(f"    {said}")
        height, roots = await checks.equal_roots(clients)
        took = time.monotonic() - began
        story.screen.say(f"    {name} is at height {height} with the others after {took:.1f} s")
        story.screen.say(f"    root {roots[name]} on all four")


async def settle(story: Story, clients: dict[str, Client]) -> dict[str, object]:
    """The invariants; returns the summary."""
    async with story.screen.step("Invariants"):
        height, roots = await checks.equal_roots(clients)
        outcomes = await checks.every_receipt(story.client, story.screen.outcomes)
        entries = checks.check_entries(outcomes)
        splits = checks.check_splits(outcomes, story.prices)
        lines = await checks.check_books(story.client)
        checks.check_complete(outcomes, lines)
        chain = await checks.check_chain(story.client, story.network.genesis)
        status = await story.client.status()
        rows = len(story.rows)
        checks.demand(
            status.usage_rows == rows, f"The ledger counts {status.usage_rows} usage rows, not {rows}."
        )
        say = story.screen.say
        say(f"    entries sum to zero            {entries:>7} entries of {len(outcomes)} receipts")
        say(f"    splits add up to the minor unit{splits:>7} agreements, against prices worked out here")
        say(f"    books balance                  {lines:>7} statement lines of every party; cash = deposits")
        say(f"    four equal roots                       at height {height}: {roots['n1'][:16]}…")
        say(
            f"    finality certificates          {chain.certificates:>7} verified, {chain.headers} headers;"
            f" at least {chain.signers_min} distinct signers each"
        )
    seconds = time.monotonic() - story.screen.began
    return {
        "chain_id": story.client.genesis.chain_id().hex(),
        "state_roots": roots,
        "height": height,
        "transactions": status.transactions,
        "usage_rows": status.usage_rows,
        "wall_s": round(seconds, 2),
        "committed": len(outcomes),
        "entries": entries,
        "statement_lines": lines,
        "headers": chain.headers,
        "finality_certificates": chain.certificates,
        "signers_min": chain.signers_min,
        "latency_ms": {
            "p50": round(1000 * percentile(story.screen.latencies, 50), 1),
            "p99": round(1000 * percentile(story.screen.latencies, 99), 1),
        },
        "gap_ms_one_killed": round(story.gap_ms, 1),
        "steps": [
            {"step": title, "transactions": count, "seconds": round(took, 3)}
            for title, count, took in story.screen.step_rates
        ],
    }


def write_summary(folder: Path, summary: dict[str, object]) -> None:
    """The summary beside the proof file."""
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")

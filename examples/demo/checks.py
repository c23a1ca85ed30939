"""The invariants that the demo ends on, recomputed from what the nodes say and from the input files.

Nothing here is taken on trust where it can be counted again: every finality certificate is verified
against genesis, every posting of every party is added up, and the royalty is computed from the CSV by
integers of its own. A check that fails raises `Broken`, and the demo ends with 1.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from licet.certificate import Certificate, CertificateKind, Header, check_certificate, check_linked
from licet.client import Client
from licet.genesis import Genesis
from licet.outcomes import Committed
from licet.proof import validators_of
from licet.usage import UsageRow

SIGNERS_MIN: Final = 3
MINOR_PER_CENT: Final = 10_000  # EUR at the ledger's scale of 6
# ads.per_use: up to a million 0.0020, up to ten 0.0015, above 0.0010 EUR an impression.
TIERS: Final = ((1_000_000, 20), (10_000_000, 15), (None, 10))  # in parts of 10⁻⁴ EUR


class Broken(Exception):
    """An invariant that does not hold."""


def demand(holds: bool, sentence: str) -> None:
    """Raise unless it holds."""
    if not holds:
        raise Broken(sentence)


def royalty_minor(impressions: int) -> int:
    """What a month of impressions owes, in minor units: marginal tiers, rounded half-even to the cent."""
    owed_e4, below = 0, 0
    for limit, rate in TIERS:
        upto = impressions if limit is None else min(impressions, limit)
        owed_e4 += max(0, upto - below) * rate
        below = limit or below
    cents, rest = divmod(owed_e4, 100)
    cents += rest > 50 or (rest == 50 and cents % 2 == 1)
    return cents * MINOR_PER_CENT


def totals_by_agreement(rows: Iterable[UsageRow]) -> dict[str, int]:
    """Impressions of each agreement in the report."""
    totals: dict[str, int] = {}
    for row in rows:
        totals[row.agreement] = totals.get(row.agreement, 0) + row.quantity
    return totals


async def every_receipt(client: Client, known: Iterable[Committed]) -> list[Committed]:
    """A receipt of every transaction that took effect, also of the network's first, which is not the demo's.

    Those that the demo was given are taken; the ledger's events name the others.
    """
    receipts = {outcome.transaction_hash: outcome for outcome in known}
    async for event in client.events(until_now=True):
        if event.transaction_hash not in receipts:
            receipts[event.transaction_hash] = await client.receipt(event.transaction_hash)
    return list(receipts.values())


def check_complete(outcomes: Iterable[Committed], lines: int) -> None:
    """The receipts' postings are as many as the lines of all statements: no entry is left out.

    A share of zero is posted and makes no line.
    """
    entries = [entry for outcome in outcomes for entry in outcome.entries]
    postings = sum(posting.change.minor != 0 for entry in entries for posting in entry.postings)
    demand(postings == lines, f"The receipts hold {postings} postings, the statements {lines} lines.")


def check_entries(outcomes: Iterable[Committed]) -> int:
    """Every journal entry of every receipt sums to zero in each currency."""
    count = 0
    for outcome in outcomes:
        for entry in outcome.entries:
            count += 1
            demand(
                all(total == 0 for total in entry.sums().values()),
                f"An entry of transaction {outcome.transaction_hash.hex()} sums to {entry.sums()}.",
            )
    return count


def check_splits(outcomes: Iterable[Committed], prices: Mapping[str, int]) -> int:
    """Each agreement's payees receive, to the minor unit, the price or royalty worked out here."""
    received: dict[str, int] = {}
    for outcome in outcomes:
        for entry in outcome.entries:
            if entry.kind in ("sale", "accrual"):
                legs = sum(p.change.minor for p in entry.postings if p.change.minor > 0)
                received[entry.agreement] = received.get(entry.agreement, 0) + legs
    for agreement, price in prices.items():
        got = received.get(agreement, 0)
        demand(got == price, f"The payees of {agreement} got {got} minor units of {price}.")
    demand(set(received) == set(prices), "Something was divided that nobody sold.")
    return len(prices)


async def check_books(client: Client) -> int:
    """Over every statement of every party: postings sum to zero, and cash is what the issuer put in."""
    postings: dict[str, int] = {}
    cash: dict[str, int] = {}
    deposited: dict[str, int] = {}
    balances: dict[str, int] = {}
    lines = 0
    parties = [party.party async for party in client.list_parties()]
    for statement in await asyncio.gather(*(client.statement(party) for party in parties)):
        for line in statement.lines:
            lines += 1
            currency, minor = line.change.currency, line.change.minor
            postings[currency] = postings.get(currency, 0) + minor
            if line.account == "cash":
                cash[currency] = cash.get(currency, 0) + minor
                if line.kind in ("deposit", "withdrawal"):
                    deposited[currency] = deposited.get(currency, 0) + minor
        for balance in statement.balances:
            if balance.account == "cash":
                currency = balance.amount.currency
                balances[currency] = balances.get(currency, 0) + balance.amount.minor
            demand(
                balance.amount.minor >= 0 or balance.account in ("issued", "payable"),
                f"{balance.party} {balance.account} is below zero.",
            )
    demand(not any(postings.values()), f"All postings together sum to {postings}.")
    demand(cash == deposited, f"Cash is {cash}, deposits less withdrawals are {deposited}.")
    demand(balances == deposited, f"Balances are {balances}, deposits less withdrawals are {deposited}.")
    return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """What the headers showed."""

    headers: int
    certificates: int
    signers_min: int


async def check_chain(client: Client, genesis: Genesis) -> ChainReport:
    """Every header leads to the next, and every finality certificate holds with at least three signers."""
    validators, chain_id = validators_of(genesis), genesis.chain_id()
    demand(genesis.certificate_kind is CertificateKind.SIMPLEX, "Genesis names another kind of certificate.")
    headers: list[Header] = []
    counts: list[int] = []
    async for final in client.list_headers(from_height=1):
        header = Header.decode(final.header)
        demand(header.chain_id == chain_id, f"The header of height {final.height} is of another chain.")
        headers.append(header)
        if final.finality:
            certificate = Certificate.decode(final.finality)
            demand(certificate.digest == header.id, f"The certificate of {final.height} is of another block.")
            check_certificate(certificate, validators, chain_id=chain_id)
            counts.append(len(set(certificate.voters())))
    check_linked(headers)
    demand(bool(counts), "No finality certificate was served.")
    demand(min(counts) >= SIGNERS_MIN, f"A finality certificate has {min(counts)} signers.")
    return ChainReport(headers=len(headers), certificates=len(counts), signers_min=min(counts))


async def equal_roots(
    clients: Mapping[str, Client], *, timeout_s: float = 30.0
) -> tuple[int, dict[str, str]]:
    """Wait until every node has executed the same height, and compare the roots there."""
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout_s
    while True:
        states = dict(
            zip(clients, await asyncio.gather(*(c.status() for c in clients.values())), strict=True)
        )
        heights = {status.executed_height for status in states.values()}
        if len(heights) == 1:
            roots = {name: status.state_root.hex() for name, status in states.items()}
            height = heights.pop()
            demand(len(set(roots.values())) == 1, f"At height {height} the roots differ: {roots}.")
            return height, roots
        seen = {name: status.executed_height for name, status in states.items()}
        demand(loop.time() < end, f"The nodes stand at different heights after {timeout_s:g} s: {seen}.")
        await asyncio.sleep(0.05)

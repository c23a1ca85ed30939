"""What a person reads: statements, lineage, certificates, decisions. Frozen, printable, for notebooks too.

Every view has `to_dict()` (plain values for JSON), `_repr_html_()` (a table, every cell escaped) and
pickles. Amounts stay minor units with the ledger's scale beside them; text is made when it is shown.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from licet.money import format_money
from licet.outcomes import Entry
from licet.proof import VerifiedClaim
from licet.transactions import Money
from licet.usage import format_time_ms
from licet.views import html_table, plain, text_table


class _View:
    """What all views share."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        document = plain(self)
        assert isinstance(document, dict)
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """One posting and its cause."""

    height: int
    index: int
    timestamp_ms: int
    transaction_hash: bytes
    kind: str
    agreement: str
    clause: str
    clause_heading: str
    account: str
    change: Money
    counterparty: str
    asset: str
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """An account's balance; `issuer` names whose claim a cash balance is."""

    party: str
    account: str
    issuer: str
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement(_View):
    """What a party earned, was paid and is owed, line by line with the clause behind each."""

    party: str
    lines: tuple[StatementLine, ...]
    balances: tuple[Balance, ...]
    height: int
    scales: Mapping[str, int]

    def by_clause(self, account: str) -> dict[tuple[str, str], dict[str, int]]:
        """Minor units per (agreement, clause) and currency over the lines of one account kind."""
        totals: dict[tuple[str, str], dict[str, int]] = {}
        for line in self.lines:
            if line.account == account:
                sums = totals.setdefault((line.agreement, line.clause), {})
                sums[line.change.currency] = sums.get(line.change.currency, 0) + line.change.minor
        return totals

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                format_time_ms(line.timestamp_ms),
                line.kind,
                line.account,
                format_money(line.change.currency, line.change.minor, self.scales),
                line.counterparty,
                line.agreement,
                f"{line.clause} {line.clause_heading}".strip(),
            )
            for line in self.lines
        ]

    _HEADINGS = ("time", "kind", "account", "change", "with", "agreement", "clause")

    def to_text(self) -> str:
        """The statement as aligned columns, balances last."""
        table = text_table(self._HEADINGS, self._rows()) if self.lines else "No entries."
        balances = "\n".join(
            f"{balance.account} {format_money(balance.amount.currency, balance.amount.minor, self.scales)}"
            + (f" at {balance.issuer}" if balance.issuer else "")
            for balance in self.balances
        )
        return f"{table}\n\nBalances of {self.party} after height {self.height}:\n{balances or 'none'}"

    def _repr_html_(self) -> str:
        return html_table(
            f"Statement of {self.party} after height {self.height}", self._HEADINGS, self._rows()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestor:
    """One ancestor with its share of what is paid for the asset, in parts of 10¹²."""

    asset: str
    version: int
    relative_once_e12: int
    relative_every_path_e12: int
    absolute_once_e12: int
    absolute_every_path_e12: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """child derives from parent; `rate_e9` of a sale is due to the parent."""

    child: str
    parent: str
    relation: str
    rate_e9: int


def percent_text(value: int, one: int) -> str:
    """`value` of `one` as a percentage with the digits that say something."""
    scale = len(str(one)) - 3
    digits = str(value).rjust(scale + 1, "0")
    fraction = digits[-scale:].rstrip("0")
    return digits[:-scale] + (f".{fraction}" if fraction else "") + " %"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage(_View):
    """Where an asset comes from: its parents, theirs, and who is paid upstream."""

    asset: str
    edges: tuple[Edge, ...]
    ancestors: tuple[Ancestor, ...]

    def to_text(self) -> str:
        """The edges as a tree, a shared ancestor printed once and named after that."""
        by_child: dict[str, list[Edge]] = {}
        for edge in self.edges:
            by_child.setdefault(edge.child, []).append(edge)
        lines = [self.asset]
        seen: set[str] = set()

        def walk(asset: str, pad: str) -> None:
            if asset in seen:
                return
            seen.add(asset)
            edges = by_child.get(asset, [])
            for position, edge in enumerate(edges, 1):
                last = position == len(edges)
                again = " (above)" if edge.parent in seen and by_child.get(edge.parent) else ""
                branch = "└─" if last else "├─"
                share = percent_text(edge.rate_e9, 10**9)
                lines.append(f"{pad}{branch} {edge.parent}  {edge.relation} {share}{again}")
                walk(edge.parent, pad + ("   " if last else "│  "))

        walk(self.asset, "")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return html_table(
            f"Lineage of {self.asset}",
            ("child", "parent", "relation", "rate"),
            ((e.child, e.parent, e.relation, percent_text(e.rate_e9, 10**9)) for e in self.edges),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate(_View):
    """A proof file that was verified against genesis, and what it proves."""

    data: bytes
    claim: VerifiedClaim

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the `.licet` file."""
        target = Path(path)
        target.write_bytes(self.data)
        return target

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the claim, and the file's bytes as hex."""
        return {**self.claim.to_dict(), "file": self.data.hex()}

    def _repr_html_(self) -> str:
        document = self.claim.to_dict()
        return html_table(f"Certificate: {self.claim.sentence()}", ("field", "value"), document.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferQuote:
    """A standing offer that would permit a use."""

    offer: str
    template: str
    price: Money | None
    price_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(_View):
    """May a party use an asset so? The answer, the clauses that decided, and what would permit it."""

    allowed: bool
    reason: str
    clauses: tuple[str, ...]
    agreements: tuple[str, ...]
    offers: tuple[OfferQuote, ...]
    height: int
    timestamp_ms: int
    signed_by: str  # the validator whose signature over the decision was checked
    decision: bytes
    signature: bytes

    def _repr_html_(self) -> str:
        return html_table("Decision", ("field", "value"), self.to_dict().items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote(_View):
    """What accepting an offer would cost and pay to whom."""

    total: Money
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(_View):
    """The public state of a node and of its network."""

    node: str
    version: str
    chain_id: bytes
    network: str
    dev: bool
    height: int
    executed_height: int
    state_root: bytes
    anchored_height: int
    now_ms: int
    window_ms: int
    transactions: int
    usage_rows: int
    sentence: str
    leader: str
    currency_scales: Mapping[str, int]
    timestamp_ms: int

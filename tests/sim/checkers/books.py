"""The checkers' own ledger: it replays a chain's transactions by the rules in a few lines each.

It knows the commands and the two sets of terms that simulated clients use, and no
VM: keys and their scopes, cash, offers, sales, use, closes, obligations, payments. A
transaction takes effect whole or not at all, and its id is used up unless nobody
entitled signed it or its time had passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from math import gcd
from typing import Any, Final

from licet import transactions as t

from tests.sim import metering, shop
from tests.sim.checkers import own_terms
from tests.sim.genesis import BANK, PARTIES, party_key

WINDOW_MS: Final = 300_000
DAY_MS: Final = 86_400_000
SCOPES: Final[dict[type[Any], str]] = {
    t.Deposit: "pay",
    t.Withdraw: "pay",
    t.Transfer: "pay",
    t.Pay: "pay",
    t.AddKey: "govern",
    t.RevokeKey: "govern",
    t.ReportUsage: "report",
    t.ClosePeriod: "report",
    t.RegisterAsset: "license",
    t.PublishTemplate: "license",
    t.CreateOffer: "license",
    t.AcceptOffer: "license",
}
REPEAT, REFUSED, OPEN, TAKEN = "repeat", "refused", "refused, id open", "committed"


class No(Exception):
    """The command is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Debt:
    """What is owed of one leg of one close."""

    number: int
    due_ms: int
    debtor: str
    creditor: str
    left: int


class Books:
    """One table of facts with an undo list: (kind, names …) → value."""

    def __init__(self) -> None:
        self.table: dict[tuple[Any, ...], Any] = {}
        self._undo: list[tuple[tuple[Any, ...], Any]] = []
        self.now_ms = 0
        self._signers: frozenset[bytes] = frozenset()
        self._sender = ""
        for party in (BANK, *PARTIES):
            self.table["keys", party] = {party_key(party).public_key: (("all",), 0)}

    def get(self, *key: Any, otherwise: Any = None) -> Any:
        known = self.table.get(key)
        return otherwise if known is None else known

    def put(self, value: Any, *key: Any) -> None:
        self._undo.append((key, self.table.get(key)))
        self.table[key] = value

    def cash(self, party: str) -> int:
        """What a party holds; the bank's is what it issued, negative."""
        return int(self.get("cash", party, otherwise=0))

    def debts(self) -> Iterable[tuple[str, Debt]]:
        """Everything owed, by agreement."""
        for key, value in self.table.items():
            if key[0] == "debts":
                yield from ((key[1], debt) for debt in value)

    # --- a transaction

    def execute(self, transaction: t.Transaction, now_ms: int) -> str:
        """What becomes of it."""
        body = transaction.body
        self.now_ms, self._sender = now_ms, body.sender
        self._signers = frozenset(one.public_key for one in transaction.signatures)
        used = self.get("id", body.sender, body.id)
        if used == transaction.hash:
            return REPEAT
        in_time = now_ms <= body.valid_until_ms <= now_ms + WINDOW_MS
        if not in_time or not all(self._may(body.sender, SCOPES[type(one)]) for one in body.commands):
            return OPEN
        if used is not None:
            return OPEN
        self._undo = []
        try:
            for command in body.commands:
                HANDLERS[type(command)](self, command)
        except No:
            for key, value in reversed(self._undo):
                self.table[key] = value
            outcome = REFUSED
        else:
            outcome = TAKEN
        self.table["id", body.sender, body.id] = transaction.hash
        return outcome

    def _may(self, party: str, scope: str) -> bool:
        """Whether one of the signatures is by a key of the party's that covers this now."""
        return any(
            key in self._signers and (not expires or self.now_ms < expires) and {scope, "all"} & set(scopes)
            for key, (scopes, expires) in self.get("keys", party, otherwise={}).items()
        )

    # --- commands

    def move(self, payer: str, receiver: str, minor: int) -> None:
        if minor <= 0 or ("keys", receiver) not in self.table:
            raise No
        if payer != BANK and self.cash(payer) < minor:
            raise No
        self.put(self.cash(payer) - minor, "cash", payer)
        self.put(self.cash(receiver) + minor, "cash", receiver)

    def deposit(self, command: t.Deposit) -> None:
        if self._sender != BANK:
            raise No
        self.move(BANK, command.to, command.amount.minor)

    def withdraw(self, command: t.Withdraw) -> None:
        if self._sender != BANK or not self._may(command.from_, "pay"):
            raise No
        self.move(command.from_, BANK, command.amount.minor)

    def transfer(self, command: t.Transfer) -> None:
        self.move(self._sender, command.to, command.amount.minor)

    def add_key(self, command: t.AddKey) -> None:
        keys = dict(self.get("keys", self._sender))
        if command.key.public_key in keys or len(keys) >= 16:
            raise No
        keys[command.key.public_key] = (command.key.scopes, command.key.expires_ms)
        self.put(keys, "keys", self._sender)

    def revoke_key(self, command: t.RevokeKey) -> None:
        keys = dict(self.get("keys", self._sender))
        if keys.pop(command.public_key, None) is None:
            raise No
        if not any({"all", "govern"} & set(scopes) and not expires for scopes, expires in keys.values()):
            raise No
        self.put(keys, "keys", self._sender)

    def _new(self, kind: str, name: str) -> None:
        if self.get(kind, name) is not None:
            raise No
        self.put(self._sender, kind, name)

    def register_asset(self, command: t.RegisterAsset) -> None:
        self._new("asset", command.asset)

    def publish(self, command: t.PublishTemplate) -> None:
        self._new("template", command.source)

    def create_offer(self, command: t.CreateOffer) -> None:
        self._new("offer", command.offer)

    def accept(self, command: t.AcceptOffer) -> None:
        if self.get("offer", command.offer) is None:
            raise No
        self._new("agreement", command.agreement)
        if command.offer == shop.OFFER:
            self.move(self._sender, shop.LICENSOR, shop.LICENSOR_MINOR)
            self.move(self._sender, shop.AGENCY, shop.AGENCY_MINOR)
        else:
            self.put((self._sender, self.now_ms - self.now_ms % DAY_MS), "meter", command.agreement)

    def report(self, command: t.ReportUsage) -> None:
        self._new(f"report of {self._sender}", command.report)
        day = command.period_start_ms
        if day % DAY_MS or day > self.now_ms or len(set(command.agreements)) < len(command.agreements):
            raise No
        added = dict.fromkeys(command.agreements, 0)
        rows = zip(command.agreement_index, command.offset_ms, command.quantity, strict=True)
        for place, offset, quantity in rows:
            if place >= len(command.agreements) or offset >= DAY_MS:
                raise No
            added[command.agreements[place]] += quantity
        for agreement, total in added.items():
            user, first_open = self.get("meter", agreement, otherwise=("", 0))
            source = {"views": user, "prints": metering.AGENCY}[command.fact]
            if not user or source != self._sender or day < first_open:
                raise No
            known = self.get("use", agreement, command.fact, day, otherwise=0)
            self.put(known + total, "use", agreement, command.fact, day)

    def close(self, command: t.ClosePeriod) -> None:
        user, first_open = self.get("meter", command.agreement, otherwise=("", 0))
        day = command.period_start_ms
        if not user or command.period != "day" or day != first_open or self.now_ms < day + DAY_MS:
            raise No
        views = self.get("use", command.agreement, "views", day, otherwise=0)
        prints = self.get("use", command.agreement, "prints", day, otherwise=0)
        self._owe(command.agreement, user, "views", own_terms.rated(own_terms.VIEWS, views))
        self._owe(command.agreement, user, "prints", own_terms.rated(own_terms.PRINTS, prints))
        self.put((user, day + DAY_MS), "meter", command.agreement)

    def _owe(self, agreement: str, user: str, clause: str, cents: int) -> None:
        """Every leg is a creditor of its own share; what was ever split of the offer goes on (L-5)."""
        weights, creditors = {
            "views": (own_terms.VIEW_LEGS, (metering.OWNER, metering.AGENCY, metering.ARTIST)),
            "prints": (own_terms.PRINT_LEGS, (metering.ARTIST, metering.OWNER)),
        }[clause]
        before = self.get("split", clause, otherwise=0)
        parts = own_terms.split(weights, before, cents)
        self.put(before + cents, "split", clause)
        number = self.get("numbers", agreement, otherwise=1)
        debts = list(self.get("debts", agreement, otherwise=()))
        for creditor, part in zip(creditors, parts, strict=True):
            if part:
                left = part * own_terms.GRAIN
                due_ms = self.now_ms + DAY_MS
                debts.append(Debt(number=number, due_ms=due_ms, debtor=user, creditor=creditor, left=left))
                number += 1
        self.put(number, "numbers", agreement)
        self.put(tuple(debts), "debts", agreement)

    def pay(self, command: t.Pay) -> None:
        if self.get("agreement", command.agreement) is None:
            raise No
        minor, debts = command.amount.minor, self.get("debts", command.agreement, otherwise=())
        own = sorted(
            (debt for debt in debts if debt.debtor == self._sender),
            key=lambda debt: (debt.due_ms, debt.number),
        )
        owed = sum(debt.left for debt in own)
        if not 0 < minor <= owed or (minor % own_terms.GRAIN and minor != owed):
            raise No
        paid: dict[int, int] = {}
        rest = minor
        for _, together in groupby(own, key=lambda debt: debt.due_ms):
            due = list(together)
            part = min(rest, sum(debt.left for debt in due))
            unit = gcd(own_terms.GRAIN, part, *(debt.left for debt in due))
            for debt, share in zip(due, own_terms.shares([d.left for d in due], part // unit), strict=True):
                paid[debt.number] = share * unit
            rest -= part
        for debt in own:
            if paid[debt.number]:
                self.move(self._sender, debt.creditor, paid[debt.number])
        after = [
            replace(debt, left=debt.left - paid[debt.number]) if debt.debtor == self._sender else debt
            for debt in debts
        ]
        self.put(tuple(debt for debt in after if debt.left), "debts", command.agreement)


HANDLERS: Final[dict[type[Any], Callable[[Books, Any], None]]] = {
    t.Deposit: Books.deposit,
    t.Withdraw: Books.withdraw,
    t.Transfer: Books.transfer,
    t.Pay: Books.pay,
    t.AddKey: Books.add_key,
    t.RevokeKey: Books.revoke_key,
    t.ReportUsage: Books.report,
    t.ClosePeriod: Books.close,
    t.RegisterAsset: Books.register_asset,
    t.PublishTemplate: Books.publish,
    t.CreateOffer: Books.create_offer,
    t.AcceptOffer: Books.accept,
}
assert set(HANDLERS) == set(SCOPES)

"""What a transaction will probably ask of a block's work, before it is executed: to fill blocks well.

A block refuses with `BLOCK_FULL` what its budget of work has no room for (C-16, `domain.reach`), and only
execution counts work. Whoever proposes a block, or gathers a batch for one, can do better than to order
what will be refused and sent again: it remembers what a thing asked the last time, once for the first in a
block, which also meets and binds what it rests on, and once for those that follow. Things are: accepting an
offer, paying under an agreement, closing its periods, reporting its use.

What was refused asked for more than was left: that is learned too, of every transaction, by its bytes where
it is none of those things. So whatever was ordered in vain finds the room that it asked for when it is
ordered again, and after a few blocks it is executed, however full others keep them.

What transfers ask is known from their bytes: each account that a block names is met in it.

A guess and nothing else: it decides what a node proposes and never what is valid, so nodes may differ in
it. Of an offer that was not accepted here yet it expects what others asked lately, and some more, for what
is left out goes into the next block and what is refused is sent again; likewise of payments and closes. All
other transactions are expected to need what they declare.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, final

from licet.transactions import AcceptOffer, ClosePeriod, Command, Pay, ReportUsage, Transaction, Transfer
from licet.types import Hash32

from licensing_vm.domain.context import Account, accounts_of
from licensing_vm.domain.reach import (
    ACCOUNT,
    BINDING,
    OBLIGATION,
    OPEN_ITEM,
    PAID,
    WORK_PER_BLOCK,
    room_beside,
)

THINGS_KEPT: Final = 1 << 16
UNKNOWN_FIRST: Final = 3 * BINDING  # at least, of an offer that nobody accepted here yet
UNKNOWN_PAYMENT: Final = OPEN_ITEM + PAID  # of an agreement under which nobody paid here yet
UNKNOWN_CLOSE: Final = BINDING + OBLIGATION
UNFORESEEN: Final = 6  # such a part of the expected work is left free for what no guess covers
LATELY: Final = 16  # a new thing moves what is expected of unknown ones by one such part

# Accepting an offer with a choice of assets; what is done under an agreement; or a transaction's hash.
_Thing = tuple[str, tuple[tuple[str, str], ...]] | tuple[type[Command], str] | Hash32

_UNKNOWN: Final[dict[type[Command], int]] = {
    AcceptOffer: UNKNOWN_FIRST,
    Pay: UNKNOWN_PAYMENT,
    ClosePeriod: UNKNOWN_CLOSE,
}


def _thing(transaction: Transaction) -> _Thing | None:
    """What a transaction does, as far as its work goes; None if that is known from its bytes."""
    commands = transaction.body.commands
    command = commands[0]
    if len(commands) == 1:
        if isinstance(command, Transfer):
            return None
        if isinstance(command, ReportUsage):
            agreements = command.agreements
            return (ReportUsage, agreements[0]) if len(agreements) == 1 else transaction.hash
        if isinstance(command, AcceptOffer):
            assets = command.assets
            return command.offer, tuple([(one.slot, one.asset) for one in assets]) if assets else ()
        if isinstance(command, (Pay, ClosePeriod)):
            return type(command), command.agreement
    return transaction.hash


def _kind(thing: _Thing) -> type[Command] | None:
    """Of which kind of unknown things it is one; None if nothing is expected of those."""
    if isinstance(thing, bytes):
        return None
    return AcceptOffer if isinstance(thing[0], str) else thing[0]


def _keep(known: dict[_Thing, int], thing: _Thing, units: int) -> None:
    if thing not in known and len(known) >= THINGS_KEPT:
        del known[next(iter(known))]
    known[thing] = units


@final
class Foresight:
    """What things asked in the blocks that this machine executed."""

    __slots__ = ("_first", "_met", "_next", "_taught", "_usual")

    def __init__(self) -> None:
        self._usual = dict(_UNKNOWN)
        self._first: dict[_Thing, int] = {}
        self._next: dict[_Thing, int] = {}
        self._met: set[_Thing] = set()  # done in the block under way
        self._taught: set[_Thing] = set()  # refused in it

    def open_block(self) -> None:
        """A block begins."""
        self._met.clear()
        self._taught.clear()

    def learn(self, transaction: Transaction, units: int) -> None:
        """A transaction was committed and asked for so much work."""
        thing = _thing(transaction)
        if thing is None:
            return
        if isinstance(thing, bytes):  # it never comes again
            self._first.pop(thing, None)
            return
        if thing in self._met:
            _keep(self._next, thing, units)
            return
        self._met.add(thing)
        if thing not in self._first:
            self._move(thing, units)
        _keep(self._first, thing, units)

    def refused(self, transaction: Transaction, units: int) -> None:
        """A transaction found no room for so much work; what more it would have asked for is not known.

        So at least that is expected of it from now on, and twice what was expected: once for a block, in
        which many may have been refused. What it asks once it is executed corrects a guess that was high."""
        thing = _thing(transaction)
        if thing is None:
            return
        known = self._next if thing in self._met else self._first
        expected = known.get(thing)
        if expected is None:
            kind = _kind(thing)
            expected = 0 if kind is None or known is self._next else self._usual.get(kind, 0)
            if known is self._first and units > expected:
                self._move(thing, units)
        if thing not in self._taught:
            self._taught.add(thing)
            expected = min(2 * expected, WORK_PER_BLOCK)
        _keep(known, thing, max(expected, units))

    def _move(self, thing: _Thing, units: int) -> None:
        """A thing that was not known asked for so much."""
        kind = _kind(thing)
        if kind in self._usual:
            self._usual[kind] += (units - self._usual[kind]) // LATELY

    def room(self) -> Room:
        """An empty block."""
        unknown = {kind: max(least, self._usual[kind] * 5 // 4) for kind, least in _UNKNOWN.items()}
        return Room(self._first, self._next, unknown)


@final
class Room:
    """A block, or a batch, being filled."""

    __slots__ = ("_accounts", "_declared", "_first", "_next", "_things", "_unknown", "_work")

    def __init__(
        self, first: dict[_Thing, int], later: dict[_Thing, int], unknown: dict[type[Command], int]
    ) -> None:
        self._unknown = unknown
        self._first = first
        self._next = later
        self._things: set[_Thing] = set()
        self._accounts: set[Account] = set()  # that transfers name
        self._declared = 0
        self._work = 0

    def takes(self, transactions: Iterable[Transaction], cost: int, *, whatever: bool = False) -> bool:
        """Add transactions that declare `cost` together, if there will be room; `whatever`: in any case."""
        things: set[_Thing] = set()
        accounts: set[Account] = set()
        work = self._work
        for transaction in transactions:
            thing = _thing(transaction)
            if thing is None or len(transaction.body.commands) > 1:
                accounts |= accounts_of(transaction.body)
                if thing is None:
                    continue
            if thing in self._things or thing in things:
                work += self._next.get(thing, 0)
                continue
            things.add(thing)
            expected = self._first.get(thing)
            if expected is None:
                kind = _kind(thing)
                expected = 0 if kind is None else self._unknown.get(kind, 0)
            work += expected
        declared = self._declared + cost
        accounts -= self._accounts
        met = ACCOUNT * (len(self._accounts) + len(accounts))
        if work + work // UNFORESEEN + met > room_beside(declared) and not whatever:
            return False
        self._things |= things
        self._accounts |= accounts
        self._declared, self._work = declared, work
        return True

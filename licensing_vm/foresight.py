"""What a transaction will probably ask of a block's work, before it is executed: to fill blocks well.

A block refuses with `BLOCK_FULL` what its budget of work has no room for (C-16, `domain.reach`), and only
execution counts work. Whoever proposes a block, or gathers a batch for one, can do better than to order
what will be refused and sent again: it remembers what accepting an offer asked the last time, once for the
first acceptance in a block, which also binds the offer's terms, and once for those that follow.

What transfers ask is known from their bytes: each account that a block names is met in it.

A guess and nothing else: it decides what a node proposes and never what is valid, so nodes may differ in
it. Of an offer that was not accepted here yet it expects what others asked lately, and some more, for what
is left out goes into the next block and what is refused is sent again. All other commands are
expected to need what they declare.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, final

from licet.transactions import AcceptOffer, Transaction

from licensing_vm.domain.context import Account, accounts_of
from licensing_vm.domain.reach import ACCOUNT, BINDING, room_beside

OFFERS_KEPT: Final = 1 << 16
UNKNOWN_FIRST: Final = 3 * BINDING  # at least, of an offer that nobody accepted here yet
UNFORESEEN: Final = 6  # such a part of the expected work is left free for what no guess covers
LATELY: Final = 16  # a new offer moves what is expected of unknown ones by one such part

_Offer = tuple[str, tuple[str, ...]]  # the offer, and the assets chosen


def _accepted(transaction: Transaction) -> _Offer | None:
    """The offer that a transaction accepts, if that is all it does."""
    commands = transaction.body.commands
    command = commands[0]
    if type(command) is not AcceptOffer or len(commands) != 1:
        return None
    assets = command.assets
    return command.offer, tuple([one.asset for one in assets]) if assets else ()


@final
class Foresight:
    """What acceptances asked in the blocks that this machine executed."""

    __slots__ = ("_first", "_met", "_next", "_usual")

    def __init__(self) -> None:
        self._usual = UNKNOWN_FIRST
        self._first: dict[_Offer, int] = {}
        self._next: dict[_Offer, int] = {}
        self._met: set[_Offer] = set()  # accepted in the block under way

    def open_block(self) -> None:
        """A block begins."""
        self._met.clear()

    def learn(self, transaction: Transaction, units: int) -> None:
        """A transaction was committed and asked for so much work."""
        offer = _accepted(transaction)
        if offer is None:
            return
        if offer in self._met:
            self._next[offer] = units
            return
        self._met.add(offer)
        if offer not in self._first:
            self._usual += (units - self._usual) // LATELY
        if len(self._first) >= OFFERS_KEPT:
            self._first.clear()
            self._next.clear()
        self._first[offer] = units

    def room(self) -> Room:
        """An empty block."""
        return Room(self._first, self._next, max(UNKNOWN_FIRST, self._usual * 5 // 4))


@final
class Room:
    """A block, or a batch, being filled."""

    __slots__ = ("_accounts", "_declared", "_first", "_next", "_offers", "_unknown", "_work")

    def __init__(self, first: dict[_Offer, int], later: dict[_Offer, int], unknown: int) -> None:
        self._unknown = unknown
        self._first = first
        self._next = later
        self._offers: set[_Offer] = set()
        self._accounts: set[Account] = set()  # that transfers name
        self._declared = 0
        self._work = 0

    def takes(self, transactions: Iterable[Transaction], cost: int, *, whatever: bool = False) -> bool:
        """Add transactions that declare `cost` together, if there will be room; `whatever`: in any case."""
        offers: set[_Offer] = set()
        accounts: set[Account] = set()
        work = self._work
        for transaction in transactions:
            offer = _accepted(transaction)
            if offer is None:
                accounts |= accounts_of(transaction.body)
                continue
            if offer in self._offers or offer in offers:
                work += self._next.get(offer, 0)
            else:
                offers.add(offer)
                work += self._first.get(offer, self._unknown)
        declared = self._declared + cost
        accounts -= self._accounts
        met = ACCOUNT * (len(self._accounts) + len(accounts))
        if work + work // UNFORESEEN + met > room_beside(declared) and not whatever:
            return False
        self._offers |= offers
        self._accounts |= accounts
        self._declared, self._work = declared, work
        return True

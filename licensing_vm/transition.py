"""The state transition: a block of ordered transactions in, writes and receipts out.

    machine = Machine(reader, genesis)          reader: what the last committed block left
    result = machine.execute(block)             computes, changes nothing outside
    … the caller makes result.writes and receipts durable …
    machine.commit()                            or machine.discard(), as if it had never run

Upholds: all commands of a transaction or none; (sender, id) at most once inside the window; an exact
repeat leaves no receipt; a bug that one transaction meets costs that transaction and not the chain, unless
machines could differ about it or money be wrong (`licensing_vm.faults`); execution reads the tree, the
index of recent ids and the block, and nothing else; a block does so much work and no more; the same bytes
on every node. Signatures were checked by their bytes before (`Transaction`); whether a key may sign for a
party is checked here, where state is known.

Never reads a clock, never does IO but `reader.get`, never re-encodes what was signed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from licet.genesis import Genesis
from licet.receipts import JournalEntry, Receipt, read_receipt
from licet.transactions import Transaction, Transfer
from licet.types import ChainId, Hash32

from licensing_vm.domain.context import Account, Context, accounts_of
from licensing_vm.domain.genesis import initial_entries
from licensing_vm.domain.periods import simulate
from licensing_vm.domain.table import COMMANDS, declared_cost, scope_of
from licensing_vm.errors import BLOCK_FULL, Refused
from licensing_vm.faults import FaultSeen, seen, verdict
from licensing_vm.foresight import Foresight
from licensing_vm.recent import Place, RecentIds
from licensing_vm.state import State

__all__ = [
    "BlockInput",
    "BlockResult",
    "Executed",
    "FaultSeen",
    "Machine",
    "Place",
    "StateReader",
    "Status",
    "cost",
    "initial_entries",
]

T = TypeVar("T")

CACHE_ENTRIES: Final = 150_000


class StateReader(Protocol):
    """The committed state: exact keys only."""

    def get(self, key: bytes) -> bytes | None: ...


class Status(IntEnum):
    COMMITTED = 1
    REFUSED = 2
    REPEATED = 3  # an exact repeat: no receipt, no log entry; `place` is the first receipt's


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockInput:
    height: int
    timestamp_ms: int
    transactions: Sequence[Transaction]


_COMMITTED: Final = Status.COMMITTED  # reading a member of an enumeration costs as much as a small call
_REPEATED: Final = Status.REPEATED


class Executed(NamedTuple):
    """One transaction's outcome."""

    hash: Hash32
    status: Status
    place: Place  # of its receipt
    receipt: bytes  # canonical bytes, the log's leaf; empty for a repeat
    code: str  # of the refusal; empty otherwise
    index_rows: tuple[bytes, ...]  # to keep beside the tree, see `domain.context`
    parties: tuple[str, ...]  # whose statement or events it concerns, distinct
    consumed: bool = (
        True  # whether (sender, id) is used up: else another copy of the body may still take effect
    )

    def read(self) -> Receipt:
        return read_receipt(self.receipt)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockResult:
    """What a block does. `writes` holds each dirty key once; None deletes it."""

    height: int
    timestamp_ms: int
    writes: Mapping[bytes, bytes | None]
    executed: Sequence[Executed]
    rows: int  # usage rows accepted
    work: int = 0  # set aside for transfers and spent of the block's budget, see `domain.reach`
    created: Sequence[bytes] = ()  # of `writes`, keys that were read and found absent
    faults: Sequence[FaultSeen] = ()  # bugs of ours that were contained, for the node's log
    notes: Sequence[Any] = ()  # what writes replaced, in order, see `licensing_vm.trail`
    starts: Sequence[int] = ()  # of each transaction but repeats, in `notes`

    @property
    def leaves(self) -> Iterator[bytes]:
        """The log's new leaves, in order."""
        return (done.receipt for done in self.executed if done.receipt)


def cost(transaction: Transaction) -> int:
    """The declared cost, known from the transaction's bytes: what the block's bound adds up (C-16)."""
    return declared_cost(transaction.body)


class Machine:
    """The licensing VM over one state. One thread, one block at a time."""

    def __init__(
        self,
        reader: StateReader,
        genesis: Genesis,
        *,
        chain_id: ChainId | None = None,
        height: int = 0,
        cache_entries: int = CACHE_ENTRIES,
    ) -> None:
        """`height` is that of the last committed block; dry runs report the next."""
        self._chain_id = genesis.chain_id() if chain_id is None else chain_id
        self._window = genesis.parameters.window_ms
        self._state = State(reader.get, cache_entries)
        self._context = Context(
            self._state,
            open_registration=genesis.parameters.open_registration,
            declared_of=declared_cost,
        )
        self._context.height = height
        self._recent = RecentIds(self._window)
        self.foresight: Final = Foresight()
        self._pending = False
        self._faults: list[FaultSeen] = []

    @property
    def height(self) -> int:
        """Height of the block that `read` and dry runs build on: the last one executed."""
        return self._context.height

    def execute(self, block: BlockInput) -> BlockResult:
        """Execute a block. Follow it with `commit` or `discard` before the next."""
        assert not self._pending, "commit or discard the last block first"
        self._pending = True
        self._recent.open(block.timestamp_ms)
        # What all declare is set aside first: work that terms ask for never takes it from them (C-16).
        declared = sum([declared_cost(tx.body) for tx in block.transactions])
        accounts: set[Account] = set()
        for tx in block.transactions:
            if type(tx.body.commands[0]) is Transfer or len(tx.body.commands) > 1:
                accounts |= accounts_of(tx.body)
        self._context.open_block(block.height, block.timestamp_ms, declared, accounts)
        room = self._context.room
        self._faults = []
        self.foresight.open_block()
        executed = [self._one(tx, index) for index, tx in enumerate(block.transactions)]
        return BlockResult(
            height=block.height,
            timestamp_ms=block.timestamp_ms,
            writes=self._state.writes(),
            created=self._state.created,
            executed=executed,
            rows=self._context.rows,
            work=room - self._context.work_left,
            faults=tuple(self._faults),
            notes=self._state.notes,
            starts=self._state.starts,
        )

    def commit(self) -> None:
        """The block's effects are durable: keep them."""
        assert self._pending
        self._state.commit()
        self._recent.commit()
        self._pending = False

    def discard(self) -> None:
        """Forget the block, as if it had never been executed."""
        self._state.discard()
        self._recent.discard()
        self._context.forget()
        self._pending = False

    def remember(self, receipt: Receipt) -> None:
        """Feed a receipt of the last window at start, in ledger order."""
        if receipt.consumed:
            place = Place(receipt.height, receipt.index)
            self.remember_id(
                receipt.sender, receipt.id, receipt.transaction_hash, place, receipt.timestamp_ms
            )

    def remember_id(self, sender: str, id_: bytes, hash_: bytes, place: Place, timestamp_ms: int) -> None:
        """The same of an id that a receipt consumed, for a caller that kept these five."""
        self._recent.remember(sender, id_, hash_, place, timestamp_ms)

    def find(self, sender: str, id_: bytes) -> tuple[bytes, Place] | None:
        """Hash and place of the transaction that used (sender, id) inside the window, if any."""
        return self._recent.find(sender, id_)

    def dry_run(
        self, transaction: Transaction, timestamp_ms: int, *, trusted: bool = False, unfunded: bool = False
    ) -> Receipt:
        """What executing it alone now would do; changes nothing and consumes no id.

        An id that another body used is refused as in a block. An exact repeat is told as if it were
        the first: whoever asks for it has the first receipt (`find`).

        `trusted` takes the sender's authority and the window for granted (Quote); `unfunded` lets cash
        go below zero, so that a price can be told to somebody who cannot pay it yet.
        """
        assert not self._pending, "a block is waiting for commit or discard"
        context = self._context
        context.open_block(context.height + 1, timestamp_ms)
        context.unfunded = unfunded
        try:
            done = self._one(transaction, 0, dry=True, trusted=trusted)
        finally:
            context.unfunded = False
            context.close_dry()
            self._state.discard()
        return done.read()

    def simulate(
        self, agreement: str, period: str, facts: Mapping[str, int], timestamp_ms: int
    ) -> tuple[JournalEntry, ...]:
        """What the close of an agreement's open period would post under these facts; changes nothing."""
        assert not self._pending, "a block is waiting for commit or discard"
        self._context.open_block(self._context.height + 1, timestamp_ms)
        try:
            return simulate(self._context, agreement, period, facts)
        finally:
            self._context.close_dry()
            self._state.discard()

    def read(self, key: bytes, kind: type[T]) -> T | None:
        """A record of the state as the machine sees it, decoded; None if absent."""
        return self._state.get(key, kind)

    def _one(self, tx: Transaction, index: int, *, dry: bool = False, trusted: bool = False) -> Executed:
        body = tx.body
        context = self._context
        find = self._recent.find
        known = self._recent.find_at(body.sender, body.id, context.now) if dry else find(body.sender, body.id)
        if known is not None and known[0] == tx.hash and not dry:
            return Executed(tx.hash, _REPEATED, known[1], b"", "", (), ())
        context.begin(tx, index)
        consumed = False
        at = -1  # which command runs
        try:
            if not trusted:
                self._admit(tx)
            if known is not None and known[0] != tx.hash:
                raise Refused("ID_REUSED", "Another transaction of this sender has this id.")
            consumed = True
            for at, command in enumerate(body.commands):  # noqa: B007 - read where something fails
                COMMANDS[type(command)].handler(context, command)
            receipt = context.receipt()
        except Exception as why:
            done = self._refused(tx, index, why, consumed, at)
        else:
            place = Place(context.height, index)
            done = Executed(
                tx.hash, _COMMITTED, place, receipt, "", tuple(context.index), tuple(context.parties)
            )
        if done.consumed and not dry:
            self._recent.add(body.sender, body.id, tx.hash, done.place)
            if context.work_asked and done.status is _COMMITTED:
                self.foresight.learn(tx, context.work_asked)
        elif not dry and done.code == BLOCK_FULL:
            self.foresight.refused(tx, context.work_wanted)
        return done

    def _refused(self, tx: Transaction, index: int, why: Exception, consumed: bool, at: int) -> Executed:
        """Take back what the transaction did and say why; raises again what has to stop the machine."""
        context = self._context
        command = type(tx.body.commands[at]).__name__ if at >= 0 else ""
        refusal = None if self._state.failed else verdict(why, command)
        if refusal is None:
            raise why
        context.rollback()
        if refusal is not why:
            # What is kept beside the state may be half made: an unforeseen error may strike anywhere.
            context.forget_prepared()
            self._faults.append(seen(why, tx.hash, command))
        consumed = consumed and refusal.code != BLOCK_FULL  # the same bytes may fit into a later block
        receipt = context.refusal(refusal, consumed)
        place = Place(context.height, index)
        return Executed(
            tx.hash, Status.REFUSED, place, receipt, refusal.code, (), (tx.body.sender,), consumed
        )

    def _admit(self, tx: Transaction) -> None:
        """Chain, window and the sender's authority; what fails here consumes no id."""
        body = tx.body
        context = self._context
        if body.chain_id != self._chain_id:
            raise Refused("WRONG_CHAIN", "The transaction is for another chain.")
        now = context.now
        if body.valid_until_ms < now:
            raise Refused(
                "TX_EXPIRED",
                "The transaction is no longer valid.",
                {"valid_until_ms": str(body.valid_until_ms), "block_ms": str(now)},
            )
        if body.valid_until_ms > now + self._window:
            raise Refused(
                "TX_TOO_FAR_AHEAD",
                "The transaction is valid for longer than the window allows.",
                {
                    "valid_until_ms": str(body.valid_until_ms),
                    "block_ms": str(now),
                    "window_ms": str(self._window),
                },
            )
        context.check_authority(scope_of)

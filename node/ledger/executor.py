"""Final blocks, in order, on the licensing VM: state, root, log, receipts, one write batch.

`prepare` computes everything a block changes; the caller commits the batch,
synced, and only then calls `finished` and reports `Executed` and receipts. One block
at a time: the next is prepared when the last is durable. What a block may cost
is bounded by genesis (C-16), so a block is one slice.

Knows nothing of who orders.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from licet.certificate import ExecutedRoots
from licet.errors import Fault, LicetError
from licet.genesis import Genesis
from licet.transactions import Transaction
from licet.types import Hash32, Height

from licensing_vm.transition import BlockInput, BlockResult, Executed, Machine, Place, Status
from node.core.effects import ReadyBlock
from node.ledger.indexes import block_records, forget_used_ids, is_settled, used_ids, used_ids_record
from node.ledger.writes import RecentWrites
from node.storage.log import MerkleLog
from node.storage.port import Record, Storage, WriteBatch
from node.storage.state import State


class GenesisMismatch(LicetError):
    """The initial state that this program computes is not the one that genesis names."""

    def __init__(self, *, named: bytes, computed: bytes) -> None:
        super().__init__(
            "GENESIS_STATE_MISMATCH",
            f"Genesis names the initial state root {named.hex()}; this program computes {computed.hex()}.",
            fault=Fault.OPERATOR,
            remedy="Run the version that made this genesis, or copy genesis.json again.",
            facts={"named": named.hex(), "computed": computed.hex()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A block that was executed in memory. Durable once `batch` is committed."""

    ready: ReadyBlock
    batch: WriteBatch
    roots: ExecutedRoots
    result: BlockResult

    def receipts(self) -> dict[Hash32, bytes]:
        """Receipts of the block by transaction hash; exact repeats have none."""
        return {done.hash: done.receipt for done in self.result.executed if done.receipt}

    def repeats(self) -> list[Hash32]:
        """Transactions that had been executed before."""
        return [done.hash for done in self.result.executed if done.status is Status.REPEATED]


class Executor:
    """The ledger's one writer."""

    def __init__(
        self,
        *,
        machine: Machine,
        state: State,
        log: MerkleLog,
        storage: Storage,
        window_ms: int,
        writes: RecentWrites | None = None,
    ) -> None:
        self._machine = machine
        self._window_ms = window_ms
        self._kept = deque[tuple[Height, int]]()  # blocks whose used ids are on disk, with their times
        self._state = state
        self._log = log
        self._storage = storage
        self._busy = False
        self._under_way: Sequence[Executed] = ()
        self._writes = RecentWrites() if writes is None else writes
        self.remembered = self._remember()

    def _remember(self) -> int:
        """Rebuild the machine's index of used ids from the last window's blocks."""
        count = 0
        for height, timestamp_ms, used in used_ids(self._storage):
            self._kept.append((height, timestamp_ms))
            count += len(used)
            for one in used:
                place = Place(height, one.position)
                self._machine.remember_id(one.sender, one.id, one.hash, place, timestamp_ms)
        return count

    @property
    def machine(self) -> Machine:
        """The VM, for queries between blocks."""
        return self._machine

    @property
    def height(self) -> Height:
        """The highest durable height."""
        return self._storage.height or Height(0)

    def prepare(self, ready: ReadyBlock) -> Prepared:
        """Execute a block in memory."""
        assert not self._busy, "the last block is not durable yet"
        block = ready.block
        assert block.height == self.height + 1, (block.height, self.height)
        self._busy = True
        transactions = [one for batch in ready.batches for one in batch.transactions]
        result = self._machine.execute(
            BlockInput(height=block.height, timestamp_ms=block.header.timestamp_ms, transactions=transactions)
        )
        # Kept in memory before it is durable: if the write fails the process ends, and
        # until it has ended, queries between blocks see what was executed.
        self._machine.commit()
        self._under_way = result.executed
        tree = self._state.apply(block.height, result.writes, created=result.created)
        log_start = self._log.size
        log = self._log.append(list(result.leaves))
        roots = ExecutedRoots(height=block.height, state_root=tree.root, log_root=log.root, log_size=log.size)
        self._writes.keep(roots, result, anchored=block.header.executed.height)
        records, places = block_records(
            roots, result.executed, log_start=log_start, settled=partial(is_settled, self._storage)
        )
        records += self._used_records(block.height, block.header.timestamp_ms, transactions, result)
        batch = WriteBatch(
            height=block.height,
            block=block.encode(),
            certificate=ready.finalization.encode() if ready.finalization is not None else b"",
            batches=[(one.digest, one.raw) for one in ready.batches],
            values=result.writes,
            receipts=places,
            records=[
                *tree.records,
                *log.records,
                *records,
            ],
        )
        return Prepared(ready=ready, batch=batch, roots=roots, result=result)

    def _used_records(
        self, height: Height, timestamp_ms: int, transactions: Sequence[Transaction], result: BlockResult
    ) -> list[Record]:
        """The ids this block consumed; and the end of those that no valid transaction can repeat."""
        records: list[Record] = []
        used = used_ids_record(height, timestamp_ms, transactions, result.executed)
        if used is not None:
            records.append(used)
            self._kept.append((height, timestamp_ms))
        while self._kept and self._kept[0][1] + self._window_ms < timestamp_ms:
            records.append(forget_used_ids(self._kept.popleft()[0]))
        return records

    def rows_under_way(self, prefix: bytes) -> list[bytes]:
        """The VM's list rows of a block that is executed and not durable yet: with what the store has, they
        are the lists at the machine's height."""
        return [row for done in self._under_way for row in done.index_rows if row.startswith(prefix)]

    def finished(self) -> None:
        """The prepared block's batch is durable."""
        self._busy = False
        self._under_way = ()

    def run(self, ready: ReadyBlock) -> Prepared:
        """Execute a block and make it durable, in one go."""
        prepared = self.prepare(ready)
        self._storage.commit(prepared.batch, synced=True)
        self.finished()
        return prepared


def initialise(storage: Storage, state: State, genesis: Genesis, entries: dict[bytes, bytes]) -> None:
    """Make genesis the store's height 0. Raises `GenesisMismatch`."""
    assert storage.height is None
    tree = state.apply(Height(0), entries)
    if tree.root != genesis.initial_state_root:
        raise GenesisMismatch(named=genesis.initial_state_root, computed=tree.root)
    storage.commit(
        WriteBatch(height=Height(0), block=b"", values=entries, records=tree.records),
        synced=True,
    )

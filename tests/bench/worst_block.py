"""How long the dearest blocks take that admission and the budget of work let through (C-16).

`python -m tests.bench.worst_block [--runs N] [PART OF A NAME …]` executes each shape of
`tests.property.worst`, `worst_lists` and `worst_met` as one block, filled with declared cost to several
levels (a block that is only partly filled has more room for work), on the real executor over LevelDB: the
VM, the state tree with its root, the log and the write batch; not the write itself.

Thread CPU time, the best of some runs. *Cold* is a machine that has just started: nothing bound, loaded or
decoded, and every table that the process keeps emptied. *Warm* has executed and discarded the same block.

A machine's speed drifts, so a fixed loop is timed beside each run, and a shape's times are those of a machine
on which the loop takes `LOOP_MS`: the reference machine while nobody disturbs it. The collector of cycles,
which a node runs between blocks (`node.runtime.memory`), does not run meanwhile.
"""

from __future__ import annotations

import argparse
import functools
import gc
import hashlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from licet.certificate import ExecutedRoots, Header, payload_root
from licet.merkle import EMPTY_LOG_ROOT
from licet.transactions import Transaction
from licet.types import ZERO_HASH, Epoch, Hash32, Height, TimestampMs, ValidatorIndex, View

from consensus.types import Block
from licensing_vm.transition import BlockInput, Machine, cost
from node.core.batches import Batch
from node.core.effects import ReadyBlock
from node.ledger.executor import Executor, Prepared
from node.runtime.memory import Memory
from node.storage.folder import DataFolder
from node.storage.leveldb import LevelDBStorage
from node.storage.log import MerkleLog
from node.storage.port import WriteBatch
from node.storage.state import State
from tests.property.worst import FILLS, UNITS_OF_WORK, WORST, Make, filled, world
from tests.property.worst_lists import WORST_LISTS
from tests.property.worst_met import WORST_MET
from tests.unit.licensing_vm.domain.kit import Ledger

LIMIT_MS = 25.0  # C-16
LOOP_MS = 3.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A ledger with transactions of which blocks are to be made."""

    ledger: Ledger
    transactions: Sequence[Transaction]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Milliseconds of thread CPU time, and what the block was."""

    fill: int
    cold_ms: float
    warm_ms: float
    loop_ms: float
    transactions: int
    declared: int
    work: int
    keys: int
    codes: tuple[str, ...]


def prepared_case(make: Make) -> Case:
    """Execute what a shape needs before its worst block."""
    ledger = world()
    ledger.check_books = lambda: None  # type: ignore[method-assign]
    worst: list[Transaction] = []
    for phase, tx in make(ledger):
        if phase == "worst":
            worst.append(tx)
            continue
        [done] = ledger.block(tx, at_ms=ledger.now + 1).executed
        assert not done.code, done.read().refusal
    return Case(ledger=ledger, transactions=worst)


def _ready(ledger: Ledger, transactions: Sequence[Transaction]) -> ReadyBlock:
    digest = Hash32(bytes(31) + b"\x01")
    raw = b"".join(tx.raw_body for tx in transactions)
    batch = Batch(
        digest=digest,
        raw=raw,
        author=ValidatorIndex(0),
        transactions=tuple(transactions),
        valid_until_ms=ledger.now,
        cost=sum(map(cost, transactions)),
    )
    header = Header(
        chain_id=ledger.chain_id,
        epoch=Epoch(0),
        view=View(1),
        height=Height(1),
        parent_id=ZERO_HASH,
        parent_view=View(0),
        timestamp_ms=TimestampMs(ledger.now + 1),
        proposer=ValidatorIndex(0),
        payload_root=payload_root((digest,)),
        executed=ExecutedRoots(height=Height(0), state_root=ZERO_HASH, log_root=EMPTY_LOG_ROOT, log_size=0),
    )
    return ReadyBlock(block=Block(header=header, digests=(digest,)), finalization=None, batches=(batch,))


def _forget_everything(memory: Memory) -> None:
    """Empty the tables that the process keeps, as if it had just started, and treat memory as a node does."""
    memory.end()
    for found in gc.get_objects():
        if isinstance(found, functools._lru_cache_wrapper):
            found.cache_clear()
    gc.collect()
    memory.begin()
    gc.disable()


def _timed(action: Callable[[], Prepared]) -> tuple[float, Prepared]:
    begin = time.thread_time_ns()
    prepared = action()
    return (time.thread_time_ns() - begin) / 1e6, prepared


def _loop() -> float:
    """Milliseconds that a fixed piece of work takes now: calls, small objects, tables, hashes."""
    begin = time.thread_time_ns()
    table: dict[bytes, tuple[int, bytes]] = {}
    digest = b""
    for n in range(6_000):
        key = b"balance/%d" % (n % 700)
        digest = hashlib.sha256(key + digest).digest()
        table[key] = (len(table) + n, digest)
    return (time.thread_time_ns() - begin) / 1e6


def measure(case: Case, *, runs: int, fills: Sequence[int] = FILLS) -> Iterator[Figures]:
    """Execute each block on fresh machines over one store, which is never written to."""
    ledger = case.ledger
    limit = ledger.genesis.parameters.block_cost_max
    with tempfile.TemporaryDirectory() as place:
        storage = LevelDBStorage(DataFolder(Path(place)), chain_id=ledger.chain_id)
        tree = State(storage).apply(Height(0), ledger.state)
        batch = WriteBatch(height=Height(0), block=b"", values=ledger.state, records=tree.records)
        storage.commit(batch, synced=True)
        sizes: set[int] = set()
        for fill in fills:
            transactions = filled(case.transactions, limit * fill // 100)
            if len(transactions) not in sizes:
                sizes.add(len(transactions))
                yield _measured(ledger, storage, transactions, fill, runs)
        storage.close()


def _measured(
    ledger: Ledger, storage: LevelDBStorage, transactions: Sequence[Transaction], fill: int, runs: int
) -> Figures:
    ready = _ready(ledger, transactions)
    times: tuple[list[float], list[float]] = ([], [])
    loops: list[float] = []
    memory = Memory()
    for run in range(2 * runs):
        state = State(storage)
        machine = Machine(state, ledger.genesis, chain_id=ledger.chain_id)
        executor = Executor(
            machine=machine,
            state=state,
            log=MerkleLog(storage),
            storage=storage,
            window_ms=ledger.genesis.parameters.window_ms,
        )
        _forget_everything(memory)
        if run % 2:
            machine.execute(BlockInput(height=1, timestamp_ms=ledger.now + 1, transactions=transactions))
            machine.discard()
        loops.append(_loop())
        spent, prepared = _timed(lambda executor=executor: executor.prepare(ready))  # type: ignore[misc]
        times[run % 2].append(spent)
    gc.enable()
    memory.end()
    result = prepared.result
    return Figures(
        fill=fill,
        cold_ms=min(times[0]) * LOOP_MS / min(loops),
        warm_ms=min(times[1]) * LOOP_MS / min(loops),
        loop_ms=min(loops),
        transactions=len(transactions),
        declared=sum(map(cost, transactions)),
        work=result.work,
        keys=len(result.writes),
        codes=tuple(sorted({done.code for done in result.executed if done.code})),
    )


def _line(name: str, one: Figures) -> str:
    counted = (one.declared + one.work * UNITS_OF_WORK) / 100_000
    return (
        f"{name:44} {one.fill:3} % {one.transactions:5} tx {one.keys:6} keys"
        f" {one.declared / 100_000:5.1f} declared {one.work * UNITS_OF_WORK / 100_000:5.1f} work"
        f"   cold {one.cold_ms:6.1f} ms  warm {one.warm_ms:6.1f} ms"
        f"   x{one.cold_ms / counted:5.2f}  loop {one.loop_ms:4.1f} {' '.join(one.codes)}"
    )


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.worst_block", description=__doc__)
    parser.add_argument(
        "--runs", type=int, default=3, help="executions of each kind, the best of which counts"
    )
    parser.add_argument(
        "--fills", type=int, nargs="+", default=FILLS, help="per cent of a block's declared cost"
    )
    parser.add_argument("names", nargs="*", help="shapes whose name holds one of these; all of them if none")
    options = parser.parse_args(argv)
    above = measured = 0
    for name, make in {**WORST, **WORST_LISTS, **WORST_MET}.items():
        if options.names and not any(part in name for part in options.names):
            continue
        for one in measure(prepared_case(make), runs=options.runs, fills=options.fills):
            measured += 1
            above += one.cold_ms > LIMIT_MS
            print(_line(name, one), flush=True)
    print(f"{above} of {measured} blocks above {LIMIT_MS} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

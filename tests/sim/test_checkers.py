"""A checker that cannot fail proves nothing: each speaks when a good run's history is falsified."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from licet.entities import (
    CASH,
    RECEIVABLE,
    Balance,
    Course,
    OpenItem,
    Party,
    balance_key,
    course_key,
    party_key,
)
from licet.records import decode, encode
from licet.types import Hash32, Height

from node.storage.memory import MemoryStorage
from node.storage.port import WriteBatch
from tests.sim.checkers import CHECKERS, check_all
from tests.sim.cluster import Cluster
from tests.sim.genesis import BANK, CURRENCY, PARTIES, make_genesis
from tests.sim.history import Ack, History, Panic, Turned
from tests.sim.run import Run, run_plan

OTHER = Hash32(b"\7" * 32)


def calm(cluster: Cluster, heal_us: int) -> None:
    """A run without trouble."""


@pytest.fixture
def run() -> Run:
    made = run_plan(3, calm)
    assert check_all(made.cluster.history) == []
    return made


def _fork(history: History) -> None:
    history.commits[5] = replace(history.commits[5], block_id=OTHER)


def _other_block(history: History) -> None:
    """The anchored roots of a height were computed by nobody."""
    for index, seen in enumerate(history.blocks):
        if seen.block.height == 2:
            history.blocks[index] = replace(seen, roots=replace(seen.roots, state_root=OTHER))


def _roots(history: History) -> None:
    history.blocks[4] = replace(history.blocks[4], roots=replace(history.blocks[4].roots, state_root=OTHER))


def _second_vote(history: History) -> None:
    history.votes.append(replace(history.votes[0], digest=b"\1" * 32))


def _no_record(history: History) -> None:
    history.record_lost_us[1] = 0


def _early(history: History) -> None:
    history.votes[0] = replace(history.votes[0], durable=False)


def _lost(history: History) -> None:
    history.acks[0] = replace(history.acks[0], height=history.acks[0].height + 1)


def _never_there(history: History) -> None:
    history.acks.append(Ack(tick_us=0, node=0, transaction=OTHER, height=1_000))


def _twice(history: History) -> None:
    """One store orders its last batch again."""
    store = history.stores[0]
    top = Height(store.height or 0)
    last = next(
        block
        for height in range(top, 0, -1)
        if (block := store.block(Height(height))) is not None and block.batches
    )
    store.commit(WriteBatch(height=Height(top + 1), block=last.block, batches=[(OTHER, last.batches[0])]))


def _money(history: History) -> None:
    store = history.stores[2]
    top = store.block(Height(store.height or 0))
    assert top is not None
    richer = {balance_key("ada", CASH, BANK, CURRENCY): encode(Balance(amount=99_999_999))}
    store.commit(WriteBatch(height=Height(top.height + 1), block=top.block, values=richer))


def _states(history: History) -> None:
    """Two stores at one height with other balances."""
    for node in (1, 2):
        store = history.stores[node]
        top = Height((store.height or 0) + 1)
        value = encode(Balance(amount=node))
        store.commit(
            WriteBatch(height=top, block=b"", values={balance_key("ada", CASH, BANK, CURRENCY): value})
        )


def _stalled(history: History) -> None:
    history.progress_us = None


def _slow(history: History) -> None:
    history.progress_us = 3_000_001


def _forgotten(history: History) -> None:
    history.unsettled.append(OTHER)


def _ended(history: History) -> None:
    history.panics.append(Panic(tick_us=1, node=1, why="assertion", expected=False))


def _change(history: History, values: dict[bytes, bytes]) -> None:
    """The state of one store is other than its chain says."""
    store = history.stores[3]
    top = store.block(Height(store.height or 0))
    assert top is not None
    store.commit(WriteBatch(height=Height(top.height + 1), block=b"", values=values))


def _debt(history: History) -> None:
    item = OpenItem(number=99, due_ms=1, debtor="dora", creditor="ada", outstanding=10_000)
    course = Course(next_number=100, open=(item,), periods=(), facts=(), rates=())
    _change(history, {course_key("meter-0"): encode(course)})


def _receivable(history: History) -> None:
    _change(history, {balance_key("ada", RECEIVABLE, "", CURRENCY): encode(Balance(amount=5))})


def _keys(history: History) -> None:
    raw = history.stores[3].get(party_key("ben"))
    assert raw is not None
    _change(history, {party_key("ben"): encode(replace(decode(Party, raw), keys=()))})


def _unseen(history: History) -> None:
    """A store orders what another had refused or taken, and has no receipt for it."""
    source, store = history.stores[0], history.stores[1]
    last = next(
        block
        for height in range(source.height or 0, 0, -1)
        if (block := source.block(Height(height))) is not None and block.batches
    )
    values: dict[bytes, bytes] = {}
    emptied = MemoryStorage(make_genesis().chain_id())
    emptied.commit(WriteBatch(height=Height(0), block=b"", values=values))
    emptied.commit(WriteBatch(height=Height(1), block=last.block, batches=[(OTHER, last.batches[0])]))
    for name in PARTIES:
        raw = store.get(party_key(name))
        assert raw is not None
        values[party_key(name)] = raw
    emptied.commit(WriteBatch(height=Height(2), block=b"", values=values))
    history.stores[1] = emptied


def _turned_nowhere(history: History) -> None:
    history.turned.append(Turned(tick_us=0, node=0, transaction=OTHER, height=2, code="BLOCK_FULL"))


def _fault(history: History) -> None:
    history.faults.append((1, "ZeroDivisionError in Pay"))


@pytest.mark.parametrize(
    ("checker", "falsify"),
    [
        ("agreement", _fork),
        ("chain_validity", _other_block),
        ("chain_validity", _twice),
        ("equal_roots", _roots),
        ("equal_roots", _states),
        ("no_double_vote", _second_vote),
        ("no_vote_without_record", _no_record),
        ("durable_before_sent", _early),
        ("durable_once_acknowledged", _lost),
        ("durable_once_acknowledged", _never_there),
        ("durable_once_acknowledged", _turned_nowhere),
        ("exactly_once", _twice),
        ("exactly_once", _lost),
        ("outcomes", _keys),
        ("outcomes", _unseen),
        ("money_conserved", _money),
        ("money_conserved", _debt),
        ("money_conserved", _receivable),
        ("progress", _stalled),
        ("progress", _slow),
        ("progress", _forgotten),
        ("health", _ended),
        ("health", _fault),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__.strip("_"),
)
def test_it_speaks(run: Run, checker: str, falsify: Callable[[History], None]) -> None:
    falsify(run.cluster.history)
    assert CHECKERS[checker](run.cluster.history), f"{checker} saw nothing"

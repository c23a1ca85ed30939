"""A checker that cannot fail proves nothing: each speaks when a good run's history is falsified."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from licet.entities import CASH, Balance, balance_key
from licet.records import encode
from licet.types import Hash32, Height

from node.storage.port import WriteBatch
from tests.sim.checkers import CHECKERS, check_all
from tests.sim.cluster import Cluster
from tests.sim.genesis import BANK, CURRENCY
from tests.sim.history import Ack, History, Panic
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
        ("exactly_once", _twice),
        ("money_conserved", _money),
        ("progress", _stalled),
        ("progress", _slow),
        ("progress", _forgotten),
        ("health", _ended),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__.strip("_"),
)
def test_it_speaks(run: Run, checker: str, falsify: Callable[[History], None]) -> None:
    falsify(run.cluster.history)
    assert CHECKERS[checker](run.cluster.history), f"{checker} saw nothing"

"""What clients do in a run, and how little a block has room for: drawn from the seed by itself.

Drawn apart from the run's own chance, so that a plan made by hand and a plan drawn
by a seed meet the same variety.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any
from unittest.mock import patch

from licensing_vm.domain.context import Context
from licensing_vm.errors import BLOCK_FULL, Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is asked of the network."""

    shop: bool = False  # licenses are sold, by shop
    meters: bool = False  # use is reported, closed and paid, by metering
    keys: bool = False  # parties add, rotate and revoke keys while their transactions are on their way
    block_workers: int = 0  # how many transactions a block has room for that do work; 0: as it is


def load_of(seed: int) -> Load:
    """What a seed's clients do."""
    chance = Random(f"load {seed}")
    meters = chance.random() < 0.22
    return Load(
        shop=chance.random() < 0.2,
        meters=meters,
        keys=chance.random() < (0.4 if meters else 0.17),
        block_workers=chance.choice((1, 2, 3)) if chance.random() < (0.4 if meters else 0.08) else 0,
    )


@contextmanager
def small_blocks(workers: int) -> Iterator[None]:
    """Let a block have room for so many transactions that ask for room, and no more; 0 changes nothing.

    Beside the true budget and not instead of it, so that whatever fits alone still does.
    """
    if not workers:
        yield
        return
    opened, asked = Context.open_block, Context.must_have_room
    positions: dict[int, set[int]] = {}  # who asked, in the block that each machine executes

    def open_block(self: Context, *args: Any, **named: Any) -> None:
        positions[id(self)] = set()
        opened(self, *args, **named)

    def must_have_room(self: Context, units: int) -> None:
        asked(self, units)
        own = positions[id(self)]
        if self.position not in own and len(own) >= workers:
            raise Refused(BLOCK_FULL, "The block has no room left for the work of this transaction.")
        own.add(self.position)

    with (
        patch.object(Context, "open_block", open_block),
        patch.object(Context, "must_have_room", must_have_room),
    ):
        yield

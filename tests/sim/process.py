"""What dies with a process, and how long its steps take."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from licet.types import Hash32, ValidatorIndex

from node.core.effects import ReadyBlock
from node.core.events import CoreEvent
from node.ledger import assembly

Work = Callable[[], Iterator[CoreEvent]]  # makes a turn's events when their turn has come
Steps = Iterator[tuple[str, int]]  # persistence points, each with the time that passes there


@dataclass(slots=True, kw_only=True)
class Costs:
    """How long a node's own steps take, in microseconds (low, high)."""

    sync_us: tuple[int, int] = (0, 0)
    execute_us: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class Process:
    """What dies with the process."""

    parts: assembly.Node
    inbox: deque[Work] = field(default_factory=deque)
    executing: deque[ReadyBlock] = field(default_factory=deque)
    performing: Steps | None = None
    execution: Steps | None = None
    turn_due: bool = False
    votes_unsynced: bool = False  # appended to the votes file since its last sync
    wake_us: int | None = None  # mono; the newest replaces the older
    connected: set[ValidatorIndex] = field(default_factory=set)
    waiting: set[Hash32] = field(default_factory=set)  # transactions whose clients wait here

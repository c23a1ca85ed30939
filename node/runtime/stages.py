"""Where a node's time goes: thread CPU time by stage, for metrics and the benchmark's table."""

from __future__ import annotations

import time
from enum import Enum


class Stage(Enum):
    """The stages of a transaction's way through a node."""

    ADMIT = "admit"  # parse and verify clients' transactions
    VERIFY = "verify"  # parse and verify peers' batches
    ORDER = "order"  # consensus, mempool, encoding of messages
    EXECUTE = "execute"  # the VM, state root, log, receipts
    PERSIST = "persist"  # payload and votes files, the store's write batch
    REPLY = "reply"  # telling who waits


class Stages:
    """Nanoseconds of this thread's CPU by stage. `lap` charges the time since the last lap."""

    __slots__ = ("_last", "nanoseconds")

    def __init__(self) -> None:
        self.nanoseconds = dict.fromkeys(Stage, 0)
        self._last = 0

    def begin(self) -> None:
        """Start counting: what went before is nobody's."""
        self._last = time.thread_time_ns()

    def lap(self, stage: Stage) -> None:
        """Charge what was used since the last call."""
        now = time.thread_time_ns()
        self.nanoseconds[stage] += now - self._last
        self._last = now

    def add(self, stage: Stage, nanoseconds: int) -> None:
        """Charge what another thread used."""
        self.nanoseconds[stage] += nanoseconds

"""What each transaction of an executed block wrote, told afterwards, from what the block left behind (C-13).

While a block runs nothing is kept for this but the notes that rolling back needs anyway: for each
transaction the keys it wrote and the values it replaced (`licensing_vm.state`). The value that a
transaction left at a key is what the next writer of the key replaced, and the block's own result where
there is none. So the trail is worked out backwards, in slices, by whoever asks, which is nobody as long as
all nodes agree.

One row for each key that a transaction wrote, by key, and last one for its receipt, at the key `RECEIPT`;
an exact repeat has no row. Values are named by their hashes. Same bytes executed, same rows: on every
node, whatever it happened to hold decoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

from licet.types import Hash32

from licensing_vm.state import canonical
from licensing_vm.transition import BlockResult, Status

RECEIPT: Final = b""  # no state key is empty
STEP: Final = 1_024  # writes looked at between two pauses

_FROM_RESULT: Final = object()


class Row(NamedTuple):
    """One write of one transaction."""

    position: int  # of the transaction in its block
    transaction: Hash32
    key: bytes
    value: Hash32 | None  # the hash of the canonical bytes; None: deleted


class Trail:
    """The rows of one block."""

    def __init__(self, result: BlockResult) -> None:
        self._result = result
        self._left: list[list[tuple[bytes, Any]]] = []  # by transaction: keys, and the values left there
        self._starts: list[int] = []  # row of each transaction's first write
        self._before: dict[bytes, Any] = {}  # what stood at each key before the block
        self._total = 0
        self._work: Iterator[None] | None = None
        self._ready = False

    @property
    def total(self) -> int:
        """How many rows there are, once it is prepared."""
        return self._total

    def prepare(self) -> bool:
        """Work for one slice; True when `rows` can be called."""
        if self._ready:
            return True
        if self._work is None:
            self._work = self._prepare()
        try:
            next(self._work)
        except StopIteration:
            self._ready, self._work = True, None
        return self._ready

    def _prepare(self) -> Iterator[None]:
        executed = self._result.executed
        later: dict[bytes, Any] = {}
        left: list[list[tuple[bytes, Any]]] = [[] for _ in executed]
        notes, starts = self._result.notes, list(self._result.starts)
        end, done = len(notes), 0
        for position in range(len(executed) - 1, -1, -1):
            if executed[position].status is Status.REPEATED:
                continue
            start = starts.pop()
            own: dict[bytes, Any] = {}
            for at in range(end - 2, start - 1, -2):
                key = notes[at]
                if key not in own:
                    own[key] = later.get(key, _FROM_RESULT)
                later[key] = notes[at + 1]
            left[position] = sorted(own.items(), key=lambda item: item[0])
            done += (end - start) // 2 + 1
            end = start
            if done >= STEP:
                done = 0
                yield
        assert not starts, "every transaction that is no repeat has begun once"
        total = 0
        for position, keys in enumerate(left):
            self._starts.append(total)
            total += len(keys) + bool(executed[position].receipt)
        self._left, self._before, self._total = left, later, total

    def rows(self, first: int, count: int) -> list[Row]:
        """At most `count` rows from row `first` on. Hashes these and no others."""
        assert self._ready, "prepare it first"
        found: list[Row] = []
        position = _last_not_above(self._starts, first)
        while position < len(self._starts) and len(found) < count:
            done = self._result.executed[position]
            skip = max(0, first - self._starts[position])
            keys = self._left[position]
            for key, value in keys[skip : skip + count - len(found)]:
                found.append(Row(position, done.hash, key, self._hash(key, value)))
            if done.receipt and skip <= len(keys) and len(found) < count:
                found.append(Row(position, done.hash, RECEIPT, _digest(done.receipt)))
            position += 1
        return found

    def _hash(self, key: bytes, value: Any) -> Hash32 | None:
        if value is _FROM_RESULT:
            writes = self._result.writes
            # What the block wrote back to what it had been is no write of the block's.
            value = writes[key] if key in writes else self._before[key]
        data = canonical(key, value)
        return None if data is None else _digest(data)


def _digest(data: bytes) -> Hash32:
    return Hash32(sha256(data).digest())


def _last_not_above(starts: Sequence[int], row: int) -> int:
    """The last transaction whose first row is not after `row`."""
    low, high = 0, len(starts)
    while low < high:
        middle = (low + high) // 2
        if starts[middle] <= row:
            low = middle + 1
        else:
            high = middle
    return max(0, low - 1)

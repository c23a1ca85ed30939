"""Comparing what one height wrote here with what a peer says it wrote there: pure, row by row (C-13)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from licet.types import Hash32, Height

from licensing_vm.trail import RECEIPT, Row


class Absent(Enum):
    """Why there is no value."""

    DELETED = "deleted"
    UNWRITTEN = "not written"


Left = Hash32 | Absent  # what a transaction left at a key: the hash of the value, or why there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first place at which two nodes' executions part."""

    height: Height
    position: int  # of the transaction in its block
    transaction: Hash32
    key: bytes  # empty: the transaction's receipt
    ours: Left
    theirs: Left
    maybe_earlier: bool = False  # the height before is no longer held by one of both

    def place(self) -> str:
        """Where, in words."""
        transaction = f"transaction {self.position} ({self.transaction.hex()})"
        return f"height {self.height}, {transaction}, {key_text(self.key)}"


def key_text(key: bytes) -> str:
    """A state key as people read it: keys are text; whatever is not is escaped."""
    return "its receipt" if key == RECEIPT else f"key {plain_key(key)}"


def plain_key(key: bytes) -> str:
    """A state key as text, nothing unprintable in it."""
    text = key.decode("utf-8", errors="backslashreplace")
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)


def left_text(left: Left) -> str:
    """A value's hash, or why there is none."""
    return left.value if isinstance(left, Absent) else left.hex()


def row_order(row: Row) -> tuple[int, bool, bytes]:
    """Rows stand by transaction, then by key, the receipt last."""
    return row.position, row.key == RECEIPT, row.key


def in_order(rows: Sequence[Row], after: Row | None) -> bool:
    """Whether these rows may follow `after`: each beyond the last."""
    last = after
    for row in rows:
        if last is not None and row_order(row) <= row_order(last):
            return False
        last = row
    return True


def first_difference(
    height: Height, ours: Sequence[Row], theirs: Sequence[Row], *, maybe_earlier: bool
) -> Difference | None:
    """The first row that only one side has, or that differs; the shorter side is taken to end there."""
    for at in range(max(len(ours), len(theirs))):
        own = ours[at] if at < len(ours) else None
        other = theirs[at] if at < len(theirs) else None
        if own == other:
            continue
        if own is not None and (other is None or row_order(own) <= row_order(other)):
            row = own
        else:
            assert other is not None
            row = other
        return Difference(
            height=height,
            position=row.position,
            transaction=row.transaction,
            key=row.key,
            ours=_left(own, row),
            theirs=_left(other, row),
            maybe_earlier=maybe_earlier,
        )
    return None


def _left(side: Row | None, row: Row) -> Left:
    if side is None or row_order(side) != row_order(row):
        return Absent.UNWRITTEN
    return Absent.DELETED if side.value is None else side.value

"""The state during a block: decoded records, an overlay, and a journal that rolls back exactly.

Values live decoded in one dictionary that is both cache and overlay; a write notes the value it
replaces, once for the transaction (to roll back) and once for the block (to discard). Each dirty key is
encoded once per block, however many transactions touched it, and only if it really changed. The notes of
all transactions stay together until `commit`: what each of them wrote can be told from these
(`licensing_vm.trail`).

A value may also be written as canonical bytes that a caller has assembled; it is decoded when somebody
reads it. Balances and split totals are plain integers here, because every payment touches several. A
balance that was absent and is written is stored, as zero if need be: however transactions are grouped into
blocks, the same state comes of them.
Never evicts a key of the block under way; never touches the reader but for keys that are not held.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar, final

from licet.entities import Balance, SplitTotal
from licet.records import decode, encode, signed_varint

T = TypeVar("T")

_UNREAD: Final = object()  # "not read yet": what a blind write replaces


@final
class State:
    __slots__ = (
        "_begun_at",
        "_dirty",
        "_limit",
        "_live",
        "_old",
        "_read",
        "changes",
        "created",
        "failed",
        "notes",
        "starts",
    )

    def __init__(self, read: Callable[[bytes], bytes | None], limit: int) -> None:
        self._read = read
        self._limit = limit
        # Two generations: what is not used while the young one fills up is dropped with the old one.
        self._live: dict[bytes, Any] = {}
        self._old: dict[bytes, Any] = {}
        self._dirty: dict[bytes, Any] = {}
        self.notes: list[Any] = []  # of the block: key, replaced value, key, …: flat, so that it costs little
        self.starts: list[int] = []  # where in `notes` each transaction begins that began since the commit
        self.created: list[bytes] = []  # of the last `writes`, the keys that had been read and found absent
        # Counts definitions and their rollbacks: what was derived from definitions at one count still
        # holds at the same count (`domain.terms`).
        self.changes = 0
        self._begun_at = 0
        # The reader failed: whatever came of it is this machine's own trouble, by whatever name.
        self.failed = False

    def get(self, key: bytes, kind: type[T]) -> T | None:
        """The record at `key`, None if there is none."""
        value = self._live.get(key, _UNREAD)
        if value is _UNREAD:
            value = self._load(key)
        if type(value) is bytes:
            value = decode(kind, value)
            self._live[key] = value
        return value  # type: ignore[no-any-return]

    def keys_of(self, key: bytes) -> int:
        """How many keys the party at `key` has, without decoding those that are not; 0 if there is none."""
        value = self._live.get(key, _UNREAD)
        if value is _UNREAD:
            value = self._load(key)
        if value is None:
            return 0
        return _keys_in(value) if type(value) is bytes else len(value.keys)

    def open_of(self, key: bytes) -> int:
        """How many unpaid obligations the course at `key` has, without decoding those that are not; 0 if
        there is no course."""
        value = self._live.get(key, _UNREAD)
        if value is _UNREAD:
            value = self._load(key)
        if value is None:
            return 0
        return _open_in(value) if type(value) is bytes else len(value.open)

    def has(self, key: bytes) -> bool:
        value = self._live.get(key, _UNREAD)
        return (self._load(key) if value is _UNREAD else value) is not None

    def balance(self, key: bytes) -> int:
        """The integer at a balance's key, zero if there is none."""
        value = self._live.get(key, _UNREAD)
        if type(value) is int:
            return value
        return self._integer(key, Balance)

    def total(self, key: bytes) -> int:
        """The integer at a split's key, zero if there is none."""
        value = self._live.get(key, _UNREAD)
        if type(value) is int:
            return value
        return self._integer(key, SplitTotal)

    def define(self, key: bytes, value: object) -> None:
        """Write a record that prepared terms depend on: an offer, asset, claim list, template, currency."""
        self.changes += 1
        self.put(key, value)

    def put(self, key: bytes, value: object) -> None:
        """Write a record, the canonical bytes of one, or the integer of a balance or total."""
        old = self._live.get(key, _UNREAD)
        note = self.notes.append
        note(key)
        note(old)
        if key not in self._dirty:
            self._dirty[key] = old
        self._live[key] = value

    def add(self, keys: Sequence[bytes], changes: Sequence[int]) -> None:
        """Change several balances, in order; a key may stand twice."""
        live, dirty, note = self._live, self._dirty, self.notes.append
        for key, change in zip(keys, changes, strict=True):
            old = live.get(key)
            if type(old) is int:
                live[key] = old + change
            else:
                held = self._integer(key, Balance)
                old = live[key]
                live[key] = held + change
            note(key)
            note(old)
            if key not in dirty:
                dirty[key] = old

    def put_new(self, key: bytes, value: object) -> None:
        """Write at a key that was just found absent."""
        note = self.notes.append
        note(key)
        note(None)
        if key not in self._dirty:
            self._dirty[key] = None
        self._live[key] = value

    def begin(self) -> None:
        """Start a transaction: what is written from here on can be rolled back."""
        self.starts.append(len(self.notes))
        self._begun_at = self.changes
        self.failed = False

    def rollback(self) -> None:
        """Take back everything since `begin`."""
        live, notes = self._live, self.notes
        start = self.starts[-1]
        for at in range(len(notes) - 2, start - 1, -2):
            key, old = notes[at], notes[at + 1]
            if old is _UNREAD:
                del live[key]
            else:
                live[key] = old
        del notes[start:]
        if self.changes != self._begun_at:
            self.changes += 1

    def writes(self) -> dict[bytes, bytes | None]:
        """Every key that the block changed, with its canonical bytes; none whose bytes are as before,
        whether or not its old value happened to be held decoded."""
        out: dict[bytes, bytes | None] = {}
        self.created = created = []
        live = self._live
        for key, old in self._dirty.items():
            value = live.get(key, _UNREAD)
            if value is old or value is _UNREAD or value == old:  # written and rolled back, or back
                continue
            kind = type(value)
            if kind is int:
                encoded: bytes | None = _integer_bytes(key, value)
            elif kind is bytes:
                encoded = value
            else:
                encoded = None if value is None else encode(value)
            if type(old) is not bytes or encoded != old:
                out[key] = encoded
                if old is None:
                    created.append(key)
        return out

    def commit(self) -> None:
        self._dirty.clear()
        self.notes, self.starts = [], []
        if len(self._live) > self._limit:
            self._old = self._live
            self._live = {}

    def discard(self) -> None:
        """Restore what was before the block."""
        for key, old in self._dirty.items():
            if old is _UNREAD:
                self._live.pop(key, None)
            else:
                self._live[key] = old
        self._dirty.clear()
        self.notes, self.starts = [], []
        self.changes += 1

    def _load(self, key: bytes) -> Any:
        """Bring a key into the young generation. Bytes are decoded by whoever knows their kind."""
        value = self._old.get(key, _UNREAD)
        if value is _UNREAD:
            try:
                value = self._read(key)
            except BaseException:
                self.failed = True
                raise
        self._live[key] = value
        if self._dirty.get(key) is _UNREAD:  # written unread and rolled back: here is what stood there
            self._dirty[key] = value
        return value

    def _integer(self, key: bytes, kind: type[Balance] | type[SplitTotal]) -> int:
        value = self._live.get(key, _UNREAD)
        if value is _UNREAD:
            value = self._load(key)
        if value is None:
            return 0  # and stays absent: what is written there is new, a zero too
        if type(value) is int:
            return value
        record: Any = decode(kind, value)
        number: int = record.amount if kind is Balance else record.total
        self._live[key] = number
        return number


# Records of one integer: their tag, and the integer. (A test holds this to the records' encoding.)
_BALANCE_TAG: Final = encode(Balance(amount=0))[:1]
_TOTAL_TAG: Final = encode(SplitTotal(total=0))[:1]


def canonical(key: bytes, value: object) -> bytes | None:
    """A value as it stood here, in canonical bytes; None where there was none."""
    if value is None or type(value) is bytes:
        return value
    return _integer_bytes(key, value) if type(value) is int else encode(value)


def _keys_in(party: bytes) -> int:
    """The number of keys in a party's canonical bytes: it stands behind three texts. (A test holds this to
    the record's encoding.)"""
    at = 1
    for _ in range(3):
        length, at = _length(party, at)
        at += length
    return _length(party, at)[0]


def _open_in(course: bytes) -> int:
    """The same of the unpaid obligations in a course's: behind one integer."""
    return _length(course, _length(course, 1)[1])[0]


def _length(data: bytes, at: int) -> tuple[int, int]:
    length = shift = 0
    while True:
        byte = data[at]
        at += 1
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            return length, at
        shift += 7


def _integer_bytes(key: bytes, value: int) -> bytes:
    return (_BALANCE_TAG if key.startswith(b"balance/") else _TOTAL_TAG) + signed_varint(value)

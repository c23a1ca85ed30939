"""The append-only files `payload` and `votes`, over an injected file port.

Both only grow at their end, are synced on request, and obey the dead-handle
rule: after a failed append or sync every call but `close` raises
`StorageDead`, since nobody knows what the disk holds. A file is rewritten
into a new one that is synced and renamed over it, so a crash leaves the old
or the new whole.

`VotesFile` knows no format: what a signing record is, and where its whole
records end, is `consensus.votelog`'s (C-10). It is created by `init` alone.

`PayloadFile` holds batch bytes and blocks until LevelDB has taken them over
(C-14). A record is

    length u32 | kind u8 | id 32 | crc32(body) u32 | crc32(of the 41 before) u32 | body

Only a physically short last record is cut off: it was never synced. A bad
checksum at full length is damage and is reported, never dropped.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from typing import Final, NamedTuple, TypeVar

from licet.types import HASH_BYTES, Hash32

from node.storage.errors import FileMissing, StorageDamaged, StorageDead
from node.storage.files import AppendFile, Files
from node.storage.schema import PAYLOAD_FILE, VOTES_FILE

T = TypeVar("T")

NEW_SUFFIX: Final = ".new"
BODY_BYTES_MAX: Final = 64 << 20
TRIM_BYTES: Final = 16 << 20  # dead bytes before a rewrite is worth its sync

_HEAD: Final = struct.Struct(">IB32sI")
_CRC: Final = struct.Struct(">I")
_FRAME_BYTES: Final = _HEAD.size + _CRC.size


class _GuardedFile:
    """A file of the port under the dead-handle rule."""

    def __init__(self, files: Files, name: str, file: AppendFile) -> None:
        self._files = files
        self._name = name
        self._file = file
        self._dead: StorageDead | None = None

    def _guard(self, act: Callable[[], T]) -> T:
        self._check_alive()
        try:
            return act()
        except OSError as error:
            self._dead = StorageDead(f"the file {self._name}", str(error))
            raise self._dead from error

    def _check_alive(self) -> None:
        if self._dead is not None:
            raise self._dead

    def sync(self) -> None:
        """Return when everything appended is durable."""
        self._guard(self._file.sync)

    def close(self) -> None:
        """Close without syncing; fine on a dead handle, and twice."""
        self._file.close()

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self._file.size()

    def _replace_with(self, parts: Iterable[bytes]) -> None:
        """Put a new file with this content in this one's place, durably."""
        self._guard(lambda: self._swap(parts))

    def _swap(self, parts: Iterable[bytes]) -> None:
        file = _write_whole(self._files, self._name, parts)
        self._file.close()
        self._file = file


def _write_whole(files: Files, name: str, parts: Iterable[bytes]) -> AppendFile:
    """Put a file with this content under the name, durably; a crash leaves the old one or the new one."""
    temporary = name + NEW_SUFFIX
    files.remove(temporary)
    file = files.create(temporary)
    try:
        for part in parts:
            file.append(part)
        file.sync()
        files.replace(temporary, name)
    except BaseException:
        file.close()
        raise
    return file


class VotesFile(_GuardedFile):
    """The signing record's bytes."""

    @classmethod
    def create(cls, files: Files, content: bytes, *, name: str = VOTES_FILE) -> VotesFile:
        """A new record. Called by `init` alone, never at a start (C-10); refuses an existing file."""
        if files.exists(name):
            raise StorageDamaged(f"the file {name}", "it exists already, and is never begun afresh")
        # Written aside and renamed, so that a crash never leaves a file without its first record.
        try:
            return cls(files, name, _write_whole(files, name, (content,)))
        except OSError as error:
            raise StorageDead(f"the file {name}", str(error)) from error

    @classmethod
    def open(cls, files: Files, *, name: str = VOTES_FILE) -> VotesFile:
        """The existing record, durable as it is read; `FileMissing` if there is none."""
        try:
            votes = cls(files, name, files.open(name))
        except FileNotFoundError:
            raise FileMissing(name) from None
        except OSError as error:
            raise StorageDead(f"the file {name}", str(error)) from error
        # What a killed process appended and never synced is read back here and sent again.
        votes.sync()
        return votes

    def content(self) -> bytes:
        """The whole file."""
        return self._guard(lambda: self._file.read(0, self._file.size()))

    def cut(self, length: int) -> None:
        """Cut off what follows the last whole record, durably."""
        assert length <= self.size, (length, self.size)
        if length < self.size:
            self._guard(lambda: self._file.truncate(length))
            self.sync()

    def append(self, record: bytes) -> None:
        """Add bytes at the end; not durable before `sync`."""
        self._guard(lambda: self._file.append(record))

    def rewrite(self, content: bytes) -> None:
        """Replace the whole content, durably."""
        self._replace_with((content,))


class PayloadKind(IntEnum):
    """What a payload record holds."""

    BATCH = 1  # a payload batch, under its digest
    BLOCK = 2  # a block, under its id


class PayloadRecord(NamedTuple):
    """One held record. Ids of batches and blocks are of different hash domains and never meet."""

    kind: PayloadKind
    id: Hash32
    body: bytes


class _Place(NamedTuple):
    kind: PayloadKind
    offset: int  # of the frame
    length: int  # of the body


class PayloadFile(_GuardedFile):
    """Batches and blocks that a vote may depend on and that LevelDB does not hold yet."""

    def __init__(self, files: Files, name: str, file: AppendFile) -> None:
        super().__init__(files, name, file)
        self._places: dict[Hash32, _Place] = {}
        self._live_bytes = 0
        self.truncated_bytes = 0  # of a physically short last record, cut off at the opening

    @classmethod
    def open(cls, files: Files, *, name: str = PAYLOAD_FILE) -> PayloadFile:
        """The file with its records indexed and durable, created if missing; raises `StorageDamaged`."""
        try:
            files.remove(name + NEW_SUFFIX)
            file = files.open(name) if files.exists(name) else files.create(name)
        except OSError as error:
            raise StorageDead(f"the file {name}", str(error)) from error
        payload = cls(files, name, file)
        try:
            payload._guard(payload._index)
            payload.sync()  # of a killed process, as in the votes file: what is read counts as durable
        except BaseException:
            file.close()
            raise
        return payload

    def _index(self) -> None:
        size, offset = self._file.size(), 0
        while offset + _FRAME_BYTES <= size:
            kind, record, length = self._frame_at(offset)
            end = offset + _FRAME_BYTES + length
            if end > size:
                break
            self._body_at(offset, length)
            self._places.setdefault(record, _Place(kind, offset, length))
            offset = end
        self._live_bytes = sum(_FRAME_BYTES + place.length for place in self._places.values())
        if offset < size:
            self.truncated_bytes = size - offset
            self._file.truncate(offset)
            self._file.sync()

    def _frame_at(self, offset: int) -> tuple[PayloadKind, Hash32, int]:
        head = self._file.read(offset, _FRAME_BYTES)
        length, kind, record, _ = _HEAD.unpack_from(head)
        if zlib.crc32(head[: _HEAD.size]) != _CRC.unpack_from(head, _HEAD.size)[0]:
            raise self._damaged(offset, "the head of a record has a wrong checksum")
        if kind not in tuple(PayloadKind):
            raise self._damaged(offset, f"it has a record of unknown kind {kind}")
        return PayloadKind(kind), Hash32(record), length

    def _body_at(self, offset: int, length: int) -> bytes:
        raw = self._file.read(offset, _FRAME_BYTES + length)
        body = raw[_FRAME_BYTES:]
        if len(body) != length or zlib.crc32(body) != _HEAD.unpack_from(raw)[3]:
            raise self._damaged(offset, "the body of a record has a wrong checksum")
        return body

    def _damaged(self, offset: int, why: str) -> StorageDamaged:
        return StorageDamaged(f"the file {self._name}", why, facts={"offset": str(offset)})

    def append(self, kind: PayloadKind, record: Hash32, body: bytes) -> None:
        """Add a record; not durable before `sync`. A record that is held already is not written again."""
        assert len(record) == HASH_BYTES, record
        assert len(body) <= BODY_BYTES_MAX, len(body)
        self._check_alive()
        if record in self._places:
            return
        offset = self._file.size()
        frame = _frame(kind, record, body)
        self._guard(lambda: self._file.append(frame))
        self._places[record] = _Place(kind, offset, len(body))
        self._live_bytes += len(frame)

    def __contains__(self, record: Hash32) -> bool:
        return record in self._places

    def get(self, record: Hash32) -> bytes | None:
        """The body of a held record."""
        self._check_alive()
        place = self._places.get(record)
        if place is None:
            return None
        return self._guard(lambda: self._body_at(place.offset, place.length))

    def records(self) -> Iterator[PayloadRecord]:
        """Every held record, in the order of arrival."""
        for record, place in list(self._places.items()):
            body = self.get(record)
            if body is not None:
                yield PayloadRecord(place.kind, record, body)

    def drop(self, records: Iterable[Hash32]) -> None:
        """Say that these are held elsewhere (or needed no more). They leave the disk with the next `trim`."""
        for record in records:
            place = self._places.pop(record, None)
            if place is not None:
                self._live_bytes -= _FRAME_BYTES + place.length

    @property
    def dead_bytes(self) -> int:
        """Bytes of dropped records that a `trim` would free."""
        return self._file.size() - self._live_bytes

    def trim(self, *, at_least: int = TRIM_BYTES) -> bool:
        """Rewrite the file without what was dropped, durably, if that frees enough; says whether it did."""
        self._check_alive()
        if self.dead_bytes < max(at_least, 1) or self.dead_bytes < self._live_bytes:
            return False
        held = dict(self._places)
        self._replace_with(
            _frame(place.kind, record, self._held_body(place)) for record, place in held.items()
        )
        offset = 0
        for record, place in held.items():
            self._places[record] = place._replace(offset=offset)
            offset += _FRAME_BYTES + place.length
        return True

    def _held_body(self, place: _Place) -> bytes:
        return self._body_at(place.offset, place.length)


def _frame(kind: PayloadKind, record: Hash32, body: bytes) -> bytes:
    head = _HEAD.pack(len(body), kind, record, zlib.crc32(body))
    return head + _CRC.pack(zlib.crc32(head)) + body

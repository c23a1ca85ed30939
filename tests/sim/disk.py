"""A disk that keeps what was synced and, of the rest, whatever it likes.

Implements `node.storage.files.Files`. `lose` is what a crash does: of the bytes
behind the last sync all, none, or any prefix survive (torn writes). `flip` is rot.
`room` is the free space: an append beyond it writes what fits and fails, as a
full disk does.
"""

from __future__ import annotations

import errno
import random
from typing import Final

LOST, TORN, KEPT = "lost", "torn", "kept"
FATES: Final = (LOST, TORN, KEPT)


class DiskFull(OSError):
    """No space left."""

    def __init__(self) -> None:
        super().__init__(errno.ENOSPC, "no space left on the simulated disk")


class SimFile:
    """One open file; several handles of one name share the bytes."""

    def __init__(self, disk: SimDisk, content: _Content) -> None:
        self._disk = disk
        self._content = content

    def size(self) -> int:
        return len(self._content.data)

    def append(self, data: bytes) -> None:
        fits = data if self._disk.room is None else data[: self._disk.room]
        self._content.data += fits
        if self._disk.room is not None:
            self._disk.room -= len(fits)
        if len(fits) < len(data):
            raise DiskFull

    def sync(self) -> None:
        if self._disk.sync_fails:
            raise OSError(errno.EIO, "the simulated disk failed to sync")
        self._content.synced = len(self._content.data)
        self._content.cut_off = b""

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self._content.data[offset : offset + length])

    def truncate(self, size: int) -> None:
        content = self._content
        if size < content.synced:
            content.cut_off = bytes(content.data[size : content.synced]) + content.cut_off
            content.synced = size
        del content.data[size:]

    def close(self) -> None:
        return None


class _Content:
    __slots__ = ("cut_off", "data", "synced")

    def __init__(self) -> None:
        self.data = bytearray()
        self.synced = 0
        self.cut_off = b""  # of a truncation that was not synced: a crash brings it back


class SimDisk:
    """A folder of such files."""

    def __init__(self) -> None:
        self.room: int | None = None  # bytes that still fit; None: plenty
        self.sync_fails = False
        self.rotten = False  # a bit was flipped: a start may be refused
        self._files: dict[str, _Content] = {}

    # --- the port

    def exists(self, name: str) -> bool:
        return name in self._files

    def create(self, name: str) -> SimFile:
        if name in self._files:
            raise FileExistsError(name)
        self._files[name] = _Content()
        return SimFile(self, self._files[name])

    def open(self, name: str) -> SimFile:
        if name not in self._files:
            raise FileNotFoundError(name)
        return SimFile(self, self._files[name])

    def replace(self, source: str, target: str) -> None:
        content = self._files.pop(source)
        assert content.synced == len(content.data), "a file is synced before it is renamed"
        self._files[target] = content

    def remove(self, name: str) -> None:
        self._files.pop(name, None)

    # --- what happens to disks

    def durable(self, name: str) -> bytes:
        """What a crash cannot take away any more."""
        content = self._files.get(name)
        return b"" if content is None else bytes(content.data[: content.synced])

    def durable_has(self, name: str, data: bytes) -> bool:
        """Whether these bytes stand in the synced part."""
        content = self._files.get(name)
        return content is not None and content.data.rfind(data, 0, content.synced) >= 0

    def lose(self, chance: random.Random) -> str:
        """The power goes: each file's unsynced end meets its fate, which is told for the trace."""
        told: list[str] = []
        for name in sorted(self._files):
            content = self._files[name]
            loose = len(content.data) - content.synced
            if content.cut_off:
                content.data += content.cut_off
                content.synced = len(content.data)
                content.cut_off = b""
            if not loose:
                continue
            fate = chance.choice(FATES)
            kept = {LOST: 0, TORN: chance.randint(0, loose), KEPT: loose}[fate]
            del content.data[content.synced + kept :]
            content.synced = len(content.data)
            told.append(f"{name}:{fate}:{kept}/{loose}")
        return " ".join(told)

    def flip(self, name: str, offset: int, mask: int = 1) -> None:
        """One byte rots."""
        self._files[name].data[offset] ^= mask
        self.rotten = True

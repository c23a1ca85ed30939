"""The data folder: its lock for the life of the process, and what it had acknowledged.

An flock on a file of our own is taken before LevelDB is asked, because a
second open of LevelDB in one process is refused but releases LevelDB's lock.
The same file holds the highest acknowledged height, written in place after
every synced commit and not synced itself: it outlives the process (not a loss
of power) and lets the next open see that the disk gave back less than it had
acknowledged. The lock goes when the process ends; a child made by fork would
share it, so the node starts its helpers with a fresh interpreter.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from pathlib import Path
from typing import Final

from node.storage.errors import DataFolderInUse, DataFolderUnusable
from node.storage.files import RealFiles, sync_folder
from node.storage.schema import LOCK_FILE

_ACKNOWLEDGED: Final = struct.Struct(">QI")  # height + 1 (0: none), crc32 of that


class DataFolder:
    """An exclusively held data folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise DataFolderUnusable(str(path), str(error)) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise DataFolderInUse(str(path)) from None
        self._closed = False
        try:
            if os.fstat(self._lock).st_size < _ACKNOWLEDGED.size:
                self._write_acknowledged(0)
                os.fsync(self._lock)
                sync_folder(path)
                sync_folder(path.parent)
            self.files: Final = RealFiles(path)
        except OSError as error:
            self.close()
            raise DataFolderUnusable(str(path), str(error)) from error

    def acknowledged(self) -> int | None:
        """The height that was acknowledged last; None if none was or the note itself is unreadable."""
        number, checksum = _ACKNOWLEDGED.unpack(os.pread(self._lock, _ACKNOWLEDGED.size, 0))
        if number == 0 or zlib.crc32(number.to_bytes(8, "big")) != checksum:
            return None
        return int(number) - 1

    def acknowledge(self, height: int) -> None:
        """Note that `height` is being acknowledged as durable. In place: a full disk is no hurdle."""
        self._write_acknowledged(height + 1)

    def _write_acknowledged(self, number: int) -> None:
        record = _ACKNOWLEDGED.pack(number, zlib.crc32(number.to_bytes(8, "big")))
        if os.pwrite(self._lock, record, 0) != len(record):
            raise OSError("the note of the acknowledged height was written in part")

    def close(self) -> None:
        """Release the lock."""
        if not self._closed:
            self._closed = True
            os.close(self._lock)

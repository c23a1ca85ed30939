"""The file port: append, sync, read, truncate, replace; and the real files behind it.

The append-only files run over this port, so that the simulator's disk can
lose and tear what was not synced. A file that was created or replaced is
durable in its folder on return. Errors come out as `OSError`; whoever holds
the file applies the dead-handle rule.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol


class AppendFile(Protocol):
    """One open file that grows at its end."""

    def size(self) -> int:
        """Bytes in the file."""
        ...

    def append(self, data: bytes) -> None:
        """Write all of `data` at the end; on `OSError` any prefix of it may be there."""
        ...

    def sync(self) -> None:
        """Return when everything appended or truncated is durable."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`, fewer only at the end."""
        ...

    def truncate(self, size: int) -> None:
        """Cut the file to `size` bytes."""
        ...

    def close(self) -> None:
        """Close without syncing. Closing twice is fine."""
        ...


class Files(Protocol):
    """A folder of such files."""

    def exists(self, name: str) -> bool:
        """Whether the file is there."""
        ...

    def create(self, name: str) -> AppendFile:
        """A new empty file, durable in its folder; `FileExistsError` if there is one."""
        ...

    def open(self, name: str) -> AppendFile:
        """An existing file; `FileNotFoundError` if there is none."""
        ...

    def replace(self, source: str, target: str) -> None:
        """Rename over `target` at once, durably. The source must have been synced."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, durably; fine if it is not there."""
        ...


class RealFile:
    """A file of the operating system."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        self._closed = False

    def size(self) -> int:
        return self._size

    def append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            # A full disk first writes what fits and fails at the next call.
            written = os.pwrite(self._descriptor, view, self._size)
            self._size += written
            view = view[written:]

    def sync(self) -> None:
        os.fdatasync(self._descriptor)

    def read(self, offset: int, length: int) -> bytes:
        parts: list[bytes] = []
        while length > 0:
            part = os.pread(self._descriptor, length, offset)
            if not part:
                break
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(parts)

    def truncate(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)
        self._size = size

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            os.close(self._descriptor)


class RealFiles:
    """A folder of the operating system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def exists(self, name: str) -> bool:
        return (self._folder / name).exists()

    def create(self, name: str) -> RealFile:
        descriptor = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.fsync(descriptor)
            sync_folder(self._folder)
        except OSError:
            os.close(descriptor)
            raise
        return RealFile(descriptor)

    def open(self, name: str) -> RealFile:
        return RealFile(os.open(self._folder / name, os.O_RDWR))

    def replace(self, source: str, target: str) -> None:
        os.replace(self._folder / source, self._folder / target)
        sync_folder(self._folder)

    def remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)
        sync_folder(self._folder)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""What an isolated node found, kept over a restart in a file of the data folder (C-13).

Writes are kept in memory only, so a node that restarts cannot look again. The file is for people and
decides nothing: a damaged one, or one of another height or other roots, is as good as none.
"""

from __future__ import annotations

import json
from typing import Final

from licet.certificate import ExecutedRoots

from node.storage.files import Files
from node.storage.schema import FINDING_FILE

_BYTES_MAX: Final = 1 << 16
_NEW: Final = FINDING_FILE + ".new"


def _of(roots: ExecutedRoots) -> str:
    return f"{roots.height} {roots.state_root.hex()} {roots.log_root.hex()}"


def keep(files: Files, ours: ExecutedRoots, sentence: str) -> None:
    """Write what was found at these roots of ours. Raises `OSError` where it cannot be written."""
    files.remove(_NEW)
    file = files.create(_NEW)
    try:
        file.append(json.dumps({"roots": _of(ours), "found": sentence}).encode())
        file.sync()
    finally:
        file.close()
    files.replace(_NEW, FINDING_FILE)


class EarlierFinding:
    """What the file holds, read once at a start."""

    def __init__(self, files: Files) -> None:
        self._roots, self._sentence = "", ""
        if not files.exists(FINDING_FILE):
            return
        file = files.open(FINDING_FILE)
        try:
            held = json.loads(file.read(0, _BYTES_MAX))
            self._roots, self._sentence = str(held["roots"]), str(held["found"])
        except (ValueError, KeyError, TypeError):
            return
        finally:
            file.close()

    def about(self, ours: ExecutedRoots) -> str:
        """What was found where these were our roots; empty if nothing was."""
        return self._sentence if self._roots == _of(ours) else ""

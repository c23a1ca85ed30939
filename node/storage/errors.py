"""What can go wrong with a disk or a data folder, each as one sentence with a remedy.

All derive from `LicetError` and are the machine's or the operator's fault.
None of them is ever caught and ignored: a failed write ends the handle
(the dead-handle rule of the ledger's design).
"""

from __future__ import annotations

from licet.errors import Fault, LicetError


class StorageError(LicetError):
    """Base of all errors of this folder."""


class StorageDead(StorageError):
    """A write or sync failed, so nothing this handle says can be trusted any more."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(
            "STORAGE_DEAD",
            f"Writing to {what} failed ({why}); this handle takes no further calls.",
            fault=Fault.MACHINE,
            remedy="Free space on the disk (or repair it) and restart the node.",
            facts={"what": what, "why": why},
        )


class DataFolderInUse(StorageError):
    """Another process, or another handle of this one, holds the data folder."""

    def __init__(self, folder: str) -> None:
        super().__init__(
            "DATA_FOLDER_IN_USE",
            f"The data folder {folder} is in use by another process.",
            fault=Fault.OPERATOR,
            remedy="Stop that process, or name another folder.",
            facts={"folder": folder},
        )


class DataFolderUnusable(StorageError):
    """The data folder cannot be created, opened or written."""

    def __init__(self, folder: str, why: str) -> None:
        super().__init__(
            "DATA_FOLDER_UNUSABLE",
            f"The data folder {folder} cannot be used: {why}.",
            fault=Fault.OPERATOR,
            remedy="Check its permissions and the free space, or name another folder.",
            facts={"folder": folder, "why": why},
        )


class WrongChain(StorageError):
    """The data folder belongs to another network."""

    def __init__(self, *, found: bytes, expected: bytes) -> None:
        super().__init__(
            "WRONG_CHAIN",
            f"The data folder belongs to chain {found.hex()}, not to {expected.hex()}.",
            fault=Fault.OPERATOR,
            remedy="Name the folder of this network, or the genesis file of that one.",
            facts={"found": found.hex(), "expected": expected.hex()},
        )


class NewerSchema(StorageError):
    """The data folder was written by a newer program."""

    def __init__(self, *, found: int, known: int) -> None:
        super().__init__(
            "NEWER_SCHEMA",
            f"The data folder has storage schema {found}; this program knows up to {known}.",
            fault=Fault.OPERATOR,
            remedy="Run the newer program.",
            facts={"found": str(found), "known": str(known)},
        )


class OlderSchema(StorageError):
    """The data folder has a schema this program can no longer read."""

    def __init__(self, *, found: int, known: int) -> None:
        super().__init__(
            "OLDER_SCHEMA",
            f"The data folder has storage schema {found}; this program needs {known}.",
            fault=Fault.OPERATOR,
            remedy="Start with an empty folder and let the node catch up from its peers.",
            facts={"found": str(found), "known": str(known)},
        )


class StorageDamaged(StorageError):
    """Bytes on disk are not what was written. Never truncated away, never guessed."""

    def __init__(self, what: str, why: str, *, facts: dict[str, str] | None = None) -> None:
        super().__init__(
            "STORAGE_DAMAGED",
            f"{what} is damaged: {why}.",
            fault=Fault.MACHINE,
            remedy="Keep a copy, restore a backup or start with an empty ledger folder and catch up.",
            facts={"what": what, "why": why, **(facts or {})},
        )


class AcknowledgedLost(StorageError):
    """The disk gave back less than it had acknowledged as synced."""

    def __init__(self, *, acknowledged: int, found: int) -> None:
        super().__init__(
            "ACKNOWLEDGED_LOST",
            f"Height {acknowledged} was acknowledged as durable, but the disk holds only height {found}.",
            fault=Fault.MACHINE,
            remedy="Check the disk, then start with accept_loss to catch up from the peers.",
            facts={"acknowledged": str(acknowledged), "found": str(found)},
        )


class FileMissing(StorageError):
    """A file that only `init` may create is not there."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "FILE_MISSING",
            f"The file {name} is missing.",
            fault=Fault.OPERATOR,
            remedy="Restore it; if it is lost, the node must catch up without voting.",
            facts={"name": name},
        )


class HeightNotKept(StorageError):
    """A proof was asked for at a height whose tree is no longer (or not yet) held."""

    def __init__(self, *, height: int, lowest: int, highest: int) -> None:
        super().__init__(
            "HEIGHT_NOT_KEPT",
            f"Proofs are kept for heights {lowest} to {highest}, not for {height}.",
            fault=Fault.SENDER,
            remedy="Ask for a proof at the newest anchored height.",
            facts={"height": str(height), "lowest": str(lowest), "highest": str(highest)},
        )

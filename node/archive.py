"""Final blocks out of the store, as consensus types. Reads only."""

from __future__ import annotations

from licet.certificate import Certificate
from licet.types import Hash32, Height

from consensus.types import Block, CommittedBlock
from node.storage.port import Storage


class StoredBlocks:
    """The core's `Archive` over the storage port."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def batch(self, digest: Hash32) -> bytes | None:
        """A batch of an executed block."""
        return self._storage.batch(digest)

    def final_block(self, height: Height) -> CommittedBlock | None:
        """An executed block, with its finalization if it has one of its own; genesis is none."""
        if height < 1:
            return None
        stored = self._storage.block(height)
        if stored is None:
            return None
        finalization = Certificate.decode(stored.certificate) if stored.certificate else None
        return CommittedBlock(block=Block.decode(stored.block), finalization=finalization)

"""Final blocks out of the store, as consensus types. Reads only."""

from __future__ import annotations

from licet.certificate import Certificate
from licet.types import Hash32, Height

from consensus.types import Block, CommittedBlock
from node.storage.port import Storage
from node.storage.schema import Kind, height_key


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
        at = height_key(height)
        block = self._storage.record(Kind.BLOCK, at)
        if block is None:
            return None
        certificate = self._storage.record(Kind.CERTIFICATE, at)
        return CommittedBlock(
            block=Block.decode(block),
            finalization=Certificate.decode(certificate) if certificate else None,
        )

"""The append-only files under the core's effects: payload, sync, votes, sync; and never another order.

A sync of the payload file covers everything appended since the last one ("held
means durable", C-14). It is done only when a vote of the turn depends on it. A
finalization that was appended to the votes file alone is synced before the next message
leaves and not sooner: the block that it makes final waits for one sync less.
Errors are the files' own (`StorageDead`): the caller sends nothing of the turn.
"""

from __future__ import annotations

from node.core.effects import CoreEffects
from node.storage.wal import PayloadFile, PayloadKind, VotesFile


class Persistence:
    """The two files of one node."""

    def __init__(self, *, payload: PayloadFile, votes: VotesFile | None) -> None:
        self._payload = payload
        self._votes = votes
        self._dirty = False  # appended to the payload file and not synced
        self._unsynced = False  # the same of the votes file

    def perform(self, effects: CoreEffects) -> bool:
        """Steps 1 and 2 of a turn; and what may leave the payload file. Whether there was anything."""
        payload = self._payload
        if not (
            effects.append_batches
            or effects.append_blocks
            or effects.append_votes
            or effects.votes_file is not None
            or effects.sync_payload
            or (effects.sends and self._unsynced)
            or effects.forget_payload
        ):
            return False
        for batch in effects.append_batches:
            payload.append(PayloadKind.BATCH, batch.digest, batch.raw)
        for block in effects.append_blocks:
            payload.append(PayloadKind.BLOCK, block.id, block.encode())
        self._dirty |= bool(effects.append_batches or effects.append_blocks)
        if effects.sync_payload and self._dirty:
            payload.sync()
            self._dirty = False
        if effects.votes_file is not None or effects.append_votes:
            self._record(effects)
        if self._unsynced and (effects.sync_votes or effects.sends):
            assert self._votes is not None
            self._votes.sync()
            self._unsynced = False
        if effects.forget_payload:
            payload.drop(effects.forget_payload)
            payload.trim()
        return True

    def _record(self, effects: CoreEffects) -> None:
        votes = self._votes
        assert votes is not None, "only a voter signs"
        if effects.votes_file is not None:
            votes.rewrite(effects.votes_file)
            self._unsynced = False
        for record in effects.append_votes:
            votes.append(record)
        self._unsynced |= bool(effects.append_votes)

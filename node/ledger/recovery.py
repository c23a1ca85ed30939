"""A start: what store, signing record and payload file hold, and what is to be replayed.

* The store is at height h; tree, log frontier and the index of recent ids are
  loaded from it. Final blocks above h lie in the payload file with their batches,
  their finalization in the signing record: the ordering engine commits them again.
* A missing or damaged signing record makes a node that follows and does not vote,
  and says so (C-10, C-11). It is never begun afresh here.
* A damaged payload file is reported: a vote may depend on what it held.
* What the store has taken over is dropped from the payload file.
"""

from __future__ import annotations

from dataclasses import dataclass

from licet.certificate import Certificate, ExecutedRoots
from licet.crypto import Verified
from licet.types import Hash32, Height, PublicKey

from consensus import votelog
from consensus.config import ChainConfig
from consensus.errors import SigningRecordDamaged, SigningRecordMissing
from consensus.types import Block, RecentDigest, Recovered
from consensus.votelog import VoteLogState
from node.core.batches import Batch
from node.core.verifier import Verifier
from node.ledger.indexes import roots_at
from node.storage.errors import FileMissing
from node.storage.files import Files
from node.storage.port import Storage
from node.storage.schema import Kind, height_key
from node.storage.wal import PayloadFile, PayloadKind, VotesFile


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedVotes:
    """The signing record, or the sentence why this node does not vote."""

    file: VotesFile | None
    record: VoteLogState | None
    problem: str


def open_votes(files: Files, *, chain: ChainConfig, public_key: PublicKey | None) -> OpenedVotes:
    """Open the signing record, cut what was never synced, and say what it holds."""
    if public_key is None or chain.index is None:
        return OpenedVotes(file=None, record=None, problem="it is an observer")
    try:
        file = VotesFile.open(files)
    except FileMissing:
        return OpenedVotes(file=None, record=None, problem=str(SigningRecordMissing()))
    try:
        record = votelog.recover(file.content(), chain_id=chain.chain_id, public_key=public_key)
    except (SigningRecordMissing, SigningRecordDamaged) as error:
        file.close()
        return OpenedVotes(file=None, record=None, problem=str(error))
    file.cut(record.valid_length)
    return OpenedVotes(file=file, record=record, problem="")


def read_head(storage: Storage) -> Block | None:
    """The highest executed block; None at genesis."""
    height = storage.height
    if height is None or height == 0:
        return None
    return _block(storage, height)


def recovered(storage: Storage, payload: PayloadFile, votes: OpenedVotes, *, chain: ChainConfig) -> Recovered:
    """What the ordering engine is started from."""
    head = read_head(storage)
    if head is None:
        return Recovered(
            blocks=_held_blocks(payload, above=Height(0)), votes=votes.record, votes_problem=votes.problem
        )
    return Recovered(
        head=head,
        finalization=_newest_finalization(storage, head.height),
        executed=_roots(storage, head),
        recent=_recent(storage, head, chain.digest_window_ms),
        blocks=_held_blocks(payload, above=head.height),
        votes=votes.record,
        votes_problem=votes.problem,
    )


def held_batches(storage: Storage, payload: PayloadFile, verifier: Verifier) -> tuple[Verified[Batch], ...]:
    """The payload file's batches that the store has not taken over; those it has are dropped."""
    held: list[Verified[Batch]] = []
    stored: list[Hash32] = []
    for record in payload.records():
        if record.kind is not PayloadKind.BATCH:
            continue
        if storage.batch(record.id) is not None:
            stored.append(record.id)
        else:
            # Verified before it was written, and under a checksum since.
            held.append(verifier.batch_now(record.body, trusted=True))
    payload.drop(stored)
    return tuple(held)


def _block(storage: Storage, height: Height) -> Block:
    raw = storage.record(Kind.BLOCK, height_key(height))
    assert raw is not None, "heights are stored without gaps"
    return Block.decode(raw)


def _newest_finalization(storage: Storage, head: Height) -> Certificate | None:
    for height in range(head, 0, -1):
        raw = storage.record(Kind.CERTIFICATE, height_key(height))
        if raw:
            return Certificate.decode(raw)
    return None


def _roots(storage: Storage, head: Block) -> tuple[ExecutedRoots, ...]:
    found = (
        roots_at(storage, Height(at)) for at in range(max(1, head.header.executed.height), head.height + 1)
    )
    return tuple(roots for roots in found if roots is not None)


def _recent(storage: Storage, head: Block, window_ms: int) -> tuple[RecentDigest, ...]:
    """Digests of the window's final blocks, oldest first."""
    oldest_ms = head.header.timestamp_ms - window_ms
    found: list[RecentDigest] = []
    for height in range(head.height, 0, -1):
        block = _block(storage, Height(height))
        if block.header.timestamp_ms < oldest_ms:
            break
        found += [
            RecentDigest(digest=digest, timestamp_ms=block.header.timestamp_ms)
            for digest in reversed(block.digests)
        ]
    found.reverse()
    return tuple(found)


def _held_blocks(payload: PayloadFile, *, above: Height) -> tuple[Block, ...]:
    blocks: list[Block] = []
    final: list[Hash32] = []
    for record in payload.records():
        if record.kind is PayloadKind.BLOCK:
            block = Block.decode(record.body)
            if block.height > above:
                blocks.append(block)
            else:
                final.append(record.id)
    payload.drop(final)
    return tuple(blocks)

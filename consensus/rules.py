"""What makes a proposal one to notarize: pure predicates, no state of their own.

`check_shape` needs the block alone and holds for ever. `check_context` needs
the parent and the blocks up to it. Each returns "" or why not, in words.
"""

from __future__ import annotations

from licet.types import ZERO_HASH, TimestampMs

from consensus.blocktree import BlockTree, Entry
from consensus.config import DRIFT_MS, ChainConfig
from consensus.types import Block


def check_shape(block: Block, config: ChainConfig) -> str:
    """C-2, C-3, C-14: everything that can be said of a block without its parent."""
    header = block.header
    if header.chain_id != config.chain_id or header.epoch != config.epoch:
        return "it belongs to another chain or epoch"
    if header.proposer != config.validators.leader(header.view):
        return f"view {header.view} is not validator {header.proposer}'s"
    if header.parent_view >= header.view or header.height < 1:
        return "its parent is not before it"
    if header.next_epoch != ZERO_HASH:
        return "it changes the validators, which this version cannot"
    if len(block.digests) > config.digests_per_block_max:
        return f"it orders {len(block.digests)} batches, more than {config.digests_per_block_max}"
    if len(set(block.digests)) != len(block.digests):
        return "it orders a batch twice"
    if not block.payload_matches():
        return "its payload root is not that of its digests"
    return ""


def check_time(
    timestamp_ms: TimestampMs, parent_ms: TimestampMs, received_ms: TimestampMs, *, manual_clock: bool
) -> str:
    """C-3: parent.ts < ts ≤ max(now + drift, parent.ts + 1), `now` as it was on receipt."""
    if timestamp_ms <= parent_ms:
        return "its time is not after its parent's"
    if not manual_clock and timestamp_ms > max(received_ms + DRIFT_MS, parent_ms + 1):
        return f"its time is {timestamp_ms - received_ms} ms ahead of ours"
    return ""


def must_be_empty(height: int, executed_height: int, config: ChainConfig) -> bool:
    """C-13: the anchor lags so far that a block must be empty. It is never forbidden."""
    return height - executed_height > config.anchor_lag


def check_context(
    block: Block, parent: Entry, ancestors: tuple[Entry, ...], tree: BlockTree, config: ChainConfig
) -> str:
    """C-3, C-13, C-14: the block against its parent and the blocks up to it (not time, not roots)."""
    header = block.header
    if header.height != parent.height + 1 or header.parent_view != parent.view:
        return "its height or parent view is not its parent's"
    executed = header.executed
    if executed.height < parent.executed.height or executed.height > parent.height:
        return "it anchors a height below its parent's anchor or above its parent"
    if executed.height == parent.executed.height and executed != parent.executed:
        return "it anchors other roots than its parent at the same height"
    if block.digests and must_be_empty(header.height, executed.height, config):
        return f"it orders batches while the anchor lags by {header.height - executed.height}"
    since = header.timestamp_ms - config.digest_window_ms
    for digest in block.digests:
        if tree.digest_used(digest, ancestors, since_ms=since):
            return f"an ancestor already orders batch {digest.hex()[:16]}"
    return ""

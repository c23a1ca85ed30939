"""Who made the batches of a proposed block: said beside the proposal, heard as a hint (C-14).

A batch's digest does not name its author, and its author is who surely holds it. So a
proposal carries, beside the block and no part of its id, the position of each batch's
author. Nothing here is trusted and nothing decides validity: a wrong hint, or none,
costs one wasted request. Bounded per peer, so that nobody's hints displace another's.
"""

from __future__ import annotations

from collections.abc import Mapping

from licet.types import Hash32, ValidatorIndex

from consensus.messages import Proposal
from consensus.types import Block
from node.core.mempool import Mempool
from node.limits import HINTED_BLOCKS_MAX
from node.net.peer_messages import UNKNOWN_AUTHOR


def authors_of(message: object, pool: Mempool) -> tuple[ValidatorIndex, ...]:
    """What goes beside this message: the author of each batch that a proposal orders."""
    if not isinstance(message, Proposal):
        return ()
    held = (pool.get(digest) for digest in message.block.digests)
    return tuple(UNKNOWN_AUTHOR if batch is None else batch.author for batch in held)


class AuthorHints:
    """What each peer said beside its newest proposals."""

    def __init__(self) -> None:
        self._by_peer: dict[ValidatorIndex, dict[Hash32, tuple[ValidatorIndex, ...]]] = {}

    def note(self, peer: ValidatorIndex, block: Block, authors: tuple[ValidatorIndex, ...]) -> None:
        """A peer named the authors of this block's batches; it displaces only its own older hints."""
        hints = self._by_peer.setdefault(peer, {})
        hints.pop(block.id, None)
        hints[block.id] = authors[: len(block.digests)]
        if len(hints) > HINTED_BLOCKS_MAX:
            del hints[next(iter(hints))]

    def of(self, peer: ValidatorIndex | None, block: Block) -> Mapping[Hash32, ValidatorIndex]:
        """The authors that this peer named for the block; empty where it named none."""
        if peer is None:
            return {}
        authors = self._by_peer.get(peer, {}).get(block.id, ())
        return dict(zip(block.digests, authors, strict=False))

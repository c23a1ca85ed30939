"""C-15, both sides of fetching finalised blocks, as pure functions.

`build_response` is what a shell answers `ServeFinalized` with, out of its block
store; `check_response` is what a lagging replica believes: blocks that link its
own head to a block that a (verified) finalization names, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

from licet.certificate import Certificate, VoteKind
from licet.types import Height

from consensus.blocktree import Entry
from consensus.config import CATCH_UP_BATCH_MAX
from consensus.messages import FinalizedResponse
from consensus.types import Block, CommittedBlock

ReadFinal = Callable[[Height], CommittedBlock | None]


def build_response(
    read: ReadFinal, *, from_height: Height, count: int, newest: Certificate | None = None
) -> FinalizedResponse:
    """Final blocks from a height on, ending at one that was finalised directly.

    About `count` blocks: fewer at the end of the chain, more (up to
    `CATCH_UP_BATCH_MAX`) when no block among them was finalised directly. `newest`
    is the newest finalization the node holds, for a store whose last blocks
    were read before their own was stored.
    """
    blocks: list[Block] = []
    finalizations: list[Certificate] = []
    whole = 0  # how many blocks lead up to the last finalization
    while len(blocks) < CATCH_UP_BATCH_MAX and not (len(blocks) >= count and whole):
        one = read(Height(from_height + len(blocks)))
        if one is None:
            break
        blocks.append(one.block)
        final = one.finalization
        if final is None and newest is not None and newest.digest == one.block.id:
            final = newest
        if final is not None:
            finalizations.append(final)
            whole = len(blocks)
    return FinalizedResponse(
        from_height=from_height, blocks=tuple(blocks[:whole]), finalizations=tuple(finalizations)
    )


def check_response(response: FinalizedResponse, head: Entry) -> tuple[Block, ...]:
    """The blocks above our head that the response proves final, or none of them."""
    blocks = tuple(block for block in response.blocks if block.height > head.height)
    if not blocks or not response.finalizations:
        return ()
    parent_id, height, view, time_ms = head.id, head.height, head.view, head.timestamp_ms
    for block in blocks:
        header = block.header
        linked = header.parent_id == parent_id and header.parent_view == view
        rising = header.view > view and header.timestamp_ms > time_ms and header.height == height + 1
        if not (linked and rising and block.payload_matches()):
            return ()
        parent_id, height, view, time_ms = header.id, header.height, header.view, header.timestamp_ms
    views = {block.id: block.view for block in response.blocks}
    for certificate in response.finalizations:
        if certificate.kind is not VoteKind.FINALIZE or views.get(certificate.digest) != certificate.view:
            return ()
    return blocks if response.finalizations[-1].digest == blocks[-1].id else ()

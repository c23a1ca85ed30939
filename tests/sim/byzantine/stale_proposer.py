"""Proposes on a parent's parent, at once, to lead voters back behind what is becoming final."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from licet.certificate import Certificate, Header, VoteKind, payload_root
from licet.types import Hash32, Height, TimestampMs, View

from consensus.messages import Proposal
from consensus.types import Block
from node.core.effects import CoreSend
from tests.sim.byzantine.adversary import Adversary, Outgoing
from tests.sim.genesis import VALIDATORS


class StaleProposer(Adversary):
    """Skips a view that was not nullified, whenever it leads, and does not wait until that view is final."""

    name: ClassVar[str] = "stale_proposer"

    def begin(self) -> None:
        self._proposed: set[int] = set()

    def rewrite(self, send: CoreSend) -> Iterable[Outgoing]:
        message = send.message
        if isinstance(message, Proposal):
            if message.block.view not in self._proposed:
                yield from self.propose(self.stale(message.block.header, message.block.digests))
            return
        if isinstance(message, Certificate) and message.kind is VoteKind.NOTARIZE:
            yield from self._at_once(message)
            return  # it does not spread what it wants forgotten
        yield from self.plain(message, send.to)

    def _at_once(self, notarization: Certificate) -> Iterable[Outgoing]:
        """Lead the next view before the last one is final: its block's parent gets another child."""
        view = View(notarization.view + 1)
        rival = self._block(notarization.digest)
        if view % VALIDATORS != self.index or rival is None or view in self._proposed:
            return
        late = replace(
            rival.header,
            view=view,
            proposer=self.index,
            payload_root=payload_root(()),
            timestamp_ms=TimestampMs(rival.header.timestamp_ms + 1),
        )
        yield from self.propose(self._signed(Block(header=late, digests=())))

    def propose(self, stale: Proposal | None) -> Iterable[Outgoing]:
        """Say it, and call it final as well."""
        if stale is None:
            return
        view = stale.block.view
        self._proposed.add(view)
        yield from self.plain(stale, None)
        yield from self.plain(self.sign(view, VoteKind.FINALIZE, stale.block.id), None, 4_000)

    def stale(self, header: Header, digests: tuple[Hash32, ...]) -> Proposal | None:
        """A block of ours one generation lower, signed again."""
        parent = self._block(header.parent_id)
        if parent is None or parent.height < 2:
            return None
        lower = replace(
            header,
            height=parent.height,
            parent_id=parent.header.parent_id,
            parent_view=parent.header.parent_view,
            executed=parent.header.executed,
        )
        return self._signed(Block(header=lower, digests=digests))

    def _signed(self, block: Block) -> Proposal:
        return Proposal(
            block=block, justification=(), vote=self.sign(block.view, VoteKind.NOTARIZE, block.id)
        )

    def _block(self, block_id: Hash32) -> Block | None:
        raw = self.node.parts.payload.get(block_id)
        if raw is not None:
            return Block.decode(raw)
        stored = self.node.storage.block(Height(self.node.height))
        if stored is None or not stored.block:
            return None
        block = Block.decode(stored.block)
        return block if block.id == block_id else None

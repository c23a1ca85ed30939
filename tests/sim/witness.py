"""What an outsider sees of a node: its votes on the wire and whether they were durable, its blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from licet.certificate import Vote, VoteKind

from consensus.messages import Proposal, Resync
from consensus.types import Block
from node.core.effects import CoreSend, ReadyBlock
from node.ledger.executor import Prepared
from node.storage.schema import PAYLOAD_FILE, VOTES_FILE
from tests.sim.history import SeenBlock, SeenCommit

if TYPE_CHECKING:
    from tests.sim.shell import SimNode


class Witness:
    """Writes the history of one node, out of its bytes and not out of its beliefs."""

    def __init__(self, node: SimNode) -> None:
        self._node = node
        self._history = node.history
        self._world = node.world
        self._known_durable: set[bytes] = set()

    def sent(self, send: CoreSend) -> None:
        """A message is about to leave."""
        for vote in own_votes(send.message, self._node.index):
            self._history.see_votes(
                (vote,),
                tick_us=self._world.now_us,
                voter=self._node.index,
                where="wire",
                durable=self._durable(vote),
            )

    def _durable(self, vote: Vote) -> bool:
        """Whether the disk would still know this vote, and a notarize's block and batches, after a crash."""
        encoded = vote.encode()
        if encoded in self._known_durable:
            return True
        found = self._node.disk.durable_has(VOTES_FILE, encoded)
        if found and vote.kind is VoteKind.NOTARIZE:
            found = self._payload_durable(vote)
        if found:
            self._known_durable.add(encoded)
        return found

    def _payload_durable(self, vote: Vote) -> bool:
        payload = self._node.parts.payload
        raw = payload.get(vote.digest)
        if raw is None:  # the store has taken it over
            return True
        needed = [raw]
        for digest in Block.decode(raw).digests:
            batch = payload.get(digest)
            if batch is not None:
                needed.append(batch)
            elif self._node.storage.batch(digest) is None:
                return False
        return all(self._node.disk.durable_has(PAYLOAD_FILE, one) for one in needed)

    def committed(self, ready: ReadyBlock) -> None:
        """The ordering engine calls a block final."""
        block = ready.block
        self._history.commits.append(
            SeenCommit(
                tick_us=self._world.now_us,
                node=self._node.index,
                height=block.height,
                view=block.view,
                block_id=block.id,
            )
        )

    def executed(self, prepared: Prepared) -> None:
        """A block's results are durable."""
        block = prepared.ready.block
        self._world.trace(self._node.index, f"executed {block.height}", prepared.roots.state_root + block.id)
        self._history.faults += [(self._node.index, str(fault)) for fault in prepared.result.faults]
        self._history.blocks.append(
            SeenBlock(
                tick_us=self._world.now_us,
                node=self._node.index,
                block=block,
                finalization=prepared.ready.finalization,
                roots=prepared.roots,
            )
        )


def own_votes(message: object, index: int) -> tuple[Vote, ...]:
    """The sender's own votes in a message."""
    match message:
        case Vote():
            found: tuple[Vote, ...] = (message,)
        case Proposal():
            found = (message.vote,)
        case Resync():
            found = message.votes
        case _:
            found = ()
    return tuple(vote for vote in found if vote.voter == index)

"""Proof files out of tree, log and header chain, at the newest anchored height.

The anchor is the newest header that is final directly and whose block was
executed here; the height s whose roots it carries is the newest that a quorum
has signed and this node can show (C-13). State is proved at s, the log as it was
after s. Nothing is handed out that does not verify: the builder checks a
proof's roots against the header's before it encodes.
"""

from __future__ import annotations

from dataclasses import dataclass

from licet.certificate import Certificate, Header
from licet.errors import Fault, LicetError
from licet.proof import ProofFile, log_claim, state_claim
from licet.types import ChainId, Height

from node.ledger.archive import StoredBlocks
from node.ledger.indexes import StoredReceipt
from node.storage.errors import HeightNotKept
from node.storage.log import MerkleLog
from node.storage.port import Storage
from node.storage.state import ProvenValue, State


class NotAnchoredYet(LicetError):
    """No final header carries the roots that this claim needs."""

    def __init__(self, what: str, *, anchored: int) -> None:
        super().__init__(
            "NOT_ANCHORED_YET",
            f"{what} is final, but no final header carries its root yet (the newest: height {anchored}).",
            fault=Fault.SENDER,
            remedy="Ask again in a moment.",
            facts={"anchored_height": str(anchored)},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A directly final header and its finalization. `header.executed` holds the roots it proves."""

    header: Header
    finality: Certificate


class Proofs:
    """Builds proof files for one chain."""

    def __init__(self, *, chain_id: ChainId, storage: Storage, state: State, log: MerkleLog) -> None:
        self._chain_id = chain_id
        self._storage = storage
        self._blocks = StoredBlocks(storage)
        self._state = state
        self._log = log
        self._known: tuple[Height, Anchor | None] = (Height(0), None)  # as of this height

    def anchor(self) -> Anchor | None:
        """The newest anchor; None before the first block."""
        top = self._storage.height or Height(0)
        known_at, known = self._known
        if known_at == top:
            return known
        for height in range(top, known_at, -1):
            committed = self._blocks.final_block(Height(height))
            assert committed is not None, "heights are stored without gaps"
            if committed.finalization is not None:
                known = Anchor(header=committed.block.header, finality=committed.finalization)
                break
        self._known = (top, known)
        return known

    def anchored_height(self) -> Height:
        """The height at which proofs are served."""
        anchor = self.anchor()
        return Height(0) if anchor is None else anchor.header.executed.height

    def state(self, key: bytes) -> ProofFile:
        """That a key has its value, or none, at the anchored height."""
        anchor = self._need_anchor("This key's value")
        proven = self._proven(key, anchor)
        return ProofFile(
            chain_id=self._chain_id,
            claim=state_claim(key, proven.value, proven.proof),
            headers=(anchor.header,),
            finality=anchor.finality,
        )

    def receipt(self, receipt: StoredReceipt) -> ProofFile:
        """That a receipt stands in the log."""
        anchor = self._need_anchor("This receipt")
        executed = anchor.header.executed
        if receipt.log_index >= executed.log_size:
            raise NotAnchoredYet("This receipt", anchored=executed.height)
        proof = self._log.prove_inclusion(receipt.log_index, executed.log_size)
        return ProofFile(
            chain_id=self._chain_id,
            claim=log_claim(receipt.data, proof),
            headers=(anchor.header,),
            finality=anchor.finality,
        )

    def _need_anchor(self, what: str) -> Anchor:
        anchor = self.anchor()
        if anchor is None:
            raise NotAnchoredYet(what, anchored=0)
        return anchor

    def _proven(self, key: bytes, anchor: Anchor) -> ProvenValue:
        executed = anchor.header.executed
        if executed.state_root == self._state.root:
            # Nothing changed since: today's tree is the anchored one, also right after a start.
            return self._state.prove(key, Height(self._state.tree.height or 0))
        if self._state.tree.root_at(executed.height) != executed.state_root:
            raise HeightNotKept(
                height=executed.height,
                lowest=self._state.tree.lowest_height,
                highest=self._state.tree.height or 0,
            )
        return self._state.prove(key, executed.height)

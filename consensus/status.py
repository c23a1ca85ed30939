"""Where an engine stands, in fields: the operator's sentence is made from these."""

from __future__ import annotations

from dataclasses import dataclass

from licet.types import Height, ValidatorIndex, View


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSeen:
    """One validator as this engine last heard it."""

    validator: ValidatorIndex
    connected: bool
    seen_ms_ago: int | None  # its last valid vote, message or certificate signature; None: never
    silent: bool  # C-8: its turns as leader are skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A snapshot. `missing` are the validators whose vote the current view lacks."""

    view: View
    leader: ValidatorIndex
    committed_height: Height
    executed_height: Height
    finalized_view: View
    voting: bool
    not_voting_why: str  # "" when voting
    isolated: bool
    pending_work: bool
    delta_ms: int
    quorum: int
    have: int  # most votes of one kind for one digest in the current view
    missing: tuple[ValidatorIndex, ...]
    peers: tuple[PeerSeen, ...]
    catching_up_to: Height | None  # the height a peer claims, while we are behind

    def sentence(self, names: tuple[str, ...]) -> str:
        """One sentence for an operator: why there is or is no progress (names by validator)."""
        if self.isolated:
            return (
                f"isolated at height {self.executed_height}: a quorum signed other roots than this node "
                "computed; it serves what was verified and does not vote"
            )
        if self.catching_up_to is not None:
            return f"catching up: height {self.committed_height} of {self.catching_up_to}"
        if not self.pending_work:
            idle = f"idle at height {self.committed_height}, view {self.view}, nothing to order"
            return idle if self.voting else f"{idle}; not voting: {self.not_voting_why}"
        needed = max(0, self.quorum - self.have)
        missing = set(self.missing)
        seen = [
            f"{names[peer.validator]} "
            + ("never seen" if peer.seen_ms_ago is None else f"last seen {peer.seen_ms_ago // 1000} s ago")
            for peer in self.peers
            if peer.validator in missing
        ]
        if needed == 0 or not seen:
            return f"ordering: view {self.view}, leader {names[self.leader]}, height {self.committed_height}"
        listed = ", ".join(names[index] for index in self.missing)
        text = f"waiting for {needed} more of {{{listed}}} in view {self.view}; {'; '.join(seen)}"
        return text if self.voting else f"{text}; this node does not vote: {self.not_voting_why}"

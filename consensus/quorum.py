"""Counts verified votes into certificates. The arithmetic is `ValidatorSet`'s alone."""

from __future__ import annotations

from licet.certificate import Certificate, CertificateKind, ValidatorSet, Vote, VoteKind
from licet.types import Epoch, Hash32, Signature, ValidatorIndex, View


class Tally:
    """The verified votes of one view: per validator at most one vote of each kind (C-16).

    A second, different vote of a kind is not counted; `add` hands back the first
    so that it can be kept as evidence.
    """

    __slots__ = ("_by_kind", "_counts", "view")

    def __init__(self, view: View) -> None:
        self.view = view
        self._by_kind: dict[VoteKind, dict[ValidatorIndex, Vote]] = {kind: {} for kind in VoteKind}
        self._counts: dict[tuple[VoteKind, Hash32], int] = {}

    def get(self, kind: VoteKind, voter: ValidatorIndex) -> Vote | None:
        """The counted vote of this kind by this validator."""
        return self._by_kind[kind].get(voter)

    def add(self, vote: Vote) -> Vote | None:
        """Count a vote, or return the different vote that was counted before."""
        by_voter = self._by_kind[vote.kind]
        before = by_voter.get(vote.voter)
        if before is not None:
            return before if before.digest != vote.digest else None
        by_voter[vote.voter] = vote
        key = (vote.kind, vote.digest)
        self._counts[key] = self._counts.get(key, 0) + 1
        return None

    def voters(self, kind: VoteKind) -> tuple[ValidatorIndex, ...]:
        """Who voted this kind, ascending."""
        return tuple(sorted(self._by_kind[kind]))

    def count(self, kind: VoteKind, digest: Hash32) -> int:
        return self._counts.get((kind, digest), 0)

    def most(self) -> int:
        """The most votes for any one thing: how near this view is to a certificate."""
        return max(self._counts.values(), default=0)

    def certificate(
        self,
        vote: Vote,
        validators: ValidatorSet,
        *,
        scheme: CertificateKind,
        epoch: Epoch,
    ) -> Certificate | None:
        """The certificate that this vote completes, if a quorum stands behind what it says."""
        if self.count(vote.kind, vote.digest) < validators.quorum:
            return None
        signatures: dict[ValidatorIndex, Signature] = {
            voter: one.signature
            for voter, one in self._by_kind[vote.kind].items()
            if one.digest == vote.digest
        }
        return Certificate.build(
            scheme=scheme,
            kind=vote.kind,
            epoch=epoch,
            view=vote.view,
            digest=vote.digest,
            signatures=signatures,
            n=validators.n,
        )

"""C-10: the signer guard. The only code that holds the key, and it cannot be talked into equivocating.

It keeps its own record of every vote above its floor and refuses a second
notarize, finalize after nullify, nullify after finalize, a second finalize, and
anything at or below the floor; the same request returns the same signature.
What it signs stands in `take_record()`, whose bytes must be durable before the
vote leaves the process (`Effects.persist_votes`).

It checks nothing but its own record: whether a vote is wise is the replica's
business, whether it is honest is the guard's.
"""

from __future__ import annotations

from licet.certificate import Certificate, Vote, VoteKind, sign_vote
from licet.crypto import SigningKey
from licet.types import ZERO_HASH, ChainId, Epoch, Hash32, ValidatorIndex, View

from consensus.config import VOTES_FILE_REWRITE_BYTES
from consensus.errors import GuardRefused
from consensus.votelog import (
    Entry,
    FloorEntry,
    ViewEntry,
    VoteLogState,
    encode_record,
    rewritten_file,
)


class SignerGuard:
    """Signs votes for one validator of one chain, never two that contradict each other."""

    __slots__ = (
        "_appended",
        "_certificates",
        "_chain_id",
        "_epoch",
        "_finalization",
        "_floor",
        "_index",
        "_key",
        "_pending",
        "_sequence",
        "_view",
        "_votes",
    )

    def __init__(
        self,
        key: SigningKey,
        *,
        record: VoteLogState,
        chain_id: ChainId,
        epoch: Epoch,
        index: ValidatorIndex,
    ) -> None:
        """Take up the signing record (`votelog.recover`). There is no guard without one."""
        if record.chain_id != chain_id or record.public_key != key.public_key:
            raise ValueError("the signing record is of another chain or key")
        self._key = key
        self._chain_id = chain_id
        self._epoch = epoch
        self._index = index
        self._floor = record.floor
        self._view = record.view
        self._sequence = record.sequence
        self._appended = record.valid_length
        self._pending: list[Entry] = []
        self._votes: dict[View, dict[VoteKind, Vote]] = {}
        self._certificates: dict[View, dict[VoteKind, Certificate]] = {}
        self._finalization = record.finalization
        for vote in record.votes:
            self._votes.setdefault(vote.view, {})[vote.kind] = vote
        for certificate in record.certificates:
            self._certificates.setdefault(certificate.view, {})[certificate.kind] = certificate

    @property
    def public_key(self) -> bytes:
        return self._key.public_key

    @property
    def index(self) -> ValidatorIndex:
        return self._index

    @property
    def floor(self) -> View:
        """Views at or below it are never signed in."""
        return self._floor

    def vote(self, view: View, kind: VoteKind) -> Vote | None:
        """The vote of this kind already signed in this view."""
        return self._votes.get(view, {}).get(kind)

    def votes(self) -> tuple[Vote, ...]:
        """Every vote above the floor, by view and kind."""
        return tuple(
            self._votes[view][kind] for view in sorted(self._votes) for kind in sorted(self._votes[view])
        )

    def may(self, view: View, kind: VoteKind, digest: Hash32) -> str:
        """Why this vote may not be signed, or "" when it may."""
        signed = self._votes.get(view, {})
        same = signed.get(kind)
        if view <= self._floor:
            return f"the view is not above {self._floor}, which is final"
        if same is not None:
            return "" if same.digest == digest else f"another {kind.name.lower()} was signed"
        if kind is VoteKind.NULLIFY and VoteKind.FINALIZE in signed:
            return "it was voted final"
        if kind is not VoteKind.NULLIFY and VoteKind.NULLIFY in signed:
            return "it was nullified"
        return ""

    def sign(self, view: View, kind: VoteKind, digest: Hash32 = ZERO_HASH) -> Vote:
        """Sign, or return the same vote as before, or raise `GuardRefused`."""
        if why := self.may(view, kind, digest):
            raise GuardRefused(kind.name.lower(), view, why)
        signed = self._votes.setdefault(view, {})
        if kind in signed:
            return signed[kind]
        vote = sign_vote(
            self._key,
            kind=kind,
            chain_id=self._chain_id,
            epoch=self._epoch,
            view=view,
            digest=digest,
            voter=self._index,
        )
        signed[kind] = vote
        self._pending.append(vote)
        return vote

    def note_view(self, view: View) -> None:
        """The replica entered a view: part of the next record."""
        if view > self._view:
            self._view = view
            self._pending.append(ViewEntry(view=view))

    def note_certificate(self, certificate: Certificate) -> None:
        """A certificate is held: part of the next record. A finalization raises the floor."""
        if certificate.kind is VoteKind.FINALIZE:
            if certificate.view > self._floor:
                self._finalization = certificate
                self._pending += (certificate, FloorEntry(view=certificate.view))
                self._cut(certificate.view)
        elif certificate.view > self._floor:
            held = self._certificates.setdefault(certificate.view, {})
            if certificate.kind not in held:
                held[certificate.kind] = certificate
                self._pending.append(certificate)

    def _cut(self, floor: View) -> None:
        self._floor = floor
        for view in [view for view in self._votes if view <= floor]:
            del self._votes[view]
        for view in [view for view in self._certificates if view <= floor]:
            del self._certificates[view]

    @property
    def pressing(self) -> bool:
        """Whether what the next record holds must be durable this turn. A finalization alone need not be: it
        proves itself, nothing signed depends on it yet, and what is sent later syncs it too."""
        return any(
            not isinstance(one, FloorEntry)
            and not (isinstance(one, Certificate) and one.kind is VoteKind.FINALIZE)
            for one in self._pending
        )

    def take_record(self) -> tuple[bytes | None, bytes | None]:
        """What must become durable now: (a whole new file or None, an append or None)."""
        if not self._pending:
            return None, None
        if self._appended > VOTES_FILE_REWRITE_BYTES and self._size_estimate() * 2 < self._appended:
            self._pending.clear()
            file = rewritten_file(self._state(), chain_id=self._chain_id, public_key=self._key.public_key)
            self._sequence = 1
            self._appended = len(file)
            return file, None
        self._sequence += 1
        record = encode_record(self._sequence, self._pending)
        self._pending.clear()
        self._appended += len(record)
        return None, record

    def _size_estimate(self) -> int:
        certificates = sum(len(by_kind) for by_kind in self._certificates.values())
        per_certificate = 128 + 64 * (len(self._finalization.signatures) if self._finalization else 4)
        return 2 * (certificates * per_certificate + 160 * sum(len(v) for v in self._votes.values()))

    def _state(self) -> list[Entry]:
        entries: list[Entry] = []
        if self._finalization is not None:
            entries.append(self._finalization)
        entries += (FloorEntry(view=self._floor), ViewEntry(view=self._view))
        for view in sorted(self._certificates):
            entries += (self._certificates[view][kind] for kind in sorted(self._certificates[view]))
        entries += self.votes()
        return entries

"""The signing record's format: bytes in, state out; the file itself is the node's (C-10, C-11).

One file `votes`, append only. A record is what one event made durable: votes,
certificates, the view and the finalization, together, so that `finalize(c, v)`,
`notarization(c, v)` and the step to v + 1 are one record. Each record stands
twice in one append:

    head head body body        head = magic 4 | sequence u64 | length u32 | H(body)[:8] | H(head)[:8]

* Only a physically short last record is cut off: a record that was synced is
  whole. Bad checksums in both copies at full length are damage, for it may be
  the last synced vote: `SigningRecordDamaged`. One good copy is the record.
* The first record is the identity (format, chain, key), written by `init` alone
  (`initial_file`). No file, or one without it, is never taken for a new one.

Entries of a body: u8 kind, then vote | certificate | view u64 | floor u64 | identity.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Final

from licet.certificate import Certificate, Vote, VoteKind
from licet.encoding import Reader, Writer
from licet.errors import Fault, InvalidEncoding
from licet.types import HASH_BYTES, PUBLIC_KEY_BYTES, ChainId, PublicKey, View

from consensus.errors import SigningRecordDamaged, SigningRecordMissing

FORMAT: Final = 1
MAGIC: Final = b"LVR1"
SUM_BYTES: Final = 8
HEAD_BYTES: Final = 4 + 8 + 4 + SUM_BYTES + SUM_BYTES
BODY_BYTES_MAX: Final = 64 << 20


class EntryKind(IntEnum):
    """What an entry of a record says."""

    IDENTITY = 1
    VOTE = 2
    CERTIFICATE = 3
    VIEW = 4
    FLOOR = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewEntry:
    """The replica entered this view."""

    view: View


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorEntry:
    """Nothing is signed any more in this view or below: a finalization covers it."""

    view: View


Entry = Vote | Certificate | ViewEntry | FloorEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteLogState:
    """What a signing record says, after the cuts of finalizations.

    `valid_length` is where the file's whole records end: the shell cuts the
    file to it before it appends (`repaired` says that a copy was damaged).
    """

    chain_id: ChainId
    public_key: PublicKey
    view: View
    floor: View
    votes: tuple[Vote, ...]
    certificates: tuple[Certificate, ...]  # above the floor
    finalization: Certificate | None
    sequence: int
    valid_length: int
    repaired: bool


def encode_record(sequence: int, entries: Iterable[Entry]) -> bytes:
    """One append: the entries as a record, both copies."""
    body = Writer()
    for entry in entries:
        _write_entry(body, entry)
    return _frame(sequence, body.done())


def initial_file(chain_id: ChainId, public_key: PublicKey) -> bytes:
    """The content of a new signing record. Called by `init` alone, never at a start (C-10)."""
    body = Writer().u8(EntryKind.IDENTITY).u16(FORMAT)
    body.fixed(chain_id, HASH_BYTES).fixed(public_key, PUBLIC_KEY_BYTES)
    return _frame(0, body.done())


def rewritten_file(state_entries: Iterable[Entry], *, chain_id: ChainId, public_key: PublicKey) -> bytes:
    """A whole file that says the same in fewer bytes: identity, then one record."""
    return initial_file(chain_id, public_key) + encode_record(1, state_entries)


def recover(data: bytes | None, *, chain_id: ChainId, public_key: PublicKey) -> VoteLogState:
    """Read a signing record, or raise: `SigningRecordMissing`, `SigningRecordDamaged`."""
    if not data:
        raise SigningRecordMissing
    fold = _Fold()
    at, sequence, repaired = 0, -1, False
    while at < len(data):
        found = _next_record(data, at, sequence + 1)
        if found is None:  # physically short: it was never synced
            break
        body, end, clean = found
        repaired |= not clean
        sequence += 1
        try:
            fold.add(body, first=sequence == 0)
        except InvalidEncoding as error:
            raise SigningRecordDamaged(error.message, at=at) from error
        at = end
    if fold.chain_id is None or fold.public_key is None:
        raise SigningRecordDamaged("not even the first record is whole", at=0)
    if fold.chain_id != chain_id or fold.public_key != public_key:
        raise SigningRecordDamaged("it is the record of another chain or key", at=0)
    return VoteLogState(
        chain_id=fold.chain_id,
        public_key=fold.public_key,
        view=fold.view,
        floor=fold.floor,
        votes=tuple(vote for vote in fold.votes if vote.view > fold.floor),
        certificates=tuple(one for one in fold.certificates if one.view > fold.floor),
        finalization=fold.finalization,
        sequence=sequence,
        valid_length=at,
        repaired=repaired,
    )


class _Fold:
    """The state after a sequence of bodies."""

    def __init__(self) -> None:
        self.chain_id: ChainId | None = None
        self.public_key: PublicKey | None = None
        self.view = View(1)
        self.floor = View(0)
        self.votes: list[Vote] = []
        self.certificates: list[Certificate] = []
        self.finalization: Certificate | None = None

    def add(self, body: bytes, *, first: bool) -> None:
        reader = Reader(body, what="signing record", fault=Fault.MACHINE)
        while reader.remaining():
            kind = reader.u8()
            if (kind == EntryKind.IDENTITY) != first:
                raise reader.refuse("the identity stands first and once")
            if kind == EntryKind.IDENTITY:
                if (version := reader.u16()) != FORMAT:
                    raise reader.refuse(f"format {version} is not {FORMAT}")
                self.chain_id = ChainId(reader.fixed(HASH_BYTES))
                self.public_key = PublicKey(reader.fixed(PUBLIC_KEY_BYTES))
            elif kind == EntryKind.VOTE:
                self.votes.append(Vote.read(reader))
            elif kind == EntryKind.CERTIFICATE:
                self._certificate(Certificate.read(reader))
            elif kind == EntryKind.VIEW:
                self.view = max(self.view, View(reader.u64()))
            elif kind == EntryKind.FLOOR:
                self._cut(View(reader.u64()))
            else:
                raise reader.refuse(f"entry kind {kind} is unknown")

    def _certificate(self, certificate: Certificate) -> None:
        if certificate.kind is VoteKind.FINALIZE:
            if self.finalization is None or certificate.view > self.finalization.view:
                self.finalization = certificate
        else:
            self.certificates.append(certificate)

    def _cut(self, floor: View) -> None:
        self.floor = max(self.floor, floor)
        self.votes = [vote for vote in self.votes if vote.view > self.floor]
        self.certificates = [one for one in self.certificates if one.view > self.floor]


def _write_entry(body: Writer, entry: Entry) -> None:
    match entry:
        case Vote():
            body.u8(EntryKind.VOTE)
            entry.write(body)
        case Certificate():
            body.u8(EntryKind.CERTIFICATE)
            entry.write(body)
        case ViewEntry():
            body.u8(EntryKind.VIEW).u64(entry.view)
        case FloorEntry():
            body.u8(EntryKind.FLOOR).u64(entry.view)


def _checksum(data: bytes) -> bytes:
    return sha256(data).digest()[:SUM_BYTES]


def _frame(sequence: int, body: bytes) -> bytes:
    assert len(body) <= BODY_BYTES_MAX, "a record this long is a bug"
    head = MAGIC + sequence.to_bytes(8, "big") + len(body).to_bytes(4, "big") + _checksum(body)
    head += _checksum(head)
    return head + head + body + body


def _read_head(data: bytes, at: int, sequence: int) -> tuple[int, bytes] | None:
    """Length and body checksum of a good head, else None."""
    head = data[at : at + HEAD_BYTES]
    if head[:4] != MAGIC or _checksum(head[:-SUM_BYTES]) != head[-SUM_BYTES:]:
        return None
    if int.from_bytes(head[4:12], "big") != sequence:
        return None
    length = int.from_bytes(head[12:16], "big")
    return (length, head[16 : 16 + SUM_BYTES]) if length <= BODY_BYTES_MAX else None


def _next_record(data: bytes, at: int, sequence: int) -> tuple[bytes, int, bool] | None:
    """Body, end and whether both copies are good; None for a physically short record; raises damage."""
    start = at + 2 * HEAD_BYTES
    if start > len(data):
        return None
    heads = (_read_head(data, at, sequence), _read_head(data, at + HEAD_BYTES, sequence))
    head = heads[0] or heads[1]
    if head is None:
        raise SigningRecordDamaged("both heads of a record are bad", at=at)
    length, checksum = head
    end = start + 2 * length
    if end > len(data):
        return None
    bodies = (data[start : start + length], data[start + length : end])
    good = [body for body in bodies if _checksum(body) == checksum]
    if not good:
        raise SigningRecordDamaged("both copies of a record are bad", at=at)
    return good[0], end, len(good) == 2 and heads[0] == heads[1]

"""Headers, votes and certificates: what a quorum signs, and the check that it did.

This is the one home of the quorum arithmetic (q = n − f, f = ⌊(n − 1)/3⌋) and
of the fixed binary of headers, votes and certificates, so that a client checks
finality with the very code a validator votes with. All integers are
big-endian. A block's id is H(tag ‖ header); the parent's certificate travels
beside a block and is no part of its id.

Genesis names the only `CertificateKind` valid for its chain, and any other is
refused before its signatures are looked at: else a sequencer's one signature
would pass for a consortium's.

Nothing here parses protobuf, reads a clock or keeps state. Checks raise
`InvalidProof`; decoding raises `InvalidEncoding`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise
from typing import Final

from licet.crypto import SigningKey, signature_valid
from licet.encoding import Reader, Tag, Writer, hash_tagged
from licet.errors import Fault, InvalidProof
from licet.types import (
    HASH_BYTES,
    PUBLIC_KEY_BYTES,
    SIGNATURE_BYTES,
    ZERO_HASH,
    ChainId,
    Epoch,
    Hash32,
    Height,
    PublicKey,
    Signature,
    TimestampMs,
    ValidatorIndex,
    View,
)

HEADER_VERSION: Final = 1
FIRST_EPOCH: Final = Epoch(0)
VALIDATORS_MAX: Final = 1024  # a bitmap of 128 bytes; indices fit u16
PROOF_HEADERS_MAX: Final = 1024  # longest header chain a proof may carry


class CertificateKind(IntEnum):
    """Which engine's certificates make a block final. Genesis names exactly one."""

    SIMPLEX = 1  # q = n − f signatures of the validators
    SEQUENCER = 2  # the one validator's signature: tests and single nodes only


class VoteKind(IntEnum):
    """What a validator's signature says about a view."""

    NOTARIZE = 1
    NULLIFY = 2
    FINALIZE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatorSet:
    """The validators of an epoch in order, and the only place that divides by three."""

    keys: tuple[PublicKey, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.keys) <= VALIDATORS_MAX:
            raise ValueError(f"a validator set has 1 to {VALIDATORS_MAX} keys, not {len(self.keys)}")
        if len(set(self.keys)) != len(self.keys):
            raise ValueError("a validator set names a key twice")
        if any(len(key) != PUBLIC_KEY_BYTES for key in self.keys):
            raise ValueError(f"a public key has {PUBLIC_KEY_BYTES} bytes")

    @property
    def n(self) -> int:
        """How many validators there are."""
        return len(self.keys)

    @property
    def f(self) -> int:
        """How many of them may be faulty in any way."""
        return (len(self.keys) - 1) // 3

    @property
    def quorum(self) -> int:
        """Signatures that make a certificate: n − f."""
        return len(self.keys) - self.f

    def leader(self, view: View) -> ValidatorIndex:
        """leader(view) = validators[view mod n]."""
        return ValidatorIndex(view % len(self.keys))

    def index_of(self, key: PublicKey) -> ValidatorIndex | None:
        """The position of a key, or None for one that is no validator's."""
        return ValidatorIndex(self.keys.index(key)) if key in self.keys else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutedRoots:
    """The roots after executing a final height: what `executed` in a header anchors (C-13)."""

    height: Height
    state_root: Hash32
    log_root: Hash32
    log_size: int

    def write(self, writer: Writer) -> None:
        writer.u64(self.height).fixed(self.state_root, HASH_BYTES)
        writer.fixed(self.log_root, HASH_BYTES).u64(self.log_size)

    @classmethod
    def read(cls, reader: Reader) -> ExecutedRoots:
        return cls(
            height=Height(reader.u64()),
            state_root=Hash32(reader.fixed(HASH_BYTES)),
            log_root=Hash32(reader.fixed(HASH_BYTES)),
            log_size=reader.u64(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A block's header. `encoded` is its canonical binary (252 bytes), `id` is H(tag ‖ encoded)."""

    version: int = HEADER_VERSION
    chain_id: ChainId
    epoch: Epoch
    view: View
    height: Height
    parent_id: Hash32
    parent_view: View
    timestamp_ms: TimestampMs
    proposer: ValidatorIndex
    payload_root: Hash32
    executed: ExecutedRoots
    next_epoch: Hash32 = ZERO_HASH
    encoded: bytes = field(init=False, repr=False, compare=False)
    id: Hash32 = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        writer = Writer().u16(self.version).fixed(self.chain_id, HASH_BYTES)
        writer.u64(self.epoch).u64(self.view).u64(self.height)
        writer.fixed(self.parent_id, HASH_BYTES).u64(self.parent_view)
        writer.u64(self.timestamp_ms).u16(self.proposer).fixed(self.payload_root, HASH_BYTES)
        self.executed.write(writer)
        encoded = writer.fixed(self.next_epoch, HASH_BYTES).done()
        object.__setattr__(self, "encoded", encoded)
        object.__setattr__(self, "id", hash_tagged(Tag.HEADER, encoded))

    def encode(self) -> bytes:
        """The canonical binary, computed once."""
        return self.encoded

    @classmethod
    def read(cls, reader: Reader) -> Header:
        """Read a header out of a larger structure."""
        version = reader.u16()
        if version != HEADER_VERSION:
            raise reader.refuse(f"header version {version} is not {HEADER_VERSION}")
        return cls(
            version=version,
            chain_id=ChainId(reader.fixed(HASH_BYTES)),
            epoch=Epoch(reader.u64()),
            view=View(reader.u64()),
            height=Height(reader.u64()),
            parent_id=Hash32(reader.fixed(HASH_BYTES)),
            parent_view=View(reader.u64()),
            timestamp_ms=TimestampMs(reader.u64()),
            proposer=ValidatorIndex(reader.u16()),
            payload_root=Hash32(reader.fixed(HASH_BYTES)),
            executed=ExecutedRoots.read(reader),
            next_epoch=Hash32(reader.fixed(HASH_BYTES)),
        )

    @classmethod
    def decode(cls, data: bytes) -> Header:
        """Read exactly one header."""
        reader = Reader(data, what="header", fault=Fault.PEER)
        header = cls.read(reader)
        reader.end()
        return header


def payload_root(digests: Sequence[Hash32]) -> Hash32:
    """H(tag ‖ count ‖ digests): what a header says about the batches its block orders."""
    return hash_tagged(Tag.PAYLOAD, len(digests).to_bytes(4, "big"), *digests)


def vote_message(chain_id: ChainId, epoch: Epoch, view: View, kind: VoteKind, digest: Hash32) -> bytes:
    """What a vote signs behind its 16-byte domain tag."""
    return b"".join(
        (chain_id, epoch.to_bytes(8, "big"), view.to_bytes(8, "big"), kind.to_bytes(1, "big"), digest)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One validator's signature on a view. `digest` is a block id, or zeros for nullify."""

    kind: VoteKind
    chain_id: ChainId
    epoch: Epoch
    view: View
    digest: Hash32
    voter: ValidatorIndex
    signature: Signature

    def message(self) -> bytes:
        """The signed bytes behind the tag."""
        return vote_message(self.chain_id, self.epoch, self.view, self.kind, self.digest)

    def valid(self, validators: ValidatorSet) -> bool:
        """Whether the named validator made this signature, and nullify names no block."""
        if self.voter >= validators.n or (self.kind is VoteKind.NULLIFY) != (self.digest == ZERO_HASH):
            return False
        return signature_valid(validators.keys[self.voter], self.signature, Tag.VOTE, self.message())

    def write(self, writer: Writer) -> None:
        writer.u8(self.kind).fixed(self.chain_id, HASH_BYTES).u64(self.epoch).u64(self.view)
        writer.fixed(self.digest, HASH_BYTES).u16(self.voter).fixed(self.signature, SIGNATURE_BYTES)

    def encode(self) -> bytes:
        writer = Writer()
        self.write(writer)
        return writer.done()

    @classmethod
    def read(cls, reader: Reader) -> Vote:
        return cls(
            kind=_vote_kind(reader),
            chain_id=ChainId(reader.fixed(HASH_BYTES)),
            epoch=Epoch(reader.u64()),
            view=View(reader.u64()),
            digest=Hash32(reader.fixed(HASH_BYTES)),
            voter=ValidatorIndex(reader.u16()),
            signature=Signature(reader.fixed(SIGNATURE_BYTES)),
        )

    @classmethod
    def decode(cls, data: bytes) -> Vote:
        reader = Reader(data, what="vote", fault=Fault.PEER)
        vote = cls.read(reader)
        reader.end()
        return vote


def sign_vote(
    key: SigningKey,
    *,
    kind: VoteKind,
    chain_id: ChainId,
    epoch: Epoch,
    view: View,
    digest: Hash32,
    voter: ValidatorIndex,
) -> Vote:
    """Sign a vote. In a validator only the signer guard may call this (C-10)."""
    signature = key.sign(Tag.VOTE, vote_message(chain_id, epoch, view, kind, digest))
    return Vote(
        kind=kind,
        chain_id=chain_id,
        epoch=epoch,
        view=view,
        digest=digest,
        voter=voter,
        signature=signature,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Signatures of one vote by several validators, in index order.

    `signers` is a bitmap of ⌈n/8⌉ bytes; validator i is bit 7 − i mod 8 of byte
    i div 8, unused bits are 0.
    """

    scheme: CertificateKind
    kind: VoteKind
    epoch: Epoch
    view: View
    digest: Hash32
    signers: bytes
    signatures: tuple[Signature, ...]

    @classmethod
    def build(
        cls,
        *,
        scheme: CertificateKind,
        kind: VoteKind,
        epoch: Epoch,
        view: View,
        digest: Hash32,
        signatures: dict[ValidatorIndex, Signature],
        n: int,
    ) -> Certificate:
        """Collect signatures by voter into the canonical form."""
        bitmap = bytearray((n + 7) // 8)
        voters = sorted(signatures)
        for voter in voters:
            bitmap[voter >> 3] |= 0x80 >> (voter & 7)
        return cls(
            scheme=scheme,
            kind=kind,
            epoch=epoch,
            view=view,
            digest=digest,
            signers=bytes(bitmap),
            signatures=tuple(signatures[voter] for voter in voters),
        )

    def voters(self) -> tuple[ValidatorIndex, ...]:
        """The indices whose bit is set, ascending."""
        return tuple(
            ValidatorIndex(8 * at + bit)
            for at, byte in enumerate(self.signers)
            for bit in range(8)
            if byte & (0x80 >> bit)
        )

    def votes(self, chain_id: ChainId) -> tuple[Vote, ...]:
        """The votes this certificate consists of."""
        return tuple(
            Vote(
                kind=self.kind,
                chain_id=chain_id,
                epoch=self.epoch,
                view=self.view,
                digest=self.digest,
                voter=voter,
                signature=signature,
            )
            for voter, signature in zip(self.voters(), self.signatures, strict=True)
        )

    def write(self, writer: Writer) -> None:
        writer.u8(self.scheme).u8(self.kind).u64(self.epoch).u64(self.view)
        writer.fixed(self.digest, HASH_BYTES).u8(len(self.signers)).fixed(self.signers, len(self.signers))
        for signature in self.signatures:
            writer.fixed(signature, SIGNATURE_BYTES)

    def encode(self) -> bytes:
        """Canonical binary: the count of signatures is the popcount of the bitmap and is not written."""
        writer = Writer()
        self.write(writer)
        return writer.done()

    @classmethod
    def read(cls, reader: Reader) -> Certificate:
        scheme_byte = reader.u8()
        if scheme_byte not in _SCHEMES:
            raise reader.refuse(f"certificate kind {scheme_byte} is unknown")
        kind = _vote_kind(reader)
        epoch, view = Epoch(reader.u64()), View(reader.u64())
        digest = Hash32(reader.fixed(HASH_BYTES))
        length = reader.u8()
        if not 1 <= length <= VALIDATORS_MAX // 8:
            raise reader.refuse(f"a bitmap of {length} bytes")
        signers = reader.fixed(length)
        count = int.from_bytes(signers, "big").bit_count()
        return cls(
            scheme=CertificateKind(scheme_byte),
            kind=kind,
            epoch=epoch,
            view=view,
            digest=digest,
            signers=signers,
            signatures=tuple(Signature(reader.fixed(SIGNATURE_BYTES)) for _ in range(count)),
        )

    @classmethod
    def decode(cls, data: bytes) -> Certificate:
        reader = Reader(data, what="certificate", fault=Fault.PEER)
        certificate = cls.read(reader)
        reader.end()
        return certificate


_SCHEMES: Final = frozenset(int(kind) for kind in CertificateKind)
_VOTE_KINDS: Final = frozenset(int(kind) for kind in VoteKind)


def _vote_kind(reader: Reader) -> VoteKind:
    value = reader.u8()
    if value not in _VOTE_KINDS:
        raise reader.refuse(f"vote kind {value} is unknown")
    return VoteKind(value)


def check_certificate_shape(
    certificate: Certificate, validators: ValidatorSet, *, scheme: CertificateKind
) -> None:
    """Everything about a certificate but its signatures: cheap, and done before any of them."""
    if certificate.scheme is not scheme:
        raise InvalidProof(
            f"the certificate is of kind {certificate.scheme.name}, and genesis names {scheme.name}"
        )
    if scheme is CertificateKind.SEQUENCER and (
        validators.n != 1 or certificate.kind is not VoteKind.FINALIZE
    ):
        raise InvalidProof("a sequencer's certificate is one validator's finalization")
    bits = 8 * len(certificate.signers)
    if len(certificate.signers) != (validators.n + 7) // 8:
        raise InvalidProof(f"the bitmap has {bits} bits for {validators.n} validators")
    mask = int.from_bytes(certificate.signers, "big")
    if mask & ((1 << (bits - validators.n)) - 1):
        raise InvalidProof("the bitmap names a validator that does not exist")
    count = mask.bit_count()
    if count != len(certificate.signatures):
        raise InvalidProof(f"{count} signers are named and {len(certificate.signatures)} signatures given")
    if count < validators.quorum:
        raise InvalidProof(
            f"{count} distinct signers are fewer than the quorum of {validators.quorum}",
            facts={"signers": str(count), "quorum": str(validators.quorum)},
        )
    if (certificate.kind is VoteKind.NULLIFY) != (certificate.digest == ZERO_HASH):
        raise InvalidProof("a nullification names a block, or another certificate names none")


def check_certificate(
    certificate: Certificate,
    validators: ValidatorSet,
    *,
    chain_id: ChainId,
    scheme: CertificateKind = CertificateKind.SIMPLEX,
    known: Callable[[Vote], bool] | None = None,
) -> None:
    """Raise `InvalidProof` unless a quorum signed, and every signature present verifies.

    `known` may say of a vote that this process has verified it before (the very
    signature bytes), so that it is not verified twice (C-16).
    """
    check_certificate_shape(certificate, validators, scheme=scheme)
    for vote in certificate.votes(chain_id):
        if known is not None and known(vote):
            continue
        if not vote.valid(validators):
            raise InvalidProof(
                f"the signature of validator {vote.voter} does not verify",
                facts={"validator": str(vote.voter), "view": str(certificate.view)},
            )


def check_finality(
    headers: Sequence[Header],
    certificate: Certificate,
    validators: ValidatorSet,
    *,
    chain_id: ChainId,
    scheme: CertificateKind = CertificateKind.SIMPLEX,
    epoch: Epoch = FIRST_EPOCH,
) -> None:
    """Raise `InvalidProof` unless `headers[0]` is final (C-6).

    `headers` lead from the header in question to a descendant, often itself,
    that `certificate` finalises directly.
    """
    if not 1 <= len(headers) <= PROOF_HEADERS_MAX:
        raise InvalidProof(f"a header chain has 1 to {PROOF_HEADERS_MAX} headers, not {len(headers)}")
    for header in headers:
        if header.chain_id != chain_id:
            raise InvalidProof("a header belongs to another chain", facts={"chain_id": header.chain_id.hex()})
        if header.epoch != epoch:
            raise InvalidProof(f"a header is of epoch {header.epoch}, not {epoch}")
        if header.height < 1 or header.proposer != validators.leader(header.view):
            raise InvalidProof(f"the header of height {header.height} is not its view's leader's")
    check_linked(headers)
    last = headers[-1]
    if certificate.kind is not VoteKind.FINALIZE:
        raise InvalidProof("the certificate is no finalization")
    if (certificate.epoch, certificate.view, certificate.digest) != (last.epoch, last.view, last.id):
        raise InvalidProof(
            "the finalization is of another block",
            facts={"height": str(last.height), "block": last.id.hex(), "finalised": certificate.digest.hex()},
        )
    check_certificate(certificate, validators, chain_id=chain_id, scheme=scheme)


def check_linked(headers: Sequence[Header]) -> None:
    """Raise `InvalidProof` unless each header is the parent of the next."""
    for parent, child in pairwise(headers):
        linked = child.parent_id == parent.id and child.parent_view == parent.view
        if not linked or child.height != parent.height + 1 or child.view <= parent.view:
            raise InvalidProof(
                f"the header of height {child.height} is not a child of the one before it",
                facts={"height": str(child.height), "parent": child.parent_id.hex()},
            )
        if child.timestamp_ms <= parent.timestamp_ms:
            raise InvalidProof(f"time does not rise at height {child.height}")


__all__ = [
    "FIRST_EPOCH",
    "HEADER_VERSION",
    "PROOF_HEADERS_MAX",
    "VALIDATORS_MAX",
    "Certificate",
    "CertificateKind",
    "ExecutedRoots",
    "Header",
    "ValidatorSet",
    "Vote",
    "VoteKind",
    "check_certificate",
    "check_certificate_shape",
    "check_finality",
    "check_linked",
    "payload_root",
    "sign_vote",
    "vote_message",
]

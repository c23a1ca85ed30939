"""Proof files (`.licet`): a claim that anyone who holds the network's genesis checks offline.

    version, chain id
    claim      a key of the state tree with its value, or with its absence; or an entry of the log
    headers    from the one whose `executed` field carries the claim's root to one that is final
    finality   the certificate of the last header

`read_proof` accepts one serialization only: licet.v1.ProofFile with fields in ascending number,
minimal varints, no default values and no unknown field. The reader and the writer here are our own,
so that what is accepted depends on no installed protobuf.

`verify` binds every byte: the chain id by genesis, key, value and path by the root, the root and the
header chain by the certificate's digest, and each signature by the key of a validator of genesis.
**Every** signature present must verify. It raises `InvalidProof`; it never returns a verdict that a
caller could forget to read. Nothing stands where a key is absent, so that the path of one absence may
serve another key of the same empty subtree: that is another claim, and as true.

Nothing here reads the network, a clock or a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from licet import records
from licet.certificate import (
    PROOF_HEADERS_MAX,
    Certificate,
    Header,
    ValidatorSet,
    check_finality,
)
from licet.errors import Fault, InvalidEncoding, InvalidProof
from licet.genesis import Genesis
from licet.merkle import (
    LOG_PATH_MAX,
    LogProof,
    StateProof,
    Terminal,
    decode_state_proof,
    encode_state_proof,
    verify_absence,
    verify_inclusion,
    verify_log_inclusion,
)
from licet.types import HASH_BYTES, ChainId, Hash32, Height, TimestampMs
from licet.views import plain

PROOF_VERSION: Final = 1
PROOF_BYTES_MAX: Final = 4 * 1024 * 1024
KEY_BYTES_MAX: Final = 1024
_UINT64_MAX: Final = (1 << 64) - 1
_VARINT, _BYTES = 0, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class StateClaim:
    """`key` has exactly `value` in the state tree, or has none where `value` is None."""

    key: bytes
    value: bytes | None
    proof: StateProof

    @property
    def absent(self) -> bool:
        """Whether the claim is that the tree holds no such key."""
        return self.value is None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogClaim:
    """`entry` stands at `index` in the log; its path runs from the leaf up."""

    entry: bytes
    index: int
    path: tuple[Hash32, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofFile:
    """A proof file as read: well-formed, and not yet verified."""

    chain_id: ChainId
    claim: StateClaim | LogClaim
    headers: tuple[Header, ...]
    finality: Certificate

    def encode(self) -> bytes:
        """The one serialization."""
        return build_proof_bytes(
            chain_id=self.chain_id, claim=self.claim, headers=self.headers, finality=self.finality
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedClaim:
    """What a proof file proves, under which network, and who signed it."""

    network: str
    chain_id: ChainId
    kind: str  # "state", "absence" or "log"
    key: str  # of the state tree, as text; empty for the log
    value: bytes  # the record's bytes; empty for an absence
    height: Height  # the state (or log) after this height
    log_index: int | None
    anchor_height: Height  # the header that carries the root
    anchor_timestamp_ms: TimestampMs
    final_height: Height  # the header that the certificate finalises
    signers: tuple[str, ...]
    quorum: int
    validators: int

    @property
    def record(self) -> Any:
        """The record that `value` encodes; None for an absence and for a kind this version does not know."""
        return decode_record(self.value) if self.value else None

    def sentence(self) -> str:
        """One sentence for people."""
        what = {
            "state": f"{self.key} stood on the ledger",
            "absence": f"{self.key} did not stand on the ledger",
            "log": f"entry {self.log_index} stood in the ledger's log",
        }[self.kind]
        return (
            f"{what} after height {self.height} of {self.network}; "
            f"{len(self.signers)} of {self.validators} validators signed ({', '.join(self.signers)})."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: bytes as hex."""
        return {
            "network": self.network,
            "chain_id": self.chain_id.hex(),
            "kind": self.kind,
            "key": self.key,
            "value": self.value.hex(),
            "record": plain(self.record),
            "height": self.height,
            "log_index": self.log_index,
            "anchor_height": self.anchor_height,
            "anchor_timestamp_ms": self.anchor_timestamp_ms,
            "final_height": self.final_height,
            "signers": list(self.signers),
            "quorum": self.quorum,
            "validators": self.validators,
        }


# --- the one serialization -----------------------------------------------------------------------


def _put_varint(value: int) -> bytes:
    return records.varint(value)


def _put_uint(number: int, value: int) -> bytes:
    return _put_varint(number << 3 | _VARINT) + _put_varint(value) if value else b""


def _put_item(number: int, value: bytes) -> bytes:
    return _put_varint(number << 3 | _BYTES) + _put_varint(len(value)) + value


def _put_bytes(number: int, value: bytes) -> bytes:
    return _put_item(number, value) if value else b""


def _claim_bytes(claim: StateClaim | LogClaim) -> bytes:
    if isinstance(claim, StateClaim):
        body = _put_bytes(1, claim.key) + _put_bytes(2, claim.value or b"") + _put_uint(3, claim.absent)
        return _put_item(3, body + _put_bytes(4, encode_state_proof(claim.proof)))
    body = _put_bytes(1, claim.entry) + _put_uint(2, claim.index)
    return _put_item(4, body + b"".join(_put_item(3, node) for node in claim.path))


def build_proof_bytes(
    *,
    chain_id: bytes,
    claim: StateClaim | LogClaim,
    headers: Sequence[Header],
    finality: Certificate,
) -> bytes:
    """Serialize a proof file. It is not checked here; `verify` what you built before you hand it out."""
    return b"".join(
        (
            _put_uint(1, PROOF_VERSION),
            _put_bytes(2, chain_id),
            _claim_bytes(claim),
            *(_put_item(5, header.encoded) for header in headers),
            _put_bytes(6, finality.encode()),
        )
    )


def state_claim(key: bytes, value: bytes | None, proof: StateProof) -> StateClaim:
    """The claim that a key has a value, or none."""
    return StateClaim(key=key, value=value, proof=proof)


def log_claim(entry: bytes, proof: LogProof) -> LogClaim:
    """The claim that the log holds an entry; the log's size is the header's to say."""
    return LogClaim(entry=entry, index=proof.index, path=proof.path)


def _refuse(why: str) -> InvalidEncoding:
    return InvalidEncoding("proof file", why, fault=Fault.PEER)


def _take_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data):
            raise _refuse("it ends early")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 63:
            raise _refuse("a number is too long")
    if value > _UINT64_MAX or (byte == 0 and shift):
        raise _refuse("a number is not in its shortest form")
    return value, at


def _fields(data: bytes, known: Mapping[int, tuple[int, bool]]) -> dict[int, list[Any]]:
    """The fields of one message. `known` maps a number to its wire type and whether it may repeat."""
    out: dict[int, list[Any]] = {number: [] for number in known}
    at = last = 0
    while at < len(data):
        tag, at = _take_varint(data, at)
        number, wire = tag >> 3, tag & 7
        if number not in known or wire != known[number][0]:
            raise _refuse(f"field {number} of wire type {wire} is unknown")
        if number < last or (number == last and not known[number][1]):
            raise _refuse(f"field {number} is out of order or written twice")
        last = number
        value: Any
        value, at = _take_varint(data, at)
        if wire == _BYTES:
            end = at + value
            if end > len(data):
                raise _refuse("it ends early")
            value, at = data[at:end], end
        out[number].append(value)
    return out


_FILE: Final = {
    1: (_VARINT, False),
    2: (_BYTES, False),
    3: (_BYTES, False),
    4: (_BYTES, False),
    5: (_BYTES, True),
    6: (_BYTES, False),
}
_STATE: Final = {1: (_BYTES, False), 2: (_BYTES, False), 3: (_VARINT, False), 4: (_BYTES, False)}
_LOG: Final = {1: (_BYTES, False), 2: (_VARINT, False), 3: (_BYTES, True)}


def _one(values: list[Any], missing: Any) -> Any:
    return values[0] if values else missing


def _read_state(data: bytes) -> StateClaim:
    got = _fields(data, _STATE)
    key, value, absent = _one(got[1], b""), _one(got[2], b""), _one(got[3], 0)
    if not 1 <= len(key) <= KEY_BYTES_MAX:
        raise _refuse(f"its key has {len(key)} bytes")
    if absent not in (0, 1) or bool(value) == bool(absent):
        raise _refuse("it has a value exactly where it does not show an absence")
    return StateClaim(key=key, value=None if absent else value, proof=decode_state_proof(_one(got[4], b"")))


def _read_log(data: bytes) -> LogClaim:
    got = _fields(data, _LOG)
    entry = _one(got[1], b"")
    if not entry:
        raise _refuse("its log entry is empty")
    if len(got[3]) > LOG_PATH_MAX or any(len(node) != HASH_BYTES for node in got[3]):
        raise _refuse("its log path is no list of hashes")
    return LogClaim(entry=entry, index=_one(got[2], 0), path=tuple(Hash32(node) for node in got[3]))


def read_proof(data: bytes) -> ProofFile:
    """Read a proof file; raise `InvalidEncoding` unless `data` is its one serialization."""
    if len(data) > PROOF_BYTES_MAX:
        raise _refuse(f"it has {len(data)} bytes, more than {PROOF_BYTES_MAX}")
    got = _fields(data, _FILE)
    if (version := _one(got[1], 0)) != PROOF_VERSION:
        raise _refuse(f"it has version {version}, and this version reads {PROOF_VERSION}")
    chain_id = _one(got[2], b"")
    if len(chain_id) != HASH_BYTES:
        raise _refuse(f"its chain id has {len(chain_id)} bytes")
    if len(got[3]) + len(got[4]) != 1:
        raise _refuse("it makes not exactly one claim")
    if not 1 <= len(got[5]) <= PROOF_HEADERS_MAX:
        raise _refuse(f"it has {len(got[5])} headers, not 1 to {PROOF_HEADERS_MAX}")
    proof = ProofFile(
        chain_id=ChainId(chain_id),
        claim=_read_state(got[3][0]) if got[3] else _read_log(got[4][0]),
        headers=tuple(Header.decode(raw) for raw in got[5]),
        finality=Certificate.decode(_one(got[6], b"")),
    )
    # The rule itself, and no consequence of how the reader happens to be written: one claim, one file.
    if proof.encode() != data:
        raise _refuse("written again, it has other bytes")
    return proof


# --- the check -----------------------------------------------------------------------------------


def validators_of(genesis: Genesis) -> ValidatorSet:
    """Who signs finality on the network of `genesis`."""
    return ValidatorSet(keys=tuple(validator.public_key for validator in genesis.validators))


def _check_state(claim: StateClaim, root: bytes, depth: int) -> None:
    if claim.proof.depth != depth:
        raise InvalidProof(f"its tree is {claim.proof.depth} levels deep, and genesis says {depth}")
    if claim.value is None:
        if claim.proof.terminal is Terminal.OWN_LEAF:
            raise InvalidProof("it shows a value where it claims an absence")
        verify_absence(root, claim.key, claim.proof)
    else:
        verify_inclusion(root, claim.key, claim.value, claim.proof)


def _check_log(claim: LogClaim, root: bytes, size: int) -> None:
    proof = LogProof(index=claim.index, size=size, path=claim.path)
    verify_log_inclusion(root, size, claim.entry, proof)


def verify(proof: ProofFile, genesis: Genesis) -> VerifiedClaim:
    """Check a proof file against genesis; raise `InvalidProof` naming what does not hold."""
    chain_id = genesis.chain_id()
    if proof.chain_id != chain_id:
        raise InvalidProof(
            "it belongs to another network",
            facts={"proof": proof.chain_id.hex(), "genesis": chain_id.hex()},
        )
    validators = validators_of(genesis)
    check_finality(
        proof.headers, proof.finality, validators, chain_id=chain_id, scheme=genesis.certificate_kind
    )
    anchor = proof.headers[0]
    executed = anchor.executed
    if executed.height >= anchor.height:
        raise InvalidProof("a header cannot carry the roots of its own height or a later one")
    claim = proof.claim
    if isinstance(claim, StateClaim):
        _check_state(claim, executed.state_root, genesis.parameters.tree_depth)
        kind, value = ("absence", b"") if claim.value is None else ("state", claim.value)
    else:
        _check_log(claim, executed.log_root, executed.log_size)
        kind, value = "log", claim.entry
    return VerifiedClaim(
        network=genesis.name,
        chain_id=chain_id,
        kind=kind,
        key=_key_text(claim.key) if isinstance(claim, StateClaim) else "",
        value=value,
        height=executed.height,
        log_index=claim.index if isinstance(claim, LogClaim) else None,
        anchor_height=anchor.height,
        anchor_timestamp_ms=anchor.timestamp_ms,
        final_height=proof.headers[-1].height,
        signers=tuple(genesis.validators[index].name for index in proof.finality.voters()),
        quorum=validators.quorum,
        validators=validators.n,
    )


def verify_proof(data: bytes, genesis: Genesis) -> VerifiedClaim:
    """Read and check in one step."""
    return verify(read_proof(data), genesis)


def _key_text(key: bytes) -> str:
    return key.decode("utf-8", "backslashreplace")


_RECORD_MODULES: Final = ("licet.entities", "licet.receipts")


def decode_record(value: bytes) -> Any:
    """The record that `value` encodes, or None for a kind that this version does not know.

    A record of a newer version is still proved; it just cannot be shown field by field.
    """
    for module in _RECORD_MODULES:
        import_module(module)  # each gives its records their tags
    try:
        return records.decode_any(value, fault=Fault.PEER)
    except InvalidEncoding:
        return None

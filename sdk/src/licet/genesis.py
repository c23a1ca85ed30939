"""Genesis: what a network is, and the file that says so.

    chain_id = H(canonical binary genesis: name, dev flag, time_ms, 16 random bytes, certificate kind,
                 validators in order, parameters, initial state root)

The JSON file carries the same fields, the entries of the initial state, and the chain id for people.
A reader recomputes the id from the binary form; the initial state's root is recomputed by a node,
which holds the tree. Names are aliases only: a network made again has another id (the random bytes),
so nothing can be replayed on it.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from types import MappingProxyType
from typing import Any, Final

from licet.certificate import CertificateKind
from licet.documents import read_json
from licet.encoding import Tag, Writer, hash_tagged
from licet.errors import Fault, LicetError
from licet.types import ChainId, Hash32, PublicKey

GENESIS_FORMAT: Final = 1
NONCE_BYTES: Final = 16
VALIDATORS_MAX: Final = 150
SCALE_MAX: Final = 9  # decimals of a currency
_PARTS: Final = MappingProxyType(
    {
        "validators": ("name", "public_key"),
        "currencies": ("code", "scale"),
        "parties": ("party", "name", "kind", "public_key", "roles"),
    }
)
_FIELDS: Final = (
    *("format", "chain_id", "name", "dev", "time_ms", "nonce", "certificate_kind", "validators"),
    *("parameters", "currencies", "parties", "initial_state_root"),
)


class InvalidGenesis(LicetError):
    """A genesis file that is malformed or does not hash to the id it states."""

    def __init__(self, why: str) -> None:
        super().__init__(
            "GENESIS_INVALID",
            f"The genesis file is not valid: {why}.",
            fault=Fault.OPERATOR,
            remedy="Copy genesis.json again from the network that you mean to join.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Validator:
    """A member's node: its name and the key that votes."""

    name: str
    public_key: PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """What binds validity on this chain: the same on every node, changed by vote alone."""

    window_ms: int = 300_000  # how far ahead valid_until may lie
    drift_ms: int = 500  # C-3: how far a block's time may lie ahead of a voter's clock
    anchor_lag: int = 32  # C-13: blocks by which execution may trail before blocks must be empty
    tree_depth: int = 5  # levels of the dense radix-16 state tree
    batch_bytes_max: int = 1 << 20  # C-14: one payload batch
    block_batches_max: int = 64  # C-14: digests in one block
    block_cost_max: int = 2_000_000  # C-16: declared cost of a block, in VM cost units
    open_registration: bool = True  # anyone may register a party; else a registrar signs too
    manual_clock: bool = False  # development networks only: time moves by command


@dataclass(frozen=True, slots=True, kw_only=True)
class GenesisParty:
    """A party that exists from the start."""

    party: str
    name: str
    kind: str
    public_key: PublicKey
    roles: tuple[str, ...] = ()  # "issuer:EUR", "registrar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Currency:
    code: str
    scale: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Genesis:
    """Everything that defines a network. `initial_state_root` is the tree's root over its entries."""

    name: str
    dev: bool
    time_ms: int
    nonce: bytes
    certificate_kind: CertificateKind
    validators: tuple[Validator, ...]
    parameters: Parameters
    currencies: tuple[Currency, ...]
    parties: tuple[GenesisParty, ...]
    initial_state_root: Hash32

    def encode(self) -> bytes:
        """The canonical binary form that is hashed. The initial state enters through its root."""
        out = Writer().u16(GENESIS_FORMAT).text(self.name).u8(int(self.dev)).u64(self.time_ms)
        out.fixed(self.nonce, NONCE_BYTES).u8(self.certificate_kind).u16(len(self.validators))
        for validator in self.validators:
            out.text(validator.name).fixed(validator.public_key, 32)
        for field in fields(Parameters):
            out.u64(int(getattr(self.parameters, field.name)))
        return out.fixed(self.initial_state_root, 32).done()

    def chain_id(self) -> ChainId:
        return ChainId(hash_tagged(Tag.GENESIS, self.encode()))

    def to_json(self) -> str:
        """The genesis file's text."""
        document = {
            "format": GENESIS_FORMAT,
            "chain_id": self.chain_id().hex(),
            "name": self.name,
            "dev": self.dev,
            "time_ms": self.time_ms,
            "nonce": self.nonce.hex(),
            "certificate_kind": self.certificate_kind.name.lower(),
            "validators": [{"name": v.name, "public_key": v.public_key.hex()} for v in self.validators],
            "parameters": asdict(self.parameters),
            "currencies": [{"code": c.code, "scale": c.scale} for c in self.currencies],
            "parties": [
                {
                    "party": p.party,
                    "name": p.name,
                    "kind": p.kind,
                    "public_key": p.public_key.hex(),
                    "roles": list(p.roles),
                }
                for p in self.parties
            ],
            "initial_state_root": self.initial_state_root.hex(),
        }
        return json.dumps(document, indent=2) + "\n"


def parse_genesis(text: str) -> Genesis:
    """Read a genesis file; raise `InvalidGenesis` unless it is well-formed and hashes to its id."""
    try:
        document = _json(text)
        genesis = _from_document(document)
        stated, found = document["chain_id"], genesis.chain_id().hex()
    except InvalidGenesis:
        raise
    except (ValueError, TypeError, AttributeError) as why:
        raise InvalidGenesis(str(why)) from None
    if found != stated:
        raise InvalidGenesis("its content does not hash to the chain id that it states")
    return genesis


def _json(text: str) -> Any:
    try:
        return read_json(text)
    except json.JSONDecodeError as why:
        raise InvalidGenesis(f"it is no JSON ({why})") from None


def _from_document(document: dict[str, Any]) -> Genesis:
    if isinstance(document, dict) and document.get("format", GENESIS_FORMAT) != GENESIS_FORMAT:
        raise InvalidGenesis(f"it has format {document['format']}, and this version reads {GENESIS_FORMAT}")
    _fields(document, _FIELDS)
    for part, names in _PARTS.items():
        if not isinstance(document[part], list):
            raise InvalidGenesis(f"the field {part!r} is no list")
        for item in document[part]:
            _fields(item, names, f" of {part}")
    if not isinstance(document["dev"], bool):
        raise InvalidGenesis("the field 'dev' is neither true nor false")
    if not isinstance(document["parameters"], dict):
        raise InvalidGenesis("the field 'parameters' is no object")
    known = {field.name for field in fields(Parameters)}
    unknown = sorted(set(document["parameters"]) - known)
    if unknown:
        raise InvalidGenesis(f"the parameter {unknown[0]!r} is unknown")
    for name, number in document["parameters"].items():
        if not isinstance(number, bool):
            _whole(number, f"the parameter {name!r}")
    validators = tuple(
        Validator(name=v["name"], public_key=PublicKey(_bytes(v["public_key"], 32)))
        for v in document["validators"]
    )
    if not 1 <= len(validators) <= VALIDATORS_MAX:
        raise InvalidGenesis(f"it names {len(validators)} validators, not 1 to {VALIDATORS_MAX}")
    if len({v.public_key for v in validators}) != len(validators) or len({v.name for v in validators}) != len(
        validators
    ):
        raise InvalidGenesis("it names one validator twice")
    return Genesis(
        name=document["name"],
        dev=document["dev"],
        time_ms=_whole(document["time_ms"], "the field 'time_ms'"),
        nonce=_bytes(document["nonce"], NONCE_BYTES),
        certificate_kind=_kind(document["certificate_kind"]),
        validators=validators,
        parameters=Parameters(**document["parameters"]),
        currencies=tuple(
            Currency(code=c["code"], scale=_whole(c["scale"], "a scale", SCALE_MAX))
            for c in document["currencies"]
        ),
        parties=tuple(
            GenesisParty(
                party=p["party"],
                name=p["name"],
                kind=p["kind"],
                public_key=PublicKey(_bytes(p["public_key"], 32)),
                roles=tuple(p["roles"]),
            )
            for p in document["parties"]
        ),
        initial_state_root=Hash32(_bytes(document["initial_state_root"], 32)),
    )


def _fields(value: Any, names: Collection[str], of: str = "") -> None:
    """An object with exactly these fields: a misspelt one is never passed over."""
    if not isinstance(value, dict):
        raise InvalidGenesis(f"a part{of} is no object" if of else "it is no JSON object")
    for name in names:
        if name not in value:
            raise InvalidGenesis(f"the field {name!r}{of} is missing")
    unknown = sorted(set(value) - set(names))
    if unknown:
        raise InvalidGenesis(f"the field {unknown[0]!r}{of} is unknown")


def _whole(value: Any, what: str, most: int = (1 << 63) - 1) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise InvalidGenesis(f"{what} is no whole number from 0 to {most}")
    return value


def _kind(name: str) -> CertificateKind:
    for kind in CertificateKind:
        if kind.name.lower() == name:
            return kind
    raise InvalidGenesis(f"the certificate kind {name!r} is unknown")


def _bytes(text: str, length: int) -> bytes:
    raw = bytes.fromhex(text)
    if len(raw) != length:
        raise InvalidGenesis(f"a field of {len(raw)} bytes should have {length}")
    return raw

"""The beginning of a network: a genesis made from its members' public keys, and its check by each of them.

Whoever writes the file holds nobody's key: the members send public halves. Whoever joins recomputes
everything that the file states (the chain id from its content, the initial state's root from the entries)
and compares the chain id with the other members by a way of their own. Nothing here starts, signs or
overwrites anything.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from licet.certificate import CertificateKind, ValidatorSet
from licet.crypto import check_public_key
from licet.documents import read_json
from licet.errors import Fault, LicetError
from licet.genesis import (
    NONCE_BYTES,
    VALIDATORS_MAX,
    Currency,
    Genesis,
    GenesisParty,
    InvalidGenesis,
    Parameters,
    Validator,
    parse_genesis,
)
from licet.transactions import valid_name
from licet.types import ZERO_HASH, Hash32, Height, PublicKey

from licensing_vm.codelists import CURRENCIES
from licensing_vm.transition import initial_entries
from node.operations.keyfiles import refuse_development_keys
from node.storage.memory import MemoryStorage
from node.storage.state import State

REGISTRAR: Final = "registrar"
ISSUER: Final = "issuer:"
PARTY_KINDS: Final = ("organisation", "person", "agent")


class FoundingInvalid(LicetError):
    """What was given for a new network makes none."""

    def __init__(self, what: str, why: str, remedy: str) -> None:
        super().__init__(
            "FOUNDING_INVALID",
            f"The {what} {why}.",
            fault=Fault.OPERATOR,
            remedy=remedy,
            facts={"what": what},
        )


class PartiesInvalid(LicetError):
    """A list of parties that no network can begin with."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            "PARTIES_INVALID",
            f"The parties in {path} cannot be used: {why}.",
            fault=Fault.OPERATOR,
            remedy='List objects such as {"party": "bank", "name": "A Bank", "kind": "organisation", '
            '"public_key": "64 hex digits", "roles": ["issuer:EUR"]}.',
            facts={"path": str(path), "why": why},
        )


# --- what is given ------------------------------------------------------------------------------


def parse_validator(text: str) -> Validator:
    """`NAME=PUBLIC_KEY` as a member sends it."""
    name, equals, key = text.partition("=")
    remedy = "Write name=public key, the key as `python -m node keygen` printed it."
    if not equals or not valid_name(name):
        raise FoundingInvalid(f"validator {text!r}", "has no name such as n1 before an equals sign", remedy)
    return Validator(name=name, public_key=_public_key(f"validator {name}", key, remedy))


_SCALE: Final = re.compile(r"\d{1,3}", re.ASCII)


def parse_currency(text: str) -> Currency:
    """`CODE:SCALE`; the scale is the number of decimal places the ledger keeps."""
    code, colon, scale = text.partition(":")
    ascii_upper = code.isascii() and code.isalpha() and code.isupper()
    if not colon or not ascii_upper or len(code) != 3 or not _SCALE.fullmatch(scale):
        raise FoundingInvalid(
            f"currency {text!r}", "is not three capitals and a scale", "Write for example EUR:2 or EUR:6."
        )
    if code not in CURRENCIES:
        raise FoundingInvalid(
            f"currency {text!r}",
            "is none of ISO 4217, and no terms could name it",
            "Write for example EUR:6.",
        )
    return Currency(code=code, scale=int(scale))


def _public_key(what: str, text: str, remedy: str) -> PublicKey:
    try:
        return check_public_key(bytes.fromhex(text))
    except ValueError:
        raise FoundingInvalid(what, "has a key that is not 64 hex digits", remedy) from None
    except LicetError as error:
        raise FoundingInvalid(
            what, f"has a key that no signer holds: {error.message.rstrip('.')}", remedy
        ) from None


def read_parties(path: Path) -> tuple[GenesisParty, ...]:
    """The parties that a file lists for a new network."""
    try:
        return tuple(
            GenesisParty(
                party=str(one["party"]),
                name=str(one["name"]),
                kind=_party_kind(one["kind"]),
                public_key=check_public_key(bytes.fromhex(one["public_key"])),
                roles=tuple(str(role) for role in one.get("roles", ())),
            )
            for one in read_json(path.read_text(encoding="utf-8"))
        )
    except OSError as error:
        raise PartiesInvalid(path, error.strerror or str(error)) from error
    except KeyError as missing:
        raise PartiesInvalid(path, f"an entry lacks {missing}") from None
    except (ValueError, TypeError, AttributeError, LicetError) as error:
        raise PartiesInvalid(path, str(error).rstrip(".")) from error


def _party_kind(kind: object) -> str:
    if kind not in PARTY_KINDS:
        raise ValueError(f"{kind!r} is no kind of party; they are {', '.join(PARTY_KINDS)}")
    return str(kind)


# --- the making ---------------------------------------------------------------------------------


def initial_root(genesis: Genesis) -> Hash32:
    """The root of the state that a network begins with, as `node.ledger.executor` will compute it."""
    state = State(MemoryStorage(chain_id=genesis.chain_id()), depth=genesis.parameters.tree_depth)
    return state.apply(Height(0), initial_entries(genesis)).root


def make_genesis(
    name: str,
    validators: Sequence[Validator],
    *,
    dev: bool,
    parameters: Parameters,
    parties: Sequence[GenesisParty],
    currencies: Sequence[Currency],
    time_ms: int | None = None,
) -> Genesis:
    """A genesis with its initial state's root. One validator orders alone."""
    genesis = Genesis(
        name=name,
        dev=dev,
        time_ms=time.time_ns() // 1_000_000 if time_ms is None else time_ms,
        nonce=secrets.token_bytes(NONCE_BYTES),
        certificate_kind=_kind_for(len(validators)),
        validators=tuple(validators),
        parameters=parameters,
        currencies=tuple(currencies),
        parties=tuple(parties),
        initial_state_root=Hash32(ZERO_HASH),
    )
    try:
        return replace(genesis, initial_state_root=initial_root(genesis))
    except ValueError as error:
        raise PartiesInvalid(Path("genesis"), str(error)) from error


def found(
    name: str,
    validators: Sequence[Validator],
    *,
    parties: Sequence[GenesisParty],
    currencies: Sequence[Currency],
    open_registration: bool,
) -> Genesis:
    """The genesis of a real network. Raises for one that could not work, or whose keys are known."""
    if not name.strip() or len(name) > 64 or not name.isprintable():
        raise FoundingInvalid("name", "is not 1 to 64 printable characters", "Choose another.")
    if not 1 <= len(validators) <= VALIDATORS_MAX:
        raise FoundingInvalid(
            "list of validators", f"has {len(validators)}, not 1 to {VALIDATORS_MAX}", "Give others."
        )
    for what, given in (
        ("name", [one.name for one in validators]),
        ("key", [one.public_key.hex() for one in validators]),
    ):
        if twice := next((one for one in given if given.count(one) > 1), None):
            raise FoundingInvalid(
                f"{what} {twice}",
                "stands for two validators",
                "Give each member a name and a key of its own: one key runs in one place.",
            )
    if not open_registration and not any(REGISTRAR in party.roles for party in parties):
        raise FoundingInvalid(
            "network",
            "would take parties by a registrar alone and has none",
            'Give a party in --parties the role "registrar".',
        )
    genesis = make_genesis(
        name,
        validators,
        dev=False,
        parameters=Parameters(open_registration=open_registration),
        parties=parties,
        currencies=currencies,
    )
    refuse_development_keys(genesis)
    return genesis


def write(path: Path, genesis: Genesis) -> None:
    """Write a genesis file; one that exists is never replaced."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(genesis.to_json())
    except OSError as error:
        raise FoundingInvalid(
            f"file {path}",
            f"cannot be written: {error.strerror}",
            "Name a new file in a folder that exists.",
        ) from error


def _kind_for(validators: int) -> CertificateKind:
    return CertificateKind.SEQUENCER if validators == 1 else CertificateKind.SIMPLEX


# --- the check ----------------------------------------------------------------------------------


def check(text: str, expected: Sequence[Validator] = ()) -> Genesis:
    """Recompute all that a genesis file states; `expected` validators must stand in it."""
    genesis = parse_genesis(text)  # its chain id is that of its content
    for validator in genesis.validators:
        _check_key(f"validator {validator.name}", validator.public_key)
    for party in genesis.parties:
        _check_key(f"party {party.party}", party.public_key)
    if genesis.certificate_kind is not _kind_for(len(genesis.validators)):
        raise InvalidGenesis(
            f"{len(genesis.validators)} validators do not order by {genesis.certificate_kind.name.lower()}"
        )
    if genesis.parameters.manual_clock and not genesis.dev:
        raise InvalidGenesis("its clock is moved by hand, and it is no development network")
    try:
        root = initial_root(genesis)
    except ValueError as error:
        raise InvalidGenesis(str(error)) from error
    if root != genesis.initial_state_root:
        raise InvalidGenesis(
            f"its first entries have the root {root.hex()}, and it states {genesis.initial_state_root.hex()}"
        )
    refuse_development_keys(genesis)
    for validator in expected:
        if validator not in genesis.validators:
            raise InvalidGenesis(f"it does not name the validator {validator.name} with that key")
    return genesis


def _check_key(whose: str, key: PublicKey) -> None:
    try:
        check_public_key(key)
    except LicetError as error:
        raise InvalidGenesis(f"the key of {whose}: {error.message.rstrip('.')}") from error


def describe(genesis: Genesis) -> list[tuple[str, str]]:
    """What a member reads before it joins: everything that binds the network."""
    validators = ValidatorSet(keys=tuple(one.public_key for one in genesis.validators))
    lines = [
        ("network", genesis.name + (" (development: everybody knows its keys)" if genesis.dev else "")),
        ("chain", genesis.chain_id().hex()),
        ("begins", f"{datetime.fromtimestamp(genesis.time_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"),
        ("ordering", _ordering(genesis, validators)),
    ]
    lines += [("validator", f"{one.name}  {one.public_key.hex()}") for one in genesis.validators]
    for currency in genesis.currencies:
        issuers = [one.party for one in genesis.parties if ISSUER + currency.code in one.roles]
        by = f"issued by {', '.join(issuers)}" if issuers else "without an issuer: nobody can deposit it"
        lines.append(("currency", f"{currency.code}, {currency.scale} decimal places, {by}"))
    for party in genesis.parties:
        roles = ", ".join(party.roles) or "no roles"
        lines.append(("party", f"{party.party}  {party.public_key.hex()}  {party.kind}, {roles}"))
    lines += [
        ("parameter", f"{name} = {_shown(value)}") for name, value in asdict(genesis.parameters).items()
    ]
    lines.append(("first root", f"{genesis.initial_state_root.hex()}, recomputed"))
    return lines


def _ordering(genesis: Genesis, validators: ValidatorSet) -> str:
    kind = genesis.certificate_kind.name.lower()
    if validators.n == 1:
        return f"{kind}: one validator orders alone, and nothing goes on without it"
    spare = validators.n - validators.quorum
    return f"{kind}: {validators.quorum} of {validators.n} must vote; {spare} may fail"


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

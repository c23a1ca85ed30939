"""A network's beginning: what makes a genesis, what is refused, and what every member recomputes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from licet.certificate import CertificateKind
from licet.crypto import SigningKey
from licet.errors import LicetError
from licet.genesis import Currency, Genesis, GenesisParty, Parameters, Validator

from licensing_vm.domain.parties import KINDS
from node import __main__ as command
from node.operations import founding
from node.operations.keyfiles import development_key

KEYS = [SigningKey(bytes([index + 1]) * 32) for index in range(5)]
VALIDATORS = [Validator(name=f"n{at + 1}", public_key=key.public_key) for at, key in enumerate(KEYS[:4])]
BANK = GenesisParty(
    party="bank",
    name="A Bank",
    kind="organisation",
    public_key=KEYS[4].public_key,
    roles=("issuer:EUR", "registrar"),
)
EUR = Currency(code="EUR", scale=2)


def found(**changes: Any) -> Genesis:
    given: dict[str, Any] = {
        "name": "acme-net",
        "validators": VALIDATORS,
        "parties": [BANK],
        "currencies": [EUR],
        "open_registration": True,
    }
    given |= changes
    return founding.found(given.pop("name"), given.pop("validators"), **given)


def test_what_is_made_is_what_every_member_finds() -> None:
    genesis = found()
    assert not genesis.dev
    assert genesis.certificate_kind is CertificateKind.SIMPLEX
    assert founding.check(genesis.to_json(), [VALIDATORS[2]]) == genesis
    assert found().chain_id() != genesis.chain_id()  # the same members again are another network


def test_one_validator_orders_alone() -> None:
    genesis = found(validators=VALIDATORS[:1])
    assert genesis.certificate_kind is CertificateKind.SEQUENCER
    assert ("ordering", "sequencer: one validator orders alone, and nothing goes on without it") in (
        founding.describe(genesis)
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"name": " "}, "name is not 1 to 64"),
        ({"validators": []}, "has 0, not 1 to 150"),
        ({"validators": [*VALIDATORS, replace(VALIDATORS[0], name="n9")]}, "stands for two validators"),
        (
            {"validators": [*VALIDATORS, replace(VALIDATORS[0], public_key=KEYS[4].public_key)]},
            "name n1 stands",
        ),
        ({"parties": [], "open_registration": False}, "by a registrar alone and has none"),
        ({"currencies": []}, "issues a currency that genesis does not list"),
        ({"currencies": [EUR, EUR]}, "a currency stands twice"),
        ({"currencies": [replace(EUR, scale=99)]}, "has the scale 99"),
        (
            {"validators": [Validator(name="n7", public_key=development_key("n2").public_key)]},
            "development key that everybody knows",
        ),
    ],
)
def test_what_makes_no_network(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(LicetError, match=why):
        found(**changes)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("n1", "has no name such as n1"),
        ("N 1=00", "has no name such as n1"),
        ("n1=zz", "not 64 hex digits"),
        ("n1=" + "00" * 31, "no signer holds"),
        ("n1=" + "00" * 32, "no point of the main subgroup"),
    ],
)
def test_what_is_no_validator(text: str, why: str) -> None:
    with pytest.raises(founding.FoundingInvalid, match=why):
        founding.parse_validator(text)


@pytest.mark.parametrize(
    "text", ["EUR", "eur:2", "EURO:2", "EUR:", "EUR:-1", "EUR:two", "EUR:²", "EUR:" + "9" * 5_000]
)
def test_what_is_no_currency(text: str) -> None:
    with pytest.raises(founding.FoundingInvalid, match="is not three capitals and a scale"):
        founding.parse_currency(text)
    with pytest.raises(founding.FoundingInvalid, match="none of ISO 4217"):
        founding.parse_currency("EUX:2")
    assert founding.parse_currency("EUR:6") == Currency(code="EUR", scale=6)


def _stated(genesis: Genesis, **changes: Any) -> str:
    """A file whose chain id is right for what it states: only its content can give it away."""
    return replace(genesis, **changes).to_json()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"parties": (replace(BANK, roles=("issuer:EUR",)),)}, "first entries have the root"),
        ({"currencies": (replace(EUR, scale=3),)}, "first entries have the root"),
        ({"currencies": ()}, "issues a currency that genesis does not list"),
        ({"certificate_kind": CertificateKind.SEQUENCER}, "4 validators do not order by sequencer"),
        ({"parameters": Parameters(manual_clock=True)}, "moved by hand"),
        (
            {
                "validators": (
                    *VALIDATORS[:3],
                    Validator(name="n4", public_key=development_key("n4").public_key),
                )
            },
            "development key",
        ),
    ],
)
def test_a_file_that_states_what_does_not_follow(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(LicetError, match=why):
        founding.check(_stated(found(), **changes))


def test_a_changed_file_and_one_without_us() -> None:
    genesis = found()
    with pytest.raises(LicetError, match="does not hash to the chain id"):
        founding.check(genesis.to_json().replace("acme-net", "acme-nat"))
    with pytest.raises(LicetError, match="does not name the validator n2 with that key"):
        founding.check(genesis.to_json(), [replace(VALIDATORS[0], name="n2")])


def test_kinds_of_parties_are_the_ledgers(tmp_path: Path) -> None:
    assert founding.PARTY_KINDS == KINDS
    entry = {"party": "bank", "name": "A", "kind": "organization", "public_key": KEYS[4].public_key.hex()}
    file = tmp_path / "parties.json"
    file.write_text(json.dumps([entry]))
    with pytest.raises(founding.PartiesInvalid, match="'organization' is no kind of party"):
        founding.read_parties(file)
    file.write_text(json.dumps([entry | {"kind": "organisation"}]))
    assert founding.read_parties(file) == (replace(BANK, name="A", roles=()),)


# --- the command --------------------------------------------------------------------------------


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str]:
    monkeypatch.setattr("sys.argv", ["node", *arguments])
    code = command.main()
    said = capsys.readouterr()
    return code, said.out + said.err


def test_the_command_makes_what_the_command_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "genesis.json"
    validators = [f"{one.name}={one.public_key.hex()}" for one in VALIDATORS]
    making = ["genesis", "--name", "acme-net", "--currency", "EUR:2", "--out", str(file)]
    making += [part for one in validators for part in ("--validator", one)]
    code, made = run(monkeypatch, capsys, *making)
    assert code == 0, made
    assert "ordering    simplex: 3 of 4 must vote; 1 may fail" in made
    code, found_again = run(
        monkeypatch, capsys, "genesis", "--check", str(file), "--validator", validators[3]
    )
    assert code == 0, found_again
    assert found_again.splitlines()[:-1] == made.splitlines()[:-1]
    code, said = run(monkeypatch, capsys, *making)
    assert (code, "cannot be written: File exists" in said) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--name", "x"],
        ["--name", "x", "--out", "y"],
        ["--check", "f", "--name", "x"],
        ["--check", "f", "--out", "y"],
    ],
)
def test_half_a_command_is_misuse(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = run(monkeypatch, capsys, "genesis", *arguments)
    assert (code, said) == (2, "genesis: give --name, --validator for each and --out; or --check FILE.\n")


def test_a_sealed_key_opens_with_its_passphrase_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from licet.keys import KeyFileError, load_key

    monkeypatch.setenv("LICET_PASSPHRASE", "open sesame")
    file = tmp_path / "validator.key"
    code, said = run(monkeypatch, capsys, "keygen", "--seal", str(file))
    assert code == 0
    assert load_key(file, passphrase="open sesame").public_key.hex() in said
    with pytest.raises(KeyFileError, match="sealed by a passphrase"):
        load_key(file)

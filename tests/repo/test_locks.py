"""The locks: hashed, complete, free of any registry's address, and permissive in what they bring in."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.repo import tree

LOCKS = {path.name: tree.read(path) for path in tree.files() if path.parent.name == "requirements"}
PIN = re.compile(
    r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?: ; ([^\\]+?))? \\\n((?:    --hash=sha256:[0-9a-f]{64}.*\n)+)", re.M
)
# What a lock or a package configuration must never name.
ADDRESS = re.compile(
    r"\w+://|--find-links|--index-url|--extra-index-url|--trusted-host|(?<![\w.])/(?:opt|home|root|tmp)/"
)


def pins(lock: str) -> dict[str, Version]:
    return {canonicalize_name(match[1]): Version(match[2]) for match in PIN.finditer(LOCKS[lock])}


def declared() -> dict[str, list[Requirement]]:
    project = tomllib.loads(tree.read(Path("pyproject.toml")))
    groups = project["dependency-groups"]
    runtime = project["project"]["dependencies"]
    return {
        "runtime.txt": [Requirement(text) for text in runtime],
        "dev.txt": [Requirement(text) for text in [*runtime, *groups["dev"]]],
        "protoc.txt": [Requirement(text) for text in groups["protoc"]],
    }


def test_there_are_three_locks_and_one_installer() -> None:
    assert sorted(LOCKS) == ["dev.txt", "install.sh", "protoc.txt", "runtime.txt"]


@pytest.mark.parametrize("lock", sorted(declared()))
def test_locks_hold_hashed_pins_and_nothing_else(lock: str) -> None:
    rest = "".join(
        line
        for line in PIN.sub("", LOCKS[lock]).splitlines(keepends=True)
        if not line.lstrip().startswith("#")
    )
    assert rest.strip() == ""
    assert not ADDRESS.search(LOCKS[lock])


@pytest.mark.parametrize("lock", sorted(declared()))
def test_locks_satisfy_pyproject(lock: str) -> None:
    locked = pins(lock)
    stale = [
        str(requirement)
        for requirement in declared()[lock]
        if not (version := locked.get(canonicalize_name(requirement.name)))
        or not requirement.specifier.contains(version, prereleases=True)
    ]
    assert not stale, f"run make lock: {', '.join(stale)}"


def test_the_development_lock_holds_every_runtime_pin() -> None:
    assert pins("runtime.txt").items() <= pins("dev.txt").items()


def test_the_node_declares_at_least_what_the_sdk_does() -> None:
    sdk = tomllib.loads(tree.read(Path("sdk/pyproject.toml")))["project"]
    node = tomllib.loads(tree.read(Path("pyproject.toml")))["project"]
    assert set(sdk["dependencies"]) <= set(node["dependencies"])
    operators = {part.operator for text in sdk["dependencies"] for part in Requirement(text).specifier}
    assert operators == {">="}, "the SDK declares floors and no upper pins"


def test_the_environment_is_the_lock() -> None:
    """What the tests run on is what the lock says; an environment edited by hand proves nothing."""
    drift = {
        name: (metadata.version(name), str(version))
        for name, version in pins("runtime.txt").items()
        if metadata.version(name) != str(version)
    }
    assert not drift


PERMISSIVE = re.compile(
    r"\b(?:MIT|BSD|Apache|ISC|PSF|Python Software Foundation|0BSD|Zlib|Unlicense)\b", re.I
)
COPYLEFT = re.compile(
    r"\b[AL]?GPL|General Public|\bMPL|Mozilla|\bEUPL|\bCDDL|\bEPL|Eclipse Public|\bSSPL|\bBUSL"
    r"|Business Source|Creative Commons|\bCC-BY",
    re.I,
)


def license_of(package: str) -> str:
    """The licence a distribution states, on one line; a full text counts by its first lines."""
    facts = metadata.distribution(package).metadata
    stated = list(facts.get_all("License-Expression") or [])
    stated += [" ".join(text.splitlines()[:3]) for text in facts.get_all("License") or []]
    stated += [text for text in facts.get_all("Classifier") or [] if text.startswith("License ::")]
    return " | ".join(part.strip() for part in stated if part.strip())


def acceptable(statement: str) -> bool:
    return bool(PERMISSIVE.search(statement)) and not COPYLEFT.search(statement)


@pytest.mark.parametrize("package", sorted(pins("runtime.txt")))
def test_hard_dependencies_are_permissive(package: str) -> None:
    assert acceptable(license_of(package)), f"{package}: {license_of(package) or 'states no licence'}"


@pytest.mark.parametrize(
    ("statement", "accepted"),
    [
        ("MIT", True),
        ("BSD-3-Clause", True),
        ("License :: OSI Approved :: Apache Software License", True),
        ("", False),
        ("LGPL-2.1-or-later", False),
        ("GPLv3", False),
        ("MIT OR GPL-2.0-only", False),
        ("License :: OSI Approved :: GNU General Public License v3 (GPLv3)", False),
        ("MPL-2.0", False),
        ("Proprietary", False),
    ],
)
def test_what_counts_as_permissive(statement: str, accepted: bool) -> None:
    assert acceptable(statement) is accepted

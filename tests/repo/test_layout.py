"""The shape of the tree: rooms, one wheel, one home for generated code, no trace of any machine."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.repo import tree

ROOMS = ("node", "proto", "consensus", "licensing_vm", "sdk", "tests", "docker", "docs", "examples")
PAPERS = [
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/ARCHITECTURE.md",
    "docs/HACKING.md",
    "sdk/README.md",
    "sdk/LICENSE",
    "consensus/SPEC.md",
    "licensing_vm/SPEC.md",
]

# Spelled in halves, or this file would be the one that names them.
HOSTS = [".".join(halves) for halves in (("pypi", "org"), ("files.pythonhosted", "org"), ("npmjs", "org"))]
HOSTS += [".".join(halves) for halves in (("crates", "io"), ("proxy.golang", "org"), ("deb.debian", "org"))]
MACHINE_PATH = re.compile(r"(?<![\w.$}/-])/(?:work|root|home|Users|farm|opt/wheels)/[\w.-]")


def text_files() -> list[tuple[Path, str]]:
    found = []
    for path in tree.files():
        try:
            found.append((path, tree.read(path)))
        except UnicodeDecodeError:
            continue
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_the_rooms_stand(room: str) -> None:
    assert any(path.is_relative_to(room) for path in tree.files())


@pytest.mark.parametrize("paper", PAPERS)
def test_the_papers_stand(paper: str) -> None:
    assert len(tree.read(Path(paper))) > 200


def test_no_root_folder_shadows_a_package() -> None:
    """A root folder `licet` would import as an empty namespace when the SDK is missing."""
    assert not (tree.ROOT / "licet").exists()
    python = [
        str(p) for p in tree.files() if p.parts[0] in {"docker", "proto"} and p.suffix in {".py", ".pyi"}
    ]
    assert not python, f"docker/ and proto/ are not packages: {python}"


def test_proto_holds_only_the_contract() -> None:
    strangers = [
        str(path)
        for path in tree.files()
        if path.parts[0] == "proto" and path.suffix != ".proto" and path.name != "buf.yaml"
    ]
    assert not strangers


def test_generated_code_lives_once() -> None:
    elsewhere = [
        str(path)
        for path in tree.files()
        if "_pb2" in path.name and path.suffix in {".py", ".pyi"} and not path.is_relative_to(tree.GENERATED)
    ]
    assert not elsewhere
    by_hand = [p.name for p in tree.files() if p.is_relative_to(tree.GENERATED) and "_pb2" not in p.name]
    assert by_hand == ["__init__.py"]


def test_the_root_installs_no_module() -> None:
    project = tomllib.loads(tree.read(Path("pyproject.toml")))
    assert project["tool"]["setuptools"] == {"packages": []}
    assert project["project"]["requires-python"] == ">=3.11,<3.13"


def test_no_lock_that_writes_a_registry_into_the_repository() -> None:
    names = {path.name for path in tree.files()}
    assert names.isdisjoint({"uv.lock", "pylock.toml", "poetry.lock", "Pipfile.lock", "pip.conf", ".npmrc"})


def test_nothing_names_a_registry_or_a_machine() -> None:
    found = []
    for path, text in text_files():
        found += [f"{path} names {host}" for host in HOSTS if host in text]
        found += [f"{path} holds the path {match[0]}" for match in MACHINE_PATH.finditer(text)]
    assert not found, "\n".join(found)


def test_the_two_licenses_are_one() -> None:
    text = tree.read(Path("LICENSE"))
    assert text == tree.read(Path("sdk/LICENSE"))
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_changelog_has_an_open_section() -> None:
    headings = re.findall(r"^## (.*)$", tree.read(Path("CHANGELOG.md")), re.M)
    assert headings[0] == "[Unreleased]"


def test_decision_records_are_numbered_and_short() -> None:
    records = [path for path in tree.files() if path.parent == Path("docs/adr") and path.suffix == ".md"]
    numbers = [int(path.name[:4]) for path in records]
    assert numbers == list(range(1, len(numbers) + 1))
    for path in records:
        lines = tree.read(path).splitlines()
        assert len(lines) <= 60, f"{path} has {len(lines)} lines"
        assert lines[0].startswith(f"# {path.name[:4]} ")
        for heading in ("## Context", "## Decision", "## Consequences"):
            assert heading in lines, f"{path} has no {heading}"


LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)(?:#[^)]*)?\)")


def test_links_between_papers_lead_somewhere() -> None:
    broken = [
        f"{path} → {target}"
        for path, text in text_files()
        if path.suffix == ".md"
        for target in LINK.findall(text)
        if not (tree.ROOT / path.parent / target).exists()
    ]
    assert not broken, "\n".join(broken)

"""The image and the four validators of the compose file, as far as they can be read without an engine.

`make docker-test` runs them.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from node.config import load
from tests.repo import tree

DOCKERFILE = tree.read(Path("docker/Dockerfile"))
COMPOSE = tree.read(Path("docker/compose.yaml"))
NODES = ("n1", "n2", "n3", "n4")


def test_the_image_is_multi_stage_and_runs_as_nobody_special() -> None:
    stages = DOCKERFILE.split("\nFROM ")[1:]
    assert [stage.splitlines()[0] for stage in stages] == ["${BASE} AS build", "${BASE}"]
    assert re.search(r"^USER licet$", stages[-1], re.M)
    assert re.search(r"^HEALTHCHECK ", stages[-1], re.M)
    assert "--require-hashes" in stages[0]
    assert "--no-index" in stages[0]


def test_the_build_context_is_an_allow_list() -> None:
    rules = [line for line in tree.read(Path(".dockerignore")).splitlines() if not line.startswith("#")]
    assert rules[0] == "*"
    copied = {line.split()[1] for line in DOCKERFILE.splitlines() if re.match(r"COPY (?!--from)", line)}
    assert {f"!{source}" for source in copied} <= set(rules)


@pytest.mark.parametrize("name", NODES)
def test_each_validator_has_its_own_key_configuration_and_volume(name: str) -> None:
    services = COMPOSE.partition("\nservices:\n")[2].partition("\nnetworks:\n")[0]
    found = re.search(rf"^  {name}:\n(.*?)(?=^  \w|\Z)", services, re.M | re.S)
    assert found
    service = found[1]
    assert "<<: *validator" in service
    mounts = re.findall(r"^      - \S+?/((?:n\d/)?[\w.]+):(/\S+?)(?::ro)?$", service, re.M)
    assert mounts[:3] == [
        (f"{name}.toml", "/etc/licet/node.toml"),
        ("genesis.json", "/etc/licet/genesis.json"),
        (f"{name}/validator.key", "/etc/licet/validator.key"),
    ]
    assert f"- {name}:/var/lib/licet" in service
    assert '"127.0.0.1:' in service


def test_containers_keep_no_more_rights_than_they_need() -> None:
    for line in ("read_only: true", "cap_drop:\n    - ALL", "no-new-privileges:true", "user: "):
        assert line in COMPOSE


@pytest.mark.parametrize("name", NODES)
def test_each_configuration_is_one_the_node_accepts(name: str) -> None:
    config = load(tree.ROOT / f"docker/config/{name}.toml", {})
    assert sorted(config.peers) == [other for other in NODES if other != name]
    assert {address.port for address in config.peers.values()} == {config.peer_listen.port}
    assert config.data == Path("/var/lib/licet/data")
    assert f"EXPOSE {config.api_listen.port} {config.peer_listen.port}" in DOCKERFILE

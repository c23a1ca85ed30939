"""Configuration: one table, three sources, sentences for what is wrong."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path

import pytest

from node import app, config
from node.config import SETTINGS, Address, ConfigFileUnreadable, InvalidConfig, load, parse_address, render
from node.devnet import network
from node.operations import logs


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "node.toml"
    file.write_text(text)
    return file


def test_the_defaults_bind_loopback_only() -> None:
    made = load(None, {})
    assert made.api_listen.loopback
    assert made.peer_listen.loopback
    assert made.metrics_listen is None
    assert made.admin_socket == Path("data/admin.sock")


def test_the_environment_stands_above_the_file_and_the_command_line_above_both(tmp_path: Path) -> None:
    file = written(tmp_path, '[api]\nlisten = "127.0.0.1:1"\n[log]\nlevel = "debug"\n')
    assert load(file, {}).api_listen.port == 1
    environment = {"LICET_NODE_API_LISTEN": "127.0.0.1:2", "HOME": "/x", "LICET_PROFILE": "not ours"}
    made = load(file, environment)
    assert made.api_listen.port == 2
    assert made.log_level == "debug"
    assert load(file, environment, {"api.listen": "127.0.0.1:3", "data": None}).api_listen.port == 3


def test_paths_of_a_file_are_relative_to_it(tmp_path: Path) -> None:
    file = written(tmp_path, 'data = "d"\ngenesis = "../g.json"\nkey = "/abs/k"\n')
    made = load(file, {})
    assert made.data == tmp_path / "d"
    assert made.genesis == tmp_path / ".." / "g.json"
    assert made.key == Path("/abs/k")


def test_peers_come_as_a_table_or_as_one_variable(tmp_path: Path) -> None:
    file = written(tmp_path, '[peers]\nn2 = "127.0.0.1:8"\n"n3" = "host:9"\n')
    expected = {"n2": Address(host="127.0.0.1", port=8), "n3": Address(host="host", port=9)}
    assert load(file, {}).peers == expected
    assert load(None, {"LICET_NODE_PEERS": "n2=127.0.0.1:8, n3=host:9"}).peers == expected


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("dta = 'x'", r"dta .*node\.toml.* is unknown\. Did you mean data\?"),
        ("[log]\nlevle = 'info'", r"Did you mean log\.level\?"),
        ("[log]\nlisten = 'info'", r"Did you mean (api|peer|metrics)\.listen\?"),
        ("level = 'info'", r"Did you mean log\.level\?"),
        ("zzzzzz = 1", "Known are: data, genesis"),
        ("[log]\nlevel = 'loud'", "'loud', not one of debug, info, warning, error"),
        ("[log]\nlevel = 3", "is 3, not a text"),
        ("[api]\nlisten = 'nowhere'", "'nowhere', not host:port"),
        ("[api]\nlisten = 'a:70000'", "'70000', not 0 to 65535"),
        ("[api]\nremote = 'maybe'", "'maybe', not true or false"),
        ("[storage]\ncache_mib = 0", "is 0, not 1 to 65536"),
        ("[storage]\ncache_mib = true", "is True, not a whole number"),
        ("[api]\nlisten = '0.0.0.0:1'", "other machines can reach"),
        ("[metrics]\nlisten = '[::]:1'", "metrics.remote = true"),
        ("peers = 'n2'", "not name=host:port"),
        ("data = ''", "is empty"),
    ],
)
def test_what_is_wrong_is_a_sentence(tmp_path: Path, text: str, pattern: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        load(written(tmp_path, text), {})
    assert re.search(pattern, str(refused.value)), str(refused.value)
    assert refused.value.fault == "operator"


def test_remote_says_that_it_is_meant(tmp_path: Path) -> None:
    file = written(tmp_path, "[api]\nlisten = '0.0.0.0:1'\nremote = true\n")
    assert not load(file, {}).api_listen.loopback


def test_a_file_that_is_missing_or_no_toml(tmp_path: Path) -> None:
    with pytest.raises(ConfigFileUnreadable, match="No such file"):
        load(tmp_path / "no.toml", {})
    with pytest.raises(ConfigFileUnreadable, match="line 1"):
        load(written(tmp_path, "data = = 1"), {})


@pytest.mark.parametrize("text", ["127.0.0.1:0", "[::1]:7400", "host.example:65535", "localhost:1"])
def test_addresses_print_as_they_are_read(text: str) -> None:
    assert str(parse_address(text)) == text


def test_what_render_writes_load_reads(tmp_path: Path) -> None:
    values = {"data": "d", "api.listen": "127.0.0.1:5", "storage.cache_mib": 7, "peers": {"n2": "h:1"}}
    made = load(written(tmp_path, render(values)), {})
    assert (made.data, made.api_listen.port, made.storage_cache_mib) == (tmp_path / "d", 5, 7)
    assert made.peers == {"n2": Address(host="h", port=1)}
    assert load(written(tmp_path, render({})), {}) == load(None, {})


def test_every_setting_has_a_field_a_variable_and_a_meaning() -> None:
    assert {setting.name for setting in SETTINGS} == set(config.Config.__slots__)
    assert all(setting.meaning and setting.variable.startswith("LICET_NODE_") for setting in SETTINGS)
    assert not {setting.variable for setting in SETTINGS} & config.FOREIGN_VARIABLES


def test_a_validator_without_an_address_is_told_at_the_start(tmp_path: Path) -> None:
    made = network.create(
        tmp_path / "net",
        name="test",
        nodes=4,
        ports=network.pick_ports(4, 0),
        dev=True,
        manual_clock=True,
        parties=(),
    )
    settings = load(made.nodes[1].config, {})
    names = [one.name for one in made.nodes]
    assert config.peers_without_address(settings, names, 1) == []
    lacking = replace(settings, peers={"n3": settings.peers["n3"]})
    identity = app.initialise(lacking)
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logs.logger("node").addHandler(handler)
    try:
        node = app.App(lacking, identity)
        node.node.close()
        node._folder.close()
    finally:
        logs.logger("node").removeHandler(handler)
    assert said == [
        "[peers] of the configuration has no address of n1: this node waits for it to connect",
        "[peers] of the configuration has no address of n4: this node never connects to it",
    ]

"""The operators' page and the unit file hold: commands parse, metrics and log lines are the node's own."""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from licet.crypto import SigningKey
from licet.types import ValidatorIndex

from node import __main__ as command
from node import app, config
from node.net.peer_messages import Participation
from node.net.peers import PeerTable
from node.operations import founding, health
from node.operations.metrics import NodeCollector
from node.runtime.stages import Stages
from node.storage.errors import AcknowledgedLost, StorageDead

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "docs" / "operations"
PAGE = (FOLDER / "node.md").read_text()
UNIT = FOLDER / "licet-node.service"
CALL = re.compile(r"python -m node ([^`\n]+)")


def calls() -> list[str]:
    """Every node command on the pages of this folder, as it is typed."""
    text = PAGE + (FOLDER / "docker.md").read_text() + UNIT.read_text()
    return sorted({found.split("  ")[0].strip() for found in CALL.findall(text)})


@pytest.mark.parametrize("call", calls())
def test_every_command_parses(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(call, comments=True)
    if len(words) == 1:  # named in a sentence, not typed
        assert words[0] in command.COMMANDS
        return
    monkeypatch.setattr("sys.argv", ["node", *words])
    parsed = command._parser().parse_args(words)
    assert parsed.command in command.COMMANDS


def test_every_command_of_the_program_is_on_the_page() -> None:
    shown = {call.split()[0] for call in calls()}
    assert shown == set(command.COMMANDS) - {"run"}


def _metrics() -> set[str]:
    """The names that a scrape of a running node shows."""
    status: Any = SimpleNamespace(
        committed_height=1,
        executed_height=1,
        anchored_height=1,
        view=1,
        delta_ms=1,
        participation=Participation.VOTES,
        silent=(),
        voting=True,
        isolated=False,
        pending_transactions=0,
        pending_bytes=0,
        peers_connected=(),
    )
    driver: Any = SimpleNamespace(
        status=lambda: status, executed_transactions=0, executed_rows=0, stages=Stages()
    )
    peers = PeerTable(("n1", "n2"), ValidatorIndex(0), {})
    collector = NodeCollector(driver, peers, cast(Any, SimpleNamespace(waiting=0)))
    return {sample.name for metric in collector.collect() for sample in metric.samples}


def test_the_metrics_on_the_page_are_the_nodes() -> None:
    section = PAGE.partition("## Read metrics")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(licet_\w+)`", row)} == _metrics()
    assert set(re.findall(r"licet_\w+", section)) <= _metrics()


def test_the_log_lines_on_the_page_are_the_nodes() -> None:
    section = PAGE.partition("## Log lines that matter")[2].partition("\n## ")[0]
    lines = [
        name for row in re.findall(r"^\| (`.+?`) \|", section, re.M) for name in re.findall(r"`(.+?)`", row)
    ]
    assert len(lines) > 8
    files = [*(ROOT / "node").rglob("*.py"), ROOT / "consensus" / "errors.py"]
    source = "\n".join(file.read_text() for file in files)
    for line in lines:
        for part in (part.strip() for part in line.split("…")):
            assert part in source, line


def test_what_status_says_on_the_page_is_what_it_says() -> None:
    table = PeerTable(("n1", "n3", "n4"), ValidatorIndex(0), {})
    n3, n4 = table
    assert f"`{health.last_words(n3)}`" in PAGE
    n4.protocol_version = 4
    assert f"`{health.last_words(n4)}`" in PAGE
    n4.proved(Participation.RECORD_MISSING)
    assert f"`{health.last_words(n4)}`" in PAGE
    assert f"`this node {health.WHY_NOT[Participation.RECORD_MISSING]}`" in PAGE
    assert f"node: {AcknowledgedLost(acknowledged=4, found=-1)}" in PAGE
    assert f"`{StorageDead('x', 'y').remedy}`" in PAGE


def test_what_genesis_prints_on_the_page_is_its_form() -> None:
    shown = PAGE.partition("## Agree on genesis")[2].partition("\n    …")[0].splitlines()[-4:]
    keys = [SigningKey(bytes([n + 1]) * 32).public_key for n in range(4)]
    genesis = founding.found(
        "acme-net",
        [founding.parse_validator(f"n{n + 1}={key.hex()}") for n, key in enumerate(keys)],
        parties=(),
        currencies=(),
        open_registration=True,
    )
    said = [f"    {what:<11} {text}" for what, text in founding.describe(genesis)[:4]]
    mask = re.compile(r"[0-9a-f]{64}|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
    assert [mask.sub("…", line) for line in shown] == [mask.sub("…", line) for line in said]


def test_the_configuration_on_the_page_is_one_the_node_accepts(tmp_path: Path) -> None:
    found = re.search(r"```toml\n(.*?)```", PAGE, re.S)
    assert found
    file = tmp_path / "node.toml"
    file.write_text(found[1])
    loaded = config.load(file, {})
    config.check_peers(loaded, ["n1", "n2", "n3", "n4"])
    assert set(loaded.peers) == {"n1", "n3", "n4"}
    assert loaded.metrics_listen is not None
    assert "LICET_NODE_STORAGE_ACCEPT_LOSS" in config.BY_VARIABLE


def test_the_unit_starts_the_node_and_never_repeats_a_refusal() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNIT)
    service = unit["Service"]
    assert str(command.EXIT_REFUSED) in service["RestartPreventExitStatus"].split()
    assert str(app.EXIT_REFUSED) in service["RestartPreventExitStatus"].split()
    assert str(app.EXIT_FAILED) not in service["RestartPreventExitStatus"].split()
    assert service["ExecStart"].startswith("/opt/licet/.venv/bin/python -m node start ")
    assert service["User"] != "root"
    assert 'data = "/var/lib/licet/data"' in PAGE
    assert service["StateDirectory"] == "licet"

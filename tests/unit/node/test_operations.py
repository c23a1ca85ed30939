"""What operators read and type: health sentences, log lines, times, development keys."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest
from licet.certificate import ValidatorSet
from licet.crypto import SigningKey
from licet.types import ValidatorIndex

from node import health, keyfiles, logs
from node.devnet import network
from node.devnet.durations import target_ms, text_of
from node.net.peers import PeerTable

JANUARY = 1_767_225_600_000  # 2026-01-01T00:00Z


def validators(n: int) -> ValidatorSet:
    return ValidatorSet(keys=tuple(SigningKey(bytes([i + 1]) * 32).public_key for i in range(n)))


@pytest.mark.parametrize(
    ("n", "up", "text"),
    [
        (1, 1, "this node orders alone"),
        (4, 4, "4 of 4 up: progress continues; one more failure changes nothing"),
        (4, 3, "3 of 4 up: progress continues; one more failure stops it"),
        (4, 2, "2 of 4 up: no progress until 1 more is up"),
        (7, 7, "7 of 7 up: progress continues; 2 more failures change nothing"),
        (7, 3, "3 of 7 up: no progress until 2 more are up"),
    ],
)
def test_the_outlook(n: int, up: int, text: str) -> None:
    assert health.outlook(up, validators(n)) == text


def test_the_sentence_names_whom_it_waits_for() -> None:
    table = PeerTable(("A", "B", "C", "D"), ValidatorIndex(0), {})
    a, b, c = table
    said = health.sentence(height=8, peers=table, validators=validators(4), ordering="x")
    assert said.startswith(
        "height 8; 1 of 4 up: no progress until 2 more are up; waiting for 2 more of {B, C, D}"
    )
    assert "B was never heard" in said
    a.connected = True
    b.protocol_version = 3
    c.heard()
    said = health.sentence(height=8, peers=table, validators=validators(4), ordering="x")
    assert said.endswith("waiting for 1 more of {C, D}; C speaks v3, we speak v1; D last seen 0 s ago")
    b.connected = True
    assert health.sentence(height=8, peers=table, validators=validators(4), ordering="x").endswith("; x")


@pytest.mark.parametrize(
    ("text", "then"),
    [
        ("3mo", "2026-04-01 00:00:00 UTC"),
        ("1y", "2027-01-01 00:00:00 UTC"),
        ("2w", "2026-01-15 00:00:00 UTC"),
        ("10d", "2026-01-11 00:00:00 UTC"),
        ("6h", "2026-01-01 06:00:00 UTC"),
        ("30min", "2026-01-01 00:30:00 UTC"),
        ("2026-04-01", "2026-04-01 00:00:00 UTC"),
        ("2026-04-01T12:00+02:00", "2026-04-01 10:00:00 UTC"),
    ],
)
def test_times_as_they_are_typed(text: str, then: str) -> None:
    assert text_of(target_ms(text, JANUARY)) == then


def test_a_month_after_the_31st_ends_with_its_month() -> None:
    january_31 = JANUARY + 30 * 86_400_000
    assert text_of(target_ms("1mo", january_31)) == "2026-02-28 00:00:00 UTC"
    assert text_of(target_ms("25mo", january_31)) == "2028-02-29 00:00:00 UTC"


@pytest.mark.parametrize("text", ["", "3", "mo", "-3d", "3 mo", "yesterday", "2025-01-01", "0d"])
def test_what_is_no_later_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no time|not later"):
        target_ms(text, JANUARY)


def test_log_lines_carry_their_fields() -> None:
    record = logging.makeLogRecord(
        {
            "name": "licet.peers",
            "levelno": 30,
            "levelname": "WARNING",
            "msg": "peer lost",
            "peer": "n2",
            "n": 3,
        }
    )
    text = logs.TextFormatter().format(record)
    assert text.endswith("Z warning peers: peer lost  peer=n2  n=3")
    document = json.loads(logs.JsonFormatter().format(record))
    assert (document["level"], document["part"], document["peer"], document["n"]) == (
        "warning",
        "peers",
        "n2",
        3,
    )


def test_the_level_changes_while_it_runs() -> None:
    before = logs.level()
    try:
        logs.set_level("error")
        assert logs.level() == "error"
        assert not logs.logger("x").isEnabledFor(logging.WARNING)
    finally:
        logging.getLogger(logs.ROOT).setLevel(before.upper())


def test_development_keys_are_refused_where_it_is_serious() -> None:
    genesis = network.make_genesis(
        "t",
        [("n1", keyfiles.development_key("n1"))],
        dev=True,
        manual_clock=False,
        parties=(),
        currencies=network.DEV_CURRENCIES,
    )
    keyfiles.refuse_development_keys(genesis)
    with pytest.raises(keyfiles.DevelopmentKey, match="n1"):
        keyfiles.refuse_development_keys(replace(genesis, dev=False))
    party = network.demo_parties()[0]
    mine = replace(
        genesis,
        dev=False,
        validators=(replace(genesis.validators[0], public_key=SigningKey(b"m" * 32).public_key),),
    )
    keyfiles.refuse_development_keys(mine)
    with pytest.raises(keyfiles.DevelopmentKey, match="bank"):
        keyfiles.refuse_development_keys(replace(mine, parties=(party,)))

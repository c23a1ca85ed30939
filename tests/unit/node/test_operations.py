"""What operators read and type: health sentences, log lines, times, development keys."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Any

import pytest
from licet.certificate import ValidatorSet
from licet.crypto import SigningKey
from licet.types import ValidatorIndex

from node.devnet import network
from node.devnet.durations import target_ms, text_of
from node.net.peer_messages import Participation
from node.net.peers import PeerTable
from node.operations import health, keyfiles, logs

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
    assert "B not heard since this node started" in said
    a.connected = True
    b.protocol_version = 4
    c.heard()
    said = health.sentence(height=8, peers=table, validators=validators(4), ordering="x")
    assert said.endswith("waiting for 1 more of {C, D}; C speaks v4, we speak v3; D last seen 0 s ago")
    b.connected = True
    said = health.sentence(height=8, peers=table, validators=validators(4), ordering="x")
    assert said.endswith("one more failure stops it; D last seen 0 s ago; x")


def _table(**parts: Participation | None) -> PeerTable:
    """Peers of A: connected with that part, or away where it is None."""
    table = PeerTable(("A", *parts), ValidatorIndex(0), {})
    for peer in table:
        part = parts[peer.name]
        if part is not None:
            peer.proved(part)
            peer.heard()
    return table


def _said(table: PeerTable, **options: Any) -> str:
    return health.sentence(height=8, peers=table, validators=validators(4), **{"ordering": "x", **options})


VOTES, MISSING = Participation.VOTES, Participation.RECORD_MISSING


def test_a_follower_is_connected_and_not_up() -> None:
    said = _said(_table(B=VOTES, C=VOTES, D=MISSING))
    assert said == (
        "height 8; 3 of 4 up: progress continues; one more failure stops it; "
        "D follows without voting: its signing record is missing; x"
    )
    said = _said(_table(B=VOTES, C=Participation.ISOLATED, D=VOTES))
    assert "3 of 4 up" in said
    assert "C stands still: it computed other roots than a quorum signed" in said


def test_a_follower_says_so_of_itself() -> None:
    said = _said(_table(B=VOTES, C=VOTES, D=VOTES), own=Participation.RECORD_UNUSABLE)
    assert said == (
        "height 8; 3 of 4 up: progress continues; one more failure stops it; "
        "this node follows without voting: its signing record cannot be used; x"
    )


def test_nobody_waits_for_a_vote_that_cannot_come() -> None:
    said = _said(_table(B=VOTES, C=None, D=MISSING))
    assert "2 of 4 up: no progress until 1 more is up; waiting for C; C not heard" in said
    said = _said(_table(B=VOTES, C=MISSING, D=MISSING))
    assert "1 of the votes needed can come from nobody before a signing record is put back; C follows" in said


def test_a_hung_validator_is_not_up_and_one_that_came_back_is(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("node.net.peers.time.monotonic", lambda: now)
    table = _table(B=VOTES, C=VOTES, D=VOTES)
    silent = (ValidatorIndex(3),)
    now += 14
    assert "4 of 4 up" in _said(table, silent=silent)  # it came back 14 s ago: its first view may be idle
    now += 6
    assert "4 of 4 up" in _said(table)  # an idle network says nothing for 10 s
    assert "3 of 4 up: progress continues; one more failure stops it; D is connected and silent for 20 s" in (
        _said(table, silent=silent)
    )
    table[ValidatorIndex(3)].heard()
    assert "4 of 4 up" in _said(table, silent=silent)


def test_a_single_node_that_does_not_vote_orders_nothing() -> None:
    said = health.sentence(
        height=8, peers=(), validators=validators(1), ordering="idle at height 8", own=MISSING
    )
    assert said == (
        "height 8; 0 of 1 up: no progress; this node follows without voting: its signing record is missing; "
        "1 of the votes needed can come from nobody before a signing record is put back"
    )


def test_without_a_quorum_the_engine_is_left_out_unless_it_is_behind() -> None:
    table = _table(B=VOTES, C=None, D=None)
    assert _said(table, ordering="idle at height 8").endswith("D not heard since this node started")
    assert _said(table, ordering="catching up: height 8 of 9").endswith("; catching up: height 8 of 9")
    every = _table(B=VOTES, C=VOTES, D=VOTES)
    waiting = "waiting for 1 more of {C} in view 9"
    said = _said(every, ordering=waiting)
    assert said == f"height 8; 4 of 4 seem up, and yet votes are missing; {waiting}"
    assert _said(every, ordering=waiting, waits=False).endswith("; ordering")


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


@pytest.mark.parametrize(
    "text", ["", "3", "mo", "-3d", "3 mo", "yesterday", "2025-01-01", "0d", "٣d", "３mo"]
)
def test_what_is_no_later_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no time|not later"):
        target_ms(text, JANUARY)


@pytest.mark.parametrize("text", ["99999y", "8000y", "99999mo", "99999999d", "99999w"])
def test_what_no_calendar_holds_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no time|beyond the year 9999"):
        target_ms(text, JANUARY + (0 if text != "99999w" else 200_000_000_000_000))


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

"""The client's parts on their own: the node's clock, retry bounds, addresses, decisions, transactions."""

from __future__ import annotations

import asyncio
import random
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from licet.builder import NodeClock, build_transaction, new_id
from licet.codec import decode_transaction
from licet.crypto import SigningKey
from licet.decision import Question, check_answer, check_decision, read_decision
from licet.encoding import Tag, Writer
from licet.endpoints import Endpoints, parse_targets
from licet.errors import Fault, InvalidEncoding, InvalidSignature, LicetError
from licet.outcomes import Unavailable, unavailable
from licet.retry import Attempt, Failure, Retrier, RetryPolicy
from licet.transactions import SIGNATURES_MAX, Money, Pay

from tests.unit.sdk import world

PAY = Pay(agreement="a", amount=Money(currency="EUR", minor=5))
GENESIS = world.genesis()


class Elapsed:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


# --- the node's clock


def test_a_running_clock_is_carried_forward_and_goes_stale() -> None:
    elapsed = Elapsed()
    clock = NodeClock(elapsed, manual=False)
    assert clock.stale
    clock.heard(1_000_000, 300_000)
    elapsed.now += 2
    assert (clock.stale, clock.now_ms(), clock.valid_until_ms()) == (False, 1_002_000, 1_152_000)
    elapsed.now += 4
    assert clock.stale


def test_a_manual_clock_stands_still() -> None:
    elapsed = Elapsed()
    clock = NodeClock(elapsed, manual=True)
    clock.heard(1_000_000, 300_000)
    elapsed.now += 4
    assert clock.now_ms() == 1_000_000


@given(st.integers(1, 10**7), st.one_of(st.none(), st.integers(1, 10**8)))
def test_valid_until_lies_within_the_window(window: int, wanted: int | None) -> None:
    clock = NodeClock(Elapsed(), manual=False)
    clock.heard(5, window)
    assert 5 < clock.valid_until_ms(wanted) <= 5 + window


# --- retries


@pytest.mark.parametrize(
    "wrong",
    [{"deadline_s": 0}, {"attempt_s": 0}, {"attempt_s": 99}, {"first_delay_s": 0}, {"delay_s_max": 0.01}],
)
def test_a_policy_without_bounds_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"attempt|delay"):
        RetryPolicy(**wrong)


@given(st.integers(0, 100), st.floats(0, 5))
def test_delays_are_jittered_within_their_bound(attempt: int, asked: float) -> None:
    policy = RetryPolicy()
    delay = policy.delay_s(attempt, random.Random(1), asked_s=asked)
    assert asked <= delay <= asked + policy.delay_s_max


def gone(failure: Failure, reached: bool, waited_s: float) -> LicetError:
    return unavailable(failure.why, retry_after_s=1.0, facts={"reached": str(reached)})


async def test_the_deadline_covers_all_attempts_together() -> None:
    policy = RetryPolicy(deadline_s=0.2, attempt_s=0.1, first_delay_s=0.01, delay_s_max=0.02)
    attempts: list[Attempt] = []
    failures: list[Failure] = []

    async def fail(attempt: Attempt) -> None:
        attempts.append(attempt)
        raise ConnectionError("no")

    loop = asyncio.get_running_loop()
    start = loop.time()
    with pytest.raises(Unavailable, match="no"):
        await Retrier(policy, rng=random.Random(1)).run(fail, on_failure=failures.append, give_up=gone)
    assert loop.time() - start < 10, "bounded, however slow the machine"
    assert len(attempts) == len(failures) >= 1
    assert all(0 < attempt.timeout_s <= 0.1 for attempt in attempts)


async def test_what_is_no_failure_of_the_way_is_raised_at_once() -> None:
    async def refuse(_: Attempt) -> None:
        raise LicetError("X_Y", "No.", fault=Fault.SENDER, remedy="")

    failures: list[Failure] = []
    with pytest.raises(LicetError, match="No"):
        await Retrier(RetryPolicy()).run(refuse, on_failure=failures.append, give_up=gone)
    assert failures == []


# --- addresses


def test_addresses_come_once_each_in_order() -> None:
    assert parse_targets("a:1, b:2,,a:1") == ("a:1", "b:2")
    assert parse_targets(["unix:/x", "a:1"]) == ("unix:/x", "a:1")


@pytest.mark.parametrize("target", ["", ",", "localhost", [], [f"h:{n}" for n in range(65)]])
def test_other_addresses_are_a_sentence(target: Any) -> None:
    with pytest.raises(LicetError) as refused:
        parse_targets(target)
    assert refused.value.code == "TARGET_INVALID"


async def test_only_the_first_to_fail_turns_to_the_next_node() -> None:
    endpoints = Endpoints(["a:1", "b:2"])
    seen = endpoints.generation
    endpoints.turn(away_from=seen)
    endpoints.turn(away_from=seen)  # a second call that failed on the first node
    assert endpoints.target == "b:2"
    alone = Endpoints(["a:1"])
    alone.turn(away_from=0)
    assert (alone.target, alone.generation) == ("a:1", 0)
    await endpoints.close()


# --- transactions


def test_a_transaction_is_what_it_was_built_from() -> None:
    keys = [SigningKey(bytes([n]) * 32) for n in (1, 2, 1)]
    built = build_transaction(
        chain_id=GENESIS.chain_id(), sender="acme", commands=[PAY], valid_until_ms=9, keys=keys
    )
    tx = decode_transaction(built.raw)
    assert (tx.hash, tx.raw_body, tx.body.id) == (built.hash, built.body, built.id)
    assert [item.public_key for item in tx.signatures] == [key.public_key for key in keys[:2]]
    assert new_id() != new_id()


@pytest.mark.parametrize("count", [0, SIGNATURES_MAX + 1])
def test_too_few_and_too_many_signers_are_refused(count: int) -> None:
    keys = [SigningKey(bytes([n + 1]) * 32) for n in range(count)]
    with pytest.raises(LicetError, match=f"{count} signatures"):
        build_transaction(
            chain_id=GENESIS.chain_id(), sender="acme", commands=[PAY], valid_until_ms=9, keys=keys
        )


# --- decisions

QUESTION = Question(party="acme", asset="w-1", action="display", territories=("DE",), media=())


def decision(*, chain: bytes | None = None, format_: int = 1, allowed: int = 1, tail: bytes = b"") -> bytes:
    out = Writer().u8(format_).fixed(chain or GENESIS.chain_id(), 32).u64(8).u64(77).u8(allowed)
    out.text("acme").text("w-1").text("display").u16(1).text("DE").u16(0).u64(0).u64(0)
    out.text("It is.").u16(1).text("a-1:G1").u16(1).text("a-1")
    return out.done() + tail


def answer(**more: Any) -> Any:
    fields = {"allowed": True, "height": 8, "timestamp_ms": 77, "reason": "It is."}
    return SimpleNamespace(**{**fields, "clauses": ["a-1:G1"], "agreements": ["a-1"], **more})


def test_a_decision_is_bound_to_its_signer_its_network_and_its_answer() -> None:
    key = world.KEYS[1]
    data = decision()
    signed, signer = check_decision(
        data, public_key=key.public_key, signature=key.sign(Tag.DECISION, data), genesis=GENESIS
    )
    assert signer == "n2"
    check_answer(signed, QUESTION, answer())
    for other in (
        {"allowed": False},
        {"height": 9},
        {"reason": "It is not."},
        {"clauses": []},
        {"agreements": ["a-2"]},
        {"timestamp_ms": 78},
    ):
        with pytest.raises(InvalidSignature, match="is not the one signed"):
            check_answer(signed, QUESTION, answer(**other))
    asked = Question(party="acme", asset="w-2", action="display", territories=("DE",), media=())
    with pytest.raises(InvalidSignature, match="question"):
        check_answer(signed, asked, answer())


def test_a_decision_of_a_stranger_or_of_another_network_is_refused() -> None:
    stranger, key = SigningKey(bytes([99]) * 32), world.KEYS[0]
    data = decision()
    with pytest.raises(InvalidSignature, match="no validator's"):
        check_decision(
            data,
            public_key=stranger.public_key,
            signature=stranger.sign(Tag.DECISION, data),
            genesis=GENESIS,
        )
    with pytest.raises(InvalidSignature, match="does not verify"):
        check_decision(
            data, public_key=key.public_key, signature=key.sign(Tag.RECEIPT, data), genesis=GENESIS
        )
    elsewhere = decision(chain=bytes(32))
    with pytest.raises(InvalidSignature, match="another network"):
        check_decision(
            elsewhere, public_key=key.public_key, signature=key.sign(Tag.DECISION, elsewhere), genesis=GENESIS
        )


@pytest.mark.parametrize(
    "data", [b"", decision(format_=2), decision(allowed=2), decision(tail=b"\0"), decision()[:-1]]
)
def test_other_bytes_are_no_decision(data: bytes) -> None:
    with pytest.raises(InvalidEncoding):
        read_decision(data)


def test_codes_of_grpc_that_may_pass_are_retried_and_no_others() -> None:
    from licet.retry import RETRIED

    decided = {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
    }
    assert not RETRIED & decided

"""Retries bounded by time: full jitter, one finite total deadline, only where a repeat is safe.

A submission may be repeated because its id executes at most once and its bytes stay the same; a query
because it changes nothing. What the ledger or a node has decided is never asked again; that a block was
full decides nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import grpc

from licet.errors import Fault, LicetError
from licet.outcomes import RefusedInBlock, unavailable
from licet.status_details import METADATA_KEY, decode_status

T = TypeVar("T")

# The call may or may not have reached a node, or the node says that it is not its turn.
RETRIED: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }
)

# Refused in a block for want of room, which consumes no id: the same bytes may fit into the next.
RESUBMITTED: Final = frozenset({"BLOCK_FULL"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long and how often. `deadline_s` covers all attempts together."""

    deadline_s: float = 30.0
    attempt_s: float = 10.0  # one attempt; a node that hangs costs this much, then the next is asked
    first_delay_s: float = 0.05
    delay_s_max: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.attempt_s <= self.deadline_s:
            raise ValueError("an attempt takes more than 0 s and at most the total deadline")
        if not 0 < self.first_delay_s <= self.delay_s_max:
            raise ValueError("the first delay is above 0 s and at most the longest one")

    def delay_s(self, attempt: int, rng: random.Random, *, asked_s: float = 0.0) -> float:
        """Before attempt `attempt` + 1: what the node asked for, and at random up to a doubling bound."""
        bound = min(self.delay_s_max, self.first_delay_s * (1 << min(attempt, 16)))
        return asked_s + rng.uniform(0, bound)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try: which it is, and how long it may take."""

    number: int
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a try failed in a way that may pass."""

    why: str
    retry_after_s: float
    reached: bool  # whether the request may have reached a node


def metadata_of(error: grpc.RpcError) -> dict[str, Any]:
    """Trailing metadata of a failed call."""
    trailing: Any = error.trailing_metadata() if hasattr(error, "trailing_metadata") else None
    # A loop, not dict(): the Metadata of older grpcio iterates over pairs and yet has keys().
    found: dict[str, Any] = {}
    for key, value in trailing or ():
        found.setdefault(key, value)
    return found


def refused_by_node(error: grpc.RpcError) -> LicetError:
    """A call that a node refused, as an error with its code, fault and facts."""
    info = decode_status(bytes(metadata_of(error).get(METADATA_KEY, b"")))
    text = str(error.details() or error.code().name) if hasattr(error, "details") else str(error)
    if info is None:
        return LicetError(
            f"GRPC_{error.code().name}",
            f"The node refused the call: {text}",
            fault=Fault.US if error.code() is grpc.StatusCode.INTERNAL else Fault.SENDER,
            remedy="See the message; if it says nothing useful, ask the node's operator.",
        )
    facts = dict(info.metadata)
    fault, remedy = facts.pop("fault", ""), facts.pop("remedy", "")
    return LicetError(
        info.reason,
        info.message or text,
        fault=Fault(fault) if fault in set(Fault) else Fault.US,
        remedy=remedy,
        facts=facts,
    )


def failure_of(error: grpc.RpcError) -> Failure | None:
    """Why a call failed where trying again may help; None where a node has decided."""
    code = error.code()
    if code not in RETRIED:
        return None
    info = decode_status(bytes(metadata_of(error).get(METADATA_KEY, b"")))
    if code is grpc.StatusCode.UNKNOWN and info is not None:
        return None
    asked = info.metadata.get("retry_ms", "") if info else ""
    # gRPC tells refused connections apart only in its text; anything else may have been sent.
    text = str(error.details() or "")
    unsent = code is grpc.StatusCode.RESOURCE_EXHAUSTED or (
        code is grpc.StatusCode.UNAVAILABLE
        and any(sign in text for sign in ("failed to connect", "Name resolution", "DNS", "No address"))
    )
    return Failure(
        why=f"{code.name}: {text}" if text else code.name,
        retry_after_s=int(asked) / 1000 if asked.isdecimal() else 0.0,
        reached=not unsent,
    )


class Retrier:
    """Runs one operation until it succeeds, is refused, or the deadline passes."""

    def __init__(self, policy: RetryPolicy, *, rng: random.Random | None = None) -> None:
        self.policy = policy
        self._rng = rng or random.Random()

    async def run(
        self,
        operation: Callable[[Attempt], Awaitable[T]],
        *,
        on_failure: Callable[[Failure], None],
        give_up: Callable[[Failure, bool, float], LicetError] | None = None,
    ) -> T:
        """`on_failure` may turn to another node; `give_up` says what a passed deadline means."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        end = start + self.policy.deadline_s
        reached = False
        number = 0
        while True:
            timeout = min(self.policy.attempt_s, end - loop.time())
            try:
                return await operation(Attempt(number=number, timeout_s=timeout))
            except grpc.RpcError as error:
                failure = failure_of(error)
                if failure is None:
                    raise refused_by_node(error) from None
            except (TimeoutError, ConnectionError) as error:
                failure = Failure(why=str(error) or "no answer in time", retry_after_s=0.0, reached=True)
            except RefusedInBlock as refusal:
                # The node answered, so it is asked again, and nothing sent before is in doubt any more.
                delay = self.policy.delay_s(number, self._rng)
                if refusal.code not in RESUBMITTED or loop.time() + delay >= end:
                    raise
                reached = False
                await asyncio.sleep(delay)
                number += 1
                continue
            reached = reached or failure.reached
            on_failure(failure)
            delay = self.policy.delay_s(number, self._rng, asked_s=failure.retry_after_s)
            if loop.time() + delay >= end:
                waited = loop.time() - start
                if give_up is not None:
                    raise give_up(failure, reached, waited)
                raise unavailable(failure.why, retry_after_s=max(1.0, failure.retry_after_s))
            await asyncio.sleep(delay)
            number += 1

"""Retries bounded by time: full jitter, one finite total deadline, only where a repeat is safe.

A submission may be repeated because its id executes at most once and its bytes stay the same; a query
because it changes nothing. What the ledger or a node has decided is never asked again; that a block, a
node or a quota was full decides nothing. Where every address refuses to be connected to, `refused_s` may
end the trying earlier than the deadline: a client that never met its network is told at once, and one
that did waits for a node which restarts.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import grpc

from licet.endpoints import too_large
from licet.errors import Fault, LicetError
from licet.outcomes import RefusedAtAdmission, RefusedInBlock, TransactionError
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
# Refused at admission for the node's own state, not the transaction's: later, or by another node, the same
# bytes are taken. A stream answers so for one transaction among others; a call of its own fails instead.
READMITTED: Final = frozenset({"RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "UNAVAILABLE", "STORAGE_DEAD"})
ELSEWHERE: Final = frozenset({"UNAVAILABLE", "STORAGE_DEAD"})  # of these, what another node may take at once
ASKED_S_MAX: Final = 60.0  # of a node's own word on when to come again

# gRPC tells these apart only in its text. Nothing was sent, and nothing changes by asking a moment later.
_NOBODY: Final = {
    "Connection refused": "nothing listens there, the connection is refused",
    "No such file or directory": "nothing listens there, the socket does not exist",
    "No route to host": "there is no way to it",
    "Network is unreachable": "there is no way to it",
    "DNS resolution failed": "its name is not known",
    "Domain name not found": "its name is not known",
    "lookup failed": "its name is not known",
    "Name resolution": "its name is not known",
}
_UNCONNECTED: Final = ("failed to connect", "errors resolving", "Name resolution", "DNS", "No address")
_TOO_LARGE: Final = "message larger than max"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long and how often. `deadline_s` covers all attempts together."""

    deadline_s: float = 30.0
    attempt_s: float = 10.0  # one attempt; a node that hangs costs this much, then the next is asked
    first_delay_s: float = 0.05
    delay_s_max: float = 2.0
    refused_s: float | None = None  # while every address refuses connections; None for the deadline

    def __post_init__(self) -> None:
        if self.refused_s is not None and self.refused_s <= 0:
            raise ValueError("refused connections are tried for more than 0 s")
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
    nobody: bool = False  # nothing listens at the address, or there is no way to it
    silent: bool = False  # whoever is there did not answer in time
    another: bool = True  # whether another node may do better


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
    if info is None and _too_large(error):
        return too_large(text)
    if info is None and error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return LicetError(
            "NOT_A_NODE",
            f"What answers there does not know this call: {text}.",
            fault=Fault.OPERATOR,
            remedy="Check the address: clients use a node's `api.listen`, not the port for its peers.",
        )
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
    if code not in RETRIED or _too_large(error):
        return None
    info = decode_status(bytes(metadata_of(error).get(METADATA_KEY, b"")))
    if code is grpc.StatusCode.UNKNOWN and info is not None:
        return None
    asked = info.metadata.get("retry_ms", "") if info else ""
    # gRPC tells refused connections apart only in its text; anything else may have been sent.
    text = str(error.details() or "")
    unconnected = code is grpc.StatusCode.UNAVAILABLE and any(sign in text for sign in _UNCONNECTED)
    nobody = next((said for sign, said in _NOBODY.items() if unconnected and sign in text), "")
    silent = not nobody and (unconnected or (code is grpc.StatusCode.DEADLINE_EXCEEDED and info is None))
    if nobody:
        why = nobody
    elif silent:
        why = "it does not answer"
    else:
        why = f"{code.name}: {text}" if text else code.name
    return Failure(
        why=why,
        retry_after_s=_asked_s(asked),
        reached=not unconnected and code is not grpc.StatusCode.RESOURCE_EXHAUSTED,
        nobody=bool(nobody),
        silent=silent,
    )


def _asked_s(retry_ms: str) -> float:
    return min(ASKED_S_MAX, int(retry_ms) / 1000) if retry_ms.isascii() and retry_ms.isdecimal() else 0.0


def _too_large(error: grpc.RpcError) -> bool:
    """Whether gRPC itself, on either side, refused a message for its size: it does not shrink by waiting."""
    return error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and _TOO_LARGE in str(error.details() or "")


def may_pass(refusal: TransactionError) -> bool:
    """Whether the same bytes may be taken later: what was refused was no judgement of them."""
    if isinstance(refusal, RefusedInBlock):
        return refusal.code in RESUBMITTED
    return isinstance(refusal, RefusedAtAdmission) and refusal.code in READMITTED


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
        give_up: Callable[[Failure, bool, float], LicetError],
    ) -> T:
        """`on_failure` may turn to another node; `give_up` says what a passed deadline means."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        end = start + self.policy.deadline_s
        reached = False
        nobody = True
        number = 0
        while True:
            refused: TransactionError | None = None
            timeout = min(self.policy.attempt_s, end - loop.time())
            try:
                return await operation(Attempt(number=number, timeout_s=timeout))
            except grpc.RpcError as error:
                failure = failure_of(error)
                if failure is None:
                    raise refused_by_node(error) from None
            except (TimeoutError, ConnectionError) as error:
                failure = Failure(why=str(error) or "no answer in time", retry_after_s=0.0, reached=True)
            except (RefusedAtAdmission, RefusedInBlock) as refusal:
                if not may_pass(refusal):
                    raise
                if isinstance(refusal, RefusedInBlock):
                    reached = False  # it was ordered and decided: nothing sent before is in doubt any more
                failure = Failure(
                    why=refusal.message.rstrip("."),
                    retry_after_s=_asked_s(refusal.facts.get("retry_ms", "")),
                    reached=False,
                    another=refusal.code in ELSEWHERE,
                )
                refused = refusal
            reached = reached or failure.reached
            nobody = nobody and failure.nobody
            if failure.another:
                on_failure(failure)
            delay = self.policy.delay_s(number, self._rng, asked_s=failure.retry_after_s)
            refused_s = self.policy.refused_s
            until = end if refused_s is None or not nobody else min(end, start + refused_s)
            # An attempt that had no time to be answered would turn what is known into an unknown outcome.
            if refused is not None:
                until -= self.policy.attempt_s / 4
            elif nobody:
                until = min(until, end - self.policy.attempt_s / 4)
            if loop.time() + delay >= until:
                if refused is not None and not reached:
                    raise refused
                raise give_up(failure, reached, loop.time() - start)
            await asyncio.sleep(delay)
            number += 1

"""One client's connection to one network: which chain it is, its clock, its nodes, what is retried.

Shared by every `Client` that acts over it. It is bound to the event loop and the process in which it
was made, and says so in a sentence where it is used from another: gRPC does not survive a fork, and
futures of another loop never wake.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import grpc
from google.protobuf.message import Message

from licet import doubt
from licet.batching import Batcher
from licet.builder import NodeClock, SignedTransaction
from licet.endpoints import Endpoints, check_size, parse_targets
from licet.errors import Fault, LicetError
from licet.genesis import Genesis, parse_genesis
from licet.outcomes import (
    Accepted,
    Committed,
    OutcomeUnknown,
    RefusedAtAdmission,
    Unavailable,
    outcome_of,
    unavailable,
    unknown,
)
from licet.retry import Attempt, Failure, Retrier, RetryPolicy
from licet.statement import Status
from licet.transactions import TRANSACTION_BYTES_MAX
from licet.types import ChainId
from licet.v1 import ledger_pb2 as pb

T = TypeVar("T")

_LOOPBACK: Final = ("127.", "localhost:", "[::1]:")

PAGE_SIZE: Final = 500
MEETING: Final = RetryPolicy(deadline_s=10.0, attempt_s=5.0, refused_s=1.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """How a client behaves. The defaults are for a network in one country.

    `connect` holds until the client has met its network: an address that refuses is told in a moment, one
    that does not answer in seconds, for what is wrong then is most often the address. `retry` holds for
    every call after that, and waits for nodes that restart. `connect=RetryPolicy()` is for a program that
    is started beside its node, and waits for it as long.
    """

    connect: RetryPolicy = MEETING
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    page_size: int = PAGE_SIZE  # of lists
    credentials: grpc.ChannelCredentials | None = None  # None for a plain channel (loopback)
    seed: int | None = None  # of the jitter, for tests


class WrongPlace(LicetError):
    """A client used from another loop or process than its own."""

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(code, message, fault=Fault.SENDER, remedy=remedy)


def load_genesis(source: Genesis | str | os.PathLike[str]) -> Genesis:
    """A genesis, or the file that holds one."""
    if isinstance(source, Genesis):
        return source
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as why:
        reason = why.strerror if isinstance(why, OSError) else "it is not UTF-8 text"
        raise LicetError(
            "GENESIS_UNREADABLE",
            f"The genesis file {path} cannot be read: {reason}.",
            fault=Fault.OPERATOR,
            remedy="Name the genesis.json that your consortium handed out.",
            facts={"file": str(path)},
        ) from None
    return parse_genesis(text)


class Connection:
    """The chain, its nodes and its clock."""

    def __init__(self, endpoints: Endpoints, options: ClientOptions) -> None:
        self.endpoints = endpoints
        self.options = options
        self.batcher = Batcher(endpoints)
        self.genesis: Genesis
        self.chain_id: ChainId
        self.clock: NodeClock
        self.scales: dict[str, int] = {}
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        self._retrier = Retrier(options.connect, rng=random.Random(options.seed))
        self._asking: asyncio.Task[Status] | None = None
        self._closed = False

    @classmethod
    async def open(
        cls,
        target: str | list[str],
        *,
        options: ClientOptions,
        genesis: Genesis | None,
        expect_chain: bytes | None,
    ) -> Connection:
        """Connect, and make sure that it is the right network before anything is signed."""
        connection = cls(Endpoints(parse_targets(target), credentials=options.credentials), options)
        try:
            await connection._meet(genesis, expect_chain)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _meet(self, trusted: Genesis | None, expect_chain: bytes | None) -> None:
        if trusted is None:
            response = await self.call(lambda s, t: s.GetGenesis(pb.GetGenesisRequest(), timeout=t))
            self.genesis = parse_genesis(response.json)
        else:
            self.genesis = trusted
        self.chain_id = self.genesis.chain_id()
        self.clock = NodeClock(self._loop.time, manual=self.genesis.parameters.manual_clock)
        if expect_chain is not None and expect_chain != self.chain_id:
            raise _wrong_chain(expect_chain, self.chain_id)
        await self.status()
        self._retrier = Retrier(self.options.retry, rng=random.Random(self.options.seed))

    def check_place(self) -> None:
        """Raise unless this is the process and the loop that the client was made in."""
        if os.getpid() != self._pid:
            raise WrongPlace(
                "FORKED",
                f"This client was connected in process {self._pid} and is used in {os.getpid()}.",
                "Connect anew after a fork: gRPC connections do not survive one.",
            )
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if loop is not self._loop:
            raise WrongPlace(
                "WRONG_LOOP",
                "This client belongs to another event loop than the one that runs now.",
                "Connect inside the loop that uses it, or use SyncClient, which works in any thread.",
            )
        if self._closed:
            raise WrongPlace("CLIENT_CLOSED", "This client is closed.", "Connect again.")

    async def call(self, operation: Callable[[Any, float], Awaitable[T]]) -> T:
        """Run a query with retries and failover. `operation` takes the stub and a timeout."""
        self.check_place()
        generation = self.endpoints.generation

        async def attempt(this: Attempt) -> T:
            nonlocal generation
            generation = self.endpoints.generation
            return await operation(self.endpoints.stub, this.timeout_s)

        return await self._retrier.run(
            attempt,
            on_failure=lambda _: self.endpoints.turn(away_from=generation),
            give_up=lambda failure, _, waited_s: self.gave_up(failure, waited_s),
        )

    async def ask(self, rpc: str, request: Message) -> Any:
        """A query by its name; a request that is too large is told before it is sent."""
        check_size(request)
        return await self.call(lambda stub, timeout: getattr(stub, rpc)(request, timeout=timeout))

    def gave_up(self, failure: Failure, waited_s: float) -> Unavailable:
        """What it means that no node took a request: whom we asked, what came of it, what to do."""
        targets = self.endpoints.targets
        where = targets[0] if len(targets) == 1 else f"any of {', '.join(targets)}"
        facts = {"targets": ",".join(targets), "waited_s": f"{waited_s:.1f}"}
        retry_after_s = max(1.0, failure.retry_after_s)
        if failure.nobody:
            here = all(target.startswith(_LOOPBACK) for target in targets)
            start = " (`python -m node devnet` starts a network on this machine)" if here else ""
            remedy = f"Start a node there{start}, or name another with target, --target or LICET_TARGET."
            why = f"No node answers at {where}: {failure.why}"
        elif failure.silent:
            remedy = (
                "Check the address and the way to it; to wait longer, give --wait SECONDS or LICET_WAIT"
                " (in the SDK, ClientOptions)."
            )
            why = f"No node answers at {where}: {failure.why}, in {waited_s:.1f} s"
        else:
            remedy = ""
            why = f"No node took the request in {waited_s:.1f} s: {failure.why}"
        return unavailable(why, retry_after_s=retry_after_s, remedy=remedy, facts=facts)

    async def status(self) -> Status:
        """Ask the node for the public state; keeps the clock and the currencies' scales fresh."""
        message = await self.call(lambda s, t: s.GetStatus(pb.GetStatusRequest(), timeout=t))
        if message.chain_id != self.chain_id:
            raise _wrong_chain(self.chain_id, message.chain_id)
        self.clock.heard(message.now_ms, message.window_ms)
        self.scales = dict(message.currency_scales)
        fields = {name: getattr(message, name) for name in Status.__slots__}
        return Status(**{**fields, "currency_scales": dict(self.scales)})

    async def valid_until_ms(self, valid_for_ms: int | None) -> int:
        """A last moment on the node's clock, asked for again where old; one question serves all."""
        if self.clock.stale:
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self.status())
            await asyncio.shield(self._asking)
        return self.clock.valid_until_ms(valid_for_ms)

    async def send(self, tx: SignedTransaction, *, admitted: bool = False) -> Committed | Accepted:
        """Send until the ledger or a node decides, or the deadline passes. The bytes never change.

        A refusal is raised only where no attempt before it is in doubt (`licet.doubt`).
        """
        self.check_place()
        _check_transaction(tx)
        wait = pb.WAIT_ADMITTED if admitted else pb.WAIT_FINAL
        generation = self.endpoints.generation
        until = self._loop.time() + self.options.retry.deadline_s
        doubtful = False

        async def attempt(this: Attempt) -> Committed | Accepted:
            nonlocal generation, doubtful
            generation = self.endpoints.generation
            if self._closed:
                raise unknown(tx.hash, tx.id, waited_s=0, why="the client was closed")
            try:
                result = await self.batcher.submit(tx.raw, wait, timeout_s=this.timeout_s)
            except grpc.RpcError as error:
                doubtful = doubtful or doubt.may_have_arrived(error)
                raise
            except (TimeoutError, ConnectionError):
                doubtful = True
                raise
            return outcome_of(result, transaction_hash=tx.hash, id=tx.id, sender=tx.sender)

        def give_up(failure: Failure, reached: bool, waited_s: float) -> LicetError:
            if reached:
                until_ms = tx.valid_until_ms
                return unknown(tx.hash, tx.id, waited_s=waited_s, why=failure.why, valid_until_ms=until_ms)
            error = self.gave_up(failure, waited_s)
            return error.naming(transaction_hash=tx.hash, id=tx.id)

        try:
            return await self._retrier.run(
                attempt, on_failure=lambda _: self.endpoints.turn(away_from=generation), give_up=give_up
            )
        except OutcomeUnknown:
            raise
        except LicetError as error:
            if not (doubtful or doubt.HELD_FACT in error.facts) or not doubt.leaves_open(error):
                raise
            return await doubt.settle(self, tx, error, until=until)

    async def validate(self, tx: SignedTransaction) -> Committed | Accepted:
        """What the ledger would do with a transaction now, without submitting it."""
        _check_transaction(tx)
        response = await self.ask("Submit", pb.SubmitRequest(transaction=tx.raw, validate_only=True))
        return outcome_of(response.result, transaction_hash=tx.hash, id=tx.id, sender=tx.sender)

    async def close(self) -> None:
        """End streams and channels. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        await self.batcher.close()
        await self.endpoints.close()


def _check_transaction(tx: SignedTransaction) -> None:
    """Raise for more bytes than the ledger takes: on a stream, one such would break it for all others."""
    if len(tx.raw) <= TRANSACTION_BYTES_MAX:
        return
    error = RefusedAtAdmission(
        "TX_TOO_LARGE",
        f"The transaction has {len(tx.raw)} bytes, more than {TRANSACTION_BYTES_MAX}; it was not sent.",
        fault=Fault.SENDER,
        remedy="Divide it into several.",
        facts={"bytes": str(len(tx.raw)), "limit": str(TRANSACTION_BYTES_MAX)},
    )
    raise error.naming(transaction_hash=tx.hash, id=tx.id)


def _wrong_chain(expected: bytes, found: bytes) -> LicetError:
    return LicetError(
        "WRONG_CHAIN",
        f"The node belongs to network {found.hex()[:16]}…, and {expected.hex()[:16]}… is expected.",
        fault=Fault.OPERATOR,
        remedy="Connect to a node of your network, or correct the profile; nothing was signed.",
        facts={"expected": expected.hex(), "found": found.hex()},
    )

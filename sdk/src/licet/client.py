"""The asynchronous client: the whole main job, from registering a party to a proof that holds offline.

    async with await Client.connect("127.0.0.1:7101", sender="acme", key="acme.key") as client:
        sale = await client.license("offer-1", assets={"work": "w-17"})

Commands return `Committed` and raise every other outcome (`licet.outcomes`). A command is one
transaction of one sender; `submit` takes several commands, all or nothing. Ids that matter to nobody
are chosen here and named in `Committed.names`.

Nothing here trusts a node with more than availability where it can check: proofs are verified against
genesis before they are returned, and the chain is compared before anything is signed. Give
`genesis=` or `expect_chain=` to name your network; else the node's own word is taken for it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import grpc.aio

from licet import repeats
from licet.builder import SignedTransaction, build_transaction
from licet.client_commands import CommandMethods, Submission
from licet.client_queries import QueryMethods
from licet.connection import ClientOptions, Connection, load_genesis
from licet.crypto import SigningKey
from licet.doubt import CONSUMES_NO_ID
from licet.errors import Fault, LicetError
from licet.genesis import Genesis
from licet.keys import load_key
from licet.outcomes import (
    Accepted,
    Committed,
    Conflict,
    RefusedAtAdmission,
    RefusedInBlock,
    committed_of,
)
from licet.transactions import Command
from licet.v1 import ledger_pb2 as pb

if TYPE_CHECKING:
    from licet.v1.ledger_pb2_grpc import LedgerServiceAsyncStub

# Refused for its time alone, which consumes no id: it may be built again with newer time.
_TIMED_OUT: Final = frozenset({"TX_EXPIRED", "TX_TOO_FAR_AHEAD"})
IN_FLIGHT_MAX: Final = 4096  # of submit_all


def _keys(key: SigningKey | str | os.PathLike[str] | None, passphrase: str | None) -> tuple[SigningKey, ...]:
    if key is None:
        return ()
    return (key if isinstance(key, SigningKey) else load_key(key, passphrase=passphrase),)


class Client(CommandMethods, QueryMethods):
    """A party's client, or an observer's where it has no sender. Made by `Client.connect`."""

    def __init__(
        self, connection: Connection, *, sender: str | None, keys: Sequence[SigningKey], owner: bool
    ) -> None:
        self._connection = connection
        self._sender = sender
        self._keys = tuple(keys)
        self._owner = owner

    @classmethod
    async def connect(
        cls,
        target: str | list[str],
        *,
        sender: str | None = None,
        key: SigningKey | str | os.PathLike[str] | None = None,
        passphrase: str | None = None,
        genesis: Genesis | str | os.PathLike[str] | None = None,
        expect_chain: bytes | None = None,
        options: ClientOptions | None = None,
    ) -> Self:
        """Connect to one node, or to the first of several that answers."""
        keys = _keys(key, passphrase)
        trusted = None if genesis is None else load_genesis(genesis)
        connection = await Connection.open(
            target, options=options or ClientOptions(), genesis=trusted, expect_chain=expect_chain
        )
        return cls(connection, sender=sender, keys=keys, owner=True)

    def acting(
        self,
        sender: str,
        key: SigningKey | str | os.PathLike[str] | None = None,
        *,
        passphrase: str | None = None,
    ) -> Self:
        """The same connection for another party. Closing it leaves the connection open."""
        return type(self)(self._connection, sender=sender, keys=_keys(key, passphrase), owner=False)

    @property
    def sender(self) -> str | None:
        """The party that acts."""
        return self._sender

    @property
    def genesis(self) -> Genesis:
        """The network."""
        return self._connection.genesis

    @property
    def scales(self) -> dict[str, int]:
        """Decimals of each currency on the ledger."""
        return dict(self._connection.scales)

    @property
    def stub(self) -> LedgerServiceAsyncStub:
        """The raw gRPC stub of the node in use, for what has no method here."""
        return self._connection.endpoints.stub

    @property
    def channel(self) -> grpc.aio.Channel:
        """The raw channel of the node in use."""
        return self._connection.endpoints.channel

    @property
    def target(self) -> str:
        """The address of the node in use."""
        return self._connection.endpoints.target

    def _acting_sender(self, how: Submission) -> str:
        sender = how.sender or self._sender
        if sender is None:
            raise LicetError(
                "NO_SENDER",
                "This client acts for no party.",
                fault=Fault.SENDER,
                remedy="Connect with sender=… and key=…, or use client.acting(sender, key).",
            )
        return sender

    async def prepare(self, *commands: Command, how: Submission | None = None) -> SignedTransaction:
        """Build and sign a transaction without sending it."""
        how = how or Submission()
        self._connection.check_place()
        return build_transaction(
            chain_id=self._connection.chain_id,
            sender=self._acting_sender(how),
            commands=commands,
            valid_until_ms=await self._last_moment_ms(how),
            keys=(*(() if how.only_these_keys else self._keys), *how.keys),
            id=how.id,
        )

    async def _last_moment_ms(self, how: Submission) -> int:
        moment_ms = await self._connection.valid_until_ms(how.valid_for_ms)
        if how.id is None or how.valid_for_ms is not None:
            return moment_ms
        return repeats.mark_ms(moment_ms, self._connection.clock.window_ms)

    async def send(self, transaction: SignedTransaction) -> Committed:
        """Send what `prepare` made, until it is decided. Sending it again is safe."""
        outcome = await self._connection.send(transaction)
        if isinstance(outcome, Accepted):
            raise LicetError(
                "NODE_CONFUSED",
                "The node answered before the transaction was final, though it was asked to wait.",
                fault=Fault.PEER,
                remedy="Ask for the receipt, and report the node to its operator.",
                facts={"transaction_hash": transaction.hash.hex()},
            )
        return outcome

    async def submit(self, *commands: Command, how: Submission | None = None) -> Committed:
        """One transaction of one or several commands, all or nothing, until it is final.

        The same commands under the same `how.id` give the first result, for as long as the ledger
        remembers the id; behind that they would take effect again (`how.look_first` prevents it).
        """
        how = how or Submission()
        if how.id is None or how.validate_only:
            return await self._submit(commands, how)
        first = await self._first(commands, how) if how.look_first else None
        if first is not None:
            return first
        try:
            return await self._submit(commands, how)
        except Conflict as conflict:
            first = await self._first(commands, how)
            if first is None:
                raise conflict
            return first

    async def _first(self, commands: Sequence[Command], how: Submission) -> Committed | None:
        """The result that `how.id` has already; None where nothing used it. Raises for another use of it."""
        sender, id_ = self._acting_sender(how), how.id
        assert id_ is not None
        request = pb.GetReceiptRequest(sender=sender, id=id_)
        try:
            receipt = (await self._connection.ask("GetReceipt", request)).receipt
        except LicetError as error:
            if error.code != "NOT_FOUND":
                raise
            return None
        if not receipt.committed and receipt.refusal.code in CONSUMES_NO_ID:
            return None
        clock = self._connection.clock
        chain_id, window_ms = self._connection.chain_id, clock.window_ms
        if not repeats.is_repeat(
            commands, receipt, chain_id=chain_id, sender=sender, id=id_, window_ms=window_ms
        ):
            raise repeats.reused(receipt, sender=sender, id=id_)
        await self._connection.status()
        if clock.now_ms() > receipt.timestamp_ms + window_ms:
            raise repeats.used_before(receipt, sender=sender, id=id_)
        return committed_of(receipt, id=id_, sender=sender)

    async def _submit(self, commands: Sequence[Command], how: Submission) -> Committed:
        send = self._validate if how.validate_only else self.send
        transaction = await self.prepare(*commands, how=how)
        try:
            return await send(transaction)
        except RefusedAtAdmission as refusal:
            if refusal.code not in _TIMED_OUT or how.valid_for_ms is not None:
                raise
        except RefusedInBlock as refusal:
            if refusal.code != "TX_EXPIRED" or how.valid_for_ms is not None:
                raise  # ordered too early, the same bytes may be ordered again in time
        # The node's clock moved (an operator advanced it, or this machine slept), and no attempt with these
        # bytes is in doubt (`licet.doubt`): they never take effect. Only so may they be signed again, for
        # the id, which stays, protects them no longer than the validity window.
        await self._connection.status()
        return await send(await self.prepare(*commands, how=replace(how, id=transaction.id)))

    async def _validate(self, transaction: SignedTransaction) -> Committed:
        """What a transaction would do now, marked as a preview."""
        outcome = await self._connection.validate(transaction)
        if isinstance(outcome, Committed):
            return replace(outcome, preview=True)
        return Committed(
            transaction_hash=transaction.hash,
            id=transaction.id,
            sender=transaction.sender,
            height=0,
            index=0,
            timestamp_ms=self._connection.clock.now_ms(),
            preview=True,
        )

    async def submit_admitted(
        self, *commands: Command, how: Submission | None = None
    ) -> Accepted | Committed:
        """As `submit`, but return once a node holds the transaction durably."""
        return await self._connection.send(await self.prepare(*commands, how=how), admitted=True)

    async def submit_all(
        self, transactions: Iterable[Sequence[Command]], *, how: Submission | None = None
    ) -> list[Committed | LicetError]:
        """Many independent transactions at once, each with its own outcome, in order.

        Nothing is raised for one that fails: its outcome is the error. They travel as batches.
        """
        gate = asyncio.Semaphore(IN_FLIGHT_MAX)
        if how is not None and how.id is not None:
            raise ValueError("an id names one transaction, not many")

        async def one(commands: Sequence[Command]) -> Committed | LicetError:
            async with gate:
                try:
                    return await self.submit(*commands, how=how)
                except LicetError as error:
                    return error

        return list(await asyncio.gather(*(one(commands) for commands in transactions)))

    async def close(self) -> None:
        """Close the connection, unless it is another client's."""
        if self._owner:
            await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(target={self.target!r}, sender={self._sender!r})"


__all__ = ["Client", "ClientOptions", "Submission"]

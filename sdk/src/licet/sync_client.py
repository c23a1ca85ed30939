"""The synchronous client: every method of `Client` under the same name, for scripts and notebooks.

It owns a thread with an event loop, so that it works where a loop runs already (a notebook) and from
any thread. Names and signatures are those of `Client`; a test holds the two equal. A client that
crossed a fork says so in a sentence, for its thread did not.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar

import grpc.aio

from licet.client import Client
from licet.connection import ClientOptions, WrongPlace
from licet.crypto import SigningKey
from licet.genesis import Genesis

P = ParamSpec("P")
R = TypeVar("R")

_DONE: Final = object()


class _Loop:
    """A thread that runs one event loop until it is closed."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._loop.run_forever, name="licet-sync-client", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run a coroutine there and wait; an interrupt here cancels it there."""
        try:
            self._check()
        except WrongPlace:
            coroutine.close()
            raise
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _check(self) -> None:
        if os.getpid() != self._pid:
            raise WrongPlace(
                "FORKED",
                f"This client was connected in process {self._pid} and is used in {os.getpid()}.",
                "Connect anew after a fork: neither threads nor gRPC connections survive one.",
            )
        if self._loop.is_closed():
            raise WrongPlace("CLIENT_CLOSED", "This client is closed.", "Connect again.")
        if threading.current_thread() is self._thread:
            raise WrongPlace(
                "WRONG_THREAD",
                "This client is used inside the thread that serves it.",
                "Use Client, with await, in asynchronous code.",
            )

    @property
    def closed(self) -> bool:
        """Whether nothing can run here any more."""
        return os.getpid() != self._pid or self._loop.is_closed()

    def close(self) -> None:
        """Stop the loop and end the thread."""
        if os.getpid() != self._pid or self._loop.is_closed():
            return
        # There, not here: this thread may run a loop of its own.
        asyncio.run_coroutine_threadsafe(self._loop.shutdown_asyncgens(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _blocking(
    method: Callable[Concatenate[Client, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[SyncClient, P], R]:
    @functools.wraps(method)
    def call(self: SyncClient, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._loop.run(method(self._client, *args, **kwargs))

    return call


def _iterating(
    method: Callable[Concatenate[Client, P], AsyncIterator[R]],
) -> Callable[Concatenate[SyncClient, P], Iterator[R]]:
    @functools.wraps(method)
    def call(self: SyncClient, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        items = method(self._client, *args, **kwargs)

        async def following() -> Any:
            return await anext(items, _DONE)

        async def end() -> None:
            close = getattr(items, "aclose", None)
            if close is not None:
                await close()

        try:
            while (item := self._loop.run(following())) is not _DONE:
                yield item
        finally:
            # A generator that nobody finished may be collected after the client was closed, and its loop.
            if not self._loop.closed:
                self._loop.run(end())

    return call


class SyncClient:
    """`Client` without `await`."""

    def __init__(self, client: Client, loop: _Loop, *, owner: bool) -> None:
        self._client = client
        self._loop = loop
        self._owner = owner

    @classmethod
    def connect(
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
        loop = _Loop()
        try:
            client = loop.run(
                Client.connect(
                    target,
                    sender=sender,
                    key=key,
                    passphrase=passphrase,
                    genesis=genesis,
                    expect_chain=expect_chain,
                    options=options,
                )
            )
        except BaseException:
            loop.close()
            raise
        return cls(client, loop, owner=True)

    def acting(
        self,
        sender: str,
        key: SigningKey | str | os.PathLike[str] | None = None,
        *,
        passphrase: str | None = None,
    ) -> Self:
        """The same connection for another party. Closing it leaves the connection open."""
        return type(self)(self._client.acting(sender, key, passphrase=passphrase), self._loop, owner=False)

    @property
    def sender(self) -> str | None:
        """The party that acts."""
        return self._client.sender

    @property
    def genesis(self) -> Genesis:
        """The network."""
        return self._client.genesis

    @property
    def scales(self) -> dict[str, int]:
        """Decimals of each currency on the ledger."""
        return self._client.scales

    @property
    def stub(self) -> Any:
        """The raw stub; its calls belong to the client's own loop."""
        return self._client.stub

    @property
    def channel(self) -> grpc.aio.Channel:
        """The raw channel; its calls belong to the client's own loop."""
        return self._client.channel

    @property
    def target(self) -> str:
        """The address of the node in use."""
        return self._client.target

    prepare = _blocking(Client.prepare)
    send = _blocking(Client.send)
    submit = _blocking(Client.submit)
    submit_admitted = _blocking(Client.submit_admitted)
    submit_all = _blocking(Client.submit_all)

    register_party = _blocking(Client.register_party)
    add_key = _blocking(Client.add_key)
    revoke_key = _blocking(Client.revoke_key)
    register_asset = _blocking(Client.register_asset)
    add_asset_version = _blocking(Client.add_asset_version)
    register_claim = _blocking(Client.register_claim)
    link_lineage = _blocking(Client.link_lineage)
    set_payout_sheet = _blocking(Client.set_payout_sheet)
    publish_template = _blocking(Client.publish_template)
    deprecate_template = _blocking(Client.deprecate_template)
    create_offer = _blocking(Client.create_offer)
    withdraw_offer = _blocking(Client.withdraw_offer)
    accept_offer = _blocking(Client.accept_offer)
    license = _blocking(Client.license)
    create_agreement = _blocking(Client.create_agreement)
    report_usage = _blocking(Client.report_usage)
    close_period = _blocking(Client.close_period)
    deposit = _blocking(Client.deposit)
    withdraw = _blocking(Client.withdraw)
    transfer = _blocking(Client.transfer)
    pay = _blocking(Client.pay)

    status = _blocking(Client.status)
    receipt = _blocking(Client.receipt)
    list_headers = _iterating(Client.list_headers)
    get_party = _blocking(Client.get_party)
    list_parties = _iterating(Client.list_parties)
    get_asset = _blocking(Client.get_asset)
    list_assets = _iterating(Client.list_assets)
    get_claim = _blocking(Client.get_claim)
    list_claims = _iterating(Client.list_claims)
    get_template = _blocking(Client.get_template)
    list_templates = _iterating(Client.list_templates)
    get_offer = _blocking(Client.get_offer)
    list_offers = _iterating(Client.list_offers)
    get_agreement = _blocking(Client.get_agreement)
    list_agreements = _iterating(Client.list_agreements)
    get_obligation = _blocking(Client.get_obligation)
    list_obligations = _iterating(Client.list_obligations)
    get_usage_report = _blocking(Client.get_usage_report)
    list_usage_reports = _iterating(Client.list_usage_reports)
    list_balances = _iterating(Client.list_balances)
    lineage = _blocking(Client.lineage)
    statement = _blocking(Client.statement)
    authorize = _blocking(Client.authorize)
    quote = _blocking(Client.quote)
    simulate = _blocking(Client.simulate)
    events = _iterating(Client.events)
    wait_anchored = _blocking(Client.wait_anchored)
    proof = _blocking(Client.proof)
    certificate = _blocking(Client.certificate)
    receipt_certificate = _blocking(Client.receipt_certificate)

    def close(self) -> None:
        """Close the connection and end the thread, unless they are another client's."""
        if self._owner and not self._loop._loop.is_closed():
            self._loop.run(self._client.close())
            self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(target={self.target!r}, sender={self.sender!r})"

"""A whole node in the test's own loop: real store, real sockets, one sequencer, manual clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import pytest_asyncio
from licet.client import Client
from licet.v1.admin_pb2_grpc import AdminServiceStub
from licet.v1.ledger_pb2_grpc import LedgerServiceStub

from node import app, config
from node.devnet import network
from node.devnet.network import HOST, Ports
from node.operations.keyfiles import development_key

TERMS = Path(__file__).resolve().parents[4] / "examples" / "terms"


@dataclass(slots=True, kw_only=True)
class Running:
    """A node that serves, and a client of it for each demo party."""

    app: app.App
    channel: grpc.aio.Channel
    admin_channel: grpc.aio.Channel
    client: Client

    @property
    def stub(self) -> LedgerServiceStub:
        return LedgerServiceStub(self.channel)

    @property
    def admin(self) -> AdminServiceStub:
        return AdminServiceStub(self.admin_channel)

    def acting(self, party: str) -> Client:
        return self.client.acting(party, development_key(party))


@pytest_asyncio.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    free = config.Address(host=HOST, port=0)
    made = network.create(
        tmp_path / "net",
        name="test",
        nodes=1,
        ports=[Ports(api=free, peer=free, metrics=free)],
        dev=True,
        manual_clock=True,
        parties=network.demo_parties(),
    )
    settings = config.load(made.nodes[0].config, {})
    identity = app.initialise(settings)
    node = app.App(settings, identity)
    stopping = asyncio.Event()
    task = asyncio.create_task(node.run(stopping))
    serving = asyncio.create_task(node.serving.wait())
    await asyncio.wait([task, serving], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    target = f"{HOST}:{node.api_port}"
    channel = grpc.aio.insecure_channel(target)
    admin = grpc.aio.insecure_channel(f"unix:{settings.admin_socket.absolute()}")
    async with await Client.connect(target, genesis=made.genesis) as client:
        yield Running(app=node, channel=channel, admin_channel=admin, client=client)
    await channel.close()
    await admin.close()
    stopping.set()
    assert await task == app.EXIT_STOPPED

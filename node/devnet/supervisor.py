"""A development network: its processes, the first finalised transaction, and what is typed at it.

Talks to its nodes as any client does: the first transaction goes through the API, the clock through the
admin socket. Knows nothing of a node's insides.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
from licet import __version__
from licet.certificate import ValidatorSet
from licet.codec import encode_body, encode_transaction
from licet.crypto import SigningKey
from licet.encoding import Tag
from licet.errors import Fault, LicetError
from licet.transactions import ID_BYTES, Deposit, KeySignature, Money, TransactionBody
from licet.v1 import admin_pb2, ledger_pb2
from licet.v1.admin_pb2_grpc import AdminServiceStub
from licet.v1.ledger_pb2_grpc import LedgerServiceStub

from node.devnet.network import DEMO_PARTIES, NetworkFolder
from node.devnet.processes import Condition, NodeProcess
from node.health import outlook
from node.keyfiles import development_key

READY_S: Final = 30.0
CALL_S: Final = 10.0
ADVANCE_S: Final = 40.0
CHANNEL_OPTIONS: Final = [
    ("grpc.initial_reconnect_backoff_ms", 20),
    ("grpc.min_reconnect_backoff_ms", 20),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.use_local_subchannel_pool", 1),
]


class DevnetFailed(LicetError):
    """A node that did not come up, or a network that did not finalise."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__("DEVNET_FAILED", why, fault=Fault.MACHINE, remedy=remedy)


class Supervisor:
    """Starts, watches and stops the nodes of one network."""

    def __init__(self, network: NetworkFolder) -> None:
        self.network = network
        self.nodes = [NodeProcess(place, self._ended) for place in network.nodes]
        self.notices: asyncio.Queue[str] = asyncio.Queue()
        self.first_final_s: float | None = None
        self._failed = asyncio.Event()
        self._validators = ValidatorSet(
            keys=tuple(validator.public_key for validator in network.genesis.validators)
        )

    # --- life -----------------------------------------------------------------------------------

    async def start(self, pids: Sequence[int], began: float) -> None:
        """Watch the nodes and return when the network has finalised (`began`: monotonic seconds)."""
        for node, pid in zip(self.nodes, pids, strict=True):
            node.adopt(pid)
        ready = asyncio.create_task(self._until_ready(began))
        failed = asyncio.create_task(self._failed.wait())
        done, _ = await asyncio.wait([ready, failed], return_when=asyncio.FIRST_COMPLETED)
        failed.cancel()
        if ready not in done:
            ready.cancel()
            raise DevnetFailed(self.notices.get_nowait(), "Its log says why; fix that and start again.")
        ready.result()

    async def _until_ready(self, began: float) -> None:
        try:
            async with asyncio.timeout(READY_S):
                await self._answering(0)
                if self.network.fresh:
                    await self._fund()
                    self.first_final_s = time.monotonic() - began
                for at in range(1, len(self.nodes)):
                    await self._answering(at)
        except TimeoutError:
            raise DevnetFailed(
                f"The network did not answer in {READY_S:.0f} s.",
                f"Read the logs in {self.network.folder}.",
            ) from None

    async def _answering(self, at: int) -> ledger_pb2.GetStatusResponse:
        """The status of a node, once it answers and has a quorum's company."""
        async with self._ledger(self.nodes[at]) as stub:
            status: ledger_pb2.GetStatusResponse = await stub.GetStatus(
                ledger_pb2.GetStatusRequest(), wait_for_ready=True
            )
            return status

    async def _fund(self) -> None:
        """The first transaction: the issuer deposits what the demo parties begin with."""
        issuer = DEMO_PARTIES[0]
        deposits = tuple(
            Deposit(to=one.party, amount=Money(currency="EUR", minor=one.funds_minor), reference="devnet")
            for one in DEMO_PARTIES
            if one.funds_minor
        )
        async with self._ledger(self.nodes[0]) as stub:
            status = await stub.GetStatus(ledger_pb2.GetStatusRequest())
            body = TransactionBody(
                chain_id=self.network.genesis.chain_id(),
                id=secrets.token_bytes(ID_BYTES),
                sender=issuer.party,
                valid_until_ms=status.now_ms + status.window_ms // 2,
                commands=deposits,
            )
            raw = _signed(body, development_key(issuer.party))
            response = await stub.Submit(ledger_pb2.SubmitRequest(transaction=raw), timeout=READY_S)
        result = response.result
        if not (result.HasField("receipt") and result.receipt.committed):
            raise DevnetFailed(
                f"The first transaction was refused: {result.refusal.message or result.receipt.refusal}.",
                f"Read the logs in {self.network.folder}.",
            )

    async def stop(self) -> None:
        await asyncio.gather(*(node.stop() for node in self.nodes))

    def _ended(self, node: NodeProcess, code: int) -> None:
        """A node ended and nobody asked for it."""
        self._failed.set()
        self.notices.put_nowait(
            f"{node.name} ended by itself (code {code}): {node.last_words()}; {self.outlook()}"
        )

    # --- what is said ---------------------------------------------------------------------------

    def outlook(self) -> str:
        up = sum(node.condition is Condition.UP for node in self.nodes)
        return outlook(up, self._validators)

    def node(self, name: str) -> NodeProcess:
        for node in self.nodes:
            if node.name in (name, f"n{name}"):
                return node
        raise ValueError(f"there is no node {name!r}: they are n1 to n{len(self.nodes)}")

    @contextlib.asynccontextmanager
    async def _ledger(self, node: NodeProcess) -> Any:
        target = str(node.place.ports.api)
        async with grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS) as channel:
            yield LedgerServiceStub(channel)

    async def sentence(self, node: NodeProcess) -> str:
        """What a running node says of itself."""
        try:
            async with self._ledger(node) as stub:
                status = await stub.GetStatus(ledger_pb2.GetStatusRequest(), timeout=2.0)
                return str(status.sentence)
        except grpc.RpcError:
            return "does not answer"

    async def now_ms(self) -> int:
        async with self._ledger(self._any_up()) as stub:
            status = await stub.GetStatus(ledger_pb2.GetStatusRequest(), timeout=CALL_S)
            return int(status.now_ms)

    def _any_up(self) -> NodeProcess:
        for node in self.nodes:
            if node.condition is Condition.UP:
                return node
        raise ValueError("no node is up")

    async def advance(self, to_ms: int) -> int:
        """Move the network's virtual clock; returns when a block with that time is final."""
        path = self._any_up().place.admin.absolute()
        async with grpc.aio.insecure_channel(f"unix:{path}", options=CHANNEL_OPTIONS) as channel:
            request = admin_pb2.AdvanceClockRequest(to_ms=to_ms)
            stub: Any = AdminServiceStub(channel)
            answer = await stub.AdvanceClock(request, timeout=ADVANCE_S)
            return int(answer.now_ms)

    def facts(self) -> dict[str, Any]:
        """The ready file's content."""
        genesis = self.network.genesis
        return {
            "version": __version__,
            "network": genesis.name,
            "chain_id": genesis.chain_id().hex(),
            "dev": genesis.dev,
            "manual_clock": genesis.parameters.manual_clock,
            "genesis": str(self.network.genesis_file.absolute()),
            "data": str(self.network.folder.absolute()),
            "pid": os.getpid(),
            "first_final_s": None if self.first_final_s is None else round(self.first_final_s, 3),
            "nodes": [
                {
                    "name": node.name,
                    "api": str(node.place.ports.api),
                    "peer": str(node.place.ports.peer),
                    "metrics": str(node.place.ports.metrics),
                    "admin": str(node.place.admin.absolute()),
                    "data": str(node.place.data.absolute()),
                    "config": str(node.place.config.absolute()),
                    "log": str(node.place.log.absolute()),
                    "pid": node.pid,
                }
                for node in self.nodes
            ],
            "parties": {
                one.label: {
                    "party": one.party,
                    "name": one.name,
                    "seed": development_key(one.party).seed.hex(),
                    "public_key": development_key(one.party).public_key.hex(),
                    "funds_minor": one.funds_minor,
                    "currency": "EUR",
                }
                for one in DEMO_PARTIES
            },
        }

    def write_ready_file(self, path: Path) -> None:
        """Write it beside and rename it, so that a reader sees all of it or nothing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(path.name + ".part")
        aside.write_text(json.dumps(self.facts(), indent=2) + "\n")
        aside.replace(path)


def _signed(body: TransactionBody, key: SigningKey) -> bytes:
    raw = encode_body(body)
    signature = KeySignature(public_key=key.public_key, signature=key.sign(Tag.TRANSACTION, raw))
    return encode_transaction(raw, [signature])

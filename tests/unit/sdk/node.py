"""A scripted node: a real gRPC server in this process that answers what a test tells it to.

It decodes what it is sent with the SDK's own codec and checks every signature, so that a client that
sent nonsense would be noticed here too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from licet.codec import decode_transaction
from licet.crypto import signature_valid
from licet.encoding import Tag
from licet.genesis import Genesis
from licet.status_details import METADATA_KEY, ErrorInfo, encode_status
from licet.transactions import Transaction
from licet.v1 import ledger_pb2 as pb
from licet.v1.ledger_pb2_grpc import LedgerServiceServicer, add_LedgerServiceServicer_to_server

from tests.unit.sdk import world

Answer = Callable[[Transaction], Awaitable[pb.SubmitResult]]


def committed(tx: Transaction, *, height: int = 5) -> pb.SubmitResult:
    return pb.SubmitResult(
        transaction_hash=tx.hash,
        receipt=pb.Receipt(transaction_hash=tx.hash, height=height, committed=True, timestamp_ms=77),
    )


def refusal(tx: Transaction, code: str, *, clause: str = "", in_block: bool = False) -> pb.SubmitResult:
    said = pb.Refusal(
        code=code,
        message=f"Refused: {code}.",
        fault="sender",
        remedy="Do better.",
        facts={"limit": "3"},
        clause=clause,
    )
    if in_block:
        receipt = pb.Receipt(transaction_hash=tx.hash, height=6, index=2, committed=False, refusal=said)
        return pb.SubmitResult(transaction_hash=tx.hash, receipt=receipt)
    return pb.SubmitResult(transaction_hash=tx.hash, refusal=said)


class Node(LedgerServiceServicer):
    """Answers with `answer`; counts what arrived and how."""

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self.seen: list[Transaction] = []
        self.unary = 0
        self.messages: list[int] = []
        self.status_calls = 0
        self.now_ms = genesis.time_ms
        self.final_ms = genesis.time_ms  # of the highest final block
        self.answer: Answer = self._commit
        self.fail: Callable[[str], tuple[grpc.StatusCode, str] | None] = lambda rpc: None
        self.replies: dict[str, Any] = {}
        self.validated = 0
        self._news = asyncio.Event()

    async def _commit(self, tx: Transaction) -> pb.SubmitResult:
        return committed(tx)

    async def _gate(self, rpc: str, context: Any) -> None:
        failure = self.fail(rpc)
        if failure is not None:
            await context.abort(*failure)

    def _take(self, raw: bytes) -> Transaction:
        tx = decode_transaction(raw)
        assert tx.body.chain_id == self.genesis.chain_id()
        for item in tx.signatures:
            assert signature_valid(item.public_key, item.signature, Tag.TRANSACTION, tx.raw_body)
        self.seen.append(tx)
        self._news.set()
        return tx

    async def arrived(self, count: int) -> None:
        """Return once so many transactions have come."""
        while len(self.seen) < count:
            self._news.clear()
            await self._news.wait()

    async def Submit(self, request: Any, context: Any) -> pb.SubmitResponse:
        await self._gate("Submit", context)
        tx = self._take(request.transaction)
        if request.validate_only:
            self.validated += 1
        else:
            self.unary += 1
        return pb.SubmitResponse(result=await self.answer(tx))

    async def SubmitStream(self, requests: Any, context: Any) -> AsyncIterator[Any]:
        await self._gate("SubmitStream", context)
        async for request in requests:
            self.messages.append(len(request.transactions))
            await self._gate("SubmitStream.message", context)
            txs = [self._take(raw) for raw in request.transactions]
            results = await asyncio.gather(*(self.answer(tx) for tx in txs))
            yield pb.SubmitStreamResponse(sequence=request.sequence, results=results)

    async def GetGenesis(self, request: Any, context: Any) -> pb.GetGenesisResponse:
        await self._gate("GetGenesis", context)
        return pb.GetGenesisResponse(json=self.genesis.to_json())

    async def GetStatus(self, request: Any, context: Any) -> pb.GetStatusResponse:
        await self._gate("GetStatus", context)
        self.status_calls += 1
        reply = pb.GetStatusResponse(
            node="n1",
            chain_id=self.genesis.chain_id(),
            network="paper",
            height=9,
            anchored_height=8,
            now_ms=self.now_ms,
            timestamp_ms=self.final_ms,
            window_ms=300_000,
            currency_scales={"EUR": 6, "JPY": 0},
        )
        return reply

    async def StreamEvents(self, request: Any, context: Any) -> AsyncIterator[Any]:
        async for response in self.replies["StreamEvents"](request, context):
            yield response

    def __getattribute__(self, name: str) -> Any:
        replies = object.__getattribute__(self, "__dict__").get("replies", {})
        if name in replies and name != "StreamEvents":

            async def reply(request: Any, context: Any) -> Any:
                await self._gate(name, context)
                answer = replies[name]
                return answer(request) if callable(answer) else answer

            return reply
        return object.__getattribute__(self, name)


async def abort_with(context: Any, code: grpc.StatusCode, message: str, info: ErrorInfo) -> None:
    """End a call as the API does: a status with an ErrorInfo."""
    context.set_trailing_metadata(((METADATA_KEY, encode_status(code.value[0], message, info)),))
    await context.abort(code, message)


@asynccontextmanager
async def serving(
    node: Node | None = None, *, port: int = 0, replies: dict[str, Any] | None = None
) -> AsyncIterator[tuple[Node, str]]:
    """The node on a free port of loopback. `replies` answer other calls by name."""
    node = node or Node(world.genesis())
    node.replies.update(replies or {})
    server = grpc.aio.server()
    add_LedgerServiceServicer_to_server(node, server)  # type: ignore[no-untyped-call]
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield node, f"127.0.0.1:{bound}"
    finally:
        await server.stop(grace=None)

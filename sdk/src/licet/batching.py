"""Batches by itself: one unary call when idle, one stream of batches when calls overlap.

A unary call costs 240 to 410 µs of CPU on both sides together, a batch of a hundred 1 to 2 µs a
transaction (design/performance.md). So the first submission of a quiet client goes alone, without
waiting for company; what arrives while another is in flight is merged into messages of SubmitStream.
At most `STREAM_MESSAGES_MAX` are unanswered, so that batches grow exactly as fast as the node is slow.

Nothing here retries: a broken stream fails what was on it, and the caller sends the same bytes again.
Memory is bounded: a submitter waits while `WAITING_MAX` transactions or `WAITING_BYTES_MAX` bytes do.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import grpc.aio

from licet import endpoints
from licet.endpoints import Endpoints
from licet.transactions import TRANSACTION_BYTES_MAX
from licet.v1 import ledger_pb2 as pb

MESSAGE_TRANSACTIONS_MAX: Final = 512
MESSAGE_BYTES_MAX: Final = 2 * 1024 * 1024
STREAM_MESSAGES_MAX: Final = 8
WAITING_MAX: Final = 50_000
WAITING_BYTES_MAX: Final = 64 * 1024 * 1024

assert TRANSACTION_BYTES_MAX < MESSAGE_BYTES_MAX < endpoints.MESSAGE_BYTES_MAX
assert MESSAGE_BYTES_MAX < WAITING_BYTES_MAX
assert MESSAGE_TRANSACTIONS_MAX < WAITING_MAX


class StreamBroken(ConnectionError):
    """The stream ended before this transaction had its result."""


@dataclass(slots=True, eq=False)
class _Item:
    raw: bytes
    wait: pb.Wait.ValueType
    future: asyncio.Future[pb.SubmitResult]


@dataclass(slots=True, kw_only=True)
class BatchStats:
    """How submissions travelled."""

    unary: int = 0
    messages: int = 0
    streamed: int = 0
    streams: int = 0


class _Stream:
    """One SubmitStream call to one node: what is on it, and its two halves."""

    def __init__(self, call: Any, generation: int) -> None:
        self.call = call
        self.generation = generation
        self.unanswered: dict[int, list[_Item]] = {}
        self.sequence = 0
        self.broken: str | None = None
        self.reader: asyncio.Task[None] | None = None


class Batcher:
    """Sends transactions and gives each its result."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._queue: deque[_Item] = deque()
        self._queued_bytes = 0
        self._in_flight = 0
        self._stream: _Stream | None = None
        self._pump: asyncio.Task[None] | None = None
        self._room = asyncio.Condition()
        self._news = asyncio.Event()
        self._closed = False
        self.stats = BatchStats()

    async def submit(self, raw: bytes, wait: pb.Wait.ValueType, *, timeout_s: float) -> pb.SubmitResult:
        """Send one serialized transaction; raises `grpc.RpcError`, `StreamBroken` or `TimeoutError`."""
        if self._closed:
            raise StreamBroken("the client is closed")
        alone = self._in_flight == 0 and not self._queue
        self._in_flight += 1
        try:
            if alone:
                return await self._unary(raw, wait, timeout_s)
            return await self._merged(raw, wait, timeout_s)
        finally:
            self._in_flight -= 1

    async def _unary(self, raw: bytes, wait: pb.Wait.ValueType, timeout_s: float) -> pb.SubmitResult:
        self.stats.unary += 1
        request = pb.SubmitRequest(transaction=raw, wait=wait)
        try:
            response = await self._endpoints.stub.Submit(request, timeout=timeout_s)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closed and task is not None and not task.cancelling():
                # Closing the channel cancels the call; whoever waits for it was not cancelled.
                raise StreamBroken("the client is closed") from None
            raise
        return response.result

    async def _merged(self, raw: bytes, wait: pb.Wait.ValueType, timeout_s: float) -> pb.SubmitResult:
        async with asyncio.timeout(timeout_s):
            async with self._room:
                await self._room.wait_for(self._has_room)
            item = _Item(raw, wait, asyncio.get_running_loop().create_future())
            self._queue.append(item)
            self._queued_bytes += len(raw)
            if self._pump is None or self._pump.done():
                self._pump = asyncio.create_task(self._run(), name="licet-batcher")
            self._news.set()
            return await item.future

    def _has_room(self) -> bool:
        return self._closed or (len(self._queue) < WAITING_MAX and self._queued_bytes < WAITING_BYTES_MAX)

    async def _run(self) -> None:
        """Move what waits onto the stream, a message at a time, for as long as anything waits."""
        while not self._closed:
            stream = self._stream
            if self._queue and (stream is None or len(stream.unanswered) < STREAM_MESSAGES_MAX):
                await self._send_message()
                continue
            self._news.clear()
            await self._news.wait()

    def _take(self) -> tuple[list[_Item], pb.Wait.ValueType]:
        """The next message: transactions in order that wait for the same thing, within the limits."""
        items: list[_Item] = []
        size = 0
        wait = self._queue[0].wait
        while self._queue and len(items) < MESSAGE_TRANSACTIONS_MAX and self._queue[0].wait == wait:
            if items and size + len(self._queue[0].raw) > MESSAGE_BYTES_MAX:
                break
            item = self._queue.popleft()
            self._queued_bytes -= len(item.raw)
            if item.future.done():  # its submitter gave up while it waited
                continue
            items.append(item)
            size += len(item.raw)
        return items, wait

    async def _send_message(self) -> None:
        items, wait = self._take()
        async with self._room:
            self._room.notify_all()
        if not items:
            return
        try:
            stream = self._open()
            stream.sequence += 1
            stream.unanswered[stream.sequence] = items
            self.stats.messages += 1
            self.stats.streamed += len(items)
            await stream.call.write(
                pb.SubmitStreamRequest(
                    sequence=stream.sequence, transactions=[item.raw for item in items], wait=wait
                )
            )
        except asyncio.CancelledError:
            # grpc.aio raises this from a write on a call that we cancelled, too.
            _fail(items, "the stream was left")
            task = asyncio.current_task()
            if self._closed or (task is not None and task.cancelling()):
                raise
        except Exception as error:
            # The reader learns the same and fails what was on the stream; these may not be on it yet.
            _fail(items, _reason(error))

    def _open(self) -> _Stream:
        stream = self._stream
        if stream is not None and stream.broken is None and stream.generation == self._endpoints.generation:
            return stream
        if stream is not None:
            self._break(stream, "another node is used now")
        stream = _Stream(self._endpoints.stub.SubmitStream(), self._endpoints.generation)
        stream.reader = asyncio.create_task(self._read(stream), name="licet-batcher-reader")
        self._stream = stream
        self.stats.streams += 1
        return stream

    async def _read(self, stream: _Stream) -> None:
        why = "the node ended the stream"
        try:
            async for response in _responses(stream.call):
                items = stream.unanswered.pop(response.sequence, [])
                if len(response.results) != len(items):
                    _fail(items, "the node answered for another number of transactions")
                for item, result in zip(items, response.results, strict=False):
                    if not item.future.done():
                        item.future.set_result(result)
                self._news.set()
        except (grpc.RpcError, asyncio.InvalidStateError) as error:
            why = _reason(error)
        except asyncio.CancelledError:
            why = "the client is closed"
        finally:
            self._break(stream, why)

    def _break(self, stream: _Stream, why: str) -> None:
        if stream.broken is None:
            stream.broken = why
            stream.call.cancel()
        for items in stream.unanswered.values():
            _fail(items, why)
        stream.unanswered.clear()
        if self._stream is stream:
            self._stream = None
        self._news.set()

    async def close(self) -> None:
        """Fail what waits, end the stream and its tasks."""
        self._closed = True
        _fail(self._queue, "the client is closed")
        self._queue.clear()
        stream = self._stream
        tasks = [self._pump, stream.reader if stream else None]
        if stream is not None:
            self._break(stream, "the client is closed")
        async with self._room:
            self._room.notify_all()
        for task in tasks:
            if task is not None and task is not asyncio.current_task():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


async def _responses(call: Any) -> AsyncIterator[pb.SubmitStreamResponse]:
    while True:
        response = await call.read()
        if response is grpc.aio.EOF:
            return
        yield response


def _reason(error: BaseException) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details() or ''}".rstrip(": ")
    return str(error) or type(error).__name__


def _fail(items: Any, why: str) -> None:
    for item in items:
        if not item.future.done():
            item.future.set_exception(StreamBroken(why))

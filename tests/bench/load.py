"""The load generator: batches on SubmitStream to every node, closed loop or open loop.

A transaction counts when its receipt says that it was committed by a final block. Latency is from
handing a batch to the stream to its response, so it holds the client's own queueing too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import grpc
from licet.v1 import ledger_pb2 as pb
from licet.v1 import ledger_pb2_grpc as rpc

CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", 64 << 20),
]


@dataclass(slots=True)
class Outcome:
    """What a run did. Times are seconds of one monotonic clock."""

    begun: float = 0.0
    committed_at: list[tuple[float, int]] = field(default_factory=list)
    latencies_s: list[tuple[float, float, int]] = field(
        default_factory=list
    )  # (sent at, latency, transactions)
    committed: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    lost: int = 0

    def rate(self, seconds: float | None = None) -> float:
        """Committed a second between the first and the last commit, or in the first `seconds` of the run."""
        if not self.committed_at:
            return 0.0
        if seconds is None:
            first, last = self.committed_at[0], self.committed_at[-1]
            span = last[0] - first[0]
            return (self.committed - first[1]) / span if span > 0 else 0.0
        return sum(n for at, n in self.committed_at if at - self.begun <= seconds) / seconds

    def percentile_ms(self, share: float, *, after_s: float = 0.0) -> float:
        """Latency below which `share` of the transactions stayed, leaving out the first `after_s` seconds."""
        rows = sorted((latency, n) for at, latency, n in self.latencies_s if at - self.begun >= after_s)
        total = sum(n for _, n in rows)
        seen = 0
        for latency, n in rows:
            seen += n
            if seen >= share * total:
                return latency * 1000
        return float("nan")

    def gaps_s(self, *, after: float) -> list[float]:
        """Times between neighbouring commits after `after`, longest first."""
        times = [after, *(at for at, _ in self.committed_at if at > after)]
        return sorted((b - a for a, b in pairwise(times)), reverse=True)


class _Lane:
    """One stream to one node."""

    def __init__(self, target: str, outcome: Outcome) -> None:
        self.channel = grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)
        self.outcome = outcome
        self.requests: asyncio.Queue[pb.SubmitStreamRequest | None] = asyncio.Queue()
        self.sent: dict[int, tuple[float, int]] = {}
        self.room = asyncio.Condition()
        self.dead = False

    async def _feed(self) -> AsyncIterator[pb.SubmitStreamRequest]:
        while (request := await self.requests.get()) is not None:
            yield request

    async def run(self) -> None:
        try:
            async for response in rpc.LedgerServiceStub(self.channel).SubmitStream(self._feed()):
                self._count(response)
                async with self.room:
                    self.room.notify_all()
        except grpc.aio.AioRpcError:
            pass
        self.dead = True
        self.outcome.lost += sum(n for _, n in self.sent.values())
        async with self.room:
            self.room.notify_all()
        await self.channel.close()

    def _count(self, response: pb.SubmitStreamResponse) -> None:
        now = time.monotonic()
        sent_at, count = self.sent.pop(response.sequence)
        good = 0
        for result in response.results:
            if result.HasField("receipt") and result.receipt.committed:
                good += 1
            else:
                which = result.WhichOneof("outcome")
                refusal = result.refusal if which == "refusal" else result.receipt.refusal
                code = refusal.code or str(which)
                self.outcome.refused[code] = self.outcome.refused.get(code, 0) + 1
        self.outcome.committed += good
        self.outcome.committed_at.append((now, good))
        self.outcome.latencies_s.append((sent_at, now - sent_at, count))

    def send(self, sequence: int, batch: Sequence[bytes]) -> None:
        self.sent[sequence] = (time.monotonic(), len(batch))
        self.requests.put_nowait(
            pb.SubmitStreamRequest(sequence=sequence, transactions=batch, wait=pb.WAIT_FINAL, brief=True)
        )

    async def wait_for_room(self, at_most: int) -> None:
        async with self.room:
            await self.room.wait_for(lambda: self.dead or len(self.sent) < at_most)

    async def finish(self, limit_s: float) -> None:
        try:
            async with asyncio.timeout(limit_s):
                await self.wait_for_room(1)
        except TimeoutError:
            pass
        self.requests.put_nowait(None)


def _batches(transactions: Sequence[bytes], size: int) -> list[Sequence[bytes]]:
    return [transactions[at : at + size] for at in range(0, len(transactions), size)]


async def closed_loop(
    targets: Sequence[str],
    transactions: Sequence[bytes],
    *,
    batch: int = 100,
    in_flight: int = 8,
    seconds: float | None = None,
    drain_s: float = 20.0,
) -> Outcome:
    """Keep `in_flight` batches under way on each node until the transactions or the seconds end."""
    outcome = Outcome()
    lanes = [_Lane(target, outcome) for target in targets]
    readers = [asyncio.create_task(lane.run()) for lane in lanes]
    supply = iter(enumerate(_batches(transactions, batch)))
    outcome.begun = time.monotonic()

    async def pump(lane: _Lane) -> None:
        for sequence, chunk in supply:
            lane.send(sequence, chunk)
            await lane.wait_for_room(in_flight)
            if lane.dead or (seconds is not None and time.monotonic() - outcome.begun > seconds):
                return

    await asyncio.gather(*(pump(lane) for lane in lanes))
    await asyncio.gather(*(lane.finish(drain_s) for lane in lanes))
    await _end(readers)
    return outcome


async def open_loop(
    targets: Sequence[str],
    transactions: Sequence[bytes],
    *,
    per_second: float,
    batch: int = 1,
    on_start: asyncio.Event | None = None,
    drain_s: float = 20.0,
) -> Outcome:
    """Send `batch` transactions at a time at a fixed rate, whatever the answers do."""
    outcome = Outcome()
    lanes = [_Lane(target, outcome) for target in targets]
    readers = [asyncio.create_task(lane.run()) for lane in lanes]
    outcome.begun = time.monotonic()
    if on_start is not None:
        on_start.set()
    for number, chunk in enumerate(_batches(transactions, batch)):
        due = outcome.begun + number * batch / per_second
        if (pause := due - time.monotonic()) > 0:
            await asyncio.sleep(pause)
        alive = [lane for lane in lanes if not lane.dead]
        alive[number % len(alive)].send(number, chunk)
    await asyncio.gather(*(lane.finish(drain_s) for lane in lanes))
    await _end(readers)
    return outcome


async def _end(readers: Sequence[asyncio.Task[None]]) -> None:
    done, late = await asyncio.wait(readers, timeout=10)
    for task in late:
        task.cancel()
    for task in done:
        task.result()

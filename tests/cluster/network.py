"""Real node processes for tests: a devnet as a user starts it, commands typed at it, and clients.

Waits are for conditions, each with a limit; a condition that does not come fails with what was last seen.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Self

import grpc.aio
from licet.codec import encode_body, encode_transaction
from licet.crypto import SigningKey
from licet.encoding import Tag
from licet.transactions import Command, KeySignature, Money, TransactionBody, Transfer, transaction_hash
from licet.types import ChainId
from licet.v1 import ledger_pb2 as pb
from licet.v1.ledger_pb2_grpc import LedgerServiceStub

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 30.0
POLL_S = 0.02


async def until(
    look: Callable[[], Awaitable[Any]], right: Callable[[Any], bool], *, what: str, timeout_s: float = LIMIT_S
) -> Any:
    """What `look` sees once it is right."""
    seen: Any = None
    try:
        async with asyncio.timeout(timeout_s):
            while not right(seen := await look()):  # noqa: ASYNC110 (another process sets no event)
                await asyncio.sleep(POLL_S)
            return seen
    except TimeoutError:
        raise AssertionError(f"{what}: not within {timeout_s:.0f} s; last seen: {seen}") from None


class Devnet:
    """`python -m node devnet` in a folder of the test's own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.options = options
        self.facts: dict[str, Any] = {}
        self._process: asyncio.subprocess.Process
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def __aenter__(self) -> Self:
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "node", "devnet", "--port", "0", "--quiet", "--data", str(self.folder / "net")),
            *("--ready-file", str(ready), *self.options),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )

        async def look() -> bool:
            assert self._process.returncode is None, "the devnet ended"
            return ready.exists()

        await until(look, bool, what="the network is ready")
        self.facts = json.loads(ready.read_text())
        return self

    async def __aexit__(self, *_: object) -> None:
        for channel in self._channels.values():
            await channel.close()
        if self._process.returncode is None:
            self._process.terminate()
            assert await asyncio.wait_for(self._process.wait(), LIMIT_S) == 0
        assert self._process.stdout is not None
        await self._process.stdout.read()
        assert self._process.stdin is not None
        self._process.stdin.close()

    async def type(self, command: str) -> str:
        """One command, and the line that answers it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command.encode() + b"\n")
        async with asyncio.timeout(LIMIT_S):
            return (await self._process.stdout.readline()).decode().strip()

    async def line(self) -> str:
        """The next line that it prints by itself."""
        assert self._process.stdout is not None
        async with asyncio.timeout(LIMIT_S):
            return (await self._process.stdout.readline()).decode().strip()

    # --- nodes ----------------------------------------------------------------------------------

    def node(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(one for one in self.facts["nodes"] if one["name"] == name)
        return found

    @property
    def names(self) -> list[str]:
        return [one["name"] for one in self.facts["nodes"]]

    def stub(self, name: str) -> Any:
        channel = self._channels.get(name)
        if channel is None:
            options = [("grpc.max_reconnect_backoff_ms", 200), ("grpc.initial_reconnect_backoff_ms", 50)]
            channel = grpc.aio.insecure_channel(self.node(name)["api"], options=options)
            self._channels[name] = channel
        return LedgerServiceStub(channel)

    async def status(self, name: str) -> pb.GetStatusResponse:
        request = pb.GetStatusRequest()
        answer: pb.GetStatusResponse = await self.stub(name).GetStatus(
            request, timeout=LIMIT_S, wait_for_ready=True
        )
        return answer

    async def agreed(self, names: Sequence[str], *, at_least: int) -> pb.GetStatusResponse:
        """Wait until these nodes have executed one height of at least that with one root."""

        async def look() -> list[tuple[int, bytes]]:
            return [(one.executed_height, one.state_root) for one in [await self.status(n) for n in names]]

        await until(
            look,
            lambda seen: len(set(seen)) == 1 and seen[0][0] >= at_least,
            what=f"{names} agree at height {at_least} or above",
        )
        return await self.status(names[0])

    # --- transactions ---------------------------------------------------------------------------

    def key(self, label: str) -> SigningKey:
        return SigningKey(bytes.fromhex(self.facts["parties"][label]["seed"]))

    def sign(self, label: str, commands: Sequence[Command], *, now_ms: int) -> bytes:
        """A signed transaction of a demo party."""
        raw = encode_body(
            TransactionBody(
                chain_id=ChainId(bytes.fromhex(self.facts["chain_id"])),
                id=secrets.token_bytes(16),
                sender=self.facts["parties"][label]["party"],
                valid_until_ms=now_ms + 120_000,
                commands=tuple(commands),
            )
        )
        key = self.key(label)
        signature = KeySignature(public_key=key.public_key, signature=key.sign(Tag.TRANSACTION, raw))
        return encode_transaction(raw, [signature])

    async def pay(self, name: str, count: int) -> list[bytes]:
        """Submit that many payments through a node and wait for finality: the hashes acknowledged."""
        now_ms = (await self.status(name)).now_ms
        raws = [
            self.sign(
                "advertiser",
                [Transfer(to="studio", amount=Money(currency="EUR", minor=n + 1))],
                now_ms=now_ms,
            )
            for n in range(count)
        ]
        answer = await self.stub(name).SubmitBatch(
            pb.SubmitBatchRequest(transactions=raws, wait=pb.WAIT_FINAL), timeout=LIMIT_S
        )
        assert all(one.receipt.committed for one in answer.results), answer.results[0]
        return [one.transaction_hash for one in answer.results]

    async def has(self, name: str, hashes: Sequence[bytes]) -> bool:
        """Whether a node holds a committed receipt for each."""
        for one in hashes:
            try:
                answer = await self.stub(name).GetReceipt(
                    pb.GetReceiptRequest(transaction_hash=one), timeout=LIMIT_S, wait_for_ready=True
                )
            except grpc.RpcError:
                return False
            if not answer.receipt.committed:
                return False
        return True


__all__ = ["LIMIT_S", "ROOT", "Devnet", "transaction_hash", "until"]

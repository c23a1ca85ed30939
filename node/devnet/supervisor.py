"""A development network: its processes, the first finalised transaction, and what is typed at it.

Talks to its nodes as any client does: the first transaction goes through the API, the clock through the
admin socket. Knows nothing of a node's insides.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from licet import __version__
from licet.certificate import ValidatorSet
from licet.codec import encode_body, encode_transaction
from licet.crypto import SigningKey
from licet.encoding import Tag
from licet.errors import Fault, LicetError
from licet.transactions import ID_BYTES, Deposit, KeySignature, Money, TransactionBody

from node.api import calls
from node.api.calls import CallFailed
from node.devnet.network import DEMO_PARTIES, NetworkFolder
from node.devnet.processes import Condition, NodeProcess
from node.operations.health import outlook
from node.operations.keyfiles import development_key

READY_S: Final = 30.0
CALL_S: Final = 5.0
START_S: Final = 15.0  # of one node, before the console says that it does not answer yet
AGAIN_S: Final = 0.1  # before a node that refused a call while it started is asked again
ADVANCE_S: Final = 40.0


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
        self._telling: set[asyncio.Task[None]] = set()
        self._starting: dict[str, asyncio.Future[str]] = {}  # the end of each node that a command starts
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
                await self._standing(self.nodes[0], patient=True)
                if self.network.fresh:
                    await self._fund()
                    self.first_final_s = time.monotonic() - began
                for at in range(1, len(self.nodes)):
                    await self._standing(self.nodes[at], patient=True)
        except (TimeoutError, CallFailed):
            raise DevnetFailed(
                f"The network did not answer in {READY_S:.0f} s.",
                f"Read the logs in {self.network.folder}.",
            ) from None

    async def _fund(self) -> None:
        """The first transaction: the issuer deposits what the demo parties begin with."""
        issuer = DEMO_PARTIES[0]
        deposits = tuple(
            Deposit(to=one.party, amount=Money(currency="EUR", minor=one.funds_minor), reference="devnet")
            for one in DEMO_PARTIES
            if one.funds_minor
        )
        status = await self._standing(self.nodes[0])
        body = TransactionBody(
            chain_id=self.network.genesis.chain_id(),
            id=secrets.token_bytes(ID_BYTES),
            sender=issuer.party,
            valid_until_ms=status.now_ms + status.window_ms // 2,
            commands=deposits,
        )
        raw = _signed(body, development_key(issuer.party))
        try:
            why = await calls.submit(str(self.nodes[0].place.ports.api), raw, timeout_s=READY_S)
        except CallFailed as error:
            why = str(error)
        if why:
            raise DevnetFailed(
                f"The first transaction was not committed: {why}", f"Read the logs in {self.network.folder}."
            )

    async def stop(self) -> None:
        await asyncio.gather(*(node.stop() for node in self.nodes))

    def _ended(self, node: NodeProcess, code: int) -> None:
        """A node ended and nobody asked for it: the answer to the command that starts it, else a notice."""
        said = f"{node.name} ended by itself (code {code}): {node.last_words() or 'its log says nothing'}"
        starting = self._starting.get(node.name)
        if starting is not None:
            starting.set_result(said)
            return
        telling = asyncio.create_task(self._tell(said))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    async def _tell(self, said: str) -> None:
        self.notices.put_nowait(f"{said}; {await self.outlook()}")
        self._failed.set()

    # --- what is said ---------------------------------------------------------------------------

    async def outlook(self) -> str:
        """What the nodes that take part mean for progress, and who runs without taking part.

        Up means what it means in Status: a process that only follows, or does not answer, is not.
        """
        said = await self._taking_part()
        meaning = outlook(list(said.values()).count(""), self._validators)
        return "; ".join([meaning, *(f"{name} {why}" for name, why in said.items() if why)])

    async def _taking_part(self) -> dict[str, str]:
        """Of each running node, empty where it takes part, else why it does not."""
        running = [node for node in self.nodes if node.condition is Condition.UP]
        said = await asyncio.gather(*(self._why_not(node) for node in running))
        return {node.name: why for node, why in zip(running, said, strict=True)}

    async def _why_not(self, node: NodeProcess) -> str:
        """Empty where a running node takes part, else why it does not."""
        try:
            return await calls.takes_part(str(node.place.admin.absolute()), timeout_s=CALL_S)
        except CallFailed:
            return "does not answer yet" if node.condition is Condition.UP else "is down"

    async def start_node(self, node: NodeProcess) -> str:
        """Start a node that is down and wait for it: what became of it, and what that means.

        A node that ends meanwhile is told here, with its own last words, and by no notice besides.
        """
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._starting[node.name] = ended
        try:
            node.start()
            answers = await self._answers(node, ended)
            if not ended.done():
                meaning = await self.outlook()
                if not ended.done():  # it may end while the others are asked
                    what = "runs again, and catches up by itself" if answers else "was started"
                    return f"{node.name} {what}; {meaning}"
            return f"{ended.result()}; {await self.outlook()}"
        finally:
            del self._starting[node.name]

    async def _answers(self, node: NodeProcess, ended: asyncio.Future[str]) -> bool:
        """Wait for a node's first answer; False where it ends before, or takes too long."""
        answering = asyncio.create_task(self._first_answer(node))
        either: list[asyncio.Future[Any]] = [answering, ended]
        try:
            await asyncio.wait(either, timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
            return answering.done()
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)

    async def _first_answer(self, node: NodeProcess) -> None:
        while True:
            try:
                await self._standing(node, patient=True)
                return
            except CallFailed:  # it closes again, or is not ready: its end or a later answer tells which
                await asyncio.sleep(AGAIN_S)

    def node(self, name: str) -> NodeProcess:
        for node in self.nodes:
            if node.name in (name, f"n{name}"):
                return node
        raise ValueError(f"there is no node {name!r}: they are n1 to n{len(self.nodes)}")

    async def _standing(self, node: NodeProcess, *, patient: bool = False) -> calls.Standing:
        target = str(node.place.ports.api)
        return await calls.standing(target, timeout_s=READY_S if patient else CALL_S, patient=patient)

    async def sentence(self, node: NodeProcess) -> str:
        """What a running node says of itself."""
        try:
            return (await self._standing(node)).sentence
        except CallFailed as error:
            return f"does not answer ({error})"

    async def now_ms(self) -> int:
        return (await self._standing(self._any_up())).now_ms

    def _any_up(self) -> NodeProcess:
        for node in self.nodes:
            if node.condition is Condition.UP:
                return node
        raise ValueError("no node is up")

    async def advance(self, to_ms: int) -> int:
        """Move the network's virtual clock; returns when a block with that time is final.

        Raises `CallFailed`, and moves nothing, while too few nodes take part for any block to be final.
        """
        up = list((await self._taking_part()).values()).count("")
        if up < self._validators.quorum:
            meaning = outlook(up, self._validators)
            raise CallFailed(f"{meaning}, so no later time would become final; the clock was not moved")
        path = self._any_up().place.admin.absolute()
        return await calls.advance(str(path), to_ms, timeout_s=ADVANCE_S)

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

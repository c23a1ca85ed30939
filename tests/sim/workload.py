"""Clients: real signed transactions, submitted at several nodes, repeated, retried until acknowledged.

A bank puts money into circulation, parties pass it on, some of them more than
they have; in some seeds a shop sells licenses. Every transaction keeps its bytes,
however often it is submitted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

from licet.builder import SignedTransaction, build_transaction
from licet.transactions import Command, Deposit, Money, Transfer
from licet.types import Hash32

from tests.sim import shop
from tests.sim.cluster import Cluster
from tests.sim.genesis import BANK, CURRENCY, PARTIES, make_genesis, party_key
from tests.sim.world import MS

FUNDS_MINOR: Final = 50_000_000
VALID_MS: Final = 120_000
RETRY_US: Final = 400 * MS
REPEAT_PERCENT: Final = 30


@dataclass(slots=True, kw_only=True)
class Client:
    """One transaction on its way: built when a node first tells what time it is, and never again."""

    sender: str
    commands: list[Command]
    signers: tuple[str, ...]
    id: bytes
    signed: SignedTransaction | None = None

    def build(self, now_ms: int) -> SignedTransaction:
        """Its bytes."""
        if self.signed is None:
            self.signed = build_transaction(
                chain_id=make_genesis().chain_id(),
                sender=self.sender,
                commands=self.commands,
                valid_until_ms=now_ms + VALID_MS,
                keys=tuple(party_key(name) for name in self.signers),
                id=self.id,
            )
        return self.signed


class Workload:
    """Makes transactions and sees them through."""

    def __init__(self, cluster: Cluster, *, repeat_percent: int = REPEAT_PERCENT) -> None:
        self._repeat_percent = repeat_percent
        self._cluster = cluster
        self._world = cluster.world
        self.clients: list[Client] = []

    # --- making

    def fund(self, at_us: int) -> None:
        """The bank gives everybody money."""
        commands = [
            Deposit(to=party, amount=Money(currency=CURRENCY, minor=FUNDS_MINOR)) for party in PARTIES
        ]
        self._send_later(at_us, BANK, commands)

    def transfers(self, count: int, start_us: int, end_us: int) -> None:
        """So many payments between the parties, spread over this time."""
        for _ in range(count):
            self.transfer(self._world.between(start_us, end_us))

    def transfer(self, at_us: int, node: int | None = None) -> None:
        """One payment; one in ten is of more than anybody has."""
        random = self._world.random
        sender, receiver = random.sample(PARTIES, 2)
        minor = random.randint(1, 5_000) if not self._world.chance(10) else 10 * FUNDS_MINOR
        self._send_later(
            at_us, sender, [Transfer(to=receiver, amount=Money(currency=CURRENCY, minor=minor))], node
        )

    def sales(self, count: int, open_us: int, end_us: int) -> None:
        """A shop opens and sells so many licenses; who asks too early or cannot pay is refused."""
        self._send_later(open_us, shop.LICENSOR, shop.opening(), also=(shop.AGENCY,))
        for number in range(count):
            self._send_later(self._world.between(open_us, end_us), shop.BUYER, shop.sale(number))

    def _send_later(
        self,
        at_us: int,
        sender: str,
        commands: list[Command],
        node: int | None = None,
        also: tuple[str, ...] = (),
    ) -> None:
        tx_id = self._world.random.randbytes(16)
        client = Client(sender=sender, commands=commands, signers=(sender, *also), id=tx_id)
        self.clients.append(client)
        self._world.at(at_us, partial(self._submit, client, node))

    # --- seeing through

    def _submit(self, client: Client, at_node: int | None) -> None:
        if client.signed is not None and self._acknowledged(client.signed.hash):
            return
        world = self._world
        up = [node for node in self._cluster.honest if node.up]
        if up:
            node = next((one for one in up if one.index == at_node), None) or world.random.choice(up)
            signed = client.build(node.ledger_now_ms())
            self._cluster.history.submitted[signed.hash] = signed.raw
            code = node.submit(signed.raw)
            world.trace("client", f"{signed.hash.hex()[:8]} at {node.index} {code}")
            if world.chance(self._repeat_percent):
                world.after(world.between(0, 50 * MS), partial(self._repeat, signed.raw))
        world.after(RETRY_US, partial(self._submit, client, None))

    def _repeat(self, raw: bytes) -> None:
        up = [node for node in self._cluster.honest if node.up]
        if up:
            self._world.random.choice(up).submit(raw)

    def _acknowledged(self, transaction: Hash32) -> bool:
        return any(ack.transaction == transaction for ack in self._cluster.history.acks)

    @property
    def open(self) -> list[Hash32]:
        """Submitted and not acknowledged."""
        acked = {ack.transaction for ack in self._cluster.history.acks}
        return [hash_ for hash_ in self._cluster.history.submitted if hash_ not in acked]

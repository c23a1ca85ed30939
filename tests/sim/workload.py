"""Clients: real signed transactions, submitted at several nodes, repeated, retried until acknowledged.

A bank puts money into circulation and takes some back, parties pass it on, some of
them more than they have. By the seed's load a shop sells licenses, use is metered,
closed and paid, and parties change their keys meanwhile.
"""

from __future__ import annotations

from functools import partial
from random import Random
from typing import Final

from licet.crypto import SigningKey
from licet.transactions import AddKey, Command, Deposit, Key, Money, RevokeKey, Transfer, Withdraw
from licet.types import Hash32

from tests.sim import metering, shop
from tests.sim.client import Client, Commands, Keyring
from tests.sim.cluster import Cluster
from tests.sim.genesis import BANK, CURRENCY, PARTIES, START_MS
from tests.sim.shell import SimNode
from tests.sim.world import MS

FUNDS_MINOR: Final = 50_000_000
RETRY_US: Final = 400 * MS
REPEAT_PERCENT: Final = 30
HOPELESS: Final = "TX_TOO_FAR_AHEAD"  # built by a clock that runs an hour ahead: a client gives up
SPARE_PERCENT: Final = 20  # of transactions whose sender has another key to try
ASKED: Final = 0.3  # such a part of what is submitted, somebody asks some node about before
ASKED_ABOUT_MS: Final = (0, 0, -1_000, 200, 60_000, 40 * 86_400_000)  # this much before or after its time


class Workload:
    """Makes transactions and sees them through."""

    def __init__(self, cluster: Cluster, *, repeat_percent: int = REPEAT_PERCENT) -> None:
        self._repeat_percent = repeat_percent
        self._cluster = cluster
        self._world = cluster.world
        self._asking = Random(f"questions {cluster.world.seed}")  # apart: no run is another one for it
        self._reports = 0
        self.keyring = Keyring()
        self.clients: list[Client] = []

    # --- money

    def fund(self, at_us: int) -> None:
        """The bank gives everybody money."""
        commands: list[Command] = [
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

    def bank(self, count: int, start_us: int, end_us: int) -> None:
        """Deposits and withdrawals; some by nobody who may, some of more than there is."""
        random = self._world.random
        for _ in range(count):
            party = random.choice(PARTIES)
            large = self._world.chance(15)
            amount = Money(currency=CURRENCY, minor=random.randint(1, 40 if large else 2) * FUNDS_MINOR // 4)
            sender = BANK if self._world.chance(90) else party
            command: Command = Withdraw(from_=party, amount=amount)
            if self._world.chance(40):
                command = Deposit(to=party, amount=amount)
            also = (party,) if self._world.chance(90) else ()
            self._send_later(self._world.between(start_us, end_us), sender, [command], also=also)

    def sales(self, count: int, open_us: int, end_us: int) -> None:
        """A shop opens and sells so many licenses; who asks too early or cannot pay is refused."""
        self._send_later(open_us, shop.LICENSOR, shop.opening(), also=(shop.AGENCY,))
        for number in range(count):
            self._send_later(self._world.between(open_us, end_us), shop.BUYER, shop.sale(number))

    # --- use

    def meter(self, open_us: int, end_us: int) -> None:
        """Agreements are made, use reported, days closed and debts paid, in no order that is promised."""
        world = self._world
        self._send_later(open_us, metering.OWNER, metering.opening())
        for agreement, user in metering.USERS.items():
            at = world.between(open_us + 30 * MS, open_us + 150 * MS)
            self._send_later(at, user, metering.acceptance(agreement))
        for _ in range(8):
            self._report(world.between(open_us + 100 * MS, end_us), metering.DAYS[world.chance(30)])
        for agreement in metering.USERS:
            self._close(world.between(open_us + 200 * MS, end_us), agreement, metering.DAYS[0])
            self._close(world.between(900 * MS, end_us + 300 * MS), agreement, metering.DAYS[0])
            for _ in range(2):
                self._pay(world.between(950 * MS, end_us + 400 * MS), agreement, whole=False)

    def days_later(self) -> None:
        """What is left of earlier days is closed at once and paid, the last day is reported and closed."""
        world, now_us = self._world, self._world.now_us
        for agreement in metering.USERS:
            self._close(now_us + 1, agreement, metering.DAYS[0])
            self._pay(now_us + 40 * MS, agreement, whole=False)
            self._pay(now_us + 41 * MS, agreement, whole=False)
            self._close(now_us + 200 * MS, agreement, metering.DAYS[1])
            self._pay(now_us + 240 * MS, agreement, whole=False)
            self._close(now_us + 241 * MS, agreement, metering.DAYS[2])
            self._pay(now_us + 242 * MS, agreement, whole=True)
        for day in metering.DAYS[1:]:
            for _ in range(2):
                self._report(now_us + world.between(1, 230) * MS, day)

    def _report(self, at_us: int, day: int) -> None:
        self._reports += 1
        reporter, commands = metering.report(self._world.random, self._reports, day)
        self._send_later(at_us, reporter, commands)

    def _close(self, at_us: int, agreement: str, day: int) -> None:
        sender = self._world.random.choice(PARTIES)
        self._send_later(at_us, sender, metering.closing(agreement, day))

    def _pay(self, at_us: int, agreement: str, *, whole: bool) -> None:
        def look(node: SimNode) -> list[Command]:
            return metering.payment(self._world.random, agreement, node.storage, whole=whole)

        self._send_later(at_us, metering.USERS[agreement], look)

    # --- keys

    def change_keys(self, start_us: int, end_us: int) -> None:
        """Parties add keys of one scope or of short life, and replace the key that they sign with."""
        world = self._world
        for _ in range(3):
            self._add_key(world.between(start_us, end_us), world.random.choice(PARTIES))
        for party in world.random.sample(PARTIES, 3):
            for _ in range(world.between(1, 2)):
                self._rotate(world.between(start_us, end_us), party)

    def _add_key(self, at_us: int, party: str) -> None:
        random = self._world.random
        scope = random.choice(("pay", "report", "license", "all"))
        expires_ms = START_MS + at_us // MS + random.randint(50, 800) if self._world.chance(50) else 0
        added = self.keyring.make(party)
        command = AddKey(key=Key(public_key=added.public_key, scopes=(scope,), expires_ms=expires_ms))
        self._send_later(at_us, party, [command])
        self.keyring.spare.setdefault(party, []).append(added)

    def _rotate(self, at_us: int, party: str) -> None:
        made = self.keyring.make(party)

        def commands(node: SimNode) -> list[Command]:
            return [
                AddKey(key=Key(public_key=made.public_key, scopes=("all",))),
                RevokeKey(public_key=self.keyring.newest(party).public_key),
            ]

        client = self._send_later(at_us, party, commands)
        client.on_committed = partial(self.keyring.adopt, party, made)

    def _key_to_try(self, party: str) -> SigningKey | None:
        spare = self.keyring.spare.get(party, ())
        return self._world.random.choice(spare) if spare and self._world.chance(SPARE_PERCENT) else None

    # --- sending

    def _send_later(
        self,
        at_us: int,
        sender: str,
        commands: Commands,
        node: int | None = None,
        also: tuple[str, ...] = (),
    ) -> Client:
        client = Client(
            sender=sender,
            commands=commands,
            signers=(sender, *also),
            id=self._world.random.randbytes(16),
            keyring=self.keyring,
            first_key=self._key_to_try(sender),
        )
        self.clients.append(client)
        self._world.at(at_us, partial(self._submit, client, node))
        return client

    def _up(self) -> list[SimNode]:
        return [node for node in self._cluster.honest if node.up]

    def _submit(self, client: Client, at_node: int | None) -> None:
        if client.signed is not None and self._told(client):
            return
        world, up = self._world, self._up()
        if up:
            node = next((one for one in up if one.index == at_node), None) or world.random.choice(up)
            signed = client.build(node)
            code = self._give(node, signed.raw, signed.hash)
            world.trace("client", f"{signed.hash.hex()[:8]} at {node.index} {code}")
            if world.chance(self._repeat_percent):
                world.after(world.between(0, 50 * MS), partial(self._repeat, signed.raw))
        world.after(RETRY_US, partial(self._submit, client, None))

    def _give(self, node: SimNode, raw: bytes, hash_: Hash32) -> str:
        self._cluster.history.submitted[hash_] = raw
        if self._asking.random() < ASKED:
            self._ask(raw)
        return node.submit(raw)

    def _ask(self, raw: bytes) -> None:
        """Ask a node what a transaction would do: it fills what that node keeps ready, and nobody else's."""
        random = self._asking
        node = random.choice(self._up())
        transaction = node.parts.verifier.admit_form(raw)
        about_ms = max(1, node.ledger_now_ms() + random.choice(ASKED_ABOUT_MS))
        trusted, unfunded = random.random() < 0.5, random.random() < 0.5
        node.parts.machine.dry_run(transaction, about_ms, trusted=trusted, unfunded=unfunded)

    def _told(self, client: Client) -> bool:
        """Whether the id is used up; else, if it was turned away since, send it again to several."""
        assert client.signed is not None
        history, hash_ = self._cluster.history, client.signed.hash
        ack = next((ack for ack in history.acks if ack.transaction == hash_), None)
        if ack is not None:
            if ack.committed and client.on_committed is not None:
                client.on_committed()
            return True
        turned = [one for one in history.turned if one.transaction == hash_]
        if len(turned) > client.turned_seen:
            client.turned_seen = len(turned)
            if turned[-1].code == HOPELESS:
                return True
            if turned[-1].code == "NO_AUTHORITY":
                client.sign_again()
            for node in self._up():
                if self._world.chance(60):
                    self._give(node, client.signed.raw, hash_)
        return False

    def _repeat(self, raw: bytes) -> None:
        up = self._up()
        if up:
            self._world.random.choice(up).submit(raw)

    @property
    def open(self) -> list[Hash32]:
        """Submitted, not acknowledged and not given up."""
        history = self._cluster.history
        done = {ack.transaction for ack in history.acks}
        done |= {one.transaction for one in history.turned if one.code == HOPELESS}
        return [hash_ for hash_ in history.submitted if hash_ not in done]

"""A small world for the consensus room alone: replicas, disks, a network, and checkers.

Everything is driven from one heap of (time, sequence, action) and one seeded
generator, so that a seed is a schedule. Disks keep what was synced; a crash may
strike before, between and after the two syncs of a turn, or between its sends.
Execution is a hash chain over digests. The big simulator (`tests/sim`) drives
the whole node core; this one exists to hold the replica to its rules.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterable
from hashlib import sha256

from licet.certificate import (
    FIRST_EPOCH,
    CertificateKind,
    ExecutedRoots,
    ValidatorSet,
    Vote,
    VoteKind,
)
from licet.crypto import SigningKey
from licet.errors import LicetError
from licet.types import ChainId, Hash32, Height, PublicKey, TimestampMs, ValidatorIndex

from consensus import codec, votelog
from consensus.catch_up import build_response
from consensus.config import ChainConfig
from consensus.effects import BuildProposal, CheckPayload, Effects, Isolate, Send, ServeFinalized
from consensus.errors import PeerFault
from consensus.events import (
    AnyEvent,
    Executed,
    PayloadChecked,
    PeerConnected,
    PeerLost,
    ProposalBuilt,
    Received,
    Tick,
    WorkChanged,
)
from consensus.guard import SignerGuard
from consensus.messages import Message, Proposal, Resync
from consensus.replica import Replica
from consensus.types import Block, CommittedBlock, RecentDigest, Recovered, Verdict
from consensus.verify import verify

START_MS = 1_800_000_000_000
CHAIN = ChainId(sha256(b"harness chain").digest())
GENESIS_ROOTS = ExecutedRoots(
    height=Height(0),
    state_root=Hash32(sha256(b"initial state").digest()),
    log_root=Hash32(sha256(b"").digest()),
    log_size=0,
)


def digest(name: object) -> Hash32:
    """A payload digest from a name."""
    return Hash32(sha256(f"batch {name}".encode()).digest())


KEYS = tuple(SigningKey(bytes([index + 1]) * 32) for index in range(13))


def config(index: int | None, n: int = 4, **changes: object) -> ChainConfig:
    """The configuration of one node of a network of n."""
    return ChainConfig(
        chain_id=CHAIN,
        validators=ValidatorSet(keys=tuple(PublicKey(key.public_key) for key in KEYS[:n])),
        scheme=CertificateKind.SIMPLEX,
        genesis_time_ms=TimestampMs(START_MS),
        genesis_roots=GENESIS_ROOTS,
        index=None if index is None else ValidatorIndex(index),
        **changes,  # type: ignore[arg-type]
    )


def new_guard(index: int, data: bytes | None = None) -> SignerGuard:
    """A guard on a new or given record."""
    file = votelog.initial_file(CHAIN, PublicKey(KEYS[index].public_key)) if data is None else data
    record = votelog.recover(file, chain_id=CHAIN, public_key=PublicKey(KEYS[index].public_key))
    return SignerGuard(
        KEYS[index], record=record, chain_id=CHAIN, epoch=FIRST_EPOCH, index=ValidatorIndex(index)
    )


def execute(before: ExecutedRoots, block: Block) -> ExecutedRoots:
    """The stand-in for the VM: roots move with digests, and stay with an empty block."""
    state, log, size = before.state_root, before.log_root, before.log_size
    for one in block.digests:
        state = Hash32(sha256(b"s" + state + one).digest())
        log = Hash32(sha256(b"l" + log + one).digest())
        size += 1
    return ExecutedRoots(height=block.height, state_root=state, log_root=log, log_size=size)


class Crash(Exception):
    """The scripted crash of a node in the middle of a turn."""


class Disk:
    """What survives a crash: synced blocks, synced votes, and the block store."""

    def __init__(self, index: int) -> None:
        self.payload: dict[Hash32, Block] = {}
        self.votes: bytes | None = votelog.initial_file(CHAIN, PublicKey(KEYS[index].public_key))
        self.store: list[CommittedBlock] = []
        self.roots: list[ExecutedRoots] = [GENESIS_ROOTS]


class Node:
    """One replica with its shell."""

    def __init__(self, world: World, index: int) -> None:
        self.world = world
        self.index = ValidatorIndex(index)
        self.config = config(index, world.n)
        self.disk = Disk(index)
        self.replica: Replica | None = None
        self.life = 0
        self.crash_at: int | None = None  # persistence points until the crash
        self.committed: list[CommittedBlock] = []
        self.isolated: Isolate | None = None
        self.wake_us: int | None = None
        self.corrupt_from: int | None = None  # execution goes wrong from this height on

    # --- life ---------------------------------------------------------------------

    def start(self) -> None:
        self.life += 1
        self.committed = list(self.disk.store)
        guard, votes, problem = None, None, ""
        try:
            votes = votelog.recover(
                self.disk.votes, chain_id=CHAIN, public_key=PublicKey(KEYS[self.index].public_key)
            )
            guard = SignerGuard(
                KEYS[self.index], record=votes, chain_id=CHAIN, epoch=FIRST_EPOCH, index=self.index
            )
        except LicetError as error:
            problem = error.message
        head = self.disk.store[-1].block if self.disk.store else None
        final = next((one.finalization for one in reversed(self.disk.store) if one.finalization), None)
        since = 0 if head is None else head.header.timestamp_ms - self.config.digest_window_ms
        recovered = Recovered(
            head=head,
            finalization=final,
            executed=tuple(self.disk.roots) if head is not None else (),
            recent=tuple(
                RecentDigest(digest=one, timestamp_ms=committed.block.header.timestamp_ms)
                for committed in self.disk.store
                if committed.block.header.timestamp_ms >= since
                for one in committed.block.digests
            ),
            blocks=tuple(self.disk.payload.values()),
            votes=votes,
            votes_problem=problem,
        )
        self.replica = Replica(self.config, guard)
        world = self.world
        effects = self.replica.start(
            recovered, now_ms=TimestampMs(START_MS + world.now_us // 1000), mono_us=world.now_us
        )
        self.apply(effects)
        for other in world.nodes:
            if other is not self and other.replica is not None:
                self.event(PeerConnected, peer=other.index)
                other.event(PeerConnected, peer=self.index)
        self.event(WorkChanged, pending=self.has_work(), fills_block=False)

    def crash(self) -> None:
        self.replica = None
        self.life += 1
        self.crash_at = None
        for other in self.world.nodes:
            if other is not self:
                other.event(PeerLost, peer=self.index)

    # --- events and effects -------------------------------------------------------

    def event(self, kind: Callable[..., AnyEvent], **fields: object) -> None:
        if self.replica is None:
            return
        world = self.world
        event = kind(now_ms=TimestampMs(START_MS + world.now_us // 1000), mono_us=world.now_us, **fields)
        try:
            self.apply(self.replica.handle(event))
        except Crash:
            self.crash()

    def point(self) -> None:
        """A persistence point: the scripted crash may strike here."""
        if self.crash_at is not None:
            self.crash_at -= 1
            if self.crash_at < 0:
                raise Crash

    def apply(self, effects: Effects) -> None:
        """The shell's duty, in the order that `consensus.effects` fixes."""
        if effects.persist_payload:
            self.point()
            for block in effects.persist_payload:
                self.disk.payload[block.id] = block
        if effects.votes_file is not None or effects.persist_votes:
            self.point()
            if effects.votes_file is not None:
                self.disk.votes = effects.votes_file
            assert self.disk.votes is not None
            self.disk.votes += b"".join(effects.persist_votes)
            self.point()
        for send in effects.send_after_persist:
            self.world.send(self, send)
            if self.crash_at is not None:
                self.point()
        for line in effects.trace:
            self.world.trace.update(f"{self.world.now_us} {self.index} {line.line()}\n".encode())
        for one in effects.commits:
            self.world.check_commit(self, one)
            self.committed.append(one)
            self.later(self.world.delay(self.world.execute_us), self.execute_next)
        for request in effects.requests:
            self.request(request)
        self.wake_us = effects.wake_at_us
        if effects.wake_at_us is not None:
            self.world.at(effects.wake_at_us, self.tick_at(effects.wake_at_us, self.life))

    def tick_at(self, at_us: int, life: int) -> Callable[[], None]:
        def tick() -> None:
            if self.life == life and self.wake_us == at_us:
                self.event(Tick)

        return tick

    def later(self, delay_us: int, action: Callable[[], None]) -> None:
        life = self.life

        def guarded() -> None:
            if self.life == life and self.replica is not None:
                action()

        self.world.at(self.world.now_us + delay_us, guarded)

    def request(self, request: object) -> None:
        match request:
            case BuildProposal():
                ordered = {one for done in self.committed for one in done.block.digests}
                fresh = [
                    one for one in self.world.batches if one not in ordered and one not in request.exclude
                ]
                self.later(
                    self.world.delay(200),
                    lambda: self.event(
                        ProposalBuilt,
                        view=request.view,
                        parent_id=request.parent_id,
                        digests=tuple(fresh[:8]),
                        over_half_full=len(fresh) > 4,
                    ),
                )
            case CheckPayload():
                bad = self.world.bad_batches.intersection(request.block.digests)
                self.later(
                    self.world.delay(self.world.check_us),
                    lambda: self.event(
                        PayloadChecked,
                        block_id=request.block.id,
                        verdict=Verdict.INVALID if bad else Verdict.VALID,
                        over_half_full=len(request.block.digests) > 4,
                    ),
                )
            case ServeFinalized():
                store = self.disk.store
                response = build_response(
                    lambda height: store[height - 1] if 1 <= height <= len(store) else None,
                    from_height=request.from_height,
                    count=request.count,
                )
                self.world.send(self, Send(message=response, to=request.peer))
            case Isolate():
                self.isolated = request

    def execute_next(self) -> None:
        """Execute the next committed block and store it: one durable write."""
        done = len(self.disk.store)
        one = self.committed[done]
        roots = execute(self.disk.roots[-1], one.block)
        if self.corrupt_from is not None and one.block.height >= self.corrupt_from:
            roots = ExecutedRoots(
                height=roots.height,
                state_root=Hash32(sha256(b"bad" + roots.state_root).digest()),
                log_root=roots.log_root,
                log_size=roots.log_size,
            )
        self.disk.store.append(one)
        self.disk.roots.append(roots)
        self.disk.payload.pop(one.block.id, None)
        self.event(Executed, roots=roots)
        self.event(WorkChanged, pending=self.has_work(), fills_block=False)

    def has_work(self) -> bool:
        ordered = {one for done in self.committed for one in done.block.digests}
        return any(one not in ordered for one in self.world.batches)

    def receive(self, peer: ValidatorIndex, data: bytes) -> None:
        """Decode, ask what is wanted, verify that, hand it in."""
        if self.replica is None:
            return
        wanted = self.replica.wants(peer, codec.decode(data))
        if wanted is None:
            return
        world = self.world
        try:
            verified = verify(
                wanted,
                config=self.config,
                peer=peer,
                known=lambda vote: vote in world.signed or self.replica.knows(vote),  # type: ignore[union-attr]
            )
        except PeerFault:
            world.faults += 1
            return
        self.event(Received, peer=peer, message=verified)

    @property
    def height(self) -> int:
        return len(self.committed)


Rewrite = Callable[[Node, Send], Iterable[Send]]


class World:
    """The network, the clock and the checkers."""

    def __init__(self, *, seed: int = 0, n: int = 4, delay_us: tuple[int, int] = (100, 100)) -> None:
        self.random = random.Random(seed)
        self.n = n
        self.delay_us = delay_us
        self.execute_us = 500
        self.check_us = 100
        self.loss = 0.0
        self.duplicate = 0.0
        self.now_us = 0
        self.batches: list[Hash32] = []
        self.bad_batches: set[Hash32] = set()
        self.blocked: set[tuple[int, int]] = set()  # (from, to) links that drop everything
        self.rewrite: dict[int, Rewrite] = {}  # a Byzantine node's sends
        self.signed: set[Vote] = set()  # made by keys in this process: need no second check
        self.honest: dict[tuple[int, int, VoteKind], Hash32] = {}
        self.final: dict[int, Hash32] = {}
        self.messages: list[tuple[int, int, Message]] = []
        self.keep_messages = False
        self.faults = 0
        self.trace = sha256()
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = itertools.count()
        self.nodes = [Node(self, index) for index in range(n)]

    # --- time ---------------------------------------------------------------------

    def delay(self, mean_us: int) -> int:
        low, high = self.delay_us
        return mean_us if low == high else self.random.randint(mean_us // 2, mean_us * 2)

    def at(self, when_us: int, action: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (max(when_us, self.now_us), next(self._sequence), action))

    def run(self, until_us: int, stop: Callable[[], bool] = lambda: False) -> bool:
        """Run to a time, or until `stop` holds; whether it did."""
        while self._heap and self._heap[0][0] <= until_us:
            if stop():
                return True
            self.now_us, _, action = heapq.heappop(self._heap)
            action()
        self.now_us = max(self.now_us, until_us) if not stop() else self.now_us
        return stop()

    def start(self) -> None:
        for node in self.nodes:
            node.start()

    # --- network ------------------------------------------------------------------

    def send(self, node: Node, send: Send) -> None:
        rewrite = self.rewrite.get(node.index)
        for one in (send,) if rewrite is None else rewrite(node, send):
            self._send(node, one, honest=rewrite is None)

    def _send(self, node: Node, send: Send, *, honest: bool) -> None:
        for vote in votes_of(send.message):
            if vote.voter == node.index:
                self.signed.add(vote)
                if honest:
                    self.check_vote(vote)
        if self.keep_messages:
            self.messages.append((node.index, self.now_us, send.message))
        data = codec.encode(send.message)
        everyone = [other for other in self.nodes if other is not node]
        for other in everyone if send.to is None else [self.nodes[send.to]]:
            if (node.index, other.index) in self.blocked or self.random.random() < self.loss:
                continue
            for _ in range(2 if self.random.random() < self.duplicate else 1):
                delay = self.random.randint(*self.delay_us)
                self.at(self.now_us + delay, _delivery(other, node.index, data))

    def submit(self, name: object) -> Hash32:
        """A batch that every node's mempool holds."""
        one = digest(name)
        self.batches.append(one)
        for node in self.nodes:
            node.event(WorkChanged, pending=True, fills_block=False)
        return one

    # --- checkers -----------------------------------------------------------------

    def check_vote(self, vote: Vote) -> None:
        """No honest key signs a second notarize, or both nullify and finalize."""
        key = (vote.voter, vote.view, vote.kind)
        assert self.honest.setdefault(key, vote.digest) == vote.digest, f"double vote {key}"
        for one, other in ((VoteKind.NULLIFY, VoteKind.FINALIZE), (VoteKind.FINALIZE, VoteKind.NULLIFY)):
            if vote.kind is one:
                assert (vote.voter, vote.view, other) not in self.honest, f"nullify and finalize {key}"

    def check_commit(self, node: Node, one: CommittedBlock) -> None:
        """Agreement, order, and that every digest is final once."""
        height = one.block.height
        assert height == len(node.committed) + 1, "commits come in order, each once"
        assert self.final.setdefault(height, one.block.id) == one.block.id, f"fork at height {height}"
        seen = {each for done in node.committed for each in done.block.digests}
        assert not seen.intersection(one.block.digests), "a digest is final twice"
        assert one.finalization is None or one.finalization.digest == one.block.id

    def all_ordered(self, nodes: Iterable[Node] | None = None) -> bool:
        """Whether every batch is final and executed on these nodes."""
        for node in nodes or self.nodes:
            if node.replica is None or len(node.disk.store) < len(node.committed) or node.has_work():
                return False
        return True


def _delivery(node: Node, peer: ValidatorIndex, data: bytes) -> Callable[[], None]:
    return lambda: node.receive(peer, data)


def votes_of(message: Message) -> tuple[Vote, ...]:
    match message:
        case Vote():
            return (message,)
        case Proposal():
            return (message.vote,)
        case Resync():
            return message.votes
        case _:
            return ()

"""One scripted replica: the test plays every other validator and the clock."""

from __future__ import annotations

from collections.abc import Callable

from licet.certificate import (
    FIRST_EPOCH,
    Certificate,
    CertificateKind,
    ExecutedRoots,
    Header,
    Vote,
    VoteKind,
    payload_root,
    sign_vote,
)
from licet.types import ZERO_HASH, Hash32, PublicKey, TimestampMs, ValidatorIndex, View

from consensus import codec, votelog
from consensus.effects import Effects, Send
from consensus.events import AnyEvent, PayloadChecked, Received, Tick, WorkChanged
from consensus.messages import Message, Proposal
from consensus.replica import Replica
from consensus.types import Block, Recovered, Verdict
from consensus.verify import verify
from tests.unit.consensus.harness import CHAIN, GENESIS_ROOTS, KEYS, START_MS, config, new_guard, votes_of


class Solo:
    """One replica under test; the other validators are keys that sign what the test scripts."""

    def __init__(self, index: int = 0, *, n: int = 4, guard: bool = True, **changes: object) -> None:
        self.config = config(index, n, **changes)
        self.record = votelog.initial_file(CHAIN, PublicKey(KEYS[index].public_key))
        self.guard = new_guard(index, self.record) if guard else None
        self.replica = Replica(self.config, self.guard)
        self.now_us = 0
        self.wake_us: int | None = None
        self.turns: list[Effects] = []
        self.payload: list[Block] = []
        self._take(self.replica.start(Recovered(), now_ms=TimestampMs(START_MS), mono_us=0))

    # --- driving ------------------------------------------------------------------

    def event(self, kind: Callable[..., AnyEvent], **fields: object) -> Effects:
        now_ms = fields.pop("now_ms", START_MS + self.now_us // 1000)
        return self._take(self.replica.handle(kind(now_ms=now_ms, mono_us=self.now_us, **fields)))

    def _take(self, effects: Effects) -> Effects:
        self.turns.append(effects)
        self.payload += effects.persist_payload
        self.record = effects.votes_file or self.record
        self.record += b"".join(effects.persist_votes)
        self.wake_us = effects.wake_at_us
        return effects

    def receive(self, message: Message, peer: int = 3, **fields: object) -> Effects | None:
        """As a shell would: wants, verify, handle. None when it was not wanted."""
        index = ValidatorIndex(peer)
        wanted = self.replica.wants(index, codec.decode(codec.encode(message)))
        if wanted is None:
            return None
        verified = verify(wanted, config=self.config, peer=index, known=self.replica.knows)
        return self.event(Received, peer=index, message=verified, **fields)

    def advance(self, us: int) -> Effects:
        """Let time pass, with a tick at the end."""
        self.now_us += us
        return self.event(Tick)

    def work(self, pending: bool = True) -> Effects:
        return self.event(WorkChanged, pending=pending, fills_block=False)

    def accept(self, block: Block, verdict: Verdict = Verdict.VALID, **fields: object) -> Effects:
        """The shell's answer about a payload."""
        return self.event(PayloadChecked, block_id=block.id, verdict=verdict, over_half_full=False, **fields)

    def restart(self, *, votes: bool = True, blocks: tuple[Block, ...] | None = None) -> Solo:
        """The same validator again from what it made durable."""
        again = Solo.__new__(Solo)
        again.config, again.now_us, again.turns = self.config, self.now_us, []
        again.record, again.payload, again.wake_us = self.record, list(self.payload), None
        index = self.config.index
        assert index is not None
        again.guard = new_guard(index, self.record) if votes else None
        record = None
        if votes:
            record = votelog.recover(
                self.record, chain_id=CHAIN, public_key=PublicKey(KEYS[index].public_key)
            )
        again.replica = Replica(again.config, again.guard)
        recovered = Recovered(
            votes=record,
            votes_problem="" if votes else "the record is missing",
            blocks=tuple(self.payload) if blocks is None else blocks,
        )
        now_ms = TimestampMs(START_MS + again.now_us // 1000)
        again._take(again.replica.start(recovered, now_ms=now_ms, mono_us=again.now_us))
        return again

    # --- making things ------------------------------------------------------------

    def block(
        self,
        view: int,
        parent: Block | None = None,
        digests: tuple[Hash32, ...] = (),
        *,
        ms: int | None = None,
        executed: ExecutedRoots | None = None,
        **changes: object,
    ) -> Block:
        """A well-formed block of a view's leader on a parent (None: genesis)."""
        above = parent.header if parent is not None else None
        header = Header(
            **{  # type: ignore[arg-type]
                "chain_id": CHAIN,
                "epoch": FIRST_EPOCH,
                "view": view,
                "height": 1 if above is None else above.height + 1,
                "parent_id": CHAIN if above is None else above.id,
                "parent_view": 0 if above is None else above.view,
                "timestamp_ms": ms or (START_MS if above is None else above.timestamp_ms) + 1,
                "proposer": view % self.config.validators.n,
                "payload_root": payload_root(digests),
                "executed": executed or (GENESIS_ROOTS if above is None else above.executed),
                **changes,
            }
        )
        return Block(header=header, digests=digests)

    def vote(self, voter: int, kind: VoteKind, view: int, what: Hash32 = ZERO_HASH) -> Vote:
        return sign_vote(
            KEYS[voter],
            kind=kind,
            chain_id=CHAIN,
            epoch=FIRST_EPOCH,
            view=View(view),
            digest=what,
            voter=ValidatorIndex(voter),
        )

    def certificate(
        self, kind: VoteKind, view: int, what: Hash32 = ZERO_HASH, voters: tuple[int, ...] = (1, 2, 3)
    ) -> Certificate:
        """A certificate by these voters."""
        votes = {ValidatorIndex(one): self.vote(one, kind, view, what).signature for one in voters}
        return Certificate.build(
            scheme=CertificateKind.SIMPLEX,
            kind=kind,
            epoch=FIRST_EPOCH,
            view=View(view),
            digest=what,
            signatures=votes,
            n=self.config.validators.n,
        )

    def notarization(self, block: Block, voters: tuple[int, ...] = (1, 2, 3)) -> Certificate:
        return self.certificate(VoteKind.NOTARIZE, block.view, block.id, voters)

    def nullification(self, view: int, voters: tuple[int, ...] = (1, 2, 3)) -> Certificate:
        return self.certificate(VoteKind.NULLIFY, view, voters=voters)

    def finalization(self, block: Block, voters: tuple[int, ...] = (1, 2, 3)) -> Certificate:
        return self.certificate(VoteKind.FINALIZE, block.view, block.id, voters)

    def proposal(self, block: Block, *justification: Certificate) -> Proposal:
        vote = self.vote(block.header.proposer, VoteKind.NOTARIZE, block.view, block.id)
        return Proposal(block=block, justification=justification, vote=vote)

    # --- looking ------------------------------------------------------------------

    @property
    def view(self) -> int:
        return self.replica.status(self.now_us).view

    @property
    def height(self) -> int:
        return self.replica.status(self.now_us).committed_height

    def cast(self) -> list[tuple[VoteKind, int]]:
        """Every own vote that left so far, a proposal's included, each once, in order."""
        own = (
            (vote.kind, int(vote.view))
            for effects in self.turns
            for send in effects.send_after_persist
            for vote in votes_of(send.message)
            if vote.voter == self.config.index
        )
        return list(dict.fromkeys(own))

    def sent(self, kind: type, *, last: bool = False) -> list[Send]:
        """What was sent of a message type, in all turns or in the last one."""
        turns = self.turns[-1:] if last else self.turns
        return [one for turn in turns for one in turn.send_after_persist if isinstance(one.message, kind)]

    def asked(self, kind: type) -> list[object]:
        return [one for turn in self.turns for one in turn.requests if isinstance(one, kind)]

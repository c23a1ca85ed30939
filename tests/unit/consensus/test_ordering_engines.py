"""One contract for every ordering engine, on a chain of one validator; and what only the sequencer has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from licet.certificate import (
    FIRST_EPOCH,
    CertificateKind,
    ExecutedRoots,
    ValidatorSet,
    check_certificate,
)
from licet.errors import InvalidProof
from licet.types import Hash32, Height, PublicKey, TimestampMs, ValidatorIndex

from consensus import votelog
from consensus.config import PACE_US, ChainConfig
from consensus.effects import BuildProposal, Effects, Isolate
from consensus.events import AnyEvent, Executed, ProposalBuilt, Tick, WorkChanged
from consensus.guard import SignerGuard
from consensus.ports import Ordering
from consensus.replica import Replica
from consensus.sequencer import Sequencer
from consensus.types import Block, Recovered
from tests.unit.consensus.harness import CHAIN, GENESIS_ROOTS, KEYS, START_MS, digest, execute, new_guard

KEY = PublicKey(KEYS[0].public_key)
SEQUENCER, SIMPLEX = CertificateKind.SEQUENCER, CertificateKind.SIMPLEX
ENGINES: dict[CertificateKind, type[Sequencer] | type[Replica]] = {SEQUENCER: Sequencer, SIMPLEX: Replica}
both = pytest.mark.parametrize("scheme", list(ENGINES), ids=lambda one: one.name.lower())


def chain_config(scheme: CertificateKind) -> ChainConfig:
    """A chain of one validator."""
    return ChainConfig(
        chain_id=CHAIN,
        validators=ValidatorSet(keys=(KEY,)),
        scheme=scheme,
        genesis_time_ms=TimestampMs(START_MS),
        genesis_roots=GENESIS_ROOTS,
        index=ValidatorIndex(0),
    )


CONFIG = chain_config(SEQUENCER)


class Alone:
    """One validator's engine with its disk."""

    def __init__(
        self,
        scheme: CertificateKind = SEQUENCER,
        record: bytes | None = None,
        blocks: tuple[Block, ...] = (),
    ) -> None:
        self.record = record if record is not None else votelog.initial_file(CHAIN, KEY)
        state = votelog.recover(self.record, chain_id=CHAIN, public_key=KEY)
        guard = SignerGuard(KEYS[0], record=state, chain_id=CHAIN, epoch=FIRST_EPOCH, index=ValidatorIndex(0))
        self.engine: Ordering = ENGINES[scheme](chain_config(scheme), guard)
        self.now_us = 0
        self.payload: list[Block] = list(blocks)
        self.commits: list[Block] = []
        self.last = self.take(
            self.engine.start(Recovered(votes=state, blocks=blocks), now_ms=TimestampMs(START_MS), mono_us=0)
        )

    def take(self, effects: Effects) -> Effects:
        self.payload += effects.persist_payload
        self.record += b"".join(effects.persist_votes)
        for one in effects.commits:
            assert one.block in self.payload, "durable before it is committed"
            self.commits.append(one.block)
        self.last = effects
        return effects

    def event(self, kind: Callable[..., AnyEvent], **fields: object) -> Effects:
        now_ms = TimestampMs(START_MS + self.now_us // 1000)
        return self.take(self.engine.handle(kind(now_ms=now_ms, mono_us=self.now_us, **fields)))

    def order(self, *names: object) -> Effects:
        effects = self.event(WorkChanged, pending=True, fills_block=False)
        if effects.wake_at_us is not None:
            self.now_us = effects.wake_at_us
            effects = self.event(Tick)
        (ask,) = [one for one in effects.requests if isinstance(one, BuildProposal)]
        return self.event(
            ProposalBuilt,
            view=ask.view,
            parent_id=ask.parent_id,
            digests=tuple(digest(one) for one in names),
            over_half_full=False,
        )


@both
def test_it_orders_in_one_durable_turn_with_its_own_certificate_kind(scheme: CertificateKind) -> None:
    alone = Alone(scheme)
    effects = alone.order(1)
    assert len(effects.persist_payload) == len(effects.persist_votes) == len(effects.commits) == 1
    final = effects.commits[0].finalization
    assert final is not None
    check_certificate(final, CONFIG.validators, chain_id=CHAIN, scheme=scheme)
    other = SIMPLEX if scheme is SEQUENCER else SEQUENCER
    with pytest.raises(InvalidProof, match=f"genesis names {other.name}"):
        check_certificate(final, CONFIG.validators, chain_id=CHAIN, scheme=other)


@both
def test_it_anchors_a_change_by_one_empty_block_and_is_silent(scheme: CertificateKind) -> None:
    alone = Alone(scheme)
    alone.order(1)
    alone.event(WorkChanged, pending=False, fills_block=False)
    roots = execute(GENESIS_ROOTS, alone.commits[0])
    alone.event(Executed, roots=roots)
    alone.now_us += PACE_US
    alone.event(Tick)
    assert [one.digests for one in alone.commits] == [(digest(1),), ()]
    assert alone.commits[1].header.executed == roots
    alone.event(Executed, roots=execute(roots, alone.commits[1]))
    if scheme is SEQUENCER:
        assert alone.last.wake_at_us is None, "nobody waits for a sign of life"
    assert len(alone.commits) == 2


@both
def test_a_digest_is_ordered_once(scheme: CertificateKind) -> None:
    alone = Alone(scheme)
    alone.order(1)
    alone.order(1, 2)
    assert alone.commits[1].digests == (digest(2),)


@both
def test_after_a_crash_it_commits_what_it_signed_again_and_goes_on(scheme: CertificateKind) -> None:
    alone = Alone(scheme)
    for number in range(3):
        alone.order(number)
    again = Alone(scheme, alone.record, tuple(alone.payload))
    assert again.commits == alone.commits
    again.order(9)
    assert [one.height for one in again.commits] == [1, 2, 3, 4]


def test_it_refuses_to_go_on_without_a_block_that_it_signed() -> None:
    alone = Alone()
    alone.order(1)
    again = Alone(SEQUENCER, alone.record, ())
    assert again.commits == []
    status = again.engine.status(0)
    assert not status.voting
    assert "lacks a block" in status.not_voting_why
    assert not again.event(WorkChanged, pending=True, fills_block=False).requests


@both
def test_without_a_record_it_does_not_order(scheme: CertificateKind) -> None:
    engine = ENGINES[scheme](chain_config(scheme), None)
    engine.start(Recovered(votes_problem="the record is missing"), now_ms=TimestampMs(START_MS), mono_us=0)
    effects = engine.handle(
        WorkChanged(now_ms=TimestampMs(START_MS), mono_us=1, pending=True, fills_block=False)
    )
    assert not effects.requests
    assert not effects.persist_votes
    assert not effects.commits
    assert engine.status(0).not_voting_why == "the record is missing"


@both
def test_roots_that_differ_from_what_it_signed_isolate_it(scheme: CertificateKind) -> None:
    alone = Alone(scheme)
    alone.order(1)
    alone.event(Executed, roots=execute(GENESIS_ROOTS, alone.commits[0]))
    alone.order(2)
    assert alone.commits[1].header.executed.height == 1
    again = Alone(scheme, alone.record, tuple(alone.payload))
    other = ExecutedRoots(
        height=Height(1), state_root=Hash32(bytes(32)), log_root=GENESIS_ROOTS.log_root, log_size=1
    )
    effects = again.event(Executed, roots=other)
    assert any(isinstance(one, Isolate) for one in effects.requests)


@both
def test_c13_a_restart_does_not_make_it_believe_roots_that_it_does_not_have(scheme: CertificateKind) -> None:
    """The final head itself anchors other roots than ours: nothing new need come to say so again."""
    alone = Alone(scheme)
    alone.order(1)
    theirs = execute(GENESIS_ROOTS, alone.commits[0])
    alone.event(Executed, roots=theirs)
    alone.order(2)
    head = alone.commits[1]
    assert head.header.executed == theirs
    for ours in (theirs, replace(theirs, state_root=Hash32(bytes(32)))):
        later = replace(ours, height=Height(2))
        engine = ENGINES[scheme](chain_config(scheme), None)
        recovered = Recovered(head=head, executed=(ours, later), votes_problem="the record is missing")
        effects = engine.start(recovered, now_ms=TimestampMs(START_MS), mono_us=0)
        asked = [one for one in effects.requests if isinstance(one, Isolate)]
        assert [(one.ours, one.theirs) for one in asked] == ([] if ours == theirs else [(ours, theirs)])
        assert engine.status(0).isolated is (ours != theirs)


def test_an_engine_refuses_a_genesis_that_names_another_certificate_kind() -> None:
    with pytest.raises(ValueError, match="another certificate kind"):
        Replica(CONFIG, new_guard(0))
    with pytest.raises(ValueError, match="another certificate kind"):
        Sequencer(chain_config(SIMPLEX), new_guard(0))

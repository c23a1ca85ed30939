"""The core answers ordering's questions, gossips and fetches batches, and hands on final blocks in order."""

from __future__ import annotations

import pytest
from licet.certificate import ExecutedRoots, Vote, VoteKind, sign_vote
from licet.crypto import mark_verified
from licet.merkle import EMPTY_LOG_ROOT
from licet.types import ZERO_HASH, Epoch, Hash32, TimestampMs, ValidatorIndex, View

from consensus import codec
from consensus.effects import BuildProposal, CheckPayload, Effects, Send
from consensus.events import (
    Event,
    Executed,
    PayloadChecked,
    PeerConnected,
    ProposalBuilt,
    Received,
    Tick,
    WorkChanged,
)
from consensus.messages import Proposal
from consensus.types import Block, Verdict
from node.core.authors import AuthorHints
from node.core.batches import Batch
from node.core.core import Core
from node.core.effects import CoreEffects, CoreSend
from node.core.events import (
    BatchArrived,
    BatchesNotHeld,
    BatchesOffered,
    BatchesWanted,
    BatchInvalid,
    BlockExecuted,
    ClockAdvanced,
    Submitted,
    hinted,
)
from node.limits import FETCH_RETRY_US, HINTED_BLOCKS_MAX
from node.net import outgoing
from node.net.peer_messages import (
    UNKNOWN_AUTHOR,
    Batches,
    BatchesMissing,
    BatchOffer,
    BatchRequest,
    ClockMoved,
    ConsensusMessage,
)
from tests.unit.node.core import world
from tests.unit.node.core.world import START_MS, ScriptedOrdering, asks, commits, make_core

PEER = ValidatorIndex(2)


def arrived(core: Core, batch: Batch, *, mono_us: int = 0) -> CoreEffects:
    return core.handle(BatchArrived(now_ms=START_MS, mono_us=mono_us, peer=PEER, batch=mark_verified(batch)))


def tick(core: Core, mono_us: int = 0, now_ms: TimestampMs = START_MS) -> CoreEffects:
    return core.handle(Tick(now_ms=now_ms, mono_us=mono_us))


def roots(block: Block) -> ExecutedRoots:
    return ExecutedRoots(height=block.height, state_root=ZERO_HASH, log_root=EMPTY_LOG_ROOT, log_size=0)


def sent(effects: CoreEffects, kind: type) -> list[CoreSend]:
    return [one for one in effects.sends if isinstance(one.message, kind)]


def answers(ordering: ScriptedOrdering, kind: type) -> list[object]:
    return [one for one in ordering.seen if isinstance(one, kind)]


def test_a_submission_is_one_signed_batch_gossiped_to_all_and_work() -> None:
    ordering = ScriptedOrdering()
    core = make_core(ordering)
    effects = core.handle(Submitted(now_ms=START_MS, mono_us=5, admitted=world.admitted([1, 2])))
    (batch,) = effects.append_batches
    assert [one.body.id for one in batch.transactions] == [n.to_bytes(16, "big") for n in (1, 2)]
    (gossip,) = sent(effects, Batches)
    assert gossip.to is None
    assert gossip.message == Batches(batches=(batch.raw,))
    assert world.verifier().batch_now(batch.raw).value.digest == batch.digest
    assert not effects.sync_payload  # nothing depends on it yet
    (work,) = answers(ordering, WorkChanged)
    assert isinstance(work, WorkChanged)
    assert work.pending
    assert not work.fills_block


def test_a_proposal_is_built_in_the_same_turn() -> None:
    ordering = ScriptedOrdering()
    core = make_core(ordering)
    batch = world.batch(1, [1])
    arrived(core, batch)
    ordering.script = [
        asks(BuildProposal(view=View(1), parent_id=ZERO_HASH, timestamp_ms=START_MS, exclude=frozenset()))
    ]
    tick(core)
    (built,) = answers(ordering, ProposalBuilt)
    assert isinstance(built, ProposalBuilt)
    assert built.digests == (batch.digest,)


def test_a_check_waits_for_the_missing_batch_and_fetches_it_from_the_proposer() -> None:
    ordering = ScriptedOrdering()
    core = make_core(ordering)
    batch = world.batch(1, [1])
    block = world.block((batch.digest,))
    ordering.script = [asks(CheckPayload(block=block, source=ValidatorIndex(3)))]
    effects = tick(core)
    assert sent(effects, BatchRequest) == [
        CoreSend(message=BatchRequest(digests=(batch.digest,)), to=ValidatorIndex(3))
    ]
    assert answers(ordering, PayloadChecked) == []
    assert effects.wake_at_us == FETCH_RETRY_US
    # It refuses: the next peer is asked, without a word to ordering.
    effects = core.handle(
        BatchesNotHeld(now_ms=START_MS, mono_us=1, peer=ValidatorIndex(3), digests=(batch.digest,))
    )
    assert [one.to for one in sent(effects, BatchRequest)] == [ValidatorIndex(1)]
    effects = arrived(core, batch, mono_us=2)
    assert effects.append_batches == (batch,)  # held means durable: it is appended in the very turn
    (checked,) = answers(ordering, PayloadChecked)
    assert isinstance(checked, PayloadChecked)
    assert (checked.block_id, checked.verdict) == (block.id, Verdict.VALID)


def proposed(core: Core, block: Block, authors: tuple[int, ...], *, peer: int = 3) -> CoreEffects:
    """A proposal from this peer, with what it says of the authors."""
    proposal = Proposal(block=block, justification=(), vote=a_vote(block))
    at = Event(now_ms=START_MS, mono_us=0)
    received = Received(
        now_ms=at.now_ms, mono_us=at.mono_us, peer=ValidatorIndex(peer), message=mark_verified(proposal)
    )
    return core.handle(hinted(received, proposal, tuple(map(ValidatorIndex, authors))))


def a_vote(block: Block) -> Vote:
    return sign_vote(
        world.key(f"v{block.header.proposer}"),
        kind=VoteKind.NOTARIZE,
        chain_id=world.genesis().chain_id(),
        epoch=Epoch(0),
        view=block.view,
        digest=block.id,
        voter=block.header.proposer,
    )


def requests(effects: CoreEffects) -> list[tuple[int, tuple[Hash32, ...]]]:
    found = []
    for one in sent(effects, BatchRequest):
        assert isinstance(one.message, BatchRequest)
        assert one.to is not None
        found.append((int(one.to), one.message.digests))
    return found


def test_proposer_and_author_are_asked_in_the_turn_of_the_proposal() -> None:
    ordering = ScriptedOrdering()
    core = make_core(ordering)
    held, one, two = world.batch(2, [1]), world.batch(1, [2]), world.batch(3, [3])
    arrived(core, held)
    block = world.block((held.digest, one.digest, two.digest))
    ordering.script = [asks(CheckPayload(block=block, source=ValidatorIndex(3)))]
    effects = proposed(core, block, (2, 1, 3))
    assert requests(effects) == [(3, (one.digest, two.digest)), (1, (one.digest,))]
    assert isinstance(ordering.seen[-1], Received), "ordering sees the proposal as ever"
    arrived(core, one, mono_us=1)
    assert not core.useful(one.digest), "the second answer is dropped before its signatures are looked at"
    assert answers(ordering, PayloadChecked) == []
    arrived(core, two, mono_us=2)
    (checked,) = answers(ordering, PayloadChecked)
    assert isinstance(checked, PayloadChecked)
    assert checked.verdict is Verdict.VALID


@pytest.mark.parametrize("authors", [(), (0,), (3,), (4,), (0xFFFFFFFF,), (UNKNOWN_AUTHOR, 1, 1)])
def test_a_hint_that_names_nobody_else_changes_nothing(authors: tuple[int, ...]) -> None:
    ordering = ScriptedOrdering()
    core = make_core(ordering)
    batch = world.batch(1, [1])
    block = world.block((batch.digest,))
    ordering.script = [asks(CheckPayload(block=block, source=ValidatorIndex(3)))]
    assert requests(proposed(core, block, authors)) == [(3, (batch.digest,))]


def test_a_wrong_hint_is_no_judgement_of_the_block() -> None:
    ordering = ScriptedOrdering()
    core = make_core(ordering)
    batch = world.batch(1, [1])
    block = world.block((batch.digest,))
    ordering.script = [asks(CheckPayload(block=block, source=ValidatorIndex(3)))]
    assert requests(proposed(core, block, (2,))) == [(3, (batch.digest,)), (2, (batch.digest,))]
    arrived(core, batch, mono_us=1)
    (checked,) = answers(ordering, PayloadChecked)
    assert isinstance(checked, PayloadChecked)
    assert checked.verdict is Verdict.VALID


def test_a_peers_hints_are_its_own_and_the_newest_displace_its_oldest() -> None:
    ordering = ScriptedOrdering()
    core = make_core(ordering)
    batch = world.batch(1, [1])
    block = world.block((batch.digest,))
    proposed(core, block, (2,), peer=1)  # says it too, and is not who ordering names as the source
    proposed(core, block, (1,))
    for view in range(2, HINTED_BLOCKS_MAX + 2):
        proposed(core, world.block((Hash32(bytes((view,)) * 32),), view=view), (2,), peer=1)
    ordering.script = [asks(CheckPayload(block=block, source=ValidatorIndex(3)))]
    assert requests(tick(core)) == [(3, (batch.digest,)), (1, (batch.digest,))]


def test_hints_are_bounded_per_peer() -> None:
    batch = world.batch(1, [1])
    hints = AuthorHints()
    blocks = [world.block((batch.digest,), view=view) for view in range(1, HINTED_BLOCKS_MAX + 2)]
    for one in blocks:
        hints.note(PEER, one, (ValidatorIndex(1),) * 5)
    assert [bool(hints.of(PEER, one)) for one in blocks] == [False] + [True] * HINTED_BLOCKS_MAX
    assert hints.of(PEER, blocks[-1]) == {batch.digest: 1}
    assert hints.of(None, blocks[-1]) == hints.of(ValidatorIndex(1), blocks[-1]) == {}


def test_a_final_block_from_catch_up_names_no_author() -> None:
    ordering = ScriptedOrdering()
    core = make_core(ordering)
    batch = world.batch(3, [1])
    ordering.script = [commits(world.block((batch.digest,)))]
    assert requests(tick(core)) == [(1, (batch.digest,))]


def test_a_proposal_goes_out_with_the_authors_of_its_batches() -> None:
    ordering = ScriptedOrdering()
    core = make_core(ordering)
    one, two = world.batch(2, [1]), world.batch(3, [2])
    for batch in (one, two):
        arrived(core, batch)
    block = world.block((two.digest, Hash32(b"u" * 32), one.digest))
    proposal = Proposal(block=block, justification=(), vote=a_vote(block))
    ordering.script = [
        Effects(send_after_persist=(Send(message=proposal), Send(message=proposal.vote))),
    ]
    first, second = tick(core).sends
    assert first.authors == (3, UNKNOWN_AUTHOR, 2)
    assert second.authors == ()
    message, size = outgoing.wire(first)
    assert message == ConsensusMessage(data=codec.encode(proposal), authors=first.authors)
    assert size >= len(codec.encode(proposal)) + 2 * len(first.authors)


def test_a_block_with_an_invalid_batch_is_invalid_for_ever() -> None:
    ordering = ScriptedOrdering()
    core = make_core(ordering)
    bad = Hash32(b"x" * 32)
    block = world.block((bad,))
    ordering.script = [asks(CheckPayload(block=block, source=PEER))]
    tick(core)
    core.handle(
        BatchInvalid(now_ms=START_MS, mono_us=1, peer=PEER, digest=bad, why="its author did not sign")
    )
    (checked,) = answers(ordering, PayloadChecked)
    assert isinstance(checked, PayloadChecked)
    assert checked.verdict is Verdict.INVALID
    assert not core.useful(bad)
    again = world.block((bad,), view=2)
    ordering.script = [asks(CheckPayload(block=again, source=PEER))]
    tick(core)
    assert len(answers(ordering, PayloadChecked)) == 2


def test_a_notarize_asks_for_the_payloads_sync() -> None:
    ordering = ScriptedOrdering()
    core = make_core(ordering)

    def vote(kind: VoteKind) -> Effects:
        digest = ZERO_HASH if kind is VoteKind.NULLIFY else Hash32(b"d" * 32)
        signed = sign_vote(
            world.key("v0"),
            kind=kind,
            chain_id=world.genesis().chain_id(),
            epoch=Epoch(0),
            view=View(1),
            digest=digest,
            voter=ValidatorIndex(0),
        )
        return Effects(send_after_persist=(Send(message=signed),))

    for kind, needs in ((VoteKind.NULLIFY, False), (VoteKind.FINALIZE, False), (VoteKind.NOTARIZE, True)):
        ordering.script = [vote(kind)]
        assert tick(core).sync_payload is needs


def test_final_blocks_go_to_execution_in_order_each_with_all_its_batches() -> None:
    ordering = ScriptedOrdering()
    core = make_core(ordering)
    one, two = world.batch(1, [1]), world.batch(2, [2])
    first = world.block((one.digest,), view=1)
    second = world.block((two.digest,), view=2, height=2, parent=first)
    arrived(core, two)
    ordering.script = [commits(first, second)]
    effects = tick(core)
    assert effects.execute == ()  # the first lacks a batch, and the second waits behind it
    assert core.trusted(one.digest)
    assert [one_.message for one_ in sent(effects, BatchRequest)] == [BatchRequest(digests=(one.digest,))]
    effects = arrived(core, one)
    assert [ready.block for ready in effects.execute] == [first, second]
    assert effects.execute[0].batches == (one,)
    assert effects.append_batches == ()  # the store's write batch takes it over
    effects = core.handle(BlockExecuted(now_ms=START_MS, mono_us=0, roots=roots(first)))
    assert set(effects.forget_payload) == {first.id, one.digest}
    (executed,) = answers(ordering, Executed)
    assert isinstance(executed, Executed)
    assert executed.roots == roots(first)
    assert core.executing == 1


def test_what_is_asked_for_is_served_from_pool_queue_and_store() -> None:
    stored = world.batch(3, [3])
    ordering = ScriptedOrdering()
    core = make_core(ordering, world.NothingStored(batches={stored.digest: stored.raw}))
    held, final = world.batch(1, [1]), world.batch(2, [2])
    for batch in (held, final):
        arrived(core, batch)
    ordering.script = [commits(world.block((final.digest,)))]
    tick(core)
    unknown = Hash32(b"u" * 32)
    digests = (held.digest, final.digest, stored.digest, unknown)
    effects = core.handle(BatchesWanted(now_ms=START_MS, mono_us=0, peer=PEER, digests=digests))
    assert [one.message for one in sent(effects, Batches)] == [
        Batches(batches=(held.raw, final.raw, stored.raw))
    ]
    assert [one.message for one in sent(effects, BatchesMissing)] == [BatchesMissing(digests=(unknown,))]


def test_an_offer_is_asked_for_only_when_it_is_new() -> None:
    core = make_core(ScriptedOrdering())
    held, new = world.batch(1, [1]), world.batch(2, [2])
    arrived(core, held)
    effects = core.handle(
        BatchesOffered(now_ms=START_MS, mono_us=0, peer=PEER, digests=(held.digest, new.digest))
    )
    assert sent(effects, BatchRequest) == [CoreSend(message=BatchRequest(digests=(new.digest,)), to=PEER)]


def test_what_waits_longer_than_delta_is_offered_to_the_leader() -> None:
    core = make_core(ScriptedOrdering(leader=ValidatorIndex(3)))
    batch = world.batch(1, [1])
    effects = arrived(core, batch, mono_us=1_000)
    assert effects.wake_at_us == 101_000
    assert sent(tick(core, 50_000), BatchOffer) == []
    assert sent(tick(core, 101_000), BatchOffer) == [
        CoreSend(message=BatchOffer(digests=(batch.digest,)), to=ValidatorIndex(3))
    ]
    assert sent(tick(core, 102_000), BatchOffer) == []


def test_a_peer_that_returns_is_offered_what_waits() -> None:
    core = make_core(ScriptedOrdering())
    batch = world.batch(1, [1])
    arrived(core, batch)
    effects = core.handle(PeerConnected(now_ms=START_MS, mono_us=0, peer=PEER))
    assert sent(effects, BatchOffer) == [CoreSend(message=BatchOffer(digests=(batch.digest,)), to=PEER)]


def test_expired_batches_are_dropped_and_named() -> None:
    ordering = ScriptedOrdering()
    core = make_core(ordering)
    batch = world.batch(1, [1], valid_until_ms=START_MS + 10)
    arrived(core, batch)
    effects = tick(core, 2_000_000, TimestampMs(START_MS + 5_000))
    assert effects.dropped == (batch,)
    assert effects.forget_payload == (batch.digest,)  # or the payload file would grow for ever
    tick(core, 2_000_001, TimestampMs(START_MS + 5_000))
    told = [one.pending for one in ordering.seen if isinstance(one, WorkChanged)]
    assert told == [True, False]


def test_an_advanced_clock_is_work_until_a_final_block_has_its_time() -> None:
    ordering = ScriptedOrdering()
    core = make_core(ordering)
    target = TimestampMs(START_MS + 10)
    effects = core.handle(ClockAdvanced(now_ms=target, mono_us=0, gossip=True))
    assert sent(effects, ClockMoved) == [CoreSend(message=ClockMoved(now_ms=target))]
    ordering.script = [commits(world.block((), view=1))]  # at +10 ms
    tick(core)
    told = [one.pending for one in ordering.seen if isinstance(one, WorkChanged)]
    assert told == [True, False]

"""Persist, then send: when the votes file is synced; nothing leaves while it holds unsynced bytes."""

from __future__ import annotations

from node.core.effects import CoreEffects, CoreSend, merge_turn
from node.net.peer_messages import ClockMoved
from node.runtime.persistence import Persistence
from node.storage.wal import PayloadFile, VotesFile
from tests.sim.disk import SimDisk

SEND = CoreSend(message=ClockMoved(now_ms=1))


class _Bench:
    """The two files on a disk that tells what a loss of power would leave."""

    def __init__(self) -> None:
        self.disk = SimDisk()
        self.votes = VotesFile.create(self.disk, b"identity")
        self.files = Persistence(payload=PayloadFile.open(self.disk), votes=self.votes)

    def durable(self) -> bytes:
        return self.disk.durable("votes")


def test_a_vote_is_durable_within_its_turn() -> None:
    bench = _Bench()
    assert bench.files.perform(CoreEffects(append_votes=(b" vote",), sync_votes=True, sends=(SEND,)))
    assert bench.durable() == b"identity vote"


def test_a_finalization_alone_waits_for_the_next_message() -> None:
    bench = _Bench()
    bench.files.perform(CoreEffects(append_votes=(b" final",)))
    assert bench.votes.content() == b"identity final"
    assert bench.durable() == b"identity", "no sync stood between a block and its execution"
    bench.files.perform(CoreEffects(wake_at_us=5))
    assert bench.durable() == b"identity"
    assert bench.files.perform(CoreEffects(sends=(SEND,)))
    assert bench.durable() == b"identity final", "and none of it is missing when something leaves"


def test_a_later_vote_takes_the_finalization_with_it() -> None:
    bench = _Bench()
    bench.files.perform(CoreEffects(append_votes=(b" final",)))
    bench.files.perform(CoreEffects(append_votes=(b" vote",), sync_votes=True))
    assert bench.durable() == b"identity final vote"


def test_a_turn_with_both_is_synced() -> None:
    final, vote = CoreEffects(append_votes=(b"f",)), CoreEffects(append_votes=(b"v",), sync_votes=True)
    assert merge_turn([final, vote]).sync_votes
    assert merge_turn([vote, final]).sync_votes
    assert not merge_turn([final, final]).sync_votes


def test_a_rewritten_file_is_durable_at_once() -> None:
    bench = _Bench()
    bench.files.perform(CoreEffects(append_votes=(b" final",)))
    bench.files.perform(CoreEffects(votes_file=b"identity all", sync_votes=True))
    assert bench.durable() == b"identity all"


def test_a_turn_without_anything_to_write_says_so() -> None:
    bench = _Bench()
    assert not bench.files.perform(CoreEffects(sends=(SEND,), wake_at_us=1))

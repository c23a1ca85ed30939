"""The shell's duty: a turn's effects in the contract's order (`node.core.effects`), step by step.

Every yield is a persistence point, at which the plan may let the process or the
machine die. Blocks are executed beside the turns, one at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from consensus.events import Tick
from node.core.effects import CoreEffects, CoreSend
from node.core.events import BlockExecuted
from node.ledger.executor import Prepared
from node.storage.errors import StorageError
from node.storage.wal import PayloadKind
from tests.sim.process import Process, Steps
from tests.sim.witness import Witness

if TYPE_CHECKING:
    from tests.sim.shell import SimNode

TRIM_BYTES: Final = 4_096


class Performer:
    """Performs one node's effects."""

    def __init__(self, node: SimNode) -> None:
        self._node = node
        self._world = node.world
        self._witness = Witness(node)

    def steps(self, process: Process, effects: CoreEffects) -> Steps:
        """The contract's order. Every yield is a persistence point, with the time the step takes."""
        payload = process.parts.payload
        for batch in effects.append_batches:
            payload.append(PayloadKind.BATCH, batch.digest, batch.raw)
        for block in effects.append_blocks:
            payload.append(PayloadKind.BLOCK, block.id, block.encode())
        if effects.append_batches or effects.append_blocks or effects.sync_payload:
            yield (
                "payload appended",
                self._world.between(*self._node.costs.sync_us) if effects.sync_payload else 0,
            )
        if effects.sync_payload:
            payload.sync()
            yield "payload synced", 0
        yield from self._record_votes(process, effects)
        yield from self._send_all(effects.sends)
        for line in effects.trace:
            self._world.trace(self._node.index, line.line())
        for one in effects.evidence:
            self._node.history.evidence.append((self._node.index, one.voter))
        if effects.isolate is not None:
            self._node.history.isolated.append((self._node.index, effects.isolate.ours.height))
        for ready in effects.execute:
            self._witness.committed(ready)
            process.executing.append(ready)
        payload.drop(effects.forget_payload)
        payload.trim(at_least=TRIM_BYTES)
        self._set_timer(process, effects.wake_at_us)
        if process.executing and process.execution is None:
            self._execute_next(process)

    def _record_votes(self, process: Process, effects: CoreEffects) -> Steps:
        votes = process.parts.votes
        if effects.votes_file is not None or effects.append_votes:
            assert votes is not None, "no vote is asked for without a signing record (C-10)"
            if effects.votes_file is not None:
                votes.rewrite(effects.votes_file)
                process.votes_unsynced = False
            for record in effects.append_votes:
                votes.append(record)
            process.votes_unsynced |= bool(effects.append_votes)
            yield "votes appended", self._world.between(*self._node.costs.sync_us)
        if process.votes_unsynced and (effects.sync_votes or effects.sends):
            assert votes is not None, "no vote is asked for without a signing record (C-10)"
            votes.sync()
            process.votes_unsynced = False
            yield "votes synced", 0

    def _set_timer(self, process: Process, wake_us: int | None) -> None:
        process.wake_us = wake_us
        if wake_us is None:
            return

        def ring() -> None:
            if process.wake_us == wake_us:
                process.wake_us = None
                self._node.enqueue(lambda: iter((Tick(**self._node.times()),)))

        self._node.later(max(0, self._node.clock.tick_of(wake_us) - self._world.now_us), ring)

    def _send_all(self, sends: tuple[CoreSend, ...]) -> Steps:
        """All messages of a turn to a peer in one frame; a crash may fall between two peers."""
        adversary = self._node.cluster.adversaries.get(self._node.index)
        if adversary is not None:
            adversary.speak(sends, self._node)
            return
        for send in sends:
            self._witness.sent(send)
        process = self._node.process
        assert process is not None
        for peer in self._node.cluster.others(self._node.index):
            if peer not in process.connected:
                continue  # as the transport does: whatever matters is re-sent on connection
            frame = tuple(
                self._node.cluster.encode(send.message, send.authors)
                for send in sends
                if send.to is None or send.to == peer
            )
            if frame:
                self._node.cluster.network.send(self._node.index, peer, frame)
                yield "between two frames", 0

    def _execute_next(self, process: Process) -> None:
        process.execution = self._execution(process)
        self._node.later(self._world.between(*self._node.costs.execute_us), self._go_on_executing)

    def _go_on_executing(self) -> None:
        process = self._node.process
        assert process is not None
        assert process.execution is not None
        try:
            for point, _ in process.execution:
                if self._node.strikes(point):
                    return
        except StorageError as error:
            self._node.panic(f"disk: {error}", expected=True)
            return
        except AssertionError as error:
            self._node.panic(f"assertion while executing: {error}", expected=False)
            return
        process.execution = None
        if process.executing:
            self._execute_next(process)

    def _execution(self, process: Process) -> Steps:
        ready = process.executing.popleft()
        prepared = process.parts.executor.prepare(ready)
        yield "block executed, not stored", 0
        self._node.storage.commit(prepared.batch, synced=True)
        self._witness.executed(prepared)
        yield "block stored", 0
        process.parts.executor.finished()
        self._answer(process, prepared)
        self._node.enqueue(lambda: iter((BlockExecuted(**self._node.times(), roots=prepared.roots),)))

    def _answer(self, process: Process, prepared: Prepared) -> None:
        """Tell the clients who wait here: final and durable."""
        for done in prepared.result.executed:
            if done.hash in process.waiting:
                process.waiting.discard(done.hash)
                if done.consumed:
                    self._node.cluster.acknowledge(self._node, done.hash, done.place.height)
                else:
                    self._node.cluster.turn_away(self._node, done)

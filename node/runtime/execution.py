"""Final blocks on their way to disk: one at a time, executed here, committed inline or in a helper thread.

A small write batch is committed inline, since a hop to a thread would cost as
much again; a large one in the one helper thread, in which LevelDB holds no
interpreter lock. The next block is not begun before the last is durable.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from node.core.effects import ReadyBlock
from node.ledger.executor import Executor, Prepared
from node.runtime.stages import Stage, Stages
from node.storage.port import Storage

INLINE_COMMIT_BYTES: Final = 64 << 10  # of payload batches; a smaller write batch is not worth a hop


class Execution:
    """The queue of final blocks."""

    def __init__(
        self,
        *,
        executor: Executor,
        storage: Storage,
        stages: Stages,
        durable: Callable[[Prepared], None],
        guarded: Callable[[Callable[[], None]], None],
    ) -> None:
        self._executor = executor
        self._storage = storage
        self._stages = stages
        self._durable = durable
        self._guarded = guarded
        self._queue: deque[ReadyBlock] = deque()
        self._committing = False
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    def extend(self, ready: Iterable[ReadyBlock]) -> None:
        """Queue final blocks, in order of height."""
        self._queue.extend(ready)

    @property
    def ready(self) -> bool:
        """Whether a block can be executed now."""
        return bool(self._queue) and not self._committing

    def step(self) -> None:
        """Execute the next block and have it committed; `durable` is called when it is."""
        prepared = self._executor.prepare(self._queue.popleft())
        self._stages.lap(Stage.EXECUTE)
        if sum(len(raw) for _, raw in prepared.batch.batches) <= INLINE_COMMIT_BYTES:
            self._storage.commit(prepared.batch, synced=True)
            self._stages.lap(Stage.PERSIST)
            self._finish(prepared)
            return
        self._committing = True
        future = asyncio.get_running_loop().run_in_executor(self._writer, self._commit, prepared)
        future.add_done_callback(lambda done: self._guarded(lambda: self._committed(done, prepared)))

    def _commit(self, prepared: Prepared) -> int:
        before = time.thread_time_ns()
        self._storage.commit(prepared.batch, synced=True)
        return time.thread_time_ns() - before

    def _committed(self, done: asyncio.Future[int], prepared: Prepared) -> None:
        self._stages.add(Stage.PERSIST, done.result())  # raises what the commit raised
        self._stages.begin()
        self._committing = False
        self._finish(prepared)

    def _finish(self, prepared: Prepared) -> None:
        self._executor.finished()
        self._durable(prepared)

    def close(self) -> None:
        """Return when a commit under way has ended. Blocks: called in a thread."""
        self._writer.shutdown()

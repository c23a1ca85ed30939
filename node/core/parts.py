"""The core's small parts: what it reads of the store, what it collects, what waits for batches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from licet.certificate import Certificate, ExecutedRoots
from licet.frozen import maker
from licet.types import Hash32, Height

from consensus.effects import Effects, Isolate
from consensus.types import Block, CommittedBlock
from licensing_vm.trail import Row
from node.core.batches import Batch
from node.core.effects import CoreEffects, CoreSend, ReadyBlock
from node.core.isolation import IsolationReport

_make_effects = maker(CoreEffects)


class Archive(Protocol):
    """What the core reads of the block store: final, executed, durable."""

    def batch(self, digest: Hash32) -> bytes | None:
        """A batch of an executed block."""
        ...

    def final_block(self, height: Height) -> CommittedBlock | None:
        """An executed block, with its finalization if it has one of its own."""
        ...


class WrittenBlock(Protocol):
    """What one executed block wrote, row by row (C-13)."""

    @property
    def roots(self) -> ExecutedRoots:
        """What executing it gave."""
        ...

    @property
    def total(self) -> int:
        """How many rows, once prepared."""
        ...

    def prepare(self) -> bool:
        """Work for one slice; True when `total` and `rows` can be read."""
        ...

    def rows(self, first: int, count: int) -> list[Row]:
        """At most `count` rows from row `first` on."""
        ...


class WritesSource(Protocol):
    """The recent blocks whose writes can still be told."""

    def at(self, height: Height) -> WrittenBlock | None:
        """The block at this height, if it is still kept."""
        ...

    def found_before(self, ours: ExecutedRoots) -> str:
        """What was found before a restart where these were our roots; empty if nothing was."""
        ...


class NoWrites:
    """A source that keeps nothing: for a core without an executor."""

    def at(self, height: Height) -> WrittenBlock | None:
        return None

    def found_before(self, ours: ExecutedRoots) -> str:
        return ""


@dataclass(slots=True, kw_only=True)
class CommittedEntry:
    """A final block on its way to the executor."""

    block: Block
    finalization: Certificate | None
    batches: dict[Hash32, Batch] = field(default_factory=dict)

    def complete(self) -> bool:
        return len(self.batches) == len(self.block.digests)


@dataclass(slots=True)
class Collected:
    """Effects being collected."""

    batches: list[Batch] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    sync_payload: bool = False
    votes_file: bytes | None = None
    votes: list[bytes] = field(default_factory=list)
    sync_votes: bool = False
    sends: list[CoreSend] = field(default_factory=list)
    execute: list[ReadyBlock] = field(default_factory=list)
    dropped: list[Batch] = field(default_factory=list)
    forget: list[Hash32] = field(default_factory=list)
    isolate: Isolate | None = None
    report: IsolationReport | None = None
    rest: list[Effects] = field(default_factory=list)  # for evidence and trace

    def done(self, wake_at_us: int | None) -> CoreEffects:
        return _make_effects(
            append_batches=tuple(self.batches),
            append_blocks=tuple(self.blocks),
            sync_payload=self.sync_payload,
            votes_file=self.votes_file,
            append_votes=tuple(self.votes),
            sync_votes=self.sync_votes,
            sends=tuple(self.sends),
            execute=tuple(self.execute),
            dropped=tuple(self.dropped),
            forget_payload=tuple(self.forget),
            wake_at_us=wake_at_us,
            isolate=self.isolate,
            report=self.report,
            evidence=tuple(item for one in self.rest for item in one.evidence),
            trace=tuple(item for one in self.rest for item in one.trace),
        )

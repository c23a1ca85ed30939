"""Peers' batches under verification: one at hand, worked on in slices (C-14, C-16).

A batch that is held, final or known to be bad is dropped by its digest, before any signature is looked
at. What comes out is an event for the core, or nothing yet. A peer whose batch is no batch is named.
"""

from __future__ import annotations

from collections.abc import Callable

from licet.errors import InvalidEncoding, LicetError
from licet.types import Hash32, ValidatorIndex

from node.core.batches import BatchForm, batch_digest
from node.core.core import Core
from node.core.events import BatchArrived, BatchInvalid
from node.core.verifier import BatchWork, InvalidBatch, Verifier
from node.runtime.clock import Clock
from node.runtime.inbox import Inbox


class Checking:
    """The batch at hand, and where the next one comes from."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        verifier: Verifier,
        core: Core,
        clock: Clock,
        misbehaved: Callable[[ValidatorIndex, str], None],
    ) -> None:
        self._inbox = inbox
        self._verifier = verifier
        self._core = core
        self._clock = clock
        self._misbehaved = misbehaved
        self._work: tuple[ValidatorIndex, BatchForm, BatchWork] | None = None

    @property
    def busy(self) -> bool:
        """Whether there is something to verify."""
        return self._work is not None or self._inbox.bulk

    def step(self, until_us: int) -> BatchArrived | BatchInvalid | None:
        """Go on with the batch at hand, or take the next, until that time; the event when it is done."""
        if self._work is None:
            refused = self._take()
            if self._work is None:
                return refused
        peer, form, work = self._work
        mono_us = self._clock.mono_us
        try:
            while True:
                next(work)
                if mono_us() >= until_us:
                    return None
        except StopIteration as done:
            self._work = None
            return BatchArrived(now_ms=self._clock.now_ms(), mono_us=mono_us(), peer=peer, batch=done.value)
        except InvalidBatch as error:
            self._work = None
            return self._invalid(peer, form.digest, error)

    def _take(self) -> BatchInvalid | None:
        peer, raw = self._inbox.next_batch()
        try:
            form = self._verifier.form(raw)
        except InvalidEncoding as error:
            return self._invalid(peer, batch_digest(raw), error)
        if self._core.useful(form.digest):
            trusted = self._core.trusted(form.digest)
            self._work = (peer, form, self._verifier.batch(form, trusted=trusted))
        return None

    def _invalid(self, peer: ValidatorIndex, digest: Hash32, error: LicetError) -> BatchInvalid:
        self._misbehaved(peer, error.message)
        return BatchInvalid(
            now_ms=self._clock.now_ms(),
            mono_us=self._clock.mono_us(),
            peer=peer,
            digest=digest,
            why=error.message,
        )

"""C-8: how long a view may take, and whose turn is skipped. All of it volatile.

Δ is never below the longest of the last measured times from proposal to
notarization, grows by half per timeout of our own, and shrinks by a tenth per
finalization. A leader is silent when none of the last K views that we took part
in carries a signature of it.
"""

from __future__ import annotations

from collections import deque

from licet.types import ValidatorIndex, View

from consensus.config import DELTA_CAP_US, DELTA_FLOOR_US, DELTA_SAMPLES, IDLE_MAX_US, SILENT_VIEWS


class Pacemaker:
    """Δ and the record of who was heard in which view."""

    def __init__(self, own: ValidatorIndex | None) -> None:
        self._own = own
        self._backoff_us = DELTA_FLOOR_US
        self.delta_us = DELTA_FLOOR_US
        self._samples: deque[int] = deque(maxlen=DELTA_SAMPLES)
        self._raised_in = View(0)
        self._ended: deque[View] = deque(maxlen=SILENT_VIEWS)  # views we took part in, by the end
        self._heard: dict[View, int] = {}  # bitmask of validators with a valid signature

    def _update(self) -> None:
        longest = max(self._samples, default=0)
        self.delta_us = min(DELTA_CAP_US, max(self._backoff_us, longest))

    def measured(self, elapsed_us: int, *, leading: bool) -> None:
        """Proposal to notarization: the leader from sending, others from receipt, doubled."""
        self._samples.append(elapsed_us if leading else 2 * elapsed_us)
        self._update()

    def timed_out(self, view: View) -> None:
        """Our own timer ended the view: at most once per view."""
        if view != self._raised_in:
            self._raised_in = view
            self._backoff_us = min(DELTA_CAP_US, self.delta_us * 3 // 2)
            self._update()

    def finalized(self) -> None:
        """A new finalization: a tenth off."""
        self._backoff_us = max(DELTA_FLOOR_US, self._backoff_us * 9 // 10)
        self._update()

    def deadlines(self, entered_us: int, working_since_us: int | None) -> tuple[int, int]:
        """When t_leader and t_advance end: C-8 with work pending, C-9 without."""
        idle = working_since_us is None
        base = entered_us + IDLE_MAX_US if idle else max(entered_us, working_since_us or 0)
        delta_us = self.delta_us
        return base + 2 * delta_us, base + 3 * delta_us

    def heard(self, view: View, voter: ValidatorIndex) -> None:
        """A valid vote or certificate signature of this validator for this view."""
        if not self._ended or view >= self._ended[0]:
            self._heard[view] = self._heard.get(view, 0) | (1 << voter)

    def ended(self, view: View, *, jumped: bool) -> None:
        """We left a view by its certificate, or jumped past it (then it does not count)."""
        if not jumped:
            self._ended.append(view)
        oldest = self._ended[0] if self._ended else view
        if len(self._heard) > 2 * SILENT_VIEWS:
            for stale in [one for one in self._heard if one < oldest]:
                del self._heard[stale]

    def silent(self, validator: ValidatorIndex) -> bool:
        """Whether this validator's turns are skipped. Nobody skips itself."""
        if validator == self._own or len(self._ended) < SILENT_VIEWS:
            return False
        oldest, bit = self._ended[0], 1 << validator
        return not any(mask & bit for view, mask in self._heard.items() if view >= oldest)

    def wants_sign(self, view: View, voter: ValidatorIndex) -> bool:
        """Whether a vote that decides nothing any more is worth verifying as a sign of life."""
        if not self._ended or view < self._ended[0]:
            return False
        middle, bit = self._ended[len(self._ended) // 2], 1 << voter
        return not any(mask & bit for at, mask in self._heard.items() if at >= middle)

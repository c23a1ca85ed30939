"""An isolated node finds out where its execution parted from its peers' (C-13).

Every peer is asked by itself: first for the roots of the height in question and of those below it, down to
one that agrees or is no longer held; then for what the first differing height wrote, page by page, which is
compared with this node's own rows. Each peer's answers end in one verdict. A peer proves nothing: a
verdict counts as attested where f + 1 validators, one of them honest, give the same.

Upholds: every wait, page and attempt has a limit (C-16); a peer that answers nonsense is set aside and
cannot lead the others astray; nothing here changes what the node does but for what it says.
Pure: the caller says what time it is, sends what `step` returns, and reports `report()` when it changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from licet.certificate import ExecutedRoots
from licet.types import Height, ValidatorIndex

from consensus.effects import Isolate
from licensing_vm.trail import Row
from node.core.comparing import Difference, first_difference, in_order
from node.core.isolation import Finding, IsolationReport, Verdict
from node.core.parts import WritesSource, WrittenBlock
from node.limits import (
    WRITES_ANSWER_US,
    WRITES_ASKED_MAX,
    WRITES_ATTEMPTS_MAX,
    WRITES_SILENCE_US,
)
from node.net.peer_messages import WRITES_ROWS_MAX, WritesPage, WritesRequest


@dataclass(slots=True)
class _Peer:
    """Where one peer's questioning stands."""

    height: Height
    descending: bool = True  # looking for the first height that differs; then for the row
    row: int = 0
    last: Row | None = None
    maybe_earlier: bool = False
    connected: bool = False
    pending: WritesRequest | None = None
    due_us: int = 0  # when it is asked, or asked again
    asked: int = 0
    attempts: int = 0
    verdict: Difference | Verdict | None = None


class Divergence:
    """The investigation. Idle until `begin`."""

    def __init__(self, *, others: Iterable[ValidatorIndex], attesting: int, source: WritesSource) -> None:
        """`attesting` is f + 1."""
        self._others = tuple(others)
        self._attesting = attesting
        self._source = source
        self._connected: set[ValidatorIndex] = set()
        self._peers: dict[ValidatorIndex, _Peer] = {}
        self._own: dict[Height, WrittenBlock] = {}
        self._report: IsolationReport | None = None
        self._told: IsolationReport | None = None
        self._silent_at: int | None = None

    def report(self) -> IsolationReport | None:
        """What is known; None where this node is not isolated."""
        return self._report

    def news(self) -> IsolationReport | None:
        """The report, if it has changed since this was asked last."""
        if self._report is self._told:
            return None
        self._told = self._report
        return self._report

    # --- what happens

    def begin(self, isolate: Isolate, *, mono_us: int) -> None:
        """A quorum signed other roots than ours."""
        height = isolate.ours.height
        self._report = IsolationReport(ours=isolate.ours, theirs=isolate.theirs)
        at = height
        while at > 0 and (block := self._source.at(at)) is not None:
            self._own[at] = block  # the window moves on; these stay
            at = Height(at - 1)
        if height not in self._own:
            earlier = self._source.found_before(isolate.ours)
            self._report = replace(self._report, own_lost=True, earlier=earlier)
            return
        for peer in self._others:
            connected = peer in self._connected
            self._peers[peer] = _Peer(height=height, connected=connected, due_us=mono_us)
            self._peers[peer].attempts = int(connected)
        self._silent_at = mono_us + WRITES_SILENCE_US

    def connected(self, peer: ValidatorIndex, *, mono_us: int) -> None:
        """A channel stands: go on where the last one ended, so many times."""
        self._connected.add(peer)
        state = self._peers.get(peer)
        report = self._report
        if state is None or report is None or state.verdict not in (None, Verdict.LOST):
            return
        state.attempts += 1
        if state.attempts > WRITES_ATTEMPTS_MAX:
            self._settle(peer, Verdict.ENDLESS)
            return
        if state.verdict is Verdict.LOST:  # it may have been behind: from the top
            state.verdict, state.descending, state.height, state.row = None, True, report.ours.height, 0
            state.last = None
        state.connected, state.pending, state.due_us = True, None, mono_us

    def lost(self, peer: ValidatorIndex) -> None:
        """Its channel is gone."""
        self._connected.discard(peer)
        state = self._peers.get(peer)
        if state is not None:
            state.connected, state.pending = False, None

    def given(self, peer: ValidatorIndex, page: WritesPage, *, mono_us: int) -> None:
        """A peer's answer. One that was not asked for is nothing."""
        state = self._peers.get(peer)
        asked = None if state is None else state.pending
        if state is None or asked is None or state.verdict is not None or page.height != asked.height:
            return
        if page.roots is not None and not self._answers(page, asked):
            return
        state.pending, state.due_us = None, mono_us
        if page.roots is None:
            self._not_held(peer, state)
        elif state.descending:
            self._descend(peer, state, page.roots)
        else:
            self._compare(peer, state, page)

    def _answers(self, page: WritesPage, asked: WritesRequest) -> bool:
        """Whether a page answers this request, and not an earlier one that was asked twice."""
        if asked.rows and page.total == 0 and self._own[asked.height].total:
            return False
        return page.first_row == asked.first_row and len(page.rows) <= asked.rows

    def _not_held(self, peer: ValidatorIndex, state: _Peer) -> None:
        report = self._report
        assert report is not None
        if state.descending and state.height < report.ours.height:
            self._read(state, Height(state.height + 1), maybe_earlier=True)
        else:
            self._settle(peer, Verdict.LOST)

    def _descend(self, peer: ValidatorIndex, state: _Peer, roots: ExecutedRoots) -> None:
        report = self._report
        assert report is not None
        height = state.height
        if height == report.ours.height and roots != report.theirs:
            # The quorum signed for this height: who says something else is wrong, as we are, or lies.
            self._settle(peer, Verdict.SAME if roots == report.ours else Verdict.UNTRUE)
        elif height < report.ours.height and roots == self._own[height].roots:
            # At the top what we signed counts, even where our own notes say what the quorum says.
            self._read(state, Height(height + 1), maybe_earlier=False)
        elif Height(height - 1) in self._own:
            state.height = Height(height - 1)
        else:
            self._read(state, height, maybe_earlier=height > 1)

    def _read(self, state: _Peer, height: Height, *, maybe_earlier: bool) -> None:
        state.descending, state.height, state.maybe_earlier = False, height, maybe_earlier

    def _compare(self, peer: ValidatorIndex, state: _Peer, page: WritesPage) -> None:
        own = self._own[state.height]
        ends = state.row + len(page.rows) == page.total
        if not in_order(page.rows, state.last) or (not page.rows and not ends):
            self._settle(peer, Verdict.UNTRUE)
            return
        # Beyond the peer's last row ours are looked at too; before it, as many as came.
        count = own.total - state.row if ends else len(page.rows)
        ours = own.rows(state.row, min(count, len(page.rows) + 1))
        found = first_difference(state.height, ours, page.rows, maybe_earlier=state.maybe_earlier)
        if found is not None:
            honest = _same_transaction(ours, page.rows)
            self._settle(peer, found if honest else Verdict.UNTRUE)
        elif ends:
            self._settle(peer, Verdict.TREE)
        else:
            state.row += len(page.rows)
            state.last = page.rows[-1]

    def _settle(self, peer: ValidatorIndex, verdict: Difference | Verdict) -> None:
        state = self._peers[peer]
        state.verdict, state.pending = verdict, None
        report = self._report
        assert report is not None
        by_verdict: dict[Difference | Verdict, list[ValidatorIndex]] = {}
        for one in self._others:
            settled = self._peers[one].verdict
            if settled is not None:
                by_verdict.setdefault(settled, []).append(one)
        findings = [
            Finding(verdict=one, peers=tuple(peers), attested=len(peers) >= self._attesting)
            for one, peers in by_verdict.items()
        ]
        findings.sort(key=lambda one: (-len(one.peers), one.peers))
        self._report = replace(report, findings=tuple(findings), silent=False)
        if all(one.verdict is not None for one in self._peers.values()):
            self._silent_at = None

    # --- what is to do

    def step(self, mono_us: int) -> list[tuple[ValidatorIndex, WritesRequest]]:
        """Prepare a slice of our own rows, or say whom to ask what."""
        requests: list[tuple[ValidatorIndex, WritesRequest]] = []
        if self._silent_at is not None and mono_us >= self._silent_at:
            self._silent_at = None
            if self._report is not None and not self._report.findings:
                self._report = replace(self._report, silent=True)
        for peer, state in self._peers.items():
            if not self._is_open(state) or state.due_us > mono_us:
                continue
            if not state.descending and not self._own[state.height].prepare():
                break  # another slice in the next turn
            if state.asked >= WRITES_ASKED_MAX:
                self._settle(peer, Verdict.ENDLESS)
                continue
            rows = 0 if state.descending else WRITES_ROWS_MAX
            first = 0 if state.descending else state.row
            state.pending = WritesRequest(height=state.height, first_row=first, rows=rows)
            state.asked += 1
            state.due_us = mono_us + WRITES_ANSWER_US
            requests.append((peer, state.pending))
        return requests

    def _is_open(self, state: _Peer) -> bool:
        return state.connected and state.verdict is None

    def next_at(self) -> int | None:
        """When `step` has something to do next."""
        times = [state.due_us for state in self._peers.values() if self._is_open(state)]
        if self._silent_at is not None:
            times.append(self._silent_at)
        return min(times, default=None)


def _same_transaction(ours: Iterable[Row], theirs: Iterable[Row]) -> bool:
    """Blocks are final: whoever names another transaction at a place of ours is wrong about the block."""
    known = {row.position: row.transaction for row in ours}
    return all(known.get(row.position, row.transaction) == row.transaction for row in theirs)

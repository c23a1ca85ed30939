"""What this node has asked its peers for, whom it asks next, and when (C-14).

The proposer (or whoever named a batch) is asked first, then everyone in turn,
one more peer at each timeout, for as long as the batch is needed. An optional
fetch (a batch that was only offered) is asked for once. Pure: the caller says
what time it is and sends what `due` returns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from licet.types import Hash32, ValidatorIndex

from node.limits import FETCH_RETRY_US, FETCHES_OPTIONAL_MAX
from node.net.peer_messages import DIGESTS_MAX


@dataclass(slots=True, kw_only=True)
class _Fetch:
    peers: list[ValidatorIndex]  # in the order in which they are asked, for ever around
    next: int = 0
    due_us: int = 0
    optional: bool = False


class Fetches:
    """Outstanding requests for batches."""

    def __init__(self, *, others: Iterable[ValidatorIndex]) -> None:
        self._others = tuple(others)
        self._open: dict[Hash32, _Fetch] = {}
        self._optional = 0

    def __contains__(self, digest: Hash32) -> bool:
        return digest in self._open

    def __len__(self) -> int:
        return len(self._open)

    def want(self, digest: Hash32, source: ValidatorIndex | None, *, mono_us: int) -> None:
        """A block needs this batch: ask until it comes."""
        known = self._open.get(digest)
        if known is not None:
            if known.optional:
                known.optional = False
                self._optional -= 1
            return
        # Everybody starts at another peer, so that a lost one is not asked by all at once.
        first = [source] if source is not None and source in self._others else []
        peers = first + [peer for peer in self._others if peer not in first]
        if peers:
            self._open[digest] = _Fetch(peers=peers, due_us=mono_us)

    def want_offered(self, digest: Hash32, peer: ValidatorIndex, *, mono_us: int) -> None:
        """A peer offers this batch: ask it, once."""
        if digest in self._open or self._optional >= FETCHES_OPTIONAL_MAX:
            return
        self._open[digest] = _Fetch(peers=[peer], due_us=mono_us, optional=True)
        self._optional += 1

    def done(self, digest: Hash32) -> None:
        """It came, or nobody needs it any more."""
        fetch = self._open.pop(digest, None)
        if fetch is not None and fetch.optional:
            self._optional -= 1

    def not_held(self, peer: ValidatorIndex, digests: Iterable[Hash32], *, mono_us: int) -> None:
        """The peer that was asked last does not hold them: ask the next at once, but not around for ever."""
        for digest in digests:
            fetch = self._open.get(digest)
            if fetch is None or fetch.next == 0 or fetch.peers[(fetch.next - 1) % len(fetch.peers)] != peer:
                continue
            if fetch.next % len(fetch.peers):  # a whole round of refusals waits for the timer
                fetch.due_us = mono_us

    def due(self, mono_us: int) -> list[tuple[ValidatorIndex, tuple[Hash32, ...]]]:
        """The requests to send now, by peer."""
        requests: dict[ValidatorIndex, list[Hash32]] = {}
        given_up: list[Hash32] = []
        for digest, fetch in self._open.items():
            if fetch.due_us > mono_us:
                continue
            if fetch.optional and fetch.next:
                given_up.append(digest)
                continue
            peer = fetch.peers[fetch.next % len(fetch.peers)]
            fetch.next += 1
            fetch.due_us = mono_us + FETCH_RETRY_US
            requests.setdefault(peer, []).append(digest)
        for digest in given_up:
            self.done(digest)
        return [
            (peer, tuple(digests[at : at + DIGESTS_MAX]))
            for peer, digests in requests.items()
            for at in range(0, len(digests), DIGESTS_MAX)
        ]

    def next_at(self) -> int | None:
        """When `due` has something to say next."""
        return min((fetch.due_us for fetch in self._open.values()), default=None)

"""What this node has asked its peers for, whom it asks next, and when (C-14).

The proposer (or whoever named a batch) is asked first, then everyone in turn,
one more peer at each timeout, for as long as the batch is needed. Peers without
a channel are passed over while there are others. An optional fetch (a batch
that was only offered) is asked for once. Pure: the caller says what time it is
and sends what `due` returns.
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
        self._connected: set[ValidatorIndex] = set()
        self._turn = 0  # who is asked first where nobody is named: everyone in turn
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
        if not self._others:
            return
        if source is None or source not in self._others:
            source = self._others[self._turn % len(self._others)]
            self._turn += 1
        at = self._others.index(source)
        peers = [*self._others[at:], *self._others[:at]]
        self._open[digest] = _Fetch(peers=peers, due_us=mono_us)

    def connected(self, peer: ValidatorIndex) -> None:
        """A channel to this peer stands."""
        self._connected.add(peer)

    def lost(self, peer: ValidatorIndex, *, mono_us: int) -> None:
        """The channel is gone: what this peer was asked for, the next is asked for at once."""
        self._connected.discard(peer)
        for fetch in self._open.values():
            if fetch.next and fetch.peers[(fetch.next - 1) % len(fetch.peers)] == peer:
                fetch.due_us = mono_us

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
            peer = self._next_peer(fetch)
            fetch.due_us = mono_us + FETCH_RETRY_US
            requests.setdefault(peer, []).append(digest)
        for digest in given_up:
            self.done(digest)
        return [
            (peer, tuple(digests[at : at + DIGESTS_MAX]))
            for peer, digests in requests.items()
            for at in range(0, len(digests), DIGESTS_MAX)
        ]

    def _next_peer(self, fetch: _Fetch) -> ValidatorIndex:
        peers = fetch.peers
        for _ in range(len(peers)):
            peer = peers[fetch.next % len(peers)]
            fetch.next += 1
            if peer in self._connected:
                return peer
        fetch.next += 1  # nobody is there: ask anyone, the channel may be on its way
        return peers[(fetch.next - 1) % len(peers)]

    def next_at(self) -> int | None:
        """When `due` has something to say next."""
        return min((fetch.due_us for fetch in self._open.values()), default=None)

"""What this node has asked its peers for, whom it asks next, and when (C-14).

* Whoever is named for a batch (the proposer of the block that needs it, and the author
  that the proposal names) is asked at once, both in one turn; then everyone in turn, one
  more peer at each timeout, for as long as the batch is needed.
* An author's name is a hint: it costs one request and delays nobody's turn. Each peer is
  asked at once for a batch at most once, and later names are heard as the first were.
* Whoever's turn it is (a named author's only where it was asked alone) and who has nothing,
  or is gone, hands the turn on at once; when all have refused, the timer is waited for.
* Peers without a channel are passed over while there are others. An optional fetch (a
  batch that was only offered) is asked for once.

Pure: the caller says what time it is and sends what `due` returns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from licet.types import Hash32, ValidatorIndex

from node.limits import FETCH_RETRY_US, FETCHES_OPTIONAL_MAX
from node.net.peer_messages import DIGESTS_MAX


@dataclass(slots=True, kw_only=True)
class _Fetch:
    peers: tuple[ValidatorIndex, ...]  # in the order in which they are asked, for ever around
    due_us: int  # when the next one's turn is
    optional: bool = False
    next: int = 0
    at_once: list[ValidatorIndex] = field(default_factory=list)  # named and not asked yet
    named: set[ValidatorIndex] = field(default_factory=set)  # asked at once, or about to be
    hinted: set[ValidatorIndex] = field(default_factory=set)  # those of them who are but said to be authors
    expected: set[ValidatorIndex] = field(default_factory=set)  # whose turn it is, and who may still answer
    asked: set[ValidatorIndex] = field(default_factory=set)  # in this time around


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

    def want(
        self,
        digest: Hash32,
        source: ValidatorIndex | None,
        author: ValidatorIndex | None = None,
        *,
        mono_us: int,
    ) -> None:
        """A block needs this batch: ask until it comes, those first who are named.

        A name that is nobody's, or this node's own, is passed over.
        """
        if not self._others:
            return
        named = [peer for peer in dict.fromkeys((source, author)) if peer in self._others]
        fetch = self._open.get(digest)
        if fetch is None:
            if not named:
                named = [self._others[self._turn % len(self._others)]]
                self._turn += 1
            fetch = self._open[digest] = _Fetch(peers=self._order(named), due_us=mono_us)
        elif fetch.optional:
            fetch.optional = False
            self._optional -= 1
            fetch.peers = self._order([*named, *fetch.peers])
        for peer in named:
            if peer not in fetch.named:
                fetch.named.add(peer)
                fetch.at_once.append(peer)
                if peer == author and peer != source:
                    fetch.hinted.add(peer)

    def _order(self, first: list[ValidatorIndex]) -> tuple[ValidatorIndex, ...]:
        """These, then everyone else in turn after the first of them."""
        at = self._others.index(first[0])
        return tuple(dict.fromkeys((*first, *self._others[at:], *self._others[:at])))

    def connected(self, peer: ValidatorIndex) -> None:
        """A channel to this peer stands."""
        self._connected.add(peer)

    def lost(self, peer: ValidatorIndex, *, mono_us: int) -> None:
        """The channel is gone: what this peer was asked for, the next is asked for at once."""
        self._connected.discard(peer)
        for fetch in self._open.values():
            if peer in fetch.expected:
                fetch.expected.discard(peer)
                if not fetch.expected:
                    fetch.due_us = mono_us

    def want_offered(self, digest: Hash32, peer: ValidatorIndex, *, mono_us: int) -> None:
        """A peer offers this batch: ask it, once."""
        if digest in self._open or self._optional >= FETCHES_OPTIONAL_MAX:
            return
        self._open[digest] = _Fetch(
            peers=(peer,), due_us=mono_us, optional=True, at_once=[peer], named={peer}
        )
        self._optional += 1

    def done(self, digest: Hash32) -> None:
        """It came, or nobody needs it any more."""
        fetch = self._open.pop(digest, None)
        if fetch is not None and fetch.optional:
            self._optional -= 1

    def not_held(self, peer: ValidatorIndex, digests: Iterable[Hash32], *, mono_us: int) -> None:
        """A peer that was asked does not hold them: ask the next at once, but not around for ever."""
        for digest in digests:
            fetch = self._open.get(digest)
            if fetch is None or peer not in fetch.expected:
                continue
            fetch.expected.discard(peer)
            if not fetch.expected and self._unasked(fetch):  # all refused: the timer is waited for
                fetch.due_us = mono_us

    def due(self, mono_us: int) -> list[tuple[ValidatorIndex, tuple[Hash32, ...]]]:
        """The requests to send now, by peer."""
        requests: dict[ValidatorIndex, list[Hash32]] = {}
        given_up: list[Hash32] = []
        for digest, fetch in self._open.items():
            if not fetch.at_once and fetch.due_us > mono_us:
                continue
            if fetch.optional and not fetch.at_once:
                given_up.append(digest)
                continue
            for peer in self._whom(fetch, mono_us):
                requests.setdefault(peer, []).append(digest)
        for digest in given_up:
            self.done(digest)
        return [
            (peer, tuple(digests[at : at + DIGESTS_MAX]))
            for peer, digests in requests.items()
            for at in range(0, len(digests), DIGESTS_MAX)
        ]

    def _whom(self, fetch: _Fetch, mono_us: int) -> list[ValidatorIndex]:
        """Whom to ask now: those named since the last time, or the next in turn when it is due."""
        peers = [peer for peer in fetch.at_once if peer in self._connected or not self._connected]
        fetch.at_once.clear()
        if fetch.due_us <= mono_us:
            fetch.due_us = mono_us + FETCH_RETRY_US
            if not peers:
                fetch.expected.clear()
                peers = [self._next_peer(fetch)]
        fetch.expected.update(peer for peer in peers if peer not in fetch.hinted)
        if not fetch.expected:
            fetch.expected.update(peers)
        fetch.asked.update(peers)
        return peers

    def _unasked(self, fetch: _Fetch) -> list[ValidatorIndex]:
        """Who is there and was not asked this time around, the next in turn first."""
        turn = fetch.peers[fetch.next :] + fetch.peers[: fetch.next]
        # With nobody there anyone is asked: the channel may be on its way.
        there = [peer for peer in turn if peer in self._connected] or turn
        return [peer for peer in there if peer not in fetch.asked]

    def _next_peer(self, fetch: _Fetch) -> ValidatorIndex:
        unasked = self._unasked(fetch)
        if not unasked:
            fetch.asked.clear()
            unasked = self._unasked(fetch)
        fetch.next = (fetch.peers.index(unasked[0]) + 1) % len(fetch.peers)
        return unasked[0]

    def next_at(self) -> int | None:
        """When `due` has something to say next."""
        return min((fetch.due_us for fetch in self._open.values()), default=None)

"""How a node and its network are, in one sentence.

The sentence says what an operator needs first: whether the network goes on, what would stop it, and
whom it waits for. It is made from fields that stand beside it in Status, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from licet.certificate import ValidatorSet

from node.net.frames import PROTOCOL_VERSION
from node.net.peers import PeerState


def outlook(up: int, validators: ValidatorSet) -> str:
    """What `up` of the validators being up means for progress."""
    n, quorum = validators.n, validators.quorum
    if n == 1:
        return "this node orders alone"
    spare = up - quorum
    if spare < 0:
        return f"{up} of {n} up: no progress until {-spare} more {_are(-spare)} up"
    if spare == 0:
        return f"{up} of {n} up: progress continues; one more failure stops it"
    more = "one more failure changes nothing" if spare == 1 else f"{spare} more failures change nothing"
    return f"{up} of {n} up: progress continues; {more}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def waiting_for(peers: Iterable[PeerState], validators: ValidatorSet, up: int) -> str:
    """Whom a stopped network waits for, and what was last heard of each; empty while it goes on."""
    needed = validators.quorum - up
    missing = [peer for peer in peers if not peer.connected]
    if needed <= 0 or not missing:
        return ""
    names = ", ".join(peer.name for peer in missing)
    notes = "; ".join(_last_words(peer) for peer in missing)
    return f"waiting for {needed} more of {{{names}}}; {notes}"


def _last_words(peer: PeerState) -> str:
    if peer.protocol_version and peer.protocol_version != PROTOCOL_VERSION:
        return f"{peer.name} speaks v{peer.protocol_version}, we speak v{PROTOCOL_VERSION}"
    if peer.last_fault:
        return f"{peer.name}: {peer.last_fault}"
    seen = peer.seen_ms_ago
    if seen is None:
        return f"{peer.name} was never heard"
    return f"{peer.name} last seen {seen // 1000} s ago"


def sentence(
    *, height: int, peers: Iterable[PeerState], validators: ValidatorSet, ordering: str, waits: bool = True
) -> str:
    """The node's state in one sentence.

    `ordering` is what the engine says of itself; that it waits for votes is left out unless `waits`.
    """
    peers = list(peers)
    up = 1 + sum(peer.connected for peer in peers)
    parts = [f"height {height}", outlook(up, validators)]
    waiting = waiting_for(peers, validators, up)
    if waiting:
        parts.append(waiting)
    elif waits or not ordering.startswith("waiting for"):
        parts.append(ordering)
    else:
        parts.append("ordering")
    return "; ".join(parts)

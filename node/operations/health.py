"""How a node and its network are, in one sentence.

The sentence says what an operator needs first: whether the network goes on, what would stop it, who takes
no part and why, and whom a stopped network waits for. *Up* means *takes part in consensus*: a validator
that only follows, because its signing record is missing, is connected and not up. The sentence is made
from fields that stand beside it in Status, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from licet.certificate import ValidatorSet
from licet.types import ValidatorIndex

from node.net.frames import PROTOCOL_VERSION
from node.net.peer_messages import Participation
from node.net.peers import PeerState

# A connected validator whose signature the last views lacked (C-8) is taken for hung once it has also said
# nothing for a while. One that came back a moment ago has had no view to sign yet: an idle view lasts 10 s.
QUIET_MS: Final = 2_000
SETTLED_MS: Final = 15_000

WHY_NOT: Final = {
    Participation.RECORD_MISSING: "follows without voting: its signing record is missing",
    Participation.RECORD_UNUSABLE: "follows without voting: its signing record cannot be used",
    Participation.ISOLATED: "stands still: it computed other roots than a quorum signed",
}
# Who follows for want of a signing record does not vote again by coming back.
FOLLOWERS: Final = (Participation.RECORD_MISSING, Participation.RECORD_UNUSABLE)


def outlook(up: int, validators: ValidatorSet) -> str:
    """What `up` of the validators taking part means for progress."""
    n, quorum = validators.n, validators.quorum
    if n == 1:
        return "this node orders alone" if up else "0 of 1 up: no progress"
    spare = up - quorum
    if spare < 0:
        return f"{up} of {n} up: no progress until {-spare} more {_are(-spare)} up"
    if spare == 0:
        return f"{up} of {n} up: progress continues; one more failure stops it"
    more = "one more failure changes nothing" if spare == 1 else f"{spare} more failures change nothing"
    return f"{up} of {n} up: progress continues; {more}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def takes_part(peer: PeerState, silent: Collection[ValidatorIndex] = ()) -> bool:
    """Whether a peer takes part in consensus, as far as this node can tell."""
    return peer.connected and peer.participation is Participation.VOTES and not _hangs(peer, silent)


def _hangs(peer: PeerState, silent: Collection[ValidatorIndex]) -> bool:
    quiet_ms = peer.seen_ms_ago or 0
    return peer.index in silent and peer.connected_ms > SETTLED_MS and quiet_ms > QUIET_MS


def count_up(
    peers: Iterable[PeerState], *, own: Participation, silent: Collection[ValidatorIndex] = ()
) -> int:
    """How many validators take part, this one included."""
    return int(own is Participation.VOTES) + sum(takes_part(peer, silent) for peer in peers)


def waiting_for(away: Iterable[PeerState], needed: int) -> str:
    """Whom a stopped network waits for, of those that take no part; empty while it goes on."""
    if needed <= 0:
        return ""
    able = [peer.name for peer in away if not (peer.connected and peer.participation in FOLLOWERS)]
    if len(able) > needed:
        return f"waiting for {needed} more of {{{', '.join(able)}}}"
    if len(able) == needed:
        return f"waiting for {' and '.join(able)}"
    unable = needed - len(able)
    return (
        f"{unable} of the votes needed can come from nobody before {_counted(unable, 'signing record')} "
        f"{_are(unable)} put back"
    )


def _counted(count: int, what: str) -> str:
    return f"a {what}" if count == 1 else f"{count} {what}s"


def last_words(peer: PeerState) -> str:
    """Why a peer takes no part, as far as this node knows."""
    if peer.connected:
        why = WHY_NOT.get(peer.participation)
        if why is None:
            return f"{peer.name} is connected and silent for {(peer.seen_ms_ago or 0) // 1000} s"
        return f"{peer.name} {why}"
    if peer.protocol_version and peer.protocol_version != PROTOCOL_VERSION:
        return f"{peer.name} speaks v{peer.protocol_version}, we speak v{PROTOCOL_VERSION}"
    if peer.last_fault:
        return f"{peer.name}: {peer.last_fault.rstrip('.')}"
    seen = peer.seen_ms_ago
    if seen is None:
        return f"{peer.name} not heard since this node started"
    return f"{peer.name} last seen {seen // 1000} s ago"


def sentence(
    *,
    height: int,
    peers: Iterable[PeerState],
    validators: ValidatorSet,
    ordering: str,
    waits: bool = True,
    own: Participation = Participation.VOTES,
    silent: Collection[ValidatorIndex] = (),
) -> str:
    """The node's state in one sentence.

    `ordering` is what the engine does; that it waits for votes is left out unless `waits`.
    """
    peers = list(peers)
    away = [peer for peer in peers if not takes_part(peer, silent)]
    up, quorum = count_up(peers, own=own, silent=silent), validators.quorum
    lacks_votes = ordering.startswith("waiting for")
    hangs = lacks_votes and waits and up >= quorum
    # Nobody is told that progress continues while votes are missing: somebody may hang, not yet found out.
    meaning = (
        f"{up} of {validators.n} seem up, and yet votes are missing" if hangs else outlook(up, validators)
    )
    parts = [f"height {height}", meaning]
    if own in FOLLOWERS:
        parts.append(f"this node {WHY_NOT[own]}")
    if up < quorum and (waiting := waiting_for(away, quorum - up)):
        parts.append(waiting)
    if hangs:
        parts.append(ordering)  # it names whoever did not vote, and when each was last seen
        away = [peer for peer in away if peer.connected]
    parts += [last_words(peer) for peer in away]
    # An engine that lacks a quorum has nothing to say but that; one that is behind or isolated has.
    if up >= quorum and not hangs:
        parts.append("ordering" if lacks_votes else ordering)
    elif ordering.startswith(("catching up", "isolated")):
        parts.append(ordering)
    return "; ".join(parts)

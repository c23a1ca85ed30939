"""What this node knows of each peer, for the operator: address, channel, versions, last words.

Written by the transport, read by the admin service, the metrics and the status sentence. Nothing here
decides anything.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from licet.types import ValidatorIndex

from node.config import Address
from node.net.peer_messages import Participation


@dataclass(slots=True, kw_only=True)
class PeerState:
    """One peer. Mutable, and owned by the transport."""

    index: ValidatorIndex
    name: str
    address: Address | None
    connected: bool = False
    connected_at: float | None = None  # monotonic seconds: when its present or last stream was proved
    connections: int = 0
    participation: Participation = Participation.VOTES  # as it says itself, once proved
    last_heard: float | None = None  # monotonic seconds
    protocol_version: int = 0  # as it said itself, 0 if never heard
    software: str = ""
    last_fault: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    frames_dropped: int = 0

    def heard(self, size: int = 0) -> None:
        self.last_heard = time.monotonic()
        self.bytes_in += size

    def proved(self, participation: Participation) -> None:
        """A stream of it stands."""
        self.connected = True
        self.connected_at = time.monotonic()
        self.connections += 1
        self.participation = participation
        self.last_fault = ""

    @property
    def connected_ms(self) -> int:
        """For how long its stream stands; 0 without one."""
        if not self.connected or self.connected_at is None:
            return 0
        return int((time.monotonic() - self.connected_at) * 1000)

    @property
    def seen_ms_ago(self) -> int | None:
        """Milliseconds since its last bytes; None if there were none."""
        if self.last_heard is None:
            return None
        return int((time.monotonic() - self.last_heard) * 1000)


class PeerTable:
    """All other validators by index."""

    def __init__(
        self, names: Sequence[str], own: ValidatorIndex | None, addresses: Mapping[str, Address]
    ) -> None:
        self._peers = {
            ValidatorIndex(index): PeerState(
                index=ValidatorIndex(index), name=name, address=addresses.get(name)
            )
            for index, name in enumerate(names)
            if index != own
        }

    def __getitem__(self, index: ValidatorIndex) -> PeerState:
        return self._peers[index]

    def __iter__(self) -> Iterator[PeerState]:
        return iter(self._peers.values())

    def __len__(self) -> int:
        return len(self._peers)

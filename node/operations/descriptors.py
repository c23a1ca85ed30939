"""File descriptors: how many each door may take, so that the ledger's own files always have theirs.

Whoever may reach a port may open connections and say nothing. Without a bound they take every descriptor of
the process, the ledger's next file cannot be opened, and a failed write ends the node. So the limit of the
process is raised as far as it goes, a part is kept back for files and own connections, and the doors share
the rest. A connection above its door's bound is closed at once; one that says nothing is closed soon.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import Final

WANTED: Final = 65_536
RESERVED: Final = 512  # LevelDB's open files and this node's own files and connections
CLIENTS_MAX: Final = 8_192
PEERS_MAX: Final = 1_024
METRICS_MAX: Final = 64
HANDSHAKE_MS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Connections that each door takes at most."""

    clients: int
    peers: int
    metrics: int


def doors(limit: int) -> Doors:
    """The bounds under a limit of descriptors; at least three quarters of a small one are kept back."""
    free = max(limit - RESERVED, limit // 4)
    return Doors(
        clients=max(1, min(CLIENTS_MAX, free // 2)),
        peers=max(1, min(PEERS_MAX, free // 4)),
        metrics=max(1, min(METRICS_MAX, free // 8)),
    )


def raise_limit() -> int:
    """Raise this process's limit as far as its owner may; what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            return soft
        return wanted
    return WANTED if soft == resource.RLIM_INFINITY else soft


def server_options(connections: int) -> list[tuple[str, int]]:
    """gRPC's options for a door that takes so many connections."""
    return [
        ("grpc.max_allowed_incoming_connections", connections),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
    ]

"""Whether an address can be listened on, asked before gRPC is: it tells its own mind on standard error."""

from __future__ import annotations

import errno
import socket

from licet.errors import Fault, LicetError

from node.config import Address


class PortInUse(LicetError):
    """An address that this node should listen on cannot be bound."""

    def __init__(self, address: str, what: str, why: str = "") -> None:
        super().__init__(
            "PORT_IN_USE",
            f"The address {address} for {what} cannot be bound:"
            f" {why or 'another program listens on that port'}.",
            fault=Fault.OPERATOR,
            remedy="Name an address of this machine." if why else "Stop that program, or name another port.",
            facts={"address": address, "what": what},
        )


def require_free(address: Address, what: str) -> None:
    """Raise `PortInUse` for an address that cannot be bound now. Port 0 takes any that is free."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gRPC does: not for listeners
            probe.bind(place)
    except (OSError, OverflowError) as error:
        taken = isinstance(error, OverflowError) or error.errno == errno.EADDRINUSE
        why = "" if taken else str(getattr(error, "strerror", None) or error).lower()
        raise PortInUse(str(address), what, why) from None

"""Cursors of event streams: up to which event of which network somebody has seen everything.

    CHAIN.HEIGHT                  every event up to and with that height
    CHAIN.HEIGHT.INDEX.NUMBER     every event up to and with that one of that transaction

CHAIN are the first 16 hex digits of the chain id: a cursor of another network, or of the form of earlier
versions that names none, is refused and never taken for a place of this ledger.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from licet.errors import Fault, LicetError

CHAIN_DIGITS: Final = 16
INDEX_MAX: Final = (1 << 32) - 1
_DIGITS_MAX: Final = 19


class Place(NamedTuple):
    """The last event that was seen."""

    height: int
    position: int  # of the transaction in its block
    number: int


BEFORE_ALL: Final = Place(0, 0, -1)


class CursorInvalid(LicetError):
    """A cursor from which nothing can be told."""

    def __init__(self, why: str, remedy: str, **facts: str) -> None:
        super().__init__(
            "CURSOR_INVALID",
            f"The cursor {why}.",
            fault=Fault.SENDER,
            remedy=remedy,
            facts={"field": "after", **facts},
        )


def beyond(place: Place, height: int) -> CursorInvalid:
    """The error for a cursor of a height that this node does not have."""
    return CursorInvalid(
        f"is of height {place.height}, and this node's ledger ends at {height}",
        "Ask a node that is further on; where none is, the network was made anew: start without a cursor.",
        cursor_height=str(place.height),
        height=str(height),
    )


class Cursors:
    """The cursors of one network."""

    def __init__(self, chain_id: bytes) -> None:
        self._chain = chain_id.hex()[:CHAIN_DIGITS]

    def event(self, height: int, index: int, number: int) -> str:
        """The cursor of an event: its id."""
        return f"{self._chain}.{height}.{index}.{number}"

    def block(self, height: int) -> str:
        """The cursor behind everything of a height."""
        return f"{self._chain}.{height}"

    def parse(self, cursor: str) -> Place:
        """The place, before all for an empty cursor. Raises `CursorInvalid` for another network's."""
        if not cursor:
            return BEFORE_ALL
        chain, *rest = cursor.split(".")
        numbers = [int(one) for one in rest if one.isascii() and one.isdigit() and len(one) <= _DIGITS_MAX]
        if len(numbers) == len(rest) and chain == self._chain and len(rest) in (1, 3):
            return Place(*numbers) if len(rest) == 3 else Place(numbers[0], INDEX_MAX, 0)
        if len(numbers) == len(rest) == 2 and len(chain) < CHAIN_DIGITS and chain.isdigit():
            raise CursorInvalid(
                f"{cursor[:70]!r} is of the form of an earlier version, which does not name its network",
                f"Write {self._chain}. before it where it is of this network; else start without one.",
            )
        if len(numbers) == len(rest) and len(rest) in (1, 3) and len(chain) == CHAIN_DIGITS:
            raise CursorInvalid(
                f"is of network {chain}…, and this is {self._chain}…",
                "Ask a node of that network, or start without a cursor.",
            )
        raise CursorInvalid(
            f"{cursor[:70]!r} is no event's", "Give the cursor of an event that you received, as it was."
        )

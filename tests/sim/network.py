"""Links between nodes that delay, lose, repeat, reorder and break, each direction by itself.

A frame is all messages of one turn to one peer. It is harsher than the transport
of the node, which keeps the order of a channel: rules must not depend on that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from licet.types import ValidatorIndex

from node.net.peer_messages import PeerMessage
from tests.sim.world import MS, World

Frame = tuple[PeerMessage, ...]
Deliver = Callable[[ValidatorIndex, ValidatorIndex, Frame], None]

DELAY_US: Final = (200, 2 * MS)


@dataclass(slots=True, kw_only=True)
class Link:
    """One direction between two nodes."""

    delay_us: tuple[int, int] = DELAY_US
    tail_percent: float = 0.0  # frames that take much longer
    tail_us: tuple[int, int] = (2 * MS, 60 * MS)
    loss_percent: float = 0.0
    repeat_percent: float = 0.0
    cut: bool = False


class Network:
    """All links, and the frames on their way."""

    def __init__(self, world: World, n: int, deliver: Deliver) -> None:
        self._world = world
        self._n = n
        self._deliver = deliver
        self._links = {(a, b): Link() for a in range(n) for b in range(n) if a != b}
        self.frames = 0

    def link(self, source: int, target: int) -> Link:
        """The direction from one node to another."""
        return self._links[source, target]

    def links(self) -> Iterable[Link]:
        """Every direction, in a fixed order."""
        return self._links.values()

    def send(self, source: ValidatorIndex, target: ValidatorIndex, frame: Frame, *, late_us: int = 0) -> None:
        """Put a frame on its way, once, twice or not at all."""
        link, world = self._links[source, target], self._world
        if link.cut or (link.loss_percent and world.chance(link.loss_percent)):
            return
        self.frames += 1
        times = 2 if link.repeat_percent and world.chance(link.repeat_percent) else 1
        for _ in range(times):
            delay = world.between(*link.delay_us) + late_us
            if link.tail_percent and world.chance(link.tail_percent):
                delay += world.between(*link.tail_us)
            world.after(delay, lambda: self._arrive(source, target, frame))

    def _arrive(self, source: ValidatorIndex, target: ValidatorIndex, frame: Frame) -> None:
        if not self._links[source, target].cut:  # a cut takes what is on the wire
            self._deliver(source, target, frame)

    # --- trouble

    def partition(self, groups: Iterable[Iterable[int]]) -> None:
        """Only nodes of one group hear each other."""
        home = {index: number for number, group in enumerate(groups) for index in group}
        for (a, b), link in self._links.items():
            link.cut = home.get(a, -1 - a) != home.get(b, -1 - b)

    def heal(self) -> None:
        """Every link carries again, without loss or tails."""
        for link in self._links.values():
            link.cut = False
            link.loss_percent = link.repeat_percent = link.tail_percent = 0.0
            link.delay_us = DELAY_US

"""What an isolated node knows of the reason, in fields and in a sentence (C-13).

A peer proves nothing by what it tells: a finding is attested where f + 1 validators give the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from licet.certificate import ExecutedRoots
from licet.types import ValidatorIndex

from node.core.comparing import Difference, left_text


class Verdict(Enum):
    """What a peer's answers came to where no difference can be named."""

    TREE = "every write agrees and the roots differ: this node's tree or log is damaged"
    SAME = "it computed the same roots as this node"
    LOST = "it no longer holds what that height wrote"
    UNTRUE = "what it answers contradicts itself, or what a quorum signed"
    ENDLESS = "it did not come to an end within the limits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A verdict, and which peers it rests on."""

    verdict: Difference | Verdict
    peers: tuple[ValidatorIndex, ...]
    attested: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolationReport:
    """What an isolated node knows of the reason. `findings`: what rests on most peers first."""

    ours: ExecutedRoots
    theirs: ExecutedRoots
    findings: tuple[Finding, ...] = ()
    own_lost: bool = False  # this node does not hold its own writes of that height
    earlier: str = ""  # what was found before a restart
    silent: bool = False  # nobody has answered in time

    @property
    def main(self) -> Finding | None:
        """The finding to act on, if there is one: attested before not, most peers first."""
        useful = (one for one in self.findings if not isinstance(one.verdict, Verdict))
        trees = (one for one in self.findings if one.verdict is Verdict.TREE)
        found = sorted((*useful, *trees), key=lambda one: (not one.attested, -len(one.peers)))
        return found[0] if found else None

    def sentence(self, names: tuple[str, ...]) -> str:
        """What is known, for people."""
        if self.own_lost and self.earlier:
            return f"found before this node was restarted: {self.earlier}"
        if self.own_lost:
            return (
                f"where it differs cannot be told: this node no longer holds what height {self.ours.height} "
                "wrote (it was restarted, or the height is too old)"
            )
        main = self.main
        if main is not None:
            return f"{_what(main.verdict)}, {_according(main, names)}"
        if self.findings:
            return "; ".join(f"{_named(one.peers, names)}: {_what(one.verdict)}" for one in self.findings)
        if self.silent:
            return "no peer has told yet what it wrote; each is asked again when it connects"
        return "its peers are being asked where it differs"


def _what(verdict: Difference | Verdict) -> str:
    if isinstance(verdict, Verdict):
        return verdict.value
    earlier = " (or before: earlier heights are no longer held)" if verdict.maybe_earlier else ""
    return (
        f"the first difference is at {verdict.place()}{earlier}: {left_text(verdict.ours)} here, "
        f"{left_text(verdict.theirs)} there"
    )


def _named(peers: Iterable[ValidatorIndex], names: tuple[str, ...]) -> str:
    return ", ".join(names[peer] for peer in peers)


def _according(finding: Finding, names: tuple[str, ...]) -> str:
    who = _named(finding.peers, names)
    return f"attested by {who}" if finding.attested else f"according to {who} only"

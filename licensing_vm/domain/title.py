"""Title: who holds how much of a right, over action, territory and time (L-15).

A claim covers the actions and territories below its codes for [from, until). Two claims meet where all
three overlap. `overlaps_beyond_whole` guards recognition (never more than 100 % of a right, territory
and instant); `missing_title` guards grants (the signatories hold all of it). Works on masks of leaves,
cut into pieces on which the set of claims is constant, so that every leaf is covered without being
looked at one by one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from licet.entities import Claim

from licensing_vm.codelists import ACTIONS, TERRITORIES
from licensing_vm.errors import Refused

ANY: Final = "any"
WHOLE_PPM: Final = 1_000_000
FOREVER: Final = 1 << 63
RECOGNISED_STEPS_MAX: Final = 10_000  # pieces times claims of one check, when a claim is registered
GRANTED_STEPS_MAX: Final = 1_000  # the same when a right is granted, which sales do by the thousand


def actions_of(right: str) -> int:
    return ACTIONS.everything if right == ANY else ACTIONS.mask((right,))


def territories_of(territory: str) -> int:
    return TERRITORIES.mask((territory,))


def end_of(until_ms: int) -> int:
    return until_ms or FOREVER


class _Extent(NamedTuple):
    """A claim as masks and an interval."""

    actions: int
    territories: int
    start: int
    end: int
    share_ppm: int


def _extent(claim: Claim) -> _Extent:
    return _Extent(
        actions_of(claim.right),
        territories_of(claim.territory),
        claim.from_ms,
        end_of(claim.until_ms),
        claim.share_ppm,
    )


def _pieces(mask: int, cuts: Iterable[int]) -> list[int]:
    """`mask` cut so that each piece lies inside or outside of every cut."""
    pieces = [mask]
    for cut in cuts:
        pieces = [part for piece in pieces for part in (piece & cut, piece & ~cut) if part]
    return pieces


def _shares(of: _Extent, claims: Sequence[_Extent], most: int) -> Iterator[tuple[int, int, int]]:
    """Every piece of an extent on which the claims in force are constant: action, territory, shares."""
    actions = _pieces(of.actions, sorted({claim.actions for claim in claims}))
    territories = _pieces(of.territories, sorted({claim.territories for claim in claims}))
    instants = sorted(
        {of.start}.union(at for c in claims for at in (c.start, c.end) if of.start < at < of.end)
    )
    if len(actions) * len(territories) * len(instants) * len(claims) > most:
        raise Refused("TOO_MANY", "The asset's claims overlap in too many ways to be added up.")
    for at in instants:
        in_force = [claim for claim in claims if claim.start <= at < claim.end]
        for action in actions:
            on_action = [claim for claim in in_force if action & claim.actions]
            for territory in territories:
                yield action, territory, sum(c.share_ppm for c in on_action if territory & c.territories)


def overlaps_beyond_whole(new: Claim, claims: Iterable[Claim]) -> int:
    """The highest sum of shares that `new` would bring about, if above 100 %; else 0."""
    of = _extent(new)
    meeting = [
        claim
        for claim in map(_extent, claims)
        if claim.start < of.end
        and of.start < claim.end
        and of.actions & claim.actions
        and of.territories & claim.territories
    ]
    if of.share_ppm + sum(claim.share_ppm for claim in meeting) <= WHOLE_PPM:
        return 0
    highest = of.share_ppm + max(shares for _, _, shares in _shares(of, meeting, RECOGNISED_STEPS_MAX))
    return highest if highest > WHOLE_PPM else 0


def missing_title(
    actions: int,
    territories: int,
    start: int,
    end: int,
    claims: Iterable[Claim],
    signatories: Collection[str],
) -> str:
    """Why the signatories' claims do not carry a grant of [start, end); empty if they do."""
    own = [_extent(claim) for claim in claims if claim.holder in signatories]
    if not own:
        return "none of the signatories holds a claim"
    of = _Extent(actions, territories, start, end, 0)
    for action, territory, held in _shares(of, own, GRANTED_STEPS_MAX):
        if held < WHOLE_PPM:
            what, where = ACTIONS.leaf_codes(action)[0], TERRITORIES.leaf_codes(territory)[0]
            return f"the signatories hold {held} parts per million of {what} in {where}"
    return ""

"""Exclusivity: what is reserved in an asset, in one key per asset (L-15).

Signing reserves [start, end) per asset, action, territory and medium. A grant that overlaps another
licensee's reserved exclusive is refused; an exclusive that overlaps any reservation or a live
non-exclusive grant is refused (`subject to` is a later version); `sole` reserves like an exclusive and
leaves the licensor, who needs no grant, alone. Of non-exclusive grants only the latest end is kept per
extent, rounded up to a whole UTC day, so that a sale seldom writes this key; an exclusive may therefore
have to wait until the day after the last of them ended.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Any, Final

from licet.entities import Reservation, Rights, SharedRight, rights_key

from licensing_vm.calendar import DAY_MS, iso_text
from licensing_vm.codelists import ACTIONS, MEDIA, TERRITORIES, CodeTree
from licensing_vm.domain.bound import EXCLUSIVE_NAMES, GrantPlan
from licensing_vm.domain.context import Context
from licensing_vm.errors import Refused
from licensing_vm.program.model import Exclusive

RESERVATIONS_MAX: Final = 256
SHARED_MAX: Final = 256  # extents of one asset; beyond, they are joined into one that covers all
ENTRIES_FREE: Final = 4  # of an asset's rights, which a grant's work pays for
ENTRY_MET: Final = 12  # the work of each further one, read for the first time in a block and written,
ENTRY: Final = 3  # and each time it is searched
COMPARED: Final = 1  # two grants of an offer, whether they exclude each other
_NOTHING: Final = Rights(exclusive=(), shared=())
Seen = tuple[Rights, int, int]  # a record, up to which end it covers a grant, and from which time on


@lru_cache(maxsize=4096)
def _mask(tree: CodeTree, codes: tuple[str, ...]) -> int:
    return tree.mask(codes) if codes else tree.everything


def _meets(plan: GrantPlan, right: Any) -> bool:
    """Whether a recorded right shares an action, a territory and a medium with the grant."""
    return bool(
        plan.action_mask & _mask(ACTIONS, right.actions)
        and plan.territory_mask & _mask(TERRITORIES, right.territories)
        and plan.medium_mask & _mask(MEDIA, right.media)
    )


def reserve(
    context: Context,
    plan: GrantPlan,
    at: int,
    agreement: str,
    licensee: str,
    start: int,
    end: int,
    seen: dict[int, Seen],
    terms: Hashable,
) -> None:
    """Refuse what exclusivity forbids, and record the grant. `seen` remembers, for a record that holds
    no exclusive in the way of grant number `at`, up to which end it already covers such a grant: from that
    time on, for exclusives end, and a question may be asked of a later time than the next block's. Searching
    is paid for by what this block has searched for these `terms`, never by what this node remembers."""
    key = rights_key(plan.asset)
    rights = context.state.get(key, Rights) or _NOTHING
    entries = len(rights.exclusive) + len(rights.shared)
    if entries > ENTRIES_FREE:  # read, searched and perhaps written again
        _pay_for_search(context, key, (terms, at), rights, end)
    known = seen.get(at)
    if known is not None and known[0] is rights and end <= known[1] and context.now >= known[2]:
        if entries > ENTRIES_FREE:
            context.searched[terms, at] = known
        return
    in_the_way = [right for right in rights.exclusive if right.until_ms > context.now and _meets(plan, right)]
    if plan.exclusive is Exclusive.NO:
        for right in in_the_way:
            if right.licensee != licensee and right.from_ms < end and start < right.until_ms:
                raise _overlap(plan, right)
        rights, covered = _share(context, key, rights, plan, end)
        if not in_the_way and covered:
            seen[at] = (rights, covered, context.now)
            if len(rights.exclusive) + len(rights.shared) > ENTRIES_FREE:
                context.searched[terms, at] = seen[at]
        return
    for right in in_the_way:
        if right.from_ms < end and start < right.until_ms:
            raise _overlap(plan, right)
    for shared in rights.shared:
        if shared.latest_end_ms > start and _meets(plan, shared):
            raise Refused(
                "EXCLUSIVE_OVERLAP",
                f"{plan.asset} is granted to others until {iso_text(shared.latest_end_ms)} at the latest.",
                {"asset": plan.asset, "until_ms": str(shared.latest_end_ms)},
                clause=plan.name,
            )
    _reserve(context, key, rights, plan, agreement, licensee, start, end)


def _pay_for_search(
    context: Context, key: bytes, grant: tuple[Hashable, int], rights: Rights, end: int
) -> None:
    entries = len(rights.exclusive) + len(rights.shared) - ENTRIES_FREE
    if key not in context.met:
        context.met.add(key)
        context.took(entries * ENTRY_MET)
    before = context.searched.get(grant)
    if before is None or before[0] is not rights or end > before[1]:
        context.took(entries * ENTRY)


def must_be_signable(context: Context, plans: Sequence[GrantPlan], roles: Sequence[str]) -> None:
    """Refuse terms whose own grants exclude each other, whoever takes a role that is still open. The checker
    refuses what no parameter could avoid (`TERMS_EXCLUSIVE_OVERLAP`); here the parameters are known."""
    kinds = tuple({(plan.name, plan.slot): plan for plan in plans}.values())
    exclusive = [at for at, plan in enumerate(kinds) if plan.exclusive is not Exclusive.NO]
    context.spend(len(exclusive) * len(kinds) * COMPARED)
    for at in exclusive:
        one = kinds[at]
        for n, other in enumerate(kinds):
            both = other.exclusive is not Exclusive.NO
            if (
                n == at
                or one.slot != other.slot
                or not (both or (roles[one.to] and roles[other.to] and roles[one.to] != roles[other.to]))
            ):
                continue
            if (
                one.action_mask & other.action_mask
                and one.territory_mask & other.territory_mask
                and one.medium_mask & other.medium_mask
            ):
                raise Refused(
                    "EXCLUSIVE_OVERLAP",
                    f"{one.name} reserves {one.asset}, and {other.name} grants the same.",
                    {"asset": one.asset, "grants": f"{one.name}, {other.name}"},
                    clause=one.name,
                )


def exclusive_first(plans: Sequence[GrantPlan]) -> tuple[int, ...]:
    """The order in which grants are made: what is reserved for a licensee does not hinder his other grants,
    in whichever order the text has them."""
    return tuple(sorted(range(len(plans)), key=lambda at: plans[at].exclusive is Exclusive.NO))


def _overlap(plan: GrantPlan, right: Reservation) -> Refused:
    return Refused(
        "EXCLUSIVE_OVERLAP",
        f"{plan.asset} is reserved for {right.licensee} until {iso_text(right.until_ms)}"
        f" by {right.agreement}:{right.grant}.",
        {
            "asset": plan.asset,
            "agreement": right.agreement,
            "licensee": right.licensee,
            "until_ms": str(right.until_ms),
        },
        clause=plan.name,
    )


def _share(context: Context, key: bytes, rights: Rights, plan: GrantPlan, end: int) -> tuple[Rights, int]:
    """Record a non-exclusive grant; the record afterwards and the end that it covers such grants up to, zero
    where its extent is not named any more: then the next one writes it again, on every node."""
    latest = -(-end // DAY_MS) * DAY_MS
    extent = (plan.actions, plan.territories, plan.media)
    for right in rights.shared:
        if (right.actions, right.territories, right.media) == extent:
            if right.latest_end_ms >= end:
                return rights, right.latest_end_ms
            break
    alive = [
        right
        for right in rights.shared
        if right.latest_end_ms > context.now and (right.actions, right.territories, right.media) != extent
    ]
    joined = len(alive) >= SHARED_MAX
    if joined:
        latest = max(latest, *(right.latest_end_ms for right in alive))
        extent, alive = (("use",), (), ()), []
    new = SharedRight(actions=extent[0], territories=extent[1], media=extent[2], latest_end_ms=latest)
    rights = Rights(exclusive=_live(context, rights), shared=(*alive, new))
    context.state.put(key, rights)
    return rights, 0 if joined else latest


def _live(context: Context, rights: Rights) -> tuple[Reservation, ...]:
    return tuple(right for right in rights.exclusive if right.until_ms > context.now)


def _reserve(
    context: Context,
    key: bytes,
    rights: Rights,
    plan: GrantPlan,
    agreement: str,
    licensee: str,
    start: int,
    end: int,
) -> None:
    live = _live(context, rights)
    if len(live) >= RESERVATIONS_MAX:
        raise Refused(
            "TOO_MANY", f"An asset has at most {RESERVATIONS_MAX} exclusive reservations at a time."
        )
    reservation = Reservation(
        agreement=agreement,
        grant=plan.name,
        licensee=licensee,
        sole=EXCLUSIVE_NAMES[plan.exclusive] == "sole",
        actions=plan.actions,
        territories=plan.territories,
        media=plan.media,
        from_ms=start,
        until_ms=end,
    )
    shared = tuple(right for right in rights.shared if right.latest_end_ms > context.now)
    context.state.put(key, Rights(exclusive=(*live, reservation), shared=shared))

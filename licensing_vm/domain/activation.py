"""Activating an agreement: rights reserved, the record written, the clauses `on activated` run.

Both doors, a standing offer accepted and an agreement negotiated, end here. Upholds L-12 (program,
parameters, role holders, code lists and asset versions are pinned in the record), L-15 (title and
exclusivity, at signing) and L-1 (what the terms say is paid at once is paid, or nothing happens).
"""

from __future__ import annotations

from typing import Final, NamedTuple, final

from licet.entities import (
    ACTIVE,
    Agreement,
    Claim,
    ClaimList,
    GrantInterval,
    NamedValue,
    agreement_key,
    claims_key,
)
from licet.records import encode

from licensing_vm.calendar import DAY_MS, add_span, iso_text
from licensing_vm.codelists import CODELISTS_VERSION
from licensing_vm.domain.booking import Case, run_clauses
from licensing_vm.domain.bound import EXCLUSIVE_NAMES, Bound, GrantPlan
from licensing_vm.domain.context import Context
from licensing_vm.domain.literals import canonical
from licensing_vm.domain.reach import MET_ITEM, TITLE, too_wide
from licensing_vm.domain.rights import Seen, exclusive_first, reserve
from licensing_vm.domain.title import missing_title
from licensing_vm.errors import Refused
from licensing_vm.events import event_record
from licensing_vm.mould import Hole, Mould, number_bytes, text_bytes
from licensing_vm.program.model import NONE, Span, Trigger

SALE_FREE: Final = 17  # units of work that accepting an offer declares: a clause, a few payees, a grant
AHEAD_MAX_MS: Final = 3_653 * DAY_MS  # rights begin within ten years of signing
_ACTIVATED: Final = (Trigger.ACTIVATED, NONE)

# Holes of the agreement's mould; the ends of its spans follow.
_ID, _HEIGHT, _SIGNED, _EFFECTIVE, _BUYER, _ENDS = range(6)


def start_of_rights(context: Context, effective_ms: int) -> int:
    """When the rights begin: now if not stated, never in the past."""
    if not effective_ms:
        return context.now
    if effective_ms < context.now:
        raise Refused(
            "EFFECTIVE_IN_PAST",
            f"The rights would begin at {iso_text(effective_ms)}, before the block's time.",
            {"effective_ms": str(effective_ms), "block_ms": str(context.now)},
        )
    if effective_ms > context.now + AHEAD_MAX_MS:
        raise Refused("INVALID_BINDING", "Rights begin within ten years of signing.")
    return effective_ms


class Title(NamedTuple):
    """The claims that a grant rests on; `bounded` if some begin or end, so that time matters."""

    plan: GrantPlan
    claims: tuple[Claim, ...]
    registrant: str
    bounded: bool


@final
class Sale:
    """What of an activation is known beforehand, kept with its bound terms."""

    __slots__ = (
        "agreement",
        "days",
        "event",
        "fits",
        "index",
        "order",
        "parties",
        "seen",
        "spans",
        "titled",
        "titles",
        "titling",
        "work",
    )

    def __init__(self, context: Context, bound: Bound, offer: str) -> None:
        self.spans = tuple(sorted({plan.during for plan in bound.grants}))
        self.days: dict[int, tuple[int, ...]] = {}  # day of the start -> days to each span's end
        self.seen: dict[int, Seen] = {}
        self.titles = tuple(title_of(context, plan, bound) for plan in bound.grants)
        dated = sum(TITLE + len(title.claims) for title in self.titles if title.bounded)
        self.titling = sum(TITLE + MET_ITEM * len(title.claims) for title in self.titles if title.claims)
        self.fits = bound.within(dated)
        self.work = bound.reached(*_ACTIVATED) + dated
        self.agreement = _agreement_mould(bound, offer, self.spans)
        self.event = _event_mould(bound, offer)
        self.parties = dict.fromkeys(party for party in bound.roles if party)
        self.index = tuple(_index_rows(bound))
        self.order = exclusive_first(bound.grants)
        self.titled = False  # whether the titles were checked that do not depend on time

    def pay_for_titles(self, context: Context, bound: Bound) -> None:
        """The claims that the grants rest on, read and added up: once in a block, whether or not this node
        has done it before."""
        if self.titling:
            key, changes = (bound.paid_as, "titles"), context.state.changes
            if context.bound_in_block.get(key) != changes:
                context.bound_in_block[key] = changes
                context.took(self.titling)

    def ends(self, start: int) -> list[int]:
        """The end of each span from a start. Months are civil, so the length depends on the day only."""
        day, of_day = divmod(start, DAY_MS)
        days = self.days.get(day)
        if days is None:
            if len(self.days) > 64:
                self.days.clear()
            days = self.days[day] = tuple(
                (add_span(day * DAY_MS, span) // DAY_MS) - day for span in self.spans
            )
        return [(day + length) * DAY_MS + of_day for length in days]


def title_of(context: Context, plan: GrantPlan, bound: Bound | None = None) -> Title:
    """The title behind a grant; bound terms stand or fall with the claims."""
    if bound is None:
        claims = (context.state.get(claims_key(plan.asset), ClaimList) or ClaimList(claims=())).claims
    else:
        claims = bound.claims(context, plan.asset).claims
    bounded = any(claim.from_ms or claim.until_ms for claim in claims)
    return Title(plan, claims, context.paid_asset(plan.asset).registrant, bounded)


def check_title(title: Title, start: int, end: int, signatories: tuple[str, ...]) -> None:
    """L-15: the signatories hold the whole right by recognised claims; of an asset that nobody has
    claimed, its registrant holds everything."""
    plan = title.plan
    if title.claims:
        missing = missing_title(plan.action_mask, plan.territory_mask, start, end, title.claims, signatories)
    else:
        missing = "" if title.registrant in signatories else f"its registrant {title.registrant} did not sign"
    if missing:
        raise Refused(
            "NO_TITLE",
            f"The grant {plan.name} on {plan.asset} has no title: {missing}.",
            {"asset": plan.asset, "grant": plan.name},
            clause=plan.name,
        )


def sale_of(context: Context, bound: Bound, offer: str, signatories: tuple[str, ...]) -> Sale:
    """The activation kept with these terms, once the titles hold that do not depend on time. It is kept where
    they do not, too: terms may be asked for in vain any number of times."""
    sale: Sale | None = bound.extra
    if sale is None:
        sale = bound.extra = Sale(context, bound, offer)
    sale.pay_for_titles(context, bound)
    if not sale.titled:
        for title in sale.titles:
            if not title.bounded:
                check_title(title, context.now, add_span(context.now, title.plan.during), signatories)
        sale.titled = True
    return sale


def activate(
    context: Context,
    bound: Bound,
    sale: Sale,
    agreement: str,
    buyer: str,
    start: int,
    signatories: tuple[str, ...],
) -> None:
    """Make the agreement. `buyer` takes the open role; empty where there is none."""
    key = agreement_key(agreement)
    context.must_be_new(key, "an agreement", agreement)
    if not sale.fits:
        raise too_wide(agreement=agreement)
    context.spend(max(0, sale.work - SALE_FREE) if bound.open_role != NONE else sale.work)
    roles = bound.roles
    if bound.open_role != NONE:
        roles = (*roles[: bound.open_role], buyer, *roles[bound.open_role + 1 :])
    ends = sale.ends(start)
    spans = sale.spans
    for at in sale.order:
        plan = bound.grants[at]
        end = ends[0] if len(ends) == 1 else ends[spans.index(plan.during)]
        title = sale.titles[at]
        if title.bounded:
            check_title(title, start, end, signatories)
        reserve(context, plan, at, agreement, roles[plan.to], start, end, sale.seen, bound.paid_as)
    id_bytes, buyer_bytes = text_bytes(agreement), text_bytes(buyer)
    now = context.time_bytes
    context.state.put_new(
        key,
        sale.agreement.fill(
            id_bytes,
            context.height_bytes,
            now,
            now if start == context.now else number_bytes(start),
            buyer_bytes,
            *map(number_bytes, ends),
        ),
    )
    context.events.append(sale.event.fill(id_bytes, buyer_bytes))
    raw_id, raw_buyer = agreement.encode(), buyer.encode()
    context.index += [
        b"".join((head, raw_buyer, tail, raw_id)) if tail else head + raw_id for head, tail in sale.index
    ]
    context.parties.update(sale.parties)
    run_clauses(
        context,
        bound,
        bound.terms.clauses.get(_ACTIVATED, ()),
        Case(agreement, roles, (), "", id_bytes, buyer_bytes),
        bound.no_facts,
        bound.no_befores,
    )


def _agreement_mould(bound: Bound, offer: str, spans: tuple[Span, ...]) -> Mould:
    program = bound.terms.program
    roles = tuple(party or Hole.text(_BUYER) for party in bound.roles)
    pattern = Agreement(
        agreement=Hole.text(_ID),
        height=Hole.number(_HEIGHT),
        signed_ms=Hole.number(_SIGNED),
        effective_ms=Hole.number(_EFFECTIVE),
        state=ACTIVE,
        offer=offer,
        program_hash=bound.terms.hash,
        template=bound.terms.named,
        codelists=CODELISTS_VERSION,
        roles=tuple(NamedValue(name=role.name, value=roles[at]) for at, role in enumerate(program.roles)),
        params=tuple(
            NamedValue(name=param.name, value=canonical(program, param, bound.params[at]))
            for at, param in enumerate(program.params)
        ),
        assets=tuple(
            NamedValue(name=slot.name, value=bound.assets[at].asset) for at, slot in enumerate(program.slots)
        ),
        versions=tuple(asset.version for asset in bound.assets),
        lineages=tuple(line.version for line in bound.lines),
        grants=tuple(
            GrantInterval(
                grant=plan.name,
                asset=plan.asset,
                grantee=roles[plan.to],
                actions=plan.actions,
                territories=plan.territories,
                media=plan.media,
                exclusive=EXCLUSIVE_NAMES[plan.exclusive],
                from_ms=Hole.number(_EFFECTIVE),
                until_ms=Hole.number(_ENDS + spans.index(plan.during)),
            )
            for plan in bound.grants
        ),
    )
    return Mould(pattern, _ENDS + len(spans), tagged=True)


def _event_mould(bound: Bound, offer: str) -> Mould:
    licensee = bound.grants[0].to if bound.grants else bound.open_role
    event = event_record(
        "agreement.activated",
        {
            "agreement": Hole.text(0),
            "offer": offer,
            "template": bound.terms.named,
            "licensee": (bound.roles[licensee] or Hole.text(1)) if licensee != NONE else "",
        },
    )
    assert encode(event)
    return Mould(event, 2, tagged=False)


def _index_rows(bound: Bound) -> list[tuple[bytes, bytes]]:
    """Index rows as (head, tail): the buyer stands between them where there is a tail; then the id."""
    rows: list[tuple[bytes, bytes]] = []
    for party in dict.fromkeys(bound.roles):
        rows.append((f"agreement/party/{party}/".encode(), b"") if party else (b"agreement/party/", b"/"))
    for asset in dict.fromkeys(asset.asset for asset in bound.assets):
        rows.append((f"agreement/asset/{asset}/".encode(), b""))
    for to, asset in dict.fromkeys((plan.to, plan.asset) for plan in bound.grants):
        party = bound.roles[to]
        if party:
            rows.append((f"grant/{party}/{asset}/".encode(), b""))
        else:
            rows.append((b"grant/", f"/{asset}/".encode()))
    return rows

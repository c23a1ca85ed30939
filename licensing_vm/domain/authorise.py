"""May a party use an asset for an action, and by which clause? (L-14)

Closed world: without a matching permit the answer is no. One grant must cover the whole use: every leaf
of action, territory and medium, and all of [from, until). A forbid limits only its own agreement and
beats that agreement's permits unless it excepts them; it never cancels a right bought elsewhere. The
answer reserves nothing and changes nothing.

Candidates come from the caller's index rows (`grant/PARTY/ASSET/…`, `offer/asset/ASSET/…`); each is
read from the state and judged here, so a wrong index can hide a right and never invent one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, TypeVar

from licet.entities import (
    Agreement,
    CurrencyEntry,
    GrantInterval,
    NamedValue,
    Offer,
    Rights,
    StoredProgram,
    Template,
    agreement_key,
    currency_key,
    offer_key,
    program_key,
    rights_key,
    template_key,
)

from licensing_vm.calendar import add_span, iso_text
from licensing_vm.codelists import ACTIONS, MEDIA, TERRITORIES, CodeTree
from licensing_vm.domain.agreements import stored_params
from licensing_vm.domain.bound import codes_of, grain_factor, grant_plans
from licensing_vm.errors import Refused
from licensing_vm.money.amounts import money_text
from licensing_vm.program.encoding import decode
from licensing_vm.program.errors import ClauseRefused
from licensing_vm.program.interpreter import run
from licensing_vm.program.model import Forbid, Kind, Payee, Program, Trigger, Value

T = TypeVar("T")


class View(Protocol):
    """The state at one height; `Machine` is one."""

    def read(self, key: bytes, kind: type[T]) -> T | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A use. No territories means the world, no media any medium; `until_ms` 0 is the instant `from_ms`,
    and `from_ms` 0 is now."""

    party: str
    asset: str
    action: str
    territories: tuple[str, ...] = ()
    media: tuple[str, ...] = ()
    from_ms: int = 0
    until_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferQuote:
    """A standing offer that would permit the use. `price` is what is paid at once, in minor units of the
    ledger; None where nothing is."""

    offer: str
    template: str
    price: int | None
    currency: str
    price_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    allowed: bool
    reason: str
    clauses: tuple[str, ...]  # "agreement:clause", those that decided
    agreements: tuple[str, ...]
    offers: tuple[OfferQuote, ...]


class _Use:
    """A question as masks and an interval of at least one millisecond."""

    __slots__ = ("actions", "asset", "end", "media", "now", "party", "start", "territories")

    def __init__(self, question: Question, now_ms: int) -> None:
        self.party = question.party
        self.asset = question.asset
        self.actions = _mask(ACTIONS, (question.action,))
        self.territories = _mask(TERRITORIES, question.territories)
        self.media = _mask(MEDIA, question.media)
        self.now = now_ms
        self.start = question.from_ms or now_ms
        self.end = question.until_ms or self.start + 1
        if self.end <= self.start:
            raise Refused("INVALID_QUESTION", "The use would end before it begins.")


def _mask(tree: CodeTree, codes: tuple[str, ...]) -> int:
    """The leaves asked for; all of them for none."""
    for code in codes:
        if code not in tree:
            raise Refused("INVALID_QUESTION", f"There is no {tree.name} {code!r}.", {tree.name: code})
    return tree.mask(codes) if codes else tree.everything


def authorise(
    view: View, question: Question, agreements: Iterable[str], offers: Iterable[str], now_ms: int
) -> Answer:
    """Decide. `agreements` are candidates by id, the most promising first; `offers` likewise."""
    use = _Use(question, now_ms)
    forbidden: list[str] = []
    near: str = ""
    for name in agreements:
        agreement = view.read(agreement_key(name), Agreement)
        if agreement is None:
            continue
        for grant in agreement.grants:
            if grant.asset != use.asset or grant.grantee != use.party:
                continue
            missing = _uncovered(use, grant)
            if missing:
                near = near or f"{name}:{grant.grant} does not cover {missing}"
                continue
            forbid = _forbidden(view, use, agreement, grant.grant)
            if forbid:
                forbidden.append(f"{name}:{forbid}")
                continue
            return Answer(
                allowed=True,
                reason=f"{grant.grant} of {name} permits it until {iso_text(grant.until_ms)}.",
                clauses=(f"{name}:{grant.grant}",),
                agreements=(name,),
                offers=(),
            )
    if forbidden:
        reason = f"{forbidden[0]} forbids it, and no other agreement permits it."
    elif near:
        reason = f"No grant covers the whole use: {near}."
    else:
        reason = f"No agreement grants {question.party} any right in {question.asset}."
    return Answer(
        allowed=False,
        reason=reason,
        clauses=tuple(forbidden),
        agreements=(),
        offers=tuple(quote for name in offers if (quote := _quote(view, use, name)) is not None),
    )


def _uncovered(use: _Use, grant: GrantInterval) -> str:
    """What of the use a grant does not cover; empty if it covers all."""
    if use.start < grant.from_ms or use.end > grant.until_ms:
        return f"the time: it runs from {iso_text(grant.from_ms)} to {iso_text(grant.until_ms)}"
    for tree, asked, codes in (
        (ACTIONS, use.actions, grant.actions),
        (TERRITORIES, use.territories, grant.territories),
        (MEDIA, use.media, grant.media),
    ):
        left = asked & ~tree.mask(codes) if codes else 0
        if left:
            return f"the {tree.name} {tree.leaf_codes(left)[0]}"
    return ""


@lru_cache(maxsize=256)
def _decoded(code: bytes) -> Program:
    return decode(code)


def _program(view: View, program_hash: bytes) -> Program | None:
    stored = view.read(program_key(program_hash), StoredProgram)
    return None if stored is None else _decoded(stored.code)


def _forbidden(view: View, use: _Use, agreement: Agreement, grant: str) -> str:
    """The forbid of the agreement that beats its grant for this use, if any."""
    program = _program(view, agreement.program_hash)
    assert program is not None, "an agreement's program is stored for ever"
    if not program.forbids:
        return ""
    params = stored_params(program, agreement.params)
    return _beaten(use, program, params, tuple(asset.value for asset in agreement.assets), grant)


def _beaten(use: _Use, program: Program, params: tuple[Value, ...], assets: Sequence[str], grant: str) -> str:
    at = next(number for number, of in enumerate(program.grants) if of.name == grant)
    for forbid in program.forbids:
        on_asset = any(assets[slot] == use.asset for slot in forbid.slots)
        if on_asset and at not in forbid.excepted and _touches(use, forbid, params):
            return forbid.name
    return ""


def _touches(use: _Use, forbid: Forbid, params: tuple[Value, ...]) -> bool:
    """Whether any leaf of the use is forbidden."""
    territories = codes_of(forbid.where, Kind.TERRITORY, params)
    media = codes_of(forbid.where, Kind.MEDIUM, params)
    return bool(
        use.actions & ACTIONS.mask(forbid.actions)
        and (not territories or use.territories & TERRITORIES.mask(territories))
        and (not media or use.media & MEDIA.mask(media))
    )


def _quote(view: View, use: _Use, name: str) -> OfferQuote | None:
    """The offer with its price, if accepting it now would permit the use."""
    offer = view.read(offer_key(name), Offer)
    if offer is None or offer.withdrawn or 0 < offer.expires_ms <= use.now:
        return None
    template = view.read(template_key(offer.program_hash), Template)
    program = _program(view, offer.program_hash)
    if template is None or template.deprecated or program is None:
        return None
    params = stored_params(program, offer.params)
    open_role = next(at for at, role in enumerate(program.roles) if role.name == offer.open_role)
    if not _would_permit(view, use, program, params, offer.assets, open_role):
        return None
    currency = view.read(currency_key(program.currency), CurrencyEntry)
    assert currency is not None
    grains = price_at_once(program, params, open_role)
    return OfferQuote(
        offer=name,
        template=offer.template,
        price=grains * grain_factor(program, currency) if grains else None,
        currency=program.currency,
        price_text=price_text(program, grains),
    )


def _would_permit(
    view: View,
    use: _Use,
    program: Program,
    params: tuple[Value, ...],
    assets: tuple[NamedValue, ...],
    open_role: int,
) -> bool:
    slots = {slot.name: at for at, slot in enumerate(program.slots)}
    pairs = tuple((slots[asset.name], asset.value) for asset in assets if asset.value == use.asset)
    rights = view.read(rights_key(use.asset), Rights)
    for plan in grant_plans(program, params, pairs):
        if plan.to != open_role or use.start < use.now or use.end > add_span(use.now, plan.during):
            continue
        if use.actions & ~plan.action_mask or use.territories & ~plan.territory_mask:
            continue
        if use.media & ~plan.medium_mask:
            continue
        chosen = [use.asset if at == plan.slot else "" for at in range(len(program.slots))]
        if _beaten(use, program, params, chosen, plan.name):
            continue
        end = add_span(use.now, plan.during)
        taken = rights is not None and any(
            held.licensee != use.party and held.from_ms < end and use.now < held.until_ms
            for held in rights.exclusive
            if plan.action_mask & ACTIONS.mask(held.actions)
            and plan.territory_mask & _mask(TERRITORIES, held.territories)
            and plan.medium_mask & _mask(MEDIA, held.media)
        )
        if not taken:
            return True
    return False


class _OneLeg:
    """A split nobody looks at: only the amount matters for a price."""

    payees: tuple[Payee, ...] = (0,)

    def pay(self, total: int, amount: int) -> tuple[int, ...]:
        return (amount,)


def price_at_once(program: Program, params: tuple[Value, ...], payer: int) -> int:
    """What a role pays when the agreement is activated, in grains of the template."""
    facts, befores = (0,) * len(program.facts), (0,) * len(program.rates)
    price = 0
    for at, clause in enumerate(program.clauses):
        if clause.trigger is not Trigger.ACTIVATED:
            continue
        tables, totals = (_OneLeg(),) * len(clause.splits), (0,) * len(clause.splits)
        try:
            intents = run(program, at, params, facts, befores, tables, totals)
        except ClauseRefused:
            return 0
        price += sum(intent.amount for intent in intents if intent.debtor == payer and intent.due is None)
    return price


def price_text(program: Program, grains: int) -> str:
    """The price in a sentence: what is paid at once, and which clauses ask for more later."""
    later = [
        clause.heading or clause.name for clause in program.clauses if clause.trigger is not Trigger.ACTIVATED
    ]
    at_once = f"{money_text(grains, program.currency, program.scale)} when it is accepted" if grains else ""
    by_use = f"by use: {', '.join(later)}" if later else ""
    return "; ".join(part for part in (at_once, by_use) if part) or "free of charge"

"""Offers and agreements: publish, withdraw, accept, negotiate.

Who must sign. A standing offer is sent by one of the parties it binds, and signed by every bound party
that some clause makes pay or owe, and by holders of the whole right that its grants give (L-15): a
recognised claim's holders, or the registrant of an asset that nobody has claimed. Mere payees need not
sign. Whoever accepts takes the open role. A negotiated agreement is signed by every party it binds; its
title must lie with those.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from licet.entities import (
    Agreement,
    ClaimList,
    NamedValue,
    Offer,
    Template,
    agreement_key,
    claims_key,
    offer_key,
    template_key,
)
from licet.transactions import (
    AcceptOffer,
    AssetBinding,
    CreateAgreement,
    CreateOffer,
    ParamBinding,
    RoleBinding,
    WithdrawOffer,
)

from licensing_vm.calendar import add_span
from licensing_vm.codelists import KINDS
from licensing_vm.domain.activation import activate, check_title, sale_of, start_of_rights, title_of
from licensing_vm.domain.assets import claims_work
from licensing_vm.domain.bound import Bound, grain_factor, grant_plans, must_fit
from licensing_vm.domain.context import Context
from licensing_vm.domain.literals import canonical, parse
from licensing_vm.domain.programs import Terms, terms_of
from licensing_vm.domain.reach import MET_ITEM, TITLE
from licensing_vm.domain.rights import must_be_signable
from licensing_vm.errors import Refused
from licensing_vm.program.binding import bind
from licensing_vm.program.errors import BindingRefused
from licensing_vm.program.model import Program, Value

BOUND_KEPT: Final = 8_192
OFFER_ASSETS_MAX: Final = 1_024
PLANNED: Final = 12  # work of a grant on one asset when it is offered: the asset read, its title looked at
OFFER_GRANTS_MAX: Final = 2_048  # grants times assets: each has its title checked


def _invalid(message: str, **facts: str) -> Refused:
    return Refused("INVALID_BINDING", message, facts)


def bind_roles(context: Context, program: Program, bindings: Iterable[RoleBinding]) -> tuple[str, ...]:
    """One party per role, empty where none is bound."""
    given: dict[str, str] = {}
    for binding in bindings:
        if binding.role in given:
            raise _invalid(f"The role {binding.role} is bound twice.", role=binding.role)
        context.must_exist(binding.party)
        given[binding.role] = binding.party
    roles = tuple(given.pop(role.name, "") for role in program.roles)
    if given:
        unknown = min(given)
        raise _invalid(f"The terms have no role {unknown!r}.", role=unknown)
    return roles


def bind_params(program: Program, bindings: Iterable[ParamBinding]) -> tuple[Value, ...]:
    """One value per parameter, within the template's bounds."""
    known = {param.name: param for param in program.params}
    given: dict[str, Value] = {}
    for binding in bindings:
        if binding.name in given:
            raise _invalid(f"The parameter {binding.name} is bound twice.", parameter=binding.name)
        if binding.name not in known:
            raise _invalid(f"The terms have no parameter {binding.name!r}.", parameter=binding.name)
        given[binding.name] = parse(program, known[binding.name], binding.value)
    try:
        return bind(program, given)
    except BindingRefused as why:
        raise Refused("BINDING_REFUSED", why.message, why.facts, remedy=why.remedy) from None


def stored_params(program: Program, params: tuple[NamedValue, ...]) -> tuple[Value, ...]:
    """The values of parameters as an offer or agreement stores them: all, in the program's order."""
    return tuple(
        parse(program, param, stored.value) for param, stored in zip(program.params, params, strict=True)
    )


def bind_assets(
    context: Context, program: Program, bindings: Iterable[AssetBinding]
) -> tuple[tuple[str, ...], ...]:
    """The assets bound to each slot, each of a kind that the slot takes."""
    slots: dict[str, dict[str, None]] = {slot.name: {} for slot in program.slots}
    for binding in bindings:
        if binding.slot not in slots:
            raise _invalid(f"The terms have no slot {binding.slot!r}.", slot=binding.slot)
        if binding.asset in slots[binding.slot]:
            raise _invalid(f"{binding.asset} stands twice for {binding.slot}.", asset=binding.asset)
        slots[binding.slot][binding.asset] = None
    for slot in program.slots:
        if not slots[slot.name]:
            raise _invalid(f"No asset is bound to {slot.name}.", slot=slot.name)
        for name in slots[slot.name]:
            kind = context.asset(name).kind
            if not KINDS.covers((slot.kind,), (kind,)):
                raise _invalid(
                    f"{name} is of the kind {kind}; {slot.name} takes {slot.kind}.", asset=name, kind=kind
                )
    return tuple(tuple(names) for names in slots.values())


def open_template(context: Context, terms: Terms) -> None:
    template = context.state.get(template_key(terms.hash), Template)
    assert template is not None, "a program is stored with its template"
    if template.deprecated:
        raise Refused(
            "TEMPLATE_DEPRECATED", f"{terms.named} is deprecated by its publisher.", {"template": terms.named}
        )


def signatories_of(context: Context, roles: Iterable[str], assets: Iterable[str]) -> tuple[str, ...]:
    """Which of the parties bound, and of the assets' registrants and claimants, signed."""
    candidates = {role for role in roles if role}
    for name in assets:
        claims = context.meet(claims_key(name), ClaimList, claims_work)
        if claims is None or not claims.claims:
            candidates.add(context.asset(name).registrant)
        else:
            candidates.update(claim.holder for claim in claims.claims)
    context.compare(len(candidates))
    return tuple(party for party in sorted(candidates) if context.signed_by(party, "license"))


def create_offer(context: Context, command: CreateOffer) -> None:
    context.must_be_new(offer_key(command.offer), "an offer", command.offer)
    terms = terms_of(context, command.program_hash)
    program = terms.program
    open_template(context, terms)
    grain_factor(program, context.currency(program.currency))
    must_fit(program)
    roles = bind_roles(context, program, command.roles)
    if roles.count("") != 1:
        raise _invalid(
            f"An offer binds every role but one; it leaves {roles.count('')} open.", open=str(roles.count(""))
        )
    if context.sender not in roles:
        raise _invalid(f"{context.sender} is none of the parties that the offer binds.", party=context.sender)
    params = bind_params(program, command.params)
    slots = bind_assets(context, program, command.assets)
    if len(command.assets) > OFFER_ASSETS_MAX:
        raise Refused("TOO_MANY", f"An offer covers at most {OFFER_ASSETS_MAX} assets.")
    if len(command.assets) * len(program.grants) > OFFER_GRANTS_MAX:
        raise Refused("TOO_MANY", f"An offer makes at most {OFFER_GRANTS_MAX} grants, counted by asset.")
    if command.expires_ms and command.expires_ms <= context.now:
        raise Refused("OFFER_CLOSED", "The offer would be over before it begins.")
    context.must_sign(
        (roles[debtor] for debtor in terms.debtors if roles[debtor]),
        "license",
        "An offer is signed by everybody whom its terms make pay",
    )
    pairs = tuple((slot, asset) for slot, assets in enumerate(slots) for asset in assets)
    signatories = signatories_of(context, roles, (asset for _, asset in pairs))
    plans = grant_plans(program, params, pairs)
    must_be_signable(context, plans, roles)
    for plan in plans:
        title = title_of(context, plan)
        context.spend(PLANNED + (TITLE + len(title.claims) if title.claims else 0))
        check_title(title, context.now, add_span(context.now, plan.during), signatories)
    open_role = program.roles[roles.index("")].name
    context.state.define(
        offer_key(command.offer),
        Offer(
            offer=command.offer,
            program_hash=terms.hash,
            template=terms.named,
            roles=tuple(
                NamedValue(name=role.name, value=party)
                for role, party in zip(program.roles, roles, strict=True)
                if party
            ),
            open_role=open_role,
            params=tuple(
                NamedValue(name=param.name, value=canonical(program, param, value))
                for param, value in zip(program.params, params, strict=True)
            ),
            assets=tuple(NamedValue(name=program.slots[slot].name, value=asset) for slot, asset in pairs),
            expires_ms=command.expires_ms,
            withdrawn=False,
            signatories=signatories,
            height=context.height,
        ),
    )
    for party in dict.fromkeys(party for party in roles if party):
        context.index.append(f"offer/party/{party}/{command.offer}".encode())
    for asset in dict.fromkeys(asset for _, asset in pairs):
        context.index.append(f"offer/asset/{asset}/{command.offer}".encode())
    context.event(
        "offer.created",
        {"offer": command.offer, "template": terms.named, "open_role": open_role},
        (party for party in roles if party),
    )


def withdraw_offer(context: Context, command: WithdrawOffer) -> None:
    """Any party that signed the offer may withdraw it."""
    offer = _offer(context, command.offer)
    if context.sender not in offer.signatories:
        raise Refused("NOT_SIGNED", f"{context.sender} did not sign this offer.", {"offer": command.offer})
    if offer.withdrawn:
        raise Refused("OFFER_CLOSED", "The offer is withdrawn already.", {"offer": command.offer})
    context.spend(MET_ITEM * len(offer.assets))  # the record is written again
    context.state.define(offer_key(command.offer), replace(offer, withdrawn=True))
    context.event("offer.withdrawn", {"offer": command.offer}, (role.value for role in offer.roles))


def _offer_items(offer: Offer) -> int:
    return MET_ITEM * (len(offer.roles) + len(offer.params) + len(offer.assets))


def _offer(context: Context, name: str) -> Offer:
    offer = context.meet(offer_key(name), Offer, _offer_items)
    if offer is None:
        raise Refused("UNKNOWN_OFFER", f"There is no offer {name!r}.", {"offer": name})
    return offer


def accept_offer(context: Context, command: AcceptOffer) -> None:
    offer = _offer(context, command.offer)
    if offer.withdrawn or 0 < offer.expires_ms <= context.now:
        raise Refused("OFFER_CLOSED", "The offer is withdrawn or expired.", {"offer": command.offer})
    bound = bound_offer(context, offer, command.assets)
    activate(
        context,
        bound,
        sale_of(context, bound, offer.offer, offer.signatories),
        command.agreement,
        context.sender,
        start_of_rights(context, command.effective_ms) if command.effective_ms else context.now,
        offer.signatories,
    )


def bound_offer(context: Context, offer: Offer, chosen: tuple[AssetBinding, ...]) -> Bound:
    """The offer's terms bound to the assets chosen, from the cache while all it was made of stands."""
    # The whole choice is the key, slots too: what it says is checked where it is not in the cache yet.
    key = (offer.offer, tuple([(one.slot, one.asset) for one in chosen]) if chosen else ())
    context.must_have_room(1)  # where nothing is left nothing is bound, whatever this node has ready
    kept = context.prepared
    bound: Bound | None = kept.get(key)
    if bound is not None and bound.holds(context):
        bound.pay_for_binding(context)
        return bound
    terms = terms_of(context, offer.program_hash)
    open_template(context, terms)
    program = terms.program
    bound_roles = {role.name: role.value for role in offer.roles}
    bound = Bound(
        context,
        terms,
        scope="offer",
        owner=offer.offer,
        roles=tuple(bound_roles.get(role.name, "") for role in program.roles),
        params=stored_params(program, offer.params),
        text_bytes=sum(len(param.value) for param in offer.params),
        assets=_chosen_assets(program, offer, chosen),
        beside=_offer_items(offer),
    )
    bound.depend(context, offer_key(offer.offer), Offer)
    bound.depend(context, template_key(terms.hash), Template)
    if len(kept) >= BOUND_KEPT:
        kept.pop(next(iter(kept)))
    kept[key] = bound
    return bound


def _chosen_assets(program: Program, offer: Offer, chosen: tuple[AssetBinding, ...]) -> tuple[str, ...]:
    """One asset per slot: the offer's only one, or the one chosen among several."""
    picked = {binding.slot: binding.asset for binding in chosen}
    if len(picked) != len(chosen):
        raise _invalid("A slot is chosen twice.", offer=offer.offer)
    assets: list[str] = []
    offered: dict[str, list[str]] = {}
    for asset in offer.assets:
        offered.setdefault(asset.name, []).append(asset.value)
    for slot in program.slots:
        listed = offered[slot.name]
        pick = picked.pop(slot.name, listed[0] if len(listed) == 1 else "")
        if pick not in listed:
            raise _invalid(
                f"Choose one of the assets that the offer lists for {slot.name}.", slot=slot.name, asset=pick
            )
        assets.append(pick)
    if picked:
        raise _invalid(f"The terms have no slot {min(picked)!r}.", slot=min(picked))
    return tuple(assets)


def create_agreement(context: Context, command: CreateAgreement) -> None:
    terms = terms_of(context, command.program_hash)
    program = terms.program
    open_template(context, terms)
    roles = bind_roles(context, program, command.roles)
    if "" in roles:
        open_role = program.roles[roles.index("")].name
        raise _invalid(f"The role {open_role} is not bound.", role=open_role)
    slots = bind_assets(context, program, command.assets)
    if any(len(assets) != 1 for assets in slots):
        raise _invalid("A negotiated agreement binds one asset to each slot.")
    context.must_sign(roles, "license", "A negotiated agreement is signed by every party it binds")
    context.state.changes += 1  # terms bound under this id before, and rolled back, hold no more
    bound = Bound(
        context,
        terms,
        scope="agreement",
        owner=command.agreement,
        roles=roles,
        params=bind_params(program, command.params),
        text_bytes=sum(len(param.value) for param in command.params),
        assets=tuple(assets[0] for assets in slots),
    )
    signatories = tuple(sorted(set(roles)))
    start = start_of_rights(context, command.effective_ms)
    activate(
        context, bound, sale_of(context, bound, "", signatories), command.agreement, "", start, signatories
    )


def bound_agreement(context: Context, agreement: Agreement) -> Bound:
    """The terms of an agreement that exists, as it pinned them; for an accepted offer's, with its role
    open as in the offer, so that all its agreements share one."""
    assets = tuple([asset.value for asset in agreement.assets])
    offer = _offer(context, agreement.offer) if agreement.offer else None
    context.must_have_room(1)  # where nothing is left nothing is bound, whatever this node has ready
    kept = context.prepared
    key = (
        agreement.offer or agreement_key(agreement.agreement),
        assets,
        agreement.versions,
        agreement.lineages,
    )
    bound: Bound | None = kept.get(key)
    if bound is not None and bound.holds(context):
        bound.pay_for_binding(context)
        return bound
    terms = terms_of(context, agreement.program_hash)
    roles = tuple(role.value for role in agreement.roles)
    if offer is not None:
        given = {role.name: role.value for role in offer.roles}
        roles = tuple(given.get(role.name, "") for role in terms.program.roles)
    bound = Bound(
        context,
        terms,
        scope="offer" if agreement.offer else "agreement",
        owner=agreement.offer or agreement.agreement,
        roles=roles,
        params=stored_params(terms.program, agreement.params),
        text_bytes=sum(len(param.value) for param in agreement.params),
        assets=assets,
        pinned=(agreement.versions, agreement.lineages),
        beside=0 if offer is None else _offer_items(offer),
    )
    if agreement.offer:
        bound.depend(context, offer_key(agreement.offer), Offer)
    else:
        bound.depend(context, agreement_key(agreement.agreement), Agreement)
    if len(kept) >= BOUND_KEPT:
        kept.pop(next(iter(kept)))
    kept[key] = bound
    return bound

"""Checks grants and prohibitions: codes, terms, that no grant meets a prohibition without a named exception
(L-14), and that no two grants exclude each other, so that nobody could ever sign them (L-15)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from licensing_vm.codelists import ACTIONS
from licensing_vm.language import syntax as s
from licensing_vm.language.context import Context
from licensing_vm.language.declarations import code_list
from licensing_vm.language.diagnostics import Code
from licensing_vm.language.work import MET
from licensing_vm.program import limits
from licensing_vm.program import model as m
from licensing_vm.program.binding import CODE_TREES

_DIMENSIONS: Final[Mapping[str, m.Kind]] = MappingProxyType(
    {"territory": m.Kind.TERRITORY, "medium": m.Kind.MEDIUM}
)
_EXCLUSIVE: Final[Mapping[str, m.Exclusive]] = MappingProxyType(
    {"no": m.Exclusive.NO, "sole": m.Exclusive.SOLE, "yes": m.Exclusive.YES}
)
_CONSENT: Final[Mapping[str, m.Consent]] = MappingProxyType(
    {"no": m.Consent.NO, "with": m.Consent.WITH_CONSENT, "yes": m.Consent.YES}
)
_LATER_ACTIONS: Final = frozenset({"derive", "sublicense"})


def grants(ctx: Context, params: tuple[m.Param, ...]) -> tuple[m.Grant, ...]:
    kept = ctx.declare(ctx.template.grants, ctx.grants, what="grant", most=limits.GRANTS_MAX)
    found = tuple(_grant(ctx, grant, params) for grant in kept)
    for at, (written, grant) in enumerate(zip(kept, found, strict=True)):
        for earlier in found[:at]:
            _excludes(ctx, written, grant, earlier, params)
    return found


def _excludes(
    ctx: Context, written: s.Grant, grant: m.Grant, earlier: m.Grant, params: tuple[m.Param, ...]
) -> None:
    """L-15: an exclusive (or sole) grant stands beside no other exclusive one, nor beside a grant of the same
    to another party. Refused is what no choice of parameters could avoid; a choice that makes two grants
    meet is refused when it is made. All grants begin together, so their terms always overlap."""
    if grant.exclusive is earlier.exclusive is m.Exclusive.NO:
        return
    ctx.work.spend(MET + (_size(grant) + _size(earlier)) // 2, written.name.place)
    both = m.Exclusive.NO not in (grant.exclusive, earlier.exclusive)
    if not both and grant.to == earlier.to:
        return
    shared = ACTIONS.mask(grant.actions) & ACTIONS.mask(earlier.actions)
    slots = set(grant.slots) & set(earlier.slots)
    if not shared or not slots:
        return
    if not all(_must_meet(kind, grant.where, earlier.where, params) for kind in CODE_TREES):
        return
    actions = ", ".join(ACTIONS.leaf_codes(shared)[:3])
    asset = next(name.text for name in written.slots if ctx.slots.get(name.text) in slots)
    kept, other = (earlier, grant) if earlier.exclusive is not m.Exclusive.NO else (grant, earlier)
    ctx.error(
        Code.EXCLUSIVE,
        written.name.place,
        f"The grants `{earlier.name}` and `{grant.name}` contradict each other: `{kept.name}` "
        f"reserves `{asset}` ({actions}), and `{other.name}` grants the same; nobody could ever sign them.",
        "Give them different actions, territories or media"
        + (", or write one grant." if both else f", or make `{kept.name}` exclusive no."),
    )


def heading(ctx: Context, name: s.Name, text: s.Text | None, what: str) -> str:
    if text is None or not text.text.strip():
        ctx.error(
            Code.HEADING,
            name.place,
            f"The {what} `{name.text}` has no heading.",
            f'Write what it is about in quotes after its name: {name.text} "…".',
        )
        return ""
    return text.text


def _grant(ctx: Context, grant: s.Grant, params: tuple[m.Param, ...]) -> m.Grant:
    span, param = m.Span(0, 0), m.NONE
    if grant.during is None:
        ctx.error(
            Code.MISSING_PART,
            grant.name.place,
            f"The grant `{grant.name.text}` does not say how long it lasts.",
            "Add: during 2 years from effective",
        )
    elif isinstance(grant.during, s.Ref):
        found = ctx.find(ctx.params, grant.during.name, "parameter")
        if found is not None and params[found].type.kind is not m.Kind.DURATION:
            ctx.error(
                Code.TYPE,
                grant.during.place,
                f"The parameter `{grant.during.name.text}` is no duration.",
                "Name a parameter of type duration, or write 2 years.",
            )
        elif found is not None:
            param = found
    else:
        span = ctx.span(grant.during) or span
    return m.Grant(
        name=grant.name.text,
        heading=heading(ctx, grant.name, grant.heading, "grant"),
        actions=_actions(ctx, grant.actions),
        slots=_slots(ctx, grant.slots),
        to=ctx.find(ctx.roles, grant.to, "party") or 0,
        where=_where(ctx, grant.where, params),
        during=span,
        during_param=param,
        exclusive=_EXCLUSIVE[grant.exclusive.text] if grant.exclusive else m.Exclusive.NO,
        sublicense=_CONSENT[grant.sublicense.text] if grant.sublicense else m.Consent.NO,
        transfer=_CONSENT[grant.transfer.text] if grant.transfer else m.Consent.NO,
    )


def _actions(ctx: Context, written: tuple[s.Name, ...]) -> tuple[str, ...]:
    for name in written:
        if name.text in _LATER_ACTIONS:
            ctx.error(
                Code.LATER_VERSION,
                name.place,
                f"`{name.text}` belongs to a later language version (grants of derivatives).",
                "Leave it out: derived works are linked with the consent of both owners.",
            )
        elif name.text not in ACTIONS:
            ctx.error(
                Code.CODE_UNKNOWN,
                name.place,
                f"`{name.text}` is no action.",
                f"Use one of: {', '.join(ACTIONS.codes)}.",
            )
    return tuple(sorted({name.text for name in written if name.text in ACTIONS}))


def _slots(ctx: Context, written: tuple[s.Name, ...]) -> tuple[int, ...]:
    found = [ctx.find(ctx.slots, name, "asset") for name in written]
    return tuple(sorted({at for at in found if at is not None}))


def _where(
    ctx: Context, conditions: tuple[s.Condition, ...], params: tuple[m.Param, ...]
) -> tuple[m.Where, ...]:
    found: list[m.Where] = []
    for condition in conditions:
        dimension = _DIMENSIONS[condition.dimension.text]
        if any(one.dimension is dimension for one in found):
            ctx.error(
                Code.NAME_TWICE,
                condition.dimension.place,
                f"The {condition.dimension.text} is limited twice.",
                "Put all codes into one list.",
            )
            continue
        written = condition.codes
        at = None if written.braced else ctx.params.get(written.names[0].text)
        if at is None:
            codes = code_list(ctx, dimension, written)
            if codes is not None:
                found.append(m.Where(dimension=dimension, codes=codes))
            continue
        ctx.use("parameter", written.names[0].text)
        if params[at].type.kind is not dimension:
            ctx.error(
                Code.TYPE,
                written.place,
                f"The parameter `{written.names[0].text}` is no {condition.dimension.text}.",
                f"Name a parameter of type {condition.dimension.text}, or list the codes.",
            )
        else:
            found.append(m.Where(dimension=dimension, codes=(), param=at))
    return tuple(found)


def forbids(ctx: Context, params: tuple[m.Param, ...], grants_: tuple[m.Grant, ...]) -> tuple[m.Forbid, ...]:
    names: dict[str, int] = {}
    kept = ctx.declare(ctx.template.forbids, names, ctx.grants, what="prohibition", most=limits.GRANTS_MAX)
    return tuple(_forbid(ctx, forbid, params, grants_) for forbid in kept)


def _forbid(
    ctx: Context, forbid: s.Forbid, params: tuple[m.Param, ...], grants_: tuple[m.Grant, ...]
) -> m.Forbid:
    excepted = {name.text: ctx.find(ctx.grants, name, "grant") for name in forbid.excepted}
    found = m.Forbid(
        name=forbid.name.text,
        heading=heading(ctx, forbid.name, forbid.heading, "prohibition"),
        actions=_actions(ctx, forbid.actions),
        slots=_slots(ctx, forbid.slots),
        where=_where(ctx, forbid.where, params),
        excepted=tuple(sorted({at for at in excepted.values() if at is not None})),
    )
    for at, grant in enumerate(grants_):
        ctx.work.spend(MET + (_size(grant) + _size(found)) // 2, forbid.name.place)
        shared = ACTIONS.mask(grant.actions) & ACTIONS.mask(found.actions)
        meet = bool(shared) and bool(set(grant.slots) & set(found.slots))
        meet = meet and all(_meet(kind, grant.where, found.where, params) for kind in CODE_TREES)
        if meet and at not in found.excepted:
            actions = ", ".join(ACTIONS.leaf_codes(shared)[:3])
            ctx.error(
                Code.OVERLAP,
                forbid.name.place,
                f"The grant `{grant.name}` permits what the prohibition `{found.name}` forbids ({actions}).",
                f"Narrow one of them, or let the grant stand: except {grant.name}.",
            )
        elif at in found.excepted and not meet:
            name = next(n for n in forbid.excepted if n.text == grant.name)
            ctx.warn(
                Code.NOT_USED,
                name.place,
                f"The exception changes nothing: `{grant.name}` permits nothing that is forbidden here.",
                "Remove it.",
            )
    return found


def _size(right: m.Grant | m.Forbid) -> int:
    """How many codes and assets a right names itself."""
    return len(right.actions) + len(right.slots) + sum(len(part.codes) for part in right.where)


def _meet(
    kind: m.Kind, one: tuple[m.Where, ...], other: tuple[m.Where, ...], params: tuple[m.Param, ...]
) -> bool:
    """Whether two sets of limits can share a leaf in one dimension; parameters count at their widest."""
    return bool(_widest(kind, one, params)[0] & _widest(kind, other, params)[0])


def _must_meet(
    kind: m.Kind, one: tuple[m.Where, ...], other: tuple[m.Where, ...], params: tuple[m.Param, ...]
) -> bool:
    """Whether two sets of limits share a leaf in one dimension whatever the parameters are."""
    first, chosen = _widest(kind, one, params)
    second, also = _widest(kind, other, params)
    if chosen == also != m.NONE:
        return True  # one choice, which is never empty
    if m.NONE not in (chosen, also):
        return first == second and first.bit_count() == 1
    if chosen != m.NONE:  # any part of the first may be chosen, so the second must cover it all
        return not first & ~second
    if also != m.NONE:
        return not second & ~first
    return bool(first & second)


def _widest(kind: m.Kind, where: tuple[m.Where, ...], params: tuple[m.Param, ...]) -> tuple[int, int]:
    """A set of limits in one dimension at its widest, and the parameter that may narrow it."""
    tree = CODE_TREES[kind]
    for limit in where:
        if limit.dimension is kind:
            param = None if limit.param == m.NONE else params[limit.param]
            codes = limit.codes if param is None else param.high
            assert isinstance(codes, tuple)
            free = param is not None and param.low != param.high
            return tree.mask(str(code) for code in codes), limit.param if free else m.NONE
    return tree.everything, m.NONE

"""Checks the legs of a split: 100 % in all, one `rest` at most, a stack that fits (L-3, L-4, L-13)."""

from __future__ import annotations

from licensing_vm.language import syntax as s
from licensing_vm.language.context import Context, Knob
from licensing_vm.language.diagnostics import Code, Place
from licensing_vm.language.work import LEG
from licensing_vm.money.amounts import percent_text
from licensing_vm.program import limits
from licensing_vm.program import model as m


def split_of(ctx: Context, program: m.Program, clause: int, at: int, split: s.Split) -> m.Split:
    """The split, its rates noted as knobs; what is wrong with it is said."""
    ctx.work.spend(LEG * len(split.legs), split.place)
    legs = tuple(_leg(ctx, program, (clause, at, k), leg) for k, leg in enumerate(split.legs))
    if any(leg.lineage and leg.target.text not in ctx.lineages for leg in split.legs):
        return m.Split(legs=legs)  # said where the leg was read; what it takes is not known
    lineage_legs = [leg for leg in split.legs if leg.lineage]
    rests = [leg for leg in split.legs if leg.rest]
    if len(lineage_legs) > 1:
        ctx.error(
            Code.SPLIT,
            lineage_legs[1].place,
            "A split pays one lineage only.",
            "Remove one of the lineage shares.",
        )
    if lineage_legs and len(legs) > limits.DIRECT_LEGS_WITH_LINEAGE_MAX:
        ctx.error(
            Code.TOO_BIG,
            split.place,
            f"Beside a lineage a split has at most {limits.DIRECT_LEGS_WITH_LINEAGE_MAX} legs.",
            "Use fewer legs.",
        )
    for leg in rests[1:]:
        ctx.error(Code.SPLIT, leg.place, "This split has more than one `rest`.", "Keep one `rest`.")
    if lineage_legs and not rests:
        ctx.error(
            Code.SPLIT,
            lineage_legs[0].place,
            "A split with a lineage has no `rest`: an asset without ancestors would leave money over.",
            "Add `rest -> party`.",
        )
    elif all(leg.target.text in ctx.lineages for leg in lineage_legs):
        _whole(ctx, program, split, legs)
    return m.Split(legs=legs)


def _leg(ctx: Context, program: m.Program, path: tuple[int, int, int], leg: s.Leg) -> m.Leg:
    target = (
        ctx.find(ctx.lineages, leg.target, "lineage")
        if leg.lineage
        else ctx.find(ctx.roles, leg.target, "party")
    )
    ppm, param = 0, m.NONE
    match leg.share:
        case s.Percent():
            ppm = ctx.ppm(leg.share) or 0
            ctx.knobs.append(Knob("share", path, leg.share.place))
        case s.Ref():
            found = ctx.find(ctx.params, leg.share.name, "parameter")
            if found is not None and program.params[found].type.kind is not m.Kind.PERCENT:
                ctx.error(
                    Code.TYPE,
                    leg.share.place,
                    f"The parameter `{leg.share.name.text}` is no percentage.",
                    "A share is a percentage or a parameter of type percent.",
                )
            elif found is not None:
                param = found
    kind = m.LegKind.REST if leg.rest else m.LegKind.SHARE
    if leg.lineage:
        kind = m.LegKind.LINEAGE if leg.share is None else m.LegKind.BUDGET
        _stack_named(ctx, leg, target)
    found_leg = m.Leg(kind=kind, target=target or 0, ppm=ppm, param=param)
    if leg.rest or target is None or _range_of(program, found_leg)[1]:
        if not leg.lineage:
            ctx.use("money", leg.target.text)
    elif leg.lineage and not ctx.failed:
        ctx.error(
            Code.STACK,
            leg.place,
            f"The lineage `{leg.target.text}` gets 0%, so no ancestor is ever paid.",
            "Give it a share or a stack above zero, or remove it.",
        )
    return found_leg


def _stack_named(ctx: Context, leg: s.Leg, target: int | None) -> None:
    if leg.share is None and target is not None and ctx.template.lineages[target].stack is None:
        ctx.error(
            Code.STACK,
            leg.place,
            f"The lineage `{leg.target.text}` has no `stack max`, so ancestors could take everything.",
            "Add a line to the lineage such as: stack max 40%;",
        )


def _range_of(program: m.Program, leg: m.Leg) -> tuple[int, int]:
    """The least and the most that a leg can take, in millionths."""
    if leg.kind is m.LegKind.LINEAGE:
        return 0, program.lineages[leg.target].stack_ppm
    if leg.param == m.NONE:
        return (0 if leg.kind is m.LegKind.BUDGET else leg.ppm), leg.ppm
    low, high = program.params[leg.param].low, program.params[leg.param].high
    assert isinstance(low, int)
    assert isinstance(high, int)
    return (0 if leg.kind is m.LegKind.BUDGET else low), high


def _whole(ctx: Context, program: m.Program, split: s.Split, legs: tuple[m.Leg, ...]) -> None:
    ranges = [_range_of(program, leg) for leg in legs]
    least, most = sum(low for low, _ in ranges), sum(high for _, high in ranges)
    rest = any(leg.rest for leg in split.legs)
    if not rest:
        if least == most == limits.PPM and all(leg.param == m.NONE for leg in legs):
            return
        text = percent_text(least) if least == most else f"{percent_text(least)} to {percent_text(most)}"
        ctx.error(
            Code.SPLIT,
            split.place,
            f"The shares add up to {text} and there is no `rest`.",
            "Let the shares add up to 100 %, or give what is left: rest -> party.",
        )
        return
    stack: tuple[Place, int] | None = None
    for leg, written in zip(legs, split.legs, strict=True):
        if leg.kind is m.LegKind.LINEAGE:
            if ctx.template.lineages[leg.target].stack is None:
                return  # said where the leg was read
            stack = written.place, program.lineages[leg.target].stack_ppm
    if stack and most > limits.PPM:
        ctx.error(
            Code.STACK,
            stack[0],
            f"The lineage may take {percent_text(stack[1])}, but the fixed shares leave only "
            f"{percent_text(max(0, limits.PPM - (most - stack[1])))}.",
            "Lower `stack max` or the fixed shares.",
        )
    elif most > limits.PPM:
        ctx.error(
            Code.SPLIT,
            split.place,
            f"The shares can add up to {percent_text(most)}, which is more than 100 %.",
            "Lower the shares or their highest bounds.",
        )
    elif least == limits.PPM:
        at = next(leg.place for leg in split.legs if leg.rest)
        ctx.error(
            Code.SPLIT,
            at,
            "The shares add up to 100 %, so nothing is ever left for `rest`.",
            "Remove `rest`, or lower a share.",
        )

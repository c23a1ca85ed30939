"""Lineage: linking a work to what it derives from (L-13).

The graph is acyclic, and a work's parents are fixed once anything derives from it. Therefore all four
weights of every ancestor within eight generations can be computed when a work is linked and never
change below it: a sale reads them from the asset. What a link made stays under its number, and an
agreement goes on paying by the link that was the last when it was signed (L-12): a later one changes
what is agreed afterwards. A link costs the owners of one work and honours those of another, so the owners
of both sign it, not only who registered them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from licet.entities import Ancestor, Asset, AssetLineage, Edge, asset_key, lineage_key
from licet.transactions import LinkLineage

from licensing_vm.domain.assets import owners_of
from licensing_vm.domain.context import Context
from licensing_vm.domain.reach import (
    ACCOUNT,
    ANCESTOR_ROW,
    ASSET,
    DERIVED_HASHES_MAX,
    HASHES_ROW,
    ID_ROW,
    PARENT_ROW,
    PAYEE_ROW,
    READING_MAX,
)
from licensing_vm.errors import Refused
from licensing_vm.money.lineage import AncestorWeight, walk_ancestors

RELATIONS: Final = (
    "derived",
    "sampled",
    "composite",
    "input_to",
    "trained_on",
    "fine_tuned",
    "distilled",
    "style_of",
)
PARENTS_MAX: Final = 64
WALKED: Final = 2  # units of work of a link walked up, and
ANCESTOR: Final = 12  # of an ancestor written down, in two records
LINK_FREE: Final = 300  # of which the declared cost pays for so many
HELD: Final = ASSET + PAYEE_ROW + ACCOUNT  # of reading an ancestor, at least


def link_lineage(context: Context, command: LinkLineage) -> None:
    child = context.asset(command.child)
    parent = context.asset(command.parent)
    if command.relation not in RELATIONS:
        raise Refused(
            "LINEAGE_REFUSED", f"There is no relation {command.relation!r}.", {"known": ", ".join(RELATIONS)}
        )
    owners = (*owners_of(context, child), *owners_of(context, parent))
    context.must_sign(
        owners, "license", "A link is made by the registrants and every claim's holder of both works"
    )
    if child.children:
        raise Refused(
            "LINEAGE_FIXED",
            f"Works already derive from {command.child}: its parents are fixed.",
            {"asset": command.child, "children": str(child.children)},
        )
    if any(edge.parent == command.parent for edge in child.parents) or len(child.parents) >= PARENTS_MAX:
        raise Refused(
            "LINEAGE_REFUSED",
            f"{command.child} is linked to {command.parent} already, or to {PARENTS_MAX} works.",
            {"child": command.child, "parent": command.parent},
        )
    if command.parent == command.child:
        raise Refused("LINEAGE_CYCLE", "A work does not derive from itself.", {"asset": command.child})
    # A cycle would need the child among the parent's ancestors; it has no children, so it is nobody's.
    edge = Edge(
        parent=command.parent,
        relation=command.relation,
        rate_e9=command.rate_e9,
        evidence_hash=command.evidence_hash,
    )
    parents = (*child.parents, edge)
    context.must_have_room(1)
    weights, walked = walk_ancestors(
        child.asset.encode(),
        [(edge.parent.encode(), edge.rate_e9) for edge in parents],
        lambda key: [(edge.parent.encode(), edge.rate_e9) for edge in context.asset(key.decode()).parents],
    )
    # The walk is bounded (L-13), and read before it can be counted.
    context.took(max(0, WALKED * walked + ANCESTOR * len(weights) - LINK_FREE))
    above = [context.asset(row.key.decode()) for row in weights]
    _must_stay_readable(child.asset, above)
    ancestors = tuple(map(_ancestor, above, weights))
    state, version = context.state, child.lineage_version + 1
    state.define(
        asset_key(child.asset),
        replace(child, parents=parents, ancestors=ancestors, lineage_version=version),
    )
    state.define(
        lineage_key(child.asset, version),
        AssetLineage(asset=child.asset, version=version, ancestors=ancestors, height=context.height),
    )
    context.write_asset(replace(parent, children=parent.children + 1))
    context.event(
        "lineage.linked",
        {
            "child": command.child,
            "parent": command.parent,
            "relation": command.relation,
            "rate_e9": str(command.rate_e9),
        },
        owners,
    )


def _must_stay_readable(child: str, above: Sequence[Asset]) -> None:
    """Whoever sells the work reads the records of all its ancestors (C-16). What makes them long is fixed by
    the time they are linked, so too much of it is refused here, and the work stays sellable."""
    reading = sum(
        HELD
        + max(DERIVED_HASHES_MAX, len(asset.content_hashes)) // HASHES_ROW
        + ANCESTOR_ROW * len(asset.ancestors)
        + PARENT_ROW * len(asset.parents)
        + ID_ROW * len(asset.external_ids)
        for asset in above
    )
    if reading > READING_MAX:
        raise Refused(
            "LINEAGE_REFUSED",
            f"The {len(above)} ancestors of {child} and theirs would be more than a sale can read.",
            {"reading": str(reading), "most": str(READING_MAX)},
        )


def _ancestor(asset: Asset, row: AncestorWeight) -> Ancestor:
    return Ancestor(
        asset=asset.asset,
        version=asset.version,
        relative_once=row.relative_once,
        relative_every_path=row.relative_every_path,
        absolute_once=row.absolute_once,
        absolute_every_path=row.absolute_every_path,
    )

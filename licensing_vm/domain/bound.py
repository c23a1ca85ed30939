"""Bound terms: a program with its parameters, assets and payees resolved, ready to run.

What a standing offer leaves open is its buyer; all else is known when the offer is first accepted. So it
is resolved once and kept: parameters parsed, every split's table built, ancestors' payout sheets looked
up, grants turned into masks and spans, and the records of a sale moulded. A bound object notes the
records that it was made from and holds only while each of them still stands in the state; it is a cache
and never a source of truth.

T (L-5) lives under (offer or negotiated agreement, clause, split, first slot's asset and version, and
the lineage versions of the slots that the split's lineages follow). The currency is the program's. Versions
of assets and lineages are the current ones when an agreement is signed, and its own for ever after (L-12).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, final

from licet.entities import (
    Ancestor,
    Asset,
    AssetLineage,
    ClaimList,
    CurrencyEntry,
    asset_key,
    claims_key,
    lineage_key,
    sheet_key,
    split_key,
)

from licensing_vm.codelists import ACTIONS, MEDIA, TERRITORIES
from licensing_vm.domain.context import Context, ancestors_work, asset_work
from licensing_vm.domain.programs import Terms
from licensing_vm.domain.reach import (
    ACCOUNT,
    ALONE_MAX,
    BINDING,
    BOUND_ANCESTOR,
    BOUND_CLAUSE,
    BOUND_GRANT,
    BOUND_ITEM,
    BOUND_LEG,
    BOUND_ROLE,
    CLAUSE,
    CODES,
    COMMAND_MAX,
    GAS,
    GRANT,
    MET_ITEM,
    OBLIGATION,
    POSTING,
    SHEET_RESERVED,
    TEXT_BYTES,
    too_wide,
)
from licensing_vm.errors import Refused
from licensing_vm.money.lineage import AncestorWeight, select
from licensing_vm.money.split import splitter
from licensing_vm.program.gas import cost as gas
from licensing_vm.program.model import (
    NONE,
    Ancestors,
    Exclusive,
    Grant,
    Kind,
    LegKind,
    Op,
    Program,
    Span,
    Split,
    SplitTable,
    Trigger,
    Value,
    Where,
)

POSTINGS_MAX: Final = 4_096  # of one payment: legs times the payees of their sheets
EXCLUSIVE_NAMES: Final[Mapping[Exclusive, str]] = {
    Exclusive.NO: "no",
    Exclusive.SOLE: "sole",
    Exclusive.YES: "yes",
}


class Leg(NamedTuple):
    """One posting of a payment: a role's party (empty while the role is open) or an ancestor's payee."""

    role: int  # NONE for an ancestor's payee
    party: str
    asset: str  # the ancestor, or empty


class Sheet(NamedTuple):
    """An ancestor's payout sheet with several payees: its share is split once more (L-13)."""

    at: int  # which share of the table
    payees: int
    key: bytes  # of its T
    pay: Callable[[int, int], tuple[int, ...]]


@final
class SplitPlan:
    """Where the money of one split goes. `moulds` belongs to whoever books it."""

    __slots__ = ("legs", "moulds", "sheets", "table", "total_key")

    def __init__(
        self, table: SplitTable, total_key: bytes, legs: tuple[Leg, ...], sheets: tuple[Sheet, ...]
    ) -> None:
        self.table = table
        self.total_key = total_key if len(table.payees) > 1 else b""  # one payee needs no T
        self.legs = legs
        self.sheets = sheets
        self.moulds: dict[Any, Any] = {}


class Line(NamedTuple):
    """The lineage of a slot's asset by which these terms pay: its version, and its ancestors where a lineage
    of the terms follows them."""

    version: int
    ancestors: tuple[Ancestor, ...]


class GrantPlan(NamedTuple):
    """One grant on one asset, with everything but its times and its grantee."""

    name: str
    slot: int
    asset: str
    to: int
    actions: tuple[str, ...]
    territories: tuple[str, ...]
    media: tuple[str, ...]
    action_mask: int
    territory_mask: int
    medium_mask: int
    exclusive: Exclusive
    during: Span


@final
class Bound:
    """Terms bound to parameters and assets, for an offer (one role open) or an agreement (none)."""

    __slots__ = (
        "assets",
        "beside",
        "binding",
        "claims_change",
        "currency",
        "extra",
        "factor",
        "grants",
        "lines",
        "no_befores",
        "no_facts",
        "open_role",
        "owner",
        "paid_as",
        "params",
        "reach",
        "read",
        "roles",
        "scope",
        "sources",
        "splits",
        "stamp",
        "tables",
        "terms",
    )

    def __init__(
        self,
        context: Context,
        terms: Terms,
        *,
        scope: str,
        owner: str,
        roles: tuple[str, ...],
        params: tuple[Value, ...],
        assets: tuple[str, ...],
        pinned: tuple[tuple[int, ...], tuple[int, ...]] | None = None,
        text_bytes: int = 0,
        beside: int = 0,
    ) -> None:
        """`text_bytes` is the length of the parameters' texts; `beside` the work of meeting the offer, which
        every command on its agreements may have to do.

        `pinned` are the versions of the assets and of their lineages in an agreement; None: the current."""
        program = terms.program
        self.terms = terms
        self.beside = beside
        self.scope = scope
        self.owner = owner
        self.roles = roles
        self.open_role = roles.index("") if "" in roles else NONE
        self.params = params
        self.sources: list[tuple[bytes, type[Any], object]] = []
        self.currency = context.currency(program.currency)
        self.factor = grain_factor(program, self.currency)
        self.assets = tuple(self._asset(context, asset) for asset in assets)
        self.read: list[tuple[bytes, int]] = []  # records that may be long and the work of reading them
        for asset in {asset.asset: asset for asset in self.assets}.values():
            self.read.append((asset_key(asset.asset), asset_work(asset)))
        versions, lines = pinned or (
            tuple(asset.version for asset in self.assets),
            tuple(asset.lineage_version for asset in self.assets),
        )
        self.lines = tuple(self._line(context, at, version) for at, version in enumerate(lines))
        self.paid_as = (scope, owner, assets, versions, lines)
        self.binding = self._binding(text_bytes)
        self.pay_for_binding(context)
        lineages = self._lineages(program)
        self.tables = tuple(terms.loaded.tables(at, params, lineages) for at in range(len(program.clauses)))
        self.splits = tuple(
            tuple(
                self._plan(context, at, n, split, table, versions[0])
                for n, (split, table) in enumerate(zip(clause.splits, self.tables[at], strict=True))
            )
            for at, clause in enumerate(program.clauses)
        )
        self.grants = grant_plans(
            program, params, tuple((n, asset.asset) for n, asset in enumerate(self.assets))
        )
        self.reach = self._reaches()
        self.no_facts = (0,) * len(program.facts)
        self.no_befores = (0,) * len(program.rates)
        self.extra: Any = None  # what `domain.activation` keeps with it
        self.stamp = context.state.changes

    def holds(self, context: Context) -> bool:
        """Whether every record it was made from still stands in the state."""
        state = context.state
        if self.stamp != state.changes:
            for key, kind, record in self.sources:
                if state.get(key, kind) is not record:
                    return False
            self.stamp = state.changes
        return True

    def pay_for_binding(self, context: Context) -> None:
        """Spend the work of binding these terms: once in a block while nothing they may rest on changes,
        whether or not this node had them ready."""
        self.terms.pay_for_loading(context)
        key, changes = self.paid_as, context.state.changes
        if context.bound_in_block.get(key) != changes:
            context.spend(self.binding)
            context.bound_in_block[key] = changes
            for record, units in self.read:
                self._pay_for_reading(context, record, units)

    def _pay_for_reading(self, context: Context, key: bytes, units: int) -> None:
        """Whoever binds terms to a long record first in a block pays for it, in the order in which binding
        them anew would read it: so a refusal for want of room finds the same budget on every node."""
        if key not in context.read_in_block:
            context.read_in_block.add(key)
            context.took(units)

    def _ancestor(self, context: Context, name: str) -> Asset:
        """An ancestor of the terms' works, whose payees they pay."""
        found = self._asset(context, name)
        read = (asset_key(name), asset_work(found) + ACCOUNT * len(found.payout))
        self.read.append(read)
        self._pay_for_reading(context, *read)
        return found

    def _line(self, context: Context, slot: int, version: int) -> Line:
        """L-12: the lineage with this version, whatever was linked since."""
        asset = self.assets[slot]
        if not version or slot not in self.terms.legs[1]:
            return Line(version, ())
        if version == asset.lineage_version:
            return Line(version, asset.ancestors)
        key = lineage_key(asset.asset, version)
        found: AssetLineage = self.depend(context, key, AssetLineage)
        self.read.append((key, ancestors_work(found.ancestors)))
        return Line(version, found.ancestors)

    def _binding(self, text_bytes: int) -> int:
        """The work of binding: known from the program, the assets and how long the parameters are."""
        program = self.terms.program
        legs, lineages = self.terms.legs
        ancestors = sum(len(self.lines[slot].ancestors) for slot in lineages)
        units = BINDING + BOUND_LEG * legs + BOUND_ANCESTOR * ancestors + text_bytes // TEXT_BYTES
        units += BOUND_ROLE * len(program.roles) + BOUND_ITEM * (len(program.params) + len(self.assets))
        units += BOUND_CLAUSE * max(0, len(program.clauses) - 1)
        for grant in program.grants:
            codes = len(grant.actions)
            for dimension in (Kind.TERRITORY, Kind.MEDIUM):
                codes += len(codes_of(grant.where, dimension, self.params))
            units += len(grant.slots) * (BOUND_GRANT + CODES * codes)
        return units

    def depend(self, context: Context, key: bytes, kind: type[Any]) -> Any:
        """Read a record that this object stands or falls with."""
        record = context.state.get(key, kind)
        self.sources.append((key, kind, record))
        return record

    def claims(self, context: Context, asset: str) -> ClaimList:
        return self.depend(context, claims_key(asset), ClaimList) or ClaimList(claims=())

    def _asset(self, context: Context, name: str) -> Asset:
        context.paid_asset(name)
        found: Asset = self.depend(context, asset_key(name), Asset)
        return found

    def _lineages(self, program: Program) -> tuple[Ancestors, ...]:
        return tuple(
            select(_weights(self.lines[lineage.slot]), lineage.mode, lineage.count)
            for lineage in program.lineages
        )

    def _plan(
        self, context: Context, clause: int, n: int, split: Split, table: SplitTable, version: int
    ) -> SplitPlan:
        program = self.terms.program
        legs: list[Leg] = []
        sheets: list[Sheet] = []
        for at, payee in enumerate(table.payees):
            if isinstance(payee, int):
                legs.append(Leg(payee, self.roles[payee], ""))
                continue
            ancestor = self._ancestor(context, payee.decode())
            if len(ancestor.payout) > 1:
                key = sheet_key(ancestor.asset, ancestor.payout_version, program.currency)
                weights = tuple(share.share_ppm for share in ancestor.payout)
                sheets.append(Sheet(at, len(weights), key, splitter(weights).pay))
            legs += [Leg(NONE, share.party, ancestor.asset) for share in ancestor.payout]
        if len(legs) > POSTINGS_MAX:
            raise Refused("TOO_MANY", f"One payment would be divided among {len(legs)} payees.")
        key = split_key(
            self.scope,
            self.owner,
            program.clauses[clause].name,
            n,
            self.assets[0].asset,
            self._legs_version(program, split, version),
        )
        return SplitPlan(table, key, tuple(legs), tuple(sheets))

    def _reaches(self) -> tuple[tuple[Trigger, int, int, int], ...]:
        """Of each kind of trigger: how far it reaches now, and with room for ancestors' sheets to grow."""
        program = self.terms.program
        now: dict[tuple[Trigger, int], int] = {(Trigger.ACTIVATED, NONE): 0}
        room = {(Trigger.ACTIVATED, NONE): 0}
        for clause, plans in zip(program.clauses, self.splits, strict=True):
            where = (clause.trigger, clause.subject)
            now[where] = now.get(where, 0) + CLAUSE + gas(program, clause) // GAS
            room[where] = room.get(where, 0) + CLAUSE + gas(program, clause) // GAS
            for op, _, args in clause.code:
                if op is Op.PAYS or op is Op.OWES:
                    plan, each = plans[args[2]], POSTING if op is Op.PAYS else OBLIGATION
                    ancestors = sum(type(payee) is bytes for payee in plan.table.payees)
                    direct = len(plan.table.payees) - ancestors
                    now[where] += each * len(plan.legs)
                    room[where] += each * max(len(plan.legs), direct + SHEET_RESERVED * ancestors)
        now[Trigger.ACTIVATED, NONE] += GRANT * len(self.grants)
        room[Trigger.ACTIVATED, NONE] = now[Trigger.ACTIVATED, NONE]
        return tuple((*where, now[where], room[where]) for where in now)

    def reached(self, trigger: Trigger, subject: int) -> int:
        """How far the clauses of one trigger reach."""
        return sum(now for of, about, now, _ in self.reach if (of, about) == (trigger, subject))

    def must_keep_within(self, agreement: str) -> None:
        """Refuse to run clauses where ancestors' sheets have outgrown the room that was left for them."""
        if any(self.binding + self._reading() + now > COMMAND_MAX for _, _, now, _ in self.reach):
            raise too_wide(agreement=agreement)

    def within(self, dated: int) -> bool:
        """Whether every trigger is work that one command may do, with room for ancestors' sheets to grow;
        `dated` is what titles add to the activation."""
        binding = self.binding + self._reading()
        # With what is met besides it must fit into a block of its own, or what was signed never ends.
        items = len(self.roles) + len(self.params) + len(self.assets) + 2 * len(self.grants)
        most = min(COMMAND_MAX, ALONE_MAX - self.beside - self.terms.loading - MET_ITEM * items)
        return all(
            binding + room + (dated if of is Trigger.ACTIVATED else 0) <= most
            for of, _, _, room in self.reach
        )

    def _reading(self) -> int:
        return sum(dict(self.read).values())

    def _legs_version(self, program: Program, split: Split, version: int) -> str:
        slots = {
            program.lineages[leg.target].slot
            for leg in split.legs
            if leg.kind in (LegKind.LINEAGE, LegKind.BUDGET)
        }
        parts = [str(version)]
        for slot in sorted(slots):
            line = self.lines[slot].version
            parts.append(f"{line}" if slot == 0 else f"{self.assets[slot].asset}@{line}")
        return ".".join(parts)


def must_fit(program: Program) -> None:
    """Refuse an offer of terms that could never be sold: each leg is one payee at least."""
    legs = sum(len(split.legs) for clause in program.clauses for split in clause.splits)
    reach: dict[tuple[Trigger, int], int] = {}
    for clause in program.clauses:
        where = (clause.trigger, clause.subject)
        reach[where] = reach.get(where, 0) + CLAUSE + gas(program, clause) // GAS
        for op, _, args in clause.code:
            if op is Op.PAYS or op is Op.OWES:
                each = POSTING if op is Op.PAYS else OBLIGATION
                direct = sum(leg.kind in (LegKind.SHARE, LegKind.REST) for leg in clause.splits[args[2]].legs)
                reach[where] += each * direct
    if any(BINDING + BOUND_LEG * legs + units > COMMAND_MAX for units in reach.values()):
        raise too_wide(template=f"{program.name} {program.version}")


def grain_factor(program: Program, currency: CurrencyEntry) -> int:
    """How many minor units of the ledger one grain of the template is (L-6: never finer)."""
    if program.scale > currency.scale:
        raise Refused(
            "TERMS_TOO_FINE",
            f"The template rounds {currency.code} to {program.scale} decimals, the ledger {currency.scale}.",
            {"template": str(program.scale), "ledger": str(currency.scale)},
        )
    return int(10 ** (currency.scale - program.scale))


def _weights(line: Line) -> tuple[AncestorWeight, ...]:
    return tuple(
        AncestorWeight(
            row.asset.encode(),
            row.relative_once,
            row.relative_every_path,
            row.absolute_once,
            row.absolute_every_path,
        )
        for row in line.ancestors
    )


def codes_of(where: tuple[Where, ...], dimension: Kind, params: tuple[Value, ...]) -> tuple[str, ...]:
    """The codes a right is limited to in one dimension; empty for no limit."""
    for part in where:
        if part.dimension is dimension:
            if part.param == NONE:
                return part.codes
            value = params[part.param]
            assert isinstance(value, tuple)
            return tuple(str(code) for code in value)
    return ()


def grant_plans(
    program: Program, params: tuple[Value, ...], slots: tuple[tuple[int, str], ...]
) -> tuple[GrantPlan, ...]:
    """The grants of the terms on these assets, given as (slot, asset)."""
    plans: list[GrantPlan] = []
    for grant in program.grants:
        named = [(slot, asset) for slot, asset in slots if slot in grant.slots]
        plans += _plans_of(grant, params, named)
    return tuple(plans)


def _plans_of(grant: Grant, params: tuple[Value, ...], slots: list[tuple[int, str]]) -> list[GrantPlan]:
    territories = codes_of(grant.where, Kind.TERRITORY, params)
    media = codes_of(grant.where, Kind.MEDIUM, params)
    during = grant.during if grant.during_param == NONE else params[grant.during_param]
    assert isinstance(during, Span)
    action_mask = ACTIONS.mask(grant.actions)
    territory_mask = TERRITORIES.mask(territories) if territories else TERRITORIES.everything
    medium_mask = MEDIA.mask(media) if media else MEDIA.everything
    return [
        GrantPlan(
            grant.name,
            slot,
            asset,
            grant.to,
            grant.actions,
            territories,
            media,
            action_mask,
            territory_mask,
            medium_mask,
            grant.exclusive,
            during,
        )
        for slot, asset in slots
    ]

"""Programs on the ledger: loaded once from their pinned bytes, with what the domain looks up in them.

Agreements pin a program's bytes by hash (L-12); the source is compiled once, at publication, and never
again. Keeps loaded programs in a bounded table. Never compiles: `domain.templates` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, final

from licet.encoding import Tag, hash_tagged
from licet.entities import StoredProgram, program_key
from licet.types import Hash32

from licensing_vm.domain.context import Context
from licensing_vm.domain.reach import loading_of
from licensing_vm.errors import Refused
from licensing_vm.program.codegen import LoadedProgram, Translations
from licensing_vm.program.encoding import decode
from licensing_vm.program.model import LegKind, Op, Program, Trigger

PROGRAMS_KEPT: Final = 1024


@final
class Terms:
    """A loaded program and the domain's view of it."""

    __slots__ = (
        "clauses",
        "debtors",
        "fact_named",
        "hash",
        "legs",
        "loaded",
        "loading",
        "named",
        "owing",
        "period_named",
        "program",
        "spans_of_fact",
    )

    def pay_for_loading(self, context: Context) -> None:
        """Spend the work of loading the program: once in a block, whether or not this node has it loaded."""
        if self.hash not in context.met:
            context.spend(self.loading)
            context.met.add(self.hash)

    def __init__(
        self, program: Program, hash_: Hash32, code_bytes: int, translations: Translations | None = None
    ) -> None:
        """`hash_` names a program that was verified when it was published, so it is not verified again."""
        self.program = program
        self.loaded = LoadedProgram(program, verified_as=hash_, translations=translations)
        self.hash = hash_
        self.loading = loading_of(code_bytes)
        # How many legs the splits have, and the slots whose ancestors come on top, a split at a time.
        kinds = [leg for clause in program.clauses for split in clause.splits for leg in split.legs]
        lineages = [leg for leg in kinds if leg.kind in (LegKind.LINEAGE, LegKind.BUDGET)]
        self.legs = (
            len(kinds) - len(lineages),
            tuple(program.lineages[leg.target].slot for leg in lineages),
        )
        self.named = f"{program.name} {program.version}"
        self.fact_named = MappingProxyType({fact.name: at for at, fact in enumerate(program.facts)})
        self.period_named = MappingProxyType({period.name: at for at, period in enumerate(program.periods)})
        # Which clauses a trigger runs, in text order (L-2).
        clauses: dict[tuple[Trigger, int], tuple[int, ...]] = {}
        for at, clause in enumerate(program.clauses):
            where = (clause.trigger, clause.subject)
            clauses[where] = (*clauses.get(where, ()), at)
        self.clauses: Mapping[tuple[Trigger, int], tuple[int, ...]] = MappingProxyType(clauses)
        # The roles that some clause makes pay or owe.
        self.debtors = tuple(
            sorted(
                {
                    args[0]
                    for clause in program.clauses
                    for op, _, args in clause.code
                    if op in (Op.PAYS, Op.OWES)
                }
            )
        )
        # The triggers of which some clause owes.
        self.owing = frozenset(
            (clause.trigger, clause.subject)
            for clause in program.clauses
            if any(op is Op.OWES for op, _, _ in clause.code)
        )
        # For each fact: the periods (NONE for the term) whose running totals a report must keep, its own
        # period first; the others are spans of rates that clauses `on used` need.
        self.spans_of_fact = tuple(_spans(program, at) for at in range(len(program.facts)))


def _spans(program: Program, fact: int) -> tuple[int, ...]:
    spans = [program.facts[fact].period]
    for clause in program.clauses:
        if clause.trigger is Trigger.USED:
            for rate in clause.befores:
                if program.rates[rate].fact == fact and program.rates[rate].over not in spans:
                    spans.append(program.rates[rate].over)
    return tuple(spans)


def terms_of(context: Context, program_hash: bytes) -> Terms:
    """The terms that a hash names."""
    kept = context.programs
    key = program_key(program_hash)
    found: Terms | None = kept.get(program_hash)
    # What is kept may come from a publication that was rolled back: only the state tells what there is.
    if found is None or not context.state.has(key):
        stored = context.state.get(key, StoredProgram)
        if stored is None:
            raise Refused(
                "UNKNOWN_TEMPLATE",
                "No template with this program hash is published.",
                {"program_hash": program_hash.hex()},
            )
        assert hash_tagged(Tag.PROGRAM, stored.code) == program_hash, "what is stored is what was published"
        if program_hash not in context.met:
            context.spend(loading_of(len(stored.code)))
            context.met.add(program_hash)
        found = Terms(decode(stored.code), Hash32(program_hash), len(stored.code), context.translations)
        if len(kept) >= PROGRAMS_KEPT:
            kept.pop(next(iter(kept)))
        kept[program_hash] = found
    else:
        found.pay_for_loading(context)
    return found

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
from licensing_vm.errors import Refused
from licensing_vm.program.codegen import LoadedProgram
from licensing_vm.program.encoding import decode
from licensing_vm.program.model import Op, Program, Trigger

PROGRAMS_KEPT: Final = 1024


@final
class Terms:
    """A loaded program and the domain's view of it."""

    __slots__ = (
        "clauses",
        "debtors",
        "fact_named",
        "hash",
        "loaded",
        "named",
        "owing",
        "period_named",
        "program",
        "spans_of_fact",
    )

    def __init__(self, program: Program, hash_: Hash32) -> None:
        """`hash_` names a program that was verified when it was published, so it is not verified again."""
        self.program = program
        self.loaded = LoadedProgram(program, verified_as=hash_)
        self.hash = hash_
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
        found = Terms(decode(stored.code), Hash32(program_hash))
        if len(kept) >= PROGRAMS_KEPT:
            kept.pop(next(iter(kept)))
        kept[program_hash] = found
    return found

"""The mutants by name, and how one is put into force for a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.sim.mutants import (
    double_notarize,
    finalize_after_nullify,
    full_block_consumes,
    late_use_counts,
    no_skip_proof,
    nullify_after_finalize,
    payload_not_synced,
    quorum_too_small,
    read_back_unsynced,
    record_begun_afresh,
    repeats_executed,
    revoked_key_signs,
    split_forgets,
    votes_forgotten,
    votes_not_synced,
)
from tests.sim.mutants.mutant import Mutant

MUTANTS: Final[dict[str, Mutant]] = {
    module.MUTANT.name: module.MUTANT
    for module in (
        double_notarize,
        finalize_after_nullify,
        nullify_after_finalize,
        no_skip_proof,
        votes_forgotten,
        quorum_too_small,
        payload_not_synced,
        votes_not_synced,
        repeats_executed,
        record_begun_afresh,
        read_back_unsynced,
        revoked_key_signs,
        late_use_counts,
        split_forgets,
        full_block_consumes,
    )
}


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """Change the production code in this way, in this process, while the run lasts."""
    if not name:
        yield
        return
    with MUTANTS[name].patches():
        yield

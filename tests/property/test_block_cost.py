"""C-16: a block of the worst that a command allows does not much more than it declares and spends.

Work is counted as calls, of Python and of C, which depend on no clock and no other load. On the reference
machine a call takes about 0.12 µs, that is 12 units of declared cost; `tests.property.worst` prints times.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from licet import transactions as t
from licet.genesis import Parameters
from licet.types import ChainId

from licensing_vm.domain.reach import room_beside
from licensing_vm.domain.table import declared_cost
from licensing_vm.transition import BlockResult, Status
from tests.property.worst import UNITS_OF_WORK, WORST, hostile_sources, run
from tests.property.worst_lists import WORST_LISTS
from tests.property.worst_met import ORDINARY, WORST_MET

UNITS_OF_A_CALL = 12
MULTIPLE = 3  # SPEC.md states it


def calls_of(execute: Callable[[], BlockResult], into: list[int]) -> BlockResult:
    count = 0

    def note(frame: FrameType, event: str, about: Any) -> None:
        nonlocal count
        if event in ("call", "c_call"):
            count += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        return execute()
    finally:
        sys.setprofile(before)
        into.append(count)


# Those whose ledger takes seconds to set up are left to the benchmark.
SLOW = ("first sales", "links", "lineage", "claims", "programs", "reports on", "strangers", "250 holders")
MET_SLOW = ("1,024 ids", "extents", "300 accounts")
LISTS = {
    name: make
    for name, make in {**WORST_LISTS, **WORST_MET}.items()
    if not any(part in name for part in (*SLOW, *MET_SLOW))
}
SMALL = [name for name in WORST if not name.endswith((" 40 KB", " 127 KB")) or "lines" in name]


@pytest.mark.parametrize("fill", [100, 20])
@pytest.mark.parametrize("name", [*SMALL, *LISTS])
def test_declared_cost_and_the_budget_bound_the_work(name: str, fill: int) -> None:
    """Full blocks, and those that leave more room for work."""
    calls: list[int] = []
    declared, result = run({**WORST, **LISTS}[name], lambda execute: calls_of(execute, calls), fill)
    assert result.work <= room_beside(declared)
    allowed = declared + result.work * UNITS_OF_WORK
    assert calls[0] * UNITS_OF_A_CALL <= MULTIPLE * allowed, calls[0] * UNITS_OF_A_CALL / allowed
    codes = {done.code for done in result.executed if done.status is not Status.COMMITTED}
    assert codes <= {"TERMS_REFUSED" if "publication" in name else "BLOCK_FULL"} or "refused" in name


@pytest.mark.parametrize(
    ("name", "least"), [("ordinary mix", 500), ("ordinary transfers, 300 accounts", 1_000)]
)
def test_ordinary_blocks_stay_large(name: str, least: int) -> None:
    _, result = run(ORDINARY[name], lambda execute: execute())
    assert {done.code for done in result.executed} == {""}
    assert len(result.executed) >= least


def test_a_block_has_room_for_reports_of_a_thousand_rows() -> None:
    report = t.ReportUsage(
        report="r",
        fact="used",
        period_start_ms=0,
        agreements=("a",),
        agreement_index=[0] * 1_000,
        offset_ms=[0] * 1_000,
        quantity=[0] * 1_000,
    )
    body = t.TransactionBody(
        chain_id=ChainId(bytes(32)), id=bytes(16), sender="a", valid_until_ms=1, commands=(report,)
    )
    assert declared_cost(body) * 120 <= Parameters().block_cost_max


def test_every_hostile_source_is_refused_before_its_end_at_full_length() -> None:
    from licensing_vm.language.checker import check
    from licensing_vm.language.diagnostics import Code
    from tests.property.worst import source_of

    for kind, parts in hostile_sources().items():
        checked = check(source_of(parts, 127 << 10), warn=False)
        assert [d.code for d in checked.report.errors] == [Code.TOO_COSTLY], kind

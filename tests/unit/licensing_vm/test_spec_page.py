"""The specification page lists every diagnostic and every instruction, with its operands and cost."""

from __future__ import annotations

import re
from pathlib import Path

from licensing_vm.language.diagnostics import Code
from licensing_vm.program.instructions import RULES

SPEC = (Path(__file__).parents[3] / "licensing_vm" / "SPEC.md").read_text(encoding="utf-8")


def test_every_diagnostic_is_explained() -> None:
    assert set(re.findall(r"^\| `(TERMS_[A-Z_]+)` \|", SPEC, re.MULTILINE)) == {str(code) for code in Code}


def test_every_instruction_is_there_with_its_operands_and_cost() -> None:
    rows = re.findall(r"^\| ((?:`[A-Z]+` ?)+)\| ([^|]*) \| [^|]* \| (\d+)", SPEC, re.MULTILINE)
    listed = {
        name: (operands.count(",") + 1, int(cost))
        for names, operands, cost in rows
        for name in re.findall(r"[A-Z]+", names)
    }
    assert listed == {op.name: (len(rule.operands), rule.cost) for op, rule in RULES.items()}

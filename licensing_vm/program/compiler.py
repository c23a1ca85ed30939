"""From a template's source to the program that runs (L-12).

Every validator compiles the published source itself, once, at publication;
afterwards the program's bytes are what binds. Compiling the same source gives
the same bytes on every node. The work is the checker's: a program exists only
for a template without errors.
"""

from __future__ import annotations

from licensing_vm.language.checker import check
from licensing_vm.language.diagnostics import TemplateRefused
from licensing_vm.program.model import Program


def compile_source(source: str) -> Program:
    """The program of a template. Raises `TemplateRefused`, which holds every diagnostic."""
    checked = check(source, warn=False)
    if checked.program is None:
        raise TemplateRefused(checked.report)
    return checked.program

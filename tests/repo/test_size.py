"""Files and functions stay small enough to read. The tables below may only shrink.

Files aim at 400 lines and functions at 50; what this test refuses is above 600 and 70. A file that shrank
below its entry must lower the entry in the same change, so nothing grows back.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.repo import tree

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
FOLDERS = ("sdk/src/licet", "consensus", "licensing_vm", "node", "examples", "tests")

# path → lines, and path::function → lines.
LONG_FILES: dict[str, int] = {}
LONG_FUNCTIONS: dict[str, int] = {}


def functions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Qualified name and lines of each function, decorators and docstring included."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
            yield prefix + child.name, (child.end_lineno or first) - first + 1
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from functions(child, f"{prefix}{child.name}.")
        else:
            yield from functions(child, prefix)


def compare(measured: dict[str, int], limit: int, exceptions: dict[str, int]) -> list[str]:
    """What breaks the ratchet: too long, longer than its exception, or an exception that can shrink."""
    problems = [
        f"{name} has {lines} lines; the limit is {exceptions.get(name, limit)}"
        for name, lines in sorted(measured.items())
        if lines > max(limit, exceptions.get(name, limit))
    ]
    for name, allowed in sorted(exceptions.items()):
        lines = measured.get(name, 0)
        if lines <= limit:
            problems.append(f"{name} needs no exception any more: remove its entry")
        elif lines < allowed:
            problems.append(f"{name} shrank to {lines} lines: lower its entry from {allowed}")
    return problems


def test_files_are_short() -> None:
    measured = {str(path): len(tree.read(path).splitlines()) for path in tree.python_files(*FOLDERS)}
    assert not (problems := compare(measured, FILE_LINES_MAX, LONG_FILES)), "\n".join(problems)


def test_functions_are_short() -> None:
    measured = {
        f"{path}::{name}": lines
        for path in tree.python_files(*FOLDERS)
        for name, lines in functions(tree.parse(path))
    }
    assert not (problems := compare(measured, FUNCTION_LINES_MAX, LONG_FUNCTIONS)), "\n".join(problems)


def test_the_ratchet_only_tightens() -> None:
    assert compare({"a": 80}, 70, {}) == ["a has 80 lines; the limit is 70"]
    assert compare({"a": 80}, 70, {"a": 80}) == []
    assert compare({"a": 81}, 70, {"a": 80}) == ["a has 81 lines; the limit is 80"]
    assert compare({"a": 75}, 70, {"a": 80}) == ["a shrank to 75 lines: lower its entry from 80"]
    assert compare({"a": 70}, 70, {"a": 80}) == ["a needs no exception any more: remove its entry"]
    assert compare({}, 70, {"gone": 80}) == ["gone needs no exception any more: remove its entry"]


def test_every_module_opens_with_its_promise() -> None:
    silent = [
        str(path)
        for path in tree.python_files(*FOLDERS)
        if tree.read(path).strip() and not ast.get_docstring(tree.parse(path))
    ]
    assert not silent, f"no docstring: {', '.join(silent)}"

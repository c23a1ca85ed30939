"""Habits of the code that no linter knows: tests wait for conditions, asserts mean something."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.repo import tree

# The benchmark's open loop paces itself by the clock, which is what it measures.
PACED = "tests/bench"
DEADLINES = ("deadline", "timeout", "within", "patience")


def sleeps(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Sleeps outside a polling helper, which is a function that is given a deadline."""

    def waits(function: ast.AST) -> bool:
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            return False
        arguments = function.args
        names = [a.arg for a in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]]
        return not function.name.startswith("test") and any(d in n for d in DEADLINES for n in names)

    def visit(node: ast.AST, polled: bool) -> Iterator[tuple[int, str]]:
        for child in ast.iter_child_nodes(node):
            inside = polled or waits(child)
            if isinstance(child, ast.Call) and not inside:
                name = ast.unparse(child.func)
                zero = (
                    bool(child.args) and isinstance(child.args[0], ast.Constant) and not child.args[0].value
                )
                if name.split(".")[-1] == "sleep" and not zero:
                    yield child.lineno, ast.unparse(child)
            yield from visit(child, inside)

    yield from visit(module, False)


def test_no_test_sleeps() -> None:
    found = [
        f"{path}:{line} {what}"
        for path in tree.python_files("tests")
        if not path.is_relative_to(PACED)
        for line, what in sleeps(tree.parse(path))
    ]
    assert not found, "wait for a condition with a deadline instead:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("source", "refused"),
    [
        ("async def test_a():\n    await asyncio.sleep(0.1)", True),
        ("def test_a():\n    time.sleep(PAUSE)", True),
        ("def test_a(timeout):\n    sleep(1)", True),
        ("async def test_a():\n    await asyncio.sleep(0)", False),
        ("def until(check, deadline_s):\n    while not check():\n        time.sleep(0.01)", False),
    ],
)
def test_what_counts_as_a_sleep(source: str, refused: bool) -> None:
    assert bool(list(sleeps(ast.parse(source)))) is refused


def skips(module: ast.Module) -> Iterator[int]:
    """Skips and expected failures that give no reason."""
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"pytest.mark.skip", "pytest.mark.xfail"}:
            yield node.lineno
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("pytest.mark."):
            if any(keyword.arg == "reason" for keyword in node.keywords):
                continue
            if ast.unparse(node.func).endswith(("skipif", "skip", "xfail")):
                yield node.lineno


def test_no_test_is_skipped_for_good() -> None:
    found = [f"{path}:{line}" for path in tree.python_files("tests") for line in skips(tree.parse(path))]
    assert not found, f"skipped or expected to fail: {', '.join(found)}"


def test_generated_code_is_read_only_where_the_contract_is_decoded() -> None:
    """Who decodes: protobuf stays at the node's edges, so that what is behind sees frozen types."""
    edges = ("node/api", "node/net")
    leaks = [
        f"{path}:{line} imports {name}"
        for path in tree.python_files("node")
        if not any(path.is_relative_to(edge) for edge in edges)
        for line, name in tree.imports_of(path)
        if name.startswith(("licet.v1", "google."))
    ]
    assert not leaks, "\n".join(leaks)


def test_data_is_slotted() -> None:
    """A misspelt attribute is an error, and a record is small."""
    loose = [
        f"{path}:{node.lineno} {node.name}"
        for path in tree.python_files("sdk/src/licet", "consensus", "licensing_vm", "node")
        for node in ast.walk(tree.parse(path))
        if isinstance(node, ast.ClassDef)
        for decorator in node.decorator_list
        if "dataclass" in (text := ast.unparse(decorator)) and "slots=True" not in text
    ]
    assert not loose, "\n".join(loose)

"""Determinism in the pure rooms: no float, no hash(), no IO, no order that comes from a set.

A validator whose result depends on any of these splits from the others, and no test of behaviour finds it
reliably. What cannot be seen in the source (a set that arrives as an argument) is left to the simulator.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.repo import tree

BANNED_CALLS = frozenset(
    [
        "breakpoint",
        "compile",
        "eval",
        "exec",
        "float",
        "globals",
        "hash",
        "id",
        "input",
        "locals",
        "open",
        "print",
        "vars",
        "__import__",
    ]
)
# These give the same answer in any order.
ORDER_FREE = frozenset(["all", "any", "frozenset", "len", "max", "min", "set", "sorted", "sum"])
ORDERED = frozenset(
    ["dict", "enumerate", "iter", "list", "map", "next", "reversed", "tuple", "zip", "filter"]
)
SET_METHODS = frozenset(["union", "intersection", "difference", "symmetric_difference"])

# `/` on integers gives a float. A file that divides exact fractions says so here.
FRACTION_DIVISION: frozenset[str] = frozenset()
# The compiled form of programs and splits is Python text made from checked programs, never from input text.
COMPILES = frozenset({"licensing_vm/money/split.py", "licensing_vm/program/codegen.py"})


def called_name(node: ast.AST) -> str:
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


def is_set_annotation(node: ast.AST) -> bool:
    base = node.value if isinstance(node, ast.Subscript) else node
    return isinstance(base, ast.Name) and base.id in {"set", "frozenset", "AbstractSet"}


def key_of(node: ast.AST) -> str:
    """A name for what a plain variable or an attribute of self holds, or nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
        return f"self.{node.attr}"
    return ""


def is_set(node: ast.AST, known: frozenset[str]) -> bool:
    if isinstance(node, ast.Set | ast.SetComp) or called_name(node) in {"set", "frozenset"}:
        return True
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr | ast.BitAnd | ast.Sub | ast.BitXor):
        return is_set(node.left, known) or is_set(node.right, known)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SET_METHODS:
        return is_set(node.func.value, known)
    return key_of(node) in known if key_of(node) else False


def known_sets(scope: ast.AST) -> frozenset[str]:
    """Names that the scope itself says are sets, by annotation or by what is assigned to them."""
    found: set[str] = set()
    for node in ast.walk(scope):
        if isinstance(node, ast.AnnAssign) and is_set_annotation(node.annotation):
            found.add(key_of(node.target))
        elif isinstance(node, ast.arg) and node.annotation is not None and is_set_annotation(node.annotation):
            found.add(node.arg)
        elif isinstance(node, ast.Assign) and is_set(node.value, frozenset()):
            found.update(key_of(target) for target in node.targets)
    return frozenset(found - {""})


def class_sets(module: ast.Module) -> frozenset[str]:
    """Attributes declared as sets in any class body, seen through self."""
    return frozenset(
        f"self.{field.target.id}"
        for node in ast.walk(module)
        if isinstance(node, ast.ClassDef)
        for field in node.body
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and is_set_annotation(field.annotation)
    )


def unordered_iterations(module: ast.Module) -> Iterator[tuple[int, str]]:
    attributes = class_sets(module)
    defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    top = ast.Module([node for node in module.body if not isinstance(node, defined)], type_ignores=[])
    functions = [n for n in ast.walk(module) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    scopes: list[ast.AST] = [top, *functions]
    for scope in scopes:
        known = known_sets(scope) | attributes
        # What sorted(), len() and their like consume may come in any order.
        forgiven = {
            id(argument)
            for node in ast.walk(scope)
            if called_name(node) in ORDER_FREE and isinstance(node, ast.Call)
            for argument in node.args
        }
        for node in ast.walk(scope):
            if isinstance(node, ast.For) and is_set(node.iter, known):
                yield node.lineno, "iterates over a set"
            elif (
                isinstance(node, ast.ListComp | ast.GeneratorExp | ast.DictComp) and id(node) not in forgiven
            ):
                if any(is_set(generator.iter, known) for generator in node.generators):
                    yield node.lineno, "builds an order from a set"
            elif (
                isinstance(node, ast.Call)
                and called_name(node) in ORDERED
                and any(is_set(argument, known) for argument in node.args)
            ):
                yield node.lineno, f"{called_name(node)}() takes its order from a set"


def impurities(
    module: ast.Module, *, divides_fractions: bool = False, compiles: bool = False
) -> list[tuple[int, str]]:
    banned = BANNED_CALLS - {"compile", "exec"} if compiles else BANNED_CALLS
    found: list[tuple[int, str]] = []
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            found.append((node.lineno, f"float {node.value!r}"))
        elif isinstance(node, ast.Call) and called_name(node) in banned:
            found.append((node.lineno, f"calls {called_name(node)}()"))
        elif isinstance(node, ast.Name) and node.id == "float":
            found.append((node.lineno, "names float"))
        elif isinstance(node, ast.Assert) and isinstance(node.test, ast.Tuple):
            found.append((node.lineno, "asserts a tuple, which always holds"))
        elif (
            isinstance(node, ast.BinOp | ast.AugAssign)
            and isinstance(node.op, ast.Div)
            and not divides_fractions
        ):
            found.append((node.lineno, "divides with /, which gives a float on integers"))
        elif isinstance(node, ast.AsyncFunctionDef | ast.Await):
            found.append((node.lineno, "is asynchronous"))
    return sorted({*found, *unordered_iterations(module)})


@pytest.mark.parametrize("room", tree.PURE_ROOMS)
def test_pure_rooms_are_deterministic_by_construction(room: str) -> None:
    refused = [
        f"{path}:{line} {what}"
        for path in tree.pure_files(room)
        for line, what in impurities(
            tree.parse(path),
            divides_fractions=str(path) in FRACTION_DIVISION,
            compiles=str(path) in COMPILES,
        )
    ]
    assert not refused, "\n".join(refused)


@pytest.mark.parametrize(
    "source",
    [
        "x = 0.5",
        "x = float('nan')",
        "x = hash('a')",
        "x = a / b",
        "for x in {1, 2}: pass",
        "def f(votes: set[int]):\n    return [v for v in votes]",
        "def f(votes: set[int]):\n    return tuple(votes)",
        "def f():\n    seen = set()\n    for x in seen: pass",
        "class A:\n    seen: set[int]\n    def f(self):\n        return list(self.seen)",
        "def f(a: frozenset[int], b):\n    for x in a - b: pass",
        "async def f(): pass",
    ],
)
def test_the_rule_refuses(source: str) -> None:
    assert impurities(ast.parse(source))


@pytest.mark.parametrize(
    "source",
    [
        "x = a // b",
        "def f(votes: set[int]):\n    return sorted(votes)",
        "def f(votes: set[int]):\n    return sum(v for v in votes)",
        "def f(votes: set[int]):\n    return len(votes) and 3 in votes",
        "def f(votes: list[int]):\n    return tuple(votes)",
    ],
)
def test_the_rule_lets_pass(source: str) -> None:
    assert not impurities(ast.parse(source))

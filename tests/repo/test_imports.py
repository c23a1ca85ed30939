"""The one-way rule: imports follow the arrows of docs/ARCHITECTURE.md (ADR 0001).

import-linter (`make imports`) follows chains of imports between rooms; these tests add what it does not
see: an allow-list for the pure rooms, which is stronger than a ban list, and a fresh interpreter, which
catches a leak through a package's own `__init__`.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.repo import tree

# Standard library that can do no IO, read no clock and draw no random number.
PURE_STDLIB = frozenset(
    [
        "__future__",
        "abc",
        "bisect",
        "collections",
        "collections.abc",
        "dataclasses",
        "enum",
        "fractions",
        "functools",
        "hashlib",
        "heapq",
        "itertools",
        "math",
        "operator",
        "re",
        "struct",
        "types",
        "typing",
    ]
)
# math's integer half; the other functions return floats.
PURE_MATH = frozenset(["comb", "factorial", "gcd", "isqrt", "lcm", "perm", "prod"])
# What client and validator share. Each of these is loaded by the fresh interpreter below.
VOCABULARY = frozenset(
    [
        "types",
        "encoding",
        "crypto",
        "errors",
        "merkle",
        "certificate",
        "genesis",
        "records",
        "transactions",
        "entities",
        "receipts",
    ]
)
LOADED_BY_NOBODY = ("grpc", "google.protobuf", "asyncio", "logging", "random", "socket", "plyvel", "uvloop")

MAY_IMPORT = {
    "sdk/src/licet": frozenset({"licet"}),
    "consensus": frozenset({"consensus", "licet"}),
    "licensing_vm": frozenset({"licensing_vm", "licet"}),
    "node": frozenset({"node", "consensus", "licensing_vm", "licet"}),
    "examples": frozenset({"examples", "licet"}),
}
ROOMS = frozenset({"node", "consensus", "licensing_vm", "licet", "examples", "tests"})


def pure_import_allowed(room: str, name: str) -> bool:
    parts = name.split(".")
    if parts[0] == room:
        return "cli" not in parts and "__main__" not in parts
    if parts[0] == "licet":
        return len(parts) > 1 and parts[1] in VOCABULARY
    if parts[0] == "math":
        return len(parts) == 1 or parts[1] in PURE_MATH
    # `from collections.abc import X` arrives as collections.abc.X
    return name in PURE_STDLIB or name.rpartition(".")[0] in PURE_STDLIB


@pytest.mark.parametrize("room", tree.PURE_ROOMS)
def test_pure_rooms_import_only_the_allow_list(room: str) -> None:
    refused = [
        f"{path}:{line} imports {name}"
        for path in tree.pure_files(room)
        for line, name in tree.imports_of(path)
        if not pure_import_allowed(room, name)
    ]
    assert not refused, "\n".join(refused)


@pytest.mark.parametrize(
    "name",
    [
        "os",
        "time",
        "random",
        "asyncio.Queue",
        "logging",
        "decimal",
        "datetime",
        "math.sqrt",
        "grpc",
        "licensing_vm.state",
        "licet.client",
        "licet.v1.ledger_pb2",
        "licet",
        "node.core.core",
        "consensus.cli.main",
    ],
)
def test_the_allow_list_refuses(name: str) -> None:
    assert not pure_import_allowed("consensus", name)


@pytest.mark.parametrize("name", ["math", "math.gcd", "collections.abc.Mapping", "licet.types.Height"])
def test_the_allow_list_lets_pass(name: str) -> None:
    assert pure_import_allowed("consensus", name)


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_rooms_import_only_along_the_arrows(room: str) -> None:
    refused = [
        f"{path}:{line} imports {name}"
        for path in tree.python_files(room)
        for line, name in tree.imports_of(path)
        if name.split(".")[0] in ROOMS - MAY_IMPORT[room]
    ]
    assert not refused, "\n".join(refused)


def test_a_fresh_interpreter_loads_no_shell_with_the_pure_rooms() -> None:
    modules = [tree.module_name(path) for room in tree.PURE_ROOMS for path in tree.pure_files(room)]
    assert modules, "no pure room was found"
    modules += [f"licet.{name}" for name in sorted(VOCABULARY)]
    program = (
        "import importlib, sys\n"
        f"sys.path[:0] = [{str(tree.ROOT)!r}, {str(tree.ROOT / 'sdk/src')!r}]\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"print(*[name for name in {LOADED_BY_NOBODY!r} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_importing_licet_alone_loads_nothing_heavy() -> None:
    program = (
        "import licet, sys; print(*[m for m in ('grpc', 'google', 'asyncio', 'nacl') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []

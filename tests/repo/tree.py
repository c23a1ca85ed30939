"""What the structure tests read: the files of the tree, parsed once, and the rooms they belong to.

Reads only; knows no rule. It looks at files that git tracks or would track, so a build folder or an
editor's leftovers never decide a test.
"""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SDK = Path("sdk/src/licet")
GENERATED = SDK / "v1"
PURE_ROOMS = ("consensus", "licensing_vm")


@cache
def files() -> tuple[Path, ...]:
    """Every file of the repository, relative to its root, in order of name."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return tuple(sorted(Path(name) for name in set(listed.split("\0")) if name and (ROOT / name).is_file()))


def python_files(*folders: str | Path) -> list[Path]:
    """Hand-written Python below the folders, relative to the root."""
    wanted = [Path(folder) for folder in folders]
    return [
        path
        for path in files()
        if path.suffix == ".py"
        and not path.is_relative_to(GENERATED)
        and any(path.is_relative_to(folder) for folder in wanted)
    ]


def pure_files(room: str) -> list[Path]:
    """The files of a pure room that its rules bind: all but its command line."""
    return [
        path for path in python_files(room) if path.name != "__main__.py" and "cli" not in path.parts[1:-1]
    ]


@cache
def read(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(read(path), filename=str(path))


def module_name(path: Path) -> str:
    """The dotted name a file is imported by."""
    relative = path.relative_to("sdk/src") if path.is_relative_to("sdk/src") else path
    parts = relative.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> list[tuple[int, str]]:
    """Line and absolute dotted name of every import in a file, lazy and type-only ones included.

    `from a import b` yields `a.b`, because b may be a module and the rule has to see it.
    """
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    found: list[tuple[int, str]] = []
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            found += [(node.lineno, f"{origin}.{alias.name}") for alias in node.names]
    return found

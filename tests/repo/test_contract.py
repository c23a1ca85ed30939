"""The wire contract: linted offline, paged Lists, a Request and a Response for every call."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repo import tree

PROTOS = [path for path in tree.files() if path.suffix == ".proto"]
RPC = re.compile(r"rpc (\w+)\((?:stream )?(\w+)\) returns \((?:stream )?(\w+)\)")


def body(message: str) -> str:
    for path in PROTOS:
        if found := re.search(rf"^message {message} \{{\n(.*?)^\}}", tree.read(path), re.M | re.S):
            return found[1]
    raise AssertionError(f"no message {message}")


def test_buf_finds_nothing() -> None:
    buf = Path(sys.executable).with_name("buf")
    assert buf.exists() or shutil.which("buf"), "buf comes with the development lock"
    done = subprocess.run(
        [str(buf), "lint", "proto"], cwd=tree.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", PROTOS, ids=str)
def test_files_of_one_package(path: Path) -> None:
    assert path.parent == Path("proto/licet/v1")
    assert re.search(r"^package licet\.v1;$", tree.read(path), re.M)


def test_every_call_has_its_own_request_and_response() -> None:
    calls = [match for path in PROTOS for match in RPC.findall(tree.read(path))]
    assert calls
    for name, request, response in calls:
        assert (request, response) == (f"{name}Request", f"{name}Response")


def test_every_list_is_paged() -> None:
    lists = [
        name for path in PROTOS for name, _, _ in RPC.findall(tree.read(path)) if name.startswith("List")
    ]
    assert lists
    for name in lists:
        request, response = body(f"{name}Request"), body(f"{name}Response")
        assert re.search(r"\bpage_size = ", request), f"{name} has no page_size"
        assert re.search(r"\bpage_token = ", request), f"{name} has no page_token"
        assert re.search(r"\bnext_page_token = ", response), f"{name} has no next_page_token"


def test_generated_code_imports_without_a_warning() -> None:
    modules = [path.stem for path in tree.files() if path.match("licet/v1/*_pb2.py")]
    assert len(modules) == len(PROTOS)
    program = f"import importlib\nfor name in {modules!r}: importlib.import_module('licet.v1.' + name)"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60)

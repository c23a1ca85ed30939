"""The SDK is the only wheel: one top-level name, typed, and working without the node."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.repo import tree

pytestmark = pytest.mark.slow
NODE_ONLY = ("plyvel", "uvloop", "msgspec", "prometheus_client", "node", "consensus", "licensing_vm")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    for path in tree.files():
        if path.parts[0] == "sdk":
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(tree.ROOT / path, folder / path)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
    ]
    subprocess.run([*command, "-w", str(folder), str(folder / "sdk")], check=True, timeout=120)
    [built] = folder.glob("*.whl")
    return built


def test_the_wheel_holds_one_top_level_name(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    [information] = [top for top in tops if top.endswith(".dist-info")]
    assert tops == {"licet", information}
    assert "licet/py.typed" in names
    assert any(name.startswith(f"{information}/") and name.endswith("LICENSE") for name in names)


def test_the_wheel_holds_every_module_and_stub(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        str(path.relative_to("sdk/src"))
        for path in tree.files()
        if path.is_relative_to(tree.SDK) and path.suffix in {".py", ".pyi"}
    }
    assert expected <= names


def closure(name: str, seen: set[str]) -> set[str]:
    """The distributions a package needs, extras left out."""
    if name in seen:
        return seen
    seen.add(name)
    for text in metadata.requires(name) or []:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            closure(requirement.name, seen)
    return seen


def lend(distribution: str, site: Path) -> None:
    """Makes one installed distribution visible in another environment, without copying it."""
    for file in metadata.distribution(distribution).files or []:
        top = Path(file.parts[0])
        if top.name in {"..", "__pycache__"} or (site / top).exists():
            continue
        (site / top).symlink_to(Path(str(file.locate())).parents[len(file.parts) - 1] / top)


def test_the_wheel_works_alone(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "alone", with_pip=False, symlinks=True)
    python = tmp_path / "alone/bin/python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*command, "--no-index", "--no-deps", str(wheel)], check=True, timeout=120)
    [site] = (tmp_path / "alone/lib").glob("python*/site-packages")
    [information] = site.glob("licet-*.dist-info")
    needed: set[str] = set()
    for text in metadata.PathDistribution(information).requires or []:
        closure(Requirement(text).name, needed)
    for distribution in sorted(needed):
        lend(distribution, site)

    program = (
        "import importlib, pkgutil, sys\n"
        "import licet, licet.client\n"
        "for module in pkgutil.walk_packages(licet.__path__, 'licet.'):\n"
        "    if not module.name.endswith('__main__'): importlib.import_module(module.name)\n"
        f"print(*[name for name in {NODE_ONLY!r} if importlib.util.find_spec(name) or name in sys.modules])\n"
    )
    done = subprocess.run(
        [str(python), "-I", "-W", "error", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_every_lent_dependency_is_in_the_runtime_lock() -> None:
    lock = tree.read(Path("requirements/runtime.txt")).lower().replace("_", "-")
    for name in ("grpcio", "protobuf", "pynacl"):
        for needed in closure(name, set()):
            assert f"{needed.lower().replace('_', '-')}==" in lock

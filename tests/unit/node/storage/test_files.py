"""One contract for the file port: the operating system's files and the simulator's disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.storage.files import Files, RealFiles
from tests.sim.disk import SimDisk


@pytest.fixture(params=["real", "simulated"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    return RealFiles(tmp_path) if request.param == "real" else SimDisk()


def test_what_is_appended_is_read(files: Files) -> None:
    file = files.create("f")
    assert (file.size(), file.read(0, 10)) == (0, b"")
    file.append(b"hello ")
    file.append(b"world")
    file.sync()
    assert file.size() == 11
    assert file.read(6, 5) == b"world"
    assert file.read(6, 500) == b"world"
    assert file.read(11, 5) == b""
    file.close()
    file.close()
    again = files.open("f")
    assert again.read(0, again.size()) == b"hello world"
    again.append(b"!")
    assert again.read(0, 99) == b"hello world!"
    again.close()


def test_a_cut_file_goes_on_at_its_new_end(files: Files) -> None:
    file = files.create("f")
    file.append(b"0123456789")
    file.truncate(4)
    assert file.size() == 4
    file.append(b"x")
    file.sync()
    assert file.read(0, 99) == b"0123x"
    file.close()


def test_names(files: Files) -> None:
    assert not files.exists("f")
    with pytest.raises(FileNotFoundError):
        files.open("f")
    files.create("f").close()
    assert files.exists("f")
    with pytest.raises(FileExistsError):
        files.create("f")
    files.remove("f")
    files.remove("f")
    assert not files.exists("f")


def test_replacing_takes_the_name_at_once(files: Files) -> None:
    old = files.create("f")
    old.append(b"old")
    old.sync()
    new = files.create("f.new")
    new.append(b"new one")
    new.sync()
    files.replace("f.new", "f")
    old.close()
    new.append(b"!")  # the handle goes with the file
    assert not files.exists("f.new")
    assert files.open("f").read(0, 99) == b"new one!"
    new.close()

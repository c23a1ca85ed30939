"""The simulated disk keeps what was synced and of the rest a prefix, and fails as disks do."""

from __future__ import annotations

import random

import pytest

from tests.sim.disk import SimDisk


def test_what_was_synced_survives_and_the_rest_is_a_prefix() -> None:
    kept: set[int] = set()
    for seed in range(60):
        disk = SimDisk()
        file = disk.create("f")
        file.append(b"synced")
        file.sync()
        file.append(b"loose")
        disk.lose(random.Random(seed))
        left = disk.open("f").read(0, 100)
        assert b"syncedloose".startswith(left)
        assert len(left) >= 6
        kept.add(len(left))
    assert {6, 11} <= kept, "all lost and all kept"
    assert len(kept) > 2, "torn"


def test_a_truncation_that_was_not_synced_comes_back() -> None:
    disk = SimDisk()
    file = disk.create("f")
    file.append(b"whole")
    file.sync()
    file.truncate(2)
    disk.lose(random.Random(1))
    assert disk.open("f").read(0, 10) == b"whole"


def test_a_full_disk_writes_what_fits_and_fails() -> None:
    disk = SimDisk()
    file = disk.create("f")
    disk.room = 3
    with pytest.raises(OSError, match="no space left"):
        file.append(b"four")
    assert file.size() == 3


def test_the_port_refuses_what_the_real_one_refuses() -> None:
    disk = SimDisk()
    disk.create("f")
    with pytest.raises(FileExistsError):
        disk.create("f")
    with pytest.raises(FileNotFoundError):
        disk.open("g")
    disk.remove("g")

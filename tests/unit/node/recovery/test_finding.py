"""What an isolated node found survives a restart, and a file that is damaged is as good as none (C-13)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from licet.certificate import ExecutedRoots
from licet.types import Hash32, Height

from node.ledger import finding
from node.ledger.finding import EarlierFinding
from node.storage.files import RealFiles
from node.storage.schema import FINDING_FILE

ROOTS = ExecutedRoots(height=Height(7), state_root=Hash32(bytes(32)), log_root=Hash32(b"l" * 32), log_size=9)


def test_the_newest_is_kept_and_said_of_these_roots_alone(tmp_path: Path) -> None:
    files = RealFiles(tmp_path)
    assert EarlierFinding(files).about(ROOTS) == ""
    finding.keep(files, ROOTS, "according to n2 only")
    finding.keep(files, ROOTS, "attested by n2, n3")
    earlier = EarlierFinding(files)
    assert earlier.about(ROOTS) == "attested by n2, n3"
    assert earlier.about(replace(ROOTS, height=Height(8))) == ""
    assert earlier.about(replace(ROOTS, state_root=Hash32(b"x" * 32))) == ""
    assert [path.name for path in tmp_path.iterdir()] == [FINDING_FILE]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"roots": 1}', b'"text"', b"null"])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FINDING_FILE).write_bytes(content)
    assert EarlierFinding(RealFiles(tmp_path)).about(ROOTS) == ""

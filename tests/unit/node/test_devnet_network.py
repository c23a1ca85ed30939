"""Where a network may stand: what is named wrongly is told, and nothing is removed."""

from __future__ import annotations

from pathlib import Path

import pytest
from licet.errors import LicetError

from node.devnet.network import PORT_MAX, clear, pick_ports, require_empty


@pytest.mark.parametrize("base", [-1, PORT_MAX, 70_000])
def test_ports_that_do_not_exist_are_no_taken_ones(base: int) -> None:
    with pytest.raises(LicetError) as refused:
        pick_ports(4, base)
    assert refused.value.code == "PORT_INVALID"
    assert "or 0 for free ones" in refused.value.remedy


def test_a_file_is_no_folder_of_a_network(tmp_path: Path) -> None:
    file = tmp_path / "notes"
    file.write_text("mine")
    for act in (clear, require_empty):
        with pytest.raises(LicetError, match="is a file") as refused:
            act(file)
        assert refused.value.code == "FOLDER_NOT_OURS"
    assert file.read_text() == "mine"

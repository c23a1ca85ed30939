"""L-14: actions, territories, media and kinds are trees, and a request needs every leaf covered."""

from __future__ import annotations

import pytest

from licensing_vm.codelists import ACTIONS, CURRENCIES, KINDS, MEDIA, TERRITORIES, CodeTree


def test_countries_and_their_groups() -> None:
    assert len(TERRITORIES.leaves) == len(set(TERRITORIES.leaves)) == 249
    assert all(len(code) == 2 and code.isupper() for code in TERRITORIES.leaves)
    assert TERRITORIES.mask(["EU"]).bit_count() == 27
    assert TERRITORIES.mask(["EEA"]).bit_count() == 30
    assert TERRITORIES.mask(["WORLD"]) == TERRITORIES.everything


def test_currencies() -> None:
    assert len(CURRENCIES) == 177
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in CURRENCIES)
    assert not {"XXX", "XTS"} & CURRENCIES


@pytest.mark.parametrize(
    ("tree", "wide", "narrow", "covered"),
    [
        (TERRITORIES, ["EEA"], ["DE", "NO"], True),
        (TERRITORIES, ["EU"], ["NO"], False),
        (TERRITORIES, ["EU", "EFTA"], ["EEA", "DACH"], True),
        (TERRITORIES, ["DE"], ["DACH"], False),
        (ACTIONS, ["use"], ["ai_fine_tune"], True),
        (ACTIONS, ["ai_train"], ["ai_input"], False),
        (ACTIONS, ["copy", "download"], ["reproduce"], True),
        (MEDIA, ["any"], ["print", "web"], True),
        (MEDIA, ["web"], ["digital"], False),
        (KINDS, ["image"], ["generated_image"], True),
        (KINDS, ["generated_image"], ["image"], False),
        (KINDS, ["data_pool"], ["dataset"], True),
    ],
)
def test_covers(tree: CodeTree, wide: list[str], narrow: list[str], covered: bool) -> None:
    assert tree.covers(wide, narrow) is covered


def test_overlap_is_one_shared_leaf() -> None:
    assert TERRITORIES.overlap(["NORDICS"], ["EU"])
    assert not TERRITORIES.overlap(["EU"], ["US", "CH"])
    assert ACTIONS.leaf_codes(ACTIONS.mask(["ai_train"])) == ("ai_pretrain", "ai_fine_tune", "ai_distill")


def test_unknown_codes_are_no_members() -> None:
    assert "ATLANTIS" not in TERRITORIES
    with pytest.raises(KeyError):
        TERRITORIES.mask(["ATLANTIS"])

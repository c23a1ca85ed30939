"""Grants that exclude each other, and words that are none: unseen characters, unknown currencies."""

from __future__ import annotations

import unicodedata

import pytest

from licensing_vm.language.checker import check
from licensing_vm.language.diagnostics import Code
from licensing_vm.language.tokens import _UNSEEN
from tests.unit.licensing_vm.language.test_checker import HEAD, codes

SELL = "permit sell of w to"
DAY = "during 1 day from effective"


@pytest.mark.parametrize(
    ("one", "other", "code"),
    [
        (f"{SELL} y {DAY} exclusive yes", f"{SELL} z {DAY} exclusive yes", Code.EXCLUSIVE),
        (f"{SELL} y {DAY} exclusive yes", f"{SELL} y {DAY} exclusive yes", Code.EXCLUSIVE),
        (f"{SELL} y {DAY} exclusive sole", f"permit distribute of w to z {DAY}", Code.EXCLUSIVE),
        (f"{SELL} y {DAY}", f"{SELL} z during len from effective exclusive yes", Code.EXCLUSIVE),
        # exclusive in one place, and not exclusive elsewhere, is one licence in whichever order
        (f"{SELL} y where territory in DE {DAY} exclusive yes", f"{SELL} y {DAY}", None),
        (f"{SELL} y {DAY}", f"{SELL} y where territory in DE {DAY} exclusive yes", None),
        (f"{SELL} y {DAY} exclusive yes", f"permit share of w to z {DAY} exclusive yes", None),
        (f"{SELL} y {DAY} exclusive yes", f"permit sell of v to z {DAY} exclusive yes", None),
        (f"{SELL} y where territory in DE {DAY} exclusive yes",
         f"{SELL} z where territory in FR {DAY} exclusive yes", None),
        (f"{SELL} y where medium in web {DAY} exclusive yes",
         f"{SELL} z where medium in digital {DAY} exclusive yes", Code.EXCLUSIVE),
        # what a parameter may still avoid stands; what none can avoid does not
        (f"{SELL} y where territory in here {DAY} exclusive yes",
         f"{SELL} z where territory in there {DAY} exclusive yes", None),
        (f"{SELL} y where territory in here {DAY} exclusive yes",
         f"{SELL} z where territory in DE {DAY} exclusive yes", None),
        (f"{SELL} y where territory in here {DAY} exclusive yes",
         f"{SELL} z where territory in WORLD {DAY}", Code.EXCLUSIVE),
        (f"{SELL} y where territory in DACH {DAY}",
         f"{SELL} z where territory in swiss {DAY} exclusive yes", Code.EXCLUSIVE),
        (f"{SELL} y where territory in here {DAY} exclusive yes",
         f"{SELL} z where territory in here {DAY}", Code.EXCLUSIVE),
        (f"{SELL} y where territory in fixed {DAY} exclusive yes",
         f"{SELL} z where territory in NO {DAY}", Code.EXCLUSIVE),
    ],
)  # fmt: skip
def test_grants_that_exclude_each_other(one: str, other: str, code: Code | None) -> None:
    """L-15: what nobody could ever sign is no template."""
    source = HEAD.format(
        body="x pays fee to y;",
        trigger="on activated",
        params="here: territory in EEA; there: territory in EEA; swiss: territory in CH; "
        "fixed: territory = NORDICS; len: duration in 1 day .. 9 days;",
        facts="",
        decls=f'grant H "H" {{ {one} }} grant I "I" {{ {other} }}',
        tests="",
        rounding="half_even",
    )
    checked = check(source.replace("w: image;", "w: image; v: image;"))
    wrong = codes(checked)
    assert wrong == ([code] if code else []), checked.report.render("test")
    if code:
        found = checked.report.errors[0]
        assert all(word in found.reason for word in ("`H`", "`I`", "sell"))
        assert "different actions, territories or media" in found.remedy


def test_what_is_unseen_is_a_table_of_our_own() -> None:
    """It holds all that this Python's Unicode calls format, private or no character, but seen signs; and
    nothing that people write."""
    seen = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
    for code in (*range(0x20, 0x20000), *range(0xE0000, 0xE1000)):
        char = chr(code)
        kind = unicodedata.category(char)
        if kind in ("Cc", "Cf", "Co", "Cs"):
            assert bool(_UNSEEN.match(char)) is (code not in seen), hex(code)
    for text in (
        "Größe, Œuvre, 5\u00a0% – “x”",
        "اتفاقية",
        "许可证",
        "ライセンス",
        "הסכם",
        "лицензия",
        "अनुबंध",
        "🎵",
    ):
        assert not _UNSEEN.search(text), text


@pytest.mark.parametrize(
    ("code", "known"),
    [("EUR", True), ("XAU", True), ("XCG", True), ("JPY", True),
     ("XXQ", False), ("XXX", False), ("XTS", False), ("XBT", False), ("EUX", False), ("DEM", False)],
)  # fmt: skip
def test_currencies_are_those_of_the_list(code: str, known: bool) -> None:
    source = HEAD.format(
        body="x pays fee to y;",
        trigger="on activated",
        params="",
        facts="",
        decls="",
        tests="",
        rounding="up",
    ).replace("EUR", code)
    assert codes(check(source)) == ([] if known else [Code.CODE_UNKNOWN])

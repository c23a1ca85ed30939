"""The parser accepts exactly what the reference grammar accepts, on whole and on damaged templates."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from licensing_vm.language.checker import check
from licensing_vm.language.diagnostics import Code, Stop
from licensing_vm.language.parser import parse
from licensing_vm.language.tokens import T, tokenize
from licensing_vm.language.words import LATER, RESERVED
from tests.unit.licensing_vm.language.reference import accepts
from tests.unit.licensing_vm.language.templates import templates

ROOT = Path(__file__).parents[4]
SOURCES = [
    path.read_text(encoding="utf-8")
    for folder in ("tests/spec/terms_accepted", "examples/terms", "tests/spec/terms_rejected")
    for path in sorted((ROOT / folder).glob("*.terms"))
]
# The parser alone bounds sizes and refuses a part that stands twice.
_NOT_GRAMMAR = (Code.TOO_BIG, Code.NAME_TWICE)
# Damage is done to short templates: the recogniser's time grows with the text.
SHORT = [
    """template a.b version 1.0.0 "T" {
  parties { x: one; y: one; } assets { w: image; } currency EUR scale 2 round up;
  params { fee: money in EUR 1.00 .. EUR 2.00 default EUR 1.50; z: territory in {DE, AT};
    d: duration = 2 days; }
  grant G "G" { permit copy, sell of w to x where territory in z and medium in {web, tv}
    during d from effective exclusive sole sublicense no transfer with consent }
  forbid F "F" { ai of w where medium in web except G }
}""",
    """template t version 1.0.0 "T" {
  period m monthly close after 1 day;
  facts { n: count<item> in 0 .. 9 from x per m else mean 3; s: money from x per m else hold; }
  rate r on n slab over term { up to 1_000 -> EUR 0.5 per item; above -> p; }
  rate q on s marginal over m { up to EUR 5 -> 12.5%; above -> 1%; }
  lineage up of w { mode absolute; depth 8; stack max 4%; count every path; }
}""",
    """template t version 1.0.0 "T" {
  pay P "P" at close of m { because "B"; let v = (r(n) + fee) * 12.5% - EUR 1.00 per item * n + 2;
    x owes v to y due in 1 day;
    x owes v due in 2 weeks; split v { 5% -> y; p -> z; 2% -> lineage up; lineage up; rest -> x; };
  }
  pay Q on used(n) { x pays fee; split fee { rest -> y } }
  pay R "R" on activated { }
  test "T" { given fee before = 5; given lineage up = { a: 1%, b: 2%; } expect paid to y = EUR 1.00;
    given z = {DE, AT,}; }
}""",
]
_WORDS = [*sorted(RESERVED | set(LATER)), "day", "months", "once", "name", "EUR", "mode", "sole", "before"]
_POOL = [
    *_WORDS,
    "{",
    "}",
    "(",
    ")",
    ";",
    ":",
    ",",
    "=",
    "<",
    ">",
    "+",
    "-",
    "*",
    "/",
    "%",
    "->",
    "..",
    ".",
    "[",
    "]",
]
_POOL += ["1", "2.5", "1_000", "1.0.0", '"text"', "a.b", "0f" * 32]


def parser_accepts(source: str) -> bool | None:
    try:
        parse(source)
    except Stop as stop:
        return None if stop.diagnostic.code in _NOT_GRAMMAR else False
    return True


def test_whole_templates() -> None:
    """All that the parser refuses, and every fourth that it accepts: the recogniser is slow."""
    mine = [(source, verdict) for source in SOURCES if (verdict := parser_accepts(source)) is not None]
    accepted = [source for source, verdict in mine if verdict]
    refused = [source for source, verdict in mine if not verdict]
    assert len(accepted) > 40
    assert len(refused) > 20
    assert all(accepts(source) for source in accepted[::4])
    assert not any(accepts(source) for source in refused)


def test_short_templates_are_whole() -> None:
    assert all(parser_accepts(source) and accepts(source) for source in SHORT)


@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(source=templates())
def test_made_up_templates(source: str) -> None:
    assert parser_accepts(source)
    assert accepts(source)


def damage(data: st.DataObject, source: str) -> str:
    words = [token.text for token in tokenize(source) if token.kind is not T.END]
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, len(words) - 1))
        match data.draw(st.sampled_from(("drop", "insert", "replace", "repeat", "swap"))):
            case "drop":
                del words[at]
            case "insert":
                words.insert(at, data.draw(st.sampled_from(_POOL)))
            case "replace":
                words[at] = data.draw(st.sampled_from(_POOL))
            case "repeat":
                words.insert(at, words[at])
            case _:
                other = data.draw(st.integers(0, len(words) - 1))
                words[at], words[other] = words[other], words[at]
    return " ".join(words)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_damaged_templates(data: st.DataObject) -> None:
    source = damage(data, data.draw(st.sampled_from(SHORT)))
    mine = parser_accepts(source)
    if mine is not None:
        assert mine == accepts(source), source


@settings(max_examples=200)
@given(
    text=st.text(alphabet=st.characters(codec="utf-8"), max_size=80)
    | st.text(alphabet='{}();:,=<>+-*/%."#a1_ \n')
)
def test_any_text_gives_a_diagnostic_and_never_a_crash(text: str) -> None:
    for source in (text, SHORT[0][:60] + text + SHORT[0][60:]):
        lines = source.split("\n")
        for found in check(source).report.diagnostics:
            assert 1 <= found.place.line <= len(lines)
            assert re.match(r"x:\d+:\d+: (error|warning) [A-Z_]+: ", found.render(lines, "x"))

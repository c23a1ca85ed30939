"""The published templates: each that must pass passes, each that must be refused is, by its reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from licensing_vm.language.checker import check
from licensing_vm.language.diagnostics import Code, Severity, TemplateRefused, split_lines
from licensing_vm.language.tokens import tokenize
from licensing_vm.language.words import LATER
from licensing_vm.program.compiler import compile_source

ROOT = Path(__file__).parents[4]
ACCEPTED = [*sorted((ROOT / "tests/spec/terms_accepted").glob("*.terms"))]
EXAMPLES = [*sorted((ROOT / "examples/terms").glob("*.terms"))]
REJECTED = [*sorted((ROOT / "tests/spec/terms_rejected").glob("*.terms"))]
_FIRST_LINE = re.compile(r"# refused: ([A-Z_]+) at line (\d+)$")


def _name(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", [*ACCEPTED, *EXAMPLES], ids=_name)
def test_accepted(path: Path) -> None:
    checked = check(path.read_text(encoding="utf-8"))
    assert checked.program is not None, checked.report.render(path.name)
    assert checked.trials
    assert all(trial.passed for trial in checked.trials)


@pytest.mark.parametrize("path", EXAMPLES, ids=_name)
def test_examples_have_no_warnings(path: Path) -> None:
    checked = check(path.read_text(encoding="utf-8"))
    assert not checked.report.diagnostics, checked.report.render(path.name)


@pytest.mark.parametrize("path", REJECTED, ids=_name)
def test_rejected(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    expected = _FIRST_LINE.match(split_lines(source)[0])
    assert expected is not None, "the first line says what must be found"
    checked = check(source)
    assert checked.program is None
    assert [(d.code, d.place.line) for d in checked.report.errors] == [(expected[1], int(expected[2]))]
    (found,) = checked.report.errors
    lines = split_lines(source)
    # The caret stands on the line, the reason and the remedy are sentences.
    assert 1 <= found.place.column <= len(lines[found.place.line - 1]) + 1
    assert found.reason.endswith((".", "?"))
    assert len(found.remedy) > 5
    rendered = found.render(lines, path.name)
    assert f"{path.name}:{found.place.line}:{found.place.column}: error {found.code}" in rendered
    assert "^" in rendered.split("\n")[2]


def test_every_code_has_a_rejecting_template() -> None:
    shown = {match[1] for path in REJECTED if (match := _FIRST_LINE.match(split_lines(path.read_text())[0]))}
    elsewhere = {
        Code.TOO_BIG,  # test_limits: sources that would not fit a folder of examples
        Code.NOT_USED,  # warnings
        Code.UNTESTED,
    }
    assert shown == set(Code) - elsewhere


def test_a_refused_template_raises_with_its_first_reason() -> None:
    path = next(p for p in REJECTED if p.stem == "later_recoup")
    with pytest.raises(TemplateRefused, match="`recoup` belongs to a later language version") as refused:
        compile_source(path.read_text(encoding="utf-8"))
    assert refused.value.facts["diagnostic"] == Code.LATER_VERSION
    assert refused.value.facts["line"] == "25"


@pytest.mark.parametrize("word", sorted(LATER))
def test_a_later_word_at_the_top_is_refused_by_its_name(word: str) -> None:
    source = (ROOT / "examples/terms/stock.image_flat.terms").read_text(encoding="utf-8")
    source = source.replace("  assets {", f"  {word} x {{ }}\n  assets {{")
    (found,) = check(source).report.errors
    assert found.code is Code.LATER_VERSION
    assert f"`{word}`" in found.reason


@pytest.mark.parametrize("path", [*ACCEPTED, *EXAMPLES], ids=_name)
def test_layout_does_not_matter(path: Path) -> None:
    """On one line (without comments) or with every word on its own, a template means the same."""
    source = path.read_text(encoding="utf-8")
    program = check(source).program
    words = [token.text for token in tokenize(source)]
    assert check(" ".join(words)).program == program
    assert check("\r\n\t".join(words)).program == program


def test_severity_of_warnings() -> None:
    source = (ROOT / "tests/spec/terms_accepted/ads.per_use.terms").read_text(encoding="utf-8")
    without = re.sub(r"  test .*\n", "", source)
    checked = check(without)
    assert checked.program is not None
    assert [(d.severity, d.code) for d in checked.report.diagnostics] == [(Severity.WARNING, Code.UNTESTED)]

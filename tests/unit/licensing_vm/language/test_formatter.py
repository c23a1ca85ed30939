"""The formatter keeps every token and comment, changes nothing the second time, and never the meaning."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from licensing_vm.language.diagnostics import Stop
from licensing_vm.language.formatter import format_source
from licensing_vm.language.tokens import tokenize
from licensing_vm.program.compiler import compile_source
from tests.unit.licensing_vm.language.templates import templates

ROOT = Path(__file__).parents[4]
SOURCES = [*sorted((ROOT / "tests/spec/terms_accepted").glob("*.terms"))]
EXAMPLES = [*sorted((ROOT / "examples/terms").glob("*.terms"))]


def words(source: str) -> list[str]:
    return [token.text for token in tokenize(source)]


def comments(source: str) -> list[str]:
    found: list[str] = []
    for token in tokenize(source):
        found += [*token.comments, *([token.trailing] if token.trailing else [])]
    return found


def holds(source: str) -> None:
    text = format_source(source)
    assert words(text) == words(source)
    assert comments(text) == comments(source)
    assert format_source(text) == text
    assert not re.search(r"[ \t]+$", text, re.MULTILINE)
    assert text.endswith("}\n") or "#" in text.splitlines()[-1]


@pytest.mark.parametrize("path", [*SOURCES, *EXAMPLES], ids=lambda path: path.stem)
def test_published_templates(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    holds(source)
    assert compile_source(format_source(source)) == compile_source(source)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_formatted(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert format_source(source) == source


@settings(max_examples=25)
@given(source=templates())
def test_made_up_templates(source: str) -> None:
    holds(source)


@settings(max_examples=60)
@given(data=st.data())
def test_comments_and_blank_lines_anywhere(data: st.DataObject) -> None:
    source = SOURCES[1].read_text(encoding="utf-8")
    parts = words(source)[:-1]
    for n in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(parts)))
        parts.insert(at, data.draw(st.sampled_from((f"# note {n}\n", f"\n# own {n}\n", "\n\n\n", "\n"))))
    holds(" ".join(parts))


def test_what_is_no_template_is_not_formatted() -> None:
    with pytest.raises(Stop):
        format_source("template a version 1.0.0")

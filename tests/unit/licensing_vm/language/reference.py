"""The reference grammar as a recogniser: `accepts(source)`.

Every keyword of the grammar is one terminal; `name` and `word` list those
keywords that they allow, from the published tables of the language.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from lark import Lark
from lark.exceptions import LarkError

from licensing_vm.language.words import LATER, LATER_BUT_NAMEABLE, RESERVED

_TERMINALS = r"""
HEX.9: /[0-9a-f]{64}(?![0-9A-Za-z_])/
VERSION.8: /[0-9]+\.[0-9]+\.[0-9]+(?![0-9A-Za-z_.])/
NUMBER.7: /[0-9]+(_[0-9]+)*(\.[0-9]+(_[0-9]+)*)?(?![0-9A-Za-z_])/
DOTTED.7: /[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+/
TIME.6: /(day|week|month|quarter|year)s?(?![A-Za-z0-9_])/
NAME.1: /[A-Za-z][A-Za-z0-9_]*/
STRING: /"[^"\n]*"/
%ignore /[ \t\r\n]+/
%ignore /#[^\n]*/
"""


def _terminal(word: str) -> str:
    return f"W_{word.upper()}"


@cache
def grammar() -> Lark:
    text = (Path(__file__).parent / "terms.lark").read_text(encoding="utf-8")
    text = re.sub(r"//[^\n]*", "", text)
    later = set(LATER) - LATER_BUT_NAMEABLE
    keywords = set(re.findall(r'"([a-z][a-z0-9]*)"', text))
    text = re.sub(r'"([a-z][a-z0-9]*)"', lambda match: _terminal(match[1]), text)
    groups = {
        "RESERVED": sorted(RESERVED),
        "LATER": sorted(later),
        "FREE": sorted(keywords - RESERVED - later),
    }
    for name, words in groups.items():
        text = re.sub(rf"\b{name}\b", name.lower() + "_word", text)
        text += f"\n{name.lower()}_word: " + " | ".join(_terminal(word) for word in words) + "\n"
    for word in sorted(keywords | RESERVED | later):
        text += f"{_terminal(word)}.5: /{word}(?![A-Za-z0-9_])/\n"
    return Lark(text + _TERMINALS, parser="earley", lexer="basic", start="start", ambiguity="resolve")


def accepts(source: str) -> bool:
    try:
        grammar().parse(source)
    except LarkError:
        return False
    return True

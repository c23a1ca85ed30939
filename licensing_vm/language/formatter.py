"""The formatter: one way to lay out a template, comments kept, meaning untouched.

It works on tokens, so the text it writes has exactly the tokens it read and a
second run changes nothing. A block goes on one line if it is short and nothing
in it is a block or a comment; otherwise each statement has its line. One blank
line between statements is kept where there was one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from licensing_vm.language.parser import parse
from licensing_vm.language.tokens import T, Token, tokenize

_WIDTH: Final = 100
_INDENT: Final = "  "
# Parts that are always laid out over lines, and those that are if they hold more than one thing.
_TALL: Final = frozenset({"grant", "pay", "rate", "test"})
_TALL_IF_SEVERAL: Final = frozenset({"params", "facts"})
# Inside a grant or a prohibition, which have no semicolons, these begin a line of their own.
_RIGHTS: Final = frozenset({"grant", "forbid"})
_BREAKS: Final = frozenset({"where", "during", "exclusive", "except"})
_TIGHT_BEFORE: Final = frozenset({";", ",", ":", "%", ")", ">"})
_TIGHT_AFTER: Final = frozenset({"(", "<"})
# A parenthesis after one of these groups a calculation; after any other name it applies a rate.
_GROUPING: Final = frozenset({"pays", "owes", "split"})


def format_source(source: str) -> str:
    """The template laid out. Raises `Stop` for what is no template."""
    parse(source)
    return _Layout(tokenize(source)).text()


def _symbol(token: Token, text: str) -> bool:
    return token.kind is T.SYMBOL and token.text == text


class _Layout:
    """Writes the tokens of one valid template line by line."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._closing, self._heads = _blocks(tokens)
        self._codes = _code_braces(tokens, self._closing)
        self._stack: list[str] = []  # the head words of the blocks laid out over lines that we are in
        self._lines: list[str] = []
        self._line = ""

    def text(self) -> str:
        at = 0
        while self._tokens[at].kind is not T.END:
            at = self._token(at)
        self._flush()
        self._comments(self._tokens[-1])
        return "\n".join(self._lines).rstrip("\n") + "\n"

    # --- lines -----------------------------------------------------------------

    def _flush(self) -> None:
        if self._line:
            self._lines.append(_INDENT * len(self._stack) + self._line)
            self._line = ""

    def _comments(self, token: Token) -> None:
        """The comments before a token, and the blank line if there was one, at the start of a line."""
        first = not self._lines or self._lines[-1] == "" or self._lines[-1].endswith("{")
        if token.blank_before and not first and not _symbol(token, "}"):
            self._lines.append("")
        self._lines += [_INDENT * len(self._stack) + comment for comment in token.comments]

    def _put(self, at: int) -> None:
        """Write one token on the current line, or begin one with it."""
        token = self._tokens[at]
        if token.comments:
            self._flush()
        if self._line:
            self._line += (" " if self._spaced(at) else "") + token.text
        else:
            self._comments(token)
            self._line = token.text
        if token.trailing:
            self._line += "  " + token.trailing
            self._flush()

    # --- tokens ----------------------------------------------------------------

    def _token(self, at: int) -> int:
        token = self._tokens[at]
        if _symbol(token, "{"):
            end = self._closing[at]
            if self._on_one_line(at, end):
                for k in range(at, end + 1):
                    self._put(k)
                return self._after(end)
            self._put(at)
            self._flush()
            self._stack.append(self._heads[at])
            return at + 1
        if _symbol(token, "}"):
            self._flush()
            self._comments(token)
            self._stack.pop()
            self._line = token.text
            if token.trailing:
                self._line += "  " + token.trailing
                self._flush()
            return self._after(at)
        if token.kind is T.NAME and token.text in _BREAKS and self._stack[-1:] and self._stack[-1] in _RIGHTS:
            self._flush()
        self._put(at)
        if _symbol(token, ";") or (token.kind is T.HEX and not _symbol(self._tokens[at + 1], ";")):
            self._flush()
        return at + 1

    def _after(self, end: int) -> int:
        """A `;` stays on the block's line; a list of codes is part of its statement; else the line ends."""
        if not _symbol(self._tokens[end + 1], ";") and end not in self._codes:
            self._flush()
        return end + 1

    # --- decisions -------------------------------------------------------------

    def _on_one_line(self, at: int, end: int) -> bool:
        inner = self._tokens[at + 1 : end + 1]
        if any(t.comments for t in inner) or any(t.trailing for t in self._tokens[at:end]):
            return False
        if at in self._codes:
            return True
        head = self._heads[at]
        several = sum(_symbol(t, ";") for t in inner) > 1
        if head in _TALL or (head in _TALL_IF_SEVERAL and several):
            return False
        if any(k in self._closing and k not in self._codes for k in range(at + 1, end)):
            return False
        width = len(_INDENT) * len(self._stack) + len(self._line)
        width += sum(len(self._tokens[k].text) + self._spaced(k) for k in range(at, end + 1))
        return width <= _WIDTH

    def _spaced(self, at: int) -> bool:
        """Whether a space stands before this token, which is not the first of its line."""
        token, before = self._tokens[at], self._tokens[at - 1]
        if token.kind is T.SYMBOL and token.text in _TIGHT_BEFORE:
            return False
        if before.kind is T.SYMBOL and before.text in _TIGHT_AFTER:
            return False
        if _symbol(token, "<"):
            return False
        if _symbol(token, "("):
            return before.kind is not T.NAME or before.text in _GROUPING
        opens_codes = at - 1 in self._codes and _symbol(before, "{")
        return not opens_codes and not (at in self._codes and _symbol(token, "}"))


def _blocks(tokens: Sequence[Token]) -> tuple[Mapping[int, int], Mapping[int, str]]:
    """Opening brace -> closing brace, and -> the first word of the statement that it belongs to."""
    closing: dict[int, int] = {}
    heads: dict[int, str] = {}
    opened: list[int] = []
    head = ""
    for at, token in enumerate(tokens):
        if _symbol(token, "{"):
            opened.append(at)
            heads[at] = head
            head = ""
        elif _symbol(token, "}"):
            closing[opened.pop()] = at
            head = ""
        elif _symbol(token, ";") or token.kind is T.HEX:
            head = ""
        elif not head:
            head = token.text
    return closing, heads


def _code_braces(tokens: Sequence[Token], closing: Mapping[int, int]) -> frozenset[int]:
    """The braces around lists of codes: names and commas in turn."""
    found: set[int] = set()
    for start, end in closing.items():
        inner = tokens[start + 1 : end]
        in_turn = all(t.kind is T.NAME if k % 2 == 0 else _symbol(t, ",") for k, t in enumerate(inner))
        if inner and in_turn:
            found |= {start, end}
    return frozenset(found)

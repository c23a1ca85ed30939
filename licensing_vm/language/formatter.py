"""The formatter: one way to lay out a template, comments kept, meaning untouched.

It works on tokens, so the text it writes has exactly the tokens it read and a
second run changes nothing. A block goes on one line if it fits and nothing in
it is a block or a comment; otherwise each statement has its line. One blank
line between statements is kept where there was one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from licensing_vm.language.parser import parse
from licensing_vm.language.tokens import T, Token, tokenize

_WIDTH: Final = 100
_INDENT: Final = "  "
# Inside a grant or a prohibition, which have no semicolons, these begin a line of their own.
_BREAKS: Final = frozenset({"where", "during", "exclusive", "except"})


def format_source(source: str) -> str:
    """The template laid out. Raises `Stop` for what is no template."""
    parse(source)
    tokens = tokenize(source)
    return _Layout(tokens).text()


class _Layout:
    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._closing = _matching(tokens)
        self._lines: list[str] = []
        self._line = ""
        self._depth = 0

    def text(self) -> str:
        self._blocks = 0
        at = 0
        while self._tokens[at].kind is not T.END:
            at = self._token(at)
        self._flush()
        self._comments(self._tokens[-1])
        return "\n".join(self._lines).rstrip("\n") + "\n"

    # --- lines -----------------------------------------------------------------

    def _flush(self) -> None:
        if self._line:
            self._lines.append(_INDENT * self._depth + self._line)
            self._line = ""

    def _comments(self, token: Token) -> None:
        """The comments before a token, and the blank line if there was one, at the start of a line."""
        if token.blank_before and self._lines and not self._lines[-1].endswith("{") and self._lines[-1]:
            self._lines.append("")
        self._lines += [_INDENT * self._depth + comment for comment in token.comments]

    def _put(self, at: int) -> None:
        """Write one token on the current line."""
        token = self._tokens[at]
        if token.comments and self._line:
            self._flush()
        if not self._line:
            if token.text != "}":
                self._comments(token)
            self._line = token.text
        else:
            gap = " " if _spaced(self._tokens, at) else ""
            self._line += gap + token.text
        if token.trailing:
            self._line += "  " + token.trailing
            self._flush()

    # --- tokens ----------------------------------------------------------------

    def _token(self, at: int) -> int:
        token = self._tokens[at]
        if token.text == "{" and token.kind is T.SYMBOL:
            end = self._closing[at]
            if self._inline_list(at, end) or self._fits(at, end):
                for k in range(at, end + 1):
                    self._put(k)
                return self._after_block(end)
            self._open(at)
            return at + 1
        if token.text == "}" and token.kind is T.SYMBOL:
            self._close(at)
            return self._after_block(at)
        if self._breaks_before(at):
            self._flush()
        self._put(at)
        if token.text == ";" and token.kind is T.SYMBOL:
            self._flush()
        return at + 1

    def _open(self, at: int) -> None:
        self._put(at)
        self._flush()
        self._depth += 1

    def _close(self, at: int) -> None:
        self._flush()
        self._comments_at_end(self._tokens[at])
        self._depth -= 1
        self._put_plain(at)

    def _comments_at_end(self, token: Token) -> None:
        self._lines += [_INDENT * self._depth + comment for comment in token.comments]

    def _put_plain(self, at: int) -> None:
        token = self._tokens[at]
        self._line = token.text
        if token.trailing:
            self._line += "  " + token.trailing
            self._flush()

    def _after_block(self, end: int) -> int:
        """A `;` stays on the block's line; a code list is part of its statement; else the line ends."""
        following = self._tokens[end + 1]
        if following.text == ";" and following.kind is T.SYMBOL:
            return end + 1
        if self._is_codes(end):
            return end + 1
        self._flush()
        return end + 1

    # --- decisions -------------------------------------------------------------

    def _is_codes(self, end: int) -> bool:
        """Whether the block that closes here is a list of codes after `in`, `=` or `default`."""
        start = next(k for k, close in self._closing.items() if close == end)
        inner = self._tokens[start + 1 : end]
        return bool(inner) and all(t.kind is T.NAME or t.text == "," for t in inner)

    def _inline_list(self, at: int, end: int) -> bool:
        inner = self._tokens[at + 1 : end + 1]
        plain = not any(t.comments for t in inner) and not any(t.trailing for t in self._tokens[at:end])
        return plain and self._is_codes(end)

    def _fits(self, at: int, end: int) -> bool:
        inner = self._tokens[at + 1 : end + 1]
        if any(t.comments for t in inner) or any(t.trailing for t in self._tokens[at:end]):
            return False
        if any(
            t.text == "{" and t.kind is T.SYMBOL and not self._is_codes(self._closing[at + 1 + k])
            for k, t in enumerate(inner)
        ):
            return False
        width = len(_INDENT) * self._depth + len(self._line)
        for k in range(at, end + 1):
            width += len(self._tokens[k].text) + (1 if _spaced(self._tokens, k) else 0)
        return width <= _WIDTH

    def _breaks_before(self, at: int) -> bool:
        """In a grant or prohibition laid out over lines, its parts begin lines of their own."""
        token = self._tokens[at]
        return token.kind is T.NAME and token.text in _BREAKS and self._in_right(at)

    def _in_right(self, at: int) -> bool:
        opening = [k for k, close in self._closing.items() if k < at < close]
        if len(opening) != 2:
            return False
        head = opening[-1]
        while head > 0 and self._tokens[head].text not in ("grant", "forbid", ";", "}"):
            head -= 1
        return self._tokens[head].text in ("grant", "forbid")


def _matching(tokens: Sequence[Token]) -> dict[int, int]:
    """Opening brace -> closing brace, in the order of the opening ones."""
    pairs: dict[int, int] = {}
    opened: list[int] = []
    for at, token in enumerate(tokens):
        if token.kind is T.SYMBOL and token.text == "{":
            opened.append(at)
            pairs[at] = at
        elif token.kind is T.SYMBOL and token.text == "}":
            pairs[opened.pop()] = at
    return pairs


_TIGHT_BEFORE: Final = frozenset({";", ",", ":", "%", ")", ">"})
_TIGHT_AFTER: Final = frozenset({"(", "<"})


def _spaced(tokens: Sequence[Token], at: int) -> bool:
    """Whether a space stands before this token (which is not the first of its line)."""
    token, before = tokens[at], tokens[at - 1]
    if at == 0:
        return False
    if token.kind is T.SYMBOL and token.text in _TIGHT_BEFORE:
        return False
    if before.kind is T.SYMBOL and before.text in _TIGHT_AFTER:
        return False
    if token.kind is T.SYMBOL and token.text in ("(", "<"):
        return not (before.kind is T.NAME and before.text not in ("on",) and _applied(tokens, at))
    if before.text == "{" or token.text == "}":
        return not _code_braces(tokens, at, before.text == "{")
    return True


def _applied(tokens: Sequence[Token], at: int) -> bool:
    """`rate(fact)`, `used(fact)` and `count<unit>` are written tight; `pays (a + b)` is not."""
    if tokens[at].text == "<":
        return True
    return tokens[at - 1].text not in ("pays", "owes", "split", "in", "to")


def _code_braces(tokens: Sequence[Token], at: int, opening: bool) -> bool:
    """Lists of codes have no spaces inside their braces."""
    k = at if opening else at - 1
    step = 1 if opening else -1
    while tokens[k].kind is T.NAME or tokens[k].text == ",":
        k += step
    return tokens[k].text == ("}" if opening else "{") and k not in (at, at - 1)

"""Text to tokens, each with its place; comments and blank lines are kept for the formatter.

Bounded: a source above `SOURCE_BYTES_MAX` or `TOKENS_MAX` is refused before
anything else looks at it. Knows no grammar.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from licensing_vm.language.diagnostics import Code, Diagnostic, Place, Stop, error
from licensing_vm.language.work import PIECE, TOKEN, Work
from licensing_vm.program.limits import NAME_CHARS_MAX, SOURCE_BYTES_MAX, TEXT_CHARS_MAX, TOKENS_MAX

_NUMBER_CHARS_MAX: Final = 40


class T(IntEnum):
    """Kinds of tokens."""

    NAME = 1
    DOTTED = 2  # a name with dots, for templates only
    NUMBER = 3
    VERSION = 4  # 1.0.0
    HEX = 5  # 64 hexadecimal digits
    STRING = 6
    SYMBOL = 7
    END = 8
    WRONG = 9  # no token of the language; the last one, and refused when it is reached


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    kind: T
    text: str  # as written; a string has its quotes
    place: Place
    comments: tuple[str, ...]  # comments on lines of their own before this token
    trailing: str  # a comment after this token, on its line
    blank_before: bool  # an empty line stood before it (and before its comments)
    wrong: Diagnostic | None = None  # what is said of a WRONG token

    @property
    def value(self) -> str:
        """A string without its quotes; any other token as written."""
        return self.text[1:-1] if self.kind is T.STRING else self.text


_TOKEN: Final = re.compile(
    r"""(?P<SPACE>[ \t\r]+)
    |(?P<NEWLINE>\n)
    |(?P<COMMENT>\#[^\n]*)
    |(?P<HEX>[0-9a-f]{64}(?![0-9A-Za-z_]))
    |(?P<VERSION>[0-9]+\.[0-9]+\.[0-9]+(?![0-9A-Za-z_.]))
    |(?P<NUMBER>[0-9]+(?:_[0-9]+)*(?:\.[0-9]+(?:_[0-9]+)*)?(?![0-9A-Za-z_]))
    |(?P<DOTTED>[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*)+)
    |(?P<NAME>[A-Za-z][A-Za-z0-9_]*)
    |(?P<STRING>"[^"\n]*")
    |(?P<SYMBOL>->|\.\.|[{}()\[\];:,=<>+\-*/%.])
    """,
    re.VERBOSE | re.ASCII,
)
# What a reader would not see, would see elsewhere than it stands, or would see as the font at hand likes. A
# table of our own: Python's knows another Unicode in each version, and nodes must agree. Format characters
# that are seen, such as the Arabic sign that stands before a number, are none of these.
_UNSEEN_RANGES: Final = (
    (0x00, 0x08), (0x0B, 0x1F), (0x7F, 0x9F),  # controls
    (0xAD, 0xAD), (0x034F, 0x034F), (0x061C, 0x061C),  # soft hyphen, grapheme joiner, Arabic letter mark
    (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),  # Hangul fillers, Khmer vowels, Mongolian selectors
    (0x200B, 0x200F), (0x2028, 0x202E), (0x2060, 0x206F),  # zero widths, directions, invisible operators
    (0x2800, 0x2800), (0x3164, 0x3164), (0xFFA0, 0xFFA0),  # an empty Braille cell, Hangul fillers
    (0xD800, 0xDFFF), (0xE000, 0xF8FF),  # surrogates, private use
    (0xFDD0, 0xFDEF), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF),  # noncharacters, variation selectors, byte order
    (0xFFF0, 0xFFFB), (0xFFFE, 0xFFFF),  # interlinear annotation, noncharacters
    (0x13430, 0x13442), (0x1BCA0, 0x1BCAF), (0x1D173, 0x1D17A),  # hieroglyphs', shorthand's, music's controls
    *((plane << 16 | 0xFFFE, plane << 16 | 0xFFFF) for plane in range(1, 0xE)),  # noncharacters
    (0xE0000, 0xE0FFF), (0xEFFFE, 0x10FFFF),  # tags, further selectors; noncharacters, private use
)  # fmt: skip
_UNSEEN: Final = re.compile(
    "[" + "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in _UNSEEN_RANGES) + "]"
)
_KINDS: Final = {kind.name: kind for kind in T}


def tokenize(source: str, work: Work | None = None) -> tuple[Token, ...]:
    """All tokens, the last one END.

    The first thing that is none is the last token, WRONG: what stands before it may be refused for a
    better reason, such as a construct of a later version. Raises `Stop` for what nobody should read.
    """
    start = Place(1, 1, 1)
    size = len(source.encode("utf-8", "surrogatepass"))
    if size > SOURCE_BYTES_MAX:
        raise Stop(
            error(
                Code.TOO_BIG,
                start,
                f"The source has {size:_} bytes; a template has at most {SOURCE_BYTES_MAX:_}.",
                "Split it into several templates.",
            )
        )
    work = work or Work()
    builder = _Builder()
    at, line, line_start = 0, 1, 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None:
            return builder.wrong(_no_token(source, at, Place(line, at - line_start + 1, 1)))
        kind, text = match.lastgroup or "", match.group()
        place = Place(line, at - line_start + 1, len(text))
        at = match.end()
        work.spend(PIECE, place)
        if kind == "NEWLINE":
            line, line_start = line + 1, at
            builder.newline()
        elif kind == "COMMENT":
            text = text.rstrip()
            _seen(text, place)
            builder.comment(text)
        elif kind != "SPACE":
            work.spend(TOKEN, place)
            _bounded(kind, text, place)
            if kind == "STRING":
                _seen(text, place)
            builder.token(_KINDS[kind], text, place)
    return builder.done(Place(line, at - line_start + 1, 1))


class _Builder:
    """Collects tokens and hands each its comments: same line is trailing, else it belongs to the next."""

    def __init__(self) -> None:
        self._tokens: list[Token] = []
        self._comments: list[str] = []
        self._newlines = 0
        self._blank = False
        self._pending: tuple[T, str, Place, tuple[str, ...], bool] | None = None
        self._trailing = ""

    def newline(self) -> None:
        self._newlines += 1
        if self._newlines >= 2 and not self._comments:
            self._blank = True

    def comment(self, text: str) -> None:
        if self._newlines == 0 and self._pending is not None and not self._trailing:
            self._trailing = text
        else:
            self._comments.append(text)
        self._newlines = 0

    def token(self, kind: T, text: str, place: Place) -> None:
        self._flush()
        if len(self._tokens) >= TOKENS_MAX:
            raise Stop(
                error(
                    Code.TOO_BIG,
                    place,
                    f"The source has more than {TOKENS_MAX:_} words.",
                    "Split it into several templates.",
                )
            )
        self._pending = (kind, text, place, tuple(self._comments), self._blank)
        self._comments, self._newlines, self._blank = [], 0, False

    def _flush(self) -> None:
        if self._pending is not None:
            kind, text, place, comments, blank = self._pending
            self._tokens.append(
                Token(
                    kind=kind,
                    text=text,
                    place=place,
                    comments=comments,
                    trailing=self._trailing,
                    blank_before=blank,
                )
            )
        self._pending, self._trailing = None, ""

    def wrong(self, why: Diagnostic) -> tuple[Token, ...]:
        self._flush()
        last = Token(
            kind=T.WRONG, text="", place=why.place, comments=(), trailing="", blank_before=False, wrong=why
        )
        return (*self._tokens, last)

    def done(self, place: Place) -> tuple[Token, ...]:
        self.token(T.END, "", place)
        self._flush()
        return tuple(self._tokens)


def _bounded(kind: str, text: str, place: Place) -> None:
    most = {"STRING": TEXT_CHARS_MAX, "NUMBER": _NUMBER_CHARS_MAX, "HEX": 64}.get(kind, NAME_CHARS_MAX)
    size = len(text) - len('""') if kind == "STRING" else len(text)
    if size > most:
        raise Stop(
            error(
                Code.TOO_BIG,
                place,
                f"This has {size:_} characters; the most is {most:_}.",
                "Shorten it.",
            )
        )


def _seen(text: str, place: Place) -> None:
    hidden = _UNSEEN.search(text)
    if hidden:
        raise Stop(
            error(
                Code.SYNTAX,
                Place(place.line, place.column + hidden.start(), 1),
                f"Here stands the invisible character U+{ord(hidden.group()):04X}.",
                "Remove it: what people sign must be what they see.",
            )
        )


def _no_token(source: str, at: int, place: Place) -> Diagnostic:
    char = source[at]
    if char == '"':
        reason, remedy = "This text is not closed on its line.", 'Close it with " before the line ends.'
    elif char.isdigit():
        reason = "This is no number."
        remedy = "Write numbers like 1_000_000 or 12.5: digits, single underscores between them, one dot."
    elif char == "–":
        reason, remedy = "A long dash has no meaning here.", "Write - for minus, -> for a share."
    else:
        reason = f"The character {char!a} has no meaning outside a quoted text."
        if char.isprintable():
            reason = f"The character {char!r} has no meaning outside a quoted text."
        remedy = "Remove it. Names have letters, digits and underscores; comments begin with #."
    return error(Code.SYNTAX, place, reason, remedy)

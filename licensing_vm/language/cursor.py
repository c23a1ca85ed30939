"""The parser's hands: looking at tokens, taking them, and saying what was expected instead.

Every failure is a `Stop` with one diagnostic. A word of a later language
version is refused by its name before anything else is said about it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

from licensing_vm.language.diagnostics import Code, Place, Stop, error
from licensing_vm.language.syntax import Name, Number, Text
from licensing_vm.language.tokens import T, Token, tokenize
from licensing_vm.language.words import LATER, LATER_BUT_NAMEABLE, RESERVED
from licensing_vm.language.work import Work
from licensing_vm.money.amounts import parse_decimal
from licensing_vm.program.limits import LANGUAGE_VERSION

X = TypeVar("X")


class Cursor:
    """A position in the tokens of one source."""

    def __init__(self, source: str, work: Work | None = None) -> None:
        self._tokens = tokenize(source, work)
        self._at = 0

    @property
    def now(self) -> Token:
        token = self._tokens[self._at]
        if token.wrong is not None:
            raise Stop(token.wrong)
        return token

    @property
    def following(self) -> Token:
        return self._tokens[min(self._at + 1, len(self._tokens) - 1)]

    def take(self) -> Token:
        token = self.now
        if token.kind is not T.END:
            self._at += 1
        return token

    def at(self, *texts: str) -> bool:
        """Whether the current token is one of these words or symbols."""
        return self.now.kind in (T.NAME, T.SYMBOL) and self.now.text in texts

    def skip(self, text: str) -> bool:
        """Take the token if it is this word or symbol."""
        if self.at(text):
            self.take()
            return True
        return False

    def need(self, text: str, where: str) -> Token:
        if not self.at(text):
            self.unexpected(f"`{text}`", where)
        return self.take()

    def one_of(self, texts: Sequence[str], where: str) -> Name:
        if not self.at(*texts):
            self.unexpected(" or ".join(f"`{text}`" for text in texts), where)
        return self._as_name(self.take())

    def name(self, what: str, *, declares: bool = False) -> Name:
        """A name. One that declares something may be no word of the language."""
        token = self.now
        if token.kind is T.DOTTED:
            self.stop(
                Code.SYNTAX,
                token.place,
                f"A name with a dot cannot be {what}.",
                "Only templates have dotted names.",
            )
        if token.kind is not T.NAME:
            self.unexpected(what)
        if token.text in LATER and token.text not in LATER_BUT_NAMEABLE:
            self.later(token)
        if token.text in RESERVED:
            if declares:
                self.stop(
                    Code.NAME_RESERVED,
                    token.place,
                    f"`{token.text}` is a word of the language and cannot be {what}.",
                    "Choose another name.",
                )
            self.unexpected(what)
        return self._as_name(self.take())

    def word(self, what: str) -> Name:
        """Any word, reserved or not: for codes, units and kinds, which have name spaces of their own."""
        if self.now.kind is not T.NAME:
            self.unexpected(what)
        return self._as_name(self.take())

    def number(self, what: str) -> Number:
        if self.now.kind is not T.NUMBER:
            self.unexpected(what)
        token = self.take()
        digits, decimals = parse_decimal(token.text)
        return Number(digits, decimals, token.place)

    def string(self, what: str) -> Text:
        if self.now.kind is not T.STRING:
            self.unexpected(what)
        token = self.take()
        return Text(token.value, token.place)

    def maybe_string(self) -> Text | None:
        return self.string("a text") if self.now.kind is T.STRING else None

    def block(self, where: str, item: Callable[[], X]) -> tuple[X, ...]:
        """`{ item* }`"""
        self.need("{", where)
        items: list[X] = []
        while not self.at("}"):
            if self.now.kind is T.END:
                self.unexpected("`}`", where)
            items.append(item())
        self.take()
        return tuple(items)

    def end_statement(self, where: str) -> None:
        """`;` – said to be missing where the statement ended, not where the next one begins."""
        if self.skip(";"):
            return
        if self.now.kind is T.NAME and self.now.text in LATER:
            self.later(self.now)
        if self.at("/", "[", ">"):
            self.unexpected("`;`", where)
        before = self._tokens[max(self._at - 1, 0)].place
        place = Place(before.line, before.column + before.length, 1)
        self.stop(Code.SYNTAX, place, f"A `;` is missing {where}.", "End every statement with `;`.")

    def stop(self, code: Code, place: Place, reason: str, remedy: str) -> NoReturn:
        raise Stop(error(code, place, reason, remedy))

    def later(self, token: Token, what: str = "") -> NoReturn:
        what = what or LATER.get(token.text, "")
        self.stop(
            Code.LATER_VERSION,
            token.place,
            f"`{token.text}` belongs to a later language version{f' ({what})' if what else ''}.",
            f"This node knows language version {LANGUAGE_VERSION}: express it without `{token.text}`.",
        )

    def unexpected(self, wanted: str, where: str = "") -> NoReturn:
        token = self.now
        if token.kind is T.NAME and token.text in LATER:
            self.later(token)
        if token.kind is T.SYMBOL and token.text == "/":
            self.later(token, "division")
        found = "the end of the file" if token.kind is T.END else f"`{token.text}`"
        self.stop(
            Code.SYNTAX,
            token.place,
            f"Here stands {found}, where {wanted} is expected{f' {where}' if where else ''}.",
            f"Write {wanted} here, or see the examples in examples/terms.",
        )

    def _as_name(self, token: Token) -> Name:
        return Name(token.text, token.place)

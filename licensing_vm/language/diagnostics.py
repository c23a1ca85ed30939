"""What is said about a template: where, what is wrong, and what to do.

Every diagnostic has a stable code, a line and a column with a caret, a reason
and a remedy that a lawyer understands. The codes and their meanings stand in
SPEC.md; a rejecting example of each stands in `tests/spec/terms_rejected`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from licet.errors import Fault, LicetError

_SHOWN_MAX: Final = 160  # characters of a line


class Place(NamedTuple):
    """Where something stands: 1-based line and column, and its length on that line."""

    line: int
    column: int
    length: int


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


class Code(StrEnum):
    """Stable codes of diagnostics."""

    TOO_BIG = "TERMS_TOO_BIG"
    TOO_COSTLY = "TERMS_TOO_COSTLY"
    SYNTAX = "TERMS_SYNTAX"
    LATER_VERSION = "TERMS_LATER_VERSION"
    NAME_TWICE = "TERMS_NAME_TWICE"
    NAME_UNKNOWN = "TERMS_NAME_UNKNOWN"
    NAME_RESERVED = "TERMS_NAME_RESERVED"
    MISSING_PART = "TERMS_MISSING_PART"
    HEADING = "TERMS_NO_HEADING"
    CODE_UNKNOWN = "TERMS_CODE_UNKNOWN"
    NUMBER = "TERMS_NUMBER"
    TYPE = "TERMS_TYPE_MISMATCH"
    CURRENCY = "TERMS_CURRENCY_MISMATCH"
    PARAM_BOUNDS = "TERMS_PARAM_BOUNDS"
    FACT_SOURCE = "TERMS_FACT_WITHOUT_SOURCE"
    FACT_ELSE = "TERMS_FACT_WITHOUT_ELSE"
    FACT_PERIOD = "TERMS_FACT_PERIOD"
    TIERS = "TERMS_TIERS"
    USAGE_LOWERS = "TERMS_USAGE_LOWERS_OWED"
    NEVER_ROUNDED = "TERMS_NEVER_ROUNDED"
    ROUNDED_TWICE = "TERMS_ROUNDED_TWICE"
    SPLIT = "TERMS_SPLIT_NOT_WHOLE"
    NO_PAYEE = "TERMS_NO_PAYEE"
    SPLIT_UNMATCHED = "TERMS_SPLIT_UNMATCHED"
    STACK = "TERMS_LINEAGE_STACK"
    NEGATIVE = "TERMS_NEGATIVE"
    OVERFLOW = "TERMS_OVERFLOW"
    ROLE_UNUSED = "TERMS_PARTY_UNUSED"
    NOT_USED = "TERMS_NOT_USED"
    OVERLAP = "TERMS_PERMIT_FORBID_OVERLAP"
    EXCLUSIVE = "TERMS_EXCLUSIVE_OVERLAP"
    TEST_FAILS = "TERMS_TEST_FAILS"
    TEST_SETUP = "TERMS_TEST_SETUP"
    UNTESTED = "TERMS_UNTESTED"


class Diagnostic(NamedTuple):
    code: Code
    severity: Severity
    place: Place
    reason: str
    remedy: str

    def render(self, source_lines: Sequence[str], file: str) -> str:
        """The message with its line and a caret under what it is about."""
        line, column, length = self.place
        text = source_lines[line - 1] if line <= len(source_lines) else ""
        if len(text) > _SHOWN_MAX:  # a template on one line: show the part around the caret
            start = max(0, min(column - 1 - _SHOWN_MAX // 2, len(text) - _SHOWN_MAX))
            text, column = text[start : start + _SHOWN_MAX], column - start
        margin = f"{line:>5} | "
        # A tab is one column; keep it in the caret line so that the caret stands right on any screen.
        pad = "".join("\t" if char == "\t" else " " for char in text[: column - 1]).ljust(column - 1)
        caret = "^" * max(1, min(length, len(text) - column + 1))
        return (
            f"{file}:{line}:{self.place.column}: {self.severity} {self.code}: {self.reason}\n"
            f"{margin}{text}\n"
            f"{' ' * (len(margin) - 2)}| {pad}{caret}\n"
            f"{' ' * len(margin)}{self.remedy}"
        )


class Stop(Exception):
    """Ends reading at the first thing that makes going on meaningless."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.reason)
        self.diagnostic = diagnostic


def error(code: Code, place: Place, reason: str, remedy: str) -> Diagnostic:
    return Diagnostic(code, Severity.ERROR, place, reason, remedy)


def warning(code: Code, place: Place, reason: str, remedy: str) -> Diagnostic:
    return Diagnostic(code, Severity.WARNING, place, reason, remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that was said about one source, errors and warnings, in the order of their places."""

    source: str
    diagnostics: tuple[Diagnostic, ...]

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self.diagnostics if d.severity is Severity.ERROR)

    def render(self, file: str) -> str:
        lines = split_lines(self.source)
        return "\n".join(d.render(lines, file) for d in self.diagnostics)


class TemplateRefused(LicetError):
    """A template that the checker does not accept. `report` holds every diagnostic."""

    def __init__(self, report: Report) -> None:
        first = report.errors[0]
        more = len(report.errors) - 1
        also = f" ({more} more error{'s' if more > 1 else ''})" if more else ""
        super().__init__(
            "TEMPLATE_REFUSED",
            f"Line {first.place.line}, column {first.place.column}: {first.reason}{also}",
            fault=Fault.SENDER,
            remedy=first.remedy,
            facts={
                "diagnostic": str(first.code),
                "line": str(first.place.line),
                "column": str(first.place.column),
                "errors": str(len(report.errors)),
            },
        )
        self.report = report


def split_lines(source: str) -> list[str]:
    """Lines as the tokenizer counts them: by line feed alone."""
    return [line.rstrip("\r") for line in source.split("\n")]

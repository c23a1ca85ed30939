"""What the checker knows while it reads a template: names, values in program units, and what it said.

Shared by the checking modules; each adds its part of the program. Turning a
written number into grains, millionths or a span happens here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

from licensing_vm.language import syntax as s
from licensing_vm.language.diagnostics import Code, Diagnostic, Place, Severity, error, warning
from licensing_vm.language.words import time_unit
from licensing_vm.language.work import SAID, Work
from licensing_vm.program import model as m
from licensing_vm.program.limits import AMOUNT_MAX, DAYS_MAX, MONTHS_MAX, PERCENT_DECIMALS, PPM


class Knob(NamedTuple):
    """A rate or threshold of the program, for the warning about what no test holds."""

    kind: str  # price, threshold, share, stack, constant, param
    path: tuple[int, ...]
    place: Place


class _Declared(Protocol):
    @property
    def name(self) -> s.Name: ...


D = TypeVar("D", bound=_Declared)


@dataclass(slots=True, kw_only=True)
class Context:
    """The state of checking one template. Tables hold name -> index, in declared order."""

    template: s.Template
    work: Work = field(default_factory=Work)
    currency: str = ""
    scale: int = 0
    rounding: m.Rounding = m.Rounding.HALF_EVEN
    diagnostics: list[Diagnostic] = field(default_factory=list)
    knobs: list[Knob] = field(default_factory=list)
    constants: list[m.Constant] = field(default_factory=list)
    used: set[tuple[str, str]] = field(default_factory=set)  # (what, name); only ever asked for membership
    roles: dict[str, int] = field(default_factory=dict)
    slots: dict[str, int] = field(default_factory=dict)
    params: dict[str, int] = field(default_factory=dict)
    facts: dict[str, int] = field(default_factory=dict)
    periods: dict[str, int] = field(default_factory=dict)
    rates: dict[str, int] = field(default_factory=dict)
    lineages: dict[str, int] = field(default_factory=dict)
    grants: dict[str, int] = field(default_factory=dict)

    def error(self, code: Code, place: Place, reason: str, remedy: str) -> None:
        self.work.spend(SAID, place)
        self.diagnostics.append(error(code, place, reason, remedy))

    @property
    def failed(self) -> bool:
        """Whether an error was said: what was refused may then look as if it were zero or unused."""
        return any(d.severity is Severity.ERROR for d in self.diagnostics)

    def warn(self, code: Code, place: Place, reason: str, remedy: str) -> None:
        self.work.spend(SAID, place)
        self.diagnostics.append(warning(code, place, reason, remedy))

    def use(self, what: str, name: str) -> None:
        self.used.add((what, name))

    # --- names ---------------------------------------------------------------

    def declare(self, items: Sequence[D], *tables: dict[str, int], what: str, most: int) -> tuple[D, ...]:
        """Enter the items' names into the first table; refuse one that any of the tables has.

        Returns the items that were entered, in order, so that an index is a position in it.
        """
        kept: list[D] = []
        for item in items:
            name = item.name
            if any(name.text in table for table in tables):
                self.error(
                    Code.NAME_TWICE,
                    name.place,
                    f"The name `{name.text}` is used twice.",
                    f"Give this {what} another name.",
                )
                continue
            if len(kept) >= most:
                self.error(
                    Code.TOO_BIG,
                    name.place,
                    f"This is {what} number {most + 1}; a template has at most {most}.",
                    "Split the template.",
                )
                break
            tables[0][name.text] = len(kept)
            kept.append(item)
        return tuple(kept)

    def find(self, table: Mapping[str, int], name: s.Name, what: str) -> int | None:
        """The index of a name; says so if it is not declared."""
        at = table.get(name.text)
        if at is None:
            self.unknown(name, what, table)
        else:
            self.use(what, name.text)
        return at

    def unknown(self, name: s.Name, what: str, table: Mapping[str, int]) -> None:
        known = ", ".join(table) or "none"
        self.error(
            Code.NAME_UNKNOWN,
            name.place,
            f"There is no {what} named `{name.text}`.",
            f"Declare it, or use one of those there are: {known}.",
        )

    # --- numbers -------------------------------------------------------------

    def same_currency(self, money: s.Money) -> bool:
        if money.currency.text == self.currency or not self.currency:
            return True
        self.error(
            Code.CURRENCY,
            money.currency.place,
            f"This amount is in {money.currency.text}, but the template's currency is {self.currency}.",
            f"State it in {self.currency}; amounts of different currencies never meet in one template.",
        )
        return False

    def grains(self, money: s.Money) -> int | None:
        """A written amount that must be a multiple of the template's grain (L-6)."""
        if not self.same_currency(money):
            return None
        num, den = self.exact_money(money)
        if den != 1:
            self.error(
                Code.NUMBER,
                money.number.place,
                f"This amount is finer than the template's grain: the scale is {self.scale} here.",
                f"Use at most {self.scale} decimals, or declare a finer scale.",
            )
            return None
        return num if self.small(num, money.place) else None

    def exact_money(self, money: s.Money) -> tuple[int, int]:
        """A written amount in grains, exact: prices per unit may be finer than the grain."""
        return reduced(money.number.digits * 10**self.scale, 10**money.number.decimals)

    def small(self, value: int, place: Place) -> bool:
        if value <= AMOUNT_MAX:
            return True
        self.error(
            Code.NUMBER, place, "This number is above 10^18.", "Use a smaller number or a coarser scale."
        )
        return False

    def ppm(self, percent: s.Percent) -> int | None:
        digits, decimals, place = percent.number
        if decimals > PERCENT_DECIMALS:
            self.error(
                Code.NUMBER,
                place,
                f"A percentage has at most {PERCENT_DECIMALS} decimals.",
                "Round it to four decimals.",
            )
            return None
        value: int = digits * 10 ** (PERCENT_DECIMALS - decimals)
        if value > PPM:
            self.error(
                Code.NUMBER, place, "A percentage is at most 100 %.", "Use a percentage from 0 to 100."
            )
            return None
        return value

    def whole(self, number: s.Number, what: str) -> int | None:
        if number.decimals:
            self.error(Code.NUMBER, number.place, f"{what} is a whole number.", "Remove the decimals.")
            return None
        return number.digits if self.small(number.digits, number.place) else None

    def span(self, duration: s.Duration, *, zero: bool = False) -> m.Span | None:
        count = self.whole(duration.number, "A length of time")
        unit = time_unit(duration.unit.text)
        if count is None or unit is None:
            return None
        span = m.Span(unit[0] * count, unit[1] * count)
        if span.months > MONTHS_MAX or span.days > DAYS_MAX or (not zero and not any(span)):
            self.error(
                Code.NUMBER,
                duration.place,
                "This length of time is zero or above a hundred years.",
                "Use a length between 1 day and 100 years.",
            )
            return None
        return span


def reduced(num: int, den: int) -> tuple[int, int]:
    """num/den in lowest terms."""
    a, b = num, den
    while b:
        a, b = b, a % b
    return num // a, den // a

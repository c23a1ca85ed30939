"""Errors of programs: one that is no program, a binding it does not allow, a run that must not count."""

from __future__ import annotations

from collections.abc import Mapping

from licet.errors import Fault, LicetError


class ProgramRefused(LicetError):
    """A Program that no checked template can have become. Raised by the verifier."""

    def __init__(self, why: str, *, clause: str = "") -> None:
        self.why = why
        super().__init__(
            "PROGRAM_REFUSED",
            f"This is no valid program: {why}{f' (clause {clause})' if clause else ''}.",
            fault=Fault.SENDER,
            remedy="Publish the template's source and let every validator compile it.",
            facts={"clause": clause} if clause else {},
        )


class BindingRefused(LicetError):
    """Parameters that the template does not allow."""

    def __init__(self, why: str, remedy: str, facts: Mapping[str, str] | None = None) -> None:
        super().__init__("BINDING_REFUSED", why, fault=Fault.SENDER, remedy=remedy, facts=facts)


class ClauseRefused(LicetError):
    """A run whose result may not count: an amount outside 0 .. AMOUNT_MAX. Nothing has happened."""

    def __init__(self, amount: int) -> None:
        super().__init__(
            "CLAUSE_REFUSED",
            f"The clause computes the amount {amount}, which is outside what one payment can be.",
            fault=Fault.SENDER,
            remedy="Check the facts reported: an amount is between 0 and 10^18 minor units.",
            facts={"amount": str(amount)},
        )

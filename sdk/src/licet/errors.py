"""Errors that name whose fault they are, what was wrong, and what to do.

Every error a person can see derives from `LicetError` and carries a stable
`code`, the `fault`'s owner, the facts as a flat mapping, and a remedy. Nothing
here imports more than the standard library's basics, so that the pure rooms
may use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Fault(StrEnum):
    """Whose fault an error is: who has to act before a retry can succeed."""

    SENDER = "sender"  # the client that sent the request or signed the transaction
    PEER = "peer"  # another node
    MACHINE = "machine"  # disk, network, clock, installed packages
    OPERATOR = "operator"  # configuration, keys, data folders
    US = "us"  # a bug of ours


class LicetError(Exception):
    """Base of all errors with facts.

    `code` is stable and upper-case (`TX_EXPIRED`); `facts` hold ids and limits
    as strings; `remedy` is one imperative sentence.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        fault: Fault,
        remedy: str,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fault = fault
        self.remedy = remedy
        self.facts: Mapping[str, str] = MappingProxyType(dict(facts or {}))

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.code, self.message, self.fault, self.remedy, dict(self.facts)))


def _rebuild(
    cls: type[LicetError], code: str, message: str, fault: Fault, remedy: str, facts: dict[str, str]
) -> LicetError:
    error = cls.__new__(cls)
    LicetError.__init__(error, code, message, fault=fault, remedy=remedy, facts=facts)
    return error


class InvalidEncoding(LicetError):
    """Bytes that are no canonical encoding of what they should be."""

    def __init__(self, what: str, why: str, *, fault: Fault = Fault.SENDER) -> None:
        super().__init__(
            "INVALID_ENCODING",
            f"This is no canonical {what}: {why}.",
            fault=fault,
            remedy="Send the bytes exactly as they were produced.",
            facts={"what": what, "why": why},
        )


class InvalidSignature(LicetError):
    """A signature that does not verify, or a key that may never sign."""

    def __init__(self, what: str, why: str, *, fault: Fault = Fault.SENDER) -> None:
        super().__init__(
            "INVALID_SIGNATURE",
            f"The signature of {what} is not valid: {why}.",
            fault=fault,
            remedy="Sign the bytes as sent, with the key that is named.",
            facts={"what": what, "why": why},
        )


class InvalidProof(LicetError):
    """A proof, certificate or proof file that does not prove what it claims."""

    def __init__(self, why: str, *, facts: Mapping[str, str] | None = None) -> None:
        super().__init__(
            "INVALID_PROOF",
            f"The proof does not hold: {why}.",
            fault=Fault.PEER,
            remedy="Ask another node for the proof, and check that genesis is your network's.",
            facts=facts,
        )

"""Errors of the consensus room, each with its fault's owner and a remedy."""

from __future__ import annotations

from licet.errors import Fault, LicetError
from licet.types import ValidatorIndex, View


class GuardRefused(LicetError):
    """The signer guard will not sign: our replica asked for something no honest key signs (C-10)."""

    def __init__(self, what: str, view: View, why: str) -> None:
        super().__init__(
            "GUARD_REFUSED",
            f"The signer guard refuses to {what} in view {view}: {why}.",
            fault=Fault.US,
            remedy="Report this; the node is safe, and votes no more in this view.",
            facts={"what": what, "view": str(view), "why": why},
        )


class SigningRecordMissing(LicetError):
    """There is no signing record, so this node may not vote (C-10, C-11)."""

    def __init__(self) -> None:
        super().__init__(
            "SIGNING_RECORD_MISSING",
            "The signing record (file 'votes') is missing: this node follows the chain and does not vote.",
            fault=Fault.OPERATOR,
            remedy="Put back the newest record of this very node; never one of a backup.",
        )


class SigningRecordDamaged(LicetError):
    """The signing record is damaged, so this node may not vote (C-10, C-11)."""

    def __init__(self, why: str, *, at: int) -> None:
        super().__init__(
            "SIGNING_RECORD_DAMAGED",
            f"The signing record (file 'votes') is damaged at byte {at}: {why}. "
            "This node follows the chain and does not vote.",
            fault=Fault.MACHINE,
            remedy="Check the disk; never put back an older copy, which would forget votes.",
            facts={"why": why, "at": str(at)},
        )


class PeerFault(LicetError):
    """A peer sent something that no honest peer sends. It costs the message, not the connection's others."""

    def __init__(self, peer: ValidatorIndex, why: str) -> None:
        super().__init__(
            "PEER_FAULT",
            f"Validator {peer} sent a message that is not valid: {why}.",
            fault=Fault.PEER,
            remedy="Ask its operator to look at its log if this goes on.",
            facts={"peer": str(peer), "why": why},
        )

"""Refusals: every reason for which a transaction changes nothing, in one table.

`Refused` carries a code of the table, a sentence, facts and, where the terms refused, the clause; the
table adds whose fault it is and what to do. A refusal is an outcome and stands in a receipt. An
assertion is for our own bugs and stops the machine; the two never mix (`licensing_vm.faults`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from licet.entities import NamedValue
from licet.errors import Fault, LicetError
from licet.receipts import Refusal


class Reason(NamedTuple):
    fault: Fault
    remedy: str


def _sender(remedy: str) -> Reason:
    return Reason(Fault.SENDER, remedy)


REASONS: Final[Mapping[str, Reason]] = MappingProxyType(
    {
        # the transaction itself
        "WRONG_CHAIN": _sender("Sign for this network's chain id."),
        "TX_EXPIRED": _sender("Build it again with a valid_until within the window."),
        "TX_TOO_FAR_AHEAD": _sender("Choose a valid_until at most one window ahead of the node's clock."),
        "NO_AUTHORITY": _sender("Sign with a key that the sender has registered for this scope."),
        "ID_REUSED": _sender("Choose a new transaction id."),
        "NOT_SIGNED": _sender("Let every party named sign this transaction."),
        "EXECUTION_FAULT": Reason(
            Fault.US, "Report this receipt: until the nodes run a corrected version it fails again."
        ),
        # names and parties
        "NAME_TAKEN": _sender("Choose another id."),
        "UNKNOWN_PARTY": _sender("Register the party first."),
        "INVALID_PARTY": _sender("Correct what the message names."),
        "INVALID_KEY": _sender("Give a canonical Ed25519 key with known scopes."),
        "LAST_KEY": _sender("Add another key with scope 'all' or 'govern' first."),
        # assets, claims, lineage
        "UNKNOWN_ASSET": _sender("Register the asset first."),
        "INVALID_ASSET": _sender("Correct what the message names."),
        "NOT_REGISTRANT": _sender("Let the asset's registrant send or sign it."),
        "CLAIM_CONTESTED": _sender("Claim what is left, or settle the shares first."),
        "INVALID_CLAIM": _sender("Correct what the message names."),
        "LINEAGE_CYCLE": _sender("Link to a work that is not derived from this one."),
        "LINEAGE_FIXED": _sender("Link a work to its parents before anything is derived from it."),
        "LINEAGE_REFUSED": _sender("Correct the link."),
        "INVALID_PAYOUT": _sender("Give shares that add up to 1000000."),
        # terms, offers, agreements
        "TERMS_REFUSED": _sender("Run `python -m licensing_vm check` on the file and correct it."),
        "TERMS_TOO_FINE": _sender("Round in the template at the ledger's scale or coarser."),
        "TEMPLATE_EXISTS": _sender("Publish it under a new version."),
        "UNKNOWN_TEMPLATE": _sender("Publish the template first."),
        "TEMPLATE_DEPRECATED": _sender("Use a newer version of the template."),
        "NOT_PUBLISHER": _sender("Let the template's publisher send it."),
        "UNKNOWN_OFFER": _sender("Check the offer's id."),
        "OFFER_CLOSED": _sender("Ask for a new offer."),
        "INVALID_BINDING": _sender("Bind every role, parameter and slot of the terms as they ask."),
        "BINDING_REFUSED": _sender("Bind the parameter within its bounds."),
        "NO_TITLE": _sender("Let the holders of the right sign, up to 100 %."),
        "EXCLUSIVE_OVERLAP": _sender("Choose another time, territory, medium or action."),
        "EFFECTIVE_IN_PAST": _sender("Start now or later."),
        "UNKNOWN_AGREEMENT": _sender("Check the agreement's id."),
        # use and periods
        "UNKNOWN_FACT": _sender("Report a fact that the terms name."),
        "NOT_REPORTER": _sender("Let the party report that the terms name as the fact's source."),
        "REPORT_EXISTS": _sender("Choose a new report id for further rows."),
        "ROW_OUTSIDE_PERIOD": _sender("Report each row in the period in which it falls."),
        "PERIOD_OUTSIDE_TERM": _sender("Name a period that meets the agreement's term."),
        "INVALID_ROWS": _sender("Correct the columns."),
        "INVALID_PERIOD": _sender("Give the start of a period of the terms' calendar."),
        "PERIOD_CLOSED": _sender("A closed period is never reopened; adjustments fall in the next."),
        "PERIOD_NOT_DUE": _sender("Close it when its end and its waiting time have passed."),
        "PERIOD_ORDER": _sender("Close the earlier and the shorter periods first."),
        "FACT_MISSING": _sender("Let the source report; a row of zero will do."),
        "FACT_TOO_LARGE": _sender("Check the quantities."),
        "CLAUSE_REFUSED": _sender("Check the facts reported."),
        # money
        "UNKNOWN_CURRENCY": _sender("Use a currency on the ledger's list."),
        "NOT_ISSUER": _sender("Let an issuer of the currency send it."),
        "INVALID_AMOUNT": _sender("Give an amount above zero, in whole grains of the terms."),
        "INSUFFICIENT_FUNDS": _sender("Deposit first, or pay less."),
        "NOTHING_OWED": _sender("Pay at most what is owed under the agreement."),
        "TOO_MANY": _sender("Do it in smaller parts."),
        "TOO_WIDE": _sender("Divide it: fewer payees, obligations, grants or agreements at once."),
        "BLOCK_FULL": Reason(Fault.MACHINE, "Submit it again; the SDK does so by itself."),
        "INVALID_QUESTION": _sender("Ask with codes and times of the ledger."),
        "SPLIT_REFUSED": _sender("Give shares that are not all zero."),
    }
)


BLOCK_FULL: Final = "BLOCK_FULL"  # the one refusal of a command that consumes no id


class Refused(LicetError):
    """A rule of the ledger or of the terms says no. Raised by handlers, ends in a receipt."""

    def __init__(
        self,
        code: str,
        message: str,
        facts: Mapping[str, str] | None = None,
        *,
        clause: str = "",
        remedy: str = "",
    ) -> None:
        reason = REASONS[code]
        super().__init__(code, message, fault=reason.fault, remedy=remedy or reason.remedy, facts=facts)
        self.clause = clause


# What a sender can provoke is bounded before it enters a receipt.
_MESSAGE_CHARS_MAX: Final = 1_000
_FACT_CHARS_MAX: Final = 200


def refusal_record(why: LicetError) -> Refusal:
    """The receipt's record of a refusal: facts in the order of their names."""
    return Refusal(
        code=why.code,
        message=why.message[:_MESSAGE_CHARS_MAX],
        fault=why.fault.value,
        remedy=why.remedy[:_MESSAGE_CHARS_MAX],
        facts=tuple(NamedValue(name=k, value=v[:_FACT_CHARS_MAX]) for k, v in sorted(why.facts.items())),
        clause=getattr(why, "clause", ""),
    )

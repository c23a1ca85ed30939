"""The table of commands: who may sign each, what executes it, what it costs.

Costs are declared: known from the transaction's bytes alone, so that a block's bound (C-16) can be
checked before anything runs. One unit is about 10 ns on the reference machine; a block's 2,000,000 are
its 25 ms or less. What a command may reach is bounded where the expensive thing is made
(`domain.reach`, `program.limits`); a block of the worst that each command allows takes a small multiple
of what it declares, and SPEC.md says which. Figures include the transaction's own share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from licet import transactions as t

from licensing_vm.domain import (
    agreements,
    assets,
    lineage,
    money,
    parties,
    payments,
    periods,
    templates,
    usage,
)
from licensing_vm.domain.context import Context
from licensing_vm.domain.reach import is_wide

TRANSACTION_COST: Final = 800
PUBLISH_COST_MAX: Final = 1_900_000  # so that every template fits into a block
ROW_COST: Final = 15
REPORT_COST: Final = 3_000  # of each agreement in a report
REPORT_COST_MAX: Final = 1_500_000  # of all narrow ones: what they may reach together is bounded as well
WIDE_COST: Final = 250_000  # of a command that names a wide agreement


class Rule(NamedTuple):
    scope: str
    handler: Callable[[Context, Any], None]
    cost: Callable[[Any], int]


def _flat(units: int) -> Callable[[Any], int]:
    return lambda command: units


def _publish_cost(command: t.PublishTemplate) -> int:
    return min(PUBLISH_COST_MAX, 400_000 + 400 * len(command.source))


def _report_cost(command: t.ReportUsage) -> int:
    wide = sum(map(is_wide, command.agreements))
    narrow = len(command.agreements) - wide
    return (
        600 + min(REPORT_COST * narrow, REPORT_COST_MAX) + WIDE_COST * wide + ROW_COST * len(command.quantity)
    )


def _by_width(narrow: int, wide: int) -> Callable[[Any], int]:
    """The cost of a command that names an agreement: its id tells how far it may reach."""
    return lambda command: wide if is_wide(command.agreement) else narrow


def _offer_cost(command: t.CreateOffer) -> int:
    return 40_000 + 1_000 * len(command.assets)


COMMANDS: Final[Mapping[type[Any], Rule]] = MappingProxyType(
    {
        t.RegisterParty: Rule("govern", parties.register_party, _flat(10_000)),
        t.AddKey: Rule("govern", parties.add_key, _flat(8_000)),
        t.RevokeKey: Rule("govern", parties.revoke_key, _flat(2_000)),
        t.RegisterAsset: Rule("license", assets.register_asset, _flat(4_000)),
        t.AddAssetVersion: Rule("license", assets.add_asset_version, _flat(4_000)),
        t.RegisterClaim: Rule("license", assets.register_claim, _flat(60_000)),
        t.LinkLineage: Rule("license", lineage.link_lineage, _flat(60_000)),
        t.SetPayoutSheet: Rule("license", assets.set_payout_sheet, _flat(10_000)),
        t.PublishTemplate: Rule("license", templates.publish_template, _publish_cost),
        t.DeprecateTemplate: Rule("license", templates.deprecate_template, _flat(2_000)),
        t.CreateOffer: Rule("license", agreements.create_offer, _offer_cost),
        t.WithdrawOffer: Rule("license", agreements.withdraw_offer, _flat(2_000)),
        t.AcceptOffer: Rule("license", agreements.accept_offer, _by_width(2_500, WIDE_COST)),
        t.CreateAgreement: Rule("license", agreements.create_agreement, _by_width(60_000, 600_000)),
        t.ReportUsage: Rule("report", usage.report_usage, _report_cost),
        t.ClosePeriod: Rule("report", periods.close_period, _by_width(25_000, 300_000)),
        t.Deposit: Rule("pay", money.deposit, _flat(1_000)),
        t.Withdraw: Rule("pay", money.withdraw, _flat(1_000)),
        t.Transfer: Rule("pay", money.transfer, _flat(800)),
        t.Pay: Rule("pay", payments.pay, _by_width(16_000, WIDE_COST)),
    }
)


def scope_of(command: t.Command) -> str:
    return COMMANDS[type(command)].scope


def declared_cost(body: t.TransactionBody) -> int:
    """The cost of a transaction, from its bytes."""
    cost = TRANSACTION_COST
    for command in body.commands:
        cost += COMMANDS[type(command)].cost(command)
    return cost

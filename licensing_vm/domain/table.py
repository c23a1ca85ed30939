"""The table of commands: who may sign each, what executes it, what it costs.

Costs are declared: known from the transaction's bytes alone, so that a block's bound (C-16) can be
checked before anything runs. One unit is about 10 ns on the reference machine, state tree and write batch
included, on a machine that has just started; a block's 2,000,000 are 20 ms of the 25 that C-16 gives it.
What a command does beyond that, because of terms and records that its bytes only name, it spends from what
the block has left (`domain.reach`). Figures include the transaction's own share.
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

TRANSACTION_COST: Final = 800
PUBLISH_COST_MAX: Final = 1_900_000  # so that every template fits into a block
ROW_COST: Final = 8
REPORT_COST: Final = 2_500  # of each agreement in a report
REPORT_COST_MAX: Final = 1_250_000  # of all of them


class Rule(NamedTuple):
    scope: str
    handler: Callable[[Context, Any], None]
    cost: Callable[[Any], int]


def _flat(units: int) -> Callable[[Any], int]:
    return lambda command: units


def _publish_cost(command: t.PublishTemplate) -> int:
    return min(PUBLISH_COST_MAX, 400_000 + 400 * len(command.source))


def _report_cost(command: t.ReportUsage) -> int:
    agreements = min(REPORT_COST * len(command.agreements), REPORT_COST_MAX)
    return 600 + agreements + ROW_COST * len(command.quantity)


def _bound_cost(command: t.CreateOffer | t.CreateAgreement) -> int:
    each = 1_000 * len(command.assets) + 1_000 * len(command.roles) + 900 * len(command.params)
    return 15_000 + each


def _party_cost(command: t.RegisterParty) -> int:
    return 4_500 + 5_500 * min(len(command.keys), parties.KEYS_MAX)  # a key is checked to be a point


def _asset_cost(command: t.RegisterAsset) -> int:
    return 4_000 + 35 * len(command.content_hashes) + 250 * len(command.external_ids)


def _version_cost(command: t.AddAssetVersion) -> int:
    return 6_000 + 35 * len(command.content_hashes)


def _sheet_cost(command: t.SetPayoutSheet) -> int:
    return 9_000 + 150 * min(len(command.legs), assets.PAYOUT_LEGS_MAX)


COMMANDS: Final[Mapping[type[Any], Rule]] = MappingProxyType(
    {
        t.RegisterParty: Rule("govern", parties.register_party, _party_cost),
        t.AddKey: Rule("govern", parties.add_key, _flat(14_000)),
        t.RevokeKey: Rule("govern", parties.revoke_key, _flat(2_000)),
        t.RegisterAsset: Rule("license", assets.register_asset, _asset_cost),
        t.AddAssetVersion: Rule("license", assets.add_asset_version, _version_cost),
        t.RegisterClaim: Rule("license", assets.register_claim, _flat(60_000)),
        t.LinkLineage: Rule("license", lineage.link_lineage, _flat(60_000)),
        t.SetPayoutSheet: Rule("license", assets.set_payout_sheet, _sheet_cost),
        t.PublishTemplate: Rule("license", templates.publish_template, _publish_cost),
        t.DeprecateTemplate: Rule("license", templates.deprecate_template, _flat(2_000)),
        t.CreateOffer: Rule("license", agreements.create_offer, _bound_cost),
        t.WithdrawOffer: Rule("license", agreements.withdraw_offer, _flat(2_000)),
        t.AcceptOffer: Rule("license", agreements.accept_offer, _flat(2_800)),
        t.CreateAgreement: Rule("license", agreements.create_agreement, _bound_cost),
        t.ReportUsage: Rule("report", usage.report_usage, _report_cost),
        t.ClosePeriod: Rule("report", periods.close_period, _flat(10_000)),
        t.Deposit: Rule("pay", money.deposit, _flat(2_600)),
        t.Withdraw: Rule("pay", money.withdraw, _flat(2_600)),
        t.Transfer: Rule("pay", money.transfer, _flat(1_100)),
        t.Pay: Rule("pay", payments.pay, _flat(9_000)),
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

"""What an isolated node knows of the reason, for the admin service (C-13)."""

from __future__ import annotations

from licet.v1 import admin_pb2 as pb

from node.core.comparing import Difference, left_text, plain_key
from node.core.isolation import Finding, IsolationReport


def isolation_message(report: IsolationReport | None, names: tuple[str, ...]) -> pb.Isolation | None:
    """The report for an operator's client; None where the node is not isolated."""
    if report is None:
        return None
    return pb.Isolation(
        height=report.ours.height,
        own_state_root=report.ours.state_root,
        signed_state_root=report.theirs.state_root,
        own_log_root=report.ours.log_root,
        signed_log_root=report.theirs.log_root,
        sentence=report.sentence(names),
        findings=[_finding(one, names) for one in report.findings],
    )


def _finding(finding: Finding, names: tuple[str, ...]) -> pb.IsolationFinding:
    peers = [names[peer] for peer in finding.peers]
    found = finding.verdict
    if not isinstance(found, Difference):
        return pb.IsolationFinding(peers=peers, attested=finding.attested, verdict=found.value)
    return pb.IsolationFinding(
        peers=peers,
        attested=finding.attested,
        height=found.height,
        position=found.position,
        transaction_hash=found.transaction,
        key=plain_key(found.key),
        own_value=left_text(found.ours),
        their_value=left_text(found.theirs),
        maybe_earlier=found.maybe_earlier,
    )

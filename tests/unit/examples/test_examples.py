"""The examples: files as their maker writes them, a catalogue that fits together, checks that can fail."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from licet.certificate import CertificateKind
from licet.genesis import parse_genesis
from licet.outcomes import Committed, Entry, Posting
from licet.proof import verify_proof
from licet.transactions import COMMANDS_MAX, Money
from licet.types import Hash32
from licet.usage import period_bounds_ms, read_usage_csv, row_check
from licet.v1 import ledger_pb2 as pb

from examples import loading, make_inputs
from examples.demo import checks
from tests.unit.sdk import world

ROOT = Path(__file__).resolve().parents[3]
CATALOGUE = ROOT / "examples" / "catalogue"
USAGE = ROOT / "examples" / "usage" / "impressions-2026-01.csv"


def test_the_files_are_what_their_maker_writes() -> None:
    for name, data in make_inputs.make_files().items():
        assert (ROOT / "examples" / name).read_bytes() == data, f"{name}: run python -m examples.make_inputs"


def test_the_catalogue_is_what_the_demo_promises() -> None:
    works = loading.read_works(CATALOGUE)
    assert len(works) == 200
    assert len({work.kind for work in works}) >= 6
    assert len(loading.generations(works)) >= 4
    parties = {row["party"] for row in loading.rows(CATALOGUE / "parties.csv")}
    assert {"studio", "agency"} < parties
    seen: set[str] = set()
    for work in works:
        assert work.registrant in parties
        assert sum(share for _, _, _, share in work.claims) == 10**6
        assert {holder for holder, _, _, _ in work.claims} <= parties
        assert {parent for parent, _, _ in work.parents} <= seen, "parents stand before their children"
        assert len(loading.commands_of(work)) <= COMMANDS_MAX
        seen.add(work.asset)


def test_the_usage_file_is_january_and_large_enough() -> None:
    start, end = period_bounds_ms("2026-01")
    names = {f"ad-{number:03}" for number in range(1, 21)}
    rows = read_usage_csv(USAGE, check=row_check(start_ms=start, end_ms=end, agreements=names))
    assert len(rows) >= 20_000
    totals = checks.totals_by_agreement(rows)
    assert set(totals) == names
    assert any(total > 10_000_000 for total in totals.values()), "every tier is reached"
    assert any(total < 1_000_000 for total in totals.values())


def test_percentages_are_exact_or_refused() -> None:
    assert loading.exact("12.5", 10**9) == 125_000_000
    with pytest.raises(ValueError, match="no whole number"):
        loading.exact("0.00001", 10**6)


@pytest.mark.parametrize(
    ("impressions", "cents"),
    [(0, 0), (1_000_000, 200_000), (2_500_000, 425_000), (12_000_000, 1_750_000), (7, 1), (2, 0), (3, 1)],
)
def test_the_royalty_is_that_of_the_terms(impressions: int, cents: int) -> None:
    assert checks.royalty_minor(impressions) == cents * checks.MINOR_PER_CENT


def sale(*changes: int, agreement: str = "a-1") -> Committed:
    postings = tuple(
        Posting(party=f"p{number}", account="cash", change=Money(currency="EUR", minor=minor))
        for number, minor in enumerate(changes)
    )
    entry = Entry(
        clause="P1", program_hash=b"", agreement=agreement, kind="sale", facts={}, postings=postings
    )
    return Committed(
        transaction_hash=b"\1" * 32, id=b"", sender="p0", height=1, index=0, timestamp_ms=1, entries=(entry,)
    )


def test_the_checks_of_money_can_fail() -> None:
    assert checks.check_entries([sale(-10, 7, 3)]) == 1
    with pytest.raises(checks.Broken, match="sums to"):
        checks.check_entries([sale(-10, 7, 2)])
    checks.check_complete([sale(-10, 7, 3), sale(-1, 1)], 5)
    with pytest.raises(checks.Broken, match="hold 3 postings, the statements 6 lines"):
        checks.check_complete([sale(-10, 7, 3)], 6)
    assert checks.check_splits([sale(-10, 7, 3)], {"a-1": 10}) == 1
    with pytest.raises(checks.Broken, match="got 10 minor units of 11"):
        checks.check_splits([sale(-10, 7, 3)], {"a-1": 11})
    with pytest.raises(checks.Broken, match="nobody sold"):
        checks.check_splits([sale(-10, 7, 3)], {})


class Chain:
    """A client that serves headers made on paper."""

    def __init__(self, signers: tuple[int, ...], *, damage: bool = False) -> None:
        self.network = world.genesis()
        roots = world.roots_of(None)
        self.headers = world.headers(self.network, roots, length=3, first_height=1)
        self.signers = signers
        self.damage = damage

    async def list_headers(self, *, from_height: int) -> AsyncIterator[pb.FinalHeader]:
        for header in self.headers:
            certificate = world.finality(self.network, header, signers=self.signers)
            if self.damage:
                certificate = dataclasses.replace(certificate, digest=Hash32(bytes(32)))
            yield pb.FinalHeader(height=header.height, header=header.encoded, finality=certificate.encode())


async def test_the_check_of_certificates_can_fail() -> None:
    good: Any = Chain((0, 1, 3))
    report = await checks.check_chain(good, good.network)
    assert (report.headers, report.certificates, report.signers_min) == (3, 3, 3)
    few: Any = Chain((0, 1))
    with pytest.raises(Exception, match="fewer than the quorum"):
        await checks.check_chain(few, few.network)
    damaged: Any = Chain((0, 1, 2), damage=True)
    with pytest.raises(checks.Broken, match="another block"):
        await checks.check_chain(damaged, damaged.network)
    alone = dataclasses.replace(good.network, certificate_kind=CertificateKind.SEQUENCER)
    with pytest.raises(checks.Broken, match="another kind"):
        await checks.check_chain(good, alone)


@pytest.mark.cluster
def test_the_demo_holds_and_leaves_what_it_promises(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "examples.demo", "--folder", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=115,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    for promise in ("SIGKILL to n2", "The proof does not hold", "four equal roots", "Next:"):
        assert promise in done.stdout
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert len(summary["state_roots"]) == 4
    assert len(set(summary["state_roots"].values())) == 1
    assert summary["usage_rows"] >= 20_000
    assert summary["signers_min"] >= 3
    assert summary["height"] > 0
    assert summary["transactions"] > 900
    steps = sum(step["transactions"] for step in summary["steps"])
    assert summary["committed"] == steps + 1, "the network's first transaction counts too"
    assert summary["transactions"] >= summary["committed"], "a full block refuses, and leaves a receipt"
    assert summary["wall_s"] < 120
    genesis = parse_genesis((tmp_path / "genesis.json").read_text(encoding="utf-8"))
    claim = verify_proof((tmp_path / "certificate.licet").read_bytes(), genesis)
    assert claim.key.startswith("agreement/")
    assert claim.record is not None

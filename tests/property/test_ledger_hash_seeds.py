"""The same transactions give the same bytes whatever PYTHONHASHSEED is: no set's order reaches the ledger."""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from tests.unit.licensing_vm.domain.test_assets_and_title import EXCLUSIVE
from tests.unit.licensing_vm.domain.test_money_rules import diamond, ledger_with

ROOT = Path(__file__).parents[2]


def digest() -> str:
    """A world with claims, lineage, an exclusive, refusals and sales, as one hash of state and log."""
    from licet.transactions import AcceptOffer, CreateOffer, RegisterClaim

    from tests.unit.licensing_vm.domain.kit import offer_of, publish

    ledger = ledger_with("a", "b", "c", "owner", "p", "q", "r")
    diamond(ledger, "absolute", "every path")
    for n, holder in enumerate("pqr"):
        claim = RegisterClaim(claim=f"c{n}", asset="work_d", holder=holder, share_ppm=333_333)
        ledger.run("owner", claim, signers=[holder])
    offer: CreateOffer = offer_of(
        "more",
        publish(ledger, EXCLUSIVE),
        {"owner": "owner"},
        {"fee": "EUR 5.00", "where_ok": "{DE, FR}"},
        {"work": "work_d"},
    )
    ledger.attempt("owner", offer, signers=["p", "q", "r"])
    ledger.attempt("owner", offer)
    ledger.block(*(ledger.tx("buyer", AcceptOffer(agreement=f"d{n}", offer="sale")) for n in range(5)))
    out = sha256()
    for key in sorted(ledger.state):
        out.update(key + b"\0" + ledger.state[key] + b"\0")
    for receipt in ledger.receipts:
        out.update(receipt.encode())
    return out.hexdigest()


def test_hash_seeds_change_nothing() -> None:
    found = set()
    for seed in ("0", "1", "4242"):
        done = subprocess.run(
            [sys.executable, "-m", "tests.property.test_ledger_hash_seeds"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{ROOT}:{ROOT / 'sdk' / 'src'}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        found.add(done.stdout.strip())
    assert len(found) == 1
    assert len(found.pop()) == 64


if __name__ == "__main__":
    print(digest())

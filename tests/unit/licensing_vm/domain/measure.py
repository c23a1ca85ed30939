"""How long the VM takes: `python -m tests.unit.licensing_vm.domain.measure`. Prints, never asserts.

Microseconds of one transaction inside blocks of 500, receipts and the block's encodings included,
signatures and the state tree not.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
import time
from collections.abc import Callable

from licet.transactions import (
    AcceptOffer,
    Command,
    LinkLineage,
    Money,
    RegisterAsset,
    ReportUsage,
    Transaction,
    Transfer,
)

from licensing_vm.transition import BlockInput, Status
from tests.unit.licensing_vm.domain.kit import EUR, START_MS, Ledger, offer_of, publish

BLOCK = 500
BLOCKS = 12
BUYERS = 200
WORKS = 8  # as many terms as a block of 500 sales has room to bind (C-16)


def world() -> Ledger:
    ledger = Ledger(window_ms=10**9)
    ledger.party("studio", "agency", "artist", "model_maker", "dataset_owner")
    buyers = [f"buyer{n}" for n in range(BUYERS)]
    ledger.party(*buyers)
    for buyer in buyers:
        ledger.fund(buyer, 10**9 * EUR)
    flat, style, use = (
        publish(ledger, name) for name in ("stock.image_flat", "ai.style_sale", "ads.per_use")
    )
    ledger.run("dataset_owner", RegisterAsset(asset="data", kind="dataset", title="Data"))
    ledger.run("model_maker", RegisterAsset(asset="model", kind="ml_model", title="Model"))
    ledger.run(
        "model_maker",
        LinkLineage(child="model", parent="data", relation="trained_on", rate_e9=100_000_000),
        signers=["dataset_owner"],
    )
    for n in range(WORKS):
        work, image = f"work{n}", f"image{n}"
        ledger.run("studio", RegisterAsset(asset=work, kind="generated_image", title=work))
        ledger.run("studio", RegisterAsset(asset=image, kind="image", title=image))
        ledger.run("studio", RegisterAsset(asset=f"ad{n}", kind="composite", title="Ad"))
        ledger.run(
            "studio",
            LinkLineage(child=work, parent="model", relation="derived", rate_e9=200_000_000),
            signers=["model_maker"],
        )
        ledger.run(
            "studio",
            offer_of(f"style{n}", style, {"owner": "studio"}, {"fee": "EUR 12.5000"}, {"work": work}),
        )
        ledger.run(
            "studio",
            offer_of(
                f"flat{n}",
                flat,
                {"licensor": "studio", "agency": "agency"},
                {"fee": "EUR 99.99"},
                {"work": image},
            ),
        )
        ledger.run(
            "studio",
            offer_of(f"use{n}", use, {"studio": "studio", "artist": "artist"}, {}, {"creative": f"ad{n}"}),
        )
    for n, buyer in enumerate(buyers):
        ledger.run(buyer, AcceptOffer(agreement=f"use-{buyer}", offer=f"use{n % WORKS}"))
    return ledger


def measure(
    ledger: Ledger, name: str, command: Callable[[int], Command], per: int = 1, blocks: int = BLOCKS
) -> None:
    count = blocks * BLOCK // per
    transactions: list[Transaction] = [
        ledger.tx(f"buyer{n % BUYERS}", command(n), valid_for_ms=10**8) for n in range(count)
    ]
    size = BLOCK // per
    spent = 0.0
    bytes_ = 0
    keys = 0
    profile = cProfile.Profile() if name in sys.argv else None
    for at in range(0, count, size):
        warm = at > 0  # the first block binds offers
        ledger.height += 1
        ledger.now += 1_000
        block = BlockInput(
            height=ledger.height, timestamp_ms=ledger.now, transactions=transactions[at : at + size]
        )
        if profile and warm:
            profile.enable()
        begin = time.thread_time()
        result = ledger.machine.execute(block)
        ledger.machine.commit()
        spent += (time.thread_time() - begin) * warm
        if profile:
            profile.disable()
        assert all(done.status is Status.COMMITTED for done in result.executed), next(
            done.read() for done in result.executed if done.status is not Status.COMMITTED
        )
        ledger.state.update({k: v for k, v in result.writes.items() if v is not None})
        bytes_ += sum(len(done.receipt) for done in result.executed)
        keys += len(result.writes)
    print(
        f"{name:28} {spent / (count - size) * 1e6:8.2f} us a transaction"
        f" {bytes_ // count:6} receipt bytes {keys / count:6.2f} keys"
    )
    if profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)


def _report(n: int, rows: int) -> ReportUsage:
    return ReportUsage(
        report=f"r{rows}-{n}",
        fact="impressions",
        period_start_ms=START_MS,
        agreements=(f"use-buyer{n % BUYERS}",),
        agreement_index=[0] * rows,
        offset_ms=list(range(1_000, 1_000 + rows)),
        quantity=[n % 7 + 1] * rows,
    )


def main() -> None:
    ledger = world()
    measure(
        ledger,
        "transfer",
        lambda n: Transfer(to=f"buyer{n * 7 % BUYERS}", amount=Money(currency="EUR", minor=n + 1)),
    )
    measure(ledger, "flat", lambda n: AcceptOffer(agreement=f"flat-{n:08}", offer=f"flat{n % WORKS}"))
    measure(ledger, "style", lambda n: AcceptOffer(agreement=f"style-{n:08}", offer=f"style{n % WORKS}"))
    measure(ledger, "report of 1 row", lambda n: _report(n, 1))
    measure(ledger, "report of 1,000 rows", lambda n: _report(n, 1_000), per=25)


if __name__ == "__main__":
    main()

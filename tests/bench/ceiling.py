"""The verify-only ceiling: four processes each check the same signed transactions, parse included.

Nothing that checks every signature on every node can be faster on this machine; the share of it that
the whole system reaches is the honest measure. The slowest of the processes counts.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from licet.crypto import signature_valid
from licet.encoding import Tag
from licet.v1 import transaction_pb2 as pb

from tests.bench.signing import CONTEXT


def _verify_for(seconds: float, transactions: Sequence[bytes]) -> float:
    done = 0
    begin = time.perf_counter()
    deadline = begin + seconds
    while True:
        for raw in transactions:
            signed = pb.SignedTransaction.FromString(raw)
            body = pb.TransactionBody.FromString(signed.body)
            assert body.commands
            for item in signed.signatures:
                assert signature_valid(item.public_key, item.signature, Tag.TRANSACTION, signed.body)
            done += 1
            if done % 64 == 0 and time.perf_counter() >= deadline:
                return done / (time.perf_counter() - begin)


def verify_ceiling(transactions: Sequence[bytes], *, nodes: int = 4, seconds: float = 10.0) -> float:
    """Transactions a second that each of `nodes` processes can check at the same time."""
    sample = list(transactions[:5_000])
    with ProcessPoolExecutor(nodes, mp_context=CONTEXT) as pool:
        rates = [pool.submit(_verify_for, seconds, sample) for _ in range(nodes)]
        return min(rate.result() for rate in rates)

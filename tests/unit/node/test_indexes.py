"""What stands under a transaction's hash: the receipt that consumed its id, whoever sends the body again."""

from __future__ import annotations

from dataclasses import replace

from licet.certificate import ExecutedRoots
from licet.transactions import Money, Transfer
from licet.types import ZERO_HASH, Hash32, Height

from licensing_vm.transition import BlockResult
from node.ledger import indexes
from node.storage.memory import MemoryStorage
from node.storage.port import WriteBatch
from tests.unit.licensing_vm.domain.kit import EUR, Ledger, key_of


def test_a_late_repeat_does_not_hide_what_became_of_it() -> None:
    ledger, storage = Ledger(), MemoryStorage(chain_id=Ledger().genesis.chain_id())
    ledger.party("payer", "payee")
    ledger.fund("payer", EUR)
    tx = ledger.tx("payer", Transfer(to="payee", amount=Money(currency="EUR", minor=10_000)))

    def store(result: BlockResult) -> str:
        """Write the block's receipts, and tell the code that now stands under the hash."""
        height = Height(0 if storage.height is None else storage.height + 1)
        roots = ExecutedRoots(height=height, state_root=ZERO_HASH, log_root=ZERO_HASH, log_size=0)
        records, places = indexes.block_records(
            roots,
            result.executed,
            log_start=0,
            settled=lambda transaction: indexes.is_settled(storage, transaction),
        )
        storage.commit(
            WriteBatch(height=height, block=b"", values={}, receipts=places, records=records), synced=True
        )
        stored = indexes.receipt_of(storage, Hash32(tx.hash))
        assert stored is not None
        refusal = stored.read().refusal
        return refusal.code if refusal else "committed"

    stranger = replace(tx.signatures[0], public_key=key_of("payee"))
    forged = replace(tx, signatures=(stranger,))
    assert store(ledger.block(forged, at_ms=ledger.now + 1)) == "NO_AUTHORITY"
    assert store(ledger.block(tx, at_ms=ledger.now + 1)) == "committed"
    late = ledger.block(tx, at_ms=ledger.now + 400_000)
    assert late.executed[0].code == "TX_EXPIRED"
    assert store(late) == "committed"

"""A start finds everything that was durable, drops what the store took over, and never invents a record."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from licet.receipts import read_receipt
from licet.transactions import RegisterAsset
from licet.types import ZERO_HASH, Hash32, Height, ValidatorIndex

from consensus.types import Block
from node.core.batches import Batch, encode_batch
from node.core.effects import ReadyBlock
from node.ledger import indexes
from node.ledger.assembly import Node, assemble, chain_config, create_signing_record
from node.ledger.executor import GenesisMismatch
from node.storage.memory import MemoryStorage
from node.storage.schema import Kind
from node.storage.wal import PayloadKind
from tests.sim.disk import SimDisk
from tests.unit.node.core import world

CHAIN = world.genesis()
WINDOW_MS = CHAIN.parameters.window_ms


def open_node(storage: MemoryStorage, disk: SimDisk) -> Node:
    return assemble(CHAIN, storage=storage, files=disk, key=world.key("v0"))


@pytest.fixture
def disk() -> SimDisk:
    disk = SimDisk()
    key = world.key("v0").public_key
    create_signing_record(disk, chain=chain_config(CHAIN, key), public_key=key)
    return disk


@pytest.fixture
def node(disk: SimDisk) -> Node:
    return open_node(MemoryStorage(CHAIN.chain_id()), disk)


def restart(node: Node, disk: SimDisk) -> Node:
    storage = node.storage
    assert isinstance(storage, MemoryStorage)
    node.close()
    return open_node(storage.reopened(power_lost=True), disk)


def batch_of(node: Node, raws: list[bytes], sequence: int = 1) -> Batch:
    _, raw = encode_batch(
        raws,
        chain_id=CHAIN.chain_id(),
        author=ValidatorIndex(1),
        sequence=sequence,
        key=world.key("v1"),
    )
    return node.verifier.batch_now(raw).value


def execute(node: Node, raws: list[bytes], parent: Block | None, *, view: int) -> Block:
    batch = batch_of(node, raws, sequence=view)
    block = world.block((batch.digest,), view=view, height=node.executor.height + 1, parent=parent)
    node.executor.run(ReadyBlock(block=block, finalization=None, batches=(batch,)))
    return block


def test_a_new_store_begins_with_genesis_state(node: Node) -> None:
    assert node.executor.height == 0
    assert node.state.root == CHAIN.initial_state_root
    assert node.recovered.head is None
    assert node.recovered.votes is not None


def test_a_genesis_that_another_program_made_is_refused() -> None:
    other = replace(CHAIN, initial_state_root=ZERO_HASH)
    with pytest.raises(GenesisMismatch):
        assemble(other, storage=MemoryStorage(other.chain_id()), files=SimDisk(), key=None)


def test_state_log_and_head_are_there_again(node: Node, disk: SimDisk) -> None:
    first = execute(node, [world.transaction(1), world.transaction(2)], None, view=1)
    second = execute(node, [world.transfer(3, 1)], first, view=2)
    roots = (node.state.root, node.log.root, node.log.size)
    again = restart(node, disk)
    assert (again.state.root, again.log.root, again.log.size) == roots
    assert again.recovered.head == second
    assert [one.height for one in again.recovered.executed] == [1, 2]
    assert [entry.digest for entry in again.recovered.recent] == [*first.digests, *second.digests]


def test_exactly_once_holds_across_a_restart(node: Node, disk: SimDisk) -> None:
    raw = world.transaction(1)
    first = execute(node, [raw], None, view=1)
    balance = node.state.root
    again = restart(node, disk)
    assert again.executor.remembered == 1
    execute(again, [raw, raw], first, view=2)
    assert again.state.root == balance
    assert again.log.size == 1, "an exact repeat leaves no receipt"
    other = world.transaction(1, valid_until_ms=world.START_MS + 59_000)  # another body, the same id
    execute(again, [other], again.recovered.head, view=3)
    stored = indexes.receipt_of(again.storage, again.verifier.admit_form(other).hash)
    assert stored is not None
    refusal = stored.read().refusal
    assert refusal is not None
    assert refusal.code == "ID_REUSED"


def test_used_ids_leave_the_disk_with_the_window(node: Node, disk: SimDisk) -> None:
    first = execute(node, [world.transaction(1)], None, view=1)
    assert len(list(node.storage.records(Kind.DEDUPE))) == 1
    late = world.transaction(2, valid_until_ms=world.START_MS + WINDOW_MS + 60_000)
    execute(node, [late], first, view=WINDOW_MS // 10 + 10)  # a view is ten milliseconds here
    kept = list(indexes.used_ids(node.storage))
    assert [(height, [one.sender for one in used]) for height, _, used in kept] == [(2, ["bank"])]
    assert restart(node, disk).executor.remembered == 1


def test_receipts_are_found_by_hash_by_place_and_by_party(node: Node) -> None:
    first = execute(node, [world.transaction(1), world.transfer(2, 1)], None, view=1)
    execute(node, [world.transfer(3, 10**9)], first, view=2)  # refused: no such money
    everything = list(indexes.receipts_after(node.storage, Height(0), -1))
    assert [(one.height, one.index, one.log_index) for one in everything] == [(1, 0, 0), (1, 1, 1), (2, 0, 2)]
    assert [one.read().committed for one in everything] == [True, True, False]
    assert list(indexes.receipts_backwards(node.storage)) == everything[::-1]
    found = indexes.receipt_of(node.storage, Hash32(read_receipt(everything[1].data).transaction_hash))
    assert found == everything[1]
    assert list(indexes.receipts_of_party(node.storage, "ben")) == [everything[1]]
    assert list(indexes.receipts_of_party(node.storage, "ada")) == everything
    assert list(indexes.receipts_of_party(node.storage, "ada", after=(Height(1), 0))) == everything[1:]


def test_held_batches_and_blocks_come_back_and_stored_ones_are_dropped(node: Node, disk: SimDisk) -> None:
    held, taken = batch_of(node, [world.transaction(7)], 7), batch_of(node, [world.transaction(8)], 8)
    pending = world.block((held.digest,), view=5, height=9)
    for batch in (held, taken):
        node.payload.append(PayloadKind.BATCH, batch.digest, batch.raw)
    final = world.block((taken.digest,), view=1)
    for block in (final, pending):
        node.payload.append(PayloadKind.BLOCK, block.id, block.encode())
    node.payload.sync()
    node.executor.run(ReadyBlock(block=final, finalization=None, batches=(taken,)))
    again = restart(node, disk)
    assert [verified.value.digest for verified in again.batches] == [held.digest]
    assert again.recovered.blocks == (pending,)
    assert held.digest in again.payload
    assert taken.digest not in again.payload
    again.start(now_ms=world.START_MS, mono_us=0)
    assert again.core.pool.get(held.digest) is not None


def test_what_was_not_synced_is_lost_and_nothing_else(node: Node, disk: SimDisk) -> None:
    one, two = batch_of(node, [world.transaction(1)], 1), batch_of(node, [world.transaction(2)], 2)
    node.payload.append(PayloadKind.BATCH, one.digest, one.raw)
    node.payload.sync()
    node.payload.append(PayloadKind.BATCH, two.digest, two.raw)
    for seed in range(6):  # lost, torn or kept: the synced batch is there in every case
        disk.lose(random.Random(seed))
        node = restart(node, disk)
        found = {verified.value.digest for verified in node.batches}
        assert one.digest in found
        assert found <= {one.digest, two.digest}
        node.payload.append(PayloadKind.BATCH, two.digest, two.raw)


def test_without_a_signing_record_a_node_does_not_vote_and_makes_none() -> None:
    disk = SimDisk()
    node = open_node(MemoryStorage(CHAIN.chain_id()), disk)
    assert node.votes is None
    assert "missing" in node.recovered.votes_problem
    assert not disk.exists("votes")


def test_lists_are_whole_while_a_block_is_being_written(node: Node) -> None:
    """A decision is taken at the machine's height, so it needs the lists of that height too."""
    asset = RegisterAsset(asset="photo", kind="image", title="A photograph")
    batch = batch_of(node, [world.transaction(1, command=asset)])
    block = world.block((batch.digest,), view=1, height=1, parent=None)
    prepared = node.executor.prepare(ReadyBlock(block=block, finalization=None, batches=(batch,)))
    written = [row for done in prepared.result.executed for row in done.index_rows]
    assert written, "an asset is listed"
    assert node.machine.height == 1 > node.executor.height
    assert node.executor.rows_under_way(b"") == written
    assert not list(indexes.rows(node.storage, b""))
    node.storage.commit(prepared.batch, synced=True)
    node.executor.finished()
    assert node.executor.rows_under_way(b"") == []
    assert sorted(indexes.rows(node.storage, b"")) == sorted(written)

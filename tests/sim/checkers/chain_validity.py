"""Every stored chain is one: linked, rising, by its leaders, proven, anchored to what was executed."""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise

from licet.certificate import Certificate
from licet.types import Height

from consensus.types import Block
from node.storage.port import Storage
from tests.sim.checkers.arithmetic import quorum, signers
from tests.sim.genesis import START_MS, make_genesis
from tests.sim.history import History


def check(history: History) -> list[str]:
    """Each honest node's store from genesis up; stores that agree are looked at once."""
    roots = {one.block.height: one.roots for one in history.blocks if one.node in history.honest}
    problems: list[str] = []
    for node, store in history.stores.items():
        for text in _chain(store, history.n, roots):
            problems.append(f"node {node}: {text}")
    return problems


def _chain(store: Storage, n: int, roots: dict[Height, object]) -> list[str]:
    problems: list[str] = []
    blocks: list[Block] = []
    proven = 0
    for height in range(1, (store.height or 0) + 1):
        stored = store.block(Height(height))
        if stored is None:
            return [f"height {height} is missing"]
        block = Block.decode(stored.block)
        blocks.append(block)
        if stored.certificate:
            problems += _proof(block, Certificate.decode(stored.certificate), n)
            proven = height
        problems += _block(block, height, n, roots)
    genesis = make_genesis()
    if blocks and (blocks[0].header.parent_id, blocks[0].header.parent_view) != (genesis.chain_id(), 0):
        problems.append("the first block's parent is not genesis")
    if blocks and blocks[0].header.timestamp_ms <= START_MS:
        problems.append("the first block is not younger than genesis")
    for parent, child in pairwise(blocks):
        linked = (child.header.parent_id, child.header.parent_view) == (parent.id, parent.view)
        if not linked or child.view <= parent.view:
            problems.append(f"height {child.height} is no child of the block below it")
        if child.header.timestamp_ms <= parent.header.timestamp_ms:
            problems.append(f"time does not rise at height {child.height}")
        if child.header.executed.height < parent.header.executed.height:
            problems.append(f"the anchor falls at height {child.height}")
    if len(blocks) - proven > 256:
        problems.append(f"nothing above height {proven} of {len(blocks)} is finalised directly")
    return problems


def _block(block: Block, height: int, n: int, roots: dict[Height, object]) -> list[str]:
    header, problems = block.header, []
    payload = b"licet.payload".ljust(16, b"\0") + len(block.digests).to_bytes(4, "big")
    if header.payload_root != sha256(payload + b"".join(block.digests)).digest():
        problems.append(f"the payload root of height {height} is not that of its digests")
    if block.id != sha256(b"licet.header".ljust(16, b"\0") + header.encoded).digest():
        problems.append(f"the id of height {height} is not its header's hash")
    if header.height != height or header.proposer != header.view % n:
        problems.append(f"height {height} names height {header.height} and proposer {header.proposer}")
    anchor = header.executed
    if anchor.height >= height:
        problems.append(f"height {height} anchors height {anchor.height}")
    if anchor.height and roots.get(anchor.height, anchor) != anchor:
        problems.append(f"height {height} anchors roots of height {anchor.height} that nobody computed")
    if not anchor.height and anchor.state_root != make_genesis().initial_state_root:
        problems.append(f"height {height} anchors another genesis")
    return problems


def _proof(block: Block, certificate: Certificate, n: int) -> list[str]:
    named = (int(certificate.kind), certificate.view, certificate.digest)
    if named != (3, block.view, block.id):
        return [f"the finalization stored at height {block.height} is of something else"]
    found = signers(certificate, n)
    if len(found) < quorum(n):
        return [f"height {block.height} is finalised by {len(found)} signers"]
    return []

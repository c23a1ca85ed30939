"""A node's stores, killed with SIGKILL in the middle of work, again and again over the same folder.

After each death: every acknowledged height is there, tree and log load and lead
to the roots that were stored with their block, and the payload file holds what was synced.
"""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from licet.merkle import verify_inclusion, verify_log_inclusion
from licet.types import ChainId, Hash32

from node.storage.folder import DataFolder
from node.storage.leveldb import LevelDBStorage
from node.storage.log import MerkleLog
from node.storage.state import State
from node.storage.wal import PayloadFile

ROOT = Path(__file__).parents[4]
CHAIN = ChainId(b"c" * 32)

CHILD = r"""
import sys
from hashlib import sha256
from pathlib import Path
from licet.types import ChainId, Hash32, Height
from node.storage.folder import DataFolder
from node.storage.leveldb import LevelDBOptions, LevelDBStorage
from node.storage.log import MerkleLog
from node.storage.port import WriteBatch
from node.storage.state import State
from node.storage.wal import PayloadFile, PayloadKind

folder = DataFolder(Path(sys.argv[1]))
options = LevelDBOptions(write_buffer_bytes=1 << 16)
store = LevelDBStorage(folder, chain_id=ChainId(b"c" * 32), options=options)
state, log, payload = State(store, depth=2), MerkleLog(store), PayloadFile.open(folder.files)
start = 0 if store.height is None else store.height + 1
for height in range(start, start + 100_000):
    body = b"%d" % height * 200
    batch = Hash32(sha256(body).digest())
    payload.append(PayloadKind.BATCH, batch, body)
    payload.sync()
    values = {b"hot": b"%d" % height, b"key/%d" % height: b"v", b"key/%d" % (height - 30): None}
    tree, leaves = state.apply(Height(height), values), log.append([b"leaf %d" % height] * 3)
    store.commit(
        WriteBatch(
            height=Height(height),
            block=tree.root + leaves.root,
            batches=[(batch, body)],
            values=values,
            records=[*tree.records, *leaves.records],
        )
    )
    if height % 10 == 0:
        payload.drop(Hash32(sha256(b"%d" % old * 200).digest()) for old in range(height - 10, height))
        payload.trim(at_least=1)
    print(height, flush=True)
"""


def _run_and_kill(path: Path, blocks: int) -> int:
    """Start the child, let it acknowledge this many blocks, kill it; the last acknowledged height."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        heights = [int(child.stdout.readline()) for _ in range(blocks)]
        child.kill()
        heights += [int(line) for line in child.stdout.read().splitlines() if line]
    return heights[-1]


def _check(path: Path, acknowledged: int) -> None:
    folder = DataFolder(path)
    store = LevelDBStorage(folder, chain_id=CHAIN)
    height = store.height
    assert height is not None
    assert acknowledged <= height <= acknowledged + 1, "a block in flight may or may not be there"
    state, log = State(store, depth=2), MerkleLog(store)
    head = store.block(height)
    assert head is not None
    assert head.block == state.root + log.root
    assert log.size == 3 * (height + 1)
    proven = state.prove(b"hot", height)
    assert proven.value == b"%d" % height
    verify_inclusion(state.root, b"hot", proven.value, proven.proof)
    verify_log_inclusion(log.root, log.size, b"leaf 0", log.prove_inclusion(1, log.size))
    check = state.start_check()
    while not check.check_slots(1000):
        pass
    payload = PayloadFile.open(folder.files)
    body = b"%d" % acknowledged * 200
    assert payload.get(Hash32(sha256(body).digest())) == body
    payload.close()
    store.close()
    folder.close()


def test_killed_at_any_moment_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    for blocks in (1, 37, 64):
        _check(tmp_path, _run_and_kill(tmp_path, blocks))

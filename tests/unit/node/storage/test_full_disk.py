"""A full disk under a running store, in a process of its own: RLIMIT_FSIZE is lowered and raised.

Every height and record that was acknowledged must be there after the reopening,
and nothing may be acknowledged after the first failure.
"""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from licet.types import ChainId, Hash32, Height

from node.storage.folder import DataFolder
from node.storage.leveldb import LevelDBOptions, LevelDBStorage
from node.storage.wal import PayloadFile, VotesFile

ROOT = Path(__file__).parents[4]
CHAIN = ChainId(b"c" * 32)

CHILD = r"""
import json, os, resource, sys
from hashlib import sha256
from pathlib import Path
from licet.types import ChainId, Hash32, Height
from node.storage.errors import StorageDead
from node.storage.folder import DataFolder
from node.storage.leveldb import LevelDBOptions, LevelDBStorage
from node.storage.port import WriteBatch
from node.storage.wal import PayloadFile, PayloadKind, VotesFile

folder = DataFolder(Path(sys.argv[1]))
store = LevelDBStorage(
    folder, chain_id=ChainId(b"c" * 32), options=LevelDBOptions(write_buffer_bytes=int(sys.argv[2]))
)
votes = VotesFile.create(folder.files, b"identity")
payload = PayloadFile.open(folder.files)
done = {"height": -1, "votes": 0, "payload": 0, "errors": []}


def block(height):
    store.commit(
        WriteBatch(height=Height(height), block=os.urandom(4000), values={b"k%d" % height: b"%d" % height})
    )
    done["height"] = height


def vote(number):
    votes.append(b"|%06d" % number * 100)
    votes.sync()
    done["votes"] = number + 1


def batch(number):
    body = b"%d" % number * 1000
    payload.append(PayloadKind.BATCH, Hash32(sha256(body).digest()), body)
    payload.sync()
    done["payload"] = number + 1


acts = (block, vote, batch)
for number in range(20):
    for act in acts:
        act(number)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), hard))
for act in acts:
    for number in range(20, 400):
        try:
            act(number)
        except StorageDead as error:
            done["errors"].append(str(error))
            break
# The disk has room again, but a dead handle must not acknowledge anything.
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
before = dict(done)
for act in acts:
    for number in range(400, 420):
        try:
            act(number)
        except StorageDead:
            pass
assert done == before, (done, before)
print(json.dumps(done))
"""


def _fill(path: Path, *, buffer: int, limit: int) -> dict[str, int]:
    ran = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), str(buffer), str(limit)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    done = json.loads(ran.stdout)
    errors = done.pop("errors")
    assert len(errors) == 3, errors
    assert all("Free space" in error for error in errors)
    found: dict[str, int] = done
    return found


def _check(path: Path, done: dict[str, int]) -> None:
    folder = DataFolder(path)
    store = LevelDBStorage(folder, chain_id=CHAIN)
    assert store.height is not None
    assert store.height >= done["height"] >= 19
    for height in range(done["height"] + 1):
        block = store.block(Height(height))
        assert block is not None
        assert len(block.block) == 4000
        assert store.get(b"k%d" % height) == b"%d" % height
    votes = VotesFile.open(folder.files)
    promised = b"identity" + b"".join(b"|%06d" % number * 100 for number in range(done["votes"]))
    assert votes.content().startswith(promised)
    payload = PayloadFile.open(folder.files)
    for number in range(done["payload"]):
        body = b"%d" % number * 1000
        assert payload.get(Hash32(sha256(body).digest())) == body
    votes.close()
    payload.close()
    store.close()
    folder.close()


def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    done = _fill(tmp_path, buffer=32 << 20, limit=200_000)
    assert done["height"] < 399
    _check(tmp_path, done)


def test_the_disk_fills_while_leveldb_writes_its_tables(tmp_path: Path) -> None:
    # A small buffer makes LevelDB turn its log into tables all the time, in its own thread.
    done = _fill(tmp_path, buffer=64 << 10, limit=60_000)
    _check(tmp_path, done)
    assert LevelDBOptions().write_buffer_bytes > 64 << 10

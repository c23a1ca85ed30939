"""The append-only files: what survives, what is cut off, what is damage, and dead handles."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from licet.types import Hash32

from node.storage.errors import FileMissing, StorageDamaged, StorageDead
from node.storage.files import RealFiles
from node.storage.wal import NEW_SUFFIX, PayloadFile, PayloadKind, PayloadRecord, VotesFile


def _id(body: bytes) -> Hash32:
    return Hash32(sha256(body).digest())


def _record(body: bytes, kind: PayloadKind = PayloadKind.BATCH) -> PayloadRecord:
    return PayloadRecord(kind, _id(body), body)


def _append(payload: PayloadFile, *records: PayloadRecord) -> None:
    for record in records:
        payload.append(record.kind, record.id, record.body)
    payload.sync()


@pytest.fixture
def files(tmp_path: Path) -> RealFiles:
    return RealFiles(tmp_path)


THREE = [_record(b"batch one"), _record(b"", PayloadKind.BLOCK), _record(b"x" * 10_000)]


# --- payload


def test_records_come_back_in_order(files: RealFiles) -> None:
    payload = PayloadFile.open(files)
    _append(payload, *THREE)
    assert payload.get(THREE[2].id) == THREE[2].body
    payload.close()
    again = PayloadFile.open(files)
    assert list(again.records()) == THREE
    assert again.truncated_bytes == 0
    assert THREE[0].id in again
    assert again.get(_id(b"never")) is None
    again.close()


def test_a_held_record_is_not_written_twice(files: RealFiles) -> None:
    payload = PayloadFile.open(files)
    _append(payload, THREE[0])
    size = payload.size
    _append(payload, THREE[0])
    assert payload.size == size
    payload.close()


def test_every_physically_short_tail_is_cut_off_and_the_rest_kept(files: RealFiles, tmp_path: Path) -> None:
    payload = PayloadFile.open(files)
    _append(payload, *THREE[:2])
    whole = payload.size
    last = _record(b"torn")
    _append(payload, last)
    payload.close()
    raw = (tmp_path / "payload").read_bytes()
    for size in range(whole, len(raw)):
        (tmp_path / "payload").write_bytes(raw[:size])
        torn = PayloadFile.open(files)
        assert torn.truncated_bytes == size - whole
        assert torn.size == whole
        assert list(torn.records()) == THREE[:2]
        _append(torn, last)
        torn.close()
        assert (tmp_path / "payload").read_bytes() == raw


def test_each_flipped_byte_is_reported_as_damage(files: RealFiles, tmp_path: Path) -> None:
    payload = PayloadFile.open(files)
    _append(payload, _record(b"first"), _record(b"the last, maybe of a vote"))
    payload.close()
    raw = (tmp_path / "payload").read_bytes()
    for place in range(len(raw)):
        (tmp_path / "payload").write_bytes(raw[:place] + bytes([raw[place] ^ 0x10]) + raw[place + 1 :])
        with pytest.raises(StorageDamaged, match="checksum"):
            PayloadFile.open(files)
        assert (tmp_path / "payload").stat().st_size == len(raw), "damage is never cut away"


def test_trim_keeps_what_is_held_and_frees_the_rest(files: RealFiles, tmp_path: Path) -> None:
    payload = PayloadFile.open(files)
    bodies = [_record(b"%d" % number * 1000) for number in range(10)]
    _append(payload, *bodies)
    payload.drop(record.id for record in bodies[:4])
    assert not payload.trim(at_least=1), "less is dead than alive"
    payload.drop(record.id for record in bodies[:8])
    assert payload.get(bodies[0].id) is None
    assert not payload.trim(at_least=1 << 20), "not worth a sync yet"
    before = payload.size
    assert payload.trim(at_least=1)
    assert payload.dead_bytes == 0
    assert payload.size < before // 4
    after = _record(b"appended after the trim")
    _append(payload, after)
    held = [*bodies[8:], after]
    assert list(payload.records()) == held
    payload.close()
    assert [path.name for path in tmp_path.iterdir()] == ["payload"]
    again = PayloadFile.open(files)
    assert list(again.records()) == held
    again.close()


def test_a_crash_within_a_trim_leaves_the_old_file(files: RealFiles, tmp_path: Path) -> None:
    payload = PayloadFile.open(files)
    _append(payload, *THREE)
    payload.close()
    (tmp_path / ("payload" + NEW_SUFFIX)).write_bytes(b"half a rewri")
    again = PayloadFile.open(files)
    assert list(again.records()) == THREE
    assert not files.exists("payload" + NEW_SUFFIX)
    again.close()


# --- votes


def test_votes_are_bytes_that_only_init_begins(files: RealFiles) -> None:
    with pytest.raises(FileMissing, match="without voting"):
        VotesFile.open(files)
    votes = VotesFile.create(files, b"identity")
    votes.append(b"|one")
    votes.append(b"|two")
    votes.sync()
    votes.close()
    with pytest.raises(StorageDamaged, match="never begun afresh"):
        VotesFile.create(files, b"identity")
    again = VotesFile.open(files)
    assert again.content() == b"identity|one|two"
    again.cut(len(b"identity|one"))
    again.append(b"|three")
    again.sync()
    assert again.content() == b"identity|one|three"
    again.rewrite(b"identity|all")
    again.append(b"|four")
    again.sync()
    again.close()
    assert VotesFile.open(files).content() == b"identity|all|four"


# --- dead handles


class _FailingFile:
    """A file of which one act fails, once."""

    def __init__(self, file: object, act: str) -> None:
        self._file = file
        self._act = act

    def __getattr__(self, name: str) -> object:
        if name == self._act:
            self._act = ""

            def fail(*_: object) -> None:
                raise OSError(28, "No space left on device")

            return fail
        return getattr(self._file, name)


@pytest.mark.parametrize("act", ["append", "sync"])
def test_after_a_failed_append_or_sync_the_handles_are_dead(files: RealFiles, act: str) -> None:
    votes = VotesFile.create(files, b"identity")
    payload = PayloadFile.open(files)
    votes._file = _FailingFile(votes._file, act)  # type: ignore[assignment]
    payload._file = _FailingFile(payload._file, act)  # type: ignore[assignment]

    def vote() -> None:
        votes.append(b"vote")
        votes.sync()

    for _ in range(2):  # the disk works again at once; the handle does not
        with pytest.raises(StorageDead, match="No space left"):
            vote()
        with pytest.raises(StorageDead, match="No space left"):
            _append(payload, _record(b"batch"))
    for call in (votes.sync, votes.content, payload.sync, lambda: payload.trim(at_least=1)):
        with pytest.raises(StorageDead):
            call()
    votes.close()
    payload.close()


def test_a_failed_rewrite_kills_the_handle_and_keeps_the_file(files: RealFiles, tmp_path: Path) -> None:
    votes = VotesFile.create(files, b"identity")
    (tmp_path / ("votes" + NEW_SUFFIX)).mkdir()  # in the new file's way
    with pytest.raises(StorageDead):
        votes.rewrite(b"other")
    with pytest.raises(StorageDead):
        votes.append(b"more")
    votes.close()
    assert (tmp_path / "votes").read_bytes() == b"identity"

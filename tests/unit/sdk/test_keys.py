"""Key files: safe permissions, sealed on request, clear about what is wrong."""

from __future__ import annotations

import json
import os
import pickle
import stat
from pathlib import Path

import pytest
from licet import keys
from licet.crypto import SigningKey


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "studio.key"


def refused(path: Path, passphrase: str | None = None) -> keys.KeyFileError:
    with pytest.raises(keys.KeyFileError) as refusal:
        keys.load_key(path, passphrase=passphrase)
    assert refusal.value.facts == {"file": str(path)}
    return refusal.value


def test_a_key_comes_back_and_only_its_owner_may_read_it(path: Path) -> None:
    key = keys.generate_key()
    old = os.umask(0)
    try:
        keys.save_key(path, key)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keys.load_key(path).seed == key.seed
    assert not keys.is_sealed(path)


@pytest.mark.parametrize("text", ["[" * 8_000, '{"a":' * 1_600, "[" * 4_000 + "]" * 4_000])
def test_a_file_nested_too_deep_is_damaged(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)
    assert refused(path).code == "KEY_DAMAGED"
    with pytest.raises(keys.KeyFileError, match="no JSON"):
        keys.is_sealed(path)


def test_a_passphrase_that_is_no_text_is_one_sentence(path: Path) -> None:
    """What the environment holds beyond UTF-8 reaches a program as lone surrogates."""
    odd = os.fsdecode(b"secret \xff")
    with pytest.raises(keys.KeyFileError) as refusal:
        keys.save_key(path, keys.generate_key(), passphrase=odd)
    assert refusal.value.code == "KEY_PASSPHRASE_NOT_TEXT"
    assert not path.exists()
    keys.save_key(path, keys.generate_key(), passphrase="secret")
    assert refused(path, odd).code == "KEY_PASSPHRASE_NOT_TEXT"
    assert "secret" not in str(refused(path, odd))


def test_generated_keys_differ() -> None:
    assert keys.generate_key().seed != keys.generate_key().seed


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o660, 0o620, 0o602, 0o601])
def test_a_file_that_others_reach_is_refused(path: Path, mode: int) -> None:
    keys.save_key(path, keys.generate_key())
    path.chmod(mode)
    error = refused(path)
    assert error.code == "KEY_EXPOSED"
    assert f"{mode:04o}" in error.message
    assert "chmod 600" in error.remedy


def test_an_existing_file_is_never_replaced(path: Path) -> None:
    keys.save_key(path, keys.generate_key())
    before = path.read_bytes()
    with pytest.raises(keys.KeyFileError, match="exists already"):
        keys.save_key(path, keys.generate_key())
    assert path.read_bytes() == before


def test_a_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(keys.KeyFileError, match="No such file or directory"):
        keys.save_key(tmp_path / "no" / "k", keys.generate_key())


def test_a_full_disk_leaves_no_half_key(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("licet.keys.os.fsync", full)
    with pytest.raises(keys.KeyFileError, match="No space left on device") as refusal:
        keys.save_key(path, keys.generate_key())
    assert refusal.value.code == "KEY_UNWRITABLE"
    assert not path.exists()


def test_a_sealed_key_opens_with_its_passphrase_alone(path: Path) -> None:
    key = keys.generate_key()
    keys.save_key(path, key, passphrase="Grüße, 1 Mal")
    assert key.seed.hex() not in path.read_text()
    assert keys.is_sealed(path)
    assert keys.load_key(path, passphrase="Grüße, 1 Mal").seed == key.seed
    assert refused(path).code == "KEY_SEALED"
    assert refused(path, "grüße, 1 Mal").code == "KEY_PASSPHRASE_WRONG"


def test_an_empty_passphrase_is_refused_before_a_file_exists(path: Path) -> None:
    with pytest.raises(keys.KeyFileError, match="empty"):
        keys.save_key(path, keys.generate_key(), passphrase="")
    assert not path.exists()


def test_a_passphrase_for_an_open_key_is_refused(path: Path) -> None:
    keys.save_key(path, keys.generate_key())
    assert refused(path, "x").code == "KEY_NOT_SEALED"


def test_a_missing_file_names_the_command_that_makes_one(path: Path) -> None:
    error = refused(path)
    assert error.code == "KEY_MISSING"
    assert "licet party new-key" in error.remedy


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    path.chmod(0o600)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"{}", b'{"format": "licet-key-2"}', b"\xff\xfe", b" " * 9000],
    ids=["empty", "cut", "list", "bare", "newer", "binary", "long"],
)
def test_damage_is_named(path: Path, data: bytes) -> None:
    write(path, data)
    assert refused(path).code == "KEY_DAMAGED"


@pytest.mark.parametrize(
    "change",
    [
        {"seed": "00"},
        {"seed": "zz" * 32},
        {"seed": 7},
        {"public_key": "00" * 32},
        {"public_key": None},
        {"comment": "mine"},
        {"sealed": {}},
    ],
)
def test_a_field_that_is_wrong_is_damage(path: Path, change: dict[str, object]) -> None:
    keys.save_key(path, SigningKey(bytes(range(32))))
    document = json.loads(path.read_text())
    write(path, json.dumps({**document, **change}).encode())
    assert refused(path).code == "KEY_DAMAGED"


@pytest.mark.parametrize(
    "change",
    [
        {"ops": 0},
        {"ops": 17},
        {"mem": 1 << 31},
        {"mem": True},
        {"kdf": "scrypt"},
        {"salt": "00"},
        {"box": "00"},
    ],
)
def test_a_sealed_part_out_of_bounds_is_refused_before_any_work(
    path: Path, change: dict[str, object]
) -> None:
    keys.save_key(path, SigningKey(bytes(range(32))), passphrase="p")
    document = json.loads(path.read_text())
    document["sealed"].update(change)
    write(path, json.dumps(document).encode())
    assert refused(path, "p").code == "KEY_DAMAGED"


def test_a_folder_and_a_pipe_are_no_key_files(tmp_path: Path) -> None:
    assert refused(tmp_path).code == "KEY_UNREADABLE"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    assert refused(pipe).code == "KEY_UNREADABLE"


def test_neither_keys_nor_errors_show_a_secret(path: Path) -> None:
    key = SigningKey(bytes(range(32)))
    keys.save_key(path, key)
    path.chmod(0o644)
    error = refused(path)
    for text in (repr(key), str(error), repr(error)):
        assert key.seed.hex() not in text
    again = pickle.loads(pickle.dumps(error))
    assert (again.code, again.facts, str(again)) == (error.code, error.facts, str(error))


def test_the_format_is_pinned(path: Path) -> None:
    """A file written by the first release opens for ever."""
    write(
        path,
        b'{"format": "licet-key-1", "public_key":'
        b' "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8",'
        b' "seed": "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"}',
    )
    assert keys.load_key(path).seed == bytes(range(32))

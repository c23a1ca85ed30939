"""C-10 and the refusal half of C-11: the guard, and the record it signs from."""

from __future__ import annotations

from hashlib import sha256

import pytest
from licet.certificate import FIRST_EPOCH, VoteKind
from licet.crypto import SigningKey
from licet.types import ZERO_HASH, ChainId, Hash32, PublicKey, ValidatorIndex, View

from consensus import guard as guard_module
from consensus import votelog
from consensus.errors import GuardRefused, SigningRecordDamaged, SigningRecordMissing
from consensus.guard import SignerGuard
from consensus.votelog import HEAD_BYTES, VoteLogState
from tests.unit.consensus.harness import CHAIN, KEYS, digest, new_guard
from tests.unit.consensus.solo import Solo

NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE
A, B = digest("a"), digest("b")
KEY = PublicKey(KEYS[0].public_key)


def recover(data: bytes | None) -> VoteLogState:
    return votelog.recover(data, chain_id=CHAIN, public_key=KEY)


def initial() -> bytes:
    return votelog.initial_file(CHAIN, KEY)


# Every pair of requests in one view: what was signed, what is asked, whether it may be.
TABLE = [
    ([], NOTARIZE, A, True),
    ([], NULLIFY, ZERO_HASH, True),
    ([], FINALIZE, A, True),
    ([(NOTARIZE, A)], NOTARIZE, A, True),
    ([(NOTARIZE, A)], NOTARIZE, B, False),
    ([(NOTARIZE, A)], NULLIFY, ZERO_HASH, True),
    ([(NOTARIZE, A)], FINALIZE, A, True),
    ([(NOTARIZE, A)], FINALIZE, B, True),
    ([(NULLIFY, ZERO_HASH)], NULLIFY, ZERO_HASH, True),
    ([(NULLIFY, ZERO_HASH)], NOTARIZE, A, False),
    ([(NULLIFY, ZERO_HASH)], FINALIZE, A, False),
    ([(FINALIZE, A)], FINALIZE, A, True),
    ([(FINALIZE, A)], FINALIZE, B, False),
    ([(FINALIZE, A)], NULLIFY, ZERO_HASH, False),
    ([(FINALIZE, A)], NOTARIZE, A, True),
    ([(NOTARIZE, A), (NULLIFY, ZERO_HASH)], FINALIZE, A, False),
]


@pytest.mark.parametrize(("signed", "kind", "what", "allowed"), TABLE)
@pytest.mark.parametrize("restarted", [False, True])
def test_c10_the_guard_signs_nothing_that_contradicts_what_it_signed(
    signed: list[tuple[VoteKind, Hash32]], kind: VoteKind, what: Hash32, allowed: bool, restarted: bool
) -> None:
    guard = new_guard(0)
    for one, other in signed:
        guard.sign(View(5), one, other)
    _, append = guard.take_record()
    if restarted:
        guard = new_guard(0, initial() + (append or b""))
    before = dict(signed)
    if not allowed:
        with pytest.raises(GuardRefused):
            guard.sign(View(5), kind, what)
        return
    vote = guard.sign(View(5), kind, what)
    assert vote.valid(Solo().config.validators)
    if kind in before:
        assert guard.take_record() == (None, None), "the same request returns the same signature"
    assert guard.sign(View(5), kind, what) == vote


def test_c10_nothing_at_or_below_the_floor_is_signed() -> None:
    solo = Solo()
    guard = new_guard(0)
    block = solo.block(5)
    guard.note_certificate(solo.finalization(block))
    for view in (4, 5):
        with pytest.raises(GuardRefused, match="not above 5"):
            guard.sign(View(view), NULLIFY)
    guard.sign(View(6), NULLIFY)
    _, append = guard.take_record()
    state = recover(initial() + (append or b""))
    assert state.floor == 5
    assert state.finalization == solo.finalization(block)
    with pytest.raises(GuardRefused):
        new_guard(0, initial() + (append or b"")).sign(View(5), NULLIFY)


def test_c10_only_a_finalization_may_wait_for_its_sync() -> None:
    solo, guard = Solo(), new_guard(0)
    block = solo.block(5)
    guard.note_certificate(solo.finalization(block))
    assert not guard.pressing, "it proves itself, and nothing that was signed rests on it"
    guard.note_view(View(guard.floor + 2))
    assert guard.pressing
    guard.take_record()
    guard.sign(View(guard.floor + 2), NULLIFY)
    assert guard.pressing


def test_c10_a_guard_needs_the_record_of_its_own_key_and_chain() -> None:
    record = recover(initial())
    with pytest.raises(ValueError, match="another chain or key"):
        SignerGuard(KEYS[1], record=record, chain_id=CHAIN, epoch=FIRST_EPOCH, index=ValidatorIndex(1))
    for chain, key in ((ChainId(bytes(32)), KEY), (CHAIN, PublicKey(KEYS[1].public_key))):
        with pytest.raises(SigningRecordDamaged, match="another chain or key"):
            votelog.recover(initial(), chain_id=chain, public_key=key)


def test_c10_a_missing_or_empty_record_is_never_taken_for_a_new_one() -> None:
    for data in (None, b""):
        with pytest.raises(SigningRecordMissing):
            recover(data)
    for length in range(1, len(initial())):
        with pytest.raises(SigningRecordDamaged):
            recover(initial()[:length])


def filled() -> tuple[bytes, list[int], list[VoteLogState]]:
    """A file of several records, where each ends, and the state after each."""
    solo, guard = Solo(), new_guard(0)
    data, ends, states = initial(), [len(initial())], [recover(initial())]
    for view in range(1, 5):
        block = solo.block(view)
        guard.sign(View(view), NOTARIZE, block.id)
        guard.note_certificate(solo.notarization(block))
        guard.note_view(View(view + 1))
        guard.sign(View(view), FINALIZE, block.id)
        if view == 3:
            guard.note_certificate(solo.finalization(block))
        _, append = guard.take_record()
        data += append or b""
        ends.append(len(data))
        states.append(recover(data))
    return data, ends, states


def test_c10_only_a_physically_short_last_record_is_cut_off() -> None:
    data, ends, states = filled()
    for length in range(ends[0], len(data)):
        whole = max(at for at, end in enumerate(ends) if end <= length)
        state = recover(data[:length])
        assert state.valid_length == ends[whole]
        assert state == states[whole]


def test_c10_a_flipped_bit_in_one_copy_is_repaired_from_the_other() -> None:
    data, _, states = filled()
    for at in range(len(data)):
        bad = data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
        state = recover(bad)
        assert state.repaired
        assert (state.votes, state.certificates, state.view) == (
            states[-1].votes,
            states[-1].certificates,
            states[-1].view,
        )


def test_c11_damage_in_both_copies_at_full_length_is_refused_even_in_the_last_record() -> None:
    data, ends, _ = filled()
    for start, end in zip([0, *ends], ends, strict=False):
        length = (end - start - 2 * HEAD_BYTES) // 2
        for first, second in (
            (start, start + HEAD_BYTES),  # both heads
            (start + 2 * HEAD_BYTES, start + 2 * HEAD_BYTES + length),  # both bodies
            (start + 2 * HEAD_BYTES + length - 1, end - 1),
        ):
            bad = bytearray(data)
            bad[first] ^= 1
            bad[second] ^= 1
            with pytest.raises(SigningRecordDamaged):
                recover(bytes(bad))


def test_c11_a_lost_record_in_the_middle_is_damage() -> None:
    data, ends, _ = filled()
    with pytest.raises(SigningRecordDamaged):
        recover(data[: ends[1]] + data[ends[2] :])


def test_c10_the_file_is_rewritten_when_it_grew_and_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_module, "VOTES_FILE_REWRITE_BYTES", 20_000)
    solo, guard = Solo(), new_guard(0)
    data, rewrites = initial(), 0
    for view in range(1, 200):
        block = solo.block(view)
        guard.sign(View(view), NOTARIZE, block.id)
        guard.note_certificate(solo.finalization(block) if view % 3 == 0 else solo.notarization(block))
        guard.note_view(View(view + 1))
        file, append = guard.take_record()
        rewrites += file is not None
        data = (file or data) + (append or b"")
        state = recover(data)
        assert state.view == view + 1
        assert state.votes == guard.votes()
        assert state.floor == guard.floor
    assert rewrites > 3
    assert len(data) < 25_000


def test_c10_the_record_never_shows_the_secret() -> None:
    secret = SigningKey(b"\x07" * 32)
    assert b"\x07" * 32 not in votelog.initial_file(CHAIN, PublicKey(secret.public_key))
    assert "07" * 16 not in repr(secret)


def test_the_initial_file_is_pinned() -> None:
    assert len(initial()) == 2 * HEAD_BYTES + 2 * (1 + 2 + 32 + 32)
    assert sha256(initial()).hexdigest() == "c5fa3b17ff4e43202d1d05c903f6251faa0b3b5714e835202b5b378d83bf82ff"

"""Merkle proofs: the dense radix-16 state tree and the RFC 9162 log.

The state tree has 16^depth slots, addressed by the first nibbles of H(key).

* leaf = H(0x00 ‖ H(key) ‖ H(value)); an empty slot is 32 zero bytes;
* a slot with several keys is the root of a compact binary tree over the
  remaining bits of H(key): branch = H(0x01 ‖ left ‖ right); a subtree of one
  key is that key's leaf, an empty subtree is 32 zero bytes;
* inner node = H(0x02 ‖ 16 children).

Absence of a key is the empty subtree or the other key's leaf that stands
where the key's own would be.

The log is RFC 9162's: leaf = H(0x00 ‖ data), node = H(0x01 ‖ left ‖ right),
the empty log is H of nothing.

H is SHA-256. A proof has exactly one encoding, and decoding refuses every
other. Verifying raises `InvalidProof`; it never returns a verdict that a
caller could forget to read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from hashlib import sha256
from typing import Final

from licet.encoding import Reader, Writer
from licet.errors import Fault, InvalidProof
from licet.types import HASH_BYTES, ZERO_HASH, Hash32

STATE_DEPTH: Final = 5  # of a real network; fixed in genesis
STATE_DEPTH_MAX: Final = 6
RADIX: Final = 16
KEY_BITS: Final = 256
LOG_PATH_MAX: Final = 64
LEAF_TAG: Final = b"\x00"
BRANCH_TAG: Final = b"\x01"
INNER_TAG: Final = b"\x02"
EMPTY_LOG_ROOT: Final = Hash32(sha256(b"").digest())

# Every index that `RADIX` children have fits the 16-bit map of a proof step.
assert RADIX == 16
assert STATE_DEPTH <= STATE_DEPTH_MAX


# --- the state tree ------------------------------------------------------------------------------


def state_leaf(key_hash: bytes, value_hash: bytes) -> Hash32:
    """The hash of one key with its value, both given as hashes."""
    return Hash32(sha256(LEAF_TAG + key_hash + value_hash).digest())


def state_branch(left: bytes, right: bytes) -> Hash32:
    """A node of the compact binary tree inside a slot."""
    return Hash32(sha256(BRANCH_TAG + left + right).digest())


def state_inner(children: bytes) -> Hash32:
    """A node above the slots, from its 16 children's hashes in order."""
    return Hash32(sha256(INNER_TAG + children).digest())


@cache
def empty_node(levels_above_slots: int) -> Hash32:
    """The hash of a subtree without keys: zeros for a slot, then inner nodes over such."""
    if levels_above_slots == 0:
        return ZERO_HASH
    return state_inner(empty_node(levels_above_slots - 1) * RADIX)


def slot_of(key_hash: bytes, depth: int) -> int:
    """The slot in which a key stands: the first `depth` nibbles of its hash."""
    return int.from_bytes(key_hash[:4], "big") >> (32 - 4 * depth)


def key_bit(key_hash: bytes, index: int) -> int:
    """Bit `index` of a key's hash, the first being the highest of the first byte."""
    return (key_hash[index >> 3] >> (7 - (index & 7))) & 1


class Terminal(IntEnum):
    """What stands at the end of a state proof's path."""

    OWN_LEAF = 1  # the key itself: inclusion
    EMPTY = 2  # nothing: absence
    OTHER_LEAF = 3  # another key: absence


@dataclass(frozen=True, slots=True, kw_only=True)
class StateProof:
    """The path of one key from its slot's subtree to the root.

    `levels` holds, from the root downwards, the 15 siblings of each step in
    child order; `branches` the siblings inside the slot, from the slot's root
    downwards. `other` is (H(key), H(value)) of the leaf that stands in the
    key's place, for `OTHER_LEAF` alone.
    """

    levels: tuple[tuple[Hash32, ...], ...]
    branches: tuple[Hash32, ...]
    terminal: Terminal
    other: tuple[Hash32, Hash32] | None = None

    @property
    def depth(self) -> int:
        """Levels of inner nodes between root and slot."""
        return len(self.levels)


def _end_hash(proof: StateProof, key_hash: bytes, value_hash: bytes | None) -> Hash32:
    """The hash that stands at the end of the path; refuses an end that cannot be there."""
    if proof.terminal is Terminal.OWN_LEAF:
        if value_hash is None:
            raise InvalidProof("the key is present, so its absence cannot be shown")
        return state_leaf(key_hash, value_hash)
    if value_hash is not None:
        raise InvalidProof("it shows the key's absence, not its value")
    if proof.terminal is Terminal.EMPTY:
        return ZERO_HASH
    if proof.other is None:
        raise InvalidProof("the other key's leaf is missing")
    other_key, other_value = proof.other
    if other_key == key_hash:
        raise InvalidProof("the leaf shown as another key's is the key's own")
    bits = 4 * proof.depth + len(proof.branches)
    shift = KEY_BITS - bits
    if int.from_bytes(other_key, "big") >> shift != int.from_bytes(key_hash, "big") >> shift:
        raise InvalidProof("the other key's leaf does not stand in this key's place")
    return state_leaf(other_key, other_value)


def _check_shape(proof: StateProof) -> None:
    if not 1 <= proof.depth <= STATE_DEPTH_MAX:
        raise InvalidProof(f"a state tree is 1 to {STATE_DEPTH_MAX} levels deep, not {proof.depth}")
    if any(len(siblings) != RADIX - 1 for siblings in proof.levels):
        raise InvalidProof(f"every level has {RADIX - 1} siblings")
    if 4 * proof.depth + len(proof.branches) > KEY_BITS:
        raise InvalidProof("the path is longer than a key's hash")
    if (proof.other is not None) != (proof.terminal is Terminal.OTHER_LEAF):
        raise InvalidProof("another key's leaf stands in it exactly when it ends at one")


def _verify_state(root: bytes, key: bytes, value_hash: bytes | None, proof: StateProof) -> None:
    _check_shape(proof)
    key_hash = sha256(key).digest()
    node = _end_hash(proof, key_hash, value_hash)
    first_bit = 4 * proof.depth
    for index in range(len(proof.branches) - 1, -1, -1):
        sibling = proof.branches[index]
        if key_bit(key_hash, first_bit + index):
            node = state_branch(sibling, node)
        else:
            node = state_branch(node, sibling)
    slot = slot_of(key_hash, proof.depth)
    for siblings in reversed(proof.levels):
        place = slot & (RADIX - 1)
        slot >>= 4
        node = state_inner(b"".join((*siblings[:place], node, *siblings[place:])))
    if node != root:
        raise InvalidProof("the path does not lead to the state root")


def verify_inclusion(root: bytes, key: bytes, value: bytes, proof: StateProof) -> None:
    """Raise `InvalidProof` unless `key` has exactly `value` under the state root."""
    _verify_state(root, key, sha256(value).digest(), proof)


def verify_absence(root: bytes, key: bytes, proof: StateProof) -> None:
    """Raise `InvalidProof` unless `key` has no value under the state root."""
    _verify_state(root, key, None, proof)


def encode_state_proof(proof: StateProof) -> bytes:
    """The one encoding: terminal, depth, then per level a map of non-empty siblings and their hashes.

    Siblings that are empty subtrees stand as a zero bit, so that proofs of a
    young ledger are short.
    """
    _check_shape(proof)
    writer = Writer().u8(proof.terminal).u8(proof.depth)
    for level, siblings in enumerate(proof.levels):
        empty = empty_node(proof.depth - 1 - level)
        present = [index for index, sibling in enumerate(siblings) if sibling != empty]
        writer.u16(sum(1 << index for index in present))
        for index in present:
            writer.fixed(siblings[index], HASH_BYTES)
    writer.u8(len(proof.branches))
    for sibling in proof.branches:
        writer.fixed(sibling, HASH_BYTES)
    if proof.other is not None:
        writer.fixed(proof.other[0], HASH_BYTES).fixed(proof.other[1], HASH_BYTES)
    return writer.done()


def decode_state_proof(data: bytes) -> StateProof:
    """Read a state proof; raises `InvalidEncoding` for anything but its one encoding."""
    reader = Reader(data, what="state proof", fault=Fault.PEER)
    code = reader.u8()
    if code not in tuple(Terminal):
        raise reader.refuse(f"it ends in no known way ({code})")
    terminal = Terminal(code)
    depth = reader.u8()
    if not 1 <= depth <= STATE_DEPTH_MAX:
        raise reader.refuse(f"its depth is {depth}")
    levels = tuple(_read_level(reader, empty_node(depth - 1 - level)) for level in range(depth))
    count = reader.u8()
    if 4 * depth + count > KEY_BITS:
        raise reader.refuse("its path is longer than a key's hash")
    branches = tuple(Hash32(reader.fixed(HASH_BYTES)) for _ in range(count))
    other = None
    if terminal is Terminal.OTHER_LEAF:
        other = (Hash32(reader.fixed(HASH_BYTES)), Hash32(reader.fixed(HASH_BYTES)))
    reader.end()
    return StateProof(levels=levels, branches=branches, terminal=terminal, other=other)


def _read_level(reader: Reader, empty: Hash32) -> tuple[Hash32, ...]:
    present = reader.u16()
    if present >> (RADIX - 1):
        raise reader.refuse("a level has 15 siblings")
    siblings = [empty] * (RADIX - 1)
    for index in range(RADIX - 1):
        if present >> index & 1:
            siblings[index] = Hash32(reader.fixed(HASH_BYTES))
            if siblings[index] == empty:
                raise reader.refuse("an empty sibling is written out")
    return tuple(siblings)


# --- the log -------------------------------------------------------------------------------------


def log_leaf(data: bytes) -> Hash32:
    """RFC 9162's leaf hash."""
    return Hash32(sha256(LEAF_TAG + data).digest())


def log_node(left: bytes, right: bytes) -> Hash32:
    """RFC 9162's node hash."""
    return Hash32(sha256(BRANCH_TAG + left + right).digest())


def log_root(leaves: Sequence[bytes]) -> Hash32:
    """The root over leaf hashes, by RFC 9162's definition. For small logs and for tests."""
    if not leaves:
        return EMPTY_LOG_ROOT
    if len(leaves) == 1:
        return Hash32(leaves[0])
    split = split_point(len(leaves))
    return log_node(log_root(leaves[:split]), log_root(leaves[split:]))


def split_point(size: int) -> int:
    """The largest power of two below `size` (at least 2): where RFC 9162 splits a list."""
    assert size >= 2
    return 1 << ((size - 1).bit_length() - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogProof:
    """That a leaf stands at `index` in the log of `size` leaves; the path runs from leaf to root."""

    index: int
    size: int
    path: tuple[Hash32, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConsistency:
    """That the log of `old_size` leaves is the beginning of the log of `new_size`."""

    old_size: int
    new_size: int
    path: tuple[Hash32, ...]


def _climb(place: int, last: int, path: Sequence[Hash32]) -> Iterator[tuple[Hash32, bool]]:
    """Each sibling on the way up and whether it is the left one (RFC 9162, 2.1.3.2 and 2.1.4.2)."""
    for sibling in path:
        if last == 0:
            raise InvalidProof("the path is too long")
        is_left = bool(place & 1) or place == last
        yield sibling, is_left
        if is_left:
            # The right edge of an incomplete tree skips the levels where it has no sibling.
            while place and not place & 1:
                place >>= 1
                last >>= 1
        place >>= 1
        last >>= 1
    if last != 0:
        raise InvalidProof("the path is too short")


def verify_log_inclusion(root: bytes, size: int, data: bytes, proof: LogProof) -> None:
    """Raise `InvalidProof` unless `data` is the leaf at `proof.index` under the root of `size` leaves."""
    if proof.size != size:
        raise InvalidProof(f"it is for a log of {proof.size} leaves, not of {size}")
    if not 0 <= proof.index < size:
        raise InvalidProof(f"leaf {proof.index} is not in a log of {size}")
    node = log_leaf(data)
    for sibling, is_left in _climb(proof.index, size - 1, proof.path):
        node = log_node(sibling, node) if is_left else log_node(node, sibling)
    if node != root:
        raise InvalidProof("the path does not lead to the log root")


def verify_log_consistency(old_root: bytes, new_root: bytes, proof: LogConsistency) -> None:
    """Raise `InvalidProof` unless the newer log only adds to the older one."""
    old, new, path = proof.old_size, proof.new_size, proof.path
    if not 0 < old <= new:
        raise InvalidProof(f"a log of {new} leaves does not extend one of {old}")
    if old == new:
        if path or old_root != new_root:
            raise InvalidProof("equal logs have equal roots and no path between them")
        return
    if old & (old - 1) == 0:
        path = (Hash32(old_root), *path)
    if not path:
        raise InvalidProof("the path is too short")
    place, last = old - 1, new - 1
    while place & 1:
        place >>= 1
        last >>= 1
    older = newer = path[0]
    for sibling, is_left in _climb(place, last, path[1:]):
        if is_left:
            older = log_node(sibling, older)
            newer = log_node(sibling, newer)
        else:
            newer = log_node(newer, sibling)
    if older != old_root or newer != new_root:
        raise InvalidProof("the path does not lead from the older root to the newer one")


def encode_log_proof(proof: LogProof) -> bytes:
    """The one encoding: index, size, path length, path."""
    return _encode_path(proof.index, proof.size, proof.path)


def decode_log_proof(data: bytes) -> LogProof:
    """Read a log proof; raises `InvalidEncoding` for anything but its one encoding."""
    index, size, path = _decode_path(data, "log proof")
    return LogProof(index=index, size=size, path=path)


def encode_log_consistency(proof: LogConsistency) -> bytes:
    """The one encoding: older size, newer size, path length, path."""
    return _encode_path(proof.old_size, proof.new_size, proof.path)


def decode_log_consistency(data: bytes) -> LogConsistency:
    """Read a consistency proof; raises `InvalidEncoding` for anything but its one encoding."""
    old_size, new_size, path = _decode_path(data, "log consistency proof")
    return LogConsistency(old_size=old_size, new_size=new_size, path=path)


def _encode_path(first: int, second: int, path: tuple[Hash32, ...]) -> bytes:
    writer = Writer().u64(first).u64(second).u8(len(path))
    for node in path:
        writer.fixed(node, HASH_BYTES)
    return writer.done()


def _decode_path(data: bytes, what: str) -> tuple[int, int, tuple[Hash32, ...]]:
    reader = Reader(data, what=what, fault=Fault.PEER)
    first, second, count = reader.u64(), reader.u64(), reader.u8()
    # A consistency path may hold one node more than the tree has levels.
    if count > LOG_PATH_MAX + 1:
        raise reader.refuse(f"its path has {count} nodes")
    path = tuple(Hash32(reader.fixed(HASH_BYTES)) for _ in range(count))
    reader.end()
    return first, second, path

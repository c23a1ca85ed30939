"""The storage schema: every key prefix, every metadata name, the version.

One kind of record is one byte in front of the key, so that a kind is a range
and `stats` can say bytes by kind. Numbers in keys are big-endian, so that
their order is the records' order. Changing anything here raises
`SCHEMA_VERSION`.
"""

from __future__ import annotations

import struct
from enum import Enum
from typing import Final

SCHEMA_VERSION: Final = 2

LEDGER_FOLDER: Final = "ledger"  # LevelDB's own folder inside the data folder
LOCK_FILE: Final = "lock"  # our flock, and the acknowledged height
PAYLOAD_FILE: Final = "payload"
VOTES_FILE: Final = "votes"
FINDING_FILE: Final = "isolation"  # where an isolated node found that it differs: for people, after a restart


class Kind(bytes, Enum):
    """What a record is. A kind *is* its key prefix: `kind + key` is the key on disk.

    (Bytes also hash at C speed, and every row of every block is counted by its kind.)
    """

    META = b"m"
    STATE = b"s"  # ledger key → value
    SLOT = b"t"  # slot u32 → the slot's page
    PAGE = b"p"  # slot u32, bits → a page below a crowded slot
    LOG_LEAVES = b"l"  # first leaf index u64 → leaf hashes of one block
    LOG_NODE = b"n"  # level u8, index u64 → hash of a complete subtree
    BLOCK = b"b"  # height u64 → block bytes
    CERTIFICATE = b"c"  # height u64 → certificate bytes
    BATCH = b"d"  # height u64, position u32 → digest ‖ payload batch bytes
    BATCH_INDEX = b"e"  # digest → height u64, position u32
    RECEIPT = b"r"  # transaction hash → height u64, index u32 of its receipt
    DEDUPE = b"u"  # executor's idempotency index
    EVENT = b"v"  # height u64, index u32 → receipts from that place on
    INDEX = b"i"  # executor's other indexes, by its own sub-prefixes


# Kinds that `WriteBatch.records` may carry; the others have fields of their own.
RECORD_KINDS: Final = frozenset(
    {
        Kind.META,
        Kind.SLOT,
        Kind.PAGE,
        Kind.LOG_LEAVES,
        Kind.LOG_NODE,
        Kind.DEDUPE,
        Kind.EVENT,
        Kind.INDEX,
    }
)

META_SCHEMA: Final = b"schema"
META_CHAIN: Final = b"chain"
META_HEIGHT: Final = b"height"
META_WRITTEN: Final = b"written"  # records and bytes written so far, by kind
META_STATE: Final = b"state"  # depth u8, height of the last change u64, state root
META_LOG: Final = b"log"  # size u64, root

# The names that only the store itself writes.
META_RESERVED: Final = frozenset({META_SCHEMA, META_CHAIN, META_HEIGHT, META_WRITTEN})

_U64: Final = struct.Struct(">Q")
_U64_U32: Final = struct.Struct(">QI")

assert len({kind.value for kind in Kind}) == len(Kind)
assert all(len(kind.value) == 1 for kind in Kind)


def height_key(height: int) -> bytes:
    """Key of a block or certificate record."""
    return _U64.pack(height)


def position_key(height: int, position: int) -> bytes:
    """Key of a batch or event record."""
    return _U64_U32.pack(height, position)


def parse_position(key: bytes) -> tuple[int, int]:
    """Height and position of `position_key`."""
    height, position = _U64_U32.unpack(key)
    return height, position


def prefix_end(prefix: bytes) -> bytes | None:
    """The first key after all that start with `prefix`; None when there is none."""
    trimmed = prefix.rstrip(b"\xff")
    if not trimmed:
        return None
    return trimmed[:-1] + bytes((trimmed[-1] + 1,))

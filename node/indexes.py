"""What stands on disk beside state, blocks and log: receipts by place and by hash, roots, lists.

    RECEIPT  transaction hash → place                       its newest receipt
    EVENT    place → log index u64 ‖ receipt                every receipt, in ledger order
    INDEX    "o" height u64 → roots                         what executing a height led to
             "p" party 0 place → nothing                    receipts that concern a party
             "x" row → nothing                              the VM's lists (`licensing_vm.domain.context`)
    DEDUPE   height u64 → time u64, used ids                of the validity window alone; older ones go

A place is (height u64, index u32), big-endian, so that order of keys is order of
the ledger. Written by the executor alone; read by proofs, recovery and the API.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from licet.certificate import ExecutedRoots
from licet.encoding import Reader, Writer
from licet.errors import Fault
from licet.receipts import Receipt, read_receipt
from licet.types import Hash32, Height

from licensing_vm.transition import Executed
from node.storage.port import Record, RecordReader, Storage
from node.storage.schema import Kind, height_key, parse_position, position_key, prefix_end

_ROOTS: Final = b"o"
_PARTY: Final = b"p"
_ROW: Final = b"x"
_LOG_INDEX: Final = struct.Struct(">Q")
_PLACE_BYTES: Final = 12
_USED: Final = struct.Struct(">I16s32sB")  # position, id, transaction hash, length of the sender that follows


class UsedId(NamedTuple):
    """An idempotency key that a transaction consumed."""

    sender: str
    id: bytes
    hash: bytes
    position: int  # of the receipt in its block


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReceipt:
    """A receipt where it stands: the leaf `log_index` of the log is exactly `data`."""

    height: Height
    index: int
    log_index: int
    data: bytes

    def read(self) -> Receipt:
        """The receipt, decoded."""
        return read_receipt(self.data)


# --- writing (the executor) ----------------------------------------------------------------------


def consumed(done: Executed) -> bool:
    """Whether its id is used up; if not, a copy of its body that others signed may still take effect."""
    return not done.code or done.read().consumed


def block_records(
    roots: ExecutedRoots, executed: Sequence[Executed], *, log_start: int, settled: Callable[[Hash32], bool]
) -> tuple[list[Record], dict[Hash32, bytes]]:
    """The index records of a block, and what goes under its transactions' hashes.

    A receipt that consumed no id never takes the place of one that did (`settled`): whoever sends a body
    again, late or under other signatures, would hide what became of it.
    """
    writer = Writer()
    roots.write(writer)
    records = [Record(Kind.INDEX, _ROOTS + height_key(roots.height), writer.done())]
    add = records.append
    places: dict[Hash32, bytes] = {}
    height, log_index = roots.height, log_start
    for done in executed:
        if not done.receipt:
            continue  # an exact repeat leaves nothing
        place = position_key(height, done.place.position)
        if consumed(done) or not settled(done.hash):
            places[done.hash] = place
        add(Record(Kind.EVENT, place, _LOG_INDEX.pack(log_index) + done.receipt))
        log_index += 1
        for party in done.parties:
            add(Record(Kind.INDEX, _PARTY + party.encode() + b"\0" + place, b""))
        for row in done.index_rows:
            add(Record(Kind.INDEX, _ROW + row, b""))
    return records, places


def used_ids_record(height: Height, timestamp_ms: int, used: Iterable[UsedId]) -> Record:
    """The ids that a block's transactions consumed: what the next start rebuilds exactly-once from."""
    parts = [_LOG_INDEX.pack(timestamp_ms)]
    for one in used:
        sender = one.sender.encode()
        parts += (_USED.pack(one.position, one.id, one.hash, len(sender)), sender)
    return Record(Kind.DEDUPE, height_key(height), b"".join(parts))


def forget_used_ids(height: Height) -> Record:
    """No valid transaction can repeat these any more."""
    return Record(Kind.DEDUPE, height_key(height), None)


# --- reading -------------------------------------------------------------------------------------


def roots_at(reader: RecordReader, height: Height) -> ExecutedRoots | None:
    """The roots that executing this height led to."""
    raw = reader.record(Kind.INDEX, _ROOTS + height_key(height))
    if raw is None:
        return None
    source = Reader(raw, what="stored roots", fault=Fault.MACHINE)
    roots = ExecutedRoots.read(source)
    source.end()
    return roots


def used_ids(reader: RecordReader) -> Iterator[tuple[Height, int, list[UsedId]]]:
    """Height, time and used ids of every block that is kept, in ledger order."""
    for key, raw in reader.records(Kind.DEDUPE):
        (timestamp_ms,) = _LOG_INDEX.unpack_from(raw)
        used: list[UsedId] = []
        at = _LOG_INDEX.size
        while at < len(raw):
            position, id_, hash_, length = _USED.unpack_from(raw, at)
            at += _USED.size + length
            used.append(UsedId(raw[at - length : at].decode(), id_, hash_, position))
        yield Height(int.from_bytes(key, "big")), timestamp_ms, used


def receipt_of(storage: Storage, transaction: Hash32) -> StoredReceipt | None:
    """The newest receipt of a transaction."""
    place = storage.receipt(transaction)
    if place is None:
        return None
    raw = storage.record(Kind.EVENT, place)
    assert raw is not None, "one write batch holds a receipt and its place"
    return _stored(place, raw)


def is_settled(storage: Storage, transaction: Hash32) -> bool:
    """Whether a receipt is stored that consumed the transaction's id."""
    found = receipt_of(storage, transaction)
    return found is not None and found.read().consumed


def receipt_at(reader: RecordReader, height: Height, index: int) -> StoredReceipt | None:
    """The receipt at a place."""
    place = position_key(height, index)
    raw = reader.record(Kind.EVENT, place)
    return None if raw is None else _stored(place, raw)


def receipts_after(
    reader: RecordReader, height: Height, index: int, *, stop_height: Height | None = None
) -> Iterator[StoredReceipt]:
    """Every receipt behind a place (index −1: from the block's first on), in ledger order."""
    stop = None if stop_height is None else height_key(stop_height)
    for place, raw in reader.records(Kind.EVENT, start=position_key(height, index + 1), stop=stop):
        yield _stored(place, raw)


def receipts_backwards(reader: RecordReader) -> Iterator[StoredReceipt]:
    """Every receipt, the newest first."""
    for place, raw in reader.records(Kind.EVENT, reverse=True):
        yield _stored(place, raw)


def receipts_of_party(
    reader: RecordReader, party: str, *, after: tuple[Height, int] | None = None
) -> Iterator[StoredReceipt]:
    """Every receipt that concerns a party, in ledger order, behind a place."""
    prefix = _PARTY + party.encode() + b"\0"
    start = prefix if after is None else prefix + position_key(after[0], after[1] + 1)
    for key, _ in reader.records(Kind.INDEX, start=start, stop=prefix_end(prefix)):
        height, index = parse_position(key[-_PLACE_BYTES:])
        found = receipt_at(reader, Height(height), index)
        assert found is not None, "one write batch holds a receipt and its parties"
        yield found


def rows(reader: RecordReader, prefix: bytes, *, after: bytes | None = None) -> Iterator[bytes]:
    """The VM's list rows that begin with `prefix`, in order, behind the row `after`."""
    whole = _ROW + prefix
    start = whole if after is None else max(whole, _ROW + after + b"\0")
    for key, _ in reader.records(Kind.INDEX, start=start, stop=prefix_end(whole)):
        yield key[len(_ROW) :]


def _stored(place: bytes, raw: bytes) -> StoredReceipt:
    height, index = parse_position(place)
    (log_index,) = _LOG_INDEX.unpack_from(raw)
    return StoredReceipt(height=Height(height), index=index, log_index=log_index, data=raw[_LOG_INDEX.size :])

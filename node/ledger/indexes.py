"""What stands on disk beside state, blocks and log: receipts by place and by hash, roots, lists.

    RECEIPT  transaction hash → place                       its newest receipt
    EVENT    place → log index u64 ‖ receipts               every receipt, in ledger order, some to a row
    INDEX    "o" height u64 → roots                         what executing a height led to
             "p" party 0 height u64 → indices u32           receipts of a block that concern a party
             "x" row → nothing                              the VM's lists (`licensing_vm.domain.context`)
    DEDUPE   height u64 → time u64, used ids                of the validity window alone; older ones go

A place is (height u64, index u32), big-endian, so that order of keys is order of
the ledger. What many transactions of a block say stands in few rows, because a row costs the
store about a microsecond however short it is: receipts in chunks, of which a reading brings one
into memory, and a party's receipts once per block. A chunk's row has the place of its first receipt
and holds for each (index u32, length u32, receipt); log indices rise by one.
Written by the executor alone; read by proofs, recovery and the API.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from licet.certificate import ExecutedRoots
from licet.encoding import Reader, Writer
from licet.errors import Fault
from licet.receipts import Receipt, read_receipt
from licet.transactions import Transaction
from licet.types import Hash32, Height

from licensing_vm.transition import Executed
from node.storage.port import Record, RecordReader, Row, Storage
from node.storage.schema import Kind, height_key, parse_position, position_key, prefix_end

CHUNK_RECEIPTS: Final = 16
CHUNK_BYTES: Final = 8 << 10  # from this size on a chunk takes no further receipt

_ROOTS: Final = b"o"
_PARTY: Final = b"p"
_ROW: Final = b"x"
_LOG_INDEX: Final = struct.Struct(">Q")
_INDEX: Final = struct.Struct(">I")
_INDEX_MAX: Final = (1 << 32) - 1
_ENTRY: Final = struct.Struct(">II")  # index and length of the receipt that follows
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
    return done.consumed


def block_records(
    roots: ExecutedRoots, executed: Sequence[Executed], *, log_start: int, settled: Callable[[Hash32], bool]
) -> tuple[list[Row], dict[Hash32, bytes]]:
    """The index records of a block, and what goes under its transactions' hashes.

    A receipt that consumed no id never takes the place of one that did (`settled`): whoever sends a body
    again, late or under other signatures, would hide what became of it.
    """
    writer = Writer()
    roots.write(writer)
    at = height_key(roots.height)
    rows: list[Row] = [(Kind.INDEX, _ROOTS + at, writer.done())]
    places: dict[Hash32, bytes] = {}
    parties: defaultdict[str, list[bytes]] = defaultdict(list)
    pack = _INDEX.pack
    done_with_receipt = [done for done in executed if done.receipt]  # an exact repeat leaves nothing
    for done in done_with_receipt:
        index = pack(done.place.position)
        if done.consumed or not settled(done.hash):
            places[done.hash] = at + index
        for party in done.parties:
            parties[party].append(index)
        for row in done.index_rows:
            rows.append((Kind.INDEX, _ROW + row, b""))
    rows += [
        (Kind.INDEX, _PARTY + party.encode() + b"\0" + at, b"".join(indices))
        for party, indices in parties.items()
    ]
    rows += _chunks(at, done_with_receipt, log_start)
    return rows, places


def _chunks(at: bytes, executed: Sequence[Executed], log_index: int) -> Iterator[Row]:
    """The rows that hold a block's receipts."""
    parts: list[bytes] = []
    size = first = 0
    pack = _ENTRY.pack
    for count, done in enumerate(executed, 1):
        receipt = done.receipt
        position = done.place.position
        if not parts:
            first = position
            parts.append(_LOG_INDEX.pack(log_index))
        length = len(receipt)
        parts += (pack(position, length), receipt)
        size += length
        if len(parts) > 2 * CHUNK_RECEIPTS or size >= CHUNK_BYTES or count == len(executed):
            yield Kind.EVENT, at + _INDEX.pack(first), b"".join(parts)
            log_index += len(parts) // 2
            parts.clear()
            size = 0


def used_ids_record(
    height: Height, timestamp_ms: int, transactions: Iterable[Transaction], executed: Iterable[Executed]
) -> Record | None:
    """The ids that a block's transactions consumed: what the next start rebuilds exactly-once from."""
    parts = [_LOG_INDEX.pack(timestamp_ms)]
    pack = _USED.pack
    for transaction, done in zip(transactions, executed, strict=True):
        if done.consumed and done.receipt:  # a repeat used nothing that was not used before
            body = transaction.body
            sender = body.sender.encode()
            parts += (pack(done.place.position, body.id, done.hash, len(sender)), sender)
    if len(parts) == 1:
        return None
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
    height, index = parse_position(place)
    found = receipt_at(storage, Height(height), index)
    assert found is not None, "one write batch holds a receipt and its place"
    return found


def is_settled(storage: Storage, transaction: Hash32) -> bool:
    """Whether a receipt is stored that consumed the transaction's id."""
    found = receipt_of(storage, transaction)
    return found is not None and found.read().consumed


def receipt_at(reader: RecordReader, height: Height, index: int) -> StoredReceipt | None:
    """The receipt at a place."""
    chunk = _chunk_before(reader, height, index)
    return None if chunk is None else chunk.receipt(index)


def receipts_after(
    reader: RecordReader, height: Height, index: int, *, stop_height: Height | None = None
) -> Iterator[StoredReceipt]:
    """Every receipt behind a place (index −1: from the block's first on), in ledger order."""
    begun = None if index < 0 else _chunk_before(reader, height, index)
    if begun is not None:
        yield from begun.receipts(after=index)
        index = max(index, begun.last)
    stop = None if stop_height is None else height_key(stop_height)
    for place, raw in reader.records(Kind.EVENT, start=_start_after(height, index), stop=stop):
        yield from _Chunk(place, raw).receipts()


def receipts_backwards(reader: RecordReader) -> Iterator[StoredReceipt]:
    """Every receipt, the newest first."""
    for place, raw in reader.records(Kind.EVENT, reverse=True):
        yield from reversed(list(_Chunk(place, raw).receipts()))


def receipts_of_party(
    reader: RecordReader, party: str, *, after: tuple[Height, int] | None = None
) -> Iterator[StoredReceipt]:
    """Every receipt that concerns a party, in ledger order, behind a place."""
    prefix = _PARTY + party.encode() + b"\0"
    start = prefix if after is None else prefix + height_key(after[0])
    chunk: _Chunk | None = None
    for key, raw in reader.records(Kind.INDEX, start=start, stop=prefix_end(prefix)):
        height = Height(int.from_bytes(key[len(prefix) :], "big"))
        for (index,) in _INDEX.iter_unpack(raw):
            if after is not None and (height, index) <= after:
                continue
            if chunk is None or chunk.height != height or index > chunk.last:
                chunk = _chunk_before(reader, height, index)
            found = None if chunk is None else chunk.receipt(index)
            assert found is not None, "one write batch holds a receipt and its parties"
            yield found


def rows(reader: RecordReader, prefix: bytes, *, after: bytes | None = None) -> Iterator[bytes]:
    """The VM's list rows that begin with `prefix`, in order, behind the row `after`."""
    whole = _ROW + prefix
    start = whole if after is None else max(whole, _ROW + after + b"\0")
    for key, _ in reader.records(Kind.INDEX, start=start, stop=prefix_end(whole)):
        yield key[len(_ROW) :]


class _Chunk:
    """A row of receipts, split when one of them is asked for."""

    def __init__(self, place: bytes, raw: bytes) -> None:
        height, _ = parse_position(place)
        self.height = Height(height)
        self._raw = raw
        (self._log_index,) = _LOG_INDEX.unpack_from(raw)
        self._indices: list[int] = []
        self._spans: list[tuple[int, int]] = []  # of each receipt's bytes
        at = _LOG_INDEX.size
        while at < len(raw):
            index, length = _ENTRY.unpack_from(raw, at)
            at += _ENTRY.size
            self._indices.append(index)
            self._spans.append((at, at + length))
            at += length

    @property
    def last(self) -> int:
        """The index of its last receipt."""
        return self._indices[-1]

    def receipt(self, index: int) -> StoredReceipt | None:
        """The receipt of this index, if it is here."""
        number = bisect_right(self._indices, index) - 1
        return self._stored(number) if number >= 0 and self._indices[number] == index else None

    def receipts(self, *, after: int = -1) -> Iterator[StoredReceipt]:
        """Its receipts behind an index."""
        for number in range(bisect_right(self._indices, after), len(self._indices)):
            yield self._stored(number)

    def _stored(self, number: int) -> StoredReceipt:
        begin, end = self._spans[number]
        return StoredReceipt(
            height=self.height,
            index=self._indices[number],
            log_index=self._log_index + number,
            data=self._raw[begin:end],
        )


def _chunk_before(reader: RecordReader, height: Height, index: int) -> _Chunk | None:
    """The last chunk of a block that begins at or before an index: the one that would hold it."""
    for place, raw in reader.records(
        Kind.EVENT, start=height_key(height), stop=_start_after(height, index), reverse=True
    ):
        return _Chunk(place, raw)
    return None


def _start_after(height: Height, index: int) -> bytes:
    """The first key behind a place. An index may come from a stranger's page token."""
    return position_key(height, index + 1) if index < _INDEX_MAX else height_key(height + 1)

"""Pages of written rows as protobuf and back (C-13); `node.net.frames` decides what becomes of bad ones."""

from __future__ import annotations

from typing import Final

from licet.certificate import ExecutedRoots
from licet.types import HASH_BYTES, Hash32, Height
from licet.v1 import peer_pb2 as pb

from licensing_vm.trail import Row
from node.net.peer_messages import WRITES_KEY_BYTES_MAX, WRITES_ROWS_MAX, WritesPage

_ROW_BYTES: Final = 2 * HASH_BYTES + 24  # hashes, position, tags and lengths
_HEAD_BYTES: Final = 2 * HASH_BYTES + 64


def page_bytes(page: WritesPage) -> int:
    """About how long a page is on the wire, never less."""
    return _HEAD_BYTES + sum(_ROW_BYTES + len(row.key) for row in page.rows)


def encode(page: WritesPage, out: pb.Writes) -> None:
    """A page for the wire."""
    out.height = page.height
    if page.roots is None:
        return
    out.held = True
    out.state_root, out.log_root = page.roots.state_root, page.roots.log_root
    out.log_size = page.roots.log_size
    out.first_row, out.total = page.first_row, page.total
    for row in page.rows:
        out.rows.add(
            position=row.position,
            transaction_hash=row.transaction,
            key=row.key,
            value_hash=row.value or b"",
        )


def decode(message: pb.Writes) -> WritesPage | str:
    """A page from the wire, or what is wrong with its form."""
    height = Height(message.height)
    if not message.held:
        return WritesPage(height=height, roots=None)
    if len(message.state_root) != HASH_BYTES or len(message.log_root) != HASH_BYTES:
        return "a root has a wrong length"
    if len(message.rows) > WRITES_ROWS_MAX:
        return f"{len(message.rows)} rows in one page, more than {WRITES_ROWS_MAX}"
    if message.first_row + len(message.rows) > message.total:
        return f"rows up to {message.first_row + len(message.rows)} of {message.total}"
    for row in message.rows:
        if len(row.transaction_hash) != HASH_BYTES or len(row.value_hash) not in (0, HASH_BYTES):
            return "a hash in a row has a wrong length"
        if len(row.key) > WRITES_KEY_BYTES_MAX:
            return f"a key of {len(row.key)} bytes"
    return WritesPage(
        height=height,
        roots=ExecutedRoots(
            height=height,
            state_root=Hash32(message.state_root),
            log_root=Hash32(message.log_root),
            log_size=message.log_size,
        ),
        first_row=message.first_row,
        total=message.total,
        rows=tuple(
            Row(row.position, Hash32(row.transaction_hash), row.key, _value(row.value_hash))
            for row in message.rows
        ),
    )


def _value(raw: bytes) -> Hash32 | None:
    return Hash32(raw) if raw else None

"""Reads of the committed state for the API: records with proof, lists by the VM's index rows, statements.

What changes is read at one committed height, in one go; what never changes (receipts) may be read with
pauses. Nothing of a block under way is seen.
Decides nothing about rights; reads are open in this version (see SECURITY.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Generic, Protocol, TypeVar

from licet import entities as e
from licet.certificate import Header
from licet.proof import KEY_BYTES_MAX, ProofFile, StateClaim
from licet.receipts import Receipt, StatementLine, statement_lines
from licet.records import decode
from licet.types import Hash32, Height

from licensing_vm.program.encoding import decode as decode_program
from licensing_vm.program.model import Program
from licensing_vm.transition import Machine
from node.api.brief import is_of
from node.api.cursors import BEFORE_ALL, Cursors, Place
from node.api.errors import NotFound, RequestInvalid
from node.api.pages import BREATHE_EVERY, Page, collect, collect_slowly, key_of, page_size
from node.ledger import indexes
from node.ledger.archive import StoredBlocks
from node.ledger.indexes import StoredReceipt
from node.ledger.proofs import Proofs
from node.storage.port import Storage

T = TypeVar("T")

_CHUNK: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[T]):
    """A record, the height of the state it is of, and its proof file where asked for."""

    record: T
    height: Height
    proof: bytes = b""


class PageRequest(Protocol):
    """What every List request has."""

    @property
    def page_size(self) -> int: ...

    @property
    def page_token(self) -> str: ...


class Queries:
    """Reads over one node's store."""

    def __init__(
        self,
        *,
        storage: Storage,
        proofs: Proofs,
        machine: Machine,
        genesis_time_ms: int,
        cursors: Cursors,
    ) -> None:
        self.cursors = cursors
        self._storage = storage
        self._machine = machine
        self._proofs = proofs
        self._blocks = StoredBlocks(storage)
        self._genesis_time_ms = genesis_time_ms
        self._header: Header | None = None
        self.program = lru_cache(maxsize=256)(self._program)  # a program never changes

    # --- where the state stands -----------------------------------------------------------------

    @property
    def height(self) -> Height:
        return self._storage.height or Height(0)

    @property
    def now_ms(self) -> int:
        """Block time of the state that answers."""
        height = self.height
        if height == 0:
            return self._genesis_time_ms
        if self._header is None or self._header.height != height:
            committed = self._blocks.final_block(height)
            assert committed is not None
            self._header = committed.block.header
        return self._header.timestamp_ms

    # --- one record -----------------------------------------------------------------------------

    def get(self, key: bytes, kind: type[T], *, what: str, with_proof: bool = False) -> Answer[T]:
        """The record at a key; with proof, as it was at the proof's height."""
        id_ = key.partition(b"/")[2].decode(errors="replace")
        if not with_proof:
            value = self._storage.get(key)
            if value is None:
                raise NotFound(what, id_)
            return Answer(record=decode(kind, value), height=self.height)
        if self._storage.get(key) is None:  # never there: no use in waiting for an anchor
            raise NotFound(what, id_)
        proof = self._proofs.state(key)
        assert isinstance(proof.claim, StateClaim)
        if proof.claim.value is None:
            raise NotFound(what, id_)
        height = proof.headers[0].executed.height
        return Answer(record=decode(kind, proof.claim.value), height=height, proof=proof.encode())

    def find(self, key: bytes, kind: type[T]) -> T | None:
        value = self._storage.get(key)
        return None if value is None else decode(kind, value)

    def require_party(self, party: str) -> None:
        """Raise `NotFound` for a party that nobody registered: what it has is not empty, it is not there."""
        if self._storage.get(e.party_key(party)) is None:
            raise NotFound("party", party)

    def proof(self, key: bytes) -> Answer[None]:
        """A key's proof file, present or absent."""
        if not 0 < len(key) <= KEY_BYTES_MAX:
            raise RequestInvalid("key", f"has {len(key)} bytes, not 1 to {KEY_BYTES_MAX}")
        proof = self._proofs.state(key)
        return Answer(record=None, height=proof.headers[0].executed.height, proof=proof.encode())

    # --- lists ----------------------------------------------------------------------------------

    def list_state(
        self,
        prefix: bytes,
        kind: type[T],
        request: PageRequest,
        keep: Callable[[T], bool] = lambda _: True,
    ) -> Page[tuple[bytes, T]]:
        """A page of the records whose key begins with `prefix`, each with its key."""
        after = key_of(request.page_token, prefix)
        entries = ((key, (key, decode(kind, value))) for key, value in self._scan(prefix, after))
        return collect(entries, lambda pair: keep(pair[1]), size=page_size(request.page_size))

    def list_kind(
        self,
        prefix: bytes,
        kind: type[T],
        request: PageRequest,
        keep: Callable[[T], bool] = lambda _: True,
    ) -> Page[T]:
        """The same without the keys."""
        page = self.list_state(prefix, kind, request, keep)
        return Page(items=[record for _, record in page.items], next_token=page.next_token)

    def list_rows(
        self,
        row: str,
        key: Callable[[str], bytes],
        kind: type[T],
        request: PageRequest,
        keep: Callable[[T], bool] = lambda _: True,
    ) -> Page[T]:
        """A page of the records that the VM's index rows under `row` name."""
        prefix = row.encode()
        after = key_of(request.page_token, prefix)

        def entries() -> Iterator[tuple[bytes, T]]:
            for found in indexes.rows(self._storage, prefix, after=after):
                record = self.find(key(found[len(prefix) :].decode()), kind)
                if record is not None:
                    yield found, record

        return collect(entries(), keep, size=page_size(request.page_size))

    def rows(self, prefix: bytes) -> Iterator[bytes]:
        """The VM's index rows under a prefix."""
        return indexes.rows(self._storage, prefix)

    def template_named(self, name: str, version: str) -> bytes:
        """The program hash of a template by name and version; the newest published without one."""
        best: e.Template | None = None
        for row in indexes.rows(self._storage, f"template/name/{name}/".encode()):
            record = self.find(b"template/" + row.rpartition(b"/")[2], e.Template)
            if record is None or (version and record.version != version):
                continue
            if best is None or record.published_height >= best.published_height:
                best = record
        if best is None:
            raise NotFound("template", f"{name} {version}".strip())
        return best.program_hash

    def _scan(self, prefix: bytes, after: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        while True:
            chunk = self._storage.scan(prefix, after=after, limit=_CHUNK)
            yield from chunk
            if len(chunk) < _CHUNK:
                return
            after = chunk[-1][0]

    def balances(self, party: str) -> list[tuple[bytes, e.Balance]]:
        """Every balance of a party, by key. A party has few accounts."""
        prefix = f"balance/{party}/".encode()
        return [(key, decode(e.Balance, value)) for key, value in self._scan(prefix, None)]

    def usage_rows(self) -> int:
        """Usage rows accepted since genesis, counted over the reports. For a start only."""
        return sum(decode(e.UsageReport, value).rows for _, value in self._scan(b"report/", None))

    def currency_scales(self) -> dict[str, int]:
        entries = (decode(e.CurrencyEntry, value) for _, value in self._scan(b"currency/", None))
        return {entry.code: entry.scale for entry in entries}

    # --- receipts -------------------------------------------------------------------------------

    def receipt(self, transaction: Hash32) -> StoredReceipt:
        found = indexes.receipt_of(self._storage, transaction)
        if found is None:
            raise NotFound("receipt of transaction", transaction.hex())
        return found

    async def receipt_by_id(self, sender: str, id_: bytes) -> StoredReceipt:
        """The receipt of (sender, id): the one that used the id, or the newest that did not.

        Inside the validity window the machine knows it; else the sender's receipts are looked over.
        """
        known = self._machine.find(sender, id_)
        if known is not None:
            height, position = known[1]
            found = indexes.receipt_at(self._storage, Height(height), position)
            if found is not None:
                return found
        newest: StoredReceipt | None = None
        for seen, stored in enumerate(indexes.receipts_of_party(self._storage, sender)):
            if is_of(stored.data, sender, id_):
                newest = stored
                if stored.read().consumed:
                    break
            if seen % BREATHE_EVERY == BREATHE_EVERY - 1:
                await asyncio.sleep(0)
        if newest is None:
            raise NotFound("receipt of transaction", f"{sender}/{id_.hex()}")
        return newest

    def receipt_proof(self, stored: StoredReceipt) -> ProofFile:
        return self._proofs.receipt(stored)

    # --- statements -----------------------------------------------------------------------------

    async def statement(
        self, party: str, *, from_ms: int, until_ms: int, agreement: str, size: int, token: str
    ) -> Page[StatementLine]:
        """A page of a party's statement: one line a posting, in ledger order."""
        prefix = f"{party}/".encode()
        after = key_of(token, prefix)
        place = None if after is None else _place(after[len(prefix) :])

        def entries() -> Iterator[tuple[bytes, StatementLine | None]]:
            # Begin with the receipt of the token's line again: a receipt may hold several lines.
            start = None if place is None else (Height(place[0]), place[1] - 1)
            for stored in indexes.receipts_of_party(self._storage, party, after=start):
                receipt = stored.read()
                if until_ms and receipt.timestamp_ms >= until_ms:
                    return
                lines = statement_lines(receipt, party) if receipt.timestamp_ms >= from_ms else ()
                key = prefix + b"%d.%d." % (stored.height, stored.index)
                at = (stored.height, stored.index)
                if not lines and (place is None or at > place[:2]):
                    yield key + b"0", None  # nothing of the party's moved: it counts towards the scan only
                for number, line in enumerate(lines):
                    if place is None or (*at, number) > place:
                        yield key + b"%d" % number, line

        def wanted(line: StatementLine | None) -> bool:
            return line is not None and (not agreement or line.agreement == agreement)

        page = await collect_slowly(entries(), wanted, size=page_size(size))
        return Page(items=[line for line in page.items if line is not None], next_token=page.next_token)

    def _program(self, program_hash: bytes) -> Program | None:
        stored = self.find(e.program_key(program_hash), e.StoredProgram)
        return None if stored is None else decode_program(stored.code)

    def heading(self, program_hash: bytes, clause: str) -> str:
        """The heading of a program's clause; empty where there is none."""
        program = self.program(program_hash) if program_hash else None
        if program is None:
            return ""
        return next((one.heading for one in program.clauses if one.name == clause), "")

    def currency_of(self, program_hash: bytes) -> str:
        program = self.program(program_hash)
        return "" if program is None else program.currency

    # --- events ---------------------------------------------------------------------------------

    def events_after(self, place: Place, *, party: str) -> Iterator[tuple[str, Receipt, range]]:
        """Receipts behind a place, each with its own cursor and the events of it still to be told."""
        height, index, number = place
        before = (Height(height), index - 1)
        stored = (
            indexes.receipts_of_party(self._storage, party, after=None if place == BEFORE_ALL else before)
            if party
            else indexes.receipts_after(self._storage, before[0], before[1])
        )
        for one in stored:
            receipt = one.read()
            first = number + 1 if (one.height, one.index) == (height, index) else 0
            last = len(receipt.events) - 1
            at = self.cursors.event(one.height, one.index, max(last, 0))
            yield at, receipt, range(first, last + 1)

    # --- headers --------------------------------------------------------------------------------

    @property
    def blocks(self) -> StoredBlocks:
        return self._blocks


def _place(text: bytes) -> tuple[int, int, int]:
    parts = text.split(b".")
    if len(parts) != 3 or not all(part.isdigit() and len(part) <= 19 for part in parts):
        raise RequestInvalid("page_token", "is of another list", code="PAGE_TOKEN_INVALID")
    height, index, number = (int(part) for part in parts)
    return height, index, number

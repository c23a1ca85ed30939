"""What a command handler works with: the state, the block's time, who signed, and what came of it.

Collects events, journal entries, index rows and parties of the transaction under way, and writes its
receipt. Upholds: every journal entry sums to zero (asserted, always); authority of keys (scope, expiry)
at block time; a refused transaction leaves nothing but its receipt.

Index rows are ready-made keys for whoever serves lists; they are no part of the tree and hold nothing
that the records do not say:

    agreement/party/P/ID   agreement/asset/A/ID   grant/P/A/ID   offer/party/P/ID   offer/asset/A/ID
    asset/registrant/P/A   claim/asset/A/ID   template/name/NAME/VERSION/HASH   obligation/party/P/ID/N
    report/agreement/A/REPORTER/ID
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set, Sized
from typing import Any, Final, TypeVar, final

from licet.entities import (
    Agreement,
    Asset,
    CurrencyEntry,
    Party,
    agreement_key,
    asset_key,
    currency_key,
    party_key,
)
from licet.errors import LicetError
from licet.receipts import JournalEntry
from licet.records import encode, signed_varint, varint
from licet.transactions import Command, RegisterParty, Transaction, TransactionBody, Transfer

from licensing_vm.domain.reach import (
    ACCOUNT,
    ANCESTOR_ROW,
    ASSET,
    ENOUGH,
    HASHES_ROW,
    ID_ROW,
    KEY,
    KEYS_FREE,
    MET_FREE,
    MET_ITEM,
    PARENT_ROW,
    PAYEE_ROW,
    room_beside,
    too_wide,
)
from licensing_vm.errors import Refused, refusal_record
from licensing_vm.events import event_bytes
from licensing_vm.mould import blob_bytes, number_bytes, text_bytes
from licensing_vm.program.codegen import Translations
from licensing_vm.state import State

T = TypeVar("T")
Account = tuple[str, str, str]  # whose, of which currency, at which issuer if a transfer says so

FOREVER_MS: Final = 1 << 62
ANSWERS_KEPT: Final = 1 << 16  # about authority
PARTIES_FREE: Final = 8  # whose signatures a command's declared cost pays for


def accounts_of(body: TransactionBody) -> set[Account]:
    """The accounts that a transaction's transfers name: what each of them meets is known from its bytes."""
    sender = body.sender
    found: set[Account] = set()
    for command in body.commands:
        if type(command) is Transfer:
            found.update(transfer_accounts(sender, command))
    return found


def transfer_accounts(sender: str, command: Transfer) -> tuple[Account, Account]:
    code, issuer = command.amount.currency, command.issuer
    return (sender, code, issuer), (command.to, code, issuer)


def _unknown_party(party: str) -> Refused:
    return Refused("UNKNOWN_PARTY", f"There is no party {party!r}.", {"party": party})


def unknown_asset(asset: str) -> Refused:
    return Refused("UNKNOWN_ASSET", f"There is no asset {asset!r}.", {"asset": asset})


# Raised for each of many transactions; nothing is ever written into it.
FULL: Final = Refused("BLOCK_FULL", "The block has no room left for the work of this transaction.")
_FULL_RECORD: Final = encode(refusal_record(FULL))[1:]


def ancestors_work(ancestors: Sized) -> int:
    """The work of reading so many ancestors."""
    return MET_ITEM + ANCESTOR_ROW * len(ancestors)


def asset_work(asset: Asset) -> int:
    """The work of reading an asset."""
    rows = ANCESTOR_ROW * len(asset.ancestors) + PARENT_ROW * len(asset.parents)
    rows += PAYEE_ROW * len(asset.payout) + ID_ROW * len(asset.external_ids)
    return ASSET + rows + len(asset.content_hashes) // HASHES_ROW


def _asset_items(asset: Asset) -> int:
    """The same beyond what every command that names an asset declares."""
    return asset_work(asset) - MET_FREE * MET_ITEM


def _agreement_items(agreement: Agreement) -> int:
    """The work of reading an agreement beyond what every command that names one declares."""
    items = 2 * len(agreement.grants) + len(agreement.params) + len(agreement.roles) + len(agreement.assets)
    return (items - MET_FREE) * MET_ITEM


@final
class Context:
    """One per machine, begun anew for each transaction."""

    __slots__ = (
        "_may",
        "_rows_before",
        "_tx",
        "accounts_left",
        "accounts_met",
        "bound_in_block",
        "currencies",
        "declared_of",
        "entries",
        "events",
        "height",
        "height_bytes",
        "index",
        "met",
        "now",
        "open_registration",
        "parties",
        "position",
        "prepared",
        "programs",
        "read_in_block",
        "room",
        "rows",
        "searched",
        "sender",
        "state",
        "time_bytes",
        "translations",
        "unfunded",
        "work_asked",
        "work_before",
        "work_left",
        "work_wanted",
        "written",
    )

    def __init__(
        self, state: State, *, open_registration: bool, declared_of: Callable[[TransactionBody], int]
    ) -> None:
        self.state = state
        self.declared_of = declared_of  # what a transaction declares, see `domain.table`
        self.open_registration = open_registration
        self.height = 0
        self.now = 0
        self.rows = 0
        self.position = 0
        self.sender = ""
        self.unfunded = False
        self.room = 0  # for work, of a block that declares what this one does
        self.work_left = 0  # of it
        self.work_asked = 0  # by this transaction
        self.work_before = 0  # what was left when it began
        self.work_wanted = 0  # by the last one that was refused for want of room: at least so much
        self.accounts_met: set[Account] | None = None  # None: there is room for all
        self.accounts_left = 0
        self.met: set[bytes] = set()  # long records whose reading was paid for in this block
        self.bound_in_block: dict[Any, int] = {}  # terms whose binding was paid for, see `domain.bound`
        self.read_in_block: set[bytes] = set()  # those that binding read and paid for
        self.written: set[bytes] = set()  # long records whose writing was paid for
        self.searched: dict[Any, Any] = {}  # rights that were searched in this block, see `domain.rights`
        self.events: list[bytes] = []
        self.entries: list[bytes] = []
        self.index: list[bytes] = []
        self.parties: dict[str, None] = {}
        self.translations = Translations()
        self.programs: dict[bytes, Any] = {}  # loaded programs by hash, see `domain.programs`
        self.prepared: dict[Any, Any] = {}  # bound terms, see `domain.prepared`
        self._rows_before = 0
        self._may: dict[tuple[str, bytes, type[Any]], tuple[Party, int]] = {}
        self._tx: Transaction

    # -- life cycle ---------------------------------------------------------

    def open_block(
        self, height: int, now_ms: int, declared: int = 0, accounts: Set[Account] = frozenset()
    ) -> None:
        """`declared` is what the block's transactions declare, for which room is set aside (C-16); so it is
        for meeting the `accounts` that its transfers name. Only where these are more than the block has room
        for are they counted one by one."""
        self.height = height
        self.now = now_ms
        self.rows = 0
        self.room = self.work_left = room_beside(declared)
        self.work_asked = 0
        aside = min(len(accounts), self.work_left // ACCOUNT)
        self.accounts_met = None if aside == len(accounts) else set()
        self.accounts_left = aside
        self.work_left -= aside * ACCOUNT
        self.work_before = self.work_left
        self.bound_in_block.clear()
        self.met.clear()
        self.translations.open_block()
        self.read_in_block.clear()
        self.written.clear()
        self.searched.clear()
        self.height_bytes = signed_varint(height)
        self.time_bytes = signed_varint(now_ms)

    def begin(self, tx: Transaction, position: int) -> None:
        self._tx = tx
        self.position = position
        self.sender = tx.body.sender
        self.events = []
        self.entries = []
        self.index = []
        self.parties = {self.sender: None}
        self._rows_before = self.rows
        self.work_asked = 0
        self.work_before = self.work_left
        self.state.begin()

    def begin_unsigned(self) -> None:
        """Begin a computation that no transaction asked for (simulate); the caller rolls it back."""
        self.sender = ""
        self.events = []
        self.entries = []
        self.index = []
        self.parties = {}
        self.state.begin()

    def rollback(self) -> None:
        self.rows = self._rows_before
        self.state.rollback()

    def forget_prepared(self) -> None:
        """Drop all that is kept ready; it is made again from the state."""
        self.programs.clear()
        self.prepared.clear()
        self._may.clear()
        self._may.clear()

    def close_dry(self) -> None:
        """After a dry run: the height was borrowed."""
        self.height -= 1
        self.rows = 0

    def forget(self) -> None:
        """A block was discarded: its height too."""
        self.height -= 1
        self.rows = 0

    # -- reading ------------------------------------------------------------

    def party(self, party: str) -> Party:
        found = self._party(party)
        if found is None:
            raise _unknown_party(party)
        return found

    def must_exist(self, party: str) -> None:
        """There is such a party; its record is not decoded for that."""
        if not self.state.has(party_key(party)):
            raise _unknown_party(party)

    def _party(self, party: str) -> Party | None:
        """Whoever meets a party of many keys first in a block pays for its keys, before they are read."""
        key = party_key(party)
        if key in self.met:
            return self.state.get(key, Party)
        keys = self.state.keys_of(key)
        if keys > KEYS_FREE:
            self.spend((keys - KEYS_FREE) * KEY)
            self.met.add(key)
        return self.state.get(key, Party)

    def asset(self, asset: str) -> Asset:
        """Its record may be long: whoever meets it first in a block pays for that."""
        found = self.meet(asset_key(asset), Asset, _asset_items)
        if found is None:
            raise unknown_asset(asset)
        return found

    def paid_asset(self, asset: str) -> Asset:
        """The same where the caller pays, or has paid, by a rule of its own."""
        found = self.state.get(asset_key(asset), Asset)
        if found is None:
            raise unknown_asset(asset)
        return found

    def write_asset(self, asset: Asset) -> None:
        """Its record may be long: whoever writes it first in a block pays half of reading it."""
        key = asset_key(asset.asset)
        if key not in self.written:
            self.written.add(key)
            units = _asset_items(asset) // 2
            if units > 0:
                self.took(units)
        self.state.define(key, asset)

    def agreement(self, agreement: str) -> Agreement:
        found = self.meet(agreement_key(agreement), Agreement, _agreement_items)
        if found is None:
            raise Refused(
                "UNKNOWN_AGREEMENT", f"There is no agreement {agreement!r}.", {"agreement": agreement}
            )
        return found

    def currency(self, code: str) -> CurrencyEntry:
        found = self.state.get(currency_key(code), CurrencyEntry)
        if found is None:
            raise Refused("UNKNOWN_CURRENCY", f"The ledger has no currency {code!r}.", {"currency": code})
        return found

    def must_be_new(self, key: bytes, what: str, id_: str) -> None:
        if self.state.has(key):
            raise Refused("NAME_TAKEN", f"There is already {what} {id_!r}.", {"id": id_})

    # -- authority ----------------------------------------------------------

    def check_authority(self, scope_of: Callable[[Command], str]) -> None:
        """Every command's scope is covered by a signer's key of the sender."""
        tx = self._tx
        commands = tx.body.commands
        if self.accounts_met is not None and type(commands[0]) is Transfer:
            # A block of more accounts than there is room for: no time for those that wait.
            self.meet_accounts(transfer_accounts(self.sender, commands[0]))
        party = self._party(self.sender)
        if len(commands) == 1 and len(tx.signatures) == 1:
            # The common case was answered before, for this very record of the party and until some time.
            asked = (self.sender, tx.signatures[0].public_key, type(commands[0]))
            known = self._may.get(asked)
            if known is not None and known[0] is party and self.now < known[1]:
                return
        else:
            asked = None
        until = FOREVER_MS
        if party is None:
            first = commands[0]
            if not isinstance(first, RegisterParty):
                raise Refused(
                    "NO_AUTHORITY", f"The sender {self.sender!r} is not registered.", {"party": self.sender}
                )
            keys: Iterable[Any] = first.keys
        else:
            keys = party.keys
        for command in commands:
            scope = scope_of(command)
            until = min(until, self._signs(keys, scope))
            if not until:
                raise Refused(
                    "NO_AUTHORITY",
                    f"No signer may sign {scope!r} for {self.sender!r} now.",
                    {"party": self.sender, "scope": scope},
                )
        if asked is not None and party is not None:
            if len(self._may) >= ANSWERS_KEPT:
                self._may.clear()
            self._may[asked] = (party, until)

    def _signs(self, keys: Iterable[Any], scope: str) -> int:
        """Until when a signer's key covers the scope; 0 if none does now."""
        now = self.now
        for signature in self._tx.signatures:
            public_key = signature.public_key
            for key in keys:
                if key.public_key == public_key and not 0 < key.expires_ms <= now:
                    scopes = key.scopes
                    if scope in scopes or "all" in scopes:
                        return key.expires_ms or FOREVER_MS
        return 0

    def signed_by(self, party: str, scope: str) -> bool:
        """Whether a key of this party, good for the scope now, is among the signers."""
        found = self._party(party)
        return found is not None and self._signs(found.keys, scope) > 0

    def must_sign(self, parties: Iterable[str], scope: str, why: str) -> None:
        named = dict.fromkeys(parties)
        self.compare(len(named))
        missing = sorted(party for party in named if not self.signed_by(party, scope))
        if missing:
            raise Refused(
                "NOT_SIGNED",
                f"{why}: {', '.join(missing)} did not sign.",
                {"missing": ", ".join(missing), "scope": scope},
            )

    def compare(self, parties: int) -> None:
        """Pay for looking among the signers for keys of so many parties; a few are free."""
        if parties > PARTIES_FREE:
            self.spend((parties - PARTIES_FREE) * (2 + 2 * len(self._tx.signatures)))

    # -- work ---------------------------------------------------------------

    def spend(self, units: int) -> None:
        """Take work from the block's budget before doing it. What was spent stays spent: a refusal that
        follows takes back effects, not the time they took."""
        self.must_have_room(units)
        self.work_asked += units
        self.work_left -= units

    def took(self, units: int) -> None:
        """Pay for work whose size is only known once it is done: with all that is left, if need be, and then
        nothing more is begun. So a block overdraws by one such step at most."""
        if units <= self.work_left:
            self.work_asked += units
            self.work_left -= units
            return
        self.work_left = 0
        self.work_wanted = self.work_asked + units
        alone = self._room_alone()
        if self.work_before >= min(ENOUGH, alone):
            raise too_wide(block=str(alone))
        raise FULL.with_traceback(None)

    def _room_alone(self) -> int:
        """The work there is room for in a block that holds this transaction and no other."""
        if not self.sender:  # nobody's transaction: simulate
            return room_beside(0)
        body = self._tx.body
        return max(0, room_beside(self.declared_of(body)) - ACCOUNT * len(accounts_of(body)))

    def meet_accounts(self, accounts: Sequence[Account]) -> None:
        """The accounts of a transfer: those that no transfer of the block met before take from what was set
        aside for them."""
        met = self.accounts_met
        if met is None:
            return
        for account in accounts:
            if account not in met:
                if not self.accounts_left:
                    own, alone = len(accounts_of(self._tx.body)), room_beside(self.declared_of(self._tx.body))
                    if own * ACCOUNT > alone:
                        raise too_wide(accounts=str(own), block=str(alone // ACCOUNT))
                    self.work_wanted = self.work_asked
                    raise FULL.with_traceback(None)
                self.accounts_left -= 1
                met.add(account)

    def meet(self, key: bytes, kind: type[T], work_of: Callable[[T], int]) -> T | None:
        """Read a record that may be long. Whoever meets it first in a block pays for its reading, whether or
        not this node has it decoded."""
        if key in self.met:
            return self.state.get(key, kind)
        self.must_have_room(1)
        found = self.state.get(key, kind)
        if found is not None:
            self.met.add(key)
            units = work_of(found)
            if units > 0:
                self.took(units)
        return found

    def must_have_room(self, units: int) -> None:
        """Refuse what may be more work than this block has left, or than any block has."""
        if units > self.work_left:
            asked, alone = self.work_asked + units, self._room_alone()
            if asked > alone:
                raise too_wide(work=str(asked), block=str(alone))
            self.work_wanted = asked
            raise FULL.with_traceback(None)

    # -- effects ------------------------------------------------------------

    @property
    def transaction_hash(self) -> bytes:
        return self._tx.hash

    def event(self, kind: str, attributes: Mapping[str, str], parties: Iterable[str] = ()) -> None:
        """Something happened; `parties` are those it concerns."""
        self.events.append(event_bytes(kind, attributes))
        for party in parties:
            self.parties[party] = None

    def entry(self, entry: JournalEntry) -> None:
        """A journal entry. It sums to zero or the machine stops."""
        assert sum(posting.change for posting in entry.postings) == 0, entry
        self.entries.append(encode(entry)[1:])
        for posting in entry.postings:
            self.parties[posting.party] = None

    # -- receipts -----------------------------------------------------------

    def receipt(self) -> bytes:
        """The committed transaction's receipt: the canonical bytes of `licet.receipts.Receipt`.

        Put together from parts that are encoded already; a test holds it equal to the record's encoding.
        """
        events, entries = self.events, self.entries
        return b"".join(
            (self._head(b"\x01\x00"), varint(len(events)), *events, varint(len(entries)), *entries)
        )

    def refusal(self, why: LicetError, consumed: bool) -> bytes:
        """The refused transaction's receipt."""
        flags = b"\x01\x01" if consumed else b"\x00\x01"
        record = _FULL_RECORD if why is FULL else encode(refusal_record(why))[1:]
        return b"".join((self._head(flags), record, b"\0\0"))

    def _head(self, flags: bytes) -> bytes:
        tx = self._tx
        return b"".join(
            (
                b"\x2c\x20",
                tx.hash,
                text_bytes(self.sender),
                blob_bytes(tx.body.id),
                self.height_bytes,
                number_bytes(self.position),
                self.time_bytes,
                flags,
            )
        )

"""A ledger in memory for tests of the domain: parties with keys, blocks, and an independent bookkeeper.

The bookkeeper knows nothing of the VM: after every block it reads all balances from the raw state and
all entries from the raw receipts, and checks that they add up (the invariants of the ledger's design).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from licet.certificate import CertificateKind
from licet.crypto import SigningKey
from licet.encoding import Tag, hash_tagged
from licet.entities import Asset, Balance, ClaimList, asset_key, claims_key
from licet.genesis import Currency, Genesis, GenesisParty, Parameters, Validator
from licet.receipts import Receipt, read_receipt
from licet.records import decode, encode
from licet.transactions import (
    AssetBinding,
    Command,
    CreateOffer,
    Deposit,
    Key,
    KeySignature,
    LinkLineage,
    Money,
    ParamBinding,
    PublishTemplate,
    RegisterAsset,
    RegisterParty,
    RoleBinding,
    Transaction,
    TransactionBody,
)
from licet.types import ZERO_HASH, Hash32, PublicKey, Signature

from licensing_vm.calendar import Date, start_of
from licensing_vm.transition import BlockInput, BlockResult, Machine, Status, initial_entries

START_MS = start_of(Date(2026, 1, 1))
TERMS = Path(__file__).parents[4] / "examples" / "terms"
EUR = 1_000_000  # minor units of one euro on a development ledger


def key_of(party: str) -> PublicKey:
    """Every party's key follows from its name."""
    return _signing(party).public_key


_KEYS: dict[str, SigningKey] = {}


def _signing(party: str) -> SigningKey:
    if party not in _KEYS:
        _KEYS[party] = SigningKey(hash_tagged(Tag.KEY_FILE, party.encode()))
    return _KEYS[party]


def genesis(**parameters: int | bool) -> Genesis:
    def member(name: str, *roles: str) -> GenesisParty:
        return GenesisParty(party=name, name=name, kind="organisation", public_key=key_of(name), roles=roles)

    return Genesis(
        name="test",
        dev=True,
        time_ms=START_MS,
        nonce=bytes(16),
        certificate_kind=next(iter(CertificateKind)),
        validators=(Validator(name="n1", public_key=key_of("n1")),),
        parameters=Parameters(**parameters),  # type: ignore[arg-type]
        currencies=(Currency(code="EUR", scale=6), Currency(code="USD", scale=2)),
        parties=(
            member("bank", "issuer:EUR", "issuer:USD"),
            member("mint", "issuer:USD"),
            member("clerk", "registrar"),
        ),
        initial_state_root=ZERO_HASH,
    )


class Ledger:
    """Executes transactions block by block and checks the books after each."""

    def __init__(self, *, start_ms: int = START_MS, **parameters: int | bool) -> None:
        self.genesis = genesis(**parameters)
        self.chain_id = self.genesis.chain_id()
        self.state: dict[bytes, bytes] = initial_entries(self.genesis)
        self.machine = Machine(self.state, self.genesis)
        self.height = 0
        self.now = start_ms
        self.receipts: list[Receipt] = []
        self._ids = 0
        self.may_fault = False  # a contained bug of ours fails the test that meets it

    # -- building -----------------------------------------------------------

    def tx(
        self,
        sender: str,
        *commands: Command,
        signers: Sequence[str] = (),
        id_: bytes | None = None,
        valid_for_ms: int = 60_000,
        keys: Sequence[PublicKey] = (),
        chain_id: bytes | None = None,
    ) -> Transaction:
        """A transaction as if its signatures had been verified by their bytes."""
        self._ids += 1
        body = TransactionBody(
            chain_id=self.chain_id if chain_id is None else chain_id,  # type: ignore[arg-type]
            id=self._ids.to_bytes(16, "big") if id_ is None else id_,
            sender=sender,
            valid_until_ms=self.now + valid_for_ms,
            commands=commands,
        )
        raw = repr(body).encode()
        by = keys or [key_of(party) for party in (sender, *signers)]
        signatures = tuple(KeySignature(public_key=key, signature=Signature(bytes(64))) for key in by)
        return Transaction(
            hash=Hash32(hash_tagged(Tag.TRANSACTION, raw)), raw_body=raw, body=body, signatures=signatures
        )

    # -- executing ----------------------------------------------------------

    def block(self, *transactions: Transaction, at_ms: int | None = None) -> BlockResult:
        self.height += 1
        self.now = self.now + 1_000 if at_ms is None else at_ms
        result = self.machine.execute(
            BlockInput(height=self.height, timestamp_ms=self.now, transactions=transactions)
        )
        assert self.may_fault or not result.faults, result.faults
        for key, value in result.writes.items():
            if value is None:
                del self.state[key]
            else:
                assert self.state.get(key) != value, f"{key!r} is written and did not change"
                self.state[key] = value
        self.machine.commit()
        for done in result.executed:
            if done.status is not Status.REPEATED:
                receipt = read_receipt(done.receipt)
                assert encode(receipt) == done.receipt
                assert receipt.committed == (done.status is Status.COMMITTED)
                self.receipts.append(receipt)
        self.check_books()
        return result

    def run(self, sender: str, *commands: Command, signers: Sequence[str] = ()) -> Receipt:
        """Execute one transaction in a block of its own; it must be committed."""
        receipt = self.attempt(sender, *commands, signers=signers)
        assert receipt.refusal is None, receipt.refusal
        return receipt

    def refused(self, sender: str, *commands: Command, signers: Sequence[str] = ()) -> str:
        """Execute one transaction that must be refused and change nothing; its code."""
        before = dict(self.state)
        receipt = self.attempt(sender, *commands, signers=signers)
        assert receipt.refusal is not None, receipt
        assert self.state == before, "a refused transaction changes nothing"
        return receipt.refusal.code

    def attempt(self, sender: str, *commands: Command, signers: Sequence[str] = ()) -> Receipt:
        self.block(self.tx(sender, *commands, signers=signers))
        return self.receipts[-1]

    # -- helping ------------------------------------------------------------

    def party(self, *names: str) -> None:
        for name in names:
            key = Key(public_key=key_of(name), scopes=("all",))
            self.run(name, RegisterParty(name=name, kind="organisation", keys=(key,)))

    def fund(self, party: str, minor: int, currency: str = "EUR") -> None:
        self.run("bank", Deposit(to=party, amount=Money(currency=currency, minor=minor)))

    def read(self, key: bytes, kind: type):  # type: ignore[no-untyped-def]
        """A record as the committed bytes have it."""
        value = self.state.get(key)
        return None if value is None else decode(kind, value)

    def balance(self, party: str, account: str = "cash", currency: str = "EUR", issuer: str = "bank") -> int:
        owner = issuer if account in ("cash", "issued") else ""
        found = self.read(f"balance/{party}/{account}/{owner}/{currency}".encode(), Balance)
        return 0 if found is None else found.amount

    def asset(self, registrant: str, *names: str, kind: str = "image") -> None:
        for name in names:
            self.run(registrant, RegisterAsset(asset=name, kind=kind, title=name))

    def link(self, child: str, parent: str, rate_e9: int) -> None:
        """Link two works, signed by all who own them."""
        sender, *others = dict.fromkeys((*self.owners(child), *self.owners(parent)))
        self.run(
            sender,
            LinkLineage(child=child, parent=parent, relation="derived", rate_e9=rate_e9),
            signers=others,
        )

    def owners(self, asset: str) -> list[str]:
        """Who owns a work: its registrant, and every claim's holder."""
        claims = self.read(claims_key(asset), ClaimList)
        holders = [claim.holder for claim in claims.claims] if claims else []
        return [self.read(asset_key(asset), Asset).registrant, *holders]

    # -- the bookkeeper -----------------------------------------------------

    def check_books(self) -> None:
        """Entries sum to zero; balances are what all entries add up to; cash is what was issued; only
        issued and payable are below zero."""
        accounts = ("", "cash", "receivable", "payable", "issued")
        booked: dict[tuple[str, ...], int] = defaultdict(int)
        for receipt in self.receipts:
            for entry in receipt.entries:
                assert sum(posting.change for posting in entry.postings) == 0, entry
                cash = sum(p.change for p in entry.postings if accounts[p.account] in ("cash", "issued"))
                assert cash == 0, "cash does not turn into claims"
                for posting in entry.postings:
                    account = accounts[posting.account]
                    issuer = entry.issuer if account in ("cash", "issued") else ""
                    booked[posting.party, account, issuer, entry.currency] += posting.change
        stored: dict[tuple[str, ...], int] = {}
        for key, value in self.state.items():
            if key.startswith(b"balance/"):
                stored[tuple(key.decode().split("/")[1:])] = decode(Balance, value).amount
        assert {k: v for k, v in booked.items() if v} == {k: v for k, v in stored.items() if v}
        for (party, account, _, _), amount in stored.items():
            assert amount >= 0 or account in ("issued", "payable"), (party, account, amount)
            assert amount <= 0 or account in ("cash", "receivable"), (party, account, amount)


def publish(
    ledger: Ledger, name: str, publisher: str = "studio", replaced: Mapping[str, str] | None = None
) -> bytes:
    """Publish one of the examples, or a source text, with pieces of it replaced; its program's hash."""
    source = (TERMS / f"{name}.terms").read_text() if "{" not in name else name
    for old, new in (replaced or {}).items():
        assert old in source
        source = source.replace(old, new)
    receipt = ledger.run(publisher, PublishTemplate(source=source))
    return bytes.fromhex(next(a.value for a in receipt.events[0].attributes if a.name == "program_hash"))


def roles_of(**roles: str) -> tuple[RoleBinding, ...]:
    return tuple(RoleBinding(role=role, party=party) for role, party in roles.items())


def offer_of(
    offer: str,
    terms: bytes,
    roles: dict[str, str],
    params: dict[str, str],
    assets: dict[str, str | tuple[str, ...]],
    expires_ms: int = 0,
) -> CreateOffer:
    return CreateOffer(
        offer=offer,
        program_hash=Hash32(terms),
        roles=roles_of(**roles),
        params=tuple(ParamBinding(name=name, value=value) for name, value in params.items()),
        assets=tuple(
            AssetBinding(slot=slot, asset=asset)
            for slot, names in assets.items()
            for asset in ((names,) if isinstance(names, str) else names)
        ),
        expires_ms=expires_ms,
    )

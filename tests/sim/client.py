"""A client: one transaction under one id, seen through until it is told that the id is used up.

Its bytes are made when a node first tells what time it is. A node that falls silent
is passed over for another. Told that a block was full, it sends the same bytes again,
sometimes to everybody at once; told that nobody entitled signed, it signs the same
body with the newest key of its party, so that two sets of bytes with one hash are about.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from licet.builder import SignedTransaction, build_transaction
from licet.crypto import SigningKey
from licet.transactions import Command

from tests.sim.genesis import later_key, make_genesis, party_key
from tests.sim.shell import SimNode

VALID_MS = 120_000

Commands = list[Command] | Callable[[SimNode], list[Command]]


class Keyring:
    """The keys that parties sign with: the newest that is theirs for good, and others they may try."""

    def __init__(self) -> None:
        self._newest: dict[str, SigningKey] = {}
        self._made: dict[str, int] = {}
        self.spare: dict[str, list[SigningKey]] = {}

    def newest(self, party: str) -> SigningKey:
        """The key that the party's clients take."""
        return self._newest.get(party) or party_key(party)

    def make(self, party: str) -> SigningKey:
        """One more key."""
        self._made[party] = self._made.get(party, 0) + 1
        return later_key(party, self._made[party])

    def adopt(self, party: str, key: SigningKey) -> None:
        """It has replaced the one before."""
        self._newest[party] = key


@dataclass(slots=True, kw_only=True)
class Client:
    """One transaction on its way."""

    sender: str
    commands: Commands  # a function looks at a node first
    signers: tuple[str, ...]
    id: bytes
    keyring: Keyring
    first_key: SigningKey | None = None  # of the sender; the newest, if not said
    on_committed: Callable[[], None] | None = None
    signed: SignedTransaction | None = None
    turned_seen: int = 0  # how often it was told that the id is still to be used
    _body: list[Command] = field(default_factory=list)

    def build(self, node: SimNode) -> SignedTransaction:
        """Its bytes."""
        if self.signed is None:
            self._body = self.commands(node) if callable(self.commands) else self.commands
            own = self.first_key or self.keyring.newest(self.sender)
            self.signed = self._sign(own, node.ledger_now_ms() + VALID_MS)
        return self.signed

    def sign_again(self) -> None:
        """The same body under the newest keys."""
        assert self.signed is not None
        before = self.signed
        self.signed = self._sign(self.keyring.newest(self.sender), before.valid_until_ms)
        assert self.signed.hash == before.hash, "signatures are no part of what is hashed"

    def _sign(self, own: SigningKey, valid_until_ms: int) -> SignedTransaction:
        others = tuple(self.keyring.newest(name) for name in self.signers if name != self.sender)
        return build_transaction(
            chain_id=make_genesis().chain_id(),
            sender=self.sender,
            commands=self._body,
            valid_until_ms=valid_until_ms,
            keys=(own, *others),
            id=self.id,
        )

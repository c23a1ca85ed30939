"""A small network for tests of the node: keys, a genesis, transactions, a scripted ordering."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import sha256

from licet.certificate import CertificateKind, ExecutedRoots, Header, Vote, payload_root
from licet.codec import encode_body, encode_transaction
from licet.crypto import SigningKey, Verified, mark_verified
from licet.encoding import Tag
from licet.genesis import Currency, Genesis, GenesisParty, Parameters, Validator
from licet.merkle import EMPTY_LOG_ROOT
from licet.transactions import (
    Command,
    Deposit,
    KeySignature,
    Money,
    Transaction,
    TransactionBody,
    Transfer,
)
from licet.types import (
    ZERO_HASH,
    Epoch,
    Hash32,
    Height,
    TimestampMs,
    ValidatorIndex,
    View,
)

from consensus.effects import Effects, Request
from consensus.events import AnyEvent
from consensus.evidence import Evidence
from consensus.messages import Message
from consensus.status import Status
from consensus.types import Block, CommittedBlock, Recovered
from licensing_vm.transition import initial_entries
from node.core.batches import Batch, encode_batch
from node.core.core import Core
from node.core.events import AdmittedTransactions
from node.core.verifier import Verifier
from node.ledger.assembly import chain_config
from node.storage.state_tree import StateTree

START_MS = TimestampMs(1_760_000_000_000)
DEPTH = 2


def key(name: str) -> SigningKey:
    return SigningKey(sha256(f"core test {name}".encode()).digest())


@cache
def genesis(validators: int = 4, *, manual_clock: bool = False, batch_bytes_max: int = 1 << 20) -> Genesis:
    kind = CertificateKind.SEQUENCER if validators == 1 else CertificateKind.SIMPLEX
    parties = (("bank", ("issuer:EUR",)), ("ada", ()), ("ben", ()))
    bare = Genesis(
        name="core",
        dev=True,
        time_ms=START_MS,
        nonce=bytes(16),
        certificate_kind=kind,
        validators=tuple(
            Validator(name=f"n{index + 1}", public_key=key(f"v{index}").public_key)
            for index in range(validators)
        ),
        parameters=Parameters(tree_depth=DEPTH, manual_clock=manual_clock, batch_bytes_max=batch_bytes_max),
        currencies=(Currency(code="EUR", scale=6),),
        parties=tuple(
            GenesisParty(party=name, name=name, kind="person", public_key=key(name).public_key, roles=roles)
            for name, roles in parties
        ),
        initial_state_root=ZERO_HASH,
    )
    update = StateTree(depth=DEPTH).apply(Height(0), dict(initial_entries(bare)))
    return replace(bare, initial_state_root=update.root)


def transaction(
    number: int,
    *,
    chain: Genesis | None = None,
    valid_until_ms: int = START_MS + 60_000,
    sender: str = "bank",
    command: Command | None = None,
) -> bytes:
    """A signed transaction's bytes, by default a deposit of one to ada."""
    body = TransactionBody(
        chain_id=(chain or genesis()).chain_id(),
        id=number.to_bytes(16, "big"),
        sender=sender,
        valid_until_ms=valid_until_ms,
        commands=(command or Deposit(to="ada", amount=Money(currency="EUR", minor=1)),),
    )
    raw = encode_body(body)
    signer = key(sender)
    signature = KeySignature(public_key=signer.public_key, signature=signer.sign(Tag.TRANSACTION, raw))
    return encode_transaction(raw, (signature,))


def transfer(number: int, minor: int, *, chain: Genesis | None = None) -> bytes:
    """ada pays ben."""
    command = Transfer(to="ben", amount=Money(currency="EUR", minor=minor))
    return transaction(number, chain=chain, sender="ada", command=command)


def flat_cost(_: Transaction) -> int:
    return 10


def verifier(chain: Genesis | None = None, *, cost: Callable[[Transaction], int] = flat_cost) -> Verifier:
    one = chain or genesis()
    config = chain_config(one, None)
    return Verifier(
        chain_id=config.chain_id, validators=config.validators, parameters=one.parameters, cost=cost
    )


def batch(
    author: int, numbers: list[int], *, sequence: int = 1, valid_until_ms: int = START_MS + 60_000
) -> Batch:
    """A verified batch of deposits."""
    raws = [transaction(number, valid_until_ms=valid_until_ms) for number in numbers]
    _, raw = encode_batch(
        raws,
        chain_id=genesis().chain_id(),
        author=ValidatorIndex(author),
        sequence=sequence,
        key=key(f"v{author}"),
    )
    return verifier().batch_now(raw).value


def block(
    digests: tuple[Hash32, ...], *, view: int = 1, height: int = 1, parent: Block | None = None
) -> Block:
    """A block that orders these batches."""
    chain = genesis()
    header = Header(
        chain_id=chain.chain_id(),
        epoch=Epoch(0),
        view=View(view),
        height=Height(height),
        parent_id=Hash32(chain.chain_id()) if parent is None else parent.id,
        parent_view=View(0) if parent is None else parent.view,
        timestamp_ms=TimestampMs(START_MS + 10 * view),
        proposer=ValidatorIndex(view % len(chain.validators)),
        payload_root=payload_root(digests),
        executed=ExecutedRoots(
            height=Height(0), state_root=chain.initial_state_root, log_root=EMPTY_LOG_ROOT, log_size=0
        ),
    )
    return Block(header=header, digests=digests)


def admitted(numbers: list[int], *, chain: Genesis | None = None) -> Verified[AdmittedTransactions]:
    """What admission hands over."""
    check = verifier(chain)
    raws = tuple(transaction(number, chain=chain) for number in numbers)
    return mark_verified(
        AdmittedTransactions(
            raws=raws, transactions=tuple(check.admit_form(raw) for raw in raws), cost=10 * len(raws)
        )
    )


@dataclass
class ScriptedOrdering:
    """An ordering that does what a test tells it, and remembers what it was told."""

    script: list[Effects] = field(default_factory=list)  # answers to the next events, in order
    seen: list[AnyEvent] = field(default_factory=list)
    view: View = field(default_factory=lambda: View(1))
    leader: ValidatorIndex = field(default_factory=lambda: ValidatorIndex(1))

    def start(self, recovered: Recovered, *, now_ms: TimestampMs, mono_us: int) -> Effects:
        return self.script.pop(0) if self.script else Effects()

    def handle(self, event: AnyEvent) -> Effects:
        self.seen.append(event)
        return self.script.pop(0) if self.script else Effects()

    def wants(self, peer: ValidatorIndex, message: Message) -> Message | None:
        return message

    def knows(self, vote: Vote) -> bool:
        return False

    def evidence(self) -> tuple[Evidence, ...]:
        return ()

    def status(self, mono_us: int) -> Status:
        return Status(
            view=self.view,
            leader=self.leader,
            committed_height=Height(0),
            executed_height=Height(0),
            finalized_view=View(0),
            voting=True,
            not_voting_why="",
            isolated=False,
            pending_work=True,
            delta_ms=100,
            quorum=3,
            have=0,
            missing=(),
            peers=(),
            catching_up_to=None,
        )


@dataclass
class NothingStored:
    """An archive without blocks, but perhaps with batches."""

    batches: dict[Hash32, bytes] = field(default_factory=dict)

    def batch(self, digest: Hash32) -> bytes | None:
        return self.batches.get(digest)

    def final_block(self, height: Height) -> CommittedBlock | None:
        return None


def make_core(ordering: ScriptedOrdering, archive: NothingStored | None = None) -> Core:
    """Validator 0's core over a scripted ordering."""
    chain = genesis()
    core = Core(
        chain=chain_config(chain, key("v0").public_key),
        parameters=chain.parameters,
        ordering=ordering,
        batch_key=key("v0"),
        archive=archive or NothingStored(),
    )
    core.start(Recovered(), (), now_ms=START_MS, mono_us=0)
    return core


def asks(*requests: Request) -> Effects:
    """Effects that ask the shell something."""
    return Effects(requests=requests)


def commits(*blocks: Block) -> Effects:
    """Effects that make blocks final."""
    return Effects(commits=tuple(CommittedBlock(block=one) for one in blocks))

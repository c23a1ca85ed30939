"""One node put together from a genesis, a store and a folder of files; no network, no loop.

`assemble` opens everything, replays nothing and sends nothing: the first effects come
from `start`. The driver and the simulator's nodes are made here, so that both run the same parts.
"""

from __future__ import annotations

from dataclasses import dataclass

from licet.certificate import CertificateKind, ExecutedRoots, ValidatorSet
from licet.crypto import SigningKey, Verified, signature_valid
from licet.genesis import Genesis
from licet.merkle import EMPTY_LOG_ROOT
from licet.types import Height, PublicKey, TimestampMs

from consensus import votelog
from consensus.config import ChainConfig
from consensus.guard import SignerGuard
from consensus.ports import Ordering
from consensus.replica import Replica
from consensus.sequencer import Sequencer
from consensus.types import Recovered
from licensing_vm.transition import Machine, cost, initial_entries
from node.core.batches import Batch
from node.core.core import Core
from node.core.effects import CoreEffects
from node.core.verifier import SignatureCheck, Verifier
from node.ledger.archive import StoredBlocks
from node.ledger.executor import Executor, initialise
from node.ledger.finding import EarlierFinding
from node.ledger.proofs import Proofs
from node.ledger.recovery import held_batches, open_votes, recovered
from node.ledger.writes import RecentWrites
from node.storage.files import Files
from node.storage.log import MerkleLog
from node.storage.port import Storage
from node.storage.state import State
from node.storage.wal import PayloadFile, VotesFile


def chain_config(genesis: Genesis, public_key: PublicKey | None) -> ChainConfig:
    """What consensus needs of genesis, for the validator with this key or for an observer."""
    parameters = genesis.parameters
    validators = ValidatorSet(keys=tuple(one.public_key for one in genesis.validators))
    return ChainConfig(
        chain_id=genesis.chain_id(),
        validators=validators,
        scheme=genesis.certificate_kind,
        genesis_time_ms=TimestampMs(genesis.time_ms),
        genesis_roots=ExecutedRoots(
            height=Height(0), state_root=genesis.initial_state_root, log_root=EMPTY_LOG_ROOT, log_size=0
        ),
        index=None if public_key is None else validators.index_of(public_key),
        manual_clock=parameters.manual_clock,
        anchor_lag=parameters.anchor_lag,
        digests_per_block_max=parameters.block_batches_max,
        digest_window_ms=parameters.window_ms,
    )


def create_signing_record(files: Files, *, chain: ChainConfig, public_key: PublicKey) -> None:
    """What `init` does, and nothing else ever (C-10)."""
    VotesFile.create(files, votelog.initial_file(chain.chain_id, public_key)).close()


def create_ordering(chain: ChainConfig, guard: SignerGuard | None) -> Ordering:
    """The engine whose certificates genesis names."""
    if chain.scheme is CertificateKind.SEQUENCER:
        return Sequencer(chain, guard)
    return Replica(chain, guard)


@dataclass(slots=True, kw_only=True)
class Node:
    """The parts of one node, opened."""

    genesis: Genesis
    chain: ChainConfig
    storage: Storage
    files: Files
    state: State
    log: MerkleLog
    machine: Machine
    executor: Executor
    verifier: Verifier
    payload: PayloadFile
    votes: VotesFile | None
    core: Core
    proofs: Proofs
    recovered: Recovered
    batches: tuple[Verified[Batch], ...]

    def start(self, *, now_ms: TimestampMs, mono_us: int) -> CoreEffects:
        """Take up what the disk holds: the first turn's effects."""
        batches, self.batches = self.batches, ()
        return self.core.start(self.recovered, batches, now_ms=now_ms, mono_us=mono_us)

    def first_time_ms(self) -> TimestampMs:
        """Where a virtual clock starts: at the highest final block held, or at genesis."""
        head = self.recovered.head
        return self.chain.genesis_time_ms if head is None else head.header.timestamp_ms

    def close(self) -> None:
        """Close files and store, syncing nothing."""
        self.payload.close()
        if self.votes is not None:
            self.votes.close()
        self.storage.close()


def assemble(
    genesis: Genesis,
    *,
    storage: Storage,
    files: Files,
    key: SigningKey | None,
    signature_check: SignatureCheck = signature_valid,
) -> Node:
    """Open a node's parts. Raises the storage's errors, each a sentence with a remedy."""
    chain = chain_config(genesis, None if key is None else key.public_key)
    parameters = genesis.parameters
    state = State(storage, depth=parameters.tree_depth)
    if storage.height is None:
        initialise(storage, state, genesis, initial_entries(genesis))
    log = MerkleLog(storage)
    machine = Machine(state, genesis, chain_id=chain.chain_id)
    verifier = Verifier(
        chain_id=chain.chain_id,
        validators=chain.validators,
        parameters=parameters,
        cost=cost,
        signature_check=signature_check,
    )
    votes = open_votes(files, chain=chain, public_key=None if key is None else key.public_key)
    payload = PayloadFile.open(files)
    taken = recovered(storage, payload, votes, chain=chain)
    guard = None
    if votes.record is not None and key is not None and chain.index is not None:
        guard = SignerGuard(
            key, record=votes.record, chain_id=chain.chain_id, epoch=chain.epoch, index=chain.index
        )
    writes = RecentWrites(EarlierFinding(files))
    core = Core(
        chain=chain,
        parameters=parameters,
        ordering=create_ordering(chain, guard),
        batch_key=key if chain.index is not None else None,
        archive=StoredBlocks(storage),
        writes=writes,
        foresight=machine.foresight,
    )
    return Node(
        genesis=genesis,
        chain=chain,
        storage=storage,
        files=files,
        state=state,
        log=log,
        machine=machine,
        executor=Executor(
            machine=machine,
            state=state,
            log=log,
            storage=storage,
            window_ms=parameters.window_ms,
            writes=writes,
        ),
        verifier=verifier,
        payload=payload,
        votes=votes.file,
        core=core,
        proofs=Proofs(chain_id=chain.chain_id, storage=storage, state=state, log=log),
        recovered=taken,
        batches=held_batches(storage, payload, verifier),
    )

"""Every limit of the consensus room, and the relations between them, asserted at import.

`ChainConfig` holds what genesis fixes and binds validity: all validators have
the same. The constants are each replica's own conduct and may differ between
versions without forking anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from licet.certificate import FIRST_EPOCH, CertificateKind, ExecutedRoots, ValidatorSet
from licet.types import ChainId, Epoch, Hash32, TimestampMs, ValidatorIndex

# --- time (µs on the monotonic clock) -------------------------------------------------
MS: Final = 1_000
DELTA_FLOOR_US: Final = 100 * MS  # C-8
DELTA_CAP_US: Final = 2_000 * MS
DELTA_SAMPLES: Final = 8  # measured times that Δ is never below
IDLE_MAX_US: Final = 10_000 * MS  # C-9
RESEND_US: Final = 1_000 * MS  # t_r, C-4
PACE_US: Final = 25 * MS  # C-9: least age of the newest block with transactions
PACE_FULL_US: Final = 50 * MS  # the same when it was over half full
ASK_AGAIN_US: Final = 5 * MS  # a mempool with nothing to order is asked again while work is pending
FETCH_RETRY_US: Final = 250 * MS  # a fetch unanswered this long goes to the next peer
ANSWER_EVERY_US: Final = 100 * MS  # a peer's re-sends are answered at most this often

# --- views and windows ----------------------------------------------------------------
SILENT_VIEWS: Final = 8  # K, C-8
VOTE_WINDOW: Final = 256  # how far ahead uncertified votes are accepted, C-16
DRIFT_MS: Final = 500  # C-3

# --- sizes (C-16) ---------------------------------------------------------------------
JUSTIFICATION_MAX: Final = 64  # certificates in a proposal; the rest is fetched
RESYNC_ITEMS_MAX: Final = 256  # votes and certificates in one Resync; more go in a further one
CERTIFICATES_REQUEST_MAX: Final = 256  # views in one CertificateRequest
BLOCKS_REQUEST_MAX: Final = 16  # ids in one BlockRequest
REQUESTS_MAX: Final = 64  # a peer's requests answered in one ANSWER_EVERY_US
CATCH_UP_BATCH: Final = 64  # final blocks asked for at once, C-15
CATCH_UP_BATCH_MAX: Final = 256  # longest answer: up to the next direct finalization
CATCH_UP_AHEAD: Final = 256  # committed but unexecuted blocks beyond which nothing is fetched
BLOCKS_HELD_MAX: Final = 1024  # blocks held above the committed head
RECENT_FINAL_MAX: Final = 64  # final blocks still served by id
FETCHES_MAX: Final = 16  # outstanding at once
DIGESTS_PER_BLOCK_CEILING: Final = 1024  # whatever genesis says
VOTES_FILE_REWRITE_BYTES: Final = 1 << 20  # appended bytes after which the file is written anew

# --- genesis defaults -----------------------------------------------------------------
ANCHOR_LAG: Final = 32  # C-13
DIGESTS_PER_BLOCK_MAX: Final = 256
DIGEST_WINDOW_MS: Final = 300_000  # the validity window of transactions

assert DELTA_FLOOR_US < DELTA_CAP_US < IDLE_MAX_US
assert PACE_US < PACE_FULL_US < DELTA_FLOOR_US, "pacing must stay far from a timeout"
assert ASK_AGAIN_US < PACE_US
assert RESEND_US < IDLE_MAX_US
assert ANSWER_EVERY_US < RESEND_US
assert SILENT_VIEWS < VOTE_WINDOW < BLOCKS_HELD_MAX
assert CATCH_UP_BATCH <= CATCH_UP_BATCH_MAX <= CATCH_UP_AHEAD
assert DIGESTS_PER_BLOCK_MAX <= DIGESTS_PER_BLOCK_CEILING <= 0xFFFF, "counts are u16 on the wire"
assert JUSTIFICATION_MAX <= RESYNC_ITEMS_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainConfig:
    """What genesis fixes, and which validator this node is (None: an observer)."""

    chain_id: ChainId
    validators: ValidatorSet
    scheme: CertificateKind
    genesis_time_ms: TimestampMs
    genesis_roots: ExecutedRoots  # {0, initial state root, root of the empty log, 0}
    index: ValidatorIndex | None
    epoch: Epoch = FIRST_EPOCH
    manual_clock: bool = False  # dev genesis: C-3's upper bound on time is not checked
    anchor_lag: int = ANCHOR_LAG
    digests_per_block_max: int = DIGESTS_PER_BLOCK_MAX
    digest_window_ms: int = DIGEST_WINDOW_MS

    def __post_init__(self) -> None:
        if self.genesis_roots.height != 0 or self.genesis_roots.log_size != 0:
            raise ValueError("genesis anchors height 0 and an empty log")
        if not 1 <= self.digests_per_block_max <= DIGESTS_PER_BLOCK_CEILING:
            raise ValueError(f"a block orders 1 to {DIGESTS_PER_BLOCK_CEILING} batches")
        if self.anchor_lag < 1:
            raise ValueError("the anchor lag is at least 1")
        if self.index is not None and not 0 <= self.index < self.validators.n:
            raise ValueError("this node's index is no validator's")
        if self.scheme is CertificateKind.SEQUENCER and self.validators.n != 1:
            raise ValueError("a sequencer orders alone: genesis must name one validator")

    @property
    def genesis_id(self) -> Hash32:
        """Genesis is height 0, view 0, id = chain_id, final without a certificate."""
        return Hash32(self.chain_id)

"""The node's own bounds (C-16), in one place; their relations are asserted at import.

None of them binds validity: two nodes may differ in every one and agree on
every block. What binds validity stands in genesis.
"""

from __future__ import annotations

from typing import Final

MIB: Final = 1 << 20

# --- admission and batches
ADMISSION_LINGER_US: Final = 8_000  # under load a batch waits this long for company
ADMISSION_PATIENCE_US: Final = 100_000  # and this long while a block's share of batches is still unordered
BATCH_TRANSACTIONS_TARGET: Final = 512  # a batch of this many goes at once
OWN_QUOTA_BYTES: Final = 64 * MIB  # unreferenced batches of this node's clients
AUTHOR_QUOTA_BYTES: Final = 32 * MIB  # the same of any other author
POOL_BATCHES_MAX: Final = 16_384  # unreferenced batches of one author
LEFT_OUT_MAX: Final = 8  # batches that a block has no room for, until it counts as filled
BLOCK_BYTES_TARGET: Final = 4 * MIB  # what a leader puts into one block

# --- fetching (C-14)
FETCH_RETRY_US: Final = 250_000  # unanswered this long, the next peer is asked
HINTED_BLOCKS_MAX: Final = 8  # of one peer: blocks whose batches' authors it named, the newest
FETCHES_OPTIONAL_MAX: Final = 4_096  # offered batches that were asked for and have not come
INVALID_DIGESTS_MAX: Final = 1_024  # remembered as no valid batch
OFFER_DIGESTS_MAX: Final = 256  # in one offer of what waits for a block
OFFER_AGE_US_MIN: Final = 100_000  # C-9: older unordered batches are offered to the leader

# --- finding where roots differ (C-13)
WRITES_HEIGHTS_KEPT: Final = 64  # blocks whose writes can be told, beyond those that no header anchors yet
WRITES_KEPT_MAX: Final = 250_000  # writes of these, about 100 bytes each
WRITES_ROWS_PER_STEP: Final = 256  # hashed between votes and timers
WRITES_PAGE_EVERY_US: Final = 20_000  # one page for one peer; what it asks meanwhile waits, the newest only
WRITES_ASKED_MAX: Final = 4_096  # pages that an isolated node asks of one peer, over all its attempts
WRITES_ATTEMPTS_MAX: Final = 8  # connections of one peer on which it is asked
WRITES_ANSWER_US: Final = 2_000_000  # unanswered this long, a peer is asked again
WRITES_SILENCE_US: Final = 10_000_000  # no peer has answered: say so

# --- the loop
SLICE_US: Final = 5_000  # verification and execution, between votes and timers (C-16)
EXPIRY_SLACK_MS: Final = 1_000  # a batch is dropped this long after its last moment
RESULTS_WAITING_MAX: Final = 400_000  # transactions whose submitters wait

# --- serving
ROOTS_KEPT: Final = 64  # heights whose tree is kept for proofs; at least this many

assert ADMISSION_LINGER_US < ADMISSION_PATIENCE_US
assert BATCH_TRANSACTIONS_TARGET <= 8_192
assert AUTHOR_QUOTA_BYTES >= 2 * BLOCK_BYTES_TARGET
assert WRITES_PAGE_EVERY_US < WRITES_ANSWER_US < WRITES_SILENCE_US
assert OFFER_AGE_US_MIN < FETCH_RETRY_US < 1_000_000
